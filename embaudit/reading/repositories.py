"""What loaders and rules are shown of a repository: its settings, and the header of every weight file."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from embaudit.errors import WITHHELD, FormatError, LimitError, NoContentError, SourceError, TargetError
from embaudit.formats.declared import declared_paths
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import UnreadableFile, WeightFiles
from embaudit.model.files import FarReader, FileState, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.repository import Repository
from embaudit.reading.checkpoints import head_of, read_checkpoint
from embaudit.reading.declarations import read_declaration
from embaudit.reading.files import whole_files
from embaudit.reading.weight_names import checkpoint_names, index_paths, orphan_shards, read_indexes
from embaudit.sources.interrupts import done_by, interrupting_reads

UNREADABLE = (FormatError, LimitError, SourceError, TargetError)
"""What reading a file of the repository may raise: its fault, so a finding and not an exception."""

FAR_CHECKPOINTS = 4
"""Checkpoints read at once over a network, each with its shards."""


def read_repository(
    snapshot: Snapshot, limits: Limits = DEFAULT_LIMITS, *, exact: bool = False
) -> Repository:
    """What loaders are shown of a snapshot: its settings and the header of every weight file.

    Args:
        snapshot: The snapshot.
        limits: Bounds on everything that is read.
        exact: As for `read_checkpoint`.
    """
    _announce(snapshot, limits)
    declaration = read_declaration(snapshot, limits)
    indexes = read_indexes(snapshot, limits)
    names = checkpoint_names(snapshot, indexes)
    at_hand = [name for name in names if snapshot.files[name].state is FileState.PRESENT]
    read = dict(zip(at_hand, _read_all(snapshot, at_hand, limits, exact), strict=True))
    return Repository(
        snapshot=snapshot,
        declaration=declaration,
        checkpoints={name: each for name, each in read.items() if isinstance(each, Checkpoint)},
        unreadable={name: each for name, each in read.items() if isinstance(each, UnreadableFile)},
        not_at_hand=tuple(name for name in names if name not in read),
        weights=WeightFiles(checkpoints=names, orphan_shards=orphan_shards(snapshot, indexes)),
    )


def _announce(snapshot: Snapshot, limits: Limits) -> None:
    """Over a network, ask side by side for what will be read whatever the files say: settings and headers."""
    if not isinstance(snapshot.reader, FarReader):
        return
    settings = (*declared_paths(snapshot.files), *index_paths(snapshot))
    heads = [span for name in checkpoint_names(snapshot, ()) if (span := head_of(snapshot, name)) is not None]
    snapshot.reader.fetch((*whole_files(snapshot, settings, limits.settings_bytes), *heads))


def _read_all(
    snapshot: Snapshot, names: Sequence[str], limits: Limits, exact: bool
) -> Iterator[Checkpoint | UnreadableFile]:
    read = partial(_read, snapshot, limits, exact)
    if not isinstance(snapshot.reader, FarReader):
        yield from map(read, names)
        return
    with ThreadPoolExecutor(FAR_CHECKPOINTS) as pool, interrupting_reads(snapshot.reader):
        yield from done_by(pool, read, names)


def _read(snapshot: Snapshot, limits: Limits, exact: bool, name: str) -> Checkpoint | UnreadableFile:
    try:
        return read_checkpoint(snapshot, name, limits, exact=exact)
    except WITHHELD:
        raise
    except UNREADABLE as error:
        return unreadable(name, error)


def unreadable(path: str, error: Exception) -> UnreadableFile:
    """The fact that one of `UNREADABLE` tells about a file."""
    limit = error.limit if isinstance(error, LimitError) else ""
    return UnreadableFile(
        path=path, problem=str(error), limit=limit, no_content=isinstance(error, NoContentError)
    )
