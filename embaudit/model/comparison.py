"""How two sets of vectors of the same texts lie to one another."""

import enum
import math

import attrs

from embaudit.model.dtypes import DType
from embaudit.model.shown import Tabular


class Relation(str, enum.Enum):
    """What turns the expected vectors into the observed ones.

    Where several things do (rows in another order, and normalised besides), the one that stands later in this
    list is the relation, and the other fields of `EmbeddingComparison` tell the rest.
    """

    IDENTICAL = "identical"
    """Every number is the same number."""
    ROUNDING = "rounding"
    """The differences are of a size that a number type explains: see `Rounding`."""
    SCALED = "scaled"
    """The same directions, other lengths: one side was normalised, or all vectors carry a common factor."""
    TRUNCATED = "truncated"
    """One side has the leading dimensions of the other (Matryoshka), normalised again or not."""
    PERMUTED = "permuted"
    """The same rows in another order."""
    MIXED = "mixed"
    """Some rows agree, and others do not. At least half agree, or else are near: see `outliers`."""
    UNDECIDED = "undecided"
    """Nothing that is known is shown, but it is not excluded either; the notes say what is open."""
    UNRELATED = "unrelated"
    """None of these."""

    def __str__(self) -> str:
        return self.value


class RoundingKind(str, enum.Enum):
    """How closely the differences follow a number type."""

    CAST = "cast"
    """One side is the other, rounded to the type to nearest: to the bit."""
    STORED = "stored"
    """Every single number differs by no more than rounding it to the type explains, on either side."""
    COMPUTED = "computed"
    """As a whole the vectors differ by as much as computing them in the type explains, or, for float32,
    computing them in another order."""

    def __str__(self) -> str:
        return self.value


class Side(str, enum.Enum):
    """One of the two sets."""

    EXPECTED = "expected"
    OBSERVED = "observed"

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class Rounding:
    """The number type that explains differences.

    Attributes:
        dtype: `float32`, `float16`, `bfloat16` or `int8`; as a cast, also `float8_e4m3fn` or `float8_e5m2`.
        kind: How closely.
    """

    dtype: DType
    kind: RoundingKind

    def __str__(self) -> str:
        return f"{self.dtype}, {self.kind}"


@attrs.frozen(kw_only=True)
class EmbeddingComparison(Tabular):
    """Two sets of vectors, row against row.

    Distances and cosines are those of the rows as they were given, row `i` to row `i`, and where the sets
    have other dimensions, over the leading ones that both have. Norms are those of whole rows.

    Attributes:
        relation: What turns the expected vectors into the observed ones.
        majority: The relation of the rows that agree, if `relation` is `mixed`; else `relation` itself.
        rounding: The number type that explains what is left once the relation is undone; None if nothing is
            left, no row agrees, or `decimals` explain it.
        decimals: The digits after the point to which one side was rounded, if that is what is left.
        residual: What is left: the largest relative L2 distance of a row that agrees, once the relation is
            undone. If no row agrees, the largest of any row, without undoing anything.
        l2: L2 distance of each row.
        cosine: Cosine of each row, from -1 to 1.
        norm_ratio: Norm of each observed row over that of the expected one.
        expected_norm: Norm of each expected row.
        observed_norm: Norm of each observed row.
        expected_dimension: Numbers of one expected row.
        observed_dimension: Numbers of one observed row.
        scale: The common factor from expected to observed rows, if `scaled` by one.
        normalized: Which side was normalised, if that is how lengths differ.
        permutation: For each observed row the expected row that it is, counted from 0, if rows are in another
            order; of outliers, expected rows that are left.
        outliers: The rows that do not agree, if `relation` is `mixed`, counted from 0.
        worst_rows: The rows farthest apart by L2, the farthest first; a few.
        notes: What was not looked for, and why.
    """

    relation: Relation
    majority: Relation
    rounding: Rounding | None = None
    decimals: int | None = None
    residual: float
    l2: tuple[float, ...] = attrs.field(repr=False)
    cosine: tuple[float, ...] = attrs.field(repr=False)
    norm_ratio: tuple[float, ...] = attrs.field(repr=False)
    expected_norm: tuple[float, ...] = attrs.field(repr=False)
    observed_norm: tuple[float, ...] = attrs.field(repr=False)
    expected_dimension: int
    observed_dimension: int
    scale: float | None = None
    normalized: Side | None = None
    permutation: tuple[int, ...] | None = attrs.field(default=None, repr=False)
    outliers: tuple[int, ...] = attrs.field(default=(), repr=False)
    worst_rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """How many rows each side has."""
        return len(self.l2)

    @property
    def agrees(self) -> bool:
        """Whether all vectors are the same, or the same but for rounding; how coarse, `rounding` says.

        If all rows are off alike by a coarse type's noise, a small fault cannot be told from the type: where
        both sides should compute in float32, ask for `residual` or `rounding.dtype` as well.
        """
        return self.relation in {Relation.IDENTICAL, Relation.ROUNDING}

    @property
    def worst_l2(self) -> float:
        """The largest L2 distance of a row."""
        return max(self.l2)

    @property
    def worst_cosine(self) -> float:
        """The smallest cosine of a row."""
        return min(self.cosine)

    @property
    def worst_norm_ratio(self) -> float:
        """The ratio of norms that is farthest from 1, by its logarithm: 0.5 is as far as 2."""
        return max(self.norm_ratio, key=lambda ratio: abs(math.log(ratio)))
