"""Walking a folder on this disk: every file in it, and where each one leads."""

import os
import stat
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import attrs

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FileEntry, FileState, kind_of
from embaudit.model.limits import Limits
from embaudit.sources.base import shown
from embaudit.sources.lfs import POINTER_BYTES, parse_pointer
from embaudit.sources.links import Boundary, Resolved
from embaudit.sources.local import LocalFile, open_regular


@attrs.frozen(kw_only=True)
class Found:
    """One thing in a folder that is not a folder.

    Attributes:
        path: Relative to the folder walked, with forward slashes.
        place: Where the directory entry stands on disk, a link not followed.
        leads_to: What it leads to.
    """

    path: str
    place: Path
    leads_to: Resolved


@attrs.frozen(kw_only=True)
class _Folder:
    """A folder on the way; `chain` holds the real paths of the folders passed through, itself included."""

    path: str
    chain: tuple[Path, ...]

    @property
    def location(self) -> Path:
        return self.chain[-1]


def walk(
    root: Path,
    boundary: Boundary,
    limits: Limits,
    *,
    recursive: bool = True,
    leave_out: AbstractSet[str] = frozenset(),
) -> Iterator[Found]:
    """Everything in the folder `root`, a real path, that is not itself a folder; in no order.

    A linked folder is walked like any other if it lies inside the boundary and does not lead back to where
    it stands.

    Args:
        root: The folder.
        boundary: Where links may lead.
        limits: `files` bounds the directory entries looked at, `folder_depth` folders inside folders.
        recursive: Whether to walk folders inside; if not, they are passed over.
        leave_out: Paths that are neither given nor walked.

    Raises:
        SourceError: If `root` itself cannot be listed.
        LimitError: If a limit is exceeded.
    """
    pending = [_Folder(path="", chain=(root,))]
    n_seen = 0
    while pending:
        folder = pending.pop()
        try:
            names = _names(folder.location, limits.files - n_seen)
        except OSError as error:
            yield _unlistable(folder, error)
            continue
        n_seen += len(names)
        if n_seen > limits.files:
            raise LimitError(f"more than {limits.files} directory entries", shown(str(root)), "files")
        for name in names:
            path = f"{folder.path}/{name}" if folder.path else name
            if path in leave_out:
                continue
            leads_to = boundary.resolve(folder.location, name)
            if not _is_folder(leads_to):
                yield Found(path=path, place=folder.location / name, leads_to=leads_to)
            elif leads_to.location in folder.chain:
                yield Found(path=path, place=leads_to.location, leads_to=_looping(leads_to))
            elif recursive:
                pending.append(_inner(folder, path, leads_to.location, limits))


def _names(location: Path, most: int) -> list[str]:
    """The names in a folder; one more than `most` at most, so that a huge folder is not held."""
    names = []
    with os.scandir(location) as entries:
        for entry in entries:
            names.append(entry.name)
            if len(names) > most:
                break
    return names


def _is_folder(resolved: Resolved) -> bool:
    return resolved.status is not None and stat.S_ISDIR(resolved.status.st_mode)


def _inner(folder: _Folder, path: str, location: Path, limits: Limits) -> _Folder:
    if len(folder.chain) > limits.folder_depth:
        raise LimitError(
            f"more than {limits.folder_depth} folders inside one another", shown(path), "folder_depth"
        )
    return _Folder(path=path, chain=(*folder.chain, location))


def _looping(leads_to: Resolved) -> Resolved:
    detail = f"-> {shown(str(leads_to.location))}, a folder that it is in"
    return attrs.evolve(leads_to, state=FileState.LOOPING_LINK, status=None, detail=detail)


def _unlistable(folder: _Folder, error: OSError) -> Found:
    detail = error.strerror or "unreadable"
    if not folder.path:
        raise SourceError(f"'{shown(str(folder.location))}' cannot be listed: {detail}") from error
    unreadable = Resolved(state=FileState.UNREADABLE, location=folder.location, detail=detail)
    return Found(path=folder.path, place=folder.location, leads_to=unreadable)


_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def describe(found: Found) -> tuple[FileEntry, LocalFile | None]:
    """The entry of what was found, and the file to read from if it can be read.

    A regular file is opened once, which is how an unreadable one is told; if it is small enough to be a Git
    LFS pointer it is read, too.
    """
    leads_to, kind = found.leads_to, kind_of(found.path)
    blank = FileEntry(path=found.path, size=None, kind=kind, state=leads_to.state, detail=leads_to.detail)
    if leads_to.status is None:
        return blank, None
    if not stat.S_ISREG(leads_to.status.st_mode):
        detail = _SPECIAL.get(stat.S_IFMT(leads_to.status.st_mode), "not a regular file")
        return attrs.evolve(blank, state=FileState.SPECIAL, detail=detail), None
    try:
        opened, file = open_regular(leads_to.location)
        content = bytearray(file.size if file.size < POINTER_BYTES else 0)
        opened.fill(0, memoryview(content))
    except OSError as error:
        return attrs.evolve(blank, state=FileState.UNREADABLE, detail=error.strerror or "unreadable"), None
    pointer = parse_pointer(bytes(content))
    if pointer is not None:
        detail = "Git LFS pointer, its object is not here"
        state = FileState.POINTER
        return attrs.evolve(blank, state=state, size=pointer.size, sha256=pointer.sha256, detail=detail), None
    return attrs.evolve(blank, size=file.size), file
