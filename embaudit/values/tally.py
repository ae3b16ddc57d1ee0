"""What was seen of the differences between two tensors, and the verdict over all of it.

Knows the rules that are written down in `embaudit.values`; the constants here are those rules' numbers.
"""

from collections.abc import Sequence
from math import isfinite
from sys import float_info

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.model.dtypes import DType
from embaudit.model.tensor_map import Agreement, Comparison
from embaudit.values.casts import Question
from embaudit.values.encodings import Mask, Numbers, part_of

RELATIVE_TOLERANCE = {
    DType.FLOAT64: 1e-7,
    DType.FLOAT32: 1.3e-6,
    DType.FLOAT16: 1e-3,
    DType.BFLOAT16: 1.6e-2,
    DType.FLOAT8_E4M3FN: 2.0**-3,
    DType.FLOAT8_E4M3FNUZ: 2.0**-3,
    DType.FLOAT8_E5M2: 2.0**-2,
    DType.FLOAT8_E5M2FNUZ: 2.0**-2,
}
"""How far values of each type may be apart, relative to their size, and still be `close`.

The first four are the defaults of `torch.testing.assert_close` (torch 2.13, `_DTYPE_PRECISIONS`); its
absolute tolerance of 1e-5 is not taken over, since whole tensors of weights are smaller than that. The
one-byte types get the distance between neighbouring numbers."""

MANY_SHARE = 16
"""Differences are many if at least one element in so many differs: rounding spares few elements, while damage
and tampering touch few. Pruned tensors, nine tenths zeros, still count as rounded."""

LEAST_MANY = 2
"""One differing element is never many, however small the tensor."""

Float64s = npt.NDArray[np.float64]


@attrs.frozen(kw_only=True)
class Tally:
    """What was seen in a part of two tensors. Parts add up in any grouping, in order.

    Attributes:
        n_seen: Elements compared.
        n_unexamined: Elements of boxes with equal bits, where no alternative cast was tried.
        n_different: Elements that differ in bits or, with two types, after the primary cast.
        first: Position in C order of the first such element.
        n_unequal: Differing parts of elements that are other numbers too: neither zeros of two signs nor NaN
            on both sides.
        n_unmatched: Differing parts that are NaN or infinite on one side and something else on the other.
        max_abs: Largest distance between finite numbers, or None if there were none.
        max_rel: Largest distance relative to the larger of the two.
        excess: Largest distance beyond the relative tolerance, over differing finite numbers.
        magnitude: Sum, over differing finite numbers, of the larger of the two.
        n_finite: How many numbers that sum counts.
        alternatives: For each alternative cast, whether it explains everything examined so far.
    """

    n_seen: int = 0
    n_unexamined: int = 0
    n_different: int = 0
    first: int | None = None
    n_unequal: int = 0
    n_unmatched: int = 0
    max_abs: float | None = None
    max_rel: float | None = None
    excess: float = 0.0
    magnitude: float = 0.0
    n_finite: int = 0
    alternatives: tuple[bool, ...] = ()

    @property
    def is_many(self) -> bool:
        """Whether the differences are as many as rounding makes them."""
        return self.n_different >= LEAST_MANY and self.n_different * MANY_SHARE >= self.n_seen


def total(parts: Sequence[Tally]) -> Tally:
    """The tallies of all parts, in the order of the parts, as one. There must be at least one."""
    return Tally(
        n_seen=sum(part.n_seen for part in parts),
        n_unexamined=sum(part.n_unexamined for part in parts),
        n_different=sum(part.n_different for part in parts),
        first=min((part.first for part in parts if part.first is not None), default=None),
        n_unequal=sum(part.n_unequal for part in parts),
        n_unmatched=sum(part.n_unmatched for part in parts),
        max_abs=max((part.max_abs for part in parts if part.max_abs is not None), default=None),
        max_rel=max((part.max_rel for part in parts if part.max_rel is not None), default=None),
        excess=max(part.excess for part in parts),
        magnitude=sum(part.magnitude for part in parts),
        n_finite=sum(part.n_finite for part in parts),
        alternatives=tuple(map(all, zip(*(part.alternatives for part in parts), strict=True))),
    )


def measure(left: Numbers, right: Numbers, differs: Mask, tolerance: float) -> Tally:
    """The numeric fields of a tally, for numbers side by side.

    Args:
        left: Numbers of the left; of a complex tensor, the parts.
        right: Those of the right.
        differs: Which of them count as differing.
        tolerance: Of the narrower type.
    """
    with np.errstate(all="ignore"):
        first, second = left.astype(np.float64), right.astype(np.float64)
        same = np.isnan(first) & np.isnan(second)
        if left.dtype.kind == right.dtype.kind == "f" or left.dtype == right.dtype:
            # Between kinds `differs` is exact already, and numpy would round to compare.
            same |= left == right
        finite = np.isfinite(first) & np.isfinite(second)
        largest = np.maximum(np.abs(first), np.abs(second))
        distance = _distance(left, right, first, second)
        counted = differs & finite
        # Two numbers of opposite sign are at most twice the larger apart, even if that is no longer finite.
        relative = np.minimum(
            2.0, np.divide(distance, largest, out=np.zeros_like(distance), where=largest > 0)
        )
        beyond = distance - tolerance * largest
        magnitude = float(largest.sum(where=counted))
    return Tally(
        n_unequal=int(np.count_nonzero(differs & ~same)),
        n_unmatched=int(np.count_nonzero(differs & ~same & ~finite)),
        max_abs=_largest(distance, finite),
        max_rel=_largest(relative, finite),
        excess=_largest(beyond, counted) or 0.0,
        magnitude=magnitude if isfinite(magnitude) else 0.0,
        n_finite=int(np.count_nonzero(counted)),
    )


def _distance(left: Numbers, right: Numbers, first: Float64s, second: Float64s) -> Float64s:
    """`|left - right|`, for integers without rounding before the subtraction."""
    unsigned = np.dtype(np.uint64)
    if "f" in {left.dtype.kind, right.dtype.kind} or (left.dtype == unsigned) != (right.dtype == unsigned):
        return np.abs(first - second)
    # Modulo 2**64 the difference of the two's complements is exact, larger minus smaller.
    wide = unsigned if left.dtype == unsigned else np.dtype(np.int64)
    high = np.maximum(left.astype(wide), right.astype(wide)).view(np.uint64)
    low = np.minimum(left.astype(wide), right.astype(wide)).view(np.uint64)
    return (high - low).astype(np.float64)


def _largest(values: Float64s, where: Mask) -> float | None:
    """The largest value, at most the largest finite number, so that it can be written as JSON."""
    if not where.any():
        return None
    return min(float(values.max(where=where, initial=-np.inf)), float_info.max)


def judge(question: Question, tally: Tally, n_elements: int, index: tuple[int, ...] | None) -> Comparison:
    """The verdict over everything that was seen.

    Args:
        question: How the tensors were compared.
        tally: What was seen; an alternative cast that it claims must hold for everything seen.
        n_elements: Elements of each tensor; more than were seen if it was a sample.
        index: Where `tally.first` is.
    """
    whole = tally.n_seen == n_elements
    if tally.n_different == 0 and question.primary is None:
        same = Agreement.IDENTICAL if whole else Agreement.IDENTICAL_IN_SAMPLE
        return Comparison(values=same, n_different=0)
    cast = _explanation(question, tally)
    if cast is not None:
        return Comparison(
            values=Agreement.IDENTICAL_AFTER_CAST if whole else Agreement.IDENTICAL_IN_SAMPLE,
            cast=cast,
            max_abs_diff=tally.max_abs,
            max_rel_diff=tally.max_rel,
            n_different=0,
        )
    return Comparison(
        values=Agreement.CLOSE if _is_close(question, tally) else Agreement.DIFFERENT,
        max_abs_diff=tally.max_abs,
        max_rel_diff=tally.max_rel,
        first_difference=index,
        n_different=tally.n_different,
    )


def _explanation(question: Question, tally: Tally) -> str | None:
    if question.primary is not None and tally.n_different == 0:
        return question.primary.name
    if question.primary is None and not tally.is_many:
        return None
    holds = zip(question.alternatives, tally.alternatives, strict=True)
    return next((cast.name for cast, explains in holds if explains), None)


def tolerance_of(dtype: DType) -> float | None:
    """The relative tolerance of a type or of its parts; None if values of it are equal or different."""
    return RELATIVE_TOLERANCE.get(part_of(dtype))


def _is_close(question: Question, tally: Tally) -> bool:
    if not tally.is_many:
        return False
    if tally.n_unequal == 0:
        return True
    tolerance = tolerance_of(question.narrower)
    if tolerance is None or tally.n_unmatched:
        return False
    return tally.excess <= tolerance * tally.magnitude / max(tally.n_finite, 1)
