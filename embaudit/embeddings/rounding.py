"""How far rounding to a number type, and computing in it, moves a row: the bounds, and where they come from.

Let `u` be the unit roundoff of a type: half the distance from 1 to the next number, 2^-24 for float32, 2^-11
for float16, 2^-8 for bfloat16 (IEEE 754-2019, table 3.2; bfloat16 keeps 8 bits of a float32's 24). Rounding a
number `x` to nearest changes it by at most `u |x|`, or below the least normal number by half a step of the
least subnormal. Hence three grades of evidence, the strictest first:

`cast`      One side, rounded, *is* the other.
`stored`    Every number differs by at most `2 u` of its magnitude: both sides may have been rounded.
`computed`  Roundings happen inside the network, many of them, and add up like a random walk: the relative
            distance of a row is a multiple of `u` that grows with the square root of the depth. See
            `ACCUMULATED`.

int8 and decimal digits have steps of their own: see `embaudit.embeddings.evidence`.
"""

from collections.abc import Mapping

import numpy as np

from embaudit.embeddings.measuring import Floats
from embaudit.model.dtypes import DType
from embaudit.values.rounding import decode, encode

UNIT_ROUNDOFF: Mapping[DType, float] = {
    DType.FLOAT32: 2.0**-24,
    DType.FLOAT16: 2.0**-11,
    DType.BFLOAT16: 2.0**-8,
}
"""Relative error of one rounding to nearest, the finest type first."""

LEAST_STEP: Mapping[DType, float] = {
    DType.FLOAT32: 2.0**-149,
    DType.FLOAT16: 2.0**-24,
    DType.BFLOAT16: 2.0**-133,
}
"""The least subnormal number: the step between numbers below the least normal one. Rounding is off by half of
it there, or by all of it where both sides are rounded."""

ACCUMULATED: Mapping[DType, float] = {
    DType.FLOAT32: 2.0**8,
    DType.FLOAT16: 2.0**3,
    DType.BFLOAT16: 2.0**4,
}
"""Roundings, in units of `u`, that a row computed in the type may be off by.

all-MiniLM-L6-v2 on the probe texts, each alone, held against one batch in float32: float32 is off by up to
21 `u`, float16 by 2.2 to 3.9 `u`, bfloat16 by 2.2 to 4.2 `u` (torch 2.13, CPU; held within bounds by
`tests/embeddings/test_real_vectors.py`). It has 6 layers; four times the depth doubles a random walk. For
float32 the next coarser type is 2^13 away, so that there is room for 10 times more. float16 and bfloat16 are
only 2^3 apart: the border lies between what each was seen to do, at 2^-8 of a row's length, and 2^-4, cosine
0.998, is the most that is called rounding at all."""

NOISE_SPREAD = 8.0
"""How many times as far as the nearest row another row may be off, where all were computed in one type. The
probe texts through all-MiniLM-L6-v2 are off by 1.1e-3 to 1.9e-3 in float16 and by 8.5e-3 to 16e-3 in
bfloat16, a factor of 2 (torch 2.13, CPU). Within the bound of float32 it does not matter."""

LEAST_STORED = 2.0**-4
"""Share of `u` that rounding moves a row by at least, as a whole: errors spread evenly over half a step leave
0.3 to 0.6 `u`. A row that is nearer than this was not rounded to the type, however its numbers lie."""

HALF_TYPES = (DType.BFLOAT16, DType.FLOAT16)
"""Types of 16 bits, the one with fewer digits first."""


def noise_limit(dtype: DType) -> float:
    """The largest relative distance of a row that computing in the type explains."""
    return UNIT_ROUNDOFF[dtype] * ACCUMULATED[dtype]


LARGEST_NOISE = noise_limit(DType.BFLOAT16)
"""The largest relative distance that is called rounding: 2^-4, cosine 0.998."""


def type_of_noise(distance: float) -> DType | None:
    """The finest type whose noise explains a relative distance, or None if none does."""
    return next((dtype for dtype in UNIT_ROUNDOFF if distance <= noise_limit(dtype)), None)


def rounded(numbers: Floats, dtype: DType) -> Floats:
    """The numbers, rounded to one of the types of `UNIT_ROUNDOFF` and back."""
    return decode(encode(numbers, dtype), dtype).astype(np.float64)


def type_of_numbers(numbers: Floats) -> DType | None:
    """The half-width type that all of the numbers are of; None if they are of neither.

    Most numbers of bfloat16 are numbers of float16 too, which has more digits; so bfloat16 is asked first.
    Whole numbers, such as the codes of int8, show no type.
    """
    if np.array_equal(numbers, np.rint(numbers)):
        return None
    return next((dtype for dtype in HALF_TYPES if np.array_equal(rounded(numbers, dtype), numbers)), None)
