"""Files of vectors: every format gives the numbers that were written, and a damaged file says where."""

import json
import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from embaudit.embeddings import compare_embeddings, documents, files
from embaudit.embeddings.files import read_vectors
from embaudit.embeddings.npy import HEADER_BYTES, read_header
from embaudit.errors import EmbauditError, FormatError, LimitError, TargetError, UsageError
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
    "no npz": ("a.npz", b"PK", "not a zip"),
    "two arrays": ("a.npz", npz(("x.npy", npy(ROWS)), ("y.npy", npy(ROWS))), "2 arrays"),
    "nothing in it": ("a.npz", npz(), "the zip is empty"),
    "objects in npz": ("a.npz", npz(("x.npy", npy(np.array([[_Trap()]])))), "descr: holds python objects"),
    "lzma in npz": ("a.npz", npz(("x.npy", npy(ROWS)), compression=zipfile.ZIP_LZMA), "method 14"),
    "data after a member's end": ("a.npz", npz(("x.npy", npy(ROWS)[:-1])), "announces 24 bytes of data"),
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
    [
        ("a.npz", "UNPACKED_BYTES"),
        ("codes.safetensors", "UNPACKED_BYTES"),
        ("a.jsonl", "LINE_BYTES"),
        ("a.jsonl", "LINES_BYTES"),
        ("a.jsonl", "MOST_NUMBERS"),
        ("a.jsonl", "MOST_ROWS"),
        ("a.json", "MOST_ROWS"),
        ("answer.json", "MOST_ROWS"),
    ],
)
def test_what_is_unpacked_is_bounded(
    name: str, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file over its limit is not unpacked, and the limit is named."""
    GOOD[name](tmp_path / name)
    monkeypatch.setattr(files if limit == "UNPACKED_BYTES" else documents, limit, 1)

    with pytest.raises(LimitError) as raised:
        compare_embeddings(ROWS, tmp_path / name)

    assert raised.value.limit == limit


def test_a_json_file_is_bounded_by_the_limits(tmp_path: Path) -> None:
    """`json_bytes` is the limit of a JSON file."""
    GOOD["a.json"](tmp_path / "a.json")

    with pytest.raises(LimitError) as raised:
        compare_embeddings(ROWS, tmp_path / "a.json", limits=Limits(json_bytes=10))

    assert raised.value.limit == "json_bytes"


def headed(header: str, version: int = 1) -> bytes:
    """A `.npy` with this header and 128 bytes of data."""
    text = header.encode("latin-1")
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + text + np.ones(32, "<f4").tobytes()


def fields(shape: str = "(4, 8)", descr: str = "'<f4'", order: str = "False") -> str:
    """A header as numpy writes it, with these values."""
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}     \n"


HEADERS: Mapping[str, tuple[str, str]] = {
    "negative rows": (fields("(-4, 8)"), "header: shape: is '\\(-4, 8\\)'"),
    "negative numbers": (fields("(4, -8)"), "header: shape"),
    "a flag in the shape": (fields("(True, 8)"), "header: shape"),
    "a huge shape beside a zero": (fields(f"(0, {10**23})"), "header: shape"),
    "no rows of huge ones": (fields(f"(0, {2**63 - 1})"), "header: shape: is empty"),
    "three axes, one zero": (fields(f"(0, {2**63 - 1}, {2**63 - 1})"), "header: shape"),
    "70 axes": (fields(f"({'1, ' * 70})"), "header: shape: is .* must be"),
    "no axes": (fields("()"), "header: shape"),
    "a number as shape": (fields("4"), "header: shape"),
    "texts of no length": (fields(f"({10**20}, 8)", "'|S0'"), "header: shape"),
    "texts": (fields(descr="'|S4'"), "header: descr: is .* not real numbers"),
    "nothing": (fields(descr="'|V0'"), "header: descr"),
    "dates": (fields(descr="'<M8[s]'"), "header: descr"),
    "a structure": (fields(descr="[('a', '<f4')]"), "header: descr"),
    "objects in a structure": (fields(descr="[('a', 'O')]"), "header: descr: holds python objects"),
    "several types": (fields(descr="'<f4,<f4'"), "header: descr"),
    "a number as type": (fields(descr="5"), "header: descr"),
    "float of 3 bytes": (fields(descr="'<f3'"), "header: descr"),
    "no order": (fields(order="None"), "header: fortran_order"),
    "open brackets": ("(" * 9000, "header: is no dictionary"),
    "open brackets inside": ("{" + "(" * 9000 + "}", "header: cannot be read"),
    "signs": ("-" * 9000 + "1", "header: is no dictionary"),
    "a list as key": ("{[]: 1}", "header: cannot be read"),
    "a field twice": (fields()[:-7] + ", 'shape': (4, 8)}", "header: cannot be read"),
    "another field": (fields()[:-7] + "'more': (4, 8)}", "header: has the fields"),
    "a missing field": ("{'descr': '<f4', 'shape': (4, 8)}", "header: has the fields"),
    "no text": ("\xff\x00\n", "header: is no dictionary"),
    "too long": (fields() + " " * HEADER_BYTES, "header: has .* bytes"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_an_odd_header_is_a_format_error_that_names_the_field(case: str, tmp_path: Path) -> None:
    """No header makes numpy, or python's parser, raise something else or warn."""
    header, message = HEADERS[case]
    (tmp_path / "a.npy").write_bytes(headed(header))

    with pytest.raises(FormatError, match=message) as raised:
        read_vectors(str(tmp_path / "a.npy"), DEFAULT_LIMITS)

    assert str(raised.value).startswith(str(tmp_path / "a.npy"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(headed(fields("(4L, 8L)")), id="longs of python 2"),
        pytest.param(headed(fields("(4,8)").replace(" ", "")), id="no spaces"),
        pytest.param(headed(fields(), version=2), id="version 2"),
        pytest.param(headed(fields(descr='"<f4"')), id="double quotes"),
        pytest.param(headed(fields()) + b"more", id="bytes behind"),
    ],
)
def test_unusual_headers_are_read(data: bytes, tmp_path: Path) -> None:
    """What other writers of the format make is read, without a warning."""
    (tmp_path / "a.npy").write_bytes(data)

    assert np.array_equal(read_vectors(str(tmp_path / "a.npy"), DEFAULT_LIMITS), np.ones((4, 8)))


@given(
    st.sampled_from("bhilqBHILQefdg"),
    st.sampled_from("<>="),
    st.booleans(),
    st.lists(st.integers(1, 5), min_size=1, max_size=2),
)
def test_headers_that_numpy_writes_are_read(code: str, order: str, columns: bool, shape: list[int]) -> None:
    """Type, order and shape are those that numpy wrote, for every type of real numbers."""
    rows = np.zeros(shape, np.dtype(code).newbyteorder(order), order="F" if columns else "C")

    header = read_header(BytesIO(npy(rows)))

    assert (header.shape, header.dtype) == (rows.shape, rows.dtype)
    assert header.is_fortran == (columns and rows.ndim > 1 and not rows.flags.c_contiguous)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "packed.NPZ", "a.safetensors", "a.json", "a.jsonl"])
@given(st.data())
@example(None)
def test_no_flipped_byte_is_another_error(
    name: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject | None
) -> None:
    """A file with one byte changed is read, or refused with an error of embaudit."""
    path = tmp_path_factory.mktemp("flipped") / name
    GOOD[name](path)
    whole = path.read_bytes()
    changes = [(at, 0x11) for at in range(len(whole))]
    if data is not None:
        changes = [(data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255)))]

    for at, change in changes:
        path.write_bytes(whole[:at] + bytes((whole[at] ^ change,)) + whole[at + 1 :])
        try:
            compare_embeddings(ROWS, path)
        except EmbauditError as error:
            assert str(path) in str(error) or "expected" in str(error)  # noqa: PT017 - either is right


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".json", ".jsonl"])
def test_a_pipe_is_refused(suffix: str, tmp_path: Path) -> None:
    """What is not a regular file is not opened, not even by way of a link; a link to a file is."""
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"link{suffix}").symlink_to(tmp_path / f"pipe{suffix}")
    (tmp_path / f"loop{suffix}").symlink_to(tmp_path / f"loop{suffix}")
    GOOD[f"a{suffix}"](tmp_path / f"a{suffix}")
    (tmp_path / f"good{suffix}").symlink_to(tmp_path / f"a{suffix}")

    for name in ("pipe", "link"):
        with pytest.raises(TargetError, match="not a regular file"):
            compare_embeddings(ROWS, tmp_path / f"{name}{suffix}")
    with pytest.raises(TargetError, match="cannot be read"):
        compare_embeddings(ROWS, tmp_path / f"loop{suffix}")
    assert compare_embeddings(ROWS, tmp_path / f"good{suffix}").agrees


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.json", b"[" + b"[1,2,3]," * 20_000 + b"[1,2,3]]", id="json"),
        pytest.param("a.jsonl", b"[1,2,3]\n" * 20_000, id="lines"),
        pytest.param("a.jsonl", b"\n" * 100_000 + b"[1,2,3]\n", id="empty lines"),
        pytest.param("a.npz", npz(("x.npy", npy(np.ones((20_000, 3))))), id="npz"),
    ],
)
def test_what_is_unpacked_takes_little_more_than_its_numbers(
    name: str, content: bytes, tmp_path: Path
) -> None:
    """Many short rows take the bytes of their numbers and of the file, and half as much again."""
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        rows = read_vectors(str(tmp_path / name), DEFAULT_LIMITS)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert np.array_equal(np.unique(rows), np.unique(rows[0]))
    assert peak <= 1.5 * (rows.nbytes + len(content)) + 2**19


def test_more_lines_than_are_allowed_are_not_read(tmp_path: Path) -> None:
    """Empty lines count as lines."""
    (tmp_path / "a.jsonl").write_bytes(b"\n" * (documents.MOST_ROWS + 1) + b"[1]\n")

    with pytest.raises(LimitError, match="lines") as raised:
        read_vectors(str(tmp_path / "a.jsonl"), DEFAULT_LIMITS)

    assert raised.value.limit == "MOST_ROWS"


@given(
    st.lists(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3), min_size=1),
    st.sampled_from(["", " ", "\n\t"]),
)
def test_json_read_row_by_row_is_json(rows: list[list[float]], space: str) -> None:
    """The shortcut for arrays of arrays gives what the whole document decoded gives."""
    text = json.dumps(rows).replace("[", f"{space}[{space}").replace(", ", f"{space},{space}") + space

    found = documents.parse_vectors(text.encode(), DEFAULT_LIMITS)

    assert np.array_equal(found, documents.vectors_of(json.loads(text)))
