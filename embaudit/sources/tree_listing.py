"""The listing of a commit that huggingface_hub keeps beside what it downloaded: `trees/<commit>.json`.

Format: huggingface_hub 2.4.0, `_tree_cache.py`, format version 1. As there, a listing that is damaged or of
another version counts as no listing.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

import attrs

from embaudit.errors import LimitError
from embaudit.model.files import FileEntry, kind_of
from embaudit.model.limits import Limits
from embaudit.sources.base import shown
from embaudit.sources.local import open_regular

_VERSION = 1
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@attrs.frozen(kw_only=True)
class TreeEntry:
    """One file of a commit. An LFS file has a SHA-256, any other the id of its git blob.

    Attributes:
        size: Bytes of the content, or None if the listing gives no sensible number.
        sha256: Hex digest of the content.
        git_sha1: Hex id of the blob.
    """

    size: int | None
    sha256: str | None
    git_sha1: str | None

    def as_entry(self, path: str) -> FileEntry:
        """The file as an entry, were it there."""
        return FileEntry(
            path=path, size=self.size, sha256=self.sha256, git_sha1=self.git_sha1, kind=kind_of(path)
        )


def read_tree_listing(location: Path, limits: Limits) -> Mapping[str, TreeEntry]:
    """Path to entry, for every file of a commit; empty if there is no usable listing.

    Raises:
        LimitError: If the file has more than `limits.json_bytes`, or lists more than `limits.files`.
    """
    try:
        opened, file = open_regular(location)
        if file.size > limits.json_bytes:
            raise LimitError(f"a listing of {file.size} bytes", shown(str(location)), "json_bytes")
        content = bytearray(file.size)
        opened.fill(0, memoryview(content))
        document = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("format_version") != _VERSION:
        return {}
    files = document.get("files")
    if not isinstance(files, dict):
        return {}
    if len(files) > limits.files:
        raise LimitError(f"a listing of {len(files)} files", shown(str(location)), "files")
    entries = {path: _entry(fields) for path, fields in files.items() if _is_inside(path)}
    return {path: entry for path, entry in entries.items() if entry is not None}


def _is_inside(path: str) -> bool:
    return not {"", os.curdir, os.pardir} & set(path.split("/"))


def _entry(fields: object) -> TreeEntry | None:
    if not isinstance(fields, dict):
        return None
    sha256 = _hex(fields.get("lfs_sha256"), _SHA256)
    size = fields.get("size") if sha256 is None else fields.get("lfs_size", fields.get("size"))
    sensible = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return TreeEntry(
        size=size if sensible else None,
        sha256=sha256,
        # The blob of an LFS file is its pointer: its id says nothing of the content.
        git_sha1=_hex(fields.get("blob_id"), _GIT_SHA1) if sha256 is None else None,
    )


def _hex(value: object, form: re.Pattern[str]) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None
