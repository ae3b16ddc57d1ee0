"""The names that torch's checkpoint pickles use for tensors, and what each stands for: an exact allow-list.

Source: torch 2.13, `_weights_only_unpickler._get_allowed_globals`
(https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_weights_only_unpickler.py), and the names of
older torch versions, as noted. A name is judged as `(module, name)` after python 2 spellings are mapped;
a dotted name is never on the list.
"""

from embaudit.formats.pickle_nodes import Call, Global, PickleValue
from embaudit.model.dtypes import DType

Key = tuple[str, str]

# safetensors' own sub-byte types have no torch dtype; all others are called alike.
_NOT_TORCH = {DType.FLOAT4_E2M1FN, DType.FLOAT6_E2M3FN, DType.FLOAT6_E3M2FN}

DTYPES: dict[Key, DType] = {("torch", dtype.value): dtype for dtype in DType if dtype not in _NOT_TORCH}
"""The dtypes, as pickles name them."""

_STORAGE_CLASSES = {
    "DoubleStorage": DType.FLOAT64,
    "FloatStorage": DType.FLOAT32,
    "HalfStorage": DType.FLOAT16,
    "BFloat16Storage": DType.BFLOAT16,
    "LongStorage": DType.INT64,
    "IntStorage": DType.INT32,
    "ShortStorage": DType.INT16,
    "CharStorage": DType.INT8,
    "ByteStorage": DType.UINT8,
    "BoolStorage": DType.BOOL,
    "ComplexDoubleStorage": DType.COMPLEX128,
    "ComplexFloatStorage": DType.COMPLEX64,
    "QInt8Storage": DType.QINT8,
    "QInt32Storage": DType.QINT32,
    "QUInt8Storage": DType.QUINT8,
    "QUInt4x2Storage": DType.QUINT4X2,
    "QUInt2x4Storage": DType.QUINT2X4,
}
# Untyped storages count bytes, and torch takes them for uint8. In 1.11 and 1.12 they were `_UntypedStorage`.
UNTYPED_STORAGES: frozenset[Key] = frozenset(
    (module, name) for module in ("torch", "torch.storage") for name in ("UntypedStorage", "_UntypedStorage")
)
"""The storage classes without an element type."""

STORAGES: dict[Key, DType] = {
    **{("torch", name): dtype for name, dtype in _STORAGE_CLASSES.items()},
    **{("torch.cuda", name): dtype for name, dtype in _STORAGE_CLASSES.items()},
    **dict.fromkeys(UNTYPED_STORAGES, DType.UINT8),
}
"""The storage classes: the type of the elements that a storage counts."""

MAPPINGS: frozenset[Key] = frozenset(
    {
        ("collections", "OrderedDict"),
        ("collections", "Counter"),
        ("collections", "defaultdict"),
        ("builtins", "dict"),
    }
)
"""Calls that give a dict: its pairs come from the argument, if any, and from what is set afterwards."""

PLAIN_CALLS: frozenset[Key] = frozenset(
    {
        ("_codecs", "encode"),
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("torch", "Size"),
        ("torch", "device"),
        ("torch.serialization", "_get_layout"),
    }
)
"""Calls that give a plain value."""

PARAMETER: Key = ("torch.nn.parameter", "Parameter")
SIZE: Key = ("torch", "Size")
SET: Key = ("builtins", "set")
ORDERED_DICT: Key = ("collections", "OrderedDict")

REBUILDERS: frozenset[Key] = frozenset(
    {
        *(
            ("torch._utils", f"_rebuild_{name}")
            for name in (
                "tensor",
                "tensor_v2",
                "tensor_v3",
                "parameter",
                "parameter_with_state",
                "qtensor",
                "sparse_tensor",
                "nested_tensor",
                "meta_tensor_no_storage",
                "wrapper_subclass",
                "device_tensor_from_numpy",
                "device_tensor_from_cpu_tensor",
            )
        ),
        ("torch._tensor", "_rebuild_from_type_v2"),
        # Its module before torch 1.8: https://github.com/pytorch/pytorch/pull/51633
        ("torch.tensor", "_rebuild_from_type_v2"),
    }
)
"""The functions that make tensors."""

_QUANTIZATION_SCHEMES = (
    "per_tensor_affine",
    "per_tensor_symmetric",
    "per_channel_affine",
    "per_channel_symmetric",
    "per_channel_affine_float_qparams",
)

TENSOR_CLASSES: frozenset[Key] = frozenset(
    {
        ("torch", "Tensor"),
        *(
            (module, f"{name}Tensor")
            for module in ("torch", "torch.cuda", "torch.sparse")
            for name in (
                "Double",
                "Float",
                "Half",
                "BFloat16",
                "Long",
                "Int",
                "Short",
                "Char",
                "Byte",
                "Bool",
            )
        ),
    }
)
"""The classes of tensors: an instance is given `(storage, offset, size, stride)` as its state."""

TENSOR_ONLY: frozenset[Key] = frozenset(
    {
        *DTYPES,
        *STORAGES,
        *PLAIN_CALLS,
        *REBUILDERS,
        *(("torch", scheme) for scheme in _QUANTIZATION_SCHEMES),
        *TENSOR_CLASSES,
        PARAMETER,
        SET,
        ORDERED_DICT,
        ("collections", "Counter"),
        ("torch.storage", "TypedStorage"),
        ("torch.storage", "_TypedStorage"),
    }
)
"""Every name that a checkpoint of tensors and plain values may use."""


def called_key(value: PickleValue) -> Key | None:
    """The name that a call calls, or None for what isn't a call of a name."""
    if type(value) is Call and type(value.function) is Global:
        return value.function.key
    return None


def global_key(value: PickleValue) -> Key | None:
    """The name that a value is, or None."""
    return value.key if type(value) is Global else None
