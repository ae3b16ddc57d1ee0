"""An architecture and a configuration to the tensors that the model expects."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from embaudit.errors import FormatError, LimitError
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
        FormatError: If a field that a shape or a count depends on is not a whole number from 0 on.
        LimitError: If there would be more tensors than the limit.
    """
    sizes = _Sizes(architecture, config)
    count = sum(_count(pattern, sizes) for pattern in architecture.patterns if sizes.allows(pattern))
    if count > limits.tensors:
        problem = f"the configuration asks for {count} tensors, the limit is {limits.tensors}"
        raise LimitError(problem, "config.json", "tensors")
    tensors = [
        tensor
        for pattern in architecture.patterns
        if sizes.allows(pattern)
        for tensor in _expand(pattern, sizes)
    ]
    return ExpectedModel(
        architecture=architecture, tensors=FrozenMapping({tensor.name: tensor for tensor in tensors})
    )


def complete_config(architecture: Architecture, config: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """`config` under the architecture's own field names, with its defaults where a field is left out."""
    named = {architecture.aliases.get(field, field): value for field, value in config.items()}
    return FrozenMapping({**architecture.defaults, **named})


class _Sizes:
    """The sizes of one configured model, looked up by name."""

    def __init__(self, architecture: Architecture, config: Mapping[str, JSON]) -> None:
        self._config = complete_config(architecture, config)
        self._derived = architecture.derive(self._config)
        self._repeats = architecture.repeats

    def __getitem__(self, name: str) -> int:
        value = self._derived.get(name, self._config.get(name))
        if not isinstance(value, int) or value < 0:
            raise FormatError(f"expected a whole number from 0 on, found {value!r}", f"config.json: {name}")
        return int(value)

    def allows(self, pattern: TensorPattern) -> bool:
        """Whether a tensor exists in this configuration."""
        if not pattern.when:
            return True
        return bool(self[pattern.when.lstrip("!")]) is not pattern.when.startswith("!")

    def numbers(self, placeholder: str, first: int) -> range:
        """The numbers that a placeholder takes."""
        return range(first, self[self._repeats[placeholder]])

    def extent(self, dimension: str) -> int:
        """The length of a dimension: a number, a size, or a product of both."""
        factors = dimension.split("*")
        return prod(int(factor) if factor.isdigit() else self[factor] for factor in factors)


def _count(pattern: TensorPattern, sizes: _Sizes) -> int:
    # `len` of a range overflows where a hostile configuration asks for more layers than an index holds.
    every = (sizes.numbers(name, pattern.first) for name in _PLACEHOLDER.findall(pattern.name))
    return prod(max(0, numbers.stop - numbers.start) for numbers in every)


def _expand(pattern: TensorPattern, sizes: _Sizes) -> Iterator[ExpectedTensor]:
    shape = tuple(sizes.extent(dimension) for dimension in pattern.shape)
    names = _PLACEHOLDER.findall(pattern.name)
    for numbers in product(*(sizes.numbers(name, pattern.first) for name in names)):
        values = dict(zip(names, numbers, strict=True))
        yield ExpectedTensor(pattern.name.format_map(values), shape, pattern.role)
