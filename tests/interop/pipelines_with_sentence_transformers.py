"""Builds folder after folder with the sentence-transformers of the environment that runs this.

    python pipelines_with_sentence_transformers.py < FOLDERS

Standard input has one folder a line; standard output has one JSON object a line, in the same order: what
the model that was built does with a text, by the names of the fields of `EmbeddingPipeline`. Lengths,
dimensions and casing are observed on texts, not read. `error` is null, or the exception in which building
ended; `encoding_error` is that in which encoding did.
"""

import io
import json
import math
import sys
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

TEXT = "Vectors came out wrong, and nothing said so."
NO_LIMIT = 1_000_000_000


def main() -> None:
    """Build each folder, and tell what was built."""
    # Code from a repository is asked about on standard input; here nobody answers.
    folders, sys.stdin = sys.stdin, io.StringIO()
    for line in folders:
        torch.manual_seed(0)
        sys.stdout.write(json.dumps(built(line.rstrip("\n"))) + "\n")
        sys.stdout.flush()


def built(folder: str) -> dict[str, Any]:
    """What comes of a folder, as far as it goes."""
    try:
        model = SentenceTransformer(folder, device="cpu")
    except Exception as error:  # noqa: BLE001 - any refusal is one
        return {"error": shown(error)}
    try:
        vector = model.encode(TEXT, show_progress_bar=False)
    except Exception as error:  # noqa: BLE001 - any failure is one
        return {"error": None, "encoding_error": shown(error)}
    return {"error": None, "encoding_error": None, **described(model, vector)}


def shown(error: Exception) -> str:
    """An exception, in short."""
    return f"{type(error).__name__}: {error}"[:500]


def described(model: SentenceTransformer, vector: Any) -> dict[str, Any]:
    """What the model does with a text."""
    modules = list(model.children())
    cut = model.truncate_dim
    poolings = [module for module in modules if type(module).__name__ == "Pooling"]
    prompts = {name: text for name, text in model.prompts.items() if text and isinstance(text, str)}
    default = model.default_prompt_name
    return {
        "pooling": modes_of(poolings[-1]) if poolings else None,
        "include_prompt": poolings[-1].include_prompt if poolings else True,
        "normalize": bool(abs(float((vector.astype("float64") ** 2).sum()) - 1) < 1e-5),
        "dense": [dense_of(module) for module in modules if type(module).__name__ == "Dense"],
        "max_seq_length": length_of(model),
        "lowercase": is_lowercasing(model),
        "prompts": prompts,
        "default_prompt": default if default in prompts else None,
        "dimension": int(vector.shape[-1]),
        "truncate_dim": cut if cut is None or cut >= 0 else int(vector.shape[-1]),
        "similarity": model.similarity_fn_name,
        "padding_side": getattr(model.tokenizer, "padding_side", None),
        "modules": [type(module).__name__ for module in modules],
    }


def modes_of(pooling: Any) -> list[str]:
    """The modes, in the order in which they are concatenated."""
    return [pooling.pooling_mode] if isinstance(pooling.pooling_mode, str) else [*pooling.pooling_mode]


def dense_of(module: Any) -> dict[str, Any]:
    """A Dense, by the names of the fields of `DenseLayer`."""
    activation = type(module.activation_function)
    name = f"{activation.__module__}.{activation.__qualname__}"
    return {
        "in_features": module.linear.in_features,
        "out_features": module.linear.out_features,
        "bias": module.linear.bias is not None,
        "activation": "" if name.endswith(".Identity") else name,
        "residual": module.use_residual,
    }


def length_of(model: SentenceTransformer) -> int | None:
    """Tokens at which a long text is cut, as it comes out; None if it is not."""
    if model.max_seq_length is None or math.isinf(model.max_seq_length) or model.max_seq_length > NO_LIMIT:
        return None
    n_words = int(model.max_seq_length) + 10
    tokens = model.preprocess(["word " * n_words])["input_ids"].shape[-1]
    return None if tokens >= n_words else int(tokens)


def is_lowercasing(model: SentenceTransformer) -> bool:
    """Whether a text in capitals has the tokens of the same text in small letters."""
    capitals, small = (model.preprocess([text])["input_ids"] for text in (TEXT.upper(), TEXT.lower()))
    return capitals.shape == small.shape and bool((capitals == small).all())


if __name__ == "__main__":
    main()
