"""What candle makes of a weight file: which tensors it sees, which it drops, and from which byte it reads.

candle is the reader inside text-embeddings-inference and embed_anything; each of their versions stands on one
revision of it, which `CandleReader` describes. This module knows the reader only: which file is opened, which
tensors are asked for and under which names, is for the modules of the loaders.

Source: candle-core/src/pickle.rs and candle-core/src/safetensors.rs of https://github.com/huggingface/candle,
at the revisions named beside each claim. In short, of a torch file:

- it has to be a zip with members that are not compressed, and a pickle of protocol 2 or 3; both formats that
  torch wrote before the zip end in an error;
- only the entries of the top-level dict are looked at; an entry that is not the result of one of three known
  functions is left out without a word, and one of another storage class with a line on standard error;
- tensors lie in row order, or (from 2024 on) in column order; other strides are an error when the tensor is
  asked for, and so is whatever keeps it from being read: a tensor that nobody asks for does no harm;
- the `byteorder` record is ignored.
"""

import enum
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from embaudit.loaders.candle_words import cut
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, Oddity
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON, FrozenMapping, frozen_mapping
from embaudit.model.prediction import MisreadKey
from embaudit.model.tensors import TensorInfo
from embaudit.model.words import plural


class Offsets(str, enum.Enum):
    """What candle does with a tensor that begins inside its storage."""

    REFUSED = "refused"
    """An error when the tensor is read:
    https://github.com/huggingface/candle/commit/643114025 (2023-08-19)."""
    BYTES = "bytes"
    """It skips as many bytes as it should skip elements, silently:
    https://github.com/huggingface/candle/pull/1546 (2024-01-08)."""
    ELEMENTS = "elements"
    """It reads the right bytes: https://github.com/huggingface/candle/pull/2824 (2025-03-23)."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class CandleReader:
    """One state of candle's readers. The defaults are those of the newest release.

    Attributes:
        offsets: What it does with tensors that begin inside their storage.
        parameters: Whether it takes what `_rebuild_parameter` makes, tensors wrapped in a `Parameter`.
            https://github.com/huggingface/candle/commit/cdc3823d8 (2024-02-08)
        subclasses: Whether it takes what `_rebuild_from_type_v2` makes, tensors with attributes.
        column_order: Whether it reads tensors in column order.
        any_stride_of_one: Whether the stride of a dimension of size 1 may be anything.
        long_integers: Whether it knows the opcode LONG1, which integers from 2**31 on have.
        int64_storages: Whether it takes storages of int64.
            https://github.com/huggingface/candle/commit/8a82d623e (2023-10-22)
        newer_safetensors: Whether it reads int16 and float8 from safetensors, and opens files in which other
            tensors have types that the format had not from the beginning. Seen in embed_anything 0.7.1
            (candle 0.11.0, safetensors 0.8.0) and not in 0.7.0 (candle 0.9.1, safetensors 0.4.5).
    """

    offsets: Offsets = Offsets.ELEMENTS
    parameters: bool = True
    subclasses: bool = True
    column_order: bool = True
    any_stride_of_one: bool = True
    long_integers: bool = True
    int64_storages: bool = True
    newer_safetensors: bool = True


@attrs.frozen(kw_only=True)
class CandleRead:
    """What candle makes of one weight file, or of the shards that are opened together.

    Attributes:
        refusal: Why opening it ends in an error, one sentence; empty if it opens.
        tensors: Name to tensor, for all that it sees.
        failing: Name to the reason, for those of them that end in an error when they are asked for.
        dropped: Name to the reason, for entries that it leaves out without a word.
        skipped: Name to the reason, for entries that it leaves out with a line on standard error.
        columns: Names of tensors that stay in column order. Values are right; but what looks up rows by their
            number, an embedding, fails on them (`index-select only supports contiguous tensors`), unless the
            tensor is cast to another type on the way, which puts it in row order.
        misread: Name to what it reads instead, for those that come out with wrong values and no error.
        doubts: What embaudit cannot decide about the file, one sentence each. Where there is one, a load that
            seems to go well is not to be called faithful.
    """

    refusal: str = ""
    tensors: Mapping[str, TensorInfo] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    failing: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    dropped: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    skipped: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    columns: frozenset[str] = frozenset()
    misread: Mapping[str, MisreadKey] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    doubts: tuple[str, ...] = ()


PICKLE_DTYPES = frozenset(
    {DType.FLOAT32, DType.FLOAT64, DType.FLOAT16, DType.BFLOAT16, DType.UINT8, DType.INT64}
)
"""The element types whose storage classes candle's pickle reader knows
(https://github.com/huggingface/candle/blob/63810239/candle-core/src/pickle.rs, `rebuild_args`)."""

SAFETENSORS_DTYPES = frozenset({*PICKLE_DTYPES, DType.UINT16, DType.UINT32, DType.INT32})
"""The element types that every version reads from safetensors; uint16 becomes uint32, int32 becomes int64
(https://github.com/huggingface/candle/blob/63810239/candle-core/src/safetensors.rs, `convert`)."""

_NEWER_DTYPES = frozenset({DType.INT16, DType.FLOAT8_E4M3FN})
"""The types that newer versions read besides."""

_FLOAT8 = frozenset(dtype for dtype in DType if str(dtype).startswith("float8"))

_OPENED_DTYPES = frozenset(
    {*SAFETENSORS_DTYPES, *_NEWER_DTYPES, DType.BOOL, DType.INT8, DType.UINT64, DType.FLOAT8_E5M2}
)
"""The types that a file may have for older versions to open it
(https://github.com/huggingface/safetensors/blob/v0.4.5/safetensors/src/tensor.rs, `Dtype`)."""

_CLASSLESS = frozenset({DType.UINT16, DType.UINT32, DType.UINT64, *_FLOAT8})
"""Types without a storage class of their own: torch saves them with `_rebuild_tensor_v3`, which candle does
not know."""

_FUNCTIONS = frozenset(
    {
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_qtensor",
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        "torch._tensor._rebuild_from_type_v2",
        "torch.tensor._rebuild_from_type_v2",
        "torch.nn.parameter.Parameter",
        "collections.Counter",
        "builtins.dict",
        "__builtin__.dict",
    }
)
"""Functions whose results stand in a state dict as dense tensors, and dicts that candle does not know. What
it knows of them is taken off. The header says that they are called, not for which entry."""

_PARTS = "its parts are listed instead"
_QUOTED = re.compile(r"""(?P<quote>['"])(?P<name>.*)(?P=quote)""", re.DOTALL)
"""The name in `tensor 'name' is sparse: its parts are listed instead`."""

_STRAY = "torch would not read"
_HARMLESS = (
    "bytes follow the end of the pickle",
    "is a meta tensor",
    "without a storage of its own",
    "is kept as a numpy array",
)
"""Parts of the problems that embaudit's reader finds odd in a torch file and that make no difference to
candle: it stops at the STOP too, and leaves out what has no bytes."""

_BARE = "tensor"
"""What embaudit's reader calls a tensor that stands alone. Items of a list it calls by their numbers."""

_PROTOCOLS = (2, 3)
"""The opcodes of other protocols are unknown to it: FRAME, SHORT_BINUNICODE, MEMOIZE, STACK_GLOBAL of 4 and
later; PUT and INT of 0 and 1."""

_FIRST_LONG = 2**31
"""The first integer that python's pickle writes with LONG1 instead of BININT."""


def read_with_candle(checkpoint: Checkpoint, reader: CandleReader) -> CandleRead:
    """What candle makes of a weight file, by the reader that its format has.

    Args:
        checkpoint: The file. With an index only safetensors are read: candle opens their shards together,
            and has nothing for torch's.
        reader: The state of its readers.
    """
    if checkpoint.format is CheckpointFormat.SAFETENSORS:
        return read_safetensors(checkpoint, reader)
    return read_pickle(checkpoint, reader)


NEWEST = CandleReader()
"""The readers of the newest release."""


def read_safetensors(checkpoint: Checkpoint, reader: CandleReader = NEWEST) -> CandleRead:
    """What candle makes of safetensors: all tensors, right, as far as it knows their types."""
    if checkpoint.missing_files:
        first, more = checkpoint.missing_files[0], len(checkpoint.missing_files) - 1
        missing = f"`{cut(first)}`" + (f" and {plural(more, 'other file')}" if more else "")
        return CandleRead(refusal=f"The index names {missing}, which the repository lacks.")
    tensors = checkpoint.tensors.values()
    unknown = next((tensor for tensor in tensors if tensor.dtype not in _OPENED_DTYPES), None)
    if unknown is not None and not reader.newer_safetensors:
        problem = f"its safetensors library does not know {unknown.dtype}, the type of `{cut(unknown.name)}`"
        return CandleRead(refusal=f"`{checkpoint.name}` cannot be opened: {problem}.")
    readable = SAFETENSORS_DTYPES | _NEWER_DTYPES if reader.newer_safetensors else SAFETENSORS_DTYPES
    return CandleRead(
        tensors=checkpoint.tensors,
        failing={
            tensor.name: f"unsupported safetensor dtype {tensor.dtype}"
            for tensor in tensors
            if tensor.dtype not in readable
        },
        doubts=tuple(_doubt(odd) for odd in checkpoint.oddities if "earlier shard" in odd.problem),
    )


def read_pickle(checkpoint: Checkpoint, reader: CandleReader) -> CandleRead:
    """What candle makes of a torch file."""
    refusal = _refusal(checkpoint, reader)
    if refusal:
        return CandleRead(refusal=refusal)
    wholes = _wholes(checkpoint)
    containers = _containers(checkpoint)
    dropped = {
        name: why
        for name, tensor in checkpoint.tensors.items()
        if (why := _why_dropped(tensor, containers, wholes))
    }
    skipped = {
        name: why
        for name, tensor in checkpoint.tensors.items()
        if name not in dropped and (why := _why_skipped(tensor, reader))
    }
    seen = {
        name: tensor
        for name, tensor in checkpoint.tensors.items()
        if name not in dropped and name not in skipped
    }
    failing = {name: why for name, tensor in seen.items() if (why := _why_failing(tensor, reader))}
    return CandleRead(
        tensors=seen,
        failing=failing,
        dropped=dropped,
        skipped=skipped,
        columns=frozenset(
            name
            for name, tensor in seen.items()
            if name not in failing and not _is_packed(tensor, reader, reverse=True)
        ),
        misread={
            name: key
            for name, tensor in seen.items()
            if name not in failing and (key := _misread(tensor, reader.offsets))
        },
        doubts=tuple(_doubts(checkpoint, reader)),
    )


def byte_read(tensor: TensorInfo, offsets: Offsets) -> int:
    """The byte of the file at which candle begins to read a tensor."""
    if offsets is Offsets.BYTES:
        return tensor.start - tensor.storage_offset * (tensor.dtype.item_bytes - 1)
    return tensor.start


def _refusal(checkpoint: Checkpoint, reader: CandleReader) -> str:
    """Why opening a torch file ends in an error, or empty."""
    if checkpoint.format is not CheckpointFormat.TORCH_ZIP:
        return f"`{checkpoint.name}` is a {checkpoint.format} file, and candle reads zip files only."
    if checkpoint.index is not None:
        return f"candle opens one torch file, and knows nothing of `{checkpoint.name}`."
    protocol = checkpoint.pickle.protocol if checkpoint.pickle is not None else _PROTOCOLS[0]
    if protocol not in _PROTOCOLS:
        return f"`{checkpoint.name}` is a pickle of protocol {protocol}, whose opcodes candle does not know."
    if not reader.long_integers and _has_long_integers(checkpoint):
        return f"`{checkpoint.name}` has integers from 2**31 on, whose opcode (138) candle does not know."
    return ""


def _has_long_integers(checkpoint: Checkpoint) -> bool:
    """Whether the pickle needs LONG1, as far as the tensors and the values beside them show."""
    return any(_last_element(tensor) >= _FIRST_LONG for tensor in checkpoint.tensors.values()) or any(
        map(_is_long, checkpoint.metadata.values())
    )


def _last_element(tensor: TensorInfo) -> int:
    """The elements of the storage up to the tensor's last: the storage has as many at least."""
    return tensor.storage_offset + (tensor.stop - tensor.start) // max(tensor.dtype.item_bytes, 1)


def _is_long(value: JSON) -> bool:
    if isinstance(value, int):
        return not -_FIRST_LONG <= value < _FIRST_LONG
    return isinstance(value, Sequence) and not isinstance(value, str) and any(map(_is_long, value))


class _Beginnings:
    """Beginnings of names, of which there may be as many as names: each length is looked up, not each one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(texts)
        self._lengths = sorted({len(text) for text in self._texts})

    def begin(self, name: str) -> bool:
        """Whether one of them begins a name."""
        return any(name[:length] in self._texts for length in self._lengths)


def _wholes(checkpoint: Checkpoint) -> _Beginnings:
    """Beginnings of the names of parts, which the checkpoint lists in place of sparse and nested tensors."""
    parted = (odd.problem for odd in checkpoint.oddities if odd.problem.endswith(_PARTS))
    named = (_QUOTED.search(problem) for problem in parted)
    return _Beginnings(f"{found['name']}." for found in named if found is not None)


def _containers(checkpoint: Checkpoint) -> _Beginnings:
    """Beginnings of the names of tensors that lie below the top level."""
    if checkpoint.state_dict and not checkpoint.containers:
        return _Beginnings(
            [""]
        )  # a checkpoint out of a report of an older version, which tells only that there is one
    return _Beginnings(f"{key}." for key in checkpoint.containers)


def _why_dropped(tensor: TensorInfo, containers: _Beginnings, wholes: _Beginnings) -> str:
    """Why candle leaves an entry out without a word, or empty."""
    if containers.begin(tensor.name):
        # https://github.com/huggingface/candle/issues/2990
        return "it lies below the top level, and candle looks at that only"
    if tensor.dtype in _CLASSLESS:
        return f"torch rebuilds {tensor.dtype} with `_rebuild_tensor_v3`, which candle does not know"
    if wholes.begin(tensor.name):
        return "it is a part of a sparse or nested tensor, which candle does not know"
    return ""


def _why_skipped(tensor: TensorInfo, reader: CandleReader) -> str:
    """Why candle leaves an entry out with a line on standard error, or empty."""
    if tensor.dtype not in PICKLE_DTYPES or (tensor.dtype == DType.INT64 and not reader.int64_storages):
        return f"candle does not know storages of {tensor.dtype}"
    if max((*tensor.shape, *tensor.stride), default=0) >= _FIRST_LONG:
        return "it has a size or stride from 2**31 on"
    return ""


def _why_failing(tensor: TensorInfo, reader: CandleReader) -> str:
    """Why candle ends in an error when it is asked for a tensor, or empty."""
    if reader.offsets is Offsets.REFUSED and tensor.storage_offset:
        return "cannot retrieve non-contiguous tensors: it begins inside its storage"
    if _is_packed(tensor, reader, reverse=True) or (
        reader.column_order and _is_packed(tensor, reader, reverse=False)
    ):
        return ""
    return f"cannot retrieve non-contiguous tensors: its strides are {cut(str(list(tensor.stride)))}"


def _is_packed(tensor: TensorInfo, reader: CandleReader, *, reverse: bool) -> bool:
    """Whether candle takes the elements to lie side by side: innermost dimension last if `reverse`.

    candle-core/src/shape.rs, `is_contiguous` and `is_fortran_contiguous`. Unlike torch it counts a size of 0
    as 0.
    """
    step = 1
    dimensions = zip(tensor.shape, tensor.stride, strict=True)
    for size, stride in reversed(list(dimensions)) if reverse else dimensions:
        exempt = size <= 1 and reader.any_stride_of_one
        if stride != step and not exempt:
            return False
        step *= size
    return True


def _misread(tensor: TensorInfo, offsets: Offsets) -> MisreadKey | None:
    """What candle reads in place of a tensor, or None if it reads the right bytes in the right order."""
    if not tensor.n_elements or tensor.dtype.item_bytes == 1:
        return None
    begins = byte_read(tensor, offsets)
    clauses = []
    if begins != tensor.start:
        clauses.append(f"candle skips the storage offset, {tensor.storage_offset}, in bytes, not in elements")
    if tensor.byte_order != "little":
        clauses.append("candle takes its big-endian bytes for little-endian")
    if not clauses:
        return None
    return MisreadKey(
        name=tensor.name,
        file=tensor.file,
        reason="; ".join(clauses),
        byte_to_read=tensor.start,
        byte_read=begins,
    )


def _doubts(checkpoint: Checkpoint, reader: CandleReader) -> Iterator[str]:
    """What cannot be decided from the header about what candle sees of a torch file."""
    if all(name == _BARE or name.partition(".")[0].isdecimal() for name in checkpoint.tensors):
        yield "Whether the top level is a dict is not known, and of anything else candle sees nothing."
    summary = checkpoint.pickle
    if summary is not None:
        called = {f"{name.module}.{name.name}" for name in summary.globals if name.called}
        for name in sorted(called & _unknown_functions(reader)):
            yield f"Some entries are made by `{name}`, and candle leaves those out without a word."
        if not summary.tensor_only:
            yield f"What candle makes of a pickle like this is not known: {summary.reasons[0]}."
    yield from (_doubt(odd) for odd in checkpoint.oddities if _is_doubtful(odd))


def _unknown_functions(reader: CandleReader) -> frozenset[str]:
    """The functions that rebuild tensors, or dicts of them, and that a state of the reader does not know."""
    known = {"torch._utils._rebuild_tensor_v2"}
    known |= {"torch._utils._rebuild_parameter"} if reader.parameters else set()
    known |= {"torch._tensor._rebuild_from_type_v2"} if reader.subclasses else set()
    return _FUNCTIONS - known


def _is_doubtful(odd: Oddity) -> bool:
    if odd.problem.startswith(_STRAY):
        return "data.pkl" in odd.problem or odd.problem.endswith(" more")
    return not odd.problem.endswith(_PARTS) and not any(text in odd.problem for text in _HARMLESS)


def _doubt(odd: Oddity) -> str:
    return f"What candle makes of this is not known: `{odd.file}` {odd.problem}."
