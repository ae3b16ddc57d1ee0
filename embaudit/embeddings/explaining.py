"""Which rows are the same but for rounding, and for which: one verdict from all rows together.

A row by itself is within some bound or not. Rows together say more, since one program made them: they are off
alike. So a verdict rests on the rows that are nearest. Where some are the same numbers, or their exact cast,
rows that are farther off were made otherwise, however many they are; and where all are off, the farthest is
off by no more than `NOISE_SPREAD` times the nearest. As long as one row is right, further wrong rows do not
make a verdict better.

If all rows are off alike, within the bounds of `embaudit.embeddings.rounding`, nothing here tells a fault
from a coarse type.
"""

import attrs
import numpy as np

from embaudit.embeddings.evidence import (
    CASTS,
    PRINTED,
    QUANTISED,
    STORED,
    Grade,
    Pairs,
    first_of,
    rows_of,
)
from embaudit.embeddings.measuring import Floats
from embaudit.embeddings.rounding import (
    LARGEST_NOISE,
    LEAST_STORED,
    NOISE_SPREAD,
    UNIT_ROUNDOFF,
    noise_limit,
    type_of_noise,
    type_of_numbers,
)
from embaudit.model.comparison import Rounding, RoundingKind
from embaudit.model.dtypes import DType
from embaudit.values.encodings import Mask

LEAST_COARSE_DIMENSION = 8
"""Dimensions below which only equal numbers, exact casts and the noise of float32 count. Two directions of 2
dimensions are within 2^-4 of one another by chance once in 50, of 8 dimensions once in 10^9."""

_FINE = noise_limit(DType.FLOAT32)


@attrs.frozen(kw_only=True, eq=False)
class Explained:
    """Rows that agree, and why.

    Attributes:
        agrees: Which rows.
        rounding: The type that explains what is left of them, if something is.
        decimals: The digits after the point that do, instead of a type.
        notes: Why rows that are near do not agree.
    """

    agrees: Mask
    rounding: Rounding | None = None
    decimals: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_to_the_bit(self) -> bool:
        """Whether nothing is left but an exact cast."""
        return self.rounding is not None and self.rounding.kind is RoundingKind.CAST


def explain(pairs: Pairs, left: Floats, stretched: Mask) -> Explained:
    """Which rows agree.

    Args:
        pairs: The rows.
        left: The relative distance of each pair.
        stretched: Pairs that are off by a factor, as far as it shows: only a cast to the bit does that.
    """
    near = left <= LARGEST_NOISE
    if not (left[near] > 0.0).any():
        return Explained(agrees=near)
    # Undoing a factor rounds, so that no bit tells any more.
    casts = CASTS if pairs.factors is None else ()
    cast = first_of(casts, pairs, near)
    if cast is not None:
        return _by_evidence(cast, near)
    if pairs.width < LEAST_COARSE_DIMENSION:
        return _in_few_dimensions(pairs, left, near, casts)
    sound = near & ~stretched
    if not sound.any():
        return Explained(agrees=sound)
    found = _whole(pairs, left, sound, (*casts, *PRINTED, *STORED, *QUANTISED))
    return found or _grouped(pairs, left, sound, casts)


def _grouped(pairs: Pairs, left: Floats, sound: Mask, casts: tuple[Grade, ...]) -> Explained:
    """As `explain`, where no evidence holds for all rows: of those that belong to the nearest."""
    group = _exact_group(pairs, left, sound, (*casts, *PRINTED, *QUANTISED))
    if group is None:
        group = sound & (left <= max(_FINE, NOISE_SPREAD * float(left[sound].min())))
    found = _whole(pairs, left, group, (*casts, *PRINTED, *STORED, *QUANTISED))
    return found or _computed(pairs, left, group)


def _in_few_dimensions(pairs: Pairs, left: Floats, near: Mask, casts: tuple[Grade, ...]) -> Explained:
    group = _exact_group(pairs, left, near, casts)
    if group is None:
        group = left <= _FINE
    if not group.any():
        return Explained(agrees=group)
    return _whole(pairs, left, group, (*casts, *STORED[:1])) or _computed(pairs, left, group)


def _whole(pairs: Pairs, left: Floats, group: Mask, grades: tuple[Grade, ...]) -> Explained | None:
    """The evidence that holds for a whole group; None if none does."""
    if not (left[group] > 0.0).any():
        return Explained(agrees=group)
    found = first_of(grades, pairs, group)
    return None if found is None else _by_evidence(found, group)


def _by_evidence(grade: Grade, group: Mask) -> Explained:
    return Explained(agrees=group, rounding=grade.rounding, decimals=grade.decimals)


def _exact_group(pairs: Pairs, left: Floats, near: Mask, grades: tuple[Grade, ...]) -> Mask | None:
    """The rows that one kind of evidence holds for, if it does for some that were moved.

    Rows that are equal, or off by the noise of float32 alone, must be of that evidence too: a row that a type
    would have changed, and did not, is against it.
    """
    fine = near & (left <= _FINE)
    for grade, holds in zip(grades, rows_of(grades, pairs, near), strict=True):
        if (holds & ~fine).any() and not (fine & ~holds).any():
            return holds | _stored_alike(grade, pairs, near & ~holds)
    return None


def _stored_alike(cast: Grade, pairs: Pairs, others: Mask) -> Mask:
    """Rows beside a cast that are of its type as well, if not to the bit."""
    dtype = None if cast.rounding is None else cast.rounding.dtype
    same = tuple(grade for grade in STORED if grade.rounding and grade.rounding.dtype is dtype)
    return rows_of(same, pairs, others)[0] if same else np.zeros_like(others)


def _computed(pairs: Pairs, left: Floats, group: Mask) -> Explained:
    """The type whose noise explains what is left: the one that the numbers show, else the finest."""
    worst = float(left[group].max())
    shown = _shown(pairs, group)
    if shown is None or worst < LEAST_STORED * UNIT_ROUNDOFF[shown]:
        shown = type_of_noise(worst)
    elif worst > noise_limit(shown):
        note = (
            f"the numbers are of {shown}, and rows are {worst:.2g} apart, more than computing in {shown} "
            f"explains ({noise_limit(shown):.2g})"
        )
        return Explained(agrees=np.zeros_like(group), notes=(note,))
    if shown is None:
        return Explained(agrees=np.zeros_like(group))
    return Explained(agrees=group, rounding=Rounding(dtype=shown, kind=RoundingKind.COMPUTED))


def _shown(pairs: Pairs, group: Mask) -> DType | None:
    """The half-width type that all numbers of a side are of; the coarser one if both sides show one.

    A server that computes in float16 or bfloat16 gives numbers of that type, however many digits it prints.
    """
    types: tuple[set[DType | None], set[DType | None]] = (set(), set())
    for _, *sides in pairs.blocks(group):
        for found, numbers in zip(types, sides, strict=True):
            if None not in found:
                found.add(type_of_numbers(numbers))
        if all(None in found for found in types):
            return None
    known = [dtype for found in types if len(found) == 1 for dtype in found if dtype is not None]
    return max(known, key=UNIT_ROUNDOFF.__getitem__, default=None)
