"""The element types that checkpoint files can hold, under torch's names without the `torch.` prefix.

Sources of the names and widths: torch 2.13 (`torch.dtype`, `torch.storage`) and safetensors 0.8.0
(https://github.com/huggingface/safetensors/blob/v0.8.0/safetensors/src/tensor.rs, enum `Dtype`).
"""

import enum


class DType(str, enum.Enum):
    """An element type. Compares equal to its torch name: `DType.FLOAT32 == "float32"`.

    Attributes:
        bits: Width of one element as stored, in bits. The packed types of torch (`quint4x2`, `bits1x8`,
            `float4_e2m1fn_x2`, ...) count the byte that holds several values as one element, as torch does.
    """

    BOOL = "bool", 8
    UINT8 = "uint8", 8
    INT8 = "int8", 8
    UINT16 = "uint16", 16
    INT16 = "int16", 16
    UINT32 = "uint32", 32
    INT32 = "int32", 32
    UINT64 = "uint64", 64
    INT64 = "int64", 64
    FLOAT4_E2M1FN = "float4_e2m1fn", 4
    FLOAT4_E2M1FN_X2 = "float4_e2m1fn_x2", 8
    FLOAT6_E2M3FN = "float6_e2m3fn", 6
    FLOAT6_E3M2FN = "float6_e3m2fn", 6
    FLOAT8_E4M3FN = "float8_e4m3fn", 8
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz", 8
    FLOAT8_E5M2 = "float8_e5m2", 8
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz", 8
    FLOAT8_E8M0FNU = "float8_e8m0fnu", 8
    FLOAT16 = "float16", 16
    BFLOAT16 = "bfloat16", 16
    FLOAT32 = "float32", 32
    FLOAT64 = "float64", 64
    COMPLEX32 = "complex32", 32
    BCOMPLEX32 = "bcomplex32", 32
    COMPLEX64 = "complex64", 64
    COMPLEX128 = "complex128", 128
    QINT8 = "qint8", 8
    QUINT8 = "quint8", 8
    QINT32 = "qint32", 32
    QUINT4X2 = "quint4x2", 8
    QUINT2X4 = "quint2x4", 8
    BITS8 = "bits8", 8
    BITS16 = "bits16", 16
    BITS1X8 = "bits1x8", 8
    BITS2X4 = "bits2x4", 8
    BITS4X2 = "bits4x2", 8
    UINT1 = "uint1", 8
    UINT2 = "uint2", 8
    UINT3 = "uint3", 8
    UINT4 = "uint4", 8
    UINT5 = "uint5", 8
    UINT6 = "uint6", 8
    UINT7 = "uint7", 8
    INT1 = "int1", 8
    INT2 = "int2", 8
    INT3 = "int3", 8
    INT4 = "int4", 8
    INT5 = "int5", 8
    INT6 = "int6", 8
    INT7 = "int7", 8

    bits: int

    def __new__(cls, name: str, bits: int) -> "DType":
        """A member whose value is its torch name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.bits = bits
        return member

    def __str__(self) -> str:
        return str(self.value)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element; 0 for the sub-byte types of safetensors, which only count in bits."""
        return self.bits // 8

    @property
    def is_floating(self) -> bool:
        """Whether the elements are real floating-point numbers."""
        return str(self.value).startswith(("float", "bfloat"))

    @property
    def is_complex(self) -> bool:
        """Whether the elements are pairs of floating-point numbers."""
        return "complex" in str(self.value)
