"""A file as its format reader sees it: a name, a size, and a way to read a span of bytes."""

from collections.abc import Callable, Iterable

import attrs

from embaudit.errors import FormatError


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


def view_of(data: bytes, path: str = "data") -> ByteView:
    """A view of bytes that are already in memory."""
    return ByteView(path, len(data), lambda start, stop: data[start:stop])
