"""Turning stored words into numbers and numbers into stored words, as torch's `Tensor.to` rounds them.

Decoding is exact. Encoding rounds to the nearest representable number, ties to the even mantissa, keeps the
sign of zero where the format has one, and turns any NaN into one NaN. What lies beyond the largest number
becomes infinity where the format has one, and NaN in the `fnuz` formats. `float8_e4m3fn` has none either, and
torch changed its mind: overflow became NaN before https://github.com/pytorch/pytorch/pull/178817, and is
clamped to 448 since (2.13 has it); so both are offered (`saturate`).

From float64 to anything narrower than float32 torch goes through float32 and so rounds twice; so do we.
The tests hold all of this against torch: every code for decoding, and for encoding every 16-bit prefix of a
float32, its neighbours, and random bits.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from embaudit.model.dtypes import DType
from embaudit.values.encodings import (
    FloatFormat,
    Kind,
    Mask,
    Numbers,
    Special,
    Words,
    encoding_of,
    float_format,
    part_of,
)

Float32s = npt.NDArray[np.float32]
Words32 = npt.NDArray[np.uint32]

_SINGLE = float_format(DType.FLOAT32)
_SIGN = np.uint32(0x8000_0000)
_BFLOAT16_NAN = np.uint32(0x7FC0)
_E8M0_ROUND_UP = 0x40_0000
"""Half of the distance to the next power of two, in the mantissa of a float32."""


@cache
def _table(number: FloatFormat) -> Float32s:
    """The value of each of the 256 codes of an 8-bit format."""
    values = np.empty(256, np.float32)
    for code in range(256):
        values[code] = _value(code, number)
    return values


def _value(code: int, number: FloatFormat) -> float:
    magnitude = code & number.magnitude_mask
    if code == number.nan or (number.special is not Special.FNUZ and magnitude > number.largest_regular):
        infinite = number.special is Special.IEEE and magnitude == number.infinity
        special = float("inf") if infinite else float("nan")
        return -special if code != magnitude else special
    if number.special is Special.SCALE:
        return 2.0 ** (code - number.bias)
    mantissa = magnitude & ((1 << number.mantissa_bits) - 1)
    exponent = magnitude >> number.mantissa_bits
    implicit = int(exponent > 0) << number.mantissa_bits
    scale = max(exponent, 1) - number.bias - number.mantissa_bits
    value = float(mantissa + implicit) * 2.0**scale
    return -value if code != magnitude else value


def decode(words: Words, dtype: DType) -> Numbers:
    """The numbers that `words` hold, exactly; for complex types, their parts side by side.

    float64 comes as float64, every other floating-point type as float32, integers as themselves, booleans as
    0 and 1 of uint8. `dtype` must not be opaque.
    """
    encoding = encoding_of(dtype)
    if encoding.kind is Kind.BOOLEAN:
        numbers: Numbers = (words != 0).view(np.uint8)
        return numbers
    if encoding.kind is Kind.INTEGER:
        return words.view(f"i{encoding.word_bytes}") if encoding.signed else words
    match part_of(dtype):
        case DType.FLOAT64:
            return words.view(np.float64)
        case DType.FLOAT32:
            return words.view(np.float32)
        case DType.FLOAT16:
            with np.errstate(invalid="ignore"):
                return words.view(np.float16).astype(np.float32)
        case DType.BFLOAT16:
            return _shift_left(words)
        case _:
            values: Numbers = _table(float_format(dtype))[words]
            return values


def _shift_left(words: Words) -> Float32s:
    """bfloat16 to float32: the same sign, exponent and upper mantissa."""
    values: Float32s = (words.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return values


def encode(values: Numbers, dtype: DType, *, saturate: bool = True) -> Words:
    """The words of the floating-point type `dtype` nearest to `values`, which are float32 or float64.

    Args:
        values: What `decode` gives for a floating-point type.
        dtype: A floating-point type, or a complex one whose parts are meant.
        saturate: Whether `float8_e4m3fn` clamps what is too large, as torch 2.13 does, or makes it NaN.
    """
    part = part_of(dtype)
    # Signalling NaN count as invalid when they are converted, and overflow is what is asked for.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if part is DType.FLOAT64:
            return values.astype(np.float64).view(np.uint64)
        single = values.astype(np.float32, copy=False)
        if part is DType.FLOAT16:
            return single.astype(np.float16).view(np.uint16)
    words = single.view(np.uint32)
    match part:
        case DType.FLOAT32:
            return words
        case DType.BFLOAT16:
            return _to_bfloat16(words)
        case DType.FLOAT8_E8M0FNU:
            return _to_power_of_two(words)
        case _:
            return _to_float8(words, float_format(part), saturate=saturate)


def _to_bfloat16(words: Words32) -> Words:
    odd = (words >> np.uint32(16)) & np.uint32(1)
    rounded = (words + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    nan = (words & ~_SIGN) > _SINGLE.infinity
    codes: Words = np.where(nan, _BFLOAT16_NAN, rounded).astype(np.uint16)
    return codes


def _to_power_of_two(words: Words32) -> Words:
    """The exponent alone, rounded by the mantissa; the sign is lost, as in torch.

    An exponent of 0 counts as even and any other as odd, so that ties go up except among subnormals
    (https://github.com/pytorch/pytorch/blob/3d63d33ce1e357642c6e0761d315943f5e478320/c10/util/Float8_e8m0fnu.h).
    """
    exponent = (words >> np.uint32(23)) & np.uint32(0xFF)
    mantissa = words & np.uint32(0x7F_FFFF)
    up = (mantissa > _E8M0_ROUND_UP) | ((mantissa == _E8M0_ROUND_UP) & (exponent > 0))
    codes: Words = np.where(exponent == np.uint32(0xFF), exponent, exponent + up).astype(np.uint8)
    return codes


def _to_float8(words: Words32, number: FloatFormat, *, saturate: bool) -> Words:
    magnitude = words & ~_SIGN
    codes = np.where(
        magnitude < (_SINGLE.bias - number.bias + 1) << _SINGLE.mantissa_bits,
        _subnormal_codes(magnitude, number),
        _normal_codes(magnitude, number),
    )
    codes = np.where(
        codes > number.largest_regular, np.uint32(_overflow_code(number, saturate=saturate)), codes
    )
    codes = np.where(magnitude > _SINGLE.infinity, np.uint32(number.nan), codes)
    signed: Words = (codes | _sign_codes(words, codes, number)).astype(np.uint8)
    return signed


def _normal_codes(magnitude: Words32, number: FloatFormat) -> Words32:
    """Round the mantissa to nearest even and move the exponent from one bias to the other."""
    dropped = _SINGLE.mantissa_bits - number.mantissa_bits
    odd = (magnitude >> np.uint32(dropped)) & np.uint32(1)
    rounded = (magnitude + np.uint32((1 << (dropped - 1)) - 1) + odd) >> np.uint32(dropped)
    # Wraps below zero for subnormal results, which are taken from `_subnormal_codes` instead.
    codes: Words32 = rounded - np.uint32((_SINGLE.bias - number.bias) << number.mantissa_bits)
    return codes


def _subnormal_codes(magnitude: Words32, number: FloatFormat) -> Words32:
    """Count in steps of the least number; the count is the code, the least normal number's included."""
    lowest = np.uint32((_SINGLE.bias - number.bias + 1) << _SINGLE.mantissa_bits)
    steps = np.minimum(magnitude, lowest).view(np.float32) * np.float32(
        2.0 ** (number.bias + number.mantissa_bits - 1)
    )
    codes: Words32 = np.rint(steps).astype(np.uint32)
    return codes


def _overflow_code(number: FloatFormat, *, saturate: bool) -> int:
    match number.special:
        case Special.IEEE:
            return number.infinity
        case Special.FN if saturate:
            return number.largest_regular
        case _:
            return number.nan


def _sign_codes(words: Words32, codes: Words32, number: FloatFormat) -> Words32:
    sign: Words32 = (words >> np.uint32(24)) & np.uint32(0x80)
    if number.special is Special.FNUZ:
        # Zero and NaN have one code each.
        unsigned: Mask = (codes == 0) | (codes == number.nan)
        sign = np.where(unsigned, np.uint32(0), sign)
    return sign
