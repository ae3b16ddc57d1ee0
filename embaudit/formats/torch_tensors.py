"""Calls that rebuild tensors, read as what they would build: from a storage, an offset, sizes and strides.

Source of the functions and their arguments: https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_utils.py
and, of `_rebuild_from_type_v2`, `torch/_tensor.py` there. Offsets and strides count elements.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import attrs

from embaudit.errors import FormatError
from embaudit.formats.pickle_nodes import Call, DictNode, Global, PersistentId, PickleValue
from embaudit.formats.torch_globals import (
    DTYPES,
    ORDERED_DICT,
    PARAMETER,
    SIZE,
    TENSOR_CLASSES,
    Key,
    called_key,
    global_key,
)
from embaudit.formats.torch_storages import Storage
from embaudit.model.dtypes import DType
from embaudit.model.tensors import TensorInfo, contiguous_stride


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Dense:
    """A call that builds one tensor out of one storage.

    Attributes:
        storage: The reference to the storage.
        offset: Elements of the storage before the tensor's first.
        size: The sizes.
        stride: The strides.
        dtype: The element type as named in the call, or None if the storage's.
        hooks: The backward hooks.
        flags: The metadata: whether the values are to be conjugated or negated after loading.
    """

    storage: PickleValue
    offset: PickleValue
    size: PickleValue
    stride: PickleValue
    dtype: PickleValue = None
    hooks: PickleValue = None
    flags: PickleValue = None


@attrs.frozen
class Parts:
    """A call that builds a tensor out of others, or around one.

    Attributes:
        items: Each part, a value or a `Dense`, with what it adds to the name; nothing for the tensor itself.
        note: What a reader of the parts should know, or empty.
    """

    items: tuple[tuple[str, PickleValue], ...]
    note: str = ""


Arguments = tuple[PickleValue, ...]
_COO_PARTS = ("indices", "values")
_COMPRESSED_PARTS = {
    "torch.sparse_csr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_bsr": ("crow_indices", "col_indices", "values"),
    "torch.sparse_csc": ("ccol_indices", "row_indices", "values"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices", "values"),
}


def _plain(arguments: Arguments) -> Dense:
    storage, offset, size, stride = arguments
    return Dense(storage, offset, size, stride)


def _version_2(arguments: Arguments) -> Dense:
    storage, offset, size, stride, _requires_grad, hooks, *flags = arguments
    return Dense(storage, offset, size, stride, None, hooks, *flags)


def _version_3(arguments: Arguments) -> Dense:
    storage, offset, size, stride, _requires_grad, hooks, dtype, *flags = arguments
    return Dense(storage, offset, size, stride, dtype, hooks, *flags)


def _quantized(arguments: Arguments) -> Parts:
    storage, offset, size, stride, quantizer, _requires_grad, hooks = arguments
    items: list[tuple[str, PickleValue]] = [("", Dense(storage, offset, size, stride, None, hooks))]
    if type(quantizer) is tuple and len(quantizer) == 4:  # noqa: PLR2004 - (scheme, scales, zero_points, axis)
        items += [(".scales", quantizer[1]), (".zero_points", quantizer[2])]
    return Parts(tuple(items))


def _sparse(arguments: Arguments) -> Parts:
    layout, data = arguments
    if called_key(layout) == ("torch.serialization", "_get_layout"):
        (name,) = layout.arguments
    else:
        name = layout
    names = _COMPRESSED_PARTS.get(name, _COO_PARTS) if type(name) is str else _COO_PARTS
    if type(data) is not tuple or len(data) < len(names):
        raise ValueError
    items = tuple((f".{part}", value) for part, value in zip(names, data, strict=False))
    return Parts(items, "is sparse: its parts are listed instead")


def _nested(arguments: Arguments) -> Parts:
    buffer, sizes, strides, offsets = arguments
    items = ((".buffer", buffer), (".sizes", sizes), (".strides", strides), (".offsets", offsets))
    return Parts(items, "is nested: its parts are listed instead")


def _first(arguments: Arguments) -> Parts:
    return Parts((("", arguments[0]),))


def _with_state(arguments: Arguments) -> Parts:
    data, _requires_grad, _hooks, state = arguments
    return Parts((("", data), *_attributes(state)))


def _from_type(arguments: Arguments) -> Parts:
    function, _class, inner, state = arguments
    if type(inner) is not tuple:
        raise ValueError
    return Parts((("", Call(function, inner, 0)), *_attributes(state)))


def _meta(_arguments: Arguments) -> Parts:
    return Parts((), "is a meta tensor: the file holds no values for it")


def _wrapper(_arguments: Arguments) -> Parts:
    return Parts((), "is a tensor subclass without a storage of its own")


def _from_numpy(_arguments: Arguments) -> Parts:
    return Parts((), "is kept as a numpy array inside the pickle, and is not listed")


def _attributes(state: PickleValue) -> tuple[tuple[str, PickleValue], ...]:
    """The values of an object's state, each named by its attribute."""
    states = state if type(state) is tuple else (state,)
    pairs = [pair for item in states if type(item) is DictNode for pair in _pairs(item.pairs)]
    # Lone surrogates, which no report could hold, are written out.
    return tuple(
        (f".{name.encode('utf-8', 'backslashreplace').decode()}", value)
        for name, value in pairs
        if type(name) is str
    )


def _pairs(pairs: Sequence[PickleValue]) -> list[tuple[PickleValue, PickleValue]]:
    return list(zip(pairs[::2], pairs[1::2], strict=True))


_N_STATE = 4
_UTILS = "torch._utils"
_BUILDERS: dict[Key, Callable[[Arguments], Dense | Parts]] = {
    (_UTILS, "_rebuild_tensor_v2"): _version_2,
    (_UTILS, "_rebuild_tensor"): _plain,
    (_UTILS, "_rebuild_tensor_v3"): _version_3,
    (_UTILS, "_rebuild_parameter"): _first,
    (_UTILS, "_rebuild_parameter_with_state"): _with_state,
    (_UTILS, "_rebuild_qtensor"): _quantized,
    (_UTILS, "_rebuild_sparse_tensor"): _sparse,
    (_UTILS, "_rebuild_nested_tensor"): _nested,
    (_UTILS, "_rebuild_meta_tensor_no_storage"): _meta,
    (_UTILS, "_rebuild_wrapper_subclass"): _wrapper,
    (_UTILS, "_rebuild_device_tensor_from_numpy"): _from_numpy,
    (_UTILS, "_rebuild_device_tensor_from_cpu_tensor"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch.tensor", "_rebuild_from_type_v2"): _from_type,
    PARAMETER: _first,
}


@attrs.frozen(kw_only=True)
class Places:
    """Where the storages of one file lie.

    Attributes:
        file: Path of the file inside the repository.
        starts: Storage key to the byte of the file where the storage begins.
        byte_order: `little` or `big`.
        crcs: Storage key to the CRC-32 that the file claims; 0 where the writer left it out.
    """

    file: str
    starts: Mapping[str, int]
    byte_order: str
    crcs: Mapping[str, int] = attrs.field(factory=dict)


def read_call(call: Call) -> Dense | Parts | None:
    """What a call would build, if it is one of those that build tensors.

    Raises:
        FormatError: If its arguments are not those of its function.
    """
    function = call.function
    builder = _BUILDERS.get(function.key) if type(function) is Global else None
    if builder is None:
        return _instance(call)
    try:
        return builder(call.arguments)
    except (ValueError, TypeError, IndexError) as error:
        problem = f"{call.function!r} is called with other arguments than it takes, at byte {call.position}"
        raise FormatError(problem) from error


def _instance(call: Call) -> Dense | None:
    """A tensor made as an instance of its class and then given its state, as torch did before 0.2."""
    if called_key(call) in TENSOR_CLASSES and type(call.state) is tuple and len(call.state) == _N_STATE:
        return Dense(*call.state)
    return None


def tensor_info(dense: Dense, name: str, places: Places, position: int) -> TensorInfo | None:
    """The tensor that a call at byte `position` would build; None if it has no storage in the file.

    Raises:
        FormatError: If the tensor does not lie inside its storage, or its numbers make no sense: torch
            refuses such files, or, before 2.10, could be made to read other memory (CVE-2026-24747).
    """
    reference = dense.storage
    storage: Storage | None = reference.storage if type(reference) is PersistentId else None
    if storage is None:
        return None
    dtype = storage.dtype if dense.dtype is None else _named_dtype(dense.dtype, name, position)
    shape = dense.size if type(dense.size) is tuple else _sizes(dense.size, name, position)
    stride = dense.stride if type(dense.stride) is tuple else _sizes(dense.stride, name, position)
    if shape and not stride and all(type(size) is int for size in shape):
        # `Tensor.set_` takes no strides for contiguous ones.
        stride = contiguous_stride(shape)
    offset = dense.offset
    if type(offset) is not int or offset < 0 or len(shape) != len(stride):
        _fail(name, position, "an offset or strides that do not go with its sizes")
    extent = 1
    for size, step in zip(shape, stride):  # noqa: B905 - the lengths were compared, and strict costs time
        if type(size) is not int or type(step) is not int or size < 0 or step < 0:
            _fail(name, position, "sizes or strides that are not numbers from 0 on")
        extent += (size - 1) * step
    if 0 in shape:
        extent = 0
    item_bytes = dtype.bits >> 3
    first = storage.first + offset * item_bytes
    last = first + extent * item_bytes
    if extent and last > storage.last:
        _fail(name, position, f"bytes {first} to {last} of a storage of {storage.last} bytes")
    start = places.starts[storage.key] + min(first, storage.last)
    crc = places.crcs.get(storage.key) or None
    return TensorInfo(
        name=name,
        dtype=dtype,
        shape=shape,
        stride=stride,
        storage_offset=offset + storage.first // item_bytes,
        storage=storage.key,
        file=places.file,
        start=start,
        stop=start + extent * item_bytes,
        byte_order=places.byte_order,
        storage_crc=crc,
        storage_bytes=None if crc is None else storage.n_bytes,
    )


def _named_dtype(value: PickleValue, name: str, position: int) -> DType:
    key = global_key(value)
    dtype = DTYPES.get(key) if key is not None else None
    if dtype is None:
        _fail(name, position, "a dtype that is not torch's")
    return dtype


def _sizes(value: PickleValue, name: str, position: int) -> tuple[PickleValue, ...]:
    """The items of sizes or strides that are not a tuple but a list or a `torch.Size`."""
    if type(value) is Call and called_key(value) == SIZE and len(value.arguments) == 1:
        value = value.arguments[0]
    if type(value) not in {list, tuple}:
        _fail(name, position, "sizes or strides that are not numbers")
    return tuple(value)


def has_hooks(dense: Dense) -> bool:
    """Whether the call brings backward hooks: code that would run. None and an empty OrderedDict are none."""
    hooks = dense.hooks
    if type(hooks) is Call and not hooks.arguments and not hooks.pairs:
        return called_key(hooks) != ORDERED_DICT
    return bool(hooks.pairs) if type(hooks) is DictNode else hooks is not None


def flags_of(dense: Dense) -> tuple[str, ...]:
    """`conj` and `neg`, as far as the call sets them: the file holds the values before that operation."""
    if type(dense.flags) is not DictNode:
        return ()
    return tuple(flag for flag, value in _pairs(dense.flags.pairs) if type(flag) is str and value is True)


def _fail(name: str, position: int, problem: str) -> NoReturn:
    raise FormatError(f"tensor {name!r}, rebuilt at byte {position}, has {problem}")
