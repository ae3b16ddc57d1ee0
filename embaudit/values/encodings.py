"""How one element of each type is stored: in words of which width, of which kind, in which number format.

Knows the layout of single elements, and the bounds inside which NaN and infinity lie. Knows nothing of
tensors, files or rounding.

Sources: IEEE 754-2019 for the binary formats; the OCP 8-bit Floating Point Specification 1.0 for
`float8_e4m3fn` and `float8_e5m2`; the OCP Microscaling Formats Specification 1.0 for `float8_e8m0fnu`;
https://arxiv.org/abs/2206.02915v2 for the `fnuz` formats. The tests hold every code of every format of up to
16 bits against torch.
"""

import enum
from functools import cache
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.model.dtypes import DType

Words = npt.NDArray[Any]
"""Stored elements, or their parts, as unsigned integers of some width in the machine's byte order."""

Numbers = npt.NDArray[Any]
"""Decoded values: float32, float64 or integers."""

Mask = npt.NDArray[np.bool_]


class Kind(enum.Enum):
    """What the bits of an element mean."""

    FLOATING = enum.auto()
    INTEGER = enum.auto()
    BOOLEAN = enum.auto()
    OPAQUE = enum.auto()
    """Packed, sub-byte or quantised: the number depends on more than the element's own bits."""


class Special(enum.Enum):
    """How a floating-point format stores what is not a finite number."""

    IEEE = enum.auto()
    """The highest exponent is infinity (mantissa 0) or NaN."""
    FN = enum.auto()
    """Finite: no infinity; NaN is all ones below the sign."""
    FNUZ = enum.auto()
    """Finite with one zero: no infinity; NaN takes the code of minus zero."""
    SCALE = enum.auto()
    """A power of two without sign or mantissa; NaN is all ones."""


@attrs.frozen(kw_only=True)
class FloatFormat:
    """A binary floating-point format.

    Attributes:
        exponent_bits: Width of the exponent.
        mantissa_bits: Width of the stored mantissa, the implicit one left out.
        bias: What the stored exponent exceeds the true one by.
        special: How NaN and infinity are stored.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int
    special: Special = Special.IEEE

    @property
    def magnitude_mask(self) -> int:
        """The bits below the sign."""
        return (1 << (self.exponent_bits + self.mantissa_bits)) - 1

    @property
    def largest_regular(self) -> int:
        """The highest code, sign aside, that is a finite number."""
        match self.special:
            case Special.IEEE:
                return self.infinity - 1
            case Special.FNUZ:
                return self.magnitude_mask
            case Special.FN | Special.SCALE:
                return self.magnitude_mask - 1

    @property
    def infinity(self) -> int:
        """The code of plus infinity in an IEEE format: a full exponent and no mantissa."""
        return self.magnitude_mask & ~((1 << self.mantissa_bits) - 1)

    @property
    def first_beyond_float16(self) -> int:
        """The least code, sign aside, whose number float16 rounds to infinity: 65,520 or the next above it.

        65,520 lies half-way between the largest float16, 65,504, and 2**16, and is rounded to even, upwards
        (IEEE 754-2019, section 4.3.1). Above every finite code in formats that do not reach so far.
        """
        # 65520 is 2**15 * (1 + 2047/2048); a mantissa that is rounded up to 1 carries into the exponent.
        mantissa = -((-2047 << self.mantissa_bits) // 2048)
        return ((15 + self.bias) << self.mantissa_bits) + mantissa

    @property
    def nan(self) -> int:
        """The code of a quiet NaN."""
        match self.special:
            case Special.IEEE:
                return self.infinity | (1 << (self.mantissa_bits - 1))
            case Special.FNUZ:
                return self.magnitude_mask + 1
            case Special.FN | Special.SCALE:
                return self.magnitude_mask


@attrs.frozen(kw_only=True)
class Encoding:
    """How the elements of one type lie in memory.

    Elements are read in units, the least run of whole elements in whole bytes, made of equal words.

    Attributes:
        kind: What the bits mean.
        word_bytes: Bytes of one word; the byte order of a file applies to words.
        unit_words: Words of one unit: 2 for complex elements, 3 for the 24 bits of four 6-bit elements.
        unit_elements: Elements of one unit; more than 1 only for sub-byte types.
        signed: Whether integers have a sign.
        number: The format of the element or, for complex ones, of each part.
    """

    kind: Kind
    word_bytes: int
    unit_words: int = 1
    unit_elements: int = 1
    signed: bool = False
    number: FloatFormat | None = None

    @property
    def unit_bytes(self) -> int:
        """Bytes of one unit."""
        return self.word_bytes * self.unit_words

    @property
    def word(self) -> "np.dtype[Any]":
        """The unsigned numpy type of one word."""
        return _WORDS[self.word_bytes]


_WORDS: dict[int, "np.dtype[Any]"] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.uint16),
    4: np.dtype(np.uint32),
    8: np.dtype(np.uint64),
}
_FORMATS = {
    DType.FLOAT64: FloatFormat(exponent_bits=11, mantissa_bits=52, bias=1023),
    DType.FLOAT32: FloatFormat(exponent_bits=8, mantissa_bits=23, bias=127),
    DType.FLOAT16: FloatFormat(exponent_bits=5, mantissa_bits=10, bias=15),
    DType.BFLOAT16: FloatFormat(exponent_bits=8, mantissa_bits=7, bias=127),
    DType.FLOAT8_E4M3FN: FloatFormat(exponent_bits=4, mantissa_bits=3, bias=7, special=Special.FN),
    DType.FLOAT8_E4M3FNUZ: FloatFormat(exponent_bits=4, mantissa_bits=3, bias=8, special=Special.FNUZ),
    DType.FLOAT8_E5M2: FloatFormat(exponent_bits=5, mantissa_bits=2, bias=15),
    DType.FLOAT8_E5M2FNUZ: FloatFormat(exponent_bits=5, mantissa_bits=2, bias=16, special=Special.FNUZ),
    DType.FLOAT8_E8M0FNU: FloatFormat(exponent_bits=8, mantissa_bits=0, bias=127, special=Special.SCALE),
}
_COMPLEX_PARTS = {
    DType.COMPLEX32: DType.FLOAT16,
    DType.BCOMPLEX32: DType.BFLOAT16,
    DType.COMPLEX64: DType.FLOAT32,
    DType.COMPLEX128: DType.FLOAT64,
}
_UNSIGNED = (DType.UINT8, DType.UINT16, DType.UINT32, DType.UINT64)
_SIGNED = (DType.INT8, DType.INT16, DType.INT32, DType.INT64)
_SUB_BYTE_UNITS = {4: (1, 2), 6: (3, 4)}
"""Bits of an element to the bytes and elements of the least run that fills whole bytes."""


def part_of(dtype: DType) -> DType:
    """The type of each part of a complex type; any other type itself."""
    return _COMPLEX_PARTS.get(dtype, dtype)


@cache
def encoding_of(dtype: DType) -> Encoding:
    """How the elements of `dtype` are stored. Types that are not numbers by themselves are opaque words."""
    part = part_of(dtype)
    if part in _FORMATS:
        words = dtype.item_bytes // part.item_bytes
        return Encoding(
            kind=Kind.FLOATING, word_bytes=part.item_bytes, unit_words=words, number=_FORMATS[part]
        )
    if dtype in _UNSIGNED + _SIGNED:
        return Encoding(kind=Kind.INTEGER, word_bytes=dtype.item_bytes, signed=dtype in _SIGNED)
    if dtype is DType.BOOL:
        return Encoding(kind=Kind.BOOLEAN, word_bytes=1)
    if dtype.bits in _SUB_BYTE_UNITS:
        words, elements = _SUB_BYTE_UNITS[dtype.bits]
        return Encoding(kind=Kind.OPAQUE, word_bytes=1, unit_words=words, unit_elements=elements)
    return Encoding(kind=Kind.OPAQUE, word_bytes=dtype.item_bytes)


def float_format(dtype: DType) -> FloatFormat:
    """The format of a floating-point type, or of each part of a complex one; `dtype` must be either."""
    return _FORMATS[part_of(dtype)]


def not_finite(words: Words, number: FloatFormat) -> Mask:
    """Which words hold NaN or an infinity."""
    if number.special is Special.FNUZ:
        minus_zero: Mask = words == words.dtype.type(number.nan)
        return minus_zero
    return np.greater(_magnitude(words, number), number.largest_regular)


def is_nan(words: Words, number: FloatFormat) -> Mask:
    """Which words hold NaN, with any payload."""
    if number.special is not Special.IEEE:
        return not_finite(words, number)
    return np.greater(_magnitude(words, number), number.infinity)


def beyond_float16(words: Words, number: FloatFormat) -> Mask:
    """Which words hold NaN, an infinity, or a finite number that float16 rounds to infinity."""
    if number.special is Special.FNUZ:
        return not_finite(words, number)
    first = min(number.first_beyond_float16, number.largest_regular + 1)
    return np.greater_equal(_magnitude(words, number), first)


def _magnitude(words: Words, number: FloatFormat) -> Words:
    magnitude: Words = words & words.dtype.type(number.magnitude_mask)
    return magnitude
