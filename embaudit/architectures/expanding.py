"""An architecture and a configuration to the tensors that the model expects."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from embaudit.architectures.sizes import take_size, take_truth
from embaudit.errors import LimitError
from embaudit.formats.fields import inside
from embaudit.model.architecture import Architecture, ExpectedModel, ExpectedTensor, TensorPattern
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.limits import DEFAULT_LIMITS, Limits

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def expected_model(
    architecture: Architecture, config: Mapping[str, JSON], limits: Limits = DEFAULT_LIMITS
) -> ExpectedModel:
    """The tensors that a model of this architecture and configuration expects.

    Args:
        architecture: What the model is.
        config: `config.json`; fields that it leaves out have the architecture's defaults.
        limits: `tensors` bounds how many there may be.

    Raises:
        FormatError: If a field that a shape or a count depends on has a value for which there is no model.
        LimitError: If there would be more tensors than the limit.
    """
    with inside("config.json"):
        sizes = _Sizes(architecture, config)
        existing = tuple(pattern for pattern in architecture.patterns if sizes.allows(pattern))
        _check_count(sum(_count(pattern, sizes) for pattern in existing), limits)
        tensors = [tensor for pattern in existing for tensor in _expand(pattern, sizes)]
    return ExpectedModel(architecture=architecture, tensors={tensor.name: tensor for tensor in tensors})


def complete_config(architecture: Architecture, config: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """`config` under the architecture's own field names, with its defaults where a field is left out.

    Where a field has two spellings the other one counts, not the architecture's own: a configuration class
    sets its own fields first
    (https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/configuration_utils.py).
    """
    own = {field: value for field, value in config.items() if field not in architecture.aliases}
    other = {architecture.aliases[field]: config[field] for field in config if field in architecture.aliases}
    return FrozenMapping({**architecture.defaults, **own, **other})


class _Sizes:
    """The sizes of one configured model, looked up by name."""

    def __init__(self, architecture: Architecture, config: Mapping[str, JSON]) -> None:
        complete = complete_config(architecture, config)
        self._values: Mapping[str, JSON] = {**complete, **architecture.derive(complete)}
        self._repeats = architecture.repeats

    def allows(self, pattern: TensorPattern) -> bool:
        """Whether a tensor exists in this configuration."""
        if not pattern.when:
            return True
        wanted = not pattern.when.startswith("!")
        return take_truth(self._values, pattern.when.removeprefix("!")) is wanted

    def numbers(self, placeholder: str, first: int) -> range:
        """The numbers that a placeholder takes."""
        return range(first, take_size(self._values, self._repeats[placeholder]))

    def has_turn(self, pattern: TensorPattern, numbers: tuple[int, ...]) -> bool:
        """Whether a tensor exists at these numbers of its placeholders."""
        if not pattern.every:
            return True
        period = take_size(self._values, pattern.every.removeprefix("!"))
        wanted = not pattern.every.startswith("!")
        return (period > 0 and numbers[0] % period == 1) is wanted

    def extent(self, dimension: str) -> int:
        """The length of a dimension: a number, a size, or a product of both."""
        factors = dimension.split("*")
        return prod(
            int(factor) if factor.isdigit() else take_size(self._values, factor) for factor in factors
        )


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.tensors:
        problem = f"the configuration asks for {count} tensors, the limit is {limits.tensors}"
        raise LimitError(problem, "", "tensors")


def _count(pattern: TensorPattern, sizes: _Sizes) -> int:
    # Not `len`, which overflows where a hostile configuration asks for more layers than an index can hold.
    every = (sizes.numbers(name, pattern.first) for name in _PLACEHOLDER.findall(pattern.name))
    return prod(max(0, numbers.stop - numbers.start) for numbers in every)


def _expand(pattern: TensorPattern, sizes: _Sizes) -> Iterator[ExpectedTensor]:
    shape = tuple(sizes.extent(dimension) for dimension in pattern.shape)
    names = _PLACEHOLDER.findall(pattern.name)
    for numbers in product(*(sizes.numbers(name, pattern.first) for name in names)):
        if not sizes.has_turn(pattern, numbers):
            continue
        values = dict(zip(names, numbers, strict=True))
        yield ExpectedTensor(pattern.name.format_map(values), shape, pattern.role)
