"""What can be said of weights without knowing their model: gaps in layers, mixed prefixes, mixed types."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from embaudit.model.checkpoint import Checkpoint

_NUMBER = re.compile(r"^(?P<container>.*?)\.(?P<number>[0-9]{1,6})\.(?P<rest>.+)$", re.DOTALL)


def structural_faults(checkpoint: Checkpoint) -> Iterator[str]:
    """What is odd about the tensors of a checkpoint, whatever its model: one sentence each."""
    layers = _layers(checkpoint)
    yield from _gaps(layers)
    yield from _uneven(layers)
    yield from _mixed_prefixes(layers)
    yield from _mixed_types(checkpoint)


Layers = dict[str, dict[int, set[str]]]
"""The name before a layer's number, to the numbers, to what follows them."""


def _layers(checkpoint: Checkpoint) -> Layers:
    layers: Layers = defaultdict(lambda: defaultdict(set))
    for name in checkpoint.tensors:
        found = _NUMBER.match(name)
        if found is not None:
            layers[found["container"]][int(found["number"])].add(found["rest"])
    return layers


def _gaps(layers: Layers) -> Iterator[str]:
    for container, numbers in layers.items():
        lacking = next((number for number in range(max(numbers)) if number not in numbers), None)
        if lacking is not None:
            yield f"{container} has a layer {max(numbers)} and no layer {lacking}."


def _uneven(layers: Layers) -> Iterator[str]:
    for container, numbers in layers.items():
        counts = Counter(name for held in numbers.values() for name in held)
        usual = {name for name, count in counts.items() if 2 * count > len(numbers)}
        # A first layer that differs from all others is the rule in some models (ModernBERT's has no norm).
        lacking = ((number, usual - held) for number, held in sorted(numbers.items()) if number > 0)
        odd = next(((number, min(names)) for number, names in lacking if names), None)
        if odd is not None:
            yield f"Layer {odd[0]} of {container} lacks {odd[1]}, which most layers have."


def _mixed_prefixes(layers: Layers) -> Iterator[str]:
    for container in layers:
        longer = next((other for other in layers if other.endswith(f".{container}")), None)
        if longer is not None:
            yield f"Some layers are named {container} and others {longer}."


def _mixed_types(checkpoint: Checkpoint) -> Iterator[str]:
    types = sorted({tensor.dtype for tensor in checkpoint.tensors.values() if tensor.dtype.is_floating})
    if len(types) > 1:
        yield f"Its tensors are of several types: {', '.join(map(str, types))}."
