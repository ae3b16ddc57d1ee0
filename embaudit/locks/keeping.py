"""Writing a text file so that nobody ever sees a half of it, whoever interrupts or writes beside us.

The text goes into a new file in the same folder, which then takes the name at once (POSIX rename; on Windows
`os.replace` does the same). The last of several writers wins, whole.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from embaudit.errors import TargetError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_MODE = 0o666
"""Less what the user's umask takes away, as for any file."""


def write_whole(path: Path, text: str) -> None:
    """Write `text` in UTF-8 to `path`: it is there whole, or what was there before is.

    Raises:
        TargetError: If it cannot be written.
    """
    if "\0" in str(path):
        raise TargetError(f"{str(path)!r} cannot be the name of a file: it holds a NUL character")
    # A link stays one: what it leads to is written.
    place = Path(os.path.realpath(path))
    if os.path.lexists(place) and not place.is_file():
        raise TargetError(f"{path}: cannot be written: it is there, and no file")
    beside = place.with_name(f".{place.name}.{os.getpid()}.{secrets.token_hex(8)}")
    try:
        try:
            with os.fdopen(os.open(beside, _NEW, _MODE), "wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(place)
        except BaseException:
            # An interrupt, too.
            with suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise TargetError(f"{path}: cannot be written: {error.strerror or error}") from error
