"""The safetensors format: an 8-byte length, a JSON header of that length, then the tensors' bytes.

Knows the rules of safetensors 0.8.0 and keeps each of them, so that a file is taken here exactly if the
reference reader takes it (https://github.com/huggingface/safetensors/blob/v0.8.0/safetensors/src/tensor.rs,
`SafeTensors::read_metadata` and `Metadata::validate`). Stricter on purpose, because two readers could see two
different files:

- a key twice in one object, tensor names included: the reference takes the last name and ignores the others;
- integers of more than 308 digits, even in fields that the reference ignores;
- a tensor without elements whose sizes no int64 stride can span, which torch cannot hold;
- headers over `Limits.safetensors_header_bytes`, and the other limits.

Reads the 8 bytes and the header, and refuses to know a byte of tensor data.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from embaudit.errors import FormatError, LimitError
from embaudit.formats.documents import decode_json
from embaudit.formats.fields import (
    ARRAY,
    OBJECT,
    TEXT,
    examples,
    expect,
    inside,
    kind_of_value,
    quoted,
    take,
    take_optional,
)
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, Oddity
from embaudit.model.dtypes import DType
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.tensors import TensorInfo, contiguous_stride

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
"""`MAX_HEADER_SIZE` of the reference reader; a header of exactly this size is still read."""
MAX_DEPTH = 127
"""Objects and arrays inside one another that serde_json, the reference's parser, follows."""
METADATA_KEY = "__metadata__"
USUAL_METADATA_CHARACTERS = 64 * 1024
"""Characters of `__metadata__` beyond which it is odd: writers put `{"format": "pt"}` and a few settings."""

DTYPES: Mapping[str, DType] = {
    "BOOL": DType.BOOL,
    # torch has no type of one 4-bit value: `get_tensor` gives float4_e2m1fn_x2 and halves the last size;
    # `get_slice` and `deserialize` give the header's shape, as here. Neither F6 type has a torch reader yet.
    "F4": DType.FLOAT4_E2M1FN,
    "F6_E2M3": DType.FLOAT6_E2M3FN,
    "F6_E3M2": DType.FLOAT6_E3M2FN,
    "U8": DType.UINT8,
    "I8": DType.INT8,
    "F8_E5M2": DType.FLOAT8_E5M2,
    "F8_E4M3": DType.FLOAT8_E4M3FN,
    "F8_E8M0": DType.FLOAT8_E8M0FNU,
    "F8_E4M3FNUZ": DType.FLOAT8_E4M3FNUZ,
    "F8_E5M2FNUZ": DType.FLOAT8_E5M2FNUZ,
    "I16": DType.INT16,
    "U16": DType.UINT16,
    "F16": DType.FLOAT16,
    "BF16": DType.BFLOAT16,
    "I32": DType.INT32,
    "U32": DType.UINT32,
    "F32": DType.FLOAT32,
    "C64": DType.COMPLEX64,
    "F64": DType.FLOAT64,
    "I64": DType.INT64,
    "U64": DType.UINT64,
}
"""Codes of the header to element types; both are exact and complete for 0.8.0."""

_U64_MAX = 2**64 - 1
_I64_MAX = 2**63 - 1
_FIELDS = ("dtype", "shape", "data_offsets")
_N_OFFSETS = 2


def parse_safetensors(view: ByteView, limits: Limits = DEFAULT_LIMITS) -> Checkpoint:
    """The tensor table of a `.safetensors` file, in the order of its header.

    Reads 8 bytes and the header, in two reads.

    Raises:
        FormatError: If the reference reader refuses the file, or one of the module's stricter rules does.
        LimitError: If the header, the number of tensors or a name exceeds its limit.
    """
    with inside(view.path):
        length = _header_length(view, limits)
        header = view.read(LENGTH_BYTES, LENGTH_BYTES + length)
        with inside("header"):
            document = expect(decode_json(header, max_depth=MAX_DEPTH), OBJECT)
            return _checkpoint_of(view, document, LENGTH_BYTES + length, limits)


def _header_length(view: ByteView, limits: Limits) -> int:
    if view.size < LENGTH_BYTES:
        raise FormatError(f"is too small: {view.size} bytes, where the header's length alone takes 8")
    length = int.from_bytes(view.read(0, LENGTH_BYTES), "little")
    if length > MAX_HEADER_BYTES:
        raise FormatError(f"announces a header of {length} bytes; the format allows 100,000,000", "byte 0")
    if length > view.size - LENGTH_BYTES:
        raise FormatError(f"announces a header of {length} bytes, but has only {view.size}", "byte 0")
    allowed = limits.safetensors_header_bytes
    if length > allowed:
        problem = f"the header has {length} bytes, the limit is {allowed}"
        raise LimitError(problem, "byte 0", "safetensors_header_bytes")
    return length


def _checkpoint_of(
    view: ByteView, document: Mapping[str, object], data_start: int, limits: Limits
) -> Checkpoint:
    metadata = _metadata_of(document)
    entries = {name: entry for name, entry in document.items() if name != METADATA_KEY}
    if len(entries) > limits.tensors:
        raise LimitError(f"holds {len(entries)} tensors, the limit is {limits.tensors}", limit="tensors")
    _check_names(entries, limits)
    tensors = {name: _tensor_of(name, entry, view.path, data_start) for name, entry in entries.items()}
    _check_coverage(tensors.values(), data_start, view.size)
    return Checkpoint(
        name=view.path,
        format=CheckpointFormat.SAFETENSORS,
        files=(view.path,),
        tensors=tensors,
        metadata=metadata,
        oddities=tuple(
            Oddity(file=view.path, problem=problem) for problem in _oddities_of(entries, metadata)
        ),
    )


def _metadata_of(document: Mapping[str, object]) -> Mapping[str, str]:
    metadata = take_optional(document, METADATA_KEY, OBJECT) or {}
    with inside(METADATA_KEY):
        return {key: expect(value, TEXT, quoted(key)) for key, value in metadata.items()}


def _check_names(names: Iterable[str], limits: Limits) -> None:
    longest = max((len(name.encode()) for name in names), default=0)
    if longest > limits.name_bytes:
        problem = f"a tensor's name has {longest} bytes, the limit is {limits.name_bytes}"
        raise LimitError(problem, limit="name_bytes")


def _tensor_of(name: str, entry: object, file: str, data_start: int) -> TensorInfo:
    try:
        dtype, shape, (start, stop) = _parse_entry(entry)
        stride = contiguous_stride(shape)
    except FormatError as error:
        raise error.inside(f"tensor {quoted(name)}") from error
    return TensorInfo(
        name=name,
        dtype=dtype,
        shape=shape,
        stride=stride,
        storage_offset=0,
        storage=name,
        file=file,
        start=data_start + start,
        stop=data_start + stop,
    )


def _parse_entry(entry: object) -> tuple[DType, tuple[int, ...], tuple[int, int]]:
    fields = _fields_of(entry)
    dtype = _dtype_of(fields)
    shape = _integers_of(fields, "shape")
    offsets = _integers_of(fields, "data_offsets")
    if len(offsets) != _N_OFFSETS:
        raise FormatError(f"holds {len(offsets)} numbers, not a start and a stop", "data_offsets")
    start, stop = offsets
    n_bytes = _n_bytes(shape, dtype)
    if stop - start != n_bytes:
        problem = f"spans {stop - start} bytes, where the shape and {dtype} take {n_bytes}"
        raise FormatError(problem, "data_offsets")
    return dtype, shape, (start, stop)


def _fields_of(entry: object) -> Mapping[str, object]:
    """The entry's fields by name.

    The reference reader derives its parser, which also takes the three fields as an array in this order; no
    writer writes that, so it is read, and told as an oddity.
    """
    if isinstance(entry, list) and len(entry) == len(_FIELDS):
        return dict(zip(_FIELDS, entry, strict=True))
    return expect(entry, OBJECT)


def _dtype_of(fields: Mapping[str, object]) -> DType:
    code = fields.get("dtype")
    if isinstance(code, dict) and list(code.values()) == [None]:
        # The derived parser's other spelling of an enum: {"F32": null}. Told as an oddity too.
        code = next(iter(code))
    dtype = DTYPES.get(code) if isinstance(code, str) else None
    if dtype is None:
        code = take(fields, "dtype", TEXT)
        raise FormatError(f"{quoted(code)} is none of the format's element types", "dtype")
    return dtype


def _integers_of(fields: Mapping[str, object], key: str) -> tuple[int, ...]:
    values = take(fields, key, ARRAY)
    for value in values:
        if type(value) is not int:
            raise FormatError(f"expected integers, found {kind_of_value(value)}", key)
        if not 0 <= value <= _U64_MAX:
            raise FormatError("an integer is outside 0 to 2^64 - 1", key)
    return cast("tuple[int, ...]", tuple(values))


def _n_bytes(shape: tuple[int, ...], dtype: DType) -> int:
    """Bytes of a tensor; multiplied left to right in 64 bits like the reference, which sees no later zero."""
    n_elements = 1
    for size in shape:
        n_elements *= size
        if n_elements > _U64_MAX:
            raise FormatError("the product of the sizes exceeds 2^64 - 1", "shape")
    if n_elements == 0:
        _check_stride(shape)
    n_bits = n_elements * dtype.bits
    if n_bits > _U64_MAX:
        raise FormatError("the bits of the tensor exceed 2^64 - 1", "shape")
    if n_bits % 8:
        raise FormatError(f"{n_elements} elements of {dtype} do not fill whole bytes", "shape")
    return n_bits // 8


def _check_stride(shape: tuple[int, ...]) -> None:
    """Bound what the sizes of a tensor without elements multiply to; those of others are bounded already."""
    step = 1
    for size in reversed(shape):
        if step > _I64_MAX or size > _I64_MAX:
            raise FormatError("no int64 stride spans these sizes, though there is no element", "shape")
        step *= max(size, 1)


def _check_coverage(tensors: Iterable[TensorInfo], data_start: int, size: int) -> None:
    """Every byte after the header belongs to exactly one tensor."""
    position = data_start
    for tensor in sorted(tensors, key=lambda tensor: (tensor.start, tensor.stop)):
        if tensor.start > position:
            problem = f"bytes {position} to {tensor.start} belong to no tensor"
            raise FormatError(problem, f"tensor {quoted(tensor.name)}: data_offsets")
        if tensor.start < position:
            problem = f"begins at byte {tensor.start}, inside the tensors that end at {position}"
            raise FormatError(problem, f"tensor {quoted(tensor.name)}: data_offsets")
        position = tensor.stop
    if position > size:
        raise FormatError(f"the tensors end at byte {position}, but the file has only {size}")
    if position < size:
        raise FormatError(f"the last {size - position} bytes of the file belong to no tensor")


def _oddities_of(entries: Mapping[str, object], metadata: Mapping[str, str]) -> Iterator[str]:
    extra = [name for name, entry in entries.items() if isinstance(entry, dict) and len(entry) > len(_FIELDS)]
    if extra:
        yield f"the header holds fields that no reader looks at, of {examples(extra)}"
    unusual = [name for name, entry in entries.items() if not _is_usual(entry)]
    if unusual:
        yield f"the header spells the fields as only the reference reader takes them, of {examples(unusual)}"
    hidden = [name for name in entries if not name.isprintable()]
    if hidden:
        yield f"characters that do not print are in the names of {examples(hidden)}"
    n_characters = sum(len(key) + len(value) for key, value in metadata.items())
    if n_characters > USUAL_METADATA_CHARACTERS:
        yield f"{METADATA_KEY} holds {n_characters} characters; writers put a few dozen there"


def _is_usual(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry["dtype"], str)
