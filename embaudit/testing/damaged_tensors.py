"""Kinds of damage to the tensors of a checkpoint: what is dropped, added, renamed, resized or cast.

Each is a pure function of a tiny model that gives other tensors, and changes none in place. One that finds
nothing to damage gives the tensors back as they are. torch comes in on demand.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.model.architecture import Architecture, Role
from embaudit.testing.tiny_models import TINY_CONFIGS, tiny_weights

Tensors = dict[str, Any]
"""Names to torch tensors, in the order in which they are stored."""


@attrs.frozen(kw_only=True, eq=False)
class TinyModel:
    """A model small enough to be written hundreds of times.

    Attributes:
        architecture: What it is.
        config: Its `config.json`.
        tensors: Its parameters; names of which the architecture says that they are tied hold one tensor.
    """

    architecture: Architecture
    config: Mapping[str, Any]
    tensors: Tensors


Change = Callable[[TinyModel], Tensors]
"""A kind of damage to tensors."""


def tiny_model(name: str, config: Mapping[str, Any] | None = None, *, seed: int = 0) -> TinyModel:
    """A model with random parameters.

    Args:
        name: The architecture's name.
        config: One of its `TINY_CONFIGS`; the first one if it is left out.
        seed: The same seed gives the same values.
    """
    config = TINY_CONFIGS[name][0] if config is None else config
    architecture = ARCHITECTURES[name]
    tensors = tiny_weights(name, config, seed=seed)
    for group in architecture.tied:
        stored = [member for member in group if member in tensors]
        tensors.update((member, tensors[stored[0]]) for member in stored)
    return TinyModel(architecture=architecture, config=config, tensors=tensors)


def intact(model: TinyModel) -> Tensors:
    """No damage."""
    return dict(model.tensors)


def nothing(_model: TinyModel) -> Tensors:
    """No tensor at all."""
    return {}


def dropped(pattern: str, *, first_only: bool = False) -> Change:
    """Without those in whose name the regular expression is found."""

    def change(model: TinyModel) -> Tensors:
        found = [name for name in model.tensors if re.search(pattern, name)]
        return _without(model.tensors, found[:1] if first_only else found)

    return change


def without_first(model: TinyModel) -> Tensors:
    """Without the first tensor."""
    return _without(model.tensors, list(model.tensors)[:1])


def without_tied(*members: int) -> Change:
    """Without the members at these places of each tied group; without any place given, without all."""

    def change(model: TinyModel) -> Tensors:
        groups = model.architecture.tied
        gone = [
            name for group in groups for place, name in enumerate(group) if not members or place in members
        ]
        return _without(model.tensors, gone)

    return change


def tied_apart(model: TinyModel) -> Tensors:
    """With other values under each name of a tied group."""
    tensors = dict(model.tensors)
    for group in model.architecture.tied:
        tensors.update((name, tensors[name] + place) for place, name in enumerate(group) if name in tensors)
    return tensors


def with_named(shapes: Mapping[str, tuple[int, ...]]) -> Change:
    """With more tensors of random values, by name and shape."""

    def change(model: TinyModel) -> Tensors:
        return {**model.tensors, **_random(shapes)}

    return change


def with_integers(shapes: Mapping[str, tuple[int, ...]]) -> Change:
    """With more tensors of whole numbers, by name and shape: counters and position tables."""

    def change(model: TinyModel) -> Tensors:
        more = {name: tensor.abs().mul(10).long() for name, tensor in _random(shapes).items()}
        return {**model.tensors, **more}

    return change


def with_buffers(model: TinyModel) -> Tensors:
    """With everything that the architecture computes itself and old versions stored."""
    import torch  # noqa: PLC0415 - on demand

    expected = expected_model(model.architecture, model.config).tensors.values()
    buffers = {each.name: torch.ones(each.shape) for each in expected if each.role is Role.BUFFER}
    return {**model.tensors, **buffers}


def renamed(pattern: str, replacement: str, *, first_only: bool = False) -> Change:
    """With the regular expression replaced in every name, or in the first in which it is found."""

    def change(model: TinyModel) -> Tensors:
        found = [name for name in model.tensors if re.search(pattern, name)]
        chosen = set(found[:1] if first_only else found)
        return {
            re.sub(pattern, replacement, name) if name in chosen else name: tensor
            for name, tensor in model.tensors.items()
        }

    return change


def prefixed(prefix: str) -> Change:
    """With this before every name; `{base}` stands for the base prefix of the architecture."""

    def change(model: TinyModel) -> Tensors:
        before = _filled(prefix, model)
        return {before + name: tensor for name, tensor in model.tensors.items()} if before else intact(model)

    return change


def prefixed_in_part(prefix: str, *, places: slice = slice(1, None, 2)) -> Change:
    """With this before the names at these places, every second one by default."""

    def change(model: TinyModel) -> Tensors:
        before, chosen = _filled(prefix, model), set(list(model.tensors)[places])
        return {(before if name in chosen else "") + name: tensor for name, tensor in model.tensors.items()}

    return change


def twice(prefix: str, *, first: bool) -> Change:
    """With every tensor stored a second time under a prefix, with other values, first or last."""

    def change(model: TinyModel) -> Tensors:
        before = _filled(prefix, model)
        again = {before + name: tensor + 1 for name, tensor in model.tensors.items()}
        if not before:
            return intact(model)
        return {**again, **model.tensors} if first else {**model.tensors, **again}

    return change


def again_renamed(pattern: str, replacement: str) -> Change:
    """With a second copy, of other values, of each tensor in whose name the expression is found, renamed."""

    def change(model: TinyModel) -> Tensors:
        found = [name for name in model.tensors if re.search(pattern, name)]
        again = {re.sub(pattern, replacement, name): model.tensors[name] + 1 for name in found}
        return {**model.tensors, **again}

    return change


def with_colliding(*endings: str) -> Change:
    """With a tensor whose name begins with the base prefix and goes on without a dot: `bertology.weight`."""

    def change(model: TinyModel) -> Tensors:
        base = model.architecture.base_prefix
        more = {base + ending: (3,) for ending in endings} if base else {}
        return {**model.tensors, **_random(more)}

    return change


def without_a_layer(model: TinyModel) -> Tensors:
    """Without the last layer."""
    return _without(model.tensors, _last_layer(model.tensors))


def with_a_layer(model: TinyModel) -> Tensors:
    """With a layer more than the configuration says."""
    last = _last_layer(model.tensors)
    more = {_LAYER.sub(_next_layer, name, count=1): model.tensors[name] + 1 for name in last}
    return {**model.tensors, **more}


def resized_table(model: TinyModel) -> Tensors:
    """With three rows more in the first table."""
    tables = [name for name, tensor in model.tensors.items() if _is_matrix(tensor)]
    return _reshaped(model, tables[:1], 3, 0)


def resized_inside(model: TinyModel) -> Tensors:
    """With a column more in a matrix of the layers."""
    return _reshaped(model, _matrices(model)[:1], 0, 1)


def transposed(model: TinyModel) -> Tensors:
    """With the dimensions of a matrix swapped that is not square."""
    oblong = [name for name in _matrices(model) if len(set(model.tensors[name].shape)) > 1][:1]
    return {**model.tensors, **{name: model.tensors[name].t().contiguous() for name in oblong}}


def scalars_for_vectors(model: TinyModel) -> Tensors:
    """With the first vector stored as its first element, of no dimension."""
    vectors = [name for name, tensor in model.tensors.items() if tensor.ndim == 1][:1]
    return {**model.tensors, **{name: model.tensors[name][0].clone() for name in vectors}}


def weight_normed(model: TinyModel) -> Tensors:
    """With a matrix taken apart into its length and its direction, as `weight_norm` stores it."""
    chosen = _matrices(model)[:1]
    tensors = _without(model.tensors, chosen)
    for name in chosen:
        tensors[f"{name}_g"] = model.tensors[name].norm(dim=1, keepdim=True)
        tensors[f"{name}_v"] = model.tensors[name]
    return tensors


def cast(dtype: str, *, places: slice = slice(None)) -> Change:
    """With the tensors at these places as another type."""

    def change(model: TinyModel) -> Tensors:
        import torch  # noqa: PLC0415 - on demand

        chosen = set(list(model.tensors)[places])
        return {
            name: tensor.to(getattr(torch, dtype)) if name in chosen else tensor
            for name, tensor in model.tensors.items()
        }

    return change


def after(*changes: Change) -> Change:
    """Each change made to what the one before left."""

    def change(model: TinyModel) -> Tensors:
        for each in changes:
            model = attrs.evolve(model, tensors=each(model))
        return intact(model)

    return change


_LAYER = re.compile(r"(?<=\.)\d+(?=\.)")


def _without(tensors: Tensors, names: Iterable[str]) -> Tensors:
    gone = frozenset(names)
    return {name: tensor for name, tensor in tensors.items() if name not in gone}


def _random(shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
    import torch  # noqa: PLC0415 - on demand

    generator = torch.Generator().manual_seed(len(shapes))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def _filled(prefix: str, model: TinyModel) -> str:
    """The prefix with the architecture's own in it; empty if it has none."""
    base = model.architecture.base_prefix
    return prefix.replace("{base}", base) if base or "{base}" not in prefix else ""


def _number(name: str) -> int | None:
    found = _LAYER.search(name)
    return None if found is None else int(found[0])


def _last_layer(tensors: Tensors) -> list[str]:
    """The names of the last layer, of each stack of layers that has as many."""
    numbers = [number for number in map(_number, tensors) if number is not None]
    return [name for name in tensors if numbers and _number(name) == max(numbers)]


def _next_layer(number: re.Match[str]) -> str:
    return str(int(number[0]) + 1)


def _matrices(model: TinyModel) -> list[str]:
    """The matrices inside layers, those that a tied group holds left out."""
    tied = {name for group in model.architecture.tied for name in group}
    inside = (name for name in model.tensors if _number(name) is not None and name not in tied)
    return [name for name in inside if _is_matrix(model.tensors[name])]


def _is_matrix(tensor: Any) -> bool:
    n_dimensions = 2
    return bool(tensor.ndim == n_dimensions)


def _reshaped(model: TinyModel, names: Iterable[str], rows: int, columns: int) -> Tensors:
    """With more rows and columns in some matrices, filled with ones."""
    import torch  # noqa: PLC0415 - on demand

    tensors = dict(model.tensors)
    for name in names:
        larger = torch.ones(tensors[name].shape[0] + rows, tensors[name].shape[1] + columns)
        larger[: tensors[name].shape[0], : tensors[name].shape[1]] = tensors[name]
        tensors[name] = larger
    return tensors
