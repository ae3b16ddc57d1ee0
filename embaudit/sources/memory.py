"""Files held in memory: for tests, and for whoever makes a repository before it is written anywhere."""

import hashlib
from collections.abc import Mapping

from embaudit.model.files import FileEntry, FileKind, Snapshot, kind_of
from embaudit.sources.base import ListedSource

_AS_LFS = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS, FileKind.TRAINING}


def git_blob_sha1(content: bytes) -> str:
    """The id that git gives to a blob: SHA-1 of `blob`, a space, the length in decimal, a NUL, the content.

    Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects (section "Object Storage").
    """
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


class MemorySource(ListedSource):
    """Files given as bytes, listed as the hub would list them.

    Digests are computed and follow the hub's habit, so that they can be compared with those of a cache or of
    a clone: weights and training state have the SHA-256 that Git LFS knows them by, all other files the id
    of their git blob; never both.

    Args:
        files: Path to content.
        repo_id: `org/name`, if the files stand for a repository.
        commit: 40 hex digits, if they stand for a commit.
        revision: What the snapshot says it was asked for by.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        repo_id: str | None = None,
        commit: str | None = None,
        revision: str | None = None,
    ) -> None:
        self._contents = {path: bytes(files[path]) for path in sorted(files)}
        entries = {path: _entry(path, content) for path, content in self._contents.items()}
        super().__init__(
            Snapshot(source="memory", repo_id=repo_id, commit=commit, revision=revision, files=entries)
        )

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        buffer[:] = memoryview(self._contents[path])[start : start + len(buffer)]


def _entry(path: str, content: bytes) -> FileEntry:
    kind = kind_of(path)
    as_lfs = kind in _AS_LFS
    return FileEntry(
        path=path,
        size=len(content),
        kind=kind,
        sha256=hashlib.sha256(content).hexdigest() if as_lfs else None,
        git_sha1=None if as_lfs else git_blob_sha1(content),
    )
