"""What a comparison of vectors says, in sentences: the same ones in every form of the report."""

from collections.abc import Iterator

from embaudit.model.comparison import EmbeddingComparison, Relation, Rounding, RoundingKind, Side
from embaudit.model.dtypes import DType
from embaudit.model.words import plural

MAX_NAMED = 12
"""Rows that a sentence names; the JSON form has all of them."""

_RELATIONS = {
    Relation.IDENTICAL: "The vectors are identical.",
    Relation.ROUNDING: "The vectors are the same, but for rounding.",
    Relation.SCALED: "The vectors have the same directions and other lengths.",
    Relation.TRUNCATED: "One side has the leading dimensions of the other.",
    Relation.PERMUTED: "The vectors are the same, in another order.",
    Relation.UNDECIDED: "It is open whether the vectors are the same.",
    Relation.UNRELATED: "The vectors are unrelated: nothing that is known turns one side into the other.",
}


def told(comparison: EmbeddingComparison) -> tuple[str, ...]:
    """The verdict, and what belongs to it, a sentence each."""
    return (*_verdict(comparison), *_facts(comparison), *(f"{_sentence(note)}" for note in comparison.notes))


def _verdict(comparison: EmbeddingComparison) -> Iterator[str]:
    if comparison.relation is not Relation.MIXED:
        yield _RELATIONS[comparison.relation]
        return
    n_wrong, wrong = len(comparison.outliers), rows_named(comparison.outliers)
    yield f"{n_wrong:,} of {plural(comparison.n_rows, 'row')} do not agree: {wrong}."
    yield f"Of the others: {_RELATIONS[comparison.majority][0].lower()}{_RELATIONS[comparison.majority][1:]}"


def _facts(comparison: EmbeddingComparison) -> Iterator[str]:
    if comparison.expected_dimension != comparison.observed_dimension:
        yield (
            f"Expected vectors have {comparison.expected_dimension:,} dimensions and observed ones "
            f"{comparison.observed_dimension:,}; distances are over those that both have."
        )
    if comparison.normalized is not None:
        other = Side.EXPECTED if comparison.normalized is Side.OBSERVED else Side.OBSERVED
        yield f"The {comparison.normalized} vectors are normalised, the {other} ones are not."
    if comparison.scale is not None:
        yield f"All observed vectors are {comparison.scale:.6g} times the expected ones."
    if comparison.permutation is not None:
        yield f"Observed rows are these expected rows: {rows_named(comparison.permutation)}."
    if comparison.rounding is not None:
        yield _rounding(comparison.rounding, comparison.residual)
    if comparison.decimals is not None:
        digits = plural(comparison.decimals, "digit")
        yield (
            f"What is left, {comparison.residual:.2g} of a vector's length at most, is rounding to {digits} "
            "after the point."
        )


def _rounding(rounding: Rounding, residual: float) -> str:
    match rounding.kind:
        case RoundingKind.CAST:
            how = f"is one rounding to {rounding.dtype}, to the bit"
        case RoundingKind.STORED:
            how = f"is within the step of {rounding.dtype} for every number"
        case RoundingKind.COMPUTED if rounding.dtype is DType.FLOAT32:
            how = "is what float32 gives in another order of its sums"
        case RoundingKind.COMPUTED:
            how = f"is of the size that computing in {rounding.dtype} makes"
    return f"What is left, {residual:.2g} of a vector's length at most, {how}."


def rows_named(rows: tuple[int, ...]) -> str:
    """The first rows of a list, counted from 0, and how many more there are."""
    named = ", ".join(str(row) for row in rows[:MAX_NAMED])
    return named if len(rows) <= MAX_NAMED else f"{named} and {len(rows) - MAX_NAMED:,} more"


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
