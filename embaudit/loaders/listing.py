"""What loaders see of a repository's listing: which files are there, and which weights stay unopened."""

from collections.abc import Collection, Iterable

from embaudit.model.files import FileKind, FileState, Snapshot

_WEIGHT_KINDS = frozenset({FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX, FileKind.FOREIGN_WEIGHTS})
_NOWHERE = frozenset({FileState.BROKEN_LINK, FileState.LOOPING_LINK})


def exists(snapshot: Snapshot, path: str) -> bool:
    """Whether a program that looks for a file finds one there, be it readable or not.

    A link that leads nowhere is none. Anything else that embaudit does not read, such as a Git LFS pointer,
    is found and opened.
    """
    entry = snapshot.files.get(path)
    return entry is not None and entry.state not in _NOWHERE


def is_unseen(snapshot: Snapshot, path: str) -> bool:
    """Whether there is a file whose bytes are not at hand, a Git LFS pointer for one."""
    return exists(snapshot, path) and snapshot.files[path].state is not FileState.PRESENT


def weights_beside(
    snapshot: Snapshot, used: Iterable[str] = (), *, folders: Collection[str] | None = None
) -> tuple[str, ...]:
    """The weight files of a repository, or of some of its folders, that are not among those used; sorted."""
    weights = {path for path, entry in snapshot.files.items() if entry.kind in _WEIGHT_KINDS}
    inside = (path for path in weights if folders is None or path.rpartition("/")[0] in folders)
    return tuple(sorted(set(inside).difference(used)))
