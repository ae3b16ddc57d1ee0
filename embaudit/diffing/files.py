"""Which files were added, removed, modified or moved between two snapshots.

Knows paths, sizes and digests. What is inside a file is for `embaudit.diffing.documents` and
`embaudit.diffing.weights`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

import attrs

from embaudit.diffing.completing import Completed
from embaudit.diffing.contents import Contents, common_algorithm, same_content
from embaudit.model.diff import FileChange, FileRename
from embaudit.model.files import FileEntry, Snapshot, kind_of
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Depth


@attrs.frozen(kw_only=True)
class FileDiff:
    """The files of two snapshots, compared; the fields are those of `SnapshotDiff`.

    Attributes:
        added: Files that only the new snapshot holds and that did not move.
        removed: Files that only the old one holds and that did not move.
        modified: Files whose contents differ.
        renamed: Files that moved with the same content.
        uncompared: Paths in both whose equality could not be established.
        not_at_hand: Paths that one snapshot lists, and that the commit of the other one may hold, too.
        notes: What could not be read.
    """

    added: tuple[FileEntry, ...] = ()
    removed: tuple[FileEntry, ...] = ()
    modified: tuple[FileChange, ...] = ()
    renamed: tuple[FileRename, ...] = ()
    uncompared: tuple[str, ...] = ()
    not_at_hand: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def touched(self) -> frozenset[str]:
        """Every path that was added, removed or modified, or may have been."""
        entries = {entry.path for entry in (*self.added, *self.removed)}
        return frozenset(entries | {change.path for change in self.modified} | {*self.uncompared})


def diff_files(before: Completed, after: Completed, depth: Depth, limits: Limits) -> FileDiff:
    """Compare the listings, and what has to be read to tell more.

    What a snapshot does not list is gone from it, or new in the other one, only if it is whole.
    A file moved if the content of a removed file, and its size, are those of an added one; of several such,
    those of the same name are joined first, then by path, one to one. Empty files are never taken for moved.
    """
    old, new = before.snapshot, after.snapshot
    olds = Contents(snapshot=old, depth=depth, limits=limits)
    news = Contents(snapshot=new, depth=depth, limits=limits)
    shared = sorted(old.files.keys() & new.files.keys())
    same = {path: same_content(old.files[path], new.files[path], olds, news) for path in shared}
    only_old = sorted(old.files.keys() - new.files.keys())
    only_new = sorted(new.files.keys() - old.files.keys())
    removed = [old.files[path] for path in only_old]
    added = [new.files[path] for path in only_new]
    moves = sorted(_moves(removed, added, olds, news))
    gone, come = {path for path, _ in moves}, {path for _, path in moves}
    removed = [entry for entry in removed if entry.path not in gone]
    added = [entry for entry in added if entry.path not in come]
    unknown = [*([] if after.is_whole else removed), *([] if before.is_whole else added)]
    return FileDiff(
        added=tuple(added) if before.is_whole else (),
        removed=tuple(removed) if after.is_whole else (),
        modified=tuple(file_change(old, new, path) for path in shared if same[path] is False),
        renamed=tuple(
            FileRename(old_path=before, new_path=after, kind=kind_of(after)) for before, after in moves
        ),
        uncompared=tuple(path for path in shared if same[path] is None),
        not_at_hand=tuple(sorted(entry.path for entry in unknown)),
        notes=(*olds.problems, *news.problems),
    )


def file_change(old: Snapshot, new: Snapshot, path: str) -> FileChange:
    """A path of both snapshots, told as modified."""
    return FileChange(path=path, kind=new.files[path].kind, old=old.files[path], new=new.files[path])


def _moves(
    removed: Iterable[FileEntry], added: Iterable[FileEntry], olds: Contents, news: Contents
) -> Iterator[tuple[str, str]]:
    """Old and new path of each file that moved."""
    by_size: dict[int, tuple[list[FileEntry], list[FileEntry]]] = defaultdict(lambda: ([], []))
    for side, entries in enumerate((removed, added)):
        for entry in entries:
            if entry.size:
                by_size[entry.size][side].append(entry)
    for befores, afters in by_size.values():
        if befores and afters:
            algorithm = common_algorithm((*befores, *afters))
            before_by_digest = _by_digest((olds.digest(entry, algorithm), entry.path) for entry in befores)
            after_by_digest = _by_digest((news.digest(entry, algorithm), entry.path) for entry in afters)
            for digest in before_by_digest.keys() & after_by_digest.keys():
                yield from _one_to_one(before_by_digest[digest], after_by_digest[digest])


def _by_digest(digests: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = defaultdict(list)
    for digest, path in digests:
        if digest is not None:
            paths[digest].append(path)
    return paths


def _one_to_one(befores: list[str], afters: list[str]) -> Iterator[tuple[str, str]]:
    """Paths of one content, joined: equal file names first, then in order of path."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for after in reversed(afters):
        by_name[PurePosixPath(after).name].append(after)
    partners: dict[str, str] = {}
    for before in befores:
        namesakes = by_name[PurePosixPath(before).name]
        if namesakes:
            partners[before] = namesakes.pop()
    yield from partners.items()
    taken = set(partners.values())
    without = (before for before in befores if before not in partners)
    yield from zip(without, (after for after in afters if after not in taken), strict=False)
