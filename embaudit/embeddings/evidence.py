"""What single numbers show: rows that are other rows, cast, stored, quantised, or printed with few digits.

A grade is asked row by row, and answers for each row by itself; what a verdict makes of the answers is said
in `embaudit.embeddings.explaining`. The types and their bounds are in `embaudit.embeddings.rounding`.

int8 has no fixed step. Its evidence is that the numbers of a row lie on a grid of at most 255 steps, and that
each number of the other side lies within one step of its own. Decimal digits have: `10^-d`, and half of it is
the most that a number moves.
"""

from collections.abc import Callable, Iterator
from functools import partial

import attrs
import numpy as np

from embaudit.embeddings.measuring import Floats, Matrix, Rows, blocks
from embaudit.embeddings.rounding import LEAST_STEP, LEAST_STORED, UNIT_ROUNDOFF, rounded
from embaudit.model.comparison import Rounding, RoundingKind
from embaudit.model.dtypes import DType
from embaudit.values.encodings import Mask

SCALED_GRID_STEPS = 255
"""Steps of a grid of 8 bits, from its lowest to its highest number."""
SYMMETRIC_STEPS = 127
"""Steps from 0 to the largest magnitude where int8 is used symmetrically."""
GRID_FUZZ = 2.0**-8
"""How far from a whole number of steps a number on the grid may be: 255 steps in float32 are off by 2^-16 at
most, and a factor that was estimated from them by little more."""
LEAST_GRID_NUMBERS = 16
"""Numbers of a row below which a grid says nothing: a few numbers lie on some grid by chance."""

MOST_DECIMALS = 6
"""Digits after the point that are looked for; with more, nothing is lost that float32 would keep."""
DECIMAL_FUZZ = 2.0**-5
"""How far from a whole number of decimal steps a number may be, in steps: float32 holds no decimal fraction
exactly. Where it is off by more, its numbers are too large to show that digit."""

_PROBED = 16
"""Numbers of a row that are looked at first: hardly a row that is no cast passes them."""
_PROBED_FOR_A_GRID = 64
"""The same for a grid: of so many random numbers two are nearly always nearer than a step of 8 bits."""


@attrs.frozen(kw_only=True, eq=False)
class Pairs:
    """Rows that should be equal.

    Attributes:
        expected: Rows.
        observed: As many rows.
        order: For each observed row the expected one; None for the one in its place.
        factors: What each expected row is multiplied by first; None for nothing.
    """

    expected: Matrix
    observed: Matrix
    order: Rows | None = None
    factors: Floats | None = None

    @property
    def width(self) -> int:
        """The dimensions that both have."""
        width: int = min(self.expected.shape[1], self.observed.shape[1])
        return width

    def blocks(self, chosen: Mask) -> Iterator[tuple[Rows, Floats, Floats]]:
        """Blocks of the chosen rows in float64, and which rows they are."""
        for rows, left, right in blocks(self.expected, self.observed, self.order):
            kept = np.flatnonzero(chosen[rows])
            if len(kept):
                places = kept + rows.start
                wanted = left[kept]
                if self.factors is not None:
                    wanted = wanted * self.factors[places][:, np.newaxis]
                yield places, wanted, right[kept]


@attrs.frozen(kw_only=True, eq=False)
class Grade:
    """One kind of evidence.

    Attributes:
        holds: For which rows of a block it holds.
        rounding: What it shows, if that is a type.
        decimals: What it shows, if that is a number of digits after the point.
    """

    holds: Callable[[Floats, Floats], Mask]
    rounding: Rounding | None = None
    decimals: int | None = None


def first_of(grades: tuple[Grade, ...], pairs: Pairs, chosen: Mask) -> Grade | None:
    """The first grade that holds for every chosen row; each block rules some out."""
    left = grades
    for _, expected, observed in pairs.blocks(chosen):
        left = tuple(grade for grade in left if bool(grade.holds(expected, observed).all()))
        if not left:
            return None
    return left[0] if left else None


def rows_of(grades: tuple[Grade, ...], pairs: Pairs, chosen: Mask) -> tuple[Mask, ...]:
    """Which of the chosen rows each grade holds for."""
    found = tuple(np.zeros_like(chosen) for _ in grades)
    for places, expected, observed in pairs.blocks(chosen):
        for grade, holds in zip(grades, found, strict=True):
            holds[places] = grade.holds(expected, observed)
    return found


def _screened(expected: Floats, observed: Floats, holds: Callable[[Floats, Floats], Mask]) -> Mask:
    """What holds for rows, asked first of some of their numbers: of all, where it holds for those."""
    possible = np.flatnonzero(holds(expected[:, :_PROBED], observed[:, :_PROBED]))
    result = np.zeros(len(expected), dtype=np.bool_)
    result[possible] = holds(expected[possible], observed[possible])
    return result


def _is_cast(expected: Floats, observed: Floats, dtype: DType) -> Mask:
    there: Mask = (rounded(expected, dtype) == observed).all(axis=1)
    back: Mask = (rounded(observed, dtype) == expected).all(axis=1)
    result: Mask = there | back
    return result


def _is_stored(expected: Floats, observed: Floats, dtype: DType) -> Mask:
    """A row that hardly moved was not rounded, unless its numbers are of the type already."""
    apart = np.abs(expected - observed)
    larger = np.maximum(np.abs(expected), np.abs(observed))
    allowed = np.maximum(2.0 * UNIT_ROUNDOFF[dtype] * larger, LEAST_STEP[dtype])
    holds: Mask = np.all(apart <= allowed, axis=1)
    if dtype is DType.FLOAT32 or not holds.any():
        return holds
    moved: Mask = np.linalg.norm(apart, axis=1) >= (
        LEAST_STORED * UNIT_ROUNDOFF[dtype] * np.linalg.norm(larger, axis=1)
    )
    still = np.flatnonzero(holds & ~moved)
    for numbers in (expected, observed):
        of_the_type: Mask = (rounded(numbers[still], dtype) == numbers[still]).all(axis=1)
        still = still[~of_the_type]
    holds[still] = False
    return holds


def _is_printed(expected: Floats, observed: Floats, decimals: int) -> Mask:
    """Whether one side has so many digits after the point, and the other is within half a step of it."""
    step = 10.0**-decimals
    near: Mask = np.abs(expected - observed).max(axis=1) <= step * (0.5 + DECIMAL_FUZZ)
    if expected.shape[1] < LEAST_GRID_NUMBERS or not near.any():
        return np.zeros_like(near)
    # What float32 makes of a decimal fraction is off by so much.
    lost = 2.0 * UNIT_ROUNDOFF[DType.FLOAT32] * np.abs(observed).max(axis=1) / step
    result: Mask = near & (lost <= DECIMAL_FUZZ) & (_on_steps(expected, step) | _on_steps(observed, step))
    return result


def _on_steps(numbers: Floats, step: float) -> Mask:
    counted = numbers / step
    result: Mask = np.all(np.abs(counted - np.rint(counted)) <= DECIMAL_FUZZ, axis=1)
    return result


def _is_quantised(
    expected: Floats, observed: Floats, steps_of: Callable[[Floats], Floats], *, swapped: bool
) -> Mask:
    """Whether one side lies on grids of 8 bits, and the other side within a step of it."""
    if expected.shape[1] < LEAST_GRID_NUMBERS:
        return np.zeros(len(expected), dtype=np.bool_)
    result = np.zeros(len(expected), dtype=np.bool_)
    possible = np.flatnonzero(_may_be_quantised((expected if swapped else observed)[:, :_PROBED_FOR_A_GRID]))
    expected, observed = expected[possible], observed[possible]
    numbers = expected if swapped else observed
    step = steps_of(numbers)
    column = step[:, np.newaxis]
    counted = (numbers - numbers.min(axis=1, keepdims=True)) / column
    whole = np.abs(counted - np.rint(counted)).max(axis=1) <= GRID_FUZZ
    few = counted.max(axis=1) <= SCALED_GRID_STEPS + GRID_FUZZ
    near = np.abs(expected - observed).max(axis=1) <= step * (1.0 + GRID_FUZZ)
    result[possible] = whole & few & near
    return result


def _may_be_quantised(some: Floats) -> Mask:
    """Whether no two numbers of a row are nearer than a grid of 8 bits has them."""
    most = (SCALED_GRID_STEPS + GRID_FUZZ) * (1.0 + 4.0 * GRID_FUZZ)
    result: Mask = np.ptp(some, axis=1) <= most * _smallest_steps(some)
    return result


def _symmetric_steps(numbers: Floats) -> Floats:
    """The step if the largest magnitude of a row is 127 steps."""
    steps: Floats = np.abs(numbers).max(axis=1) / SYMMETRIC_STEPS
    return np.where(steps > 0.0, steps, 1.0)


def _smallest_steps(numbers: Floats) -> Floats:
    """The smallest distance of two different numbers of a row; 1 if there is none."""
    apart = np.diff(np.sort(numbers, axis=1), axis=1)
    smallest: Floats = np.where(apart > 0.0, apart, np.inf).min(axis=1)
    return np.where(np.isfinite(smallest), smallest, 1.0)


def _typed(kind: RoundingKind, dtype: DType, holds: Callable[[Floats, Floats], Mask]) -> Grade:
    return Grade(rounding=Rounding(dtype=dtype, kind=kind), holds=holds)


CASTS = tuple(
    _typed(RoundingKind.CAST, dtype, partial(_screened, holds=partial(_is_cast, dtype=dtype)))
    for dtype in (*UNIT_ROUNDOFF, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2)
)
"""One side, rounded to the type, is the other."""

STORED = tuple(
    _typed(RoundingKind.STORED, dtype, partial(_is_stored, dtype=dtype)) for dtype in UNIT_ROUNDOFF
)
"""Every number is within two roundings of the other."""

PRINTED = tuple(
    Grade(decimals=decimals, holds=partial(_screened, holds=partial(_is_printed, decimals=decimals)))
    for decimals in range(1, MOST_DECIMALS + 1)
)
"""One side has so many digits after the point; the coarsest first, since a number of 2 digits has 3 too."""

QUANTISED = tuple(
    _typed(RoundingKind.STORED, DType.INT8, partial(_is_quantised, steps_of=steps_of, swapped=swapped))
    for swapped in (False, True)
    for steps_of in (_symmetric_steps, _smallest_steps)
)
"""One side lies on a grid of 8 bits."""
