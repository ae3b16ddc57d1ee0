"""What is odd about weights of a model that nobody knows."""

from collections.abc import Iterable

import pytest

from embaudit.loaders.structure import structural_faults
from embaudit.model.dtypes import DType
from embaudit.testing.facts import make_checkpoint, make_tensor


def faults(names: Iterable[str]) -> list[str]:
    """What is odd about tensors of these names."""
    return list(structural_faults(make_checkpoint(names)))


def layers(*numbers: int, container: str = "encoder.layer") -> list[str]:
    """Two tensors of each of these layers."""
    return [f"{container}.{number}.{name}" for number in numbers for name in ("a.weight", "b.weight")]


def test_whole_layers_are_in_order() -> None:
    """Layers 0 to 3 with the same tensors in each, and tensors outside of any layer, are fine."""
    assert faults([*layers(0, 1, 2, 3), "embeddings.weight", "norm.weight"]) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (layers(0, 1, 3), "encoder.layer has a layer 3 and no layer 2."),
        (layers(1, 2), "encoder.layer has a layer 2 and no layer 0."),
        (layers(0, 1, 2)[:-1], "Layer 2 of encoder.layer lacks b.weight, which most layers have."),
        (
            [*layers(0, 1), *layers(0, 1, container="bert.encoder.layer")],
            "Some layers are named encoder.layer and others bert.encoder.layer.",
        ),
    ],
)
def test_a_fault_is_told(names: list[str], said: str) -> None:
    """A gap, a layer that lacks what others have, and layers under two names are told."""
    assert said in faults(names)


def test_a_first_layer_may_differ() -> None:
    """The first layer of some models has a tensor more or less than all others."""
    assert faults([*layers(0, 1, 2)[1:], "encoder.layer.0.positions"]) == []


def test_mixed_types_are_told() -> None:
    """Tensors of several floating types are told; counters beside them are nothing odd."""
    tensors = [make_tensor("a"), make_tensor("b", dtype=DType.FLOAT16), make_tensor("c", dtype=DType.INT64)]

    assert list(structural_faults(make_checkpoint(tensors))) == [
        "Its tensors are of several types: float16, float32."
    ]
