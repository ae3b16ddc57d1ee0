"""Embeds texts with sentence-transformers, in the environment of that name.

    python embed_with_sentence_transformers.py FOLDER < texts.json

The last line on standard output is a JSON array of one vector per text.
"""

import json
import sys

from sentence_transformers import SentenceTransformer


def main() -> None:
    """Read texts, write vectors."""
    model = SentenceTransformer(sys.argv[1], device="cpu")
    vectors = model.encode(json.load(sys.stdin), batch_size=1, show_progress_bar=False)
    sys.stdout.write(json.dumps(vectors.tolist()) + "\n")


if __name__ == "__main__":
    main()
