"""Holds the torch readers against torch itself: whatever torch saves is listed as torch loads it."""

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

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
    from torch.utils.serialization import config

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
    ],
)
def test_sparse_tensors_are_listed_by_their_parts(torch_files: Any, layout: str, parts: list[str]) -> None:
    """The parts of a sparse tensor are listed under its name, and that is told."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = torch_files.saved({"a": getattr(torch.eye(3), layout)()})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == parts
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


def elements_in_span(data: bytes, info: TensorInfo) -> bytes:
    """The bytes of a listed contiguous tensor."""
    return data[info.start : info.stop]


def test_tensors_without_values_are_told_not_listed(torch_files: Any) -> None:
    """A meta tensor has no bytes: it is an oddity, not a tensor."""
    data = torch_files.saved({"a": torch.ones(2, device="meta"), "b": torch.ones(1)})

    checkpoint = parse_checkpoint(view_of(data))

    assert list(checkpoint.tensors) == ["b"]
    assert "'a' is a meta tensor" in checkpoint.oddities[0].problem


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
    value = {"a.b": torch.zeros(1), "a": {"b": torch.ones(2)}, 1: torch.ones(3), "1": torch.ones(4)}

    checkpoint = parse_checkpoint(view_of(torch_files.saved(value)))

    shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    assert shapes == {"a.b": (1,), "a.b#2": (2,), "1": (3,), "1#2": (4,)}
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
