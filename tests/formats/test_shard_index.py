"""Shard indexes and shards taken together, held against what huggingface_hub writes."""

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.safetensors import parse_safetensors
from embaudit.formats.shard_index import join_shards, parse_shard_index
from embaudit.formats.view import view_of
from embaudit.model.checkpoint import (
    Checkpoint,
    CheckpointFormat,
    Oddity,
    PickleGlobal,
    PickleSummary,
    ShardIndex,
)
from embaudit.model.dtypes import DType
from embaudit.model.limits import Limits
from embaudit.model.tensors import TensorInfo

PATH = "model.safetensors.index.json"


def index_of(weight_map: Any, **fields: Any) -> bytes:
    """The bytes of an index."""
    return json.dumps({"weight_map": weight_map, **fields}).encode()


def tensor_of(name: str, file: str, size: int = 1) -> TensorInfo:
    """A vector of bytes."""
    return TensorInfo(
        name=name,
        dtype=DType.UINT8,
        shape=(size,),
        stride=(1,),
        storage_offset=0,
        storage=name,
        file=file,
        start=0,
        stop=size,
    )


def shard_of(file: str, *names: str, **fields: Any) -> Checkpoint:
    """A shard that holds these tensors."""
    tensors = {name: tensor_of(name, file) for name in names}
    values = {"format": CheckpointFormat.TORCH_ZIP, "files": (file,), "tensors": tensors, **fields}
    return Checkpoint(name=file, **values)


def test_reads_what_huggingface_hub_writes(tmp_path: Path) -> None:
    """An index of huggingface_hub and its shards come together as the state dict that was saved."""
    torch = pytest.importorskip("torch")
    hub = pytest.importorskip("huggingface_hub")
    state = {f"layer.{index}.weight": torch.full((index + 1, 64), float(index)) for index in range(9)}
    hub.save_torch_state_dict(state, tmp_path, max_shard_size="3KB")

    index = parse_shard_index((tmp_path / PATH).read_bytes(), PATH)
    files = sorted(set(index.weight_map.values()))
    shards = [parse_safetensors(view_of((tmp_path / file).read_bytes(), file)) for file in files]
    checkpoint = join_shards(index, shards)

    assert len(files) > 2
    assert checkpoint.files == tuple(files)
    assert {name: tensor.shape for name, tensor in checkpoint.tensors.items()} == {
        name: tuple(value.shape) for name, value in state.items()
    }
    assert {name: tensor.file for name, tensor in checkpoint.tensors.items()} == dict(index.weight_map)
    assert index.total_size == checkpoint.n_bytes
    assert (checkpoint.format, dict(checkpoint.metadata)) == (CheckpointFormat.SAFETENSORS, {"format": "pt"})
    assert (checkpoint.oddities, checkpoint.missing_files, checkpoint.pickle) == ((), (), None)


@pytest.mark.parametrize(
    ("path", "shard", "expected"),
    [
        pytest.param(PATH, "a.bin", "a.bin", id="root"),
        pytest.param(f"sub/dir/{PATH}", "a.bin", "sub/dir/a.bin", id="folder of the index"),
        pytest.param(f"sub/{PATH}", "parts/a.bin", "sub/parts/a.bin", id="folder below"),
        pytest.param(PATH, "./a.bin", "a.bin", id="dot"),
        pytest.param(PATH, "..a.bin", "..a.bin", id="dots in a name"),
    ],
)
def test_shards_count_from_the_folder_of_the_index(path: str, shard: str, expected: str) -> None:
    """A shard's path is relative to the index that names it, and is told from the root."""
    index = parse_shard_index(index_of({"x": shard}), path)

    assert dict(index.weight_map) == {"x": expected}
    assert index.path == path


@pytest.mark.parametrize(
    "shard",
    [
        "/etc/passwd",
        "../a.bin",
        "a/../../b.bin",
        "a/..",
        "..",
        "",
        ".",
        "a//b.bin",
        "a/",
        "a\\b.bin",
        "a\x00.bin",
        "https://example.org/a.bin",
        "hf://org/name/a.bin",
        "C:a.bin",
        "file:a.bin",
    ],
    ids=repr,
)
def test_shards_outside_the_folder_are_refused(shard: str) -> None:
    """S11: no index leads out of its own folder."""
    with pytest.raises(FormatError) as caught:
        parse_shard_index(index_of({"x": shard}), f"sub/{PATH}")

    assert caught.value.where == f"sub/{PATH}: weight_map: 'x'"


@given(st.lists(st.sampled_from(["a", "..", ".", "", "\\", "c:", "b.bin"]), max_size=5))
def test_no_shard_path_ever_climbs(parts: list[str]) -> None:
    """Whatever a shard is called, its path lies inside the index's folder or is refused."""
    try:
        index = parse_shard_index(index_of({"x": "/".join(parts)}), f"sub/{PATH}")
    except FormatError:
        return

    resolved = index.weight_map["x"].split("/")
    assert resolved[0] == "sub"
    assert len(resolved) > 1
    assert not {"", ".", ".."} & set(resolved)


@pytest.mark.parametrize(
    ("metadata", "total_size"),
    [
        pytest.param({"total_size": 7}, 7, id="integer"),
        pytest.param({"total_size": 7.0}, 7, id="whole float"),
        pytest.param({"total_size": 7.5}, None, id="broken float"),
        pytest.param({"total_size": True}, None, id="true"),
        pytest.param({"total_size": -1}, None, id="negative"),
        pytest.param({"total_size": "7"}, None, id="string"),
        pytest.param({}, None, id="absent"),
        pytest.param(None, None, id="metadata null"),
    ],
)
def test_total_size_is_taken_if_it_is_a_size(metadata: Any, total_size: int | None) -> None:
    """A total size that is no number of bytes is None, not an error; the metadata keeps what was written."""
    index = parse_shard_index(index_of({"x": "a"}, metadata=metadata), PATH)

    assert index.total_size == total_size
    assert dict(index.metadata) == (metadata or {})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"[]", f"{PATH}: expected an object, found an array", id="array"),
        pytest.param(b"{}", f"{PATH}: weight_map: is missing", id="no weight map"),
        pytest.param(index_of([]), f"{PATH}: weight_map: expected an object", id="weight map is an array"),
        pytest.param(
            index_of({"x": 1}), f"{PATH}: weight_map: 'x': expected a string", id="shard is a number"
        ),
        pytest.param(index_of({}, metadata=[]), f"{PATH}: metadata: expected an object", id="metadata"),
        pytest.param(b'{"weight_map": {"x": "a", "x": "b"}}', "'x' appears twice", id="tensor twice"),
        pytest.param(b"{", f"{PATH}: line 1", id="not json"),
    ],
)
def test_damaged_indexes_are_refused_by_place(data: bytes, message: str) -> None:
    """Each damage is told with the index's path and the field."""
    with pytest.raises(FormatError) as caught:
        parse_shard_index(data, PATH)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        pytest.param(Limits(shards=3), "shards", id="shards"),
        pytest.param(Limits(tensors=7), "tensors", id="tensors"),
        pytest.param(Limits(json_bytes=10), "json_bytes", id="bytes"),
        pytest.param(Limits(json_depth=1), "json_depth", id="depth"),
    ],
)
def test_limits_name_themselves(limits: Limits, limit: str) -> None:
    """An index over a limit is a LimitError of that name; at the limit all is well."""
    data = index_of({f"t{number}": f"{number % 4}.bin" for number in range(8)})

    with pytest.raises(LimitError) as caught:
        parse_shard_index(data, PATH, limits)

    assert (caught.value.limit, caught.value.where.partition(":")[0]) == (limit, PATH)
    assert len(parse_shard_index(data, PATH, Limits(shards=4, tensors=8, json_depth=2)).weight_map) == 8


@pytest.mark.parametrize(
    ("named", "kept"),
    [("a", "a"), ("b", "b"), ("c", "c"), (None, "c")],
    ids=["first", "middle", "last", "not in the index"],
)
def test_a_tensor_in_several_shards_is_the_one_that_the_index_names(named: str | None, kept: str) -> None:
    """Of equal names the index's shard counts, else the last shard; each repetition is told as an oddity."""
    index = ShardIndex(path=PATH, weight_map={"x": named} if named else {})

    checkpoint = join_shards(index, [shard_of("a", "x", "y"), shard_of("b", "x"), shard_of("c", "x")])

    assert checkpoint.tensors["x"].file == kept
    assert [(oddity.file, oddity.problem) for oddity in checkpoint.oddities] == [
        ("b", "holds 1 tensor ('x') that an earlier shard holds too"),
        ("c", "holds 1 tensor ('x') that an earlier shard holds too"),
    ]


def test_shards_of_different_formats_are_refused() -> None:
    """Shards that no one loader reads together are a FormatError that names both."""
    shards = [shard_of("a"), shard_of("b", format=CheckpointFormat.SAFETENSORS)]

    with pytest.raises(FormatError, match="a is torch-zip, but b is safetensors") as caught:
        join_shards(ShardIndex(path=PATH, weight_map={}), shards)

    assert caught.value.where == PATH


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("model.safetensors.index.json", CheckpointFormat.SAFETENSORS),
        ("sub/model.safetensors.index.fp16.json", CheckpointFormat.SAFETENSORS),
        ("pytorch_model.bin.index.json", CheckpointFormat.TORCH_ZIP),
    ],
)
def test_an_index_without_any_shard_has_the_format_of_its_name(path: str, expected: CheckpointFormat) -> None:
    """Where all shards are missing, the checkpoint is empty, names them, and is of the promised format."""
    index = ShardIndex(path=path, weight_map={"x": "a", "y": "b"})

    checkpoint = join_shards(index, [], ["a", "b"])

    assert (checkpoint.format, checkpoint.missing_files, len(checkpoint.tensors)) == (expected, ("a", "b"), 0)
    assert checkpoint.index == index


def test_pickles_and_ties_are_joined_and_the_rest_is_the_first_shards() -> None:
    """Pickle summaries add up with their files named, ties stay per file, metadata is the first's."""

    def named(name: str, position: int, *, called: bool) -> PickleGlobal:
        return PickleGlobal(module="m", name=name, position=position, called=called)

    first = PickleSummary(protocol=2, globals=(named("f", 3, called=False), named("g", 9, called=True)))
    second = PickleSummary(
        protocol=4,
        globals=(named("f", 5, called=True), named("h", 6, called=False)),
        tensor_only=False,
        reasons=("calls m.f",),
    )
    shards = [
        shard_of("a", "x", "y", pickle=first, metadata={"epoch": 1}, state_dict="model"),
        shard_of(
            "b",
            "x",
            "z",
            "w",
            pickle=second,
            metadata={"epoch": 2, "step": 3},
            tied=(frozenset("xzw"), frozenset("xz")),
        ),
    ]
    index = ShardIndex(path=PATH, weight_map={"x": "a", "y": "a", "z": "b", "w": "b"})

    checkpoint = join_shards(index, shards)

    assert checkpoint.pickle == PickleSummary(
        protocol=4,
        globals=(named("f", 3, called=True), named("g", 9, called=True), named("h", 6, called=False)),
        tensor_only=False,
        reasons=("b: calls m.f",),
    )
    assert checkpoint.tied == (frozenset("zw"),)
    assert dict(checkpoint.metadata) == {"epoch": 1, "step": 3}
    assert checkpoint.state_dict == "model"
    assert [oddity.file for oddity in checkpoint.oddities] == ["b", "a", "b"]


def test_oddities_of_shards_are_kept() -> None:
    """What is odd about one shard is odd about the whole."""
    oddity = Oddity(file="a", problem="odd")

    checkpoint = join_shards(
        ShardIndex(path=PATH, weight_map={}), [attrs.evolve(shard_of("a"), oddities=(oddity,))]
    )

    assert checkpoint.oddities == (oddity,)


@given(st.dictionaries(st.text(max_size=5), st.sampled_from(["a.bin", "b.bin", "c.bin"])))
def test_every_tensor_keeps_its_own_shard(weight_map: dict[str, str]) -> None:
    """However the shards alternate, each tensor is mapped to the file that the document names for it."""
    data = json.dumps({"weight_map": weight_map}).encode()

    assert dict(parse_shard_index(data, "model.safetensors.index.json").weight_map) == weight_map
