"""Reading a snapshot: files, settings and checkpoints, through the sources as they are."""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import safetensors.numpy

from embaudit.errors import FormatError, LimitError, SourceError, TargetError
from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.files import CacheState, FileState, Snapshot
from embaudit.model.frozen import FrozenMapping
from embaudit.model.limits import Limits
from embaudit.model.weights import WEIGHTS_IN_ORDER
from embaudit.reading import (
    SHARD_GROUP,
    checkpoint_names,
    open_checkpoint,
    orphan_shards,
    read_checkpoint,
    read_declaration,
    read_document,
    read_index,
    read_indexes,
    view_file,
)
from embaudit.sources.memory import MemorySource
from embaudit.sources.metered import metered

INDEX = "model.safetensors.index.json"
SNIFFED_BYTES = 16
"""Of each weight file, to tell its format."""
READS_A_FILE = 3
"""Of a safetensors file: its first bytes, the length of its header, its header."""


def weights(*names: str, size: int = 4) -> bytes:
    """A safetensors file whose tensors are vectors of bytes."""
    header = {
        name: {"dtype": "U8", "shape": [size], "data_offsets": [place * size, (place + 1) * size]}
        for place, name in enumerate(names)
    }
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(size * len(names))


def index_of(weight_map: Mapping[str, str]) -> bytes:
    """The bytes of a shard index."""
    return json.dumps({"weight_map": weight_map}).encode()


def snapshot_of(*paths: str, **contents: bytes) -> Snapshot:
    """A snapshot of these files; content is given by path, and is otherwise a small weight file."""
    files = {path: weights("x") for path in paths}
    return MemorySource({**files, **contents}).snapshot()


def with_file(snapshot: Snapshot, path: str, **fields: Any) -> Snapshot:
    """The snapshot with one entry changed."""
    entry = attrs.evolve(snapshot.files[path], **fields)
    return attrs.evolve(snapshot, files={**snapshot.files, path: entry})


def test_a_view_reads_spans_of_its_file() -> None:
    """A view has the file's path and size, and reads the span asked for and no other byte."""
    snapshot, meter = metered(snapshot_of(**{"sub/a.bin": bytes(range(100))}))

    view = view_file(snapshot, "sub/a.bin")

    assert (view.path, view.size, meter.bytes_read) == ("sub/a.bin", 100, 0)
    assert view.read(10, 14) == bytes(range(10, 14))
    assert meter.bytes_read == 4


@pytest.mark.parametrize(
    "state", [state for state in FileState if state is not FileState.PRESENT], ids=lambda state: state.value
)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(state: FileState) -> None:
    """Each state but present is a SourceError with the path, the state's detail, and a remedy."""
    snapshot = with_file(snapshot_of("a.bin"), "a.bin", state=state, detail="-> elsewhere")

    with pytest.raises(SourceError, match=r"'a\.bin' (is|could).*; .* \(-> elsewhere\)"):
        view_file(snapshot, "a.bin")


def test_a_file_that_is_not_listed_is_a_target_error() -> None:
    """The caller named what is not there; if the cache knows that it was left out, the remedy is said."""
    snapshot = snapshot_of("a.bin")
    left_out = snapshot_of("b.bin").files["b.bin"]
    cached = attrs.evolve(snapshot, repo_id="org/name", cache=CacheState(absent=(left_out,)))

    with pytest.raises(TargetError, match=r"'b\.bin' is not among the 1 files"):
        view_file(snapshot, "b.bin")
    with pytest.raises(TargetError, match=r"not downloaded; fetch it with `hf download org/name b\.bin`"):
        view_file(cached, "b.bin")


@pytest.mark.parametrize(
    ("snapshot", "problem"),
    [
        pytest.param(attrs.evolve(snapshot_of("a.bin"), reader=None), "out of a report", id="no reader"),
        pytest.param(with_file(snapshot_of("a.bin"), "a.bin", size=None), "size of 'a.bin'", id="no size"),
    ],
)
def test_a_snapshot_without_bytes_is_a_source_error(snapshot: Snapshot, problem: str) -> None:
    """A listing alone is not enough to read, and says so."""
    with pytest.raises(SourceError, match=problem):
        view_file(snapshot, "a.bin")


def test_documents_are_read_whole_and_once() -> None:
    """A document costs one read of its own bytes."""
    data = b'{"a": [1, 2]}'
    snapshot, meter = metered(snapshot_of(**{"a.json": data}))

    assert read_document(snapshot, "a.json") == FrozenMapping({"a": (1, 2)})
    assert (meter.requests, meter.bytes_read) == (1, len(data))


def test_a_document_over_the_limit_is_not_read() -> None:
    """Size is checked against the listing, before a byte is read."""
    snapshot, meter = metered(snapshot_of(**{"a.json": b"{}" * 10}))

    with pytest.raises(LimitError, match="20 bytes, json_bytes allows 19") as caught:
        read_document(snapshot, "a.json", Limits(json_bytes=19))

    assert (caught.value.where, caught.value.limit, meter.requests) == ("a.json", "json_bytes", 0)


def test_a_faulty_document_is_named() -> None:
    """The error of a document begins with its path, said once."""
    with pytest.raises(FormatError) as caught:
        read_document(snapshot_of(**{"sub/a.json": b"{"}), "sub/a.json")

    assert str(caught.value).startswith("sub/a.json: line 1 column 2 (byte 1): is not JSON")


def test_a_declaration_is_the_settings_of_the_repository() -> None:
    """Settings of the root and of every module are read, other JSON is not; faults are listed, not raised."""
    modules = [{"path": "", "type": "t"}, {"path": "head", "type": "p"}]
    snapshot = snapshot_of(
        **{
            "config.json": b'{"model_type": "bert"}',
            "modules.json": json.dumps(modules).encode(),
            "head/config.json": b'{"a": 1, "a": 2}',
            "other/config.json": b"{}",
            "tokenizer.json": b"{}",
            "tokenizer_config.json": b"{not json",
            "1_Pooling/config.json": b"{}",
            "adapter_config.json": b" " * 300,
        }
    )
    snapshot = with_file(snapshot, "1_Pooling/config.json", state=FileState.BROKEN_LINK)

    declaration = read_declaration(snapshot, Limits(settings_bytes=299))

    assert set(declaration.documents) == {"config.json", "modules.json", "head/config.json"}
    assert declaration.model_type == "bert"
    assert declaration.documents["head/config.json"] == {"a": 2}
    problems = {document.path: document.problem for document in declaration.bad}
    assert set(problems) == {
        "head/config.json",
        "tokenizer_config.json",
        "1_Pooling/config.json",
        "adapter_config.json",
    }
    assert "repeats 1 key ('a')" in problems["head/config.json"]
    assert "line 1 column 2" in problems["tokenizer_config.json"]
    assert "symbolic link to nothing" in problems["1_Pooling/config.json"]
    assert "settings_bytes allows 299" in problems["adapter_config.json"]


def test_a_document_with_infinity_can_be_read() -> None:
    """Python's json writes infinities, so that a document with one is read, with its text as the value."""
    snapshot = snapshot_of(**{"config.json": b'{"time_step_limit": [0.0, Infinity]}'})

    assert read_document(snapshot, "config.json") == {"time_step_limit": (0.0, "Infinity")}


@pytest.mark.parametrize(
    ("path", "data", "problems"),
    [
        pytest.param("config.json", b'{"a": 1}', [], id="strict"),
        pytest.param("config.json", b'{"a": 1, "a": 2}', [(True, "repeats 1 key ('a')")], id="repeated key"),
        pytest.param("config.json", b'{"a": -Infinity}', [(True, "1 number ('-Infinity')")], id="infinity"),
        pytest.param(
            "config.json", b'{"a": 1, "a": NaN}', [(True, "repeats 1 key"), (True, "('NaN')")], id="both"
        ),
        pytest.param("config.json", b"[NaN]", [(False, "expected an object, found an array")], id="array"),
        pytest.param("modules.json", b"{}", [(False, "expected an array, found an object")], id="modules"),
        pytest.param(
            "modules.json", b'["a"]', [(False, "[0]: expected an object, found a string")], id="text"
        ),
    ],
)
def test_a_document_that_parses_is_kept_whatever_is_wrong(
    path: str, data: bytes, problems: Sequence[tuple[bool, str]]
) -> None:
    """What lenient readers take is bad but usable, what has the wrong type is not usable; both are kept."""
    declaration = read_declaration(snapshot_of(**{path: data}))

    assert list(declaration.documents) == [path]
    assert [(bad.path, bad.usable) for bad in declaration.bad] == [(path, usable) for usable, _ in problems]
    assert all(text in bad.problem for bad, (_, text) in zip(declaration.bad, problems, strict=True))


def test_a_document_that_breaks_off_is_bad_once() -> None:
    """A repeated key or a NaN before a fault of syntax does not make the file usable."""
    declaration = read_declaration(snapshot_of(**{"config.json": b'{"a": {"b": 1, "b": NaN}, x'}))

    assert (len(declaration.documents), [bad.usable for bad in declaration.bad]) == (0, [False])


def test_an_empty_repository_declares_nothing() -> None:
    """Without settings the declaration is empty, and nothing is bad."""
    declaration = read_declaration(snapshot_of("model.safetensors"))

    assert (len(declaration.documents), declaration.bad) == (0, ())


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, [], id="no weights"),
        pytest.param(
            dict.fromkeys(
                [
                    "pytorch_model.bin",
                    "other.bin",
                    "z.safetensors",
                    "model.safetensors",
                    "2_Dense/pytorch_model.bin",
                    "2_Dense/model.safetensors",
                    "0_Transformer/model.safetensors",
                    "adapter.pt",
                ]
            ),
            [
                "model.safetensors",
                "z.safetensors",
                "pytorch_model.bin",
                "adapter.pt",
                "other.bin",
                "0_Transformer/model.safetensors",
                "2_Dense/model.safetensors",
                "2_Dense/pytorch_model.bin",
            ],
            id="root first, safetensors first",
        ),
        pytest.param(
            dict.fromkeys(
                [
                    "optimizer.pt",
                    "training_args.bin",
                    "rng_state.pth",
                    "model.onnx",
                    "openvino/openvino_model.bin",
                    "model.gguf",
                    "config.json",
                ]
            ),
            [],
            id="training state and foreign formats",
        ),
        pytest.param(
            {
                "m-00001-of-00002.safetensors": None,
                "m-00002-of-00002.safetensors": None,
                INDEX: {"a": "m-00001-of-00002.safetensors", "b": "m-00002-of-00002.safetensors"},
                "left-00001-of-00001.bin": None,
                "left-00001-of-00001.fp16.bin": None,
            },
            [INDEX],
            id="shards, claimed and orphaned",
        ),
        pytest.param(
            {INDEX: {"a": "part.safetensors", "b": "model.safetensors"}}
            | dict.fromkeys(["part.safetensors", "model.safetensors"]),
            ["model.safetensors", INDEX],
            id="claimed, but opened by name",
        ),
        pytest.param(
            {"sub/model.safetensors.index.fp16.json": {"a": "part.safetensors"}}
            | dict.fromkeys(["part.safetensors", "sub/part.safetensors"]),
            ["part.safetensors", "sub/model.safetensors.index.fp16.json"],
            id="index of a folder, for a variant",
        ),
        pytest.param(
            {"tf_model.h5.index.json": {"a": "part.bin"}, "notes.index.json": {}} | {"part.bin": None},
            ["part.bin"],
            id="indexes of other things",
        ),
    ],
)
def test_checkpoints_are_the_files_that_stand_alone(
    files: dict[str, dict[str, str] | None], expected: list[str]
) -> None:
    """Indexes and unclaimed weight files are checkpoints: the root's first, and safetensors first."""
    contents = {path: index_of(shards) for path, shards in files.items() if shards is not None}
    snapshot = snapshot_of(*(path for path, shards in files.items() if shards is None), **contents)

    assert list(checkpoint_names(snapshot)) == expected


def test_indexes_that_are_read_already_are_not_read_again() -> None:
    """With the indexes at hand the names cost no read, and are the same."""
    snapshot, meter = metered(
        snapshot_of("part.safetensors", "b.bin", **{INDEX: index_of({"a": "part.safetensors"})})
    )
    indexes = read_indexes(snapshot)
    n_requests = meter.requests

    names = checkpoint_names(snapshot, indexes)

    assert names == checkpoint_names(snapshot) == (INDEX, "b.bin")
    assert n_requests == 1
    assert meter.requests == 2


def test_a_broken_index_is_a_checkpoint_that_claims_nothing() -> None:
    """An index that cannot be used is still listed, so that reading it tells why; its shards are orphans."""
    shard = "model-00001-of-00002.safetensors"
    snapshot = snapshot_of(shard, "single.safetensors", **{INDEX: b"{"})

    indexes = read_indexes(snapshot)

    assert indexes == ()
    assert checkpoint_names(snapshot) == (INDEX, "single.safetensors")
    assert orphan_shards(snapshot, indexes) == (shard,)
    with pytest.raises(FormatError, match=INDEX):
        read_checkpoint(snapshot, INDEX)


def test_orphans_are_shards_that_no_index_claims() -> None:
    """A file named like a shard is an orphan unless an index, in whatever folder, names it."""
    claimed = "a/model-00001-of-00002.safetensors"
    orphans = ("a/model-00001-of-00003.safetensors", "model-00001-of-00002.safetensors")
    snapshot = snapshot_of(
        claimed, *orphans, "b.bin", **{f"a/{INDEX}": index_of({"x": claimed.partition("/")[2]})}
    )

    assert orphan_shards(snapshot, read_indexes(snapshot)) == orphans


@pytest.mark.parametrize("name", ["model.safetensors", "sub/dir/model.safetensors"])
def test_a_single_file_costs_its_header(name: str) -> None:
    """Of one weight file no byte of a tensor is read, and the checkpoint keeps the way to its values."""
    data = weights("x", "y", size=1000)
    snapshot, meter = metered(snapshot_of(**{name: data}))

    checkpoint = read_checkpoint(snapshot, name)

    assert (meter.requests, meter.bytes_read) == (READS_A_FILE, SNIFFED_BYTES + len(data) - 2000)
    assert (checkpoint.name, checkpoint.files) == (name, (name,))
    assert checkpoint.reader is snapshot.reader
    assert checkpoint.reader is not None
    tensor = checkpoint.tensors["y"]
    assert checkpoint.reader.read(tensor.file, tensor.start, tensor.stop) == bytes(1000)


def sharded(n_shards: int, *, missing: int = 0, named: Sequence[str] = ("bias", "weight")) -> Snapshot:
    """Shards with two tensors each, of which the index names some; the last few shards are not there."""
    names = [f"sub/m-{number:05}-of-{n_shards:05}.safetensors" for number in range(n_shards)]
    weight_map = {f"t{number}.{part}": name[4:] for number, name in enumerate(names) for part in named}
    present = names[: n_shards - missing]
    shards = {name: weights(f"t{i}.weight", f"t{i}.bias") for i, name in enumerate(present)}
    return snapshot_of(**{f"sub/{INDEX}": index_of(weight_map), **shards})


@pytest.mark.parametrize("n_shards", [1, 3, SHARD_GROUP + 2])
def test_shards_come_together(n_shards: int) -> None:
    """All shards of an index make one checkpoint, at the cost of the index and of each shard's header."""
    snapshot, meter = metered(sharded(n_shards))

    checkpoint = read_checkpoint(snapshot, f"sub/{INDEX}")
    n_requests = meter.requests

    assert n_requests == 1 + READS_A_FILE * n_shards
    assert checkpoint.index == read_index(snapshot, f"sub/{INDEX}")
    assert checkpoint.format is CheckpointFormat.SAFETENSORS
    assert (checkpoint.name, checkpoint.missing_files) == (f"sub/{INDEX}", ())
    assert len(checkpoint.files) == n_shards
    assert list(checkpoint.files) == sorted(path for path in snapshot.files if path.endswith("safetensors"))
    assert {name: tensor.file for name, tensor in checkpoint.tensors.items()} == dict(
        checkpoint.index.weight_map
    )
    assert checkpoint.reader is snapshot.reader


def test_missing_shards_are_named() -> None:
    """Shards that are not there are listed, and the rest is read."""
    snapshot = sharded(5, missing=2)

    checkpoint = read_checkpoint(snapshot, f"sub/{INDEX}")

    assert checkpoint.missing_files == (
        "sub/m-00003-of-00005.safetensors",
        "sub/m-00004-of-00005.safetensors",
    )
    assert len(checkpoint.tensors) == 6


def test_the_shards_together_keep_to_the_limit() -> None:
    """Shards that are each within the limit of tensors are refused where together they are not."""
    bound = SHARD_GROUP * 3
    snapshot, meter = metered(sharded(bound, named=("bias",)))

    with pytest.raises(LimitError, match=f"the limit is {bound}") as caught:
        read_checkpoint(snapshot, f"sub/{INDEX}", Limits(tensors=bound))

    assert (caught.value.limit, caught.value.where) == ("tensors", f"sub/{INDEX}")
    assert meter.requests == 1 + READS_A_FILE * SHARD_GROUP * 2


def test_shards_of_torch_come_together(tmp_path: Path) -> None:
    """Shards that torch.save wrote make one checkpoint, with what their pickles import."""
    torch = pytest.importorskip("torch")
    shards = {"a.bin": {"x": torch.ones(2, 3)}, "b.bin": {"y": torch.zeros(4)}}
    for file, state in shards.items():
        torch.save(state, tmp_path / file)
    index = tmp_path / "pytorch_model.bin.index.json"
    index.write_bytes(index_of({"x": "a.bin", "y": "b.bin"}))

    checkpoint = open_checkpoint(index)

    assert (checkpoint.format, checkpoint.files) == (CheckpointFormat.TORCH_ZIP, ("a.bin", "b.bin"))
    assert {name: tensor.shape for name, tensor in checkpoint.tensors.items()} == {"x": (2, 3), "y": (4,)}
    assert checkpoint.pickle is not None
    assert checkpoint.pickle.tensor_only
    names = [str(imported) for imported in checkpoint.pickle.globals]
    assert len(names) == len(set(names))
    assert "torch._utils._rebuild_tensor_v2" in names


def test_shards_of_two_formats_are_refused(tmp_path: Path) -> None:
    """The format of a shard is that of its bytes, whatever its name; two formats make no checkpoint."""
    torch = pytest.importorskip("torch")
    torch.save({"x": torch.ones(1)}, tmp_path / "a.safetensors")
    write(
        tmp_path,
        {INDEX: index_of({"x": "a.safetensors", "y": "b.safetensors"}), "b.safetensors": weights("y")},
    )

    with pytest.raises(FormatError, match=r"a\.safetensors is torch-zip, but b\.safetensors is safetensors"):
        open_checkpoint(tmp_path / INDEX)


@pytest.mark.parametrize("damage", ["truncated", "pointer"])
def test_a_damaged_shard_is_named(damage: str) -> None:
    """A shard that cannot be read or parsed fails the checkpoint, with the shard's path said once."""
    snapshot = sharded(3)
    path = "sub/m-00001-of-00003.safetensors"
    size = snapshot.files[path].size or 0
    change = {"size": size - 1} if damage == "truncated" else {"state": FileState.POINTER}

    with pytest.raises((FormatError, SourceError)) as caught:
        read_checkpoint(with_file(snapshot, path, **change), f"sub/{INDEX}")

    assert str(caught.value).count(path) == 1


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files on disk."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


SHARDS = {
    INDEX: index_of({"x": "m-00001-of-00002.safetensors", "y": "m-00002-of-00002.safetensors"}),
    "m-00001-of-00002.safetensors": weights("x"),
    "m-00002-of-00002.safetensors": weights("y"),
}


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "path"])
@pytest.mark.parametrize("name", [INDEX, "m-00001-of-00002.safetensors", "other.bin"])
def test_opens_a_file_on_disk(tmp_path: Path, name: str, *, as_text: bool) -> None:
    """A weight file or an index on disk is opened as it is, with its shards beside it."""
    write(tmp_path, {**SHARDS, "other.bin": weights("z")})
    target = tmp_path / name

    checkpoint = open_checkpoint(str(target) if as_text else target)

    assert checkpoint.name == name
    assert checkpoint.reader is not None
    assert set(checkpoint.tensors) == {INDEX: {"x", "y"}, "other.bin": {"z"}}.get(name, {"x"})


def test_opens_what_safetensors_wrote(tmp_path: Path) -> None:
    """A file of the reference writer is opened with its metadata, and its bytes are reached by span."""
    values = np.arange(5, dtype="int32")
    safetensors.numpy.save_file({"a": values}, tmp_path / "model.safetensors", {"format": "pt"})

    checkpoint = open_checkpoint(tmp_path)

    tensor = checkpoint.tensors["a"]
    assert dict(checkpoint.metadata) == {"format": "pt"}
    assert checkpoint.reader is not None
    assert checkpoint.reader.read(tensor.file, tensor.start, tensor.stop) == values.tobytes()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param([*WEIGHTS_IN_ORDER, "a.safetensors"], WEIGHTS_IN_ORDER[0], id="all"),
        pytest.param(
            [*WEIGHTS_IN_ORDER[1:], "a.safetensors"], WEIGHTS_IN_ORDER[1], id="no single safetensors"
        ),
        pytest.param([*WEIGHTS_IN_ORDER[2:], "a.safetensors"], WEIGHTS_IN_ORDER[2], id="no safetensors"),
        pytest.param([*WEIGHTS_IN_ORDER[3:], "a.safetensors"], WEIGHTS_IN_ORDER[3], id="index of bin"),
        pytest.param(["a.bin", "sub/model.safetensors"], "a.bin", id="only one in the root"),
        pytest.param(["sub/model.safetensors"], "sub/model.safetensors", id="only one at all"),
    ],
)
def test_without_a_name_the_checkpoint_is_the_one_that_loaders_take(files: list[str], expected: str) -> None:
    """The first of the loaders' order is opened, else the only one in the root, else the only one."""
    contents = {path: index_of({}) for path in files if path.endswith("json")}
    snapshot = snapshot_of(*(path for path in files if not path.endswith("json")), **contents)

    assert open_checkpoint(snapshot).name == expected


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        pytest.param([], "no weight file is among the 0 files", id="none"),
        pytest.param(["a.bin", "b.bin"], r"2 checkpoints \('a\.bin', 'b\.bin'\)", id="two in the root"),
        pytest.param(["a/model.safetensors", "b/model.safetensors"], "2 checkpoints", id="two folders"),
    ],
)
def test_without_a_name_several_are_an_error_that_lists_them(files: list[str], problem: str) -> None:
    """Where nothing says which checkpoint is meant, none is picked."""
    with pytest.raises(TargetError, match=problem):
        open_checkpoint(snapshot_of(*files))


def test_a_name_picks_a_checkpoint() -> None:
    """Any weight file of a snapshot is opened by its path, and only by that."""
    snapshot = snapshot_of("model.safetensors", **{"2_Dense/model.safetensors": weights("linear.weight")})

    assert set(open_checkpoint(snapshot, "2_Dense/model.safetensors").tensors) == {"linear.weight"}
    with pytest.raises(TargetError, match="'2_Dense' is not among"):
        open_checkpoint(snapshot, "2_Dense")


def test_a_checkpoint_passes_through() -> None:
    """What is open already is given back, and takes no name or revision."""
    checkpoint = open_checkpoint(snapshot_of("model.safetensors"))

    assert open_checkpoint(checkpoint) is checkpoint
    with pytest.raises(TargetError, match="one file already"):
        open_checkpoint(checkpoint, "model.safetensors")
    with pytest.raises(TargetError, match="one file already"):
        open_checkpoint(checkpoint, revision="main")


@pytest.mark.parametrize(
    "target",
    ["", "a b", "./nowhere", "~nobody-here/x", "/" + "x" * 5000, "./a\0b", "\udcff/x", "./\ud800"],
    ids=repr,
)
def test_targets_that_name_nothing_are_target_errors(target: str) -> None:
    """Whatever the text, a target that is not understood or not there is a TargetError."""
    with pytest.raises(TargetError):
        open_checkpoint(target)


def test_a_bare_name_of_a_weight_file_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its folder `model.safetensors` needs no `./`; a folder does, and so does a name not there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(weights("a"))
    (tmp_path / "folder").mkdir()

    assert set(open_checkpoint("model.safetensors").tensors) == {"a"}
    with pytest.raises(TargetError):
        open_checkpoint("folder")
    with pytest.raises(TargetError):
        open_checkpoint("other.safetensors")
