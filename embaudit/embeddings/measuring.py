"""Rows against rows, in float64 and in blocks: norms, distances and angles.

Knows arithmetic only; what a distance means is said in `embaudit.embeddings.relating`.
"""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.model.limits import MIB

Matrix = npt.NDArray[Any]
"""Rows of real numbers of any numeric type, shape `(rows, dimension)`."""
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

WORK_BYTES = 8 * MIB
"""Bytes of one block of rows in float64. A few such blocks are held at once, however many rows there are."""


@attrs.frozen(kw_only=True, eq=False)
class Measures:
    """What is measured of each row of two sets; arrays of shape `(rows,)`.

    Attributes:
        l2: Distance over the leading dimensions that both have.
        chord: Distance of the two directions: of the rows over those dimensions, each divided by its norm.
            It is `2 sin(angle / 2)`, and keeps small angles, which a cosine loses to rounding.
        projection: The factor that brings the expected row nearest to the observed one.
        expected_norm: Of the whole expected row.
        observed_norm: Of the whole observed row.
        expected_part: Norm of the expected row over the dimensions that both have.
        observed_part: Likewise of the observed row.
    """

    l2: Floats
    chord: Floats
    projection: Floats
    expected_norm: Floats
    observed_norm: Floats
    expected_part: Floats
    observed_part: Floats

    @property
    def distance(self) -> Floats:
        """Distance of each row over the longer of the two."""
        relative: Floats = self.l2 / _divisors(np.maximum(self.expected_part, self.observed_part))
        return relative

    @property
    def cosine(self) -> Floats:
        """Cosine of each row."""
        cosines: Floats = np.clip(1.0 - self.chord**2 / 2.0, -1.0, 1.0)
        return cosines


def blocks(expected: Matrix, observed: Matrix, order: Rows | None = None) -> Iterator[tuple[slice, Any, Any]]:
    """Blocks of both sets in float64, over the leading dimensions that both have, with the rows they are.

    Args:
        expected: Rows.
        observed: Rows.
        order: For each observed row the expected row to hold against it; None for the one in its place.
    """
    width = min(expected.shape[1], observed.shape[1])
    for rows in row_blocks(len(observed), width):
        left = expected[rows] if order is None else expected[order[rows]]
        yield rows, left[:, :width].astype(np.float64), observed[rows, :width].astype(np.float64)


def row_blocks(n_rows: int, width: int) -> Iterator[slice]:
    """Slices of rows of `width` numbers, each of `WORK_BYTES` at most in float64."""
    step = max(1, WORK_BYTES // (8 * max(1, width)))
    for start in range(0, n_rows, step):
        yield slice(start, min(n_rows, start + step))


def measure(expected: Matrix, observed: Matrix, order: Rows | None = None) -> Measures:
    """What is measured of each row; `order` as in `blocks`."""
    names = ("l2", "chord", "projection", "expected_part", "observed_part")
    measured = {name: np.empty(len(observed)) for name in names}
    for rows, left, right in blocks(expected, observed, order):
        left_norm, right_norm = _norms(left), _norms(right)
        measured["expected_part"][rows], measured["observed_part"][rows] = left_norm, right_norm
        measured["l2"][rows] = _norms(left - right)
        measured["projection"][rows] = _dots(left, right) / _divisors(left_norm**2)
        measured["chord"][rows] = _norms(_directions(left, left_norm) - _directions(right, right_norm))
    whole = norms(expected)
    return Measures(
        **measured,
        expected_norm=whole if order is None else whole[order],
        observed_norm=norms(observed),
    )


def norms(matrix: Matrix) -> Floats:
    """The norm of each row."""
    result = np.empty(len(matrix))
    for rows in row_blocks(*matrix.shape):
        result[rows] = _norms(matrix[rows].astype(np.float64))
    return result


def directions(matrix: Matrix) -> Floats:
    """Each row divided by its norm, all at once: for few rows."""
    rows: Floats = matrix.astype(np.float64)
    return _directions(rows, _norms(rows))


def directions_of(matrix: Matrix, chosen: Rows | slice, width: int) -> Floats:
    """Some rows over their leading dimensions, each divided by its norm there."""
    part: Floats = matrix[chosen, :width].astype(np.float64)
    return _directions(part, _norms(part))


def used_dimensions(matrix: Matrix) -> int:
    """The leading dimensions that hold everything: behind them every row is zeros."""
    used = 0
    for rows in row_blocks(*matrix.shape):
        behind = (matrix[rows, used:] != 0).any(axis=0)
        if behind.any():
            used += len(behind) - int(np.argmax(behind[::-1]))
        if used == matrix.shape[1]:
            break
    return used


def _directions(rows: Floats, norm: Floats) -> Floats:
    directions: Floats = rows / _divisors(norm)[:, np.newaxis]
    return directions


def _norms(rows: Floats) -> Floats:
    return np.sqrt(_dots(rows, rows))


def _dots(left: Floats, right: Floats) -> Floats:
    dots: Floats = np.einsum("ij,ij->i", left, right)
    return dots


def _divisors(norm: Floats) -> Floats:
    """The norms, with 1 for those of 0: the leading part of a row may be zeros although the row is not."""
    divisors: Floats = np.where(norm > 0.0, norm, 1.0)
    return divisors
