"""Embeds texts with candle, in the environments `candle-before` and `candle-after`.

    HF_HOME=... python embed_with_candle.py CACHE/models--ORG--NAME/snapshots/COMMIT < texts.json

The last line on standard output is a JSON array of one vector per text. embed_anything takes no folders: it
looks for `model.safetensors` in the cache, asks the hub for it, then tries `pytorch_model.bin`.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import embed_anything


def main() -> None:
    """Read texts, write vectors."""
    folder = Path(sys.argv[1])
    repo_id = folder.parents[1].name.removeprefix("models--").replace("--", "/")
    model = _load(repo_id, commit=folder.name)
    # One text a batch: version 0.4 averages over the padding of the shorter ones too.
    vectors = [embed_anything.embed_query([text], model)[0].embedding for text in json.load(sys.stdin)]
    sys.stdout.write(json.dumps(vectors) + "\n")


def _load(repo_id: str, *, commit: str) -> embed_anything.EmbeddingModel:
    load = embed_anything.EmbeddingModel.from_pretrained_hf
    if version("embed_anything").startswith("0.4."):
        return load(embed_anything.WhichModel.Bert, repo_id, revision=commit)
    return load(repo_id, revision=commit)


if __name__ == "__main__":
    main()
