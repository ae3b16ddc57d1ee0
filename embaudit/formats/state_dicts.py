"""Finds the tensors inside the value of a torch pickle, names them, and tells which part is the state dict.

Names are dotted paths: the key in a flat state dict, `state_dict.encoder.weight` in a nested one, `0.weight`
in a list, an attribute's name in an object, `tensor` for a tensor that stands alone. Keys that are no text
are written as python writes them. Two paths that would be spelled alike get a suffix `#2`, `#3`, and an
oddity says so: no tensor is lost.

The parts of a tensor that is stored in pieces (sparse, quantized by channel, subclasses) follow its name:
`weight.indices`, `weight.scales`. A lone storage is no tensor and is not listed.
"""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.formats.pickle_nodes import Call, PersistentId, PickleValue
from embaudit.formats.tensor_walk import Branch, TensorWalk
from embaudit.formats.torch_tensors import Places, read_call
from embaudit.model.checkpoint import Checkpoint, Oddity
from embaudit.model.frozen import JSON
from embaudit.model.limits import Limits
from embaudit.model.tensors import TensorInfo

BARE_TENSOR = "tensor"
"""The name of a tensor that is the whole checkpoint."""

WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")
"""Keys under which training scripts keep the model, in the order in which they are believed."""

TRAINING_STATE = ("optim", "scheduler", "lr_scheduler", "scaler", "rng_state", "callbacks", "loops")
"""Starts of keys that hold the state of training, which often has more tensors than the model."""

_VISITS_PER_BYTE = 16
"""How often the items of a pickle may be met over shared containers, for each byte of the pickle."""


@attrs.frozen(kw_only=True)
class Found:
    """What a pickle's value holds.

    Attributes:
        tensors: Name to tensor, in the order of the file.
        metadata: Dotted path to plain value, the first thousand; long texts and arrays are left out.
        state_dict: Dotted path of the part that holds the model, or empty.
        containers: Keys of the top level whose values hold tensors below them.
        reasons: Why the value is more than tensors and plain values.
        oddities: What torch never writes.
    """

    tensors: dict[str, TensorInfo]
    metadata: dict[str, JSON]
    state_dict: str
    containers: tuple[str, ...]
    reasons: tuple[str, ...]
    oddities: tuple[Oddity, ...]


def find_tensors(value: PickleValue, places: Places, pickle_bytes: int, limits: Limits) -> Found:
    """Every tensor in `value`, the value of a pickle of `pickle_bytes` bytes.

    Raises:
        FormatError: If a tensor does not lie inside its storage.
        LimitError: If there are too many tensors, or containers too deep in one another.
    """
    walk = TensorWalk(places, limits, _VISITS_PER_BYTE * pickle_bytes, limits.pickle_bytes)
    root = Branch("")
    is_tensor = type(value) is PersistentId or (type(value) is Call and read_call(value) is not None)
    if is_tensor:
        walk.item(root, "", BARE_TENSOR, value, 0)
    else:
        walk.container(root, "", value, 0)
    return Found(
        tensors=walk.tensors,
        metadata=walk.metadata,
        state_dict=".".join(state_dict_path(root)),
        containers=tuple(branch.key for branch in root.branches),
        reasons=tuple(walk.reasons),
        oddities=tuple(walk.oddities),
    )


def state_dict_path(root: Branch) -> tuple[str, ...]:
    """The keys that lead from `root` to the container that holds the model's tensors."""
    path: list[str] = []
    branch: Branch | None = root
    while branch is not None:
        path.append(branch.key)
        branch = _model_inside(branch)
    return tuple(path[1:])


def _model_inside(branch: Branch) -> Branch | None:
    """The container inside `branch` that holds the model, or None if `branch` itself does."""
    inside = [child for child in branch.branches if not child.key.lower().startswith(TRAINING_STATE)]
    for wrapper in WRAPPERS:
        for child in inside:
            if child.key == wrapper and child.total > branch.direct:
                return child
    if branch.direct or not inside:
        return None
    return max(inside, key=lambda child: child.total)


def state_dict_tensors(checkpoint: Checkpoint) -> Mapping[str, TensorInfo]:
    """The tensors of a checkpoint's state dict, by their names in it.

    Where the state dict is the top level these are all tensors; where it is nested, those below it, without
    the path that leads to it.
    """
    if not checkpoint.state_dict:
        return checkpoint.tensors
    prefix = f"{checkpoint.state_dict}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in checkpoint.tensors.items()
        if name.startswith(prefix)
    }


def tied_groups(tensors: Iterable[TensorInfo]) -> tuple[frozenset[str], ...]:
    """The groups of names whose tensors are exactly the same elements; tensors without elements never are."""
    held = [tensor for tensor in tensors if tensor.stop > tensor.start]
    if len({(tensor.storage, tensor.start) for tensor in held}) == len(held):
        return ()  # as in most files; worth asking first, for the rest takes longer than a tensor's pickle
    by_start: dict[tuple[str, str, int], list[TensorInfo]] = {}
    for tensor in held:
        by_start.setdefault((tensor.file, tensor.storage, tensor.start), []).append(tensor)
    groups: dict[tuple[object, ...], list[str]] = {}
    for candidates in by_start.values():
        if len(candidates) > 1:
            for tensor in candidates:
                same = (tensor.file, tensor.storage, tensor.start, tensor.dtype, tensor.shape, tensor.stride)
                groups.setdefault(same, []).append(tensor.name)
    return tuple(frozenset(names) for names in groups.values() if len(names) > 1)
