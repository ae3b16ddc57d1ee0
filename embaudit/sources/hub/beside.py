"""Contents that a snapshot opened before has too: what both list with the same digest is read there.

For a commit of the hub that is another commit of the same repository, say: what was asked for it once is kept
there, so that files that did not change cost nothing. A local source claims its digests: the whole of a file
is held against them here, and a part of one is as good as that source.
"""

from collections.abc import Iterable, Mapping

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FarReader, FileEntry, FileState, Reader, Snapshot, Span
from embaudit.sources.hub.ranges import check_digest


class Beside:
    """The files of a listing whose content another snapshot has.

    Args:
        files: The listing.
        other: The other snapshot, if there is one.
    """

    def __init__(self, files: Mapping[str, FileEntry], other: Snapshot | None) -> None:
        self._files = files
        self._reader: Reader | None = None if other is None else other.reader
        self._twins = {} if other is None or other.reader is None else _twins(files, other)

    def has(self, path: str) -> bool:
        """Whether the content of a file is to be read there."""
        return path in self._twins

    def read(self, path: str, start: int, stop: int) -> bytes | None:
        """The bytes of a span of a file; None if it is not to be had there.

        Raises:
            SourceError: If the other snapshot is far, too, and cannot get it.
        """
        twin = self._twins.get(path)
        if self._reader is None or twin is None:
            return None
        try:
            data = self._reader.read(twin, start, stop)
            self._check(path, data)
        except (SourceError, LimitError) as error:
            self._give_up(path, error)
            return None
        return data

    def read_into(self, path: str, start: int, buffer: memoryview) -> bool:
        """Whether a buffer could be filled with the bytes of a file from `start` on.

        Raises:
            SourceError: As for `read`.
        """
        twin = self._twins.get(path)
        if self._reader is None or twin is None:
            return False
        try:
            self._reader.read_into(twin, start, buffer)
            self._check(path, buffer)
        except (SourceError, LimitError) as error:
            self._give_up(path, error)
            return False
        return True

    def fetch(self, spans: Iterable[Span]) -> None:
        """Have spans kept there that are to be read there, if it is far."""
        if isinstance(self._reader, FarReader):
            there = (span for span in spans if span.path in self._twins)
            self._reader.fetch([Span(self._twins[s.path], s.start, s.stop) for s in there])

    def _check(self, path: str, data: bytes | memoryview) -> None:
        if len(data) == self._files[path].size:
            check_digest(self._files[path], data)

    def _give_up(self, path: str, error: SourceError | LimitError) -> None:
        """Leave a file to its own source: that a local copy is damaged or gone says nothing of the hub's.

        Raises:
            SourceError: The error, if the other snapshot is far, too: then it does.
        """
        if isinstance(self._reader, FarReader):
            raise error
        self._twins.pop(path, None)


def _twins(files: Mapping[str, FileEntry], other: Snapshot) -> dict[str, str]:
    """Path to the path of a file of the other snapshot with the same content, by digest and size."""
    there = {
        (entry.identity, entry.size): entry.path
        for entry in other.files.values()
        if entry.identity is not None and entry.state is FileState.PRESENT
    }
    here = {
        entry.path: (entry.identity, entry.size)
        for entry in files.values()
        if entry.state is FileState.PRESENT
    }
    return {path: there[key] for path, key in here.items() if key in there}
