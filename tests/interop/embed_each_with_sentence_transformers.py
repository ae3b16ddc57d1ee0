"""Embeds the same texts with many repositories, with sentence-transformers alone.

    python embed_each_with_sentence_transformers.py OUTPUT.npz FOLDER... < texts.json

The vectors of a repository are put into the archive under the name of its folder. A name that ends in
`-eager` has them made with that kernel of attention, and in `-float32` in that type.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

HOW: dict[str, dict[str, Any]] = {
    "eager": {"attn_implementation": "eager"},
    "float32": {"dtype": torch.float32},
    "bfloat16": {"dtype": torch.bfloat16},
    "bfloat16eager": {"dtype": torch.bfloat16, "attn_implementation": "eager"},
}


def main() -> None:
    """Read texts, write vectors."""
    output, *folders = map(Path, sys.argv[1:])
    texts = json.load(sys.stdin)
    vectors = {}
    for folder in folders:
        how = HOW.get(folder.name.rpartition("-")[2], {})
        model = SentenceTransformer(str(folder), device="cpu", model_kwargs=how)
        vectors[folder.name] = np.asarray(model.encode(texts, show_progress_bar=False), dtype=np.float32)
    np.savez(output, **vectors)


if __name__ == "__main__":
    main()
