"""Checkpoints from headers alone: a weight file, or an index with its shards."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import attrs

from embaudit.errors import LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.fields import inside
from embaudit.formats.shard_index import join_shards
from embaudit.model.checkpoint import Checkpoint, ShardIndex
from embaudit.model.files import FarReader, FileKind, FileState, Snapshot, Span
from embaudit.model.limits import DEFAULT_LIMITS, KIB, MIB, Limits
from embaudit.reading.files import view_file
from embaudit.reading.weight_names import read_index
from embaudit.sources.interrupts import done_by, interrupting_reads

SHARD_READERS = 16
"""Shards read at once: enough to hide the latency of a network, few enough for its connections to be kept."""

SHARD_GROUP = 4 * SHARD_READERS
"""Shards that are asked for before their tensors are counted."""


HEAD_BYTES = 100 * KIB
"""Asked for at the start of a safetensors file over a network: the headers of models of up to some 800
tensors. One request more costs as much time as a megabyte."""

TORCH_HEAD_BYTES = 64 * KIB
"""Asked for at the start of any other weight file: `data.pkl` of BERT-base, for one, has 35 KB."""

ENTRY_BYTES = 100
"""What one tensor takes in a safetensors header beside its name: dtype, shape and offsets in large models."""

_HEAD_STEP = 16 * KIB
_MOST_HEAD = 2 * MIB
"""A predicted head is a multiple of the one, and at most the other."""


def read_checkpoint(
    snapshot: Snapshot, name: str, limits: Limits = DEFAULT_LIMITS, *, exact: bool = False
) -> Checkpoint:
    """The checkpoint of this name, from headers alone: a weight file, or an index with its shards.

    Args:
        snapshot: Where it is listed.
        name: A weight file, or an index.
        limits: Bounds on everything that is read.
        exact: Whether to look up, over a network too, what follows from a zip's directory: a look at every
            storage, for whoever goes on to read values. On a disk it is always looked up.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If a file cannot be read; a shard that is not listed is in `missing_files` instead.
        FormatError: If a file does not follow its format, or shards are of different formats.
        LimitError: If a file, or the shards together, exceed a limit.
    """
    if not name.endswith(".json"):
        return attrs.evolve(_read_file(snapshot, limits, exact, name), reader=snapshot.reader)
    index = read_index(snapshot, name, limits)
    named = sorted(set(index.weight_map.values()))
    present = [path for path in named if path in snapshot.files]
    shards = _read_shards(snapshot, present, index, limits, exact=exact)
    missing = [path for path in named if path not in snapshot.files]
    return attrs.evolve(join_shards(index, shards, missing), reader=snapshot.reader)


def _read_file(snapshot: Snapshot, limits: Limits, exact: bool, path: str) -> Checkpoint:
    head = head_of(snapshot, path)
    if isinstance(snapshot.reader, FarReader) and head is not None:
        snapshot.reader.fetch((head,))
    with inside(path):
        return parse_checkpoint(view_file(snapshot, path, infers=not exact), limits)


def head_of(snapshot: Snapshot, path: str) -> Span | None:
    """What to ask for first of a weight file over a network; None for what is none, or is not at hand."""
    entry = snapshot.files.get(path)
    if entry is None or entry.kind is not FileKind.WEIGHTS or entry.state is not FileState.PRESENT:
        return None
    return Span(path, 0, HEAD_BYTES if path.endswith(".safetensors") else TORCH_HEAD_BYTES)


def _read_shards(
    snapshot: Snapshot, paths: Sequence[str], index: ShardIndex, limits: Limits, *, exact: bool
) -> tuple[Checkpoint, ...]:
    """All shards, several at once; in groups, so that no more than a group is read beyond the limit."""
    shards: list[Checkpoint] = []
    n_tensors = 0
    heads = _predicted_heads(index)
    with ThreadPoolExecutor(max_workers=SHARD_READERS) as pool, interrupting_reads(snapshot.reader):
        for start in range(0, len(paths), SHARD_GROUP):
            group = paths[start : start + SHARD_GROUP]
            if isinstance(snapshot.reader, FarReader):
                snapshot.reader.fetch(Span(path, 0, heads[path]) for path in group)
            shards.extend(done_by(pool, partial(_read_file, snapshot, limits, exact), group))
            n_tensors += sum(len(shard.tensors) for shard in shards[start:])
            if n_tensors > limits.tensors:
                problem = f"the shards hold {n_tensors} tensors or more, the limit is {limits.tensors}"
                raise LimitError(problem, index.path, "tensors")
    return tuple(shards)


def _predicted_heads(index: ShardIndex) -> Mapping[str, int]:
    """How many bytes of each shard hold its header, by the tensors that the index says are in it."""
    heads: dict[str, int] = defaultdict(int)
    for name, shard in index.weight_map.items():
        heads[shard] += ENTRY_BYTES + len(name)
    return {
        shard: min(-(-max(n_bytes, HEAD_BYTES) // _HEAD_STEP) * _HEAD_STEP, _MOST_HEAD)
        for shard, n_bytes in heads.items()
    }
