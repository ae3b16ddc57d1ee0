"""Whether noise of some size leaves the rows of a set apart.

Vectors of one model may lie in a narrow cone, or share one large number, so that different texts are nearer
to one another than coarse types are to the truth. There a row that is near to the one in its place is no
evidence that it is the same text.
"""

import numpy as np

from embaudit.embeddings.measuring import Floats, Matrix, Rows, directions_of, row_blocks
from embaudit.embeddings.rounding import noise_limit
from embaudit.model.dtypes import DType
from embaudit.values.encodings import Mask

MOST_PRODUCTS = 2**32
"""Multiplications that this may take, about a second: 2,048 rows of 1,024 dimensions, each against each. Of
more rows some are looked at, spread evenly, each against all."""
LEAST_LOOKED_AT = 64
"""Rows that are looked at in any case."""

SAME = 2.0 * noise_limit(DType.FLOAT32)
"""Distance up to which two rows are one vector, as those of equal texts are, which nobody tells apart."""

HALF_WAY = 0.5
"""The share of the distance to the nearest other row within which an observed row is certainly nearer to its
own (by the triangle inequality)."""
MOST_TOLD = 0.5
"""The share of the rows that must be told apart."""


def cannot_tell(expected: Matrix, width: int, left: Floats, agrees: Mask, order: Rows | None) -> str | None:
    """Why what is left of the rows that agree is not small against the distances of different rows.

    Args:
        expected: Rows.
        width: The leading dimensions that are compared.
        left: The relative distance of each observed row to its own.
        agrees: The rows in question.
        order: For each observed row the expected one; None for the one in its place.

    Returns:
        None if at least half of the rows looked at are told apart.
    """
    if len(expected) == 1:
        return None
    looked_at = _spread(np.flatnonzero(agrees), len(expected) * width)
    own = looked_at if order is None else order[looked_at]
    told = left[looked_at] <= HALF_WAY * _to_nearest(expected, width, own)
    if told.mean() >= MOST_TOLD:
        return None
    return (
        "the rows lie so near to one another that this set cannot tell texts apart: for "
        f"{int((~told).sum()):,} of {len(told):,} rows what is left is more than half of the distance to "
        "another row"
    )


def _spread(rows: Rows, products_of_one: int) -> Rows:
    most = max(LEAST_LOOKED_AT, MOST_PRODUCTS // products_of_one)
    return rows[:: -(-len(rows) // most)]


def _to_nearest(expected: Matrix, width: int, rows: Rows) -> Floats:
    """How far the direction of each row is from the nearest that is another; 0 if there is no other."""
    nearest = np.full(len(rows), -np.inf)
    ours = directions_of(expected, rows, width)
    for block in row_blocks(len(expected), max(width, len(rows))):
        cosines = ours @ directions_of(expected, block, width).T
        cosines[cosines >= 1.0 - SAME**2 / 2.0] = -np.inf
        nearest = np.maximum(nearest, cosines.max(axis=1))
    return np.where(np.isfinite(nearest), np.sqrt(np.maximum(2.0 - 2.0 * nearest, 0.0)), 0.0)
