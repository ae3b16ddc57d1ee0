"""Which row of one set is which of another, where the order was lost.

Only rows that do not agree in their places are looked for. Up to `MOST_MATCHED` of them are held each against
each. More are first laid side by side by their projections onto one line, which finds them again if noise is
small against the distance of neighbours on it; what is left over is held each against each.
"""

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.embeddings.measuring import Floats, Matrix, Rows, measure, row_blocks
from embaudit.embeddings.rounding import LARGEST_NOISE
from embaudit.values.encodings import Mask

MOST_MATCHED = 4096
"""Rows that are held each against each: 16 million pairs, about a second at 1,024 dimensions."""

_LEAST_COSINE = 1.0 - LARGEST_NOISE**2 / 2.0
_LINE_SEED = 5
"""Any seed does; a fixed one gives the same answer every time."""

Singles = npt.NDArray[np.float32]


@attrs.frozen(kw_only=True, eq=False)
class Matched:
    """What was found.

    Attributes:
        order: For each observed row the expected one, a permutation; None if no row belongs elsewhere.
        notes: What was not looked for.
    """

    order: Rows | None = None
    notes: tuple[str, ...] = ()


def match_rows(expected: Matrix, observed: Matrix, loose: Mask) -> Matched:
    """Look for observed rows among the expected ones, by their directions over the dimensions of both.

    Args:
        expected: Rows.
        observed: As many rows.
        loose: Which rows do not agree in their places.
    """
    order = np.arange(len(observed))
    ours = np.flatnonzero(loose)
    theirs = ours
    if len(ours) > MOST_MATCHED:
        ours, theirs = _match_along_a_line(expected, observed, ours, order)
    if len(ours) > MOST_MATCHED:
        note = (
            f"{len(ours):,} rows agree neither in their places nor in the order of a projection; they were "
            f"not held each against each, which is done for {MOST_MATCHED:,} rows at most"
        )
        return Matched(notes=(note,))
    _match_each(expected, observed, ours, theirs, order)
    return Matched(order=order if bool((order != np.arange(len(order))).any()) else None)


def _match_along_a_line(expected: Matrix, observed: Matrix, loose: Rows, order: Rows) -> tuple[Rows, Rows]:
    """Pair loose rows by their rank along a line; writes `order`, and gives what is left of both sides."""
    width = min(expected.shape[1], observed.shape[1])
    line = np.random.default_rng(_LINE_SEED).standard_normal(width)
    theirs = loose[np.argsort(_along(expected, loose, line), kind="stable")]
    ours = loose[np.argsort(_along(observed, loose, line), kind="stable")]
    agrees = np.empty(len(loose), dtype=np.bool_)
    for rows in row_blocks(len(loose), width):
        measures = measure(expected[theirs[rows], :width], observed[ours[rows], :width])
        agrees[rows] = measures.chord <= LARGEST_NOISE
    order[ours] = theirs
    return ours[~agrees], theirs[~agrees]


def _along(matrix: Matrix, chosen: Rows, line: Floats) -> Floats:
    along = np.empty(len(chosen))
    for rows in row_blocks(len(chosen), len(line)):
        along[rows] = _directions(matrix, chosen[rows], len(line)) @ line
    return along


def _match_each(expected: Matrix, observed: Matrix, ours: Rows, theirs: Rows, order: Rows) -> None:
    """Give each observed row the nearest expected one that is still free; those without one what is left."""
    width = min(expected.shape[1], observed.shape[1])
    directions = _directions(expected, theirs, width).astype(np.float32)
    free = np.ones(len(theirs), dtype=np.bool_)
    homeless: list[int] = []
    for rows in row_blocks(len(ours), max(width, len(theirs))):
        cosines = _directions(observed, ours[rows], width).astype(np.float32) @ directions.T
        for row, cosine in zip(ours[rows], cosines, strict=True):
            nearest = int(np.argmax(np.where(free, cosine, -np.inf)))
            if cosine[nearest] < _LEAST_COSINE:
                homeless.append(int(row))
                continue
            free[nearest] = False
            order[row] = theirs[nearest]
    _settle(homeless, theirs[free], order)


def _settle(homeless: list[int], left: Rows, order: Rows) -> None:
    """Leave the rows that were not found in their places where those are free, else in any."""
    places = set(left.tolist())
    wandering = [row for row in homeless if row not in places]
    places -= set(homeless)
    for row in homeless:
        order[row] = row
    for row, place in zip(wandering, sorted(places), strict=True):
        order[row] = place


def _directions(matrix: Matrix, chosen: Rows, width: int) -> Floats:
    part = matrix[chosen, :width].astype(np.float64)
    length = np.sqrt(np.einsum("ij,ij->i", part, part))
    result: Floats = part / np.where(length > 0.0, length, 1.0)[:, np.newaxis]
    return result
