"""What turns one set of vectors into the other: the verdict on what was measured.

Each hypothesis undoes something (a factor, another order, missing dimensions), and holds if what is left is
small enough to be rounding: see `embaudit.embeddings.rounding`. The hypotheses, the simplest first:

    identical, rounding    nothing to undo
    scaled                 every row has its own length; directions are left
    permuted               the rows that do not agree in their places agree in others
    mixed                  at least half of the rows agree; the others are named
    unrelated              none of these

Rows of different dimensions are compared over the leading ones that both have; if they agree, directly or
scaled, the relation is `truncated`.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from embaudit.embeddings.matching import Matched, match_rows
from embaudit.embeddings.measuring import Floats, Matrix, Measures, Rows, blocks, measure
from embaudit.embeddings.rounding import LARGEST_NOISE, noise_limit, rounding_of, type_of_noise
from embaudit.model.comparison import EmbeddingComparison, Relation, Rounding, RoundingKind, Side
from embaudit.model.dtypes import DType
from embaudit.values.encodings import Mask

UNIT_NORM_TOLERANCE = 2.0**-8
"""How far from 1 the norm of a normalised vector may be: rounding it to bfloat16 changes each number, and so
the norm, by at most a factor of 1 +- 2^-8."""

SCALE_GAIN = 8.0
"""How many times nearer the rows must be once scaled, to say that they were scaled where rounding alone would
explain them: the factor between the roundings of the two coarsest types. Noise moves a vector sideways and
lengthwise alike, so that undoing a factor gains it next to nothing."""

LEAST_DIMENSION = 2
"""Dimensions below which directions say nothing: on a line there are two."""

NOISE_SPREAD = 4.0
"""How many times the bound of the type that explains the median row another row may be off. The bounds are
far above what was seen (see `ACCUMULATED`), but for float16 by a factor of two only."""

MOST_AGREE = 0.5
"""The share of rows that must agree to say that most do."""

N_WORST_ROWS = 10
"""How many of the rows farthest apart are named."""


def relate(expected: Matrix, observed: Matrix) -> EmbeddingComparison:
    """How rows lie to rows.

    Args:
        expected: Finite numbers, shape `(rows, dimension)`; no row of zeros.
        observed: Likewise, as many rows.
    """
    measures = measure(expected, observed)
    found = _in_place(expected, observed, measures)
    if found.n_agreeing < len(observed):
        found = _in_another_order(expected, observed, found)
    if found.n_agreeing < MOST_AGREE * len(observed):
        found = _nothing(found, measures)
    relation = _relation_of(found, expected, observed)
    mixed = 0 < found.n_agreeing < len(observed)
    return EmbeddingComparison(
        relation=Relation.MIXED if mixed else relation,
        majority=relation,
        rounding=found.rounding,
        residual=float(found.left[found.agrees].max() if found.n_agreeing else found.left.max()),
        l2=tuple(measures.l2.tolist()),
        cosine=tuple(measures.cosine.tolist()),
        norm_ratio=tuple((measures.observed_norm / measures.expected_norm).tolist()),
        expected_norm=tuple(measures.expected_norm.tolist()),
        observed_norm=tuple(measures.observed_norm.tolist()),
        expected_dimension=expected.shape[1],
        observed_dimension=observed.shape[1],
        scale=found.scale,
        normalized=found.normalized,
        permutation=None if found.order is None else tuple(found.order.tolist()),
        outliers=tuple(np.flatnonzero(~found.agrees).tolist()) if mixed else (),
        worst_rows=tuple(np.argsort(-measures.l2, kind="stable")[:N_WORST_ROWS].tolist()),
        notes=found.notes,
    )


@attrs.frozen(kw_only=True, eq=False)
class _Found:
    """A hypothesis, tried.

    Attributes:
        agrees: Which rows agree.
        left: What is left of each row's distance, relative.
        scaled: Whether lengths had to be undone.
        scale: The common factor, if there is one.
        normalized: The side that was normalised, if one was.
        rounding: The type that explains what is left of the rows that agree.
        order: For each observed row the expected one, if the order had to be undone.
        notes: What was not tried.
    """

    agrees: Mask
    left: Floats
    scaled: bool
    scale: float | None = None
    normalized: Side | None = None
    rounding: Rounding | None = None
    order: Rows | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_agreeing(self) -> int:
        """How many rows agree."""
        return int(self.agrees.sum())


def _relation_of(found: _Found, expected: Matrix, observed: Matrix) -> Relation:
    if found.n_agreeing == 0:
        return Relation.UNRELATED
    if found.order is not None:
        return Relation.PERMUTED
    if expected.shape[1] != observed.shape[1]:
        return Relation.TRUNCATED
    if found.scaled:
        return Relation.SCALED
    return Relation.ROUNDING if bool(found.left[found.agrees].any()) else Relation.IDENTICAL


def _nothing(found: _Found, measures: Measures) -> _Found:
    """No hypothesis, since too few rows agree under the best one."""
    notes = found.notes
    if found.n_agreeing:
        notes += (f"{found.n_agreeing:,} of {len(found.agrees):,} rows agree, which is less than half",)
    nobody = np.zeros_like(found.agrees)
    return _Found(agrees=nobody, left=measures.distance, scaled=False, notes=notes)


def _in_place(expected: Matrix, observed: Matrix, measures: Measures, order: Rows | None = None) -> _Found:
    """Rows in their places, or in a given order: directly, or scaled if that explains more."""
    direct, turned = measures.distance, measures.chord
    agrees, agrees_scaled = direct <= LARGEST_NOISE, _is_scaled(measures)
    has_directions = min(expected.shape[1], observed.shape[1]) >= LEAST_DIMENSION
    scaled = has_directions and _is_better(direct, turned, agrees, agrees_scaled)
    if scaled:
        agrees = agrees_scaled
    found = _Found(agrees=agrees, left=turned if scaled else direct, scaled=scaled, order=order)
    if not agrees.any():
        return found
    found = attrs.evolve(found, rounding=_rounding_of(expected, observed, found, measures))
    alike = _alike(found)
    if not alike.all():
        found = attrs.evolve(found, agrees=agrees & alike)
        found = attrs.evolve(found, rounding=_rounding_of(expected, observed, found, measures))
    return _with_lengths(found, measures) if scaled else found


def _alike(found: _Found) -> Mask:
    """Rows whose noise is of the size of that of most rows that agree; all of them if each number tells.

    Where most rows are off by the noise of float32, one that is off by a hundredth was made otherwise.
    """
    if found.rounding is None or found.rounding.kind is not RoundingKind.COMPUTED:
        return np.ones_like(found.agrees)
    typical = float(np.quantile(found.left[found.agrees], 0.5, method="lower"))
    dtype = type_of_noise(typical)
    limit = LARGEST_NOISE if dtype is None else NOISE_SPREAD * noise_limit(dtype)
    alike: Mask = found.left <= limit
    return alike


def _is_scaled(measures: Measures) -> Mask:
    return (measures.chord <= LARGEST_NOISE) & (measures.expected_part > 0) & (measures.observed_part > 0)


def _is_better(direct: Floats, turned: Floats, agrees: Mask, agrees_scaled: Mask) -> bool:
    """Whether undoing lengths explains more: rows that nothing else does, or those that agree, far better.

    Where most rows agree as they are, and lengths explain nothing about them, a row of another length is one
    that does not agree.
    """
    if agrees.sum() < MOST_AGREE * len(agrees):
        return bool(agrees_scaled.sum() > agrees.sum())
    left = np.median(direct[agrees])
    return bool(left > noise_limit(DType.FLOAT32) and np.median(turned[agrees]) * SCALE_GAIN <= left)


def _with_lengths(found: _Found, measures: Measures) -> _Found:
    """Which side was normalised, or the common factor, of the rows that agree."""
    expected_unit = _are_unit(measures.expected_part[found.agrees])
    observed_unit = _are_unit(measures.observed_part[found.agrees])
    unit_side = Side.OBSERVED if observed_unit else Side.EXPECTED
    factors = measures.projection[found.agrees]
    factor = float(np.median(factors))
    # The factor of a row is off by no more than the row itself.
    allowed = 2.0 * max(float(found.left[found.agrees].max()), noise_limit(DType.FLOAT32))
    common = bool((np.abs(factors / factor - 1.0) <= allowed).all())
    return attrs.evolve(
        found,
        scale=factor if common else None,
        normalized=None if expected_unit == observed_unit else unit_side,
    )


def _are_unit(norms: Floats) -> bool:
    return bool((np.abs(norms - 1.0) <= UNIT_NORM_TOLERANCE).all())


def _rounding_of(expected: Matrix, observed: Matrix, found: _Found, measures: Measures) -> Rounding | None:
    """The type that explains what is left of the rows that agree; None if nothing is."""
    worst = float(found.left[found.agrees].max())
    if worst == 0.0:
        return None
    # What a fitted factor is off by is a fraction of one rounding, and every grade allows two.
    factors = measures.projection if found.scaled else np.ones(len(observed))

    def pairs() -> Iterator[tuple[Floats, Floats]]:
        for rows, left, right in blocks(expected, observed, found.order):
            kept = found.agrees[rows]
            if kept.any():
                yield left[kept] * factors[rows][kept][:, np.newaxis], right[kept]

    return rounding_of(pairs, worst, exact=not found.scaled)


def _in_another_order(expected: Matrix, observed: Matrix, found: _Found) -> _Found:
    """The same with the rows that do not agree moved to where they do, if most agree then."""
    matched: Matched = match_rows(expected, observed, ~found.agrees)
    if matched.order is None:
        return attrs.evolve(found, notes=matched.notes)
    measures = measure(expected, observed, matched.order)
    moved = _in_place(expected, observed, measures, matched.order)
    return moved if moved.n_agreeing > found.n_agreeing else found
