"""What candle makes of weight files: what it sees, drops, fails on, and which bytes it reads."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from embaudit import Checkpoint, open_checkpoint
from embaudit.loaders.candle_reading import (
    NEWEST,
    CandleReader,
    Offsets,
    byte_read,
    read_pickle,
    read_safetensors,
    read_with_candle,
)
from embaudit.model.checkpoint import CheckpointFormat, Oddity, PickleGlobal, PickleSummary, ShardIndex
from embaudit.model.dtypes import DType
from embaudit.testing.facts import make_checkpoint, make_tensor

BYTES = attrs.evolve(NEWEST, offsets=Offsets.BYTES, long_integers=False, newer_safetensors=False)
OLDEST = CandleReader(
    offsets=Offsets.REFUSED,
    parameters=False,
    subclasses=False,
    column_order=False,
    any_stride_of_one=False,
    long_integers=False,
    int64_storages=False,
    newer_safetensors=False,
)
READERS = {"oldest": OLDEST, "bytes": BYTES, "newest": NEWEST}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Checkpoint]:
    """Saves a value with torch and reads the file's header."""

    def save(value: object, **how: Any) -> Checkpoint:
        path = tmp_path / "pytorch_model.bin"
        torch.save(value, path, **how)
        return open_checkpoint(path)

    return save


def two() -> dict[str, Tensor]:
    """Two small tensors in storages of their own."""
    return {"a": torch.arange(6.0).view(2, 3), "b": torch.arange(4.0)}


def with_attribute() -> dict[str, Tensor]:
    """A tensor that torch saves with `_rebuild_from_type_v2`, because it has an attribute."""
    tensor = torch.zeros(3)
    tensor.note = "kept"  # type: ignore[attr-defined]  # what this is about
    return {"a": tensor}


def with_state() -> dict[str, Tensor]:
    """A parameter that torch saves with `_rebuild_parameter_with_state`."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.note = "kept"  # type: ignore[attr-defined]  # what this is about
    return {"a": parameter}


REFUSED = [
    pytest.param({"_use_new_zipfile_serialization": False}, "zip files only", id="legacy format"),
    pytest.param({"pickle_protocol": 4}, "protocol 4", id="protocol 4"),
    pytest.param({"pickle_protocol": 5}, "protocol 5", id="protocol 5"),
    pytest.param({"pickle_protocol": 1}, "protocol", id="protocol 1"),
]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize(("how", "reason"), REFUSED)
def test_files_that_no_version_opens(
    how: Mapping[str, Any], reason: str, reader: CandleReader, saved: Callable[..., Checkpoint]
) -> None:
    """Formats before the zip and pickles of other protocols than 2 and 3 are refused by every version."""
    read = read_with_candle(saved(two(), **how), reader)

    assert reason in read.refusal
    assert not read.tensors


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("how", [{}, {"pickle_protocol": 3}], ids=["protocol 2", "protocol 3"])
@pytest.mark.parametrize("container", [dict, OrderedDict])
def test_a_plain_file_is_read_right(
    container: Callable[[Any], Any],
    how: Mapping[str, Any],
    reader: CandleReader,
    saved: Callable[..., Checkpoint],
) -> None:
    """Every version sees all tensors of a flat state dict, and reads them right."""
    read = read_pickle(saved(container(two()), **how), reader)

    assert set(read.tensors) == {"a", "b"}
    fates = (read.refusal, read.failing, read.dropped, read.skipped, read.misread, read.doubts)
    assert not any(fates)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_nested_state_dict_shows_no_tensors(wrapper: str, saved: Callable[..., Checkpoint]) -> None:
    """Of a training checkpoint, candle looks at the top level and sees no tensor."""
    read = read_pickle(saved({wrapper: two(), "epoch": 3}), NEWEST)

    assert not read.refusal
    assert not read.tensors
    assert set(read.dropped) == {f"{wrapper}.a", f"{wrapper}.b"}


def test_entries_below_the_top_level_are_dropped(saved: Callable[..., Checkpoint]) -> None:
    """Beside tensors of the top level, those in containers are left out without a word."""
    checkpoint = saved({**two(), "optimizer": {"state": [torch.zeros(2)]}, "ema": {"a": torch.zeros(2)}})
    read = read_pickle(checkpoint, NEWEST)

    assert set(read.tensors) == {"a", "b"}
    assert set(read.dropped) == {"optimizer.state.0", "ema.a"}


@pytest.mark.parametrize("value", [[torch.zeros(2)], torch.zeros(2)], ids=["list", "bare"])
def test_what_may_be_no_dict_raises_a_doubt(value: object, saved: Callable[..., Checkpoint]) -> None:
    """A list and a tensor alone show candle nothing, and their names may be those of a dict."""
    assert read_pickle(saved(value), NEWEST).doubts


LAYOUTS = [
    pytest.param(lambda: torch.arange(6.0)[2:], {"bytes": "misread", "oldest": "failing"}, id="offset"),
    pytest.param(lambda: torch.zeros(3, 2).t(), {"oldest": "failing"}, id="column order"),
    pytest.param(
        lambda: torch.zeros(9).as_strided((1, 4), (7, 1)), {"oldest": "failing"}, id="stride of a size of 1"
    ),
    pytest.param(
        lambda: torch.arange(12.0)[2:8].view(3, 2).t(),
        {"bytes": "misread", "oldest": "failing"},
        id="column order at an offset",
    ),
    pytest.param(
        lambda: torch.zeros(4, 4)[:, ::2],
        {"oldest": "failing", "bytes": "failing", "newest": "failing"},
        id="gaps",
    ),
    pytest.param(
        lambda: torch.zeros(1).expand(4),
        {"oldest": "failing", "bytes": "failing", "newest": "failing"},
        id="stride of 0",
    ),
    pytest.param(
        lambda: torch.zeros(6, dtype=torch.uint8)[2:], {"oldest": "failing"}, id="bytes at an offset"
    ),
    pytest.param(lambda: torch.zeros(6)[2:2], {"oldest": "failing"}, id="no elements at an offset"),
    pytest.param(lambda: torch.tensor(1.0), {}, id="scalar"),
    pytest.param(lambda: torch.zeros(3, dtype=torch.int64), {"oldest": "skipped"}, id="int64"),
    pytest.param(
        lambda: torch.zeros(3, dtype=torch.int32),
        {"oldest": "skipped", "bytes": "skipped", "newest": "skipped"},
        id="int32",
    ),
    pytest.param(
        lambda: torch.zeros(3, dtype=torch.bool),
        {"oldest": "skipped", "bytes": "skipped", "newest": "skipped"},
        id="bool",
    ),
    pytest.param(
        lambda: torch.zeros(3, dtype=torch.uint16),
        {"oldest": "dropped", "bytes": "dropped", "newest": "dropped"},
        id="uint16",
    ),
    pytest.param(
        lambda: torch.zeros(3, dtype=torch.float8_e4m3fn),
        {"oldest": "dropped", "bytes": "dropped", "newest": "dropped"},
        id="float8",
    ),
    pytest.param(
        lambda: torch.eye(3).to_sparse(),
        {"oldest": "dropped", "bytes": "dropped", "newest": "dropped"},
        id="sparse",
    ),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("make", "fates"), LAYOUTS)
def test_each_layout_has_its_fate(
    make: Callable[[], Tensor],
    fates: Mapping[str, str],
    reader: str,
    saved: Callable[..., Checkpoint],
) -> None:
    """A tensor comes out wrong, fails when asked for, or is left out, as its layout and the version say."""
    read = read_pickle(saved({"odd": make(), "plain": torch.zeros(2)}), READERS[reader])

    fate = fates.get(reader, "")
    for field in ("misread", "failing", "dropped", "skipped"):
        odd = {name for name in getattr(read, field) if name.partition(".")[0] == "odd"}
        assert bool(odd) is (field == fate), field
    assert ("odd" in read.tensors) is (fate in {"", "misread", "failing"})
    assert "plain" in read.tensors
    assert not read.doubts


def test_column_order_is_kept() -> None:
    """Tensors in column order are told, those that are in row order too are not."""
    columns = make_tensor("columns", (2, 3), stride=(1, 2))
    both = make_tensor("both", (1, 3), stride=(1, 1))

    assert read_pickle(make_checkpoint([columns, both, "rows"]), NEWEST).columns == {"columns"}


CALLABLES = [
    pytest.param(lambda: {"a": torch.nn.Parameter(torch.zeros(3))}, {"oldest"}, id="parameter"),
    pytest.param(with_attribute, {"oldest"}, id="tensor with an attribute"),
    pytest.param(with_state, {"oldest", "bytes", "newest"}, id="parameter with an attribute"),
    pytest.param(lambda: Counter(two()), {"oldest", "bytes", "newest"}, id="another dict"),
]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("make", "doubted_by"), CALLABLES)
def test_unknown_functions_raise_a_doubt(
    make: Callable[[], Any], doubted_by: set[str], reader: str, saved: Callable[..., Checkpoint]
) -> None:
    """Where some entries are made by a function that the version does not know, embaudit says so."""
    read = read_pickle(saved(make()), READERS[reader])

    assert bool(read.doubts) is (reader in doubted_by)


DOUBTS = [
    pytest.param(
        {"oddities": (Oddity(file="f", problem="the dict '' sets 1 keys again; the last value counts"),)},
        id="repeated keys",
    ),
    pytest.param(
        {
            "oddities": (
                Oddity(file="f", problem="torch would not read 1 members of the zip: 'x/y_data.pkl'"),
            )
        },
        id="another pickle",
    ),
    pytest.param(
        {
            "oddities": (
                Oddity(file="f", problem="torch would not read 9 members of the zip: 'x/a' and 8 more"),
            )
        },
        id="members that are not named",
    ),
    pytest.param(
        {"pickle": PickleSummary(protocol=2, tensor_only=False, reasons=("the pickle imports os.system",))},
        id="more than tensors",
    ),
]


@pytest.mark.parametrize("fields", DOUBTS)
def test_what_the_header_cannot_decide_raises_a_doubt(fields: Mapping[str, Any]) -> None:
    """Files that candle may read in another way than torch are never said to be read right."""
    assert read_pickle(make_checkpoint(["a"], **fields), NEWEST).doubts


HARMLESS = [
    "torch would not read 1 members of the zip: 'x/extra'",
    "7 bytes follow the end of the pickle in 'x/data.pkl'",
    "tensor 'w' is sparse: its parts are listed instead",
]


@pytest.mark.parametrize("problem", HARMLESS)
def test_oddities_that_candle_does_not_meet_raise_no_doubt(problem: str) -> None:
    """What makes no difference to candle does not make its reading uncertain."""
    checkpoint = make_checkpoint(["a"], oddities=(Oddity(file="f", problem=problem),))

    assert not read_pickle(checkpoint, NEWEST).doubts


def test_only_functions_that_are_called_count() -> None:
    """A name that is imported and never called drops no entry."""
    name = PickleGlobal(module="torch._utils", name="_rebuild_qtensor", position=3)
    summary = PickleSummary(protocol=2, globals=(name,))

    assert not read_pickle(make_checkpoint(["a"], pickle=summary), NEWEST).doubts


LONG = [
    pytest.param({"metadata": {"epoch": 2**31}}, id="a value"),
    pytest.param({"metadata": {"steps": (1, -(2**40))}}, id="a value in a list"),
    pytest.param({"tensors": [make_tensor("a", storage_offset=2**31)]}, id="an offset"),
]


@pytest.mark.parametrize("fields", LONG)
def test_long_integers_are_refused_before_the_opcode_was_known(fields: Mapping[str, Any]) -> None:
    """Integers from 2**31 on are written with LONG1, which candle knows since it reads offsets right."""
    checkpoint = make_checkpoint(**fields)

    assert "138" in read_pickle(checkpoint, BYTES).refusal
    assert not read_pickle(checkpoint, NEWEST).refusal


def test_short_integers_are_not_refused() -> None:
    """The largest integers that BININT holds are read by every version."""
    checkpoint = make_checkpoint(metadata={"a": 2**31 - 1, "b": -(2**31), "c": True, "d": "text"})

    assert not read_pickle(checkpoint, OLDEST).refusal


def test_sizes_from_2_to_the_31_are_skipped() -> None:
    """A size that is no 32-bit integer leaves the entry out, in versions that know its opcode at all."""
    tensor = make_tensor("a", shape=(2**31, 0), stride=(1, 1))

    assert "2**31" in read_pickle(make_checkpoint([tensor]), NEWEST).skipped["a"]


def test_big_endian_bytes_are_taken_for_little_endian() -> None:
    """Tensors of a big-endian file come out wrong though they are read from the right byte."""
    wide = make_tensor("wide", byte_order="big")
    narrow = make_tensor("narrow", dtype=DType.UINT8, byte_order="big")
    read = read_pickle(make_checkpoint([wide, narrow]), NEWEST)

    assert set(read.misread) == {"wide"}
    assert read.misread["wide"].byte_read == read.misread["wide"].byte_to_read


def test_sharded_torch_files_are_not_read() -> None:
    """One torch file is opened, and nothing is known of an index."""
    checkpoint = open_index(CheckpointFormat.TORCH_ZIP)

    assert "index" in read_with_candle(checkpoint, NEWEST).refusal


def test_sharded_safetensors_are_read() -> None:
    """Shards of safetensors are opened together, and one that is missing is an error."""
    checkpoint = open_index(CheckpointFormat.SAFETENSORS)

    assert set(read_with_candle(checkpoint, NEWEST).tensors) == {"a"}
    lacking = attrs.evolve(checkpoint, missing_files=("two",))
    assert "`two`" in read_with_candle(lacking, NEWEST).refusal


def open_index(container: CheckpointFormat) -> Checkpoint:
    """A checkpoint of shards."""
    index = ShardIndex(path="a.index.json", weight_map={"a": "one"})
    return make_checkpoint(["a"], name=index.path, format=container, index=index)


SAFETENSORS = [
    pytest.param(torch.bool, {"bytes": "failing", "newest": "failing"}, id="bool"),
    pytest.param(torch.int16, {"bytes": "failing"}, id="int16"),
    pytest.param(torch.float8_e4m3fn, {"bytes": "failing"}, id="float8"),
    pytest.param(torch.complex64, {"bytes": "refused", "newest": "failing"}, id="complex64"),
    pytest.param(torch.int32, {}, id="int32"),
    pytest.param(torch.uint16, {}, id="uint16"),
    pytest.param(torch.bfloat16, {}, id="bfloat16"),
]


@pytest.mark.parametrize("reader", ["bytes", "newest"])
@pytest.mark.parametrize(("dtype", "fates"), SAFETENSORS)
def test_types_in_safetensors(
    dtype: torch.dtype, fates: Mapping[str, str], reader: str, tmp_path: Path
) -> None:
    """Types that a version cannot read are errors when asked for; types it has no name for close the file."""
    save_file({"a": torch.zeros(2, dtype=dtype)}, tmp_path / "model.safetensors")
    read = read_safetensors(open_checkpoint(tmp_path / "model.safetensors"), READERS[reader])

    assert bool(read.refusal) is (fates.get(reader) == "refused")
    assert ("a" in read.failing) is (fates.get(reader) == "failing")


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=6),
    first=st.integers(0, 7),
    dtype=st.sampled_from([torch.float16, torch.float32, torch.float64, torch.int64]),
)
def test_the_byte_read_follows_from_the_offset(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], first: int, dtype: torch.dtype
) -> None:
    """A misread tensor is read from its storage's first byte plus its offset; the right byte holds it."""
    path = tmp_path_factory.mktemp("flat") / "pytorch_model.bin"
    storage = torch.arange(first + sum(lengths)).to(dtype)
    views = torch.split(storage[first:], lengths)
    torch.save({str(number): view for number, view in enumerate(views)}, path)
    checkpoint = open_checkpoint(path)
    content = path.read_bytes()

    read = read_pickle(checkpoint, BYTES)

    for name, tensor in checkpoint.tensors.items():
        storage_start = tensor.start - tensor.storage_offset * dtype.itemsize
        assert byte_read(tensor, Offsets.ELEMENTS) == tensor.start
        assert (name in read.misread) is (tensor.n_elements > 0 and tensor.storage_offset > 0)
        if name in read.misread:
            key = read.misread[name]
            assert key.byte_read == storage_start + tensor.storage_offset == byte_read(tensor, Offsets.BYTES)
            right = content[key.byte_to_read : key.byte_to_read + tensor.n_bytes]
            assert np.array_equal(np.frombuffer(right, np.uint8), views[int(name)].numpy().view(np.uint8))
