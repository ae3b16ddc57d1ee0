"""Which casts could explain that two tensors hold other bits, and whether one explains given elements.

Knows element types and torch's rounding. Decides about words side by side, never about whole tensors.

The name of a cast goes from the wider type to the narrower one, whichever side holds which: `float32 ->
float16`. Wider is, in this order: a floating-point type than an integer than a boolean; more mantissa bits;
more exponent bits; more bits. Where neither type holds all numbers of the other (float16 and bfloat16), the
cast in the other direction is tried as well.

Between a floating-point type and an integer or boolean nothing is ever rounded, and the name goes by bits
alone: an int64 buffer that is kept as float16 is `int64 -> float16`. Of equal bits the floating-point type,
whose range is wider, comes first.
"""

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise

import attrs
import numpy as np

from embaudit.model.dtypes import DType
from embaudit.values.encodings import Kind, Mask, Numbers, Words, encoding_of, float_format, is_nan, part_of
from embaudit.values.rounding import decode, encode

_ROUND_TRIPS = {
    DType.FLOAT64: (DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16),
    DType.FLOAT32: (DType.FLOAT16, DType.BFLOAT16),
    DType.FLOAT16: (DType.BFLOAT16,),
    DType.BFLOAT16: (DType.FLOAT16,),
    DType.COMPLEX128: (DType.COMPLEX64,),
}
"""The narrower types through which tensors of a type are saved and restored."""

_KIND_RANK = {Kind.FLOATING: 2, Kind.INTEGER: 1, Kind.BOOLEAN: 0, Kind.OPAQUE: -1}
_BYTE_BITS = 8
"""Formats of one byte differ in range and precision at once, so both directions are worth a try."""


@attrs.frozen
class Cast:
    """One explanation for other bits.

    Attributes:
        name: The path of types, joined by ` -> `.
        misses: For the words of the left and of the right, which words it does not explain.
    """

    name: str
    misses: Callable[[Words, Words], Mask]


@attrs.frozen(kw_only=True)
class Question:
    """How two tensors of given types are to be compared.

    Attributes:
        left: Type on the left.
        right: Type on the right.
        primary: The cast from the wider to the narrower type, or None for one type: then bits must be equal.
        alternatives: Other casts that may explain every difference, the likelier first. For one type they are
            round trips, which count only if differences are many: a single changed element can look like one.
    """

    left: DType
    right: DType
    primary: Cast | None
    alternatives: tuple[Cast, ...] = ()

    @property
    def narrower(self) -> DType:
        """The type whose precision bounds what can agree."""
        return max(self.left, self.right, key=_narrowness)


def comparable(left: DType, right: DType) -> bool:
    """Whether values of the two types can be held against each other at all.

    One type always can, by its bits. Packed, sub-byte and quantised types cannot with any other, since their
    numbers are not in their bits alone; nor can complex with real ones.
    """
    if left is right:
        return True
    opaque = Kind.OPAQUE in {encoding_of(left).kind, encoding_of(right).kind}
    return not opaque and left.is_complex == right.is_complex


@cache
def question_of(left: DType, right: DType) -> Question:
    """How tensors of the two types, which must be `comparable`, are to be compared."""
    if left is right:
        trips = tuple(_round_trips(left))
        return Question(left=left, right=right, primary=None, alternatives=trips)
    if {encoding_of(left).kind, encoding_of(right).kind} == {Kind.FLOATING}:
        primary, *others = _float_casts(left, right)
        return Question(left=left, right=right, primary=primary, alternatives=tuple(others))
    first, last = sorted(sorted((left, right), key=_narrowness), key=lambda dtype: -dtype.bits)
    exact = Cast(f"{first} -> {last}", partial(_unequal_numbers, left=left, right=right))
    return Question(left=left, right=right, primary=exact)


def _narrowness(dtype: DType) -> tuple[int, ...]:
    kind = encoding_of(dtype).kind
    if kind is not Kind.FLOATING:
        return -_KIND_RANK[kind], 0, 0, -dtype.bits
    number = float_format(dtype)
    return -_KIND_RANK[kind], -number.mantissa_bits, -number.exponent_bits, -dtype.bits


def _round_trips(dtype: DType) -> Iterator[Cast]:
    for through in _ROUND_TRIPS.get(dtype, ()):
        path = (dtype, through, dtype)
        yield _float_cast(path, from_left=True)
        yield _float_cast(path, from_left=False)


def _float_casts(left: DType, right: DType) -> Iterator[Cast]:
    wider, narrower = sorted((left, right), key=_narrowness)
    yield _float_cast((wider, narrower), from_left=wider is left)
    if narrower is DType.FLOAT8_E4M3FN:
        yield _float_cast((wider, narrower), from_left=wider is left, saturate=False)
    one_byte = part_of(wider).bits == _BYTE_BITS
    if one_byte or float_format(narrower).exponent_bits > float_format(wider).exponent_bits:
        yield _float_cast((narrower, wider), from_left=narrower is left)


def _float_cast(path: tuple[DType, ...], *, from_left: bool, saturate: bool = True) -> Cast:
    name = " -> ".join(str(dtype) for dtype in path)
    return Cast(name, partial(_unexplained, path=path, from_left=from_left, saturate=saturate))


def _unexplained(
    left: Words, right: Words, *, path: tuple[DType, ...], from_left: bool, saturate: bool
) -> Mask:
    """Which words of the cast's target are not its source's, rounded; any NaN counts as any other."""
    words, target = (left, right) if from_left else (right, left)
    for stored, rounded in pairwise(path):
        words = encode(decode(words, stored), rounded, saturate=saturate)
    missed: Mask = words != target
    if missed.any():
        number = float_format(path[-1])
        missed &= ~(is_nan(words, number) & is_nan(target, number))
    return missed


def _unequal_numbers(left_words: Words, right_words: Words, *, left: DType, right: DType) -> Mask:
    """Where two types, not both floating-point, hold other numbers; nothing is rounded."""
    first, second = decode(left_words, left), decode(right_words, right)
    if first.dtype.kind == "f":
        return ~_float_is_integer(first, second)
    if second.dtype.kind == "f":
        return ~_float_is_integer(second, first)
    unequal: Mask = (_two_complement(first) != _two_complement(second)) | ((first < 0) != (second < 0))
    return unequal


def _two_complement(values: Numbers) -> Words:
    return values.astype(np.int64 if values.dtype.kind == "i" else np.uint64).view(np.uint64)


def _float_is_integer(floats: Numbers, integers: Numbers) -> Mask:
    signed = integers.dtype.kind == "i"
    low, high = (-(2.0**63), 2.0**63) if signed else (0.0, 2.0**64)
    with np.errstate(invalid="ignore"):
        whole = (floats >= low) & (floats < high) & (floats == np.trunc(floats))
    wide = np.int64 if signed else np.uint64
    equal: Mask = whole & (np.where(whole, floats, 0).astype(wide) == integers.astype(wide))
    return equal
