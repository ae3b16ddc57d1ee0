"""Which number type explains the differences of rows that are the same but for rounding.

Let `u` be the unit roundoff of a type: half the distance from 1 to the next number, 2^-24 for float32, 2^-11
for float16, 2^-8 for bfloat16 (IEEE 754-2019, table 3.2; bfloat16 keeps 8 bits of a float32's 24). Rounding a
number `x` to nearest changes it by at most `u |x|`, or below the least normal number by half a step of the
least subnormal. Hence three grades of evidence, the strictest first:

`cast`      One side, rounded, *is* the other.
`stored`    Every number differs by at most `2 u` of its magnitude: both sides may have been rounded.
`computed`  Roundings happen inside the network, many of them, and add up like a random walk: the relative
            distance of a row is a multiple of `u` that grows with the square root of the depth. See
            `ACCUMULATED`.

int8 has no fixed step. Its evidence is that the numbers of a row lie on a grid of at most 255 steps, and that
each number of the other side lies within one step of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import attrs
import numpy as np

from embaudit.embeddings.measuring import Floats
from embaudit.model.comparison import Rounding, RoundingKind
from embaudit.model.dtypes import DType
from embaudit.values.encodings import Mask
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

LEAST_STORED = 2.0**-4
"""Share of `u` that rounding moves a row by at least, as a whole: errors spread evenly over half a step leave
0.3 to 0.6 `u`. A row that is nearer than this was not rounded to the type, however its numbers lie."""

SCALED_GRID_STEPS = 255
"""Steps of a grid of 8 bits, from its lowest to its highest number."""
SYMMETRIC_STEPS = 127
"""Steps from 0 to the largest magnitude where int8 is used symmetrically."""
GRID_FUZZ = 2.0**-8
"""How far from a whole number of steps a number on the grid may be: 255 steps in float32 are off by 2^-16 at
most, and a factor that was estimated from them by little more."""
GRID_ROWS = 64
"""Rows that are looked at for a grid."""
LEAST_GRID_NUMBERS = 16
"""Numbers of a row below which a grid says nothing: a few numbers lie on some grid by chance."""

_EVERY_GRADE = tuple(
    Rounding(dtype=dtype, kind=kind)
    for kind in (RoundingKind.CAST, RoundingKind.STORED)
    for dtype in UNIT_ROUNDOFF
)


def noise_limit(dtype: DType) -> float:
    """The largest relative distance of a row that computing in the type explains."""
    return UNIT_ROUNDOFF[dtype] * ACCUMULATED[dtype]


LARGEST_NOISE = noise_limit(DType.BFLOAT16)
"""The largest relative distance that is called rounding: 2^-4, cosine 0.998."""


def type_of_noise(distance: float) -> DType | None:
    """The finest type whose noise explains a relative distance, or None if none does."""
    return next((dtype for dtype in UNIT_ROUNDOFF if distance <= noise_limit(dtype)), None)


def rounding_of(
    pairs: Callable[[], Iterable[tuple[Floats, Floats]]], distance: float, *, exact: bool = True
) -> Rounding | None:
    """The number type that explains the differences, by the strictest grade that holds for every row.

    Args:
        pairs: Blocks of rows that should be equal, in float64; asked for more than once.
        distance: The largest relative distance of any of these rows.
        exact: Whether a cast may be looked for. If a factor had to be undone it may not: undoing rounds.

    Returns:
        None if no type explains that distance.
    """
    graded = _graded(pairs, distance, exact=exact)
    if graded is not None:
        return graded
    if distance > LARGEST_NOISE:
        return None
    if distance > noise_limit(DType.FLOAT32) and _is_grid(pairs()):
        return Rounding(dtype=DType.INT8, kind=RoundingKind.STORED)
    shown = _type_of_numbers(pairs())
    if shown is None or distance < LEAST_STORED * UNIT_ROUNDOFF[shown]:
        shown = type_of_noise(distance)
    return None if shown is None else Rounding(dtype=shown, kind=RoundingKind.COMPUTED)


def _graded(
    pairs: Callable[[], Iterable[tuple[Floats, Floats]]], distance: float, *, exact: bool
) -> Rounding | None:
    """The first grade and type that holds for every number; each block rules some out."""
    left = [grade for grade in _EVERY_GRADE if _is_possible(grade, distance, exact=exact)]
    for expected, observed in pairs():
        left = [grade for grade in left if _HOLDS[grade.kind](expected, observed, grade.dtype)]
        if not left:
            return None
    return left[0]


def _is_possible(grade: Rounding, distance: float, *, exact: bool) -> bool:
    if grade.kind is RoundingKind.CAST:
        return exact
    return grade.dtype is DType.FLOAT32 or distance >= LEAST_STORED * UNIT_ROUNDOFF[grade.dtype]


def rounded(numbers: Floats, dtype: DType) -> Floats:
    """The numbers, rounded to one of the types of `UNIT_ROUNDOFF` and back."""
    return decode(encode(numbers, dtype), dtype).astype(np.float64)


def _is_cast(expected: Floats, observed: Floats, dtype: DType) -> bool:
    return bool(
        np.array_equal(rounded(expected, dtype), observed)
        or np.array_equal(rounded(observed, dtype), expected)
    )


def _is_stored(expected: Floats, observed: Floats, dtype: DType) -> bool:
    larger = np.maximum(np.abs(expected), np.abs(observed))
    allowed = np.maximum(2.0 * UNIT_ROUNDOFF[dtype] * larger, LEAST_STEP[dtype])
    return bool((np.abs(expected - observed) <= allowed).all())


_HOLDS: Mapping[RoundingKind, Callable[[Floats, Floats, DType], bool]] = {
    RoundingKind.CAST: _is_cast,
    RoundingKind.STORED: _is_stored,
}


def _type_of_numbers(pairs: Iterable[tuple[Floats, Floats]]) -> DType | None:
    """The half-width type that all numbers of one side are of, and those of the other side are not.

    A server that computes in float16 or bfloat16 gives numbers of that type, however many digits it prints.
    """
    types: list[set[DType | None]] = [set(), set()]
    for sides in pairs:
        for found, numbers in zip(types, sides, strict=True):
            found.add(type_of_numbers(numbers))
        if all(None in found for found in types):
            return None
    alike = [found.pop() for found in types if len(found) == 1]
    known = [dtype for dtype in alike if dtype is not None]
    return known[0] if len(known) == 1 else None


def type_of_numbers(numbers: Floats) -> DType | None:
    """The half-width type that all of the numbers are of; None if they are of neither."""
    halves = (dtype for dtype in UNIT_ROUNDOFF if dtype is not DType.FLOAT32)
    return next((dtype for dtype in halves if np.array_equal(rounded(numbers, dtype), numbers)), None)


@attrs.frozen
class _Grid:
    """Whether rows lie on a grid, and the step of each."""

    on_grid: Mask
    step: Floats


def _is_grid(pairs: Iterable[tuple[Floats, Floats]]) -> bool:
    """Whether one side lies on grids of 8 bits, and the other side within a step of it."""
    expected, observed = _sampled(pairs)
    if expected.shape[1] < LEAST_GRID_NUMBERS:
        return False
    apart = np.abs(expected - observed).max(axis=1)
    for numbers in (observed, expected):
        for grid in map(partial(_grid_of, numbers), (_symmetric_steps, _smallest_steps)):
            if bool((grid.on_grid & (apart <= grid.step * (1.0 + GRID_FUZZ))).all()):
                return True
    return False


def _sampled(pairs: Iterable[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """The first rows of each block, `GRID_ROWS` in all at most."""
    expected: list[Floats] = []
    observed: list[Floats] = []
    n_rows = 0
    for left, right in pairs:
        take = GRID_ROWS - n_rows
        if take <= 0:
            break
        expected.append(left[:take])
        observed.append(right[:take])
        n_rows += len(expected[-1])
    return np.concatenate(expected), np.concatenate(observed)


def _grid_of(numbers: Floats, steps_of: Callable[[Floats], Floats]) -> _Grid:
    step = steps_of(numbers)
    column = step[:, np.newaxis]
    counted = (numbers - numbers.min(axis=1, keepdims=True)) / column
    whole = np.abs(counted - np.rint(counted)).max(axis=1) <= GRID_FUZZ
    few = counted.max(axis=1) <= SCALED_GRID_STEPS + GRID_FUZZ
    return _Grid(whole & few, step)


def _symmetric_steps(numbers: Floats) -> Floats:
    """The step if the largest magnitude of a row is 127 steps."""
    steps: Floats = np.abs(numbers).max(axis=1) / SYMMETRIC_STEPS
    return steps


def _smallest_steps(numbers: Floats) -> Floats:
    """The smallest distance of two different numbers of a row; 1 if there is none."""
    apart = np.diff(np.sort(numbers, axis=1), axis=1)
    smallest: Floats = np.where(apart > 0.0, apart, np.inf).min(axis=1)
    return np.where(np.isfinite(smallest), smallest, 1.0)
