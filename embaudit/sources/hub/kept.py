"""Bytes of files that were had once and are kept for reads to come, the least recently used given up first.

Knows contents by a key and spans of them; refuses to know where bytes come from.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Hashable, Iterator

import attrs

from embaudit.model.files import FileEntry
from embaudit.sources.hub.windows import Window


def content_key(entry: FileEntry) -> Hashable:
    """What is equal for files of equal content: the digest and size listed, or else the path."""
    return (entry.identity, entry.size) if entry.identity is not None else entry.path


@attrs.frozen
class _Piece:
    """Bytes that are kept in one piece: of which content, and from which byte on."""

    key: Hashable
    start: int


class KeptBytes:
    """Pieces of contents, at most so many bytes in all. Safe to use from several threads.

    Args:
        most_bytes: Bytes that are kept at once.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        # Pieces of one content never overlap; their order here is that of their last use.
        self._pieces: OrderedDict[_Piece, bytes] = OrderedDict()
        self._starts: dict[Hashable, list[int]] = {}
        self._n_bytes = 0

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept now."""
        return self._n_bytes

    def put(self, key: Hashable, start: int, data: bytes) -> None:
        """Keep the bytes of a content from `start` on, as far as they are not kept already.

        What could not be kept as a whole isn't kept at all: it would drive out everything else first.
        """
        if len(data) > self._most_bytes:
            return
        with self._lock:
            for gap_start, gap_stop in list(self._gaps(key, start, start + len(data))):
                self._add(_Piece(key, gap_start), data[gap_start - start : gap_stop - start])
            while self._n_bytes > self._most_bytes:
                self._give_up(*self._pieces.popitem(last=False))

    def get(self, key: Hashable, start: int, stop: int) -> bytes | None:
        """The bytes of a content from `start` (included) to `stop` (not included), if all are kept."""
        with self._lock:
            if next(self._gaps(key, start, stop), None) is not None:
                return None
            found = []
            for piece, data in self._overlapping(key, start, stop):
                self._pieces.move_to_end(piece)
                found.append(data[max(start - piece.start, 0) : stop - piece.start])
        return found[0] if len(found) == 1 else b"".join(found)

    def gaps(self, key: Hashable, start: int, stop: int) -> list[Window]:
        """The spans between `start` and `stop` that are not kept, in order."""
        with self._lock:
            return list(self._gaps(key, start, stop))

    def _gaps(self, key: Hashable, start: int, stop: int) -> Iterator[Window]:
        reached = start
        for piece, data in self._overlapping(key, start, stop):
            if piece.start > reached:
                yield reached, piece.start
            reached = piece.start + len(data)
        if reached < stop:
            yield reached, stop

    def _overlapping(self, key: Hashable, start: int, stop: int) -> list[tuple[_Piece, bytes]]:
        """The pieces that have bytes between `start` and `stop`, in order."""
        starts = self._starts.get(key, [])
        # The piece before the first that begins in the span may reach into it.
        first, last = max(bisect_right(starts, start) - 1, 0), bisect_left(starts, stop)
        pieces = [_Piece(key, starts[i]) for i in range(first, last)]
        held = [(piece, self._pieces[piece]) for piece in pieces]
        return [(piece, data) for piece, data in held if piece.start + len(data) > start]

    def _add(self, piece: _Piece, data: bytes) -> None:
        self._pieces[piece] = data
        insort(self._starts.setdefault(piece.key, []), piece.start)
        self._n_bytes += len(data)

    def _give_up(self, piece: _Piece, data: bytes) -> None:
        starts = self._starts[piece.key]
        del starts[bisect_left(starts, piece.start)]
        if not starts:
            del self._starts[piece.key]
        self._n_bytes -= len(data)
