"""What checksums in the directories of torch's zips tell of values, held against the values themselves."""

import io
from collections.abc import Mapping

import attrs
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.serialization import config

from embaudit.diffing import diff_snapshots
from embaudit.mapping import map_tensors
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.tensor_map import Agreement, Depth
from embaudit.reading import open_checkpoint
from embaudit.sources import MemorySource

SAME = Agreement.IDENTICAL_BY_CHECKSUM
VALUES = {"embeddings.weight": torch.arange(5000.0).reshape(50, 100), "norm.bias": torch.zeros(8)}
MIDDLE = 5000 // 3
"""An element that no sample looks at."""


def packed(state: Mapping[str, torch.Tensor], *, zipped: bool = True) -> bytes:
    """The file that torch writes."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def opened(data: bytes) -> Checkpoint:
    """The checkpoint in `data`."""
    return open_checkpoint(MemorySource({"pytorch_model.bin": data}).snapshot())


def changed(element: int) -> dict[str, torch.Tensor]:
    """`VALUES` with another number in one place of the first tensor."""
    weight = VALUES["embeddings.weight"].clone()
    weight.view(-1)[element] += 1
    return VALUES | {"embeddings.weight": weight}


def verdicts(left: bytes, right: bytes, depth: Depth = Depth.HEADERS) -> dict[str, Agreement]:
    """Left name to verdict; at depth headers without any way to a byte of the values."""
    sides = opened(left), opened(right)
    if depth is Depth.HEADERS:
        sides = attrs.evolve(sides[0], reader=None), attrs.evolve(sides[1], reader=None)
    return {pair.left: pair.values for pair in map_tensors(*sides, depth=depth).pairs}


def test_one_changed_tensor_is_found_without_reading_a_value() -> None:
    """Of a file that was uploaded again, headers tell which tensor changed and that the others did not."""
    found = verdicts(packed(VALUES), packed(changed(MIDDLE)))

    assert found == {"embeddings.weight": Agreement.DIFFERENT, "norm.bias": SAME}


def test_a_change_between_the_blocks_of_a_sample_is_found() -> None:
    """A sample sees the same numbers; the checksums say that some other differs."""
    left, right = packed(VALUES), packed(changed(MIDDLE))
    by_sample = verdicts(packed(VALUES, zipped=False), packed(changed(MIDDLE), zipped=False), Depth.SAMPLED)

    assert by_sample["embeddings.weight"] is Agreement.IDENTICAL_IN_SAMPLE
    assert verdicts(left, right, Depth.SAMPLED) == {
        "embeddings.weight": Agreement.DIFFERENT,
        "norm.bias": Agreement.IDENTICAL,
    }
    assert verdicts(left, left, Depth.SAMPLED)["embeddings.weight"] is SAME


@pytest.mark.parametrize("depth", [Depth.SAMPLED, Depth.FULL])
def test_a_look_at_the_values_tells_more_than_a_checksum(depth: Depth) -> None:
    """A number patched in place keeps the checksum, which nobody but a look at the values sees through."""
    data = packed(VALUES)
    start = opened(data).tensors["embeddings.weight"].start
    patched = data[: start + 3] + b"\x7f" + data[start + 4 :]

    assert verdicts(data, patched)["embeddings.weight"] is SAME
    assert verdicts(data, patched, depth)["embeddings.weight"] is Agreement.DIFFERENT


def _views(of: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"left": of[:4], "right": of[4:]}


BASE, OTHER = torch.arange(8.0), torch.arange(1.0, 9.0)
GAPS = torch.arange(16.0)[::2]
UNDECIDED = {
    "views of one storage that changed": (_views(BASE), _views(OTHER)),
    "elements with gaps between": ({"w": GAPS}, {"w": GAPS + 1}),
    "another layout": ({"w": BASE.view(2, 4)}, {"w": BASE.view(4, 2).T}),
    "another dtype": ({"w": torch.zeros(4)}, {"w": torch.zeros(4, dtype=torch.int32)}),
    "another place in the storage": ({"w": BASE[:4]}, {"w": BASE[4:]}),
    "no element": ({"w": torch.empty(0)}, {"w": torch.empty(0)}),
}


@pytest.mark.parametrize("case", UNDECIDED)
def test_checksums_decide_nothing_else(case: str) -> None:
    """Of tensors that are a part of their storage, or lie otherwise, other checksums prove nothing."""
    left, right = UNDECIDED[case]

    assert set(verdicts(packed(left), packed(right)).values()) == {Agreement.NOT_COMPARED}


def test_a_file_without_checksums_stays_uncompared() -> None:
    """Torch may be told to leave checksums out, and its older format has none."""
    with config.patch("save.compute_crc32", False):
        without = packed(VALUES)

    for left, right in ((without, packed(VALUES)), (packed(VALUES), packed(VALUES, zipped=False))):
        assert set(verdicts(left, right).values()) == {Agreement.NOT_COMPARED}


NUMBERS = st.lists(st.sampled_from([0.0, -0.0, 1.0, float("nan")]), min_size=6, max_size=6)
CUTS = st.sampled_from([slice(None), slice(0, 3), slice(1, None, 2)])


@given(left=NUMBERS, right=NUMBERS, cut=CUTS, column_major=st.booleans())
def test_what_checksums_tell_a_full_comparison_confirms(
    left: list[float], right: list[float], cut: slice, column_major: bool
) -> None:
    """Same by checksum is identical in every bit; different by checksum is not."""
    sides = [torch.tensor(numbers)[cut] for numbers in (left, right)]
    if column_major and cut == slice(None):
        sides = [side.view(2, 3).T for side in sides]
    files = [packed({"w": side}) for side in sides]

    by_checksum, in_full = verdicts(*files)["w"], verdicts(*files, Depth.FULL)["w"]

    if by_checksum is SAME:
        assert in_full is Agreement.IDENTICAL
    if by_checksum is Agreement.DIFFERENT:
        assert in_full is not Agreement.IDENTICAL
    assert by_checksum is not Agreement.NOT_COMPARED or cut != slice(None)


def test_a_diff_at_depth_headers_names_the_tensor_that_changed() -> None:
    """Two commits whose .bin differ in one tensor: the map of the two says which."""
    old = MemorySource({"pytorch_model.bin": packed(VALUES)}).snapshot()
    new = MemorySource({"pytorch_model.bin": packed(changed(MIDDLE))}).snapshot()

    (tensors,) = diff_snapshots(old, new).tensors

    assert [pair.left for pair in tensors.changed] == ["embeddings.weight"]
    assert not tensors.same_model
