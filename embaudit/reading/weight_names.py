"""Which files of a repository are weights of their own, told from its listing and its shard indexes."""

from collections.abc import Collection, Iterable, Iterator

from embaudit.errors import UNANSWERED, FormatError, LimitError, SourceError
from embaudit.formats.shard_index import INDEX_MARK, parse_shard_index
from embaudit.model.checkpoint import ShardIndex
from embaudit.model.files import FileKind, Snapshot, kind_of
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.weights import WEIGHTS_IN_ORDER, whole_of_shard
from embaudit.reading.files import fetch_whole, read_small


def read_index(snapshot: Snapshot, path: str, limits: Limits = DEFAULT_LIMITS) -> ShardIndex:
    """The shard index at `path`.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If the file cannot be read.
        FormatError: If it is not a shard index.
        LimitError: If it is too large, or names too many tensors or shards.
    """
    return parse_shard_index(read_small(snapshot, path, limits), path, limits)


def read_indexes(snapshot: Snapshot, limits: Limits = DEFAULT_LIMITS) -> tuple[ShardIndex, ...]:
    """Every index of a torch or safetensors checkpoint that can be used, by path; others are left out."""
    indexes = []
    paths = index_paths(snapshot)
    fetch_whole(snapshot, paths, limits.json_bytes)
    for path in paths:
        try:
            indexes.append(read_index(snapshot, path, limits))
        except UNANSWERED:
            raise
        except (SourceError, FormatError, LimitError):
            continue  # told of when its checkpoint is read
    return tuple(indexes)


def index_paths(snapshot: Snapshot) -> list[str]:
    """The indexes of torch and safetensors checkpoints that are listed."""
    return [path for path in snapshot.files if _is_index(path)]


def checkpoint_names(
    snapshot: Snapshot, indexes: Iterable[ShardIndex] | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[str, ...]:
    """The files that `read_checkpoint` takes, each a checkpoint of its own: indexes and single files.

    A file that an index claims counts only if loaders open it by its name all the same (`WEIGHTS_IN_ORDER`),
    and a file named like a shard never does (see `orphan_shards`). The root comes first, then folder by
    folder; in each, safetensors before the rest, and the names of `WEIGHTS_IN_ORDER` before others.

    Args:
        snapshot: Where to look.
        indexes: The usable indexes, if they are read already.
        limits: Bounds on the indexes read here otherwise.
    """
    claimed = _claimed(read_indexes(snapshot, limits) if indexes is None else indexes)
    singles = (path for path in _weights(snapshot) if _stands_alone(path, claimed))
    return tuple(sorted((*filter(_is_index, snapshot.files), *singles), key=_rank))


def orphan_shards(snapshot: Snapshot, indexes: Iterable[ShardIndex]) -> tuple[str, ...]:
    """Weight files named like a shard (`-00001-of-00003`) that none of the indexes claims, by path."""
    claimed = _claimed(indexes)
    return tuple(
        path for path in _weights(snapshot) if whole_of_shard(path) is not None and path not in claimed
    )


def _is_index(path: str) -> bool:
    """Whether a path is that of an index over files of a format that embaudit reads."""
    return kind_of(path) is FileKind.WEIGHTS_INDEX and kind_of(_indexed(path)) is FileKind.WEIGHTS


def _indexed(path: str) -> str:
    """The single file in whose place an index stands: `a/model.bin` for `a/model.bin.index.json`."""
    return path.rpartition(INDEX_MARK)[0] or path


def _weights(snapshot: Snapshot) -> Iterator[str]:
    return (path for path, entry in snapshot.files.items() if entry.kind is FileKind.WEIGHTS)


def _claimed(indexes: Iterable[ShardIndex]) -> set[str]:
    return {shard for index in indexes for shard in index.weight_map.values()}


def _stands_alone(path: str, claimed: Collection[str]) -> bool:
    if path.rpartition("/")[2] in WEIGHTS_IN_ORDER:
        return True
    return path not in claimed and whole_of_shard(path) is None


def _rank(path: str) -> tuple[str, bool, int, str]:
    folder, _, name = path.rpartition("/")
    order = WEIGHTS_IN_ORDER.index(name) if name in WEIGHTS_IN_ORDER else len(WEIGHTS_IN_ORDER)
    is_safetensors = _indexed(name).endswith(".safetensors")
    return folder, not is_safetensors, order, path
