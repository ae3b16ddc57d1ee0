"""Where a path on disk leads, resolved one link at a time and never looking beyond its boundary.

`os.path.realpath` would touch whatever a link names, a network mount included. Here a link that leaves the
boundary is told as such before anything outside is looked at.
"""

import os
import stat
from pathlib import Path

import attrs

from embaudit.errors import SourceError
from embaudit.model.files import FileState
from embaudit.sources.base import shown

_MOST_LINKS = 40
"""Links followed for one path before it counts as a loop, as in Linux (MAXSYMLINKS)."""


@attrs.frozen(kw_only=True)
class Resolved:
    """Where a path leads.

    Attributes:
        state: Present, or why the path leads nowhere.
        location: The real path of what is there; where resolving stopped, if it leads nowhere.
        status: Of what is there (`os.lstat`), or None if the path leads nowhere.
        detail: The link as written, or the system's error; safe to print.
    """

    state: FileState
    location: Path
    status: os.stat_result | None = None
    detail: str = ""


def _parts(text: str) -> list[str]:
    """The components of a path, last one first, without its root."""
    path = Path(text)
    return list(reversed(path.parts[1:] if path.anchor else path.parts))


def _start_of(text: str, folder: Path) -> Path:
    """Where resolving `text` starts: its root if it is absolute, else the folder that it stands in."""
    path = Path(text)
    return Path(path.drive + path.root[:1]) if path.root else folder


class Boundary:
    """The folders (and single files) that a path may lead into.

    Args:
        places: As the user gave them. Each one is resolved, since the user chose it; both the path as given
            and the real one count when an absolute link is followed.
    """

    def __init__(self, *places: Path) -> None:
        self._real = {absolute(place): Path(os.path.realpath(place)) for place in places}
        self._roots = tuple(self._real.values())
        known = {*self._real, *self._roots}
        # Folders on the way to a root are known without a look at them, and may be passed through.
        self._way = {above for place in known for above in place.parents}

    def contains(self, location: Path) -> bool:
        """Whether a real path lies inside, the places themselves included."""
        return any(location.is_relative_to(root) for root in self._roots)

    def resolve(self, folder: Path, text: str) -> Resolved:
        """Where `text` leads from `folder`, a real path inside the boundary."""
        location, pending = _start_of(text, folder), _parts(text)
        links: list[str] = []
        while pending:
            location = self._step(location, pending.pop())
            if not self.contains(location):
                if location in self._way:
                    continue
                return _nowhere(FileState.ESCAPING_LINK, location, links)
            target = _look(location, links, is_last=not pending)
            if isinstance(target, Resolved):
                return target
            if target is None:
                continue
            links.append(target)
            if len(links) > _MOST_LINKS:
                return _nowhere(FileState.LOOPING_LINK, location, links)
            location = _start_of(target, location.parent)
            pending.extend(_parts(target))
        return self._arrived(location, links)

    def _step(self, location: Path, part: str) -> Path:
        if part == os.pardir:
            return location.parent  # correct without a look: `location` holds no link
        inner = location / part
        return self._real.get(inner, inner)

    def _arrived(self, location: Path, links: list[str]) -> Resolved:
        if not self.contains(location):
            return _nowhere(FileState.ESCAPING_LINK, location, links)
        try:
            status = location.lstat()
        except OSError as error:
            return _unresolved(error, location, links)
        return Resolved(state=FileState.PRESENT, location=location, status=status)


def _look(location: Path, links: list[str], *, is_last: bool) -> str | Resolved | None:
    """What a link says, or None for what is no link, or why resolving ends here."""
    try:
        status = location.lstat()
        if stat.S_ISLNK(status.st_mode):
            return str(location.readlink())
    except OSError as error:
        return _unresolved(error, location, links)
    if is_last or stat.S_ISDIR(status.st_mode):
        return None
    return _nowhere(FileState.BROKEN_LINK, location, links)


def absolute(place: str | os.PathLike[str]) -> Path:
    """The absolute path as spelled, links not resolved, without `.` and `..`."""
    return Path(os.path.normpath(Path(place).absolute()))


def is_folder(place: Path) -> bool:
    """Whether there is a folder at `place`, links followed.

    Raises:
        SourceError: If the system does not let us look.
    """
    try:
        return place.is_dir()
    except OSError as error:
        raise SourceError(f"'{shown(str(place))}' cannot be reached: {error.strerror}") from error


def _nowhere(state: FileState, location: Path, links: list[str]) -> Resolved:
    return Resolved(state=state, location=location, detail=f"-> {shown(links[0])}" if links else "")


def _unresolved(error: OSError, location: Path, links: list[str]) -> Resolved:
    if links and isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return _nowhere(FileState.BROKEN_LINK, location, links)
    return Resolved(state=FileState.UNREADABLE, location=location, detail=error.strerror or "unreadable")
