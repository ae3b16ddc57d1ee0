"""Loads folder after folder with the sentence-transformers of the environment that runs this.

    python load_many_with_sentence_transformers.py < FOLDERS

Standard input has one folder a line; standard output has one JSON object a line, in the same order. `error`
is null, or the exception that it ended in. `modules` has, for each module in order, its class and its
parameters: name to type, shape and the digest of the bytes. `messages` is what was said on the default log
level.
"""

import hashlib
import io
import json
import logging
import sys
from typing import Any

import torch
from sentence_transformers import SentenceTransformer


class Spoken(logging.Handler):
    """Keeps what is logged at the default level."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the beginning of a message."""
        self.messages.append(record.getMessage()[:300])


def main() -> None:
    """Load each folder, and tell what was loaded."""
    spoken = Spoken()
    for name in ("sentence_transformers", "transformers"):
        logging.getLogger(name).addHandler(spoken)
    # Code from a repository is asked about on standard input; here nobody answers.
    folders, sys.stdin = sys.stdin, io.StringIO()
    for line in folders:
        spoken.messages.clear()
        told = load(line.rstrip("\n"))
        sys.stdout.write(json.dumps({**told, "messages": spoken.messages}) + "\n")
        sys.stdout.flush()


def load(folder: str) -> dict[str, Any]:
    """What comes of a folder."""
    torch.manual_seed(0)
    try:
        model = SentenceTransformer(folder, device="cpu")
    except Exception as error:  # noqa: BLE001 - any refusal is one
        return {"error": f"{type(error).__name__}: {error}"[:500]}
    return {
        "error": None,
        "modules": [
            {"class": type(module).__name__, "parameters": held(module)} for module in model.children()
        ],
    }


def held(module: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """Every parameter of a module; those of a Transformer under the names that transformers has for them."""
    inner = getattr(module, "auto_model", module)
    return {name: described(tensor) for name, tensor in inner.named_parameters()}


def described(tensor: torch.Tensor) -> dict[str, Any]:
    """Type, shape and digest."""
    raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": [*tensor.shape],
        "sha256": hashlib.sha256(raw.numpy().tobytes()).hexdigest(),
    }


if __name__ == "__main__":
    main()
