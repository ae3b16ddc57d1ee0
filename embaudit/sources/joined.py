"""Files of one commit that are reached in two places: what was downloaded of it, and the rest of it."""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.model.files import FarReader, FileEntry, HoldingReader, Interruptible, Reader, Snapshot, Span


class JoinedReader:
    """Reads its own files in one place, and every other in another one.

    Args:
        own: The reader that is asked first.
        paths: What it is asked for.
        rest: The reader of every other path.
    """

    def __init__(self, own: Reader, paths: Iterable[str], rest: Reader) -> None:
        self._own = own
        self._paths = frozenset(paths)
        self._rest = rest

    def read(self, path: str, start: int, stop: int) -> bytes:
        """As the reader of the file does."""
        return self._reader_of(path).read(path, start, stop)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """As the reader of the file does."""
        self._reader_of(path).read_into(path, start, buffer)

    def _reader_of(self, path: str) -> Reader:
        return self._own if path in self._paths else self._rest


class FarJoinedReader(JoinedReader):
    """The same, where the rest is reached over a network."""

    def __init__(self, own: Reader, paths: Iterable[str], rest: FarReader) -> None:
        super().__init__(own, paths, rest)
        self._far = rest

    def fetch(self, spans: Iterable[Span]) -> None:
        """Have bytes of the rest kept for the reads that follow."""
        self._far.fetch([span for span in spans if span.path not in self._paths])

    def hold(self, paths: Iterable[str]) -> None:
        """Have files of the rest whole for the reads that follow, if they can be."""
        if isinstance(self._far, HoldingReader):
            self._far.hold([path for path in paths if path not in self._paths])

    def interrupt(self) -> None:
        """Let every wait end."""
        if isinstance(self._far, Interruptible):
            self._far.interrupt()


def joined(snapshot: Snapshot, rest: Mapping[str, FileEntry], reader: Reader) -> Snapshot:
    """A snapshot with more files of its commit, which another reader reaches."""
    if snapshot.reader is None:
        return snapshot
    both = (
        FarJoinedReader(snapshot.reader, snapshot.files, reader)
        if isinstance(reader, FarReader)
        else JoinedReader(snapshot.reader, snapshot.files, reader)
    )
    return attrs.evolve(snapshot, files=dict(sorted({**rest, **snapshot.files}.items())), reader=both)
