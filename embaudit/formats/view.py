"""A file as its format reader sees it: a name, a size, and a way to read a span of bytes."""

from collections.abc import Callable, Iterable

import attrs

from embaudit.errors import FormatError
from embaudit.model.limits import KIB

AROUND_BYTES = 2 * KIB + 256
"""Asked for on either side of a place that is looked up because values are going to be read: the end of one
storage and the start of the next, where a sample looks, with room for the padding between."""

MOST_AROUND = 4096
"""Spans up to which that is done: what comes along is 20 MB then, and a reader keeps only so much."""


@attrs.frozen
class ByteView:
    """A file of known size, readable in spans.

    Attributes:
        path: Path inside the repository, for messages and for `TensorInfo.file`.
        size: Bytes of the file, as its source lists it.
        fetch: Reads the bytes from a start (included) to a stop (not included), both within the file.
        expect: Told of many spans that are about to be read, for a file that is read over a network.
        infers: Whether what follows from a directory may be inferred instead of read: over a network a
            look at every record costs a request each.
    """

    path: str
    size: int
    fetch: Callable[[int, int], bytes]
    expect: Callable[[Iterable[tuple[int, int]]], None] | None = None
    infers: bool = False

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` (included) to `stop` (not included), clipped to the file's end.

        Raises:
            FormatError: If the source gives other than the bytes asked for, or `start` is negative.
        """
        stop = min(stop, self.size)
        if start < 0:
            raise FormatError(f"a span begins before the file does, at {start}", self.path)
        if start >= stop:
            return b""
        data = self.fetch(start, stop)
        if len(data) != stop - start:
            raise FormatError(f"asked for {stop - start} bytes at {start}, got {len(data)}", self.path)
        return data

    def announce(self, spans: Iterable[tuple[int, int]]) -> None:
        """Tell the source of spans that are about to be read, if each read of it is a request.

        Where nothing may be inferred, values are going to be read: then what lies around comes along.
        """
        if self.expect is None:
            return
        told = [(start, min(stop, self.size)) for start, stop in spans if start < self.size]
        if not self.infers and len(told) <= MOST_AROUND:
            told = [
                (max(0, start - AROUND_BYTES), min(stop + AROUND_BYTES, self.size)) for start, stop in told
            ]
        self.expect(told)


def view_of(data: bytes, path: str = "data") -> ByteView:
    """A view of bytes that are already in memory."""
    return ByteView(path, len(data), lambda start, stop: data[start:stop])
