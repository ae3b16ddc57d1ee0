"""The stage itself: two snapshots, or whatever names them, to one diff.

Knows in which order the parts of a diff are made; each part is a module of its own.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

import attrs

from embaudit.diffing.completing import completed
from embaudit.diffing.documents import field_changes
from embaudit.diffing.files import FileDiff, diff_files, file_change
from embaudit.diffing.lineage import Relation, relate
from embaudit.diffing.weights import WeightComparison
from embaudit.errors import UNANSWERED, EmbauditError
from embaudit.formats.fields import quoted
from embaudit.model.diff import FieldChange, SnapshotDiff
from embaudit.model.files import Lineage, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.tensor_map import Depth
from embaudit.reading import read_document
from embaudit.sources import open_snapshot

SnapshotTarget = Snapshot | str | os.PathLike[str]
"""A snapshot, or anything that `open_snapshot` takes."""

MAX_NOTES = 100
"""Notes of one diff; a repository of thousands of broken files does not bury the rest."""


def diff_snapshots(
    old: SnapshotTarget,
    new: SnapshotTarget,
    *,
    depth: Depth | str = Depth.HEADERS,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> SnapshotDiff:
    """What changed from one snapshot to another: files, settings, tensors, commits.

    Files are compared by digest. Where the two sources list no digest in common, small files are read; weight
    files of equal size are told apart by their headers, by sampled values, or at depth `full` by all their
    bytes, and are `uncompared` if that proves nothing. What cannot be read is a note, never an error.

    A cache, and a folder that was downloaded into, need not hold all of their commit. What they lack is
    looked up where the other snapshot is of the same repository and can tell, or in the cache's own listing
    of the commit; else it is `not_at_hand`, and neither added nor removed.

    The commits between the two are those that a clone's or the hub's history tells; `lost_commits` are those
    that only `old` has, all of them if `new` is the older one.

    Args:
        old: The snapshot before.
        new: The snapshot after.
        depth: How much of the tensor data may be read: `headers`, `sampled` or `full`.
        limits: What bounds the reading.
        progress: Called with the number of bytes of tensor data that were just done with.

    Raises:
        UsageError: If `depth` is no depth.
        TargetError: If a target is not understood or not found.
        SourceError: If a snapshot cannot be listed.
        LimitError: If a listing exceeds a limit.
    """
    depth = Depth.parse(depth)
    old, new = _opened(old, new, limits)
    return diff_related(old, new, relate(old, new), depth=depth, limits=limits, progress=progress)


def diff_related(
    old: Snapshot,
    new: Snapshot,
    relation: Relation,
    *,
    depth: Depth,
    limits: Limits,
    progress: Callable[[int], None] | None,
) -> SnapshotDiff:
    """As `diff_snapshots`, for two snapshots of whose commits it is known already how they lie."""
    before, after = completed(old, new), completed(new, old)
    files = diff_files(before, after, depth, limits)
    old, new = before.snapshot, after.snapshot
    comparison = WeightComparison(old=old, new=new, depth=depth, limits=limits, progress=progress)
    weights = comparison.run(files.touched, frozenset(files.not_at_hand))
    files = _with_proven(files, weights.differing, old, new)
    changes, document_notes = _diff_documents(old, new, (change.path for change in files.modified), limits)
    lineage = relation.lineage or Lineage()
    return SnapshotDiff(
        old=old,
        new=new,
        added=files.added,
        removed=files.removed,
        modified=files.modified,
        renamed=files.renamed,
        uncompared=files.uncompared,
        not_at_hand=files.not_at_hand,
        commits=lineage.ahead,
        lost_commits=lineage.behind,
        unknown_commit=relation.unknown_commit,
        field_changes=changes,
        tensors=weights.tensors,
        notes=_bounded((*relation.notes, *files.notes, *document_notes, *weights.notes)),
    )


def _opened(old: SnapshotTarget, new: SnapshotTarget, limits: Limits) -> tuple[Snapshot, Snapshot]:
    """Both snapshots; what one of them has read of equal content the other one does not ask for again."""
    after = open_snapshot(new, limits=limits, beside=old if isinstance(old, Snapshot) else None)
    return open_snapshot(old, limits=limits, beside=after), after


def _with_proven(files: FileDiff, differing: frozenset[str], old: Snapshot, new: Snapshot) -> FileDiff:
    """The files, those that their tensors prove to differ moved from `uncompared` to `modified`."""
    proven = [file_change(old, new, path) for path in files.uncompared if path in differing]
    return attrs.evolve(
        files,
        modified=tuple(sorted((*files.modified, *proven), key=lambda change: change.path)),
        uncompared=tuple(path for path in files.uncompared if path not in differing),
    )


def _diff_documents(
    old: Snapshot, new: Snapshot, paths: Iterable[str], limits: Limits
) -> tuple[tuple[FieldChange, ...], tuple[str, ...]]:
    changes: list[FieldChange] = []
    notes: list[str] = []
    for path in paths:
        if PurePosixPath(path).suffix.lower() != ".json":
            continue
        try:
            before, after = read_document(old, path, limits), read_document(new, path, limits)
        except UNANSWERED:
            raise
        except EmbauditError as error:
            notes.append(f"{quoted(path)} could not be compared field by field: {error}")
            continue
        found, left_out = field_changes(path, before, after)
        changes.extend(found)
        notes.extend(left_out)
    return tuple(changes), tuple(notes)


def _bounded(notes: tuple[str, ...]) -> tuple[str, ...]:
    left_out = len(notes) - MAX_NOTES
    return (*notes[:MAX_NOTES], f"{left_out} more notes are not told") if left_out > 0 else notes
