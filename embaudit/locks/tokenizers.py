"""One digest for all files of a tokenizer."""

import hashlib
from collections.abc import Mapping

from embaudit.model.files import FileKind
from embaudit.model.lock import LockedFile


def tokenizer_digest(files: Mapping[str, LockedFile]) -> str | None:
    """The digest that `Lock.tokenizer` describes."""
    parts = [(path, file.sha256) for path, file in sorted(files.items()) if file.kind is FileKind.TOKENIZER]
    if not parts or any(sha256 is None for _, sha256 in parts):
        return None
    lines = "".join(f"{sha256}  {path}\n" for path, sha256 in parts)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
