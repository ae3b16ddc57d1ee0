"""Loads a model with transformers, in the environments `sentence-transformers` (5) and `transformers-4`.

    python load_with_transformers.py FOLDER

The last line on standard output is a JSON object: what `output_loading_info` tells, and for each parameter
the SHA-256 of its bytes, or null where it holds no values because it was left on the meta device.
"""

import hashlib
import json
import sys

import torch
from transformers import AutoModel


def main() -> None:
    """Load, and tell what was loaded."""
    model, told = AutoModel.from_pretrained(sys.argv[1], output_loading_info=True)
    loaded = {
        "missing_keys": sorted(told["missing_keys"]),
        "unexpected_keys": sorted(told["unexpected_keys"]),
        "parameters": {name: _digest(parameter) for name, parameter in model.named_parameters()},
    }
    sys.stdout.write(json.dumps(loaded) + "\n")


def _digest(parameter: torch.Tensor) -> str | None:
    if parameter.is_meta:
        return None
    return hashlib.sha256(parameter.detach().contiguous().numpy()).hexdigest()


if __name__ == "__main__":
    main()
