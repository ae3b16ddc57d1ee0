"""Whole files of the hub, each had once and held on this disk for reads to come, until the source is let go.

For depth full, at which every byte is hashed, compared and looked through: without this it would travel once
for each. The bytes lie in one temporary file without a name, so that nothing is left, whatever happens.
"""

import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from functools import partial

from embaudit.errors import WITHHELD, EmbauditError, SourceError
from embaudit.model.files import FileEntry
from embaudit.model.limits import MIB
from embaudit.sources.base import shown
from embaudit.sources.hub.crew import Crew
from embaudit.sources.hub.reading import Ask
from embaudit.sources.hub.windows import Window, pieces
from embaudit.sources.local import OpenFile

HOLDERS = 4
"""Pieces under way at once; each is in memory until it is written."""

PIECE_BYTES = 8 * MIB
"""Bytes asked for at once."""


class HeldFiles:
    """Files that are held. Safe to use from several threads.

    Args:
        ask: How bytes are had.
        interrupt: Lets the waits inside `ask` end.
    """

    def __init__(self, ask: Ask, interrupt: Callable[[], None]) -> None:
        self._ask = ask
        self._crew = Crew(HOLDERS, "embaudit-hold", interrupt)
        self._lock = threading.Lock()
        self._disk: OpenFile | None = None
        self._size = 0
        self._starts: dict[str, int] = {}

    def hold(self, entries: Iterable[FileEntry]) -> None:
        """Have files whole. One that cannot be had is left to the read that wants it, which will say so.

        So are all that follow one that ends an audit, since a hub that does not answer is not asked for every
        file, and those that this disk has no room for: without being held, bytes travel more than once.
        """
        for entry in entries:
            size = entry.size or 0
            if not size or entry.path in self._starts:
                continue
            try:
                start = self._reserve(size)
                self._crew.do(partial(self._write, entry, start), pieces(0, size, PIECE_BYTES))
            except (*WITHHELD, OSError):
                return
            except EmbauditError:
                continue
            self._starts[entry.path] = start

    def has(self, path: str) -> bool:
        """Whether a file is held."""
        return path in self._starts

    def fill(self, path: str, start: int, buffer: memoryview) -> bool:
        """Whether a buffer could be filled with the bytes of a file from `start` on: whether it is held.

        Raises:
            SourceError: If this disk fails.
        """
        place = self._starts.get(path)
        if place is None or self._disk is None:
            return False
        try:
            return self._disk.fill(place + start, buffer) == len(buffer)
        except OSError as error:
            raise SourceError(
                f"'{shown(path)}' could not be read from this disk: {error.strerror}"
            ) from error

    def _reserve(self, n_bytes: int) -> int:
        with self._lock:
            if self._disk is None:
                self._disk = _nameless()
            start, self._size = self._size, self._size + n_bytes
            return start

    def _write(self, entry: FileEntry, place: int, piece: Window) -> None:
        self._put(place + piece[0], self._ask(entry, *piece))

    def _put(self, position: int, data: bytes) -> None:
        if self._disk is None:
            return
        with self._lock:  # the position belongs to the descriptor
            os.lseek(self._disk.descriptor, position, os.SEEK_SET)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._disk.descriptor, rest) :]


def _nameless() -> OpenFile:
    """A temporary file without a name.

    Raises:
        OSError: If there is no folder that takes one.
    """
    with tempfile.TemporaryFile() as file:
        return OpenFile(os.dup(file.fileno()))
