"""Loads folder after folder with the transformers of the environment that runs this: 4.57, or 5.

    python load_many_with_transformers.py < FOLDERS

Standard input has one folder a line; standard output has one JSON object a line, in the same order: what
`AutoModel.from_pretrained` told about it and what the parameters then held. `error` is null, or the exception
that it ended in; where it ended in one, `ignoring_sizes` is what came of a second attempt with
`ignore_mismatched_sizes`, or null.
"""

import hashlib
import io
import json
import logging
import sys
from typing import Any

import torch
from transformers import AutoModel
from transformers.utils import logging as transformers_logging


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
    transformers_logging.disable_progress_bar()
    transformers_logging.disable_default_handler()
    transformers_logging.add_handler(spoken)
    # transformers prints some questions and expects answers; here nobody is asked.
    folders, sys.stdin = sys.stdin, io.StringIO()
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in folders:
        folder = line.rstrip("\n")
        answers.write(json.dumps(load(folder, spoken)) + "\n")
        answers.flush()


def load(folder: str, spoken: Spoken) -> dict[str, Any]:
    """What comes of a folder."""
    told = attempt(folder, spoken)
    if told["error"] is None:
        return told
    again = attempt(folder, spoken, ignore_mismatched_sizes=True)
    return {**told, "ignoring_sizes": again if again["error"] is None else None}


def attempt(folder: str, spoken: Spoken, **how: bool) -> dict[str, Any]:
    """What comes of one attempt at a folder."""
    spoken.messages.clear()
    torch.manual_seed(0)
    try:
        model, told = AutoModel.from_pretrained(folder, output_loading_info=True, **how)
    except Exception as error:  # noqa: BLE001 - any refusal is one
        return {"error": f"{type(error).__name__}: {error}"[:500], "messages": [*spoken.messages]}
    return {
        "error": None,
        "messages": [*spoken.messages],
        "class_name": type(model).__name__,
        "missing_keys": sorted(told["missing_keys"]),
        "unexpected_keys": sorted(told["unexpected_keys"]),
        # 4.57 tells the names, 5 tells the shapes too.
        "mismatched_keys": sorted(key if isinstance(key, str) else key[0] for key in told["mismatched_keys"]),
        "dtype": str(model.dtype).removeprefix("torch."),
        "parameters": {
            name: held(parameter) for name, parameter in model.named_parameters(remove_duplicate=False)
        },
    }


def held(parameter: torch.Tensor) -> dict[str, Any]:
    """Type, shape, and the digest of the bytes; null where it was left without any on the meta device."""
    digest = None
    if not parameter.is_meta:
        raw = parameter.detach().contiguous().reshape(-1).view(torch.uint8)
        digest = hashlib.sha256(raw.numpy()).hexdigest()
    return {
        "dtype": str(parameter.dtype).removeprefix("torch."),
        "shape": [*parameter.shape],
        "sha256": digest,
    }


if __name__ == "__main__":
    main()
