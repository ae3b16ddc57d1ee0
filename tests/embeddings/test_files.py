"""Files of vectors: every format gives the numbers that were written, and a damaged file says where."""

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from embaudit.embeddings import compare_embeddings, documents, files
from embaudit.embeddings.files import read_vectors
from embaudit.errors import FormatError, LimitError, TargetError, UsageError
from embaudit.model.comparison import Relation
from embaudit.model.limits import DEFAULT_LIMITS, Limits

ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]], dtype=np.float32)
ANSWER = {
    "object": "list",
    "data": [{"index": 1, "embedding": ROWS[1].tolist()}, {"index": 0, "embedding": ROWS[0].tolist()}],
}


def npy(rows: np.ndarray) -> bytes:
    """A `.npy` of an array, pickles allowed."""
    stream = BytesIO()
    np.save(stream, rows)
    return stream.getvalue()


def npz(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A `.npz` of files."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """A `.npy` whose header claims a shape that its data does not have."""
    stream = BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue() + b"\0" * 24


def lines(*values: object) -> bytes:
    """JSON values, one a line."""
    return "".join(json.dumps(value) + "\n" for value in values).encode()


GOOD: Mapping[str, Callable[[Path], object]] = {
    "a.npy": lambda path: np.save(path, ROWS),
    "columns.npy": lambda path: np.save(path, np.asfortranarray(ROWS)),
    "big-endian.npy": lambda path: np.save(path, ROWS.astype(">f8")),
    "a.npz": lambda path: np.savez(path, ROWS),
    "packed.NPZ": lambda path: path.write_bytes(npz(("x.npy", npy(np.asfortranarray(ROWS))))),
    "a.safetensors": lambda path: save_file({"vectors": ROWS}, path),
    "half.safetensors": lambda path: save_file({"vectors": ROWS.astype(np.float16)}, path),
    "codes.safetensors": lambda path: save_torch({"v": torch.from_numpy(ROWS).bfloat16()}, path),
    "a.json": lambda path: path.write_text(json.dumps(ROWS.tolist()), encoding="utf-8"),
    "answer.json": lambda path: path.write_text(json.dumps(ANSWER), encoding="utf-8"),
    "a.jsonl": lambda path: path.write_bytes(lines(*ROWS.tolist()) + b"\n"),
    "objects.jsonl": lambda path: path.write_bytes(lines(*({"embedding": row} for row in ROWS.tolist()))),
}


@pytest.mark.parametrize("name", GOOD)
def test_every_format_gives_the_numbers_that_were_written(name: str, tmp_path: Path) -> None:
    """What a file holds is what was written to it, rows in their order."""
    GOOD[name](tmp_path / name)

    assert np.array_equal(read_vectors(str(tmp_path / name), DEFAULT_LIMITS), ROWS)
    assert compare_embeddings(ROWS, tmp_path / name).relation is Relation.IDENTICAL


def test_large_arrays_are_mapped(tmp_path: Path) -> None:
    """An array of numpy or safetensors is not read into memory."""
    for name in ("a.npy", "a.safetensors"):
        GOOD[name](tmp_path / name)
        assert isinstance(read_vectors(str(tmp_path / name), DEFAULT_LIMITS), np.memmap)


class _Trap:
    """Unpickled, it raises something that no reader catches."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return exec, ("raise SystemExit('unpickled')",)


BAD: Mapping[str, tuple[str, bytes, str]] = {
    "no npy": ("a.npy", b"hello world, this is text", "is no .npy file"),
    "empty npy": ("a.npy", b"", "is no .npy file"),
    "a pickle": ("a.npy", pickle.dumps(_Trap()), "is no .npy file"),
    "objects": ("a.npy", npy(np.array([[_Trap()]])), "nothing is unpickled"),
    "version 3": ("a.npy", npy(ROWS).replace(b"NUMPY\x01", b"NUMPY\x03"), "is of version"),
    "structured": ("a.npy", npy(np.zeros(1, dtype=[("x", "f4")])), "not real numbers"),
    "more claimed than there": ("a.npy", claiming((10**9, 10**9)), "announces 4000000000000000000 bytes"),
    "no array": ("a.npy", npy(np.empty((0, 3))), "is empty"),
    "nan in a file": ("a.npy", npy(np.array([[1.0, np.nan]])), "row 0, column 1 is nan"),
    "no npz": ("a.npz", b"PK", "is no readable .npz"),
    "two arrays": ("a.npz", npz(("x.npy", npy(ROWS)), ("y.npy", npy(ROWS))), "2 arrays"),
    "nothing in it": ("a.npz", npz(), "it must be one"),
    "objects in npz": ("a.npz", npz(("x.npy", npy(np.array([[_Trap()]])))), "x.npy: holds python objects"),
    "claims in npz": ("a.npz", npz(("x.npy", claiming((10**6, 10**6)))), "announces"),
    "damaged member": (
        "a.npz",
        npz(("x.npy", npy(ROWS)), compression=0).replace(b"\0\0\x80?", b"\0\0\x80@"),
        "CRC",
    ),
    "no safetensors": ("a.safetensors", b"\0" * 20, "header"),
    "no json": ("a.json", b"[[1, 2], [3", "is not JSON"),
    "json of text": ("a.json", b'"hello"', "expected an array"),
    "json of nothing": ("a.json", b"[]", "is empty"),
    "json of objects": ("a.json", b'[{"a": 1}]', "number 0: expected a number, found an object"),
    "json with nan": ("a.json", b"[[1, NaN]]", "NaN is not a number"),
    "json with a text": (
        "a.json",
        b'[[1, 2], [1, "2"]]',
        "row 1: number 1: expected a number, found a string",
    ),
    "ragged json": ("a.json", b"[[1, 2], [3]]", "row 1: has 1 numbers"),
    "deep json": ("a.json", b"[" * 100 + b"]" * 100, "deeper than 16"),
    "an index twice": (
        "a.json",
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}]}',
        r"data\[1\]: index: is 0, which",
    ),
    "an index too far": ("a.json", b'{"data": [{"index": 1, "embedding": [1]}]}', "out of range"),
    "no embedding": ("a.json", b'{"data": [{"index": 0}]}', "embedding: is missing"),
    "an error answer": ("a.json", b'{"error": {"message": "no"}}', "data: is missing"),
    "a bad line": ("a.jsonl", lines([1, 2]) + b"\n{}\n", "line 3: embedding: is missing"),
    "ragged lines": ("a.jsonl", lines([1, 2], [1]), "row 1: has 1 numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_file_is_a_format_error_with_its_place(case: str, tmp_path: Path) -> None:
    """No damaged or hostile file gives vectors or anything but a FormatError, which names the file."""
    name, content, message = BAD[case]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(FormatError, match=message) as raised:
        compare_embeddings(ROWS, tmp_path / name)

    assert str(raised.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        pytest.param({}, "it must be one", id="none"),
        pytest.param({"a": ROWS, "b": ROWS}, "2 tensors", id="two"),
        pytest.param({"a": ROWS > 1}, "holds bool", id="flags"),
        pytest.param({"a": np.empty((0, 3), np.float32)}, "is empty", id="no rows"),
    ],
)
def test_safetensors_must_hold_one_matrix(
    tensors: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    """A `.safetensors` file of vectors holds exactly one tensor of real numbers."""
    save_file(tensors, tmp_path / "a.safetensors")

    with pytest.raises(FormatError, match=message):
        compare_embeddings(ROWS, tmp_path / "a.safetensors")


def test_a_file_that_is_not_there_is_told() -> None:
    """A name that is no file is a TargetError, one that no reader is for a UsageError."""
    with pytest.raises(TargetError, match="there is no such file"):
        compare_embeddings(ROWS, "nowhere.npy")
    with pytest.raises(UsageError, match="are read from"):
        compare_embeddings(ROWS, "nowhere.pt")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """A folder with the suffix of a file is told as what it is."""
    (tmp_path / "a.npy").mkdir()

    with pytest.raises(TargetError, match="cannot be read"):
        compare_embeddings(ROWS, tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "limit"),
    [("a.npz", "UNPACKED_BYTES"), ("codes.safetensors", "UNPACKED_BYTES"), ("a.jsonl", "LINE_BYTES")],
)
def test_what_is_unpacked_is_bounded(
    name: str, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file over its limit is not unpacked, and the limit is named."""
    GOOD[name](tmp_path / name)
    monkeypatch.setattr(documents if limit == "LINE_BYTES" else files, limit, 8)

    with pytest.raises(LimitError) as raised:
        compare_embeddings(ROWS, tmp_path / name)

    assert raised.value.limit == limit


def test_a_json_file_is_bounded_by_the_limits(tmp_path: Path) -> None:
    """`json_bytes` is the limit of a JSON file."""
    GOOD["a.json"](tmp_path / "a.json")

    with pytest.raises(LimitError) as raised:
        compare_embeddings(ROWS, tmp_path / "a.json", limits=Limits(json_bytes=10))

    assert raised.value.limit == "json_bytes"
