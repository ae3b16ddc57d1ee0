"""Two checkpoints joined by what their headers say: pairs, leftovers and ties.

Knows names, dtypes, shapes and ties. Never reads a value; the pairs come out as not compared.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from embaudit.formats.state_dicts import state_dict_tensors
from embaudit.mapping.matching import Layout, Match, Renaming, match_names
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.tensor_map import Depth, TensorMap, TensorPair, TiedName
from embaudit.model.tensors import TensorInfo


def join_checkpoints(left: Checkpoint, right: Checkpoint) -> TensorMap:
    """The map of two checkpoints at depth `headers`.

    Of a training checkpoint only the state dict takes part: optimizer state and the like are no part of the
    model. Pairs carry the names of the files, the container included, and say so where only one side has it.
    """
    lefts, rights = state_dict_tensors(left), state_dict_tensors(right)
    matches = match_names(_layouts(lefts), _layouts(rights))
    opening, closing = _container_renaming(left, right)
    pairs = tuple(_pair(match, lefts[match.left], rights[match.right], opening, closing) for match in matches)
    paired_left, paired_right = {pair.left for pair in pairs}, {pair.right for pair in pairs}
    tied_left = tuple(_tied_names(left, lefts.values(), paired_left, "left"))
    tied_right = tuple(_tied_names(right, rights.values(), paired_right, "right"))
    return TensorMap(
        left=left.name,
        right=right.name,
        depth=Depth.HEADERS,
        pairs=pairs,
        only_left=_leftovers(lefts.values(), paired_left, tied_left),
        only_right=_leftovers(rights.values(), paired_right, tied_right),
        tied=(*tied_left, *tied_right),
    )


def _container(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.state_dict}." if checkpoint.state_dict else ""


def _layouts(tensors: Mapping[str, TensorInfo]) -> dict[str, Layout]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def _container_renaming(left: Checkpoint, right: Checkpoint) -> tuple[Renaming, Renaming]:
    """What every pair's renaming begins and ends with."""
    inner, outer = _container(left), _container(right)
    if inner == outer:
        return (), ()
    opening = (f"container '{inner}' removed",) if inner else ()
    closing = (f"container '{outer}' added",) if outer else ()
    return opening, closing


def _pair(
    match: Match, left: TensorInfo, right: TensorInfo, opening: Renaming, closing: Renaming
) -> TensorPair:
    # A container `model` and a prefix `model.` are written alike: then nothing is renamed.
    renaming = (*opening, *match.renamed_by, *closing) if left.name != right.name else ()
    return TensorPair(
        left=left.name,
        right=right.name,
        renamed_by=" + ".join(renaming) or None,
        left_dtype=left.dtype,
        right_dtype=right.dtype,
        left_shape=left.shape,
        right_shape=right.shape,
    )


def _tied_names(
    checkpoint: Checkpoint, tensors: Iterable[TensorInfo], paired: AbstractSet[str], side: str
) -> Iterator[TiedName]:
    """Names without a partner that share their elements with a name that has one."""
    partners = {
        name: min(group & paired) for group in checkpoint.tied if group & paired for name in group - paired
    }
    for tensor in sorted(tensors, key=lambda tensor: tensor.name):
        if tensor.name in partners:
            yield TiedName(name=tensor.name, tied_to=partners[tensor.name], side=side)


def _leftovers(
    tensors: Iterable[TensorInfo], paired: AbstractSet[str], tied: Iterable[TiedName]
) -> tuple[str, ...]:
    explained = paired | {each.name for each in tied}
    return tuple(sorted(tensor.name for tensor in tensors if tensor.name not in explained))
