"""Embeds batches of texts with sentence-transformers, for as long as somebody asks.

    python embed_on_request_with_sentence_transformers.py FOLDER [DTYPE]

Each line on standard input is a JSON array of texts; each line on standard output one of vectors. The first
line on standard output is `ready`.
"""

import json
import sys

import torch
from sentence_transformers import SentenceTransformer


def main() -> None:
    """Answer until there are no more questions."""
    dtype = getattr(torch, sys.argv[2]) if len(sys.argv) > 2 else torch.float32
    model = SentenceTransformer(sys.argv[1], device="cpu", model_kwargs={"dtype": dtype})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        vectors = model.encode(json.loads(line), show_progress_bar=False, convert_to_tensor=True)
        sys.stdout.write(json.dumps(vectors.float().tolist()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
