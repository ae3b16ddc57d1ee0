"""Which bytes to ask for, given which are wanted: a request costs more time than a few more bytes.

Arithmetic on spans, `start` included and `stop` not; refuses to know what is in them, and how they are had.
"""

from collections.abc import Iterable, Iterator

from embaudit.model.limits import KIB, MIB

READ_AHEAD = 64 * KIB
"""Bytes that one read of a header asks for at least. The header of a model of BERT's size takes 25 KB, its
zip directory 14 KB; on a usual line 64 KiB take less time than the way to the hub and back."""
LARGEST_GAP = 64 * KIB
"""Bytes between two spans that are had along rather than paid for with a second request."""
LARGEST_RANGE = 16 * MIB
"""Bytes asked for at once: what a connection that breaks costs. The largest shard index has 9 MB; the largest
header that is read, 25 MB, takes two."""

Window = tuple[int, int]
"""First byte and the byte after the last one."""


def window_around(start: int, stop: int, size: int) -> Window:
    """The bytes to have for a read that wants those from `start` to `stop` of a file of `size` bytes.

    A header is read from its beginning, so more is had after it; but a zip's directory is read from its end,
    so for a read that ends where the file does more is had before it. A small file is had whole.
    """
    if size <= READ_AHEAD:
        return 0, size
    if stop == size:
        return min(start, max(size - READ_AHEAD, 0)), size
    return start, min(max(stop, start + READ_AHEAD), size)


def coalesced(spans: Iterable[Window]) -> list[Window]:
    """The spans in order, without overlap, and joined where they touch or leave a small gap."""
    joined: list[Window] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if joined and start - joined[-1][1] < LARGEST_GAP:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return joined


def pieces(start: int, stop: int, most: int) -> Iterator[Window]:
    """A span in pieces of at most `most` bytes."""
    for begin in range(start, stop, most):
        yield begin, min(begin + most, stop)
