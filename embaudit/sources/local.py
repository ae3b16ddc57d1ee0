"""Files on this disk: opened with care, read by position from many threads, and never other than as listed.

What is opened is a regular file, by its real path, without following a link at its end. A file that is
replaced, cut or written to after it was listed gives a `SourceError`, not other bytes (as far as size, time
and inode can tell: a write that restores the time of modification goes unseen).
"""

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from embaudit.errors import SourceError
from embaudit.sources.base import shown

_MOST_OPEN = 32
"""Files that one source keeps open between reads."""
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe that took the place of a file must not make us wait
    | getattr(os, "O_BINARY", 0)  # Windows
)


@attrs.frozen(kw_only=True)
class LocalFile:
    """A regular file as it was when it was listed.

    Attributes:
        location: Its real path.
        device: As `os.stat` gives it, like the following three.
        inode: Together with `device`, which file this is.
        size: Bytes.
        modified: Time of the last change, in nanoseconds.
    """

    location: Path
    device: int
    inode: int
    size: int
    modified: int


def _preadv(descriptor: int, buffer: memoryview, start: int) -> int:
    return os.preadv(descriptor, [buffer], start)


_SEEKING = threading.Lock()


def _seek_and_read(descriptor: int, buffer: memoryview, start: int) -> int:
    """The portable way; the position belongs to the descriptor, so one thread at a time."""
    with _SEEKING:
        os.lseek(descriptor, start, os.SEEK_SET)
        data = os.read(descriptor, len(buffer))
    buffer[: len(data)] = data
    return len(data)


ReadAt = Callable[[int, memoryview, int], int]
"""Reads into a buffer from a position on; gives the number of bytes read, 0 at the end of the file."""

read_at: ReadAt = _preadv if hasattr(os, "preadv") else _seek_and_read


class OpenFile:
    """A file descriptor that closes itself when the last thread that reads from it lets go of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        try:  # noqa: SIM105 - when python ends, the names of this module, `suppress` for one, may be gone
            close(self.descriptor)
        except OSError:
            pass

    def fill(self, start: int, buffer: memoryview) -> int:
        """Fill `buffer` from `start` on; gives the bytes had, fewer only at the end of the file.

        Raises:
            OSError: If the system says so.
        """
        done = 0
        while done < len(buffer):
            # One call gives at most 2 GiB less a page (Linux, read(2)).
            got = read_at(self.descriptor, buffer[done:], start + done)
            if got == 0:
                break
            done += got
        return done


def open_regular(location: Path) -> tuple[OpenFile, LocalFile]:
    """Open a regular file, and say which one it is.

    Raises:
        OSError: If it cannot be opened, or is not a regular file.
    """
    if not stat.S_ISREG(location.lstat().st_mode):  # opening a device can have effects of its own
        raise OSError(0, "not a regular file")
    opened = OpenFile(os.open(location, _FLAGS))
    status = os.fstat(opened.descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "not a regular file")
    return opened, _as_listed(location, status)


def _as_listed(location: Path, status: os.stat_result) -> LocalFile:
    return LocalFile(
        location=location,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        modified=status.st_mtime_ns,
    )


class LocalFiles:
    """Reads from listed files, keeping a bounded number of them open. Safe to use from several threads.

    Args:
        files: Path in the repository to the file as listed.
    """

    def __init__(self, files: Mapping[str, LocalFile]) -> None:
        self._files = files
        self._open: OrderedDict[str, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def fill(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes of `path` from `start` on.

        Raises:
            SourceError: If they cannot be had, or are no longer those that were listed.
        """
        try:
            got = self._borrow(path).fill(start, buffer)
        except OSError as error:
            raise SourceError(
                f"'{shown(path)}' could not be read at byte {start}: {error.strerror or error}"
            ) from error
        if got < len(buffer):
            raise SourceError(f"'{shown(path)}' ends at byte {start + got}: it was cut short while in use")

    def _borrow(self, path: str) -> OpenFile:
        listed = self._files[path]
        with self._lock:
            opened = self._open.get(path)
            if opened is None:
                opened, now = open_regular(listed.location)
            else:
                now = _as_listed(listed.location, os.fstat(opened.descriptor))
            if now != listed:
                self._open.pop(path, None)
                raise SourceError(f"'{shown(path)}' has changed since it was listed")
            self._open[path] = opened
            self._open.move_to_end(path)
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
        return opened
