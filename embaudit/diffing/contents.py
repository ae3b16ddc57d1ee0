"""Whether two listed files have the same content: by what the sources claim, else by reading.

Sources know different digests: a cache the SHA-256 of LFS files and the git id of others, a clone the same, a
folder none. What one side does not list is computed, if the file may be read at the depth asked for: whole
files at depth `full`; else no weights or training state, and nothing larger than `Limits.json_bytes`.
"""

import enum
from collections import Counter
from collections.abc import Iterable

import attrs

from embaudit.errors import UNANSWERED, EmbauditError
from embaudit.model.files import FarReader, FileEntry, FileKind, FileState, Snapshot
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Depth
from embaudit.values import file_digest, git_blob_sha1

_BULK = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS, FileKind.TRAINING}
"""Kinds of files that are read in full only at depth `full`, however small, unless they are JSON."""


class Algorithm(enum.Enum):
    """A digest that sources list."""

    SHA256 = "sha256"
    GIT = "git-sha1"


def listed_digest(entry: FileEntry, algorithm: Algorithm) -> str | None:
    """The digest that the source claims."""
    return entry.sha256 if algorithm is Algorithm.SHA256 else entry.git_sha1


@attrs.define
class Contents:
    """The digests of one snapshot's files: listed ones first, computed ones once.

    Attributes:
        snapshot: The snapshot.
        depth: What may be read.
        limits: `json_bytes` bounds what is read at a depth other than `full`.
        problems: Why files could not be read, one sentence each.
    """

    snapshot: Snapshot
    depth: Depth
    limits: Limits
    problems: list[str] = attrs.Factory(list)
    _computed: dict[tuple[str, Algorithm], str | None] = attrs.Factory(dict)

    def digest(self, entry: FileEntry, algorithm: Algorithm) -> str | None:
        """The digest of a file, or None if it is neither listed nor to be had at this depth.

        At depth `full` a listed digest is a claim to be checked, not an answer: the bytes are read. Those of
        a hub are not, which computes its digests itself: they would travel for nothing else.
        """
        listed = listed_digest(entry, algorithm)
        is_near = not isinstance(self.snapshot.reader, FarReader)
        is_checked = self.depth is Depth.FULL and entry.state is FileState.PRESENT and is_near
        if listed is not None and not is_checked:
            return listed
        key = (entry.path, algorithm)
        if key not in self._computed:
            self._computed[key] = self._compute(entry, algorithm)
        return self._computed[key]

    def _compute(self, entry: FileEntry, algorithm: Algorithm) -> str | None:
        reader = self.snapshot.reader
        if reader is None or entry.size is None or not self._may_read(entry, entry.size):
            return None
        compute = file_digest if algorithm is Algorithm.SHA256 else git_blob_sha1
        try:
            return compute(reader, entry.path, entry.size)
        except UNANSWERED:
            raise
        except EmbauditError as error:
            self.problems.append(str(error))
            return None

    def _may_read(self, entry: FileEntry, size: int) -> bool:
        if entry.state is not FileState.PRESENT:
            return False
        if self.depth is Depth.FULL:
            return True
        is_bulk = entry.kind in _BULK and not entry.path.endswith(".json")
        return not is_bulk and size <= self.limits.json_bytes


def common_algorithm(entries: Iterable[FileEntry]) -> Algorithm:
    """The digest that most of these files list already, so that the fewest need reading."""
    counts = Counter(
        algorithm
        for entry in entries
        for algorithm in Algorithm
        if listed_digest(entry, algorithm) is not None
    )
    return max(Algorithm, key=lambda algorithm: counts[algorithm])


def same_content(old: FileEntry, new: FileEntry, olds: Contents, news: Contents) -> bool | None:
    """Whether two files have the same content; None if this depth cannot tell."""
    if old.size is not None and new.size is not None and old.size != new.size:
        return False
    algorithm = common_algorithm((old, new))
    digests = olds.digest(old, algorithm), news.digest(new, algorithm)
    return None if None in digests else digests[0] == digests[1]
