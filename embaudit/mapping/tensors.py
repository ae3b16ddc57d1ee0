"""The stage itself: two checkpoints, or whatever names them, to one map with as many values as asked for.

Leaves names and ties to `embaudit.mapping.joining` and values to `embaudit.values`.
"""

import os
from collections.abc import Callable, Iterable

import attrs

from embaudit.errors import TargetError
from embaudit.mapping.checksums import judged_by_checksum
from embaudit.mapping.joining import join_checkpoints
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import Reader, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.tensor_map import Comparison, Depth, TensorMap, TensorPair
from embaudit.reading import open_checkpoint
from embaudit.values import compare_many

CheckpointTarget = Checkpoint | Snapshot | str | os.PathLike[str]
"""A checkpoint, or anything that `open_checkpoint` takes."""


def map_tensors(
    left: CheckpointTarget,
    right: CheckpointTarget,
    *,
    depth: Depth | str = Depth.HEADERS,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> TensorMap:
    """Which tensor of one checkpoint is which of the other, and whether their values agree.

    Tensors are paired by name, by the naming rules of `embaudit.mapping.names`, and never by value. Of a
    training checkpoint only the state dict takes part. A name that has no partner only because the other
    writer stored shared elements once is told as tied. Pairs of different shapes are never compared. Where
    the files' directories hold checksums, as torch's zips do, these tell equal and changed tensors at depth
    `headers` already, and stand behind a sample at depth `sampled`.

    Args:
        left: The one checkpoint; an older one, by custom. Values are read where a checkpoint says they are,
            inferred places included; of targets that are opened here nothing is inferred then.
        right: The other.
        depth: How much of the tensor data may be read: `headers`, `sampled` or `full`.
        limits: What bounds the reading.
        progress: Called with the number of bytes of tensor data that were just done with.

    Raises:
        UsageError: If `depth` is no depth.
        TargetError: If a target is not understood or not found, or values are asked for of a checkpoint that
            knows no way to its bytes (one out of a report).
        SourceError: If bytes cannot be read.
        FormatError: If a weight file is malformed.
        LimitError: If a weight file exceeds a limit.
    """
    depth = Depth.parse(depth)
    left, right = _opened(left, depth, limits), _opened(right, depth, limits)
    joined = join_checkpoints(left, right)
    if depth is Depth.HEADERS:
        return attrs.evolve(joined, pairs=_by_checksums(joined.pairs, left, right, depth))
    comparable = [pair for pair in joined.pairs if pair.left_shape == pair.right_shape]
    left_reader, right_reader = _reader(left), _reader(right)
    jobs = [
        (left.tensors[pair.left], left_reader, right.tensors[pair.right], right_reader) for pair in comparable
    ]
    compared = compare_many(jobs, depth=depth, limits=limits, progress=progress)
    judged = {pair.left: _judged(pair, each) for pair, each in zip(comparable, compared, strict=True)}
    pairs: Iterable[TensorPair] = (judged.get(pair.left, pair) for pair in joined.pairs)
    if depth is Depth.SAMPLED:
        pairs = _by_checksums(pairs, left, right, depth)
    return attrs.evolve(joined, depth=depth, pairs=tuple(pairs))


def _judged(pair: TensorPair, comparison: Comparison) -> TensorPair:
    return attrs.evolve(pair, **attrs.asdict(comparison, recurse=False))


def _by_checksums(
    pairs: Iterable[TensorPair], left: Checkpoint, right: Checkpoint, depth: Depth
) -> tuple[TensorPair, ...]:
    return tuple(
        judged_by_checksum(pair, left.tensors[pair.left], right.tensors[pair.right], depth) for pair in pairs
    )


def _opened(target: CheckpointTarget, depth: Depth, limits: Limits) -> Checkpoint:
    if isinstance(target, Checkpoint):
        return target
    return open_checkpoint(target, limits=limits, exact=depth is not Depth.HEADERS)


def _reader(checkpoint: Checkpoint) -> Reader:
    if checkpoint.reader is None:
        raise TargetError(f"{checkpoint.name}: its values cannot be compared, for its bytes are not at hand")
    return checkpoint.reader
