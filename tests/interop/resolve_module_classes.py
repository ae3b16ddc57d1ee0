"""Resolves class paths as sentence-transformers does for `modules.json`, in the environment of that name.

    python resolve_module_classes.py < PATHS

Standard input has one path a line; standard output has a JSON object of path to the name of the class that it
names, or null if it names none.
"""

import json
import sys

from sentence_transformers.util import import_from_string


def main() -> None:
    """Resolve each path."""
    paths = sys.stdin.read().splitlines()
    sys.stdout.write(json.dumps({path: resolved(path) for path in paths}) + "\n")


def resolved(path: str) -> str | None:
    """The name of the class, or None."""
    try:
        return str(import_from_string(path).__name__)
    except ImportError:
        return None


if __name__ == "__main__":
    main()
