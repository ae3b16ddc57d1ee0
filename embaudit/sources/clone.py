"""A commit of a local git clone: its tree, its blobs, and the large files that Git LFS keeps for it.

Files come from the object database, never from the working tree: what is checked out, and through which
filters, does not matter. LFS pointers are resolved from `lfs/objects` of the common git directory (the
setting `lfs.storage` is not followed: it could name any folder of this disk).
"""

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from embaudit.errors import SourceError, TargetError, UnknownCommitError
from embaudit.model.files import CommitInfo, FileEntry, FileState, Lineage, Snapshot, kind_of
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources.base import ListedSource, shown
from embaudit.sources.clone_tree import LINK_MODE, SUBMODULE_MODE, TreeRow, parse_tree, tree_links
from embaudit.sources.git import Git
from embaudit.sources.history import commits_between, find_commit, last_commits, newer_commits, read_refs
from embaudit.sources.lfs import POINTER_BYTES, LfsPointer, parse_pointer
from embaudit.sources.links import Boundary
from embaudit.sources.local import LocalFile, LocalFiles, OpenFile, open_regular

_LINK_BYTES = 4096
"""The longest link on Linux (PATH_MAX)."""
_SHA1_DIGITS = 40
_MOST_BLOBS = 16
"""Unpacked blobs kept at hand; together they stay within `limits.git_blob_bytes`."""


@attrs.frozen(kw_only=True)
class _Listed:
    """An entry and where its bytes are: a blob of the clone, a file of the LFS store, or nowhere."""

    entry: FileEntry
    blob: TreeRow | None = None
    lfs: LocalFile | None = None


class CloneSource(ListedSource):
    """One commit of a clone.

    Args:
        git: The clone.
        revision: A hash, branch, tag or any other name of a commit that git knows; `HEAD` if None.
        limits: `files` and `folder_depth` bound the tree, the `git_` limits what is unpacked.

    Raises:
        TargetError: If there is no such commit.
        SourceError: If the clone cannot be read.
        LimitError: If a limit is exceeded.
    """

    def __init__(self, git: Git, revision: str | None = None, *, limits: Limits = DEFAULT_LIMITS) -> None:
        refs = read_refs(git)
        commit = find_commit(git, "HEAD" if revision is None else revision, refs)
        listing = _listing(git, commit, limits)
        super().__init__(
            Snapshot(
                source="git",
                revision=revision,
                # A clone may name its objects by SHA-256: a hash that no hub and no other source knows.
                commit=commit if len(commit) == _SHA1_DIGITS else None,
                files={path: listed.entry for path, listed in listing.items()},
                refs=refs,
                newer=newer_commits(git, commit, revision),
            )
        )
        self._git = git
        self._commit = commit
        self._limits = limits
        self._unpacked = _Unpacked(git, limits.git_blob_bytes)
        self._blobs = {path: listed.blob for path, listed in listing.items() if listed.blob is not None}
        self._lfs = LocalFiles(
            {path: listed.lfs for path, listed in listing.items() if listed.lfs is not None}
        )

    def at(self, commit: str) -> Snapshot:
        """Another commit of the clone, by its full hash.

        Raises:
            UnknownCommitError: If the clone does not hold it.
            SourceError: If the clone cannot be read.
            LimitError: If a limit is exceeded.
        """
        try:
            return CloneSource(self._git, commit, limits=self._limits).snapshot()
        except TargetError as error:
            raise UnknownCommitError(str(error), commit) from error

    def lineage(self, old: str, new: str) -> Lineage:
        """How two commits lie to one another; both are full hashes.

        Raises:
            UnknownCommitError: If the clone does not hold one of them.
            SourceError: If one is not a full hash.
            LimitError: If there are too many to list within `limits.git_output_bytes`.
        """
        return Lineage(
            ahead=commits_between(self._git, old, new), behind=commits_between(self._git, new, old)
        )

    def last_commits(self, paths: Iterable[str]) -> dict[str, CommitInfo]:
        """The commit that last changed each path, as of this one.

        Raises:
            SourceError: If the clone cannot be read.
            LimitError: If git prints too much.
        """
        return last_commits(self._git, self._commit, paths)

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        row = self._blobs.get(path)
        if row is None:
            self._lfs.fill(path, start, buffer)
            return
        try:
            got = self._unpacked.blob(row).fill(start, buffer)
        except OSError as error:
            raise SourceError(f"'{shown(path)}' could not be read at byte {start}: {error}") from error
        if got < len(buffer):
            raise SourceError(f"'{shown(path)}' ends at byte {start + got}: its temporary file was cut short")


class _Unpacked:
    """Blobs unpacked to nameless temporary files, since git cannot give a part of one."""

    def __init__(self, git: Git, most_bytes: int) -> None:
        self._git = git
        self._most_bytes = most_bytes
        self._files: OrderedDict[str, tuple[OpenFile, int]] = OrderedDict()
        self._lock = threading.Lock()

    def blob(self, row: TreeRow) -> OpenFile:
        """The unpacked blob; each one is unpacked once as long as there is room."""
        with self._lock:
            if row.object_id not in self._files:
                size = row.size or 0
                self._make_room(size)
                descriptor = self._git.spool("cat-file", "blob", row.object_id, size=size)
                self._files[row.object_id] = OpenFile(descriptor), size
            self._files.move_to_end(row.object_id)
            return self._files[row.object_id][0]

    def _make_room(self, size: int) -> None:
        held = size + sum(size for _, size in self._files.values())
        while self._files and (held > self._most_bytes or len(self._files) >= _MOST_BLOBS):
            _, (_, freed) = self._files.popitem(last=False)
            held -= freed


def _listing(git: Git, commit: str, limits: Limits) -> dict[str, _Listed]:
    """Every file of a commit, sorted by path."""
    printed = git.listing("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    rows = parse_tree(printed, limits)
    contents = _small_blobs(git, rows)
    store = _LfsStore(git)
    listing = {
        path: _listed(row, contents.get(row.object_id), store)
        for path, row in rows.items()
        if row.mode != LINK_MODE
    }
    links = {path: row for path, row in rows.items() if row.mode == LINK_MODE}
    targets = {path: os.fsdecode(contents.get(row.object_id, b"")) for path, row in links.items()}
    followed = tree_links(rows, targets)
    for path in links:
        state, leads_to = followed.follow(path)
        listing[path] = _linked(path, state, leads_to, listing)
    return dict(sorted(listing.items()))


def _small_blobs(git: Git, rows: Mapping[str, TreeRow]) -> dict[str, bytes]:
    """The contents of all links and of all files that could be LFS pointers, by object id."""
    wanted = {row.object_id for row in rows.values() if row.size is not None and row.size < _bound(row)}
    questions = "".join(f"{object_id}\n" for object_id in sorted(wanted)).encode("ascii")
    output = git.demand("cat-file", "--batch", questions=questions) if wanted else b""
    contents: dict[str, bytes] = {}
    position = 0
    while position < len(output):
        # `<id> blob <size>`, a newline, the content, a newline; or `<id> missing`, a newline.
        end = output.find(b"\n", position)
        answer = output[position:end].decode("ascii", "replace").split(" ")
        position = end + 1
        if end >= 0 and len(answer) == 3 and answer[2].isdigit():  # noqa: PLR2004 - the three words above
            stop = position + int(answer[2])
            contents[answer[0]] = output[position:stop]
            position = stop + 1
        elif end < 0 or answer[-1] != "missing":
            raise SourceError(f"git cat-file on {git} gave an answer that is none")
    return contents


def _bound(row: TreeRow) -> int:
    return _LINK_BYTES if row.mode == LINK_MODE else POINTER_BYTES


def _listed(row: TreeRow, content: bytes | None, store: "_LfsStore") -> _Listed:
    blank = FileEntry(path=row.path, size=row.size, kind=kind_of(row.path))
    if row.mode == SUBMODULE_MODE:
        detail = f"submodule at {row.object_id}"
        return _Listed(entry=attrs.evolve(blank, state=FileState.SPECIAL, detail=detail))
    if row.size is None:
        detail = f"the clone does not hold blob {row.object_id}"
        return _Listed(entry=attrs.evolve(blank, state=FileState.UNREADABLE, detail=detail))
    pointer = None if content is None else parse_pointer(content)
    if pointer is not None:
        return store.listed(blank, pointer)
    git_sha1 = row.object_id if len(row.object_id) == _SHA1_DIGITS else None
    return _Listed(entry=attrs.evolve(blank, git_sha1=git_sha1), blob=row)


def _linked(path: str, state: FileState, leads_to: str, listing: Mapping[str, _Listed]) -> _Listed:
    """What a link shows: the file that it leads to, under the link's own path, or why there is none."""
    if state is FileState.PRESENT:
        target = listing[leads_to]
        return attrs.evolve(target, entry=attrs.evolve(target.entry, path=path, kind=kind_of(path)))
    what = "a folder" if state is FileState.SPECIAL else ""
    detail = f"-> {shown(leads_to)}{', ' if what else ''}{what}"
    return _Listed(entry=FileEntry(path=path, size=None, kind=kind_of(path), state=state, detail=detail))


class _LfsStore:
    """The objects that Git LFS has downloaded for a clone."""

    def __init__(self, git: Git) -> None:
        printed = git.demand("rev-parse", "--git-common-dir")
        self._folder = Path(os.path.realpath(git.folder / os.fsdecode(printed.removesuffix(b"\n"))))
        self._boundary = Boundary(self._folder)

    def listed(self, blank: FileEntry, pointer: LfsPointer) -> _Listed:
        """The file that a pointer stands for; still a pointer if its object is not at hand or not whole."""
        entry = attrs.evolve(blank, size=pointer.size, sha256=pointer.sha256)
        leads_to = self._boundary.resolve(self._folder, str(Path(*pointer.location)))
        if leads_to.status is None or not stat.S_ISREG(leads_to.status.st_mode):
            detail = "Git LFS pointer, its object is not in the clone's LFS store"
            return _Listed(entry=attrs.evolve(entry, state=FileState.POINTER, detail=detail))
        try:
            _, file = open_regular(leads_to.location)
        except OSError as error:
            detail = f"Git LFS object: {error.strerror or 'unreadable'}"
            return _Listed(entry=attrs.evolve(entry, state=FileState.UNREADABLE, detail=detail))
        if file.size != pointer.size:
            detail = f"Git LFS object of {file.size} bytes, its pointer says {pointer.size}"
            return _Listed(entry=attrs.evolve(entry, state=FileState.POINTER, detail=detail))
        return _Listed(entry=entry, lfs=file)
