"""What turns one set of vectors into the other: the verdict on what was measured.

Each hypothesis undoes something (a factor, another order, missing dimensions), and holds for the rows of
which what is left is rounding: see `embaudit.embeddings.explaining`. The hypotheses, the simplest first:

    identical, rounding    nothing to undo
    scaled                 every row has its own length; directions are left
    permuted               the rows that do not agree in their places agree in others
    mixed                  at least half of the rows agree, or are near; those that do not agree are named
    undecided              the rows are near, or were not all looked for: the notes say what is open
    unrelated              none of these

Rows of different dimensions are compared over the leading ones that both have; if they agree, directly or
scaled, the relation is `truncated`. So it is where one side holds zeros behind some dimension.
"""

import attrs
import numpy as np

from embaudit.embeddings.evidence import Pairs
from embaudit.embeddings.explaining import LEAST_COARSE_DIMENSION, explain
from embaudit.embeddings.matching import match_rows
from embaudit.embeddings.measuring import Floats, Matrix, Measures, Rows, measure, used_dimensions
from embaudit.embeddings.rounding import LARGEST_NOISE, noise_limit
from embaudit.embeddings.separating import cannot_tell
from embaudit.model.comparison import EmbeddingComparison, Relation, Rounding, Side
from embaudit.model.dtypes import DType
from embaudit.model.words import plural
from embaudit.values.encodings import Mask

UNIT_NORM_TOLERANCE = 2.0**-8
"""How far from 1 the norm of a normalised vector may be: rounding it to bfloat16 changes each number, and so
the norm, by at most a factor of 1 +- 2^-8."""

SCALE_GAIN = 8.0
"""How many times nearer a row must be once scaled, to say that it was scaled where rounding alone would
explain it: the factor between the roundings of the two coarsest types. Noise moves a vector sideways and
lengthwise alike, so that undoing a factor gains it next to nothing."""

LEAST_DIMENSION = 2
"""Dimensions below which directions say nothing: on a line there are two."""

MOST_AGREE = 0.5
"""The least share of the rows that must agree for a relation of the whole."""

N_WORST_ROWS = 10
"""How many of the rows farthest apart are named."""

_FINE = noise_limit(DType.FLOAT32)


def relate(expected: Matrix, observed: Matrix) -> EmbeddingComparison:
    """How rows lie to rows.

    Args:
        expected: Finite numbers, shape `(rows, dimension)`; no row of zeros.
        observed: Likewise, as many rows.
    """
    measures = measure(expected, observed)
    found = _found(expected, observed, measures)
    if found.n_agreeing < MOST_AGREE * len(observed):
        found = _of_padded(expected, observed) or found
    relation = _relation_of(found, measures)
    mixed = _is_mixed(found, measures)
    return EmbeddingComparison(
        relation=Relation.MIXED if mixed else relation,
        majority=relation,
        rounding=found.rounding,
        decimals=found.decimals,
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
        cut: Whether only leading dimensions are compared.
        scale: The common factor, if there is one.
        normalized: The side that was normalised, if one was.
        rounding: The type that explains what is left of the rows that agree.
        decimals: The digits that do, instead.
        order: For each observed row the expected one, if the order had to be undone.
        open: Whether more would have to be known, or looked for, to say that the rows are unrelated.
        notes: What was not tried, or not believed.
    """

    agrees: Mask
    left: Floats
    scaled: bool
    cut: bool = False
    scale: float | None = None
    normalized: Side | None = None
    rounding: Rounding | None = None
    decimals: int | None = None
    order: Rows | None = None
    open: bool = False
    notes: tuple[str, ...] = ()

    @property
    def n_agreeing(self) -> int:
        """How many rows agree."""
        return int(self.agrees.sum())


def _are_near(measures: Measures) -> bool:
    return bool((measures.distance <= LARGEST_NOISE).mean() >= MOST_AGREE)


def _is_mixed(found: _Found, measures: Measures) -> bool:
    most = found.n_agreeing >= MOST_AGREE * len(found.agrees)
    return 0 < found.n_agreeing < len(found.agrees) and (most or _are_near(measures))


def _relation_of(found: _Found, measures: Measures) -> Relation:
    if found.n_agreeing == 0:
        return Relation.UNDECIDED if found.open or _are_near(measures) else Relation.UNRELATED
    if found.order is not None:
        return Relation.PERMUTED
    if found.cut:
        return Relation.TRUNCATED
    if found.scaled:
        return Relation.SCALED
    return Relation.ROUNDING if bool(found.left[found.agrees].any()) else Relation.IDENTICAL


def _found(expected: Matrix, observed: Matrix, measures: Measures) -> _Found:
    """The hypothesis that holds; one under which no row agrees if none does."""
    in_place = _tried(expected, observed, measures)
    if in_place.n_agreeing == len(observed):
        return in_place
    matched = match_rows(expected, observed, ~in_place.agrees)
    best = in_place
    if matched.order is not None:
        moved = _tried(expected, observed, measure(expected, observed, matched.order), matched.order)
        if moved.n_agreeing > in_place.n_agreeing and moved.n_agreeing >= MOST_AGREE * len(observed):
            best = moved
    best = attrs.evolve(best, open=bool(matched.notes), notes=best.notes + matched.notes)
    if best.n_agreeing >= MOST_AGREE * len(observed) or (best.n_agreeing and _are_near(measures)):
        return best
    return _nothing(best, measures, min(expected.shape[1], observed.shape[1]))


def _nothing(found: _Found, measures: Measures, width: int) -> _Found:
    """No hypothesis, since too few rows agree under the best one."""
    notes = found.notes
    if found.n_agreeing:
        notes += (f"{found.n_agreeing:,} of {len(found.agrees):,} rows agree, which is less than half",)
    if _are_near(measures) and not notes:
        few = f": in fewer than {LEAST_COARSE_DIMENSION} dimensions that may be chance"
        notes = (f"rows are near, and nothing shows why{few if width < LEAST_COARSE_DIMENSION else ''}",)
    against = (np.sqrt(np.maximum(4.0 - measures.chord**2, 0.0)) <= LARGEST_NOISE).mean()
    if against >= MOST_AGREE and width >= LEAST_COARSE_DIMENSION:
        share = "every row points" if against == 1.0 else "most rows point"
        notes += (f"{share} the opposite way: a sign was lost",)
    return _Found(
        agrees=np.zeros_like(found.agrees), left=measures.distance, scaled=False, open=found.open, notes=notes
    )


def _of_padded(expected: Matrix, observed: Matrix) -> _Found | None:
    """The hypothesis for rows of which one side holds zeros behind some dimension, if one holds."""
    used = used_dimensions(expected), used_dimensions(observed)
    width = min(used)
    if used[0] == used[1] or width == min(expected.shape[1], observed.shape[1]):
        return None
    expected, observed = expected[:, :width], observed[:, :width]
    found = _found(expected, observed, measure(expected, observed))
    if found.n_agreeing < MOST_AGREE * len(observed):
        return None
    side = Side.EXPECTED if used[0] < used[1] else Side.OBSERVED
    note = f"the {side} vectors are zeros behind the first {plural(width, 'dimension')}"
    return attrs.evolve(found, cut=True, notes=(*found.notes, note))


def _tried(expected: Matrix, observed: Matrix, measures: Measures, order: Rows | None = None) -> _Found:
    """Rows in their places, or in a given order: directly, or scaled if more rows agree then."""
    pairs = Pairs(expected=expected, observed=observed, order=order)
    direct, turned = measures.distance, np.where(_have_directions(measures), measures.chord, np.inf)
    stretched = (direct > _FINE) & (turned * SCALE_GAIN <= direct)
    found = _explained(pairs, direct, stretched)
    if found.n_agreeing >= MOST_AGREE * len(observed) or pairs.width < LEAST_DIMENSION:
        return found
    scaled = _explained(attrs.evolve(pairs, factors=measures.projection), turned, np.zeros_like(stretched))
    return _with_lengths(scaled, measures) if scaled.n_agreeing > found.n_agreeing else found


def _have_directions(measures: Measures) -> Mask:
    return (measures.expected_part > 0) & (measures.observed_part > 0)


def _explained(pairs: Pairs, left: Floats, stretched: Mask) -> _Found:
    """The rows that agree, unless what is left of them is not small against the distances between rows."""
    explained = explain(pairs, left, stretched)
    agrees, notes = explained.agrees, explained.notes
    found = _Found(
        agrees=agrees,
        left=left,
        scaled=pairs.factors is not None,
        cut=pairs.expected.shape[1] != pairs.observed.shape[1],
        rounding=explained.rounding,
        decimals=explained.decimals,
        order=pairs.order,
        notes=notes,
    )
    if not agrees.any() or explained.is_to_the_bit or float(left[agrees].max()) <= _FINE:
        return found
    why = cannot_tell(pairs.expected, pairs.width, left, agrees, pairs.order)
    if why is None:
        return found
    nobody = np.zeros_like(agrees)
    return attrs.evolve(found, agrees=nobody, rounding=None, decimals=None, notes=(*notes, why))


def _with_lengths(found: _Found, measures: Measures) -> _Found:
    """Which side was normalised, or the common factor, of the rows that agree.

    If that is said of most of them, the others do not agree.
    """
    factors = measures.projection[found.agrees]
    factor = float(np.median(factors))
    # The factor of a row is off by no more than the row itself.
    allowed = 2.0 * max(float(found.left[found.agrees].max()), _FINE)
    if bool((np.abs(factors / factor - 1.0) <= allowed).all()):
        side = _normalized_side(measures, found.agrees)
        return attrs.evolve(found, scale=factor, normalized=side)
    followed = max(
        ((side, found.agrees & _are_unit(measures, side)) for side in (Side.OBSERVED, Side.EXPECTED)),
        key=lambda one: int(one[1].sum()),
    )
    side, agrees = followed
    if agrees.sum() < MOST_AGREE * len(agrees):
        return found
    both = _normalized_side(measures, found.agrees) is None and bool(agrees[found.agrees].all())
    return found if both else attrs.evolve(found, agrees=agrees, normalized=side)


def _normalized_side(measures: Measures, agrees: Mask) -> Side | None:
    """The one side whose rows all have length 1."""
    units = [side for side in Side if bool(_are_unit(measures, side)[agrees].all())]
    return units[0] if len(units) == 1 else None


def _are_unit(measures: Measures, side: Side) -> Mask:
    norms = measures.expected_part if side is Side.EXPECTED else measures.observed_part
    result: Mask = np.abs(norms - 1.0) <= UNIT_NORM_TOLERANCE
    return result
