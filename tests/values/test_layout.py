"""Boxes, grids and byte spans of strided tensors."""

from collections.abc import Callable

import attrs
import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.model.dtypes import DType
from embaudit.model.limits import Limits
from embaudit.values.layout import (
    Grid,
    Runs,
    check_layout,
    check_repetition,
    compact_grid,
    merge_dimensions,
    ravel,
    repeated_bytes,
    row_grid,
    unravel,
)

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=5).map(tuple)


def covered(grid: Grid) -> np.ndarray:
    """How often each element lies in a box."""
    counts = np.zeros(grid.shape, np.int64)
    for number in range(grid.n_boxes):
        box = grid.box(number)
        slices = zip(box.starts, box.sizes, strict=True)
        counts[tuple(slice(start, start + size) for start, size in slices)] += 1
    return counts


@hypothesis.settings(deadline=None)
@given(shape=shapes, most=st.integers(1, 300), data=st.data())
def test_boxes_cover_every_element_once(shape: tuple[int, ...], most: int, data: st.DataObject) -> None:
    """No element is compared twice or left out, and no box holds more than it may, for any strides."""
    strides = data.draw(st.lists(st.tuples(*[st.integers(0, 50)] * len(shape)), min_size=1, max_size=2))

    for grid in (row_grid(shape, most), compact_grid(shape, strides, most)):
        assert (covered(grid) == 1).all()
        assert max(grid.box(number).n_elements for number in range(grid.n_boxes)) <= most


@hypothesis.settings(deadline=None)
@given(shape=shapes, most=st.integers(1, 300))
def test_rows_follow_each_other_in_c_order(shape: tuple[int, ...], most: int) -> None:
    """The boxes of a row grid, one after another, hold positions 0, 1, 2 and so on."""
    grid = row_grid(shape, most)

    boxes = [grid.box(number) for number in range(grid.n_boxes)]
    positions = [grid.position(local, box) for box in boxes for local in range(box.n_elements)]

    assert positions == list(range(int(np.prod(shape))))


@hypothesis.settings(deadline=None)
@given(shape=shapes, data=st.data())
def test_merging_dimensions_keeps_elements_and_order(shape: tuple[int, ...], data: st.DataObject) -> None:
    """A merged shape reads the same elements in the same order, as numpy's strides show."""
    stride = tuple(data.draw(st.permutations(np.array(np.empty(shape, np.int8).strides).tolist())))
    storage = np.arange(sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) + 1)

    merged, (steps,) = merge_dimensions(shape, stride)

    def view(sizes: tuple[int, ...], strides: tuple[int, ...]) -> list[int]:
        in_bytes = [step * storage.itemsize for step in strides]
        values: list[int] = np.lib.stride_tricks.as_strided(storage, sizes, in_bytes).ravel().tolist()
        return values

    assert view(merged, steps) == view(shape, stride)
    assert len(merged) <= max(len(shape), 1)


@given(stop=st.integers(1, 50), step=st.integers(1, 12))
def test_runs_are_the_numbers_in_order(stop: int, step: int) -> None:
    """Runs hold all numbers once, in order, each run but the last of the full length."""
    runs = Runs(stop, step)

    assert [number for run in runs for number in run] == list(range(stop))
    assert [len(run) for run in runs[:-1]] == [step] * (len(runs) - 1)
    assert len(Runs(2**60, 1)) == 2**60


def test_a_contiguous_tensor_becomes_one_dimension() -> None:
    """What lies in C order on both sides is one run, whatever its shape."""
    assert merge_dimensions((2, 1, 3, 4), (12, 99, 4, 1), (12, 12, 4, 1)) == ((24,), ((1,), (1,)))


@hypothesis.settings(deadline=None)
@given(shape=shapes, data=st.data())
def test_positions_and_indices_are_inverse(shape: tuple[int, ...], data: st.DataObject) -> None:
    """`unravel` gives numpy's index of a position, and `ravel` the position of that index."""
    position = data.draw(st.integers(0, int(np.prod(shape)) - 1))

    index = unravel(position, shape)

    assert index == tuple(int(place) for place in np.unravel_index(position, shape))
    assert ravel(index, shape) == position


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"stop": 1000}, id="span-too-long"),
        pytest.param({"start": -1, "stop": 95}, id="negative-start"),
        pytest.param({"stride": (6,)}, id="stride-too-short"),
        pytest.param({"stride": (-6, 1)}, id="negative-stride"),
        pytest.param({"shape": (4, -6)}, id="negative-size"),
        pytest.param({"dtype": DType.FLOAT4_E2M1FN, "stride": (1, 4)}, id="strided-sub-byte"),
        pytest.param({"dtype": DType.FLOAT6_E2M3FN, "shape": (3, 1), "stride": (1, 1)}, id="half-a-byte"),
    ],
)
def test_a_span_that_contradicts_the_shape_is_refused(
    change: dict[str, object], store: Callable[..., tuple[object, object]]
) -> None:
    """A tensor whose bytes cannot be where its header says is a FormatError that names the file."""
    tensor, _ = store(torch.zeros(4, 6))
    bits = DType(str(change.get("dtype", "float32"))).bits

    with pytest.raises(FormatError, match=r"model\.bin"):
        check_layout(attrs.evolve(tensor, **change), 4 if bits == 32 else 3, {4: 2, 6: 4}.get(bits, 1))


def test_repeated_bytes_are_those_beyond_the_file(store: Callable[..., tuple[object, object]]) -> None:
    """A tensor repeats nothing, a second name for it repeats all of it, an expanded one its copies."""
    plain = store(torch.zeros(100))
    expanded = store(torch.zeros(1).expand(1000))

    assert repeated_bytes([plain]) == 0
    assert repeated_bytes([plain, plain]) == 400
    assert repeated_bytes([plain, expanded]) == 3996


def test_repetition_on_all_sides_is_limited(store: Callable[..., tuple[object, object]]) -> None:
    """A few bytes that expand to many on both sides are refused; against real bytes they are harmless."""
    plain, expanded = store(torch.zeros(1000)), store(torch.zeros(1).expand(1000))
    limits = Limits(repeated_bytes=3000)

    check_repetition(limits, [plain], [expanded])
    with pytest.raises(LimitError, match="3996") as raised:
        check_repetition(limits, [expanded], [expanded])

    assert raised.value.limit == "repeated_bytes"
