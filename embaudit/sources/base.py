"""What every source of bytes has in common: the protocol, and the checks before a byte is touched.

A source takes its listing once, when it is made; `snapshot()` then gives the same value again and again, and
reads are held against that listing. This module knows nothing of disks, caches or git.

Names are kept as they are: a name that is not UTF-8 is held with surrogate escapes, as `os.fsdecode` gives
it, and may hold newlines or control characters. Messages and `FileEntry.detail` pass every foreign text
through `shown`; whoever prints a path must do so too.
"""

from typing import Protocol, runtime_checkable

import attrs

from embaudit.errors import SourceError
from embaudit.model.files import FileState, Reader, Snapshot


@runtime_checkable
class Source(Reader, Protocol):
    """A place that bytes come from: one listing, and the reads that it promises."""

    def snapshot(self) -> Snapshot:
        """The listing, with this source as its reader; equal each time it is asked for."""
        ...


def shown(text: str) -> str:
    r"""A foreign text, safe to print: what cannot be printed is escaped as in a Python literal.

    Letters of every script stay; control characters, newlines, bytes that are not UTF-8, direction marks and
    backslashes become `\n`, `\x1b`, `\udcff`, `\u202e` and `\\`. One text never shows as another.
    """
    return repr(text + '"')[1:-2].replace("\\'", "'")


class ListedSource:
    """A source that answers for the files of its listing; a child only makes the listing and fills buffers.

    Args:
        listed: The listing, without a reader. (With one, source and snapshot would hold each other, and open
            files would wait for the garbage collector.)
    """

    def __init__(self, listed: Snapshot) -> None:
        self._listed = listed

    def snapshot(self) -> Snapshot:
        """What was listed when this source was made, with this source as its reader."""
        return attrs.evolve(self._listed, reader=self)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes of `path` from `start` (included) to `stop` (not included).

        Raises:
            SourceError: If the path is not listed or not readable, if the span is not inside the file, or if
                the bytes cannot be had.
        """
        self._check(path, start, stop)
        buffer = bytearray(stop - start)
        if buffer:
            self._fill(path, start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill `buffer`, a writable contiguous view, with the bytes of `path` from `start` on.

        Raises:
            SourceError: As `read` does.
        """
        octets = buffer.cast("B")
        self._check(path, start, start + len(octets))
        if len(octets):
            self._fill(path, start, octets)

    def _check(self, path: str, start: int, stop: int) -> None:
        entry = self._listed.files.get(path)
        if entry is None:
            raise SourceError(f"'{shown(path)}' is not a file of this snapshot")
        if entry.state is not FileState.PRESENT or entry.size is None:
            detail = f" ({entry.detail})" if entry.detail else ""
            raise SourceError(f"'{shown(path)}' cannot be read: {entry.state}{detail}")
        if not 0 <= start <= stop <= entry.size:
            raise SourceError(
                f"'{shown(path)}' has {entry.size} bytes; there are no bytes {start} to {stop} in it"
            )

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill a buffer that is not empty, from a span that lies inside the file as listed."""
        raise NotImplementedError
