"""The small laws of the nouns: immutability, equality, and layouts as torch counts them."""

import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import UsageError
from embaudit.model.dtypes import DType
from embaudit.model.findings import Severity, Where
from embaudit.model.frozen import FrozenMapping, freeze
from embaudit.model.limits import Limits
from embaudit.model.tensor_map import Depth
from embaudit.model.tensors import contiguous_stride
from embaudit.testing.facts import make_tensor

SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.dictionaries(st.text(max_size=3), st.integers()))
def test_a_frozen_mapping_is_the_mapping(items: dict[str, int]) -> None:
    """It equals, hashes and pickles by its items, in any order, and keeps its own copy."""
    frozen = FrozenMapping(items)
    backwards = FrozenMapping(dict(reversed(items.items())))

    assert frozen == items == dict(frozen)
    assert hash(frozen) == hash(backwards)
    assert pickle.loads(pickle.dumps(frozen)) == frozen
    items["another"] = 1
    assert "another" not in frozen
    with pytest.raises(TypeError):
        frozen["another"] = 1  # type: ignore[index]


def test_freezing_goes_all_the_way_down() -> None:
    """Arrays become tuples and objects frozen mappings at every depth, so that the result hashes."""
    frozen = freeze({"a": [1, {"b": [True, None]}]})

    assert hash(frozen) == hash(freeze({"a": (1, {"b": (True, None)})}))
    assert frozen == {"a": (1, {"b": (True, None)})}


@given(SHAPES)
def test_contiguous_strides_are_those_of_torch(shape: tuple[int, ...]) -> None:
    """The stride of a contiguous tensor, empty and scalar ones included, is the one that torch gives."""
    assert contiguous_stride(shape) == torch.empty(shape).stride()


@given(SHAPES, st.data())
def test_layouts_are_told_as_torch_tells_them(shape: tuple[int, ...], data: st.DataObject) -> None:
    """However dimensions are permuted, a tensor is contiguous or column-major when torch says so."""
    order = data.draw(st.permutations(range(len(shape))))
    strided = torch.empty(shape).permute(order)
    tensor = make_tensor("t", strided.shape, stride=strided.stride())

    assert tensor.is_contiguous == strided.is_contiguous()
    assert tensor.is_column_major == strided.permute(tuple(reversed(range(strided.dim())))).is_contiguous()
    assert tensor.n_elements == strided.numel()


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if hasattr(torch, dtype)], ids=str)
def test_widths_are_those_of_torch(dtype: DType) -> None:
    """Each type that torch has takes as many bytes as torch says."""
    assert dtype.item_bytes == getattr(torch, dtype).itemsize
    assert dtype.is_complex == getattr(torch, dtype).is_complex
    assert dtype.is_floating == getattr(torch, dtype).is_floating_point


def test_words_become_choices() -> None:
    """Severities and depths are parsed from their names, and other words are refused with the choices."""
    assert Severity.parse("Error") is Severity.ERROR is Severity.parse(Severity.ERROR)
    assert Depth.parse("full") is Depth.FULL is Depth.parse(Depth.FULL)
    assert Severity.INFO < Severity.WARNING < Severity.ERROR
    with pytest.raises(UsageError, match="info, warning, error"):
        Severity.parse("fatal")
    with pytest.raises(UsageError, match="headers, sampled, full"):
        Depth.parse("deep")


def test_a_place_is_said_from_outside_in() -> None:
    """File, tensor and field, as far as they are known."""
    assert str(Where(path="a.bin", tensor="w")) == "a.bin: w"
    assert str(Where(field="revision")) == "revision"


@pytest.mark.parametrize("value", [-1, 1.5, True, "many", None], ids=repr)
def test_a_limit_is_a_whole_number_from_zero_on(value: Any) -> None:
    """A limit that bounds nothing, or everything, is refused by its name."""
    with pytest.raises(UsageError, match="files"):
        Limits(files=value)
