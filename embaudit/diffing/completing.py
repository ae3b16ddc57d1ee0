"""What a commit holds beside what was downloaded of it.

A cache lists the files that somebody asked for, and so does a folder that was downloaded into. That a file is
not among them says nothing of the commit. Knows who else may know the commit: the other snapshot, if it is of
the same one or of a repository whose history it can open, and the listing that a cache may keep of it.
"""

import attrs

from embaudit.diffing.lineage import of_one_repository
from embaudit.errors import UNANSWERED, EmbauditError
from embaudit.model.files import FileState, History, Snapshot
from embaudit.sources.joined import joined


@attrs.frozen(kw_only=True)
class Completed:
    """A snapshot with the files of its commit that were not downloaded, as far as anybody knows them.

    Attributes:
        snapshot: The snapshot; a file that nobody has at hand is listed as absent.
        is_whole: Whether every file of the commit is known.
    """

    snapshot: Snapshot
    is_whole: bool = True


def completed(snapshot: Snapshot, other: Snapshot) -> Completed:
    """What is known of a snapshot's commit where it is compared with another snapshot.

    Raises:
        UnavailableError: If a source does not answer any more.
        BudgetError: If asking exceeds the limits of a whole audit.
    """
    if not _may_lack_files(snapshot):
        return Completed(snapshot=snapshot)
    source = _of_the_same_commit(snapshot, other)
    if source is not None and source.reader is not None:
        rest = {path: entry for path, entry in source.files.items() if path not in snapshot.files}
        whole = not _may_lack_files(source) or _is_listed(snapshot)
        return Completed(snapshot=joined(snapshot, rest, source.reader), is_whole=whole)
    if snapshot.cache is None or not _is_listed(snapshot):
        return Completed(snapshot=snapshot, is_whole=False)
    absent = {entry.path: attrs.evolve(entry, state=FileState.ABSENT) for entry in snapshot.cache.absent}
    files = dict(sorted({**absent, **snapshot.files}.items()))
    return Completed(snapshot=attrs.evolve(snapshot, files=files))


def _may_lack_files(snapshot: Snapshot) -> bool:
    """Whether it is a download, of a commit that may hold more."""
    if snapshot.cache is not None:
        return not snapshot.cache.listed or bool(snapshot.cache.absent)
    return snapshot.source == "folder" and snapshot.commit is not None


def _is_listed(snapshot: Snapshot) -> bool:
    return snapshot.cache is not None and snapshot.cache.listed


def _of_the_same_commit(snapshot: Snapshot, other: Snapshot) -> Snapshot | None:
    if snapshot.commit is None or not of_one_repository(snapshot, other):
        return None
    if snapshot.commit == other.commit:
        return other
    history: object = other.reader
    if not isinstance(history, History):
        return None
    try:
        return history.at(snapshot.commit)
    except UNANSWERED:
        raise
    except EmbauditError:
        return None  # The lineage tells of a commit that is not known; here it is only not of help.
