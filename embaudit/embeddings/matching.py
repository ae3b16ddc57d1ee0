"""Which row of one set is which of another, where the order was lost.

Only rows that do not agree in their places are looked for, and in three ways, each for what the one before
has left: by their very numbers; by their projections onto one line, which finds rows again that are off by
less than neighbours on it are apart; and each held against each, as far as that takes seconds.
"""

from hashlib import blake2b

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.embeddings.measuring import Floats, Matrix, Rows, directions_of, measure, row_blocks
from embaudit.embeddings.rounding import LARGEST_NOISE
from embaudit.values.encodings import Mask

MOST_PRODUCTS = 2**36
"""Multiplications that holding each row against each may take, a few seconds: 23,000 rows of 128 dimensions,
or 8,192 of 1,024."""
LEAST_FOR_A_LINE = 4096
"""Rows below which each is held against each at once: about a second at 1,024 dimensions."""
N_TRIED = 256
"""Of more rows so many are tried first: if none of them is found, hardly any is elsewhere."""
LEAST_DIMENSION = 2
"""Dimensions below which there is no order to find: on a line there are two directions."""

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
    width = min(expected.shape[1], observed.shape[1])
    if width < LEAST_DIMENSION:
        return Matched()
    order = np.arange(len(observed))
    ours = np.flatnonzero(loose)
    ours, theirs = _match_equal(expected, observed, ours, order)
    if len(ours) > LEAST_FOR_A_LINE:
        ours, theirs = _match_along_a_line(expected, observed, ours, theirs, order)
    if len(ours) > LEAST_FOR_A_LINE and not _is_any_elsewhere(expected, observed, ours, theirs):
        _settle(ours.tolist(), theirs, order)
        return _matched(order)
    if len(ours) ** 2 * width <= MOST_PRODUCTS:
        _match_each(expected, observed, ours, theirs, order)
        return _matched(order)
    note = (
        f"{len(ours):,} rows were not found in another order; they are too many to hold each of them "
        "against each"
    )
    _settle(ours.tolist(), theirs, order)
    return _matched(order, note)


def _matched(order: Rows, *notes: str) -> Matched:
    return Matched(order=order if bool((order != np.arange(len(order))).any()) else None, notes=notes)


def _match_equal(expected: Matrix, observed: Matrix, loose: Rows, order: Rows) -> tuple[Rows, Rows]:
    """Pair loose rows of the same numbers; writes `order`, and gives what is left of both sides."""
    places: dict[bytes, list[int]] = {}
    # From the last to the first, so that of equal rows the first is taken first.
    for row, key in zip(loose[::-1], _keys(expected, observed, loose[::-1]), strict=True):
        places.setdefault(key, []).append(int(row))
    taken = set()
    homeless = []
    for row, key in zip(loose, _keys(observed, expected, loose), strict=True):
        free = places.get(key)
        if free:
            order[row] = free.pop()
            taken.add(int(order[row]))
        else:
            homeless.append(int(row))
    left = [row for row in loose.tolist() if row not in taken]
    return np.array(homeless, dtype=np.intp), np.array(left, dtype=np.intp)


def _keys(matrix: Matrix, other: Matrix, chosen: Rows) -> list[bytes]:
    """The digest of the numbers of each row, whatever type holds them; -0 is 0."""
    width = min(matrix.shape[1], other.shape[1])
    keys = []
    for rows in row_blocks(len(chosen), width):
        block = matrix[chosen[rows], :width].astype(np.float64) + 0.0
        keys += [blake2b(row.tobytes(), digest_size=16).digest() for row in block]
    return keys


def _match_along_a_line(
    expected: Matrix, observed: Matrix, ours: Rows, theirs: Rows, order: Rows
) -> tuple[Rows, Rows]:
    """Pair loose rows by their rank along a line; writes `order`, and gives what is left of both sides."""
    width = min(expected.shape[1], observed.shape[1])
    line = np.random.default_rng(_LINE_SEED).standard_normal(width)
    theirs = theirs[np.argsort(_along(expected, theirs, line), kind="stable")]
    ours = ours[np.argsort(_along(observed, ours, line), kind="stable")]
    agrees = np.empty(len(ours), dtype=np.bool_)
    for rows in row_blocks(len(ours), width):
        measures = measure(expected[theirs[rows], :width], observed[ours[rows], :width])
        agrees[rows] = measures.chord <= LARGEST_NOISE
    order[ours[agrees]] = theirs[agrees]
    return ours[~agrees], theirs[~agrees]


def _along(matrix: Matrix, chosen: Rows, line: Floats) -> Floats:
    along = np.empty(len(chosen))
    for rows in row_blocks(len(chosen), len(line)):
        along[rows] = directions_of(matrix, chosen[rows], len(line)) @ line
    return along


def _is_any_elsewhere(expected: Matrix, observed: Matrix, ours: Rows, theirs: Rows) -> bool:
    """Whether any of a few observed rows, spread evenly, is near any expected one."""
    width = min(expected.shape[1], observed.shape[1])
    some = directions_of(observed, ours[:: -(-len(ours) // N_TRIED)], width).astype(np.float32)
    return any(
        bool(
            (directions_of(expected, theirs[rows], width).astype(np.float32) @ some.T >= _LEAST_COSINE).any()
        )
        for rows in row_blocks(len(theirs), max(width, len(some)))
    )


def _match_each(expected: Matrix, observed: Matrix, ours: Rows, theirs: Rows, order: Rows) -> None:
    """Give each observed row the nearest expected one that is still free; those without one what is left."""
    width = min(expected.shape[1], observed.shape[1])
    directions: Singles = directions_of(expected, theirs, width).astype(np.float32)
    free = np.ones(len(theirs), dtype=np.bool_)
    homeless: list[int] = []
    for rows in row_blocks(len(ours), max(width, len(theirs))):
        cosines: Singles = directions_of(observed, ours[rows], width).astype(np.float32) @ directions.T
        best = np.argmax(cosines, axis=1)
        for at, row in enumerate(ours[rows]):
            nearest = int(best[at])
            if cosines[at, nearest] >= _LEAST_COSINE and not free[nearest]:
                nearest = int(np.argmax(np.where(free, cosines[at], -np.inf)))
            if cosines[at, nearest] < _LEAST_COSINE or not free[nearest]:
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
