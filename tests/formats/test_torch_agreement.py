"""Holds the torch readers against torch itself: whatever torch saves is listed as torch loads it."""

import io
import warnings
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.serialization import config

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.state_dicts import state_dict_tensors
from embaudit.formats.torch_globals import DTYPES
from embaudit.formats.view import ByteView, view_of
from embaudit.model.tensors import TensorInfo

CONTAINERS = [
    pytest.param({"legacy": legacy, "protocol": protocol}, id=f"{'legacy' if legacy else 'zip'}-{protocol}")
    for legacy in (False, True)
    for protocol in (2, 3, 4, 5)
]
# torch 2.13 has these as dtypes of a kind that cannot hold values on their own.
_WITHOUT_TENSORS = {"quint4x2", "quint2x4", "qint8", "quint8", "qint32"}


class Marked(torch.Tensor):
    """A tensor subclass."""


class Wrapper(torch.Tensor):
    """A tensor subclass that holds another tensor and has no storage of its own."""

    @staticmethod
    def __new__(cls: type["Wrapper"], inner: torch.Tensor) -> "Wrapper":
        """A wrapper of `inner`, as large as it."""
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Whatever is asked of the wrapper is asked of the tensor inside."""
        inner = [each.inner if isinstance(each, cls) else each for each in args]
        return function(*inner, **(kwargs or {}))


class FromNumpy:
    """What torch writes for a tensor of a device that it knows nothing of: a call with a numpy array."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_device_tensor_from_numpy, (
            np.arange(3.0, dtype=np.float32),
            torch.float32,
            "cpu",
            False,
        )


def _dtypes() -> list[str]:
    names = [key[1] for key in DTYPES if hasattr(torch, key[1]) and key[1] not in _WITHOUT_TENSORS]
    return [name for name in names if not name.startswith(("int", "uint")) or int(name.lstrip("uint")) >= 8]


def _dtypes_in_containers() -> Iterator[Any]:
    for name in _dtypes():
        # Newer dtypes have no storage class: torch writes legacy files of them, and cannot read them.
        typed = getattr(torch, name) in torch.storage._dtype_to_storage_type_map()
        for container in CONTAINERS:
            if typed or not container.values[0]["legacy"]:
                yield pytest.param(name, *container.values, id=f"{name}-{container.id}")


def _of_dtype(name: str) -> torch.Tensor:
    dtype = getattr(torch, name)
    raw = torch.arange(6 * dtype.itemsize, dtype=torch.uint8)
    return (raw % 2).bool() if dtype is torch.bool else raw.view(dtype)


NOTHING = torch.empty(0, dtype=torch.uint8)
"""Memory of no bytes: torch refers to it under as many types as there are tensors in it."""


def _layouts() -> OrderedDict[str, torch.Tensor]:
    flat = torch.arange(120, dtype=torch.float32)
    tied = torch.arange(6.0)
    image = torch.arange(48, dtype=torch.float32).reshape(2, 2, 3, 4)
    subclassed = torch.arange(4.0).as_subclass(Marked)
    subclassed.note = "kept"
    return OrderedDict(
        contiguous=torch.arange(6.0).reshape(2, 3),
        first_view=flat[:40].view(8, 5),
        second_view=flat[40:].view(8, 10),
        overlapping=flat[3:9],
        transposed=torch.arange(6, dtype=torch.int64).reshape(2, 3).T,
        expanded=torch.arange(3.0).expand(4, 3),
        expanded_scalar=torch.tensor(2.0).expand(3, 2),
        every_second=torch.arange(10, dtype=torch.int16)[1::2],
        channels_last=image.to(memory_format=torch.channels_last),
        scalar=torch.tensor(3.5),
        empty=torch.empty(0, 3),
        empty_inside=flat[5:5],
        empty_of_bytes=NOTHING,
        empty_of_integers=NOTHING.view(torch.int32),
        tied=tied,
        tied_again=tied,
        tied_reshaped=tied.view(2, 3),
        parameter=nn.Parameter(torch.arange(2.0)),
        frozen_parameter=nn.Parameter(torch.arange(3.0), requires_grad=False),
        gradient=torch.ones(2, requires_grad=True),
        subclass=subclassed,
        buffer=nn.Buffer(torch.arange(2.0)),
    )


NESTINGS = {
    "flat": (lambda sd: sd, ""),
    "plain dict": (dict, ""),
    "state_dict": (
        lambda sd: {"epoch": 3, "state_dict": sd, "optimizer": {"state": {0: dict(sd)}}},
        "state_dict",
    ),
    "model": (lambda sd: {"model": sd}, "model"),
    "model in checkpoint": (
        lambda sd: {"checkpoint": {"model_state_dict": sd}},
        "checkpoint.model_state_dict",
    ),
    "list": (lambda sd: list(sd.values()), ""),
    "tuple of dicts": (lambda sd: (sd, {"step": torch.tensor(1)}), "0"),
    "dict of dicts": (lambda sd: {"encoder": sd, "bias": torch.ones(1)}, ""),
    "bare tensor": (lambda sd: sd["transposed"], ""),
}


@pytest.mark.parametrize(("name", "container"), list(_dtypes_in_containers()))
def test_every_dtype_is_read_as_torch_reads_it(
    torch_files: Any, name: str, container: dict[str, Any]
) -> None:
    """A tensor of every dtype has the dtype, layout and bytes that torch gives it, in every container."""
    data = torch_files.saved({"a": _of_dtype(name), "b": _of_dtype(name)[1:3]}, **container)

    checkpoint = torch_files.assert_agrees(data)

    assert checkpoint.pickle.tensor_only
    assert checkpoint.oddities == ()


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_layout_is_read_as_torch_reads_it(torch_files: Any, container: dict[str, Any]) -> None:
    """Views, transposed, expanded, empty, scalar and tied tensors and parameters agree with torch."""
    data = torch_files.saved(_layouts(), **container)

    checkpoint = torch_files.assert_agrees(data)

    assert checkpoint.tied == (frozenset({"tied", "tied_again"}),)
    assert checkpoint.oddities == ()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_is_read_as_torch_reads_it(torch_files: Any, nesting: str, legacy: bool) -> None:
    """Nested containers give dotted names that lead to the same tensors, and the state dict is told."""
    wrap, where = NESTINGS[nesting]
    state_dict = _layouts()
    del state_dict["subclass"], state_dict["buffer"]
    data = torch_files.saved(wrap(state_dict), legacy=legacy)

    checkpoint = torch_files.assert_agrees(data, weights_only=True)

    assert checkpoint.state_dict == where
    assert checkpoint.pickle.tensor_only
    if where:
        assert list(state_dict_tensors(checkpoint)) == list(state_dict)
    else:
        assert state_dict_tensors(checkpoint) == checkpoint.tensors


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_any_alignment_is_read(torch_files: Any, alignment: int) -> None:
    """The payloads are found whatever alignment the writer was told."""
    with config.patch("save.storage_alignment", alignment):
        data = torch_files.saved(_layouts())

    torch_files.assert_agrees(data)


def test_a_saved_module_s_state_dict_keeps_its_versions_out(torch_files: Any) -> None:
    """`_metadata`, which modules put on their state dicts, is neither a tensor nor a reason."""
    data = torch_files.saved(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).state_dict())

    checkpoint = torch_files.assert_agrees(data, weights_only=True)

    assert checkpoint.pickle.tensor_only
    assert checkpoint.metadata == {}


def test_quantized_tensors_are_listed_with_their_parts(torch_files: Any) -> None:
    """A quantized tensor keeps its own name; scales and zero points by channel follow it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        by_tensor = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)
        by_channel = torch.quantize_per_channel(
            torch.ones(3, 2), torch.ones(3), torch.zeros(3), 0, torch.qint8
        )
        data = torch_files.saved({"a": by_tensor, "b": by_channel})

    tensors = parse_checkpoint(view_of(data)).tensors

    assert {name: (str(info.dtype), info.shape) for name, info in tensors.items()} == {
        "a": ("quint8", (3,)),
        "b": ("qint8", (3, 2)),
        "b.scales": ("float32", (3,)),
        "b.zero_points": ("float32", (3,)),
    }


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("to_sparse", ["a.indices", "a.values"]),
        ("to_sparse_csr", ["a.crow_indices", "a.col_indices", "a.values"]),
        ("to_sparse_csc", ["a.ccol_indices", "a.row_indices", "a.values"]),
        ("to_sparse_bsr", ["a.crow_indices", "a.col_indices", "a.values"]),
        ("to_sparse_bsc", ["a.ccol_indices", "a.row_indices", "a.values"]),
    ],
)
def test_sparse_tensors_are_listed_by_their_parts(torch_files: Any, layout: str, parts: list[str]) -> None:
    """The parts of a sparse tensor are listed under its name with its values, and that is told."""
    blocks = [(2, 2)] if layout.startswith("to_sparse_bs") else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse = getattr(torch.arange(16.0).reshape(4, 4), layout)(*blocks)
        data = torch_files.saved({"a": sparse})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == parts
    for name, info in checkpoint.tensors.items():
        part = getattr(sparse, name.removeprefix("a."))()
        assert torch.equal(in_file(data, info), part), name
    assert checkpoint.pickle.tensor_only
    assert [odd.problem for odd in checkpoint.oddities] == [
        "tensor 'a' is sparse: its parts are listed instead"
    ]


def test_a_legacy_file_of_a_newer_dtype_is_told(torch_files: Any) -> None:
    """Torch writes untyped storages into legacy files and refuses to read them: listed, with an oddity."""
    data = torch_files.saved({"a": torch.ones(2, dtype=torch.uint16)}, legacy=True)

    checkpoint = parse_checkpoint(view_of(data))

    with pytest.raises(AttributeError, match="dtype"):
        torch_files.loaded(data)
    assert elements_in_span(data, checkpoint.tensors["a"]) == b"\x01\0\x01\0"
    assert "untyped storages" in checkpoint.oddities[0].problem


def in_file(data: bytes, info: TensorInfo) -> torch.Tensor:
    """A listed tensor, made of its span, shape and strides alone."""
    memory = torch.frombuffer(bytearray(data[info.start : info.stop]), dtype=getattr(torch, str(info.dtype)))
    return memory.as_strided(info.shape, info.stride)


def elements_in_span(data: bytes, info: TensorInfo) -> bytes:
    """The bytes of a listed contiguous tensor."""
    return data[info.start : info.stop]


def test_tensors_without_values_are_told_not_listed(torch_files: Any) -> None:
    """A meta tensor has no bytes: it is an oddity, not a tensor."""
    data = torch_files.saved({"a": torch.ones(2, device="meta"), "b": torch.ones(1)})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["b"]
    assert "'a' is a meta tensor" in checkpoint.oddities[0].problem


def test_nested_tensors_are_listed_by_their_parts(torch_files: Any) -> None:
    """The buffer of a nested tensor is listed under its name, with the sizes that divide it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nested = torch.nested.nested_tensor([torch.arange(2.0), torch.arange(3.0)])
    data = torch_files.saved({"a": nested})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["a.buffer", "a.sizes", "a.strides", "a.offsets"]
    assert torch.equal(in_file(data, checkpoint.tensors["a.buffer"]), nested.values())
    assert checkpoint.pickle.tensor_only
    assert [odd.problem for odd in checkpoint.oddities] == [
        "tensor 'a' is nested: its parts are listed instead"
    ]


ATTRIBUTED = {
    "tensor": torch.arange(2.0),
    "parameter": nn.Parameter(torch.arange(2.0)),
    "subclass": torch.arange(2.0).as_subclass(Marked),
}


@pytest.mark.parametrize("kind", ATTRIBUTED)
def test_what_python_hangs_on_a_tensor_follows_its_name(torch_files: Any, kind: str) -> None:
    """Attributes of a tensor, a parameter or an instance of a subclass are listed after it."""
    value = ATTRIBUTED[kind]
    value.scale, value.note = torch.arange(3.0), "kept"
    data = torch_files.saved({"a": value})
    loaded = torch_files.loaded(data)["a"]

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["a", "a.scale"]
    assert torch.equal(in_file(data, checkpoint.tensors["a"]), loaded)
    assert torch.equal(in_file(data, checkpoint.tensors["a.scale"]), loaded.scale)
    assert checkpoint.metadata == {"a.note": "kept"}
    assert checkpoint.pickle.tensor_only is (kind != "subclass")


def test_a_subclass_that_wraps_a_tensor_is_listed_by_what_it_wraps(torch_files: Any) -> None:
    """The wrapper has no storage, which is told; the tensor inside it is listed under its attribute."""
    data = torch_files.saved({"a": Wrapper(torch.arange(3.0))})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["a.inner"]
    inner = torch_files.loaded(data)["a"].inner
    assert torch.equal(in_file(data, checkpoint.tensors["a.inner"]), inner)
    assert "without a storage of its own" in checkpoint.oddities[0].problem
    assert not checkpoint.pickle.tensor_only


def test_a_numpy_array_in_a_tensor_s_place_is_told(torch_files: Any) -> None:
    """The values of other devices' tensors lie in the pickle: loaded by torch, not listed, and told."""
    data = torch_files.saved({"a": FromNumpy(), "b": torch.ones(1)})

    checkpoint = parse_checkpoint(view_of(data))

    assert torch_files.loaded(data)["a"].tolist() == [0, 1, 2]
    assert list(checkpoint.tensors) == ["b"]
    assert "is kept as a numpy array inside the pickle" in checkpoint.oddities[0].problem
    assert any("numpy" in reason for reason in checkpoint.pickle.reasons)


KEYS = {"text": "k", "bytes": b"k", "number": 2.5, "None": None, "tuple": (1, 2), "lone surrogate": "\ud800"}
KEYS_AS_TEXT = ["k", "k#2", "2.5", "None", "<tuple>", "\\ud800"]


def test_every_kind_of_key_becomes_a_part_of_a_name(torch_files: Any) -> None:
    """Keys that are no text are written as text, and no tensor is lost."""
    data = torch_files.saved({key: torch.arange(2.0) + n for n, key in enumerate(KEYS.values())}, protocol=3)
    loaded = torch_files.loaded(data)

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == KEYS_AS_TEXT
    for info, tensor in zip(checkpoint.tensors.values(), loaded.values(), strict=True):
        assert torch.equal(in_file(data, info), tensor)


@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_in_a_set_are_listed_by_their_positions(torch_files: Any, protocol: int) -> None:
    """A set, which is a call in protocol 2 and an opcode in protocol 4, is a container as a list is."""
    data = torch_files.saved({"s": {torch.arange(2.0)}, "n": {7}}, protocol=protocol)

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["s.0"]
    assert checkpoint.metadata == {"n.0": 7}


def _small_file(*, legacy: bool) -> bytes:
    shared = torch.ones(3, dtype=torch.float16)
    state = OrderedDict(
        turned=torch.arange(6.0).reshape(2, 3).T,
        shared=shared,
        tied=shared,
        step=torch.tensor(4),
        view=torch.arange(12.0)[3:9].view(2, 3),
        empty=torch.empty(0, 2),
    )
    # Without padding nearly every byte has a meaning.
    with config.patch("save.storage_alignment", 1):
        buffer = io.BytesIO()
        value = {"state_dict": state, "epoch": 3}
        torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
        return buffer.getvalue()


SMALL_FILES = {"zip": _small_file(legacy=False), "legacy": _small_file(legacy=True)}
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "overwrite", "splice", "drop", "cut"]),
        st.integers(0, 4000),
        st.integers(0, 4000),
        st.integers(1, 16),
    ),
    min_size=1,
    max_size=3,
)


def _edited(data: bytes, edits: list[tuple[str, int, int, int]]) -> bytes:
    """A file after each edit: its kind, where, what with or where from, and how many bytes."""
    damaged = bytearray(data)
    for kind, where, what, n_bytes in edits:
        at = where % len(damaged)
        match kind:
            case "flip":
                damaged[at] ^= 1 << what % 8
            case "overwrite":
                damaged[at] = what % 256
            case "splice":
                damaged[at : at + n_bytes] = data[what % len(data) :][:n_bytes]
            case "drop":
                del damaged[max(1, at) : at + n_bytes]
            case "cut":
                del damaged[max(1, len(damaged) - n_bytes) :]
    return bytes(damaged)


@pytest.mark.parametrize("case", SMALL_FILES)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_a_damaged_file_is_never_read_otherwise_than_torch_reads_it(
    torch_files: Any, case: str, edits: list[tuple[str, int, int, int]]
) -> None:
    """Whatever damaged file both read as tensors only has one meaning: equal names, layouts and bytes."""
    data = _edited(SMALL_FILES[case], edits)

    if _is_of_tensors(data) and _is_loaded(torch_files, data):
        torch_files.assert_agrees(data, weights_only=True)


def _is_of_tensors(data: bytes) -> bool:
    try:
        summary = parse_checkpoint(view_of(data)).pickle
    except (FormatError, LimitError):
        return False
    return summary is not None and summary.tensor_only


def _is_loaded(torch_files: Any, data: bytes) -> bool:
    try:
        torch_files.loaded(data, weights_only=True)
    except Exception:  # noqa: BLE001 - torch fails in any way that python knows
        return False
    return True


def test_a_counter_of_tensors_is_a_dict(torch_files: Any) -> None:
    """A dict that is given its pairs as an argument holds the same names."""
    torch_files.assert_agrees(torch_files.saved(Counter(a=torch.ones(2))), weights_only=True)


FLOODS = {
    "plain values": ({f"k{number}": number for number in range(1500)}, "metadata", 1000),
    "tensors without values": (
        {f"k{number}": torch.ones(1, device="meta") for number in range(30)},
        "oddities",
        20,
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_what_a_file_says_beside_its_tensors_is_bounded(torch_files: Any, flood: str) -> None:
    """Of very many plain values and oddities the first are told; no tensor is left out."""
    values, told, bound = FLOODS[flood]

    checkpoint = parse_checkpoint(view_of(torch_files.saved(values | {"w": torch.ones(1)})))

    assert len(getattr(checkpoint, told)) == bound
    assert list(checkpoint.tensors) == ["w"]


def test_lazy_conjugation_is_told(torch_files: Any) -> None:
    """The bytes of a lazily conjugated tensor are not yet its values; that is an oddity."""
    values = torch.tensor([1 + 2j], dtype=torch.complex64)
    data = torch_files.saved({"a": values.conj(), "b": torch._neg_view(torch.ones(2))})

    checkpoint = parse_checkpoint(view_of(data))

    assert [odd.problem for odd in checkpoint.oddities] == [
        "tensor 'a' is stored before its lazy operation 'conj'",
        "tensor 'b' is stored before its lazy operation 'neg'",
    ]


def test_plain_values_become_metadata(torch_files: Any) -> None:
    """What stands beside the tensors is told as JSON under dotted paths, as far as JSON can say it."""
    value = {
        "epoch": 3,
        "best": float("nan"),
        "args": {"lr": 0.5, "betas": (0.9, 0.999), "name": "x", "flag": True, "none": None},
        "size": torch.Size([2, 3]),
        "raw": b"\xff",
        "kinds": {1, 2},
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "complex": 1j,
        "long": "x" * 5000,
        "w": torch.ones(1),
    }

    checkpoint = torch_files.assert_agrees(torch_files.saved(value), weights_only=True)

    assert checkpoint.pickle.tensor_only
    assert checkpoint.metadata == {
        "epoch": 3,
        "best": "nan",
        "args.lr": 0.5,
        "args.betas": (0.9, 0.999),
        "args.name": "x",
        "args.flag": True,
        "args.none": None,
        "size": (2, 3),
        "kinds.0": 1,
        "kinds.1": 2,
    }


def test_foreign_dicts_are_reasons_and_still_read(torch_files: Any) -> None:
    """A defaultdict is no tensor container to weights_only, but what it holds is listed."""
    value = defaultdict(list, {"a": torch.ones(2)})

    checkpoint = torch_files.assert_agrees(torch_files.saved(value))

    assert not checkpoint.pickle.tensor_only
    assert any("collections.defaultdict" in reason for reason in checkpoint.pickle.reasons)


def test_a_pickled_module_is_more_than_tensors_and_its_tensors_are_listed(torch_files: Any) -> None:
    """A whole module is a program's object: each class is a reason; its tensors are found inside."""
    module = nn.Sequential(nn.Linear(2, 3))
    data = torch_files.saved(module)

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == [
        "_modules.0._parameters.weight",
        "_modules.0._parameters.bias",
    ]
    assert not checkpoint.pickle.tensor_only
    assert any("torch.nn.modules.linear.Linear" in reason for reason in checkpoint.pickle.reasons)


def test_a_torchscript_archive_is_a_program(tmp_path: Path) -> None:
    """TorchScript is told by its program; the parameters inside are listed with their values."""
    path = tmp_path / "traced.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(nn.Linear(2, 3), torch.ones(1, 2)), str(path))

    checkpoint = parse_checkpoint(view_of(path.read_bytes()))

    assert sorted(info.shape for info in checkpoint.tensors.values()) == [(3,), (3, 2)]
    assert "the file is a TorchScript archive: it holds a program" in checkpoint.pickle.reasons


def test_colliding_paths_lose_no_tensor(torch_files: Any) -> None:
    """Two tensors whose dotted paths are spelled alike are both listed, and that is told."""
    value = {"a.b#2": torch.ones(5), "a.b": torch.zeros(1), "a": {"b": torch.ones(2)}}
    value |= {1: torch.ones(3), "1": torch.ones(4)}

    checkpoint = parse_checkpoint(view_of(torch_files.saved(value)))

    shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    assert shapes == {"a.b#2": (5,), "a.b": (1,), "a.b#3": (2,), "1": (3,), "1#2": (4,)}
    assert len(checkpoint.oddities) == 2


def test_files_beyond_4_gib_are_read(tmp_path: Path) -> None:
    """Beyond 4 GiB the directory uses its 64-bit fields, and the spans are still torch's own."""
    path = tmp_path / "large.bin"
    state = {"small": torch.ones(2), "large": torch.empty(2**30 + 1), "last": torch.ones(3)}
    with torch.serialization.skip_data():
        torch.save(state, path)

    with path.open("rb") as file:

        def fetch(start: int, stop: int) -> bytes:
            file.seek(start)
            return file.read(stop - start)

        checkpoint = parse_checkpoint(ByteView("large.bin", path.stat().st_size, fetch))
    reader = torch._C.PyTorchFileReader(str(path))
    expected = {name: reader.get_record_offset(f"data/{i}") for i, name in enumerate(state)}

    assert {name: info.start for name, info in checkpoint.tensors.items()} == expected
    assert checkpoint.oddities == ()
