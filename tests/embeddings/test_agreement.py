"""What counts as agreement: nothing that is worse than what does not, nor what any other text would pass."""

import json
from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embaudit.embeddings import compare_embeddings, separating
from embaudit.embeddings.rounding import noise_limit, type_of_numbers
from embaudit.model.comparison import EmbeddingComparison, Relation, RoundingKind, Side
from embaudit.model.dtypes import DType
from embaudit.report.codec import from_jsonable
from embaudit.report.embeddings import render_comparison, render_comparison_html, render_comparison_json

Matrix = np.ndarray
SEEDS = st.integers(0, 2**32 - 1)
N_ROWS, DIMENSION = 12, 96


def unit(rows: Matrix) -> Matrix:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def spread(seed: int, rows: int = N_ROWS, dimension: int = DIMENSION) -> Matrix:
    """Unit rows in all directions."""
    return unit(np.random.default_rng(seed).standard_normal((rows, dimension))).astype(np.float32)


def cone(seed: int, least: float, most: float, rows: int = 50) -> Matrix:
    """Unit rows around one direction, each as far from it as drawn between two bounds."""
    generator = np.random.default_rng(seed)
    away = generator.uniform(least, most, (rows, 1))
    return unit(spread(seed + 1, rows=1) + away * spread(seed + 2, rows=rows)).astype(np.float32)


def through(dtype: torch.dtype) -> Callable[[Matrix], Matrix]:
    """Rounds to a type and back, as torch does."""
    return lambda rows: torch.from_numpy(rows.astype(np.float32)).to(dtype).to(torch.float32).numpy()


RIGHT: Mapping[str, Callable[[Matrix], Matrix]] = {
    "identical": np.copy,
    "float16": through(torch.float16),
    "bfloat16": through(torch.bfloat16),
    "float32 noise": lambda rows: rows + 1e-6 * spread(99),
    "three digits": lambda rows: np.round(rows.astype(np.float64), 3),
    "int8": lambda rows: (
        np.rint(rows / np.abs(rows).max(1, keepdims=True) * 127) * (np.abs(rows).max(1, keepdims=True) / 127)
    ),
}
"""What leaves a row right."""


@pytest.mark.parametrize("kind", RIGHT)
@settings(max_examples=15)
@given(SEEDS, st.sampled_from([0.012, 0.02, 0.05, 0.06, 0.3]), st.permutations(range(N_ROWS)))
def test_more_wrong_rows_never_make_it_right(kind: str, seed: int, size: float, order: list[int]) -> None:
    """As long as one row is right, one more wrong row never turns a disagreement into an agreement."""
    rows = spread(seed)
    observed = RIGHT[kind](rows).astype(np.float64)
    wrong = unit(rows + size * spread(seed + 1))

    verdicts = [compare_embeddings(rows, observed)]
    for row in order[:-1]:
        observed[row] = wrong[row]
        verdicts.append(compare_embeddings(rows, observed))

    assert verdicts[0].agrees
    assert not any(verdict.agrees for verdict in verdicts[1:])
    for n_wrong in range(1, N_ROWS // 2 + 1):
        assert set(verdicts[n_wrong].outliers) == set(order[:n_wrong])


@pytest.mark.parametrize(
    "kind", ["identical", "float16", "bfloat16", "float32 noise", "three digits", "int8"]
)
@pytest.mark.parametrize("n_wrong", [1, 5, 6, 7, 11])
def test_an_exact_group_beside_a_distant_one_is_mixed(kind: str, n_wrong: int) -> None:
    """No type leaves some rows exact and moves others by a twentieth, however many those are."""
    rows = spread(1)
    observed = RIGHT[kind](rows).astype(np.float64)
    observed[:n_wrong] = unit(rows + 0.05 * spread(2))[:n_wrong]

    compared = compare_embeddings(rows, observed)

    assert compared.relation is Relation.MIXED
    assert compared.outliers == tuple(range(n_wrong))


@given(
    SEEDS, st.floats(1e-8, 0.2), st.sampled_from([None, torch.float16, torch.bfloat16, torch.float8_e4m3fn])
)
def test_a_type_is_named_within_its_own_bound(seed: int, size: float, shown: torch.dtype | None) -> None:
    """Whatever numbers look like, computing in a type is named only up to the noise of that type."""
    rows = spread(seed)
    observed = rows + size * spread(seed + 1)
    if shown is not None:
        observed = through(shown)(observed)

    compared = compare_embeddings(rows, observed)

    if compared.rounding is not None and compared.rounding.kind is RoundingKind.COMPUTED:
        assert compared.residual <= noise_limit(compared.rounding.dtype)
    assert compared.agrees == (compared.relation in {Relation.IDENTICAL, Relation.ROUNDING})


@pytest.mark.parametrize("both", [False, True], ids=["one side", "both sides"])
def test_noise_beyond_the_type_that_is_shown_is_undecided(both: bool) -> None:
    """Numbers of float16 that are farther off than float16 explains agree with nothing, and it is said."""
    cast = through(torch.float16)
    expected = cast(spread(1)) if both else spread(1)

    compared = compare_embeddings(expected, cast(spread(1) + 0.05 * spread(2)))

    assert compared.relation is Relation.UNDECIDED
    assert compared.rounding is None
    assert "the numbers are of float16" in compared.notes[0]


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
def test_a_cast_to_8_bits_is_told(dtype: torch.dtype) -> None:
    """Vectors that were cast to 8 bits are named as that, not as a type of 16."""
    compared = compare_embeddings(spread(1), through(dtype)(spread(1)))

    assert f"torch.{compared.rounding and compared.rounding.dtype}" == str(dtype)


@pytest.mark.parametrize(
    ("rows", "dtype"),
    [
        pytest.param(through(torch.bfloat16)(spread(1)), DType.BFLOAT16, id="bfloat16"),
        pytest.param(through(torch.float16)(spread(1)), DType.FLOAT16, id="float16"),
        pytest.param(spread(1), None, id="float32"),
        pytest.param(np.rint(100 * spread(1)), None, id="codes"),
    ],
)
def test_numbers_show_their_type(rows: Matrix, dtype: DType | None) -> None:
    """Numbers of bfloat16 are told from those of float16, although most fit both; codes show no type."""
    assert type_of_numbers(rows.astype(np.float64)) is dtype


TOGETHER: Mapping[str, tuple[Matrix, Matrix]] = {
    "collapsed": (cone(1, 0.04, 0.04), np.tile(cone(1, 0.04, 0.04).mean(0), (50, 1))),
    "others of the cone": (cone(1, 0.03, 0.03), unit(cone(1, 0, 0) + 0.03 * spread(9, rows=50))),
    "one large number": (
        np.hstack([spread(1, rows=50), np.full((50, 1), 30.0)]),
        np.hstack([spread(2, rows=50), np.full((50, 1), 30.0)]),
    ),
    "one vector": (np.tile(spread(1, rows=1), (50, 1)), spread(1, rows=1) + 0.02 * spread(2, rows=50)),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_rows_that_lie_together_agree_with_nothing_but_themselves(case: str) -> None:
    """Where texts are nearer to one another than coarse noise, that is no agreement, and it is said."""
    expected, observed = TOGETHER[case]

    compared = compare_embeddings(expected, observed)

    assert compared.relation is Relation.UNDECIDED
    assert "cannot tell texts apart" in compared.notes[0]
    assert compare_embeddings(expected, through(torch.float16)(expected)).agrees


@given(SEEDS, st.sampled_from([(0.04, 0.04), (0.02, 0.12), (0.02, 0.08)]), st.booleans())
def test_an_order_is_found_in_a_cone(seed: int, width: tuple[float, float], rounded: bool) -> None:
    """Rows that lie together and are in another order are found as that, not as rounding or wrong rows."""
    rows = cone(seed % 2**31, *width)
    order = np.random.default_rng(seed).permutation(len(rows))
    moved = rows[order]

    compared = compare_embeddings(rows, through(torch.float16)(moved) if rounded else moved)

    assert compared.relation is Relation.PERMUTED
    assert compared.permutation == tuple(order.tolist())


def test_rows_apart_agree_up_to_noise_although_some_are_equal() -> None:
    """Texts with one vector are no reason to doubt the others."""
    rows = np.concatenate([spread(1), spread(1)[:5]])

    compared = compare_embeddings(rows, rows + 0.01 * spread(2, rows=17))

    assert compared.relation is Relation.ROUNDING


def test_many_rows_are_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a number of rows some of them are looked at, each against all, and the verdict is the same."""
    monkeypatch.setattr(separating, "MOST_PRODUCTS", 0)
    monkeypatch.setattr(separating, "LEAST_LOOKED_AT", 7)

    compared = compare_embeddings(*TOGETHER["collapsed"])

    assert "for 7 of 7 rows" in compared.notes[0]
    assert compare_embeddings(spread(1), spread(1) + 0.01 * spread(2)).agrees


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@given(SEEDS, st.booleans())
def test_few_dimensions_agree_by_no_chance(dimension: int, seed: int, cut: bool) -> None:
    """Unrelated rows of few dimensions are unrelated, in their places, in any order, of another length."""
    left = spread(seed, rows=300, dimension=32 if cut else dimension)
    right = spread(seed + 1, rows=300, dimension=dimension)
    if dimension == 1:
        right = right * np.random.default_rng(seed).uniform(1, 2, right.shape)

    compared = compare_embeddings(left, right)

    assert compared.relation is Relation.UNRELATED
    assert compare_embeddings([[1.0, 2.0, 3.0]], [[5.0, 9.9]]).relation is Relation.UNRELATED


def test_near_rows_of_few_dimensions_are_undecided() -> None:
    """Coarse noise in few dimensions is neither agreement nor the contrary, and it is said why."""
    rows = spread(1, dimension=7)

    compared = compare_embeddings(rows, rows + 0.001 * spread(2, dimension=7))

    assert compared.relation is Relation.UNDECIDED
    assert "fewer than 8 dimensions" in compared.notes[0]
    assert compare_embeddings(rows, rows + 1e-6 * spread(2, dimension=7)).agrees


@given(SEEDS, st.sampled_from([torch.float16, torch.bfloat16]))
def test_a_cast_of_few_dimensions_is_found(seed: int, dtype: torch.dtype) -> None:
    """Exact evidence counts in any dimension, and a wrong row beside it is named."""
    rows = spread(seed, dimension=3)
    observed = through(dtype)(rows)
    observed[4] = -observed[4]

    compared = compare_embeddings(rows, observed)

    assert compared.outliers == (4,)
    assert compared.rounding is not None
    assert (f"torch.{compared.rounding.dtype}", compared.rounding.kind) == (str(dtype), RoundingKind.CAST)


@pytest.mark.parametrize("factor", [1.0002, 1.003, 0.98])
def test_a_small_factor_is_no_rounding(factor: float) -> None:
    """A factor within the noise of a type is a factor, since noise moves sideways too."""
    compared = compare_embeddings(spread(1), factor * spread(1).astype(np.float64))

    assert compared.relation is Relation.SCALED
    assert compared.scale == pytest.approx(factor)


@pytest.mark.parametrize("decimals", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("swapped", [False, True], ids=["observed", "expected"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_digits_are_told(decimals: int, swapped: bool, dtype: type) -> None:
    """Vectors printed with few digits are told as that, whichever side they are, whatever type holds them."""
    sides = [spread(1, dimension=384), np.round(spread(1, dimension=384).astype(np.float64), decimals)]
    sides[1] = sides[1].astype(dtype)

    compared = compare_embeddings(*(sides[::-1] if swapped else sides))

    assert compared.relation is Relation.ROUNDING
    assert (compared.decimals, compared.rounding) == (decimals, None)


def test_rows_that_were_not_normalised_are_named() -> None:
    """Where most rows were normalised, those that were not do not agree."""
    rows = 5 * spread(1)
    observed = spread(1)
    observed[[2, 7]] = rows[[2, 7]]

    compared = compare_embeddings(rows, observed)

    assert (compared.relation, compared.majority) == (Relation.MIXED, Relation.SCALED)
    assert compared.normalized is Side.OBSERVED
    assert compared.outliers == (2, 7)


@pytest.mark.parametrize("swapped", [False, True], ids=["observed", "expected"])
@pytest.mark.parametrize("normalised", [False, True], ids=["as cut", "normalised again"])
def test_zeros_behind_a_dimension_are_a_truncation(swapped: bool, normalised: bool) -> None:
    """A Matryoshka vector that was filled up with zeros is known as one."""
    rows = spread(1)
    padded = np.zeros_like(rows)
    padded[:, :32] = unit(rows[:, :32]) if normalised else rows[:, :32]

    compared = compare_embeddings(padded, rows) if swapped else compare_embeddings(rows, padded)

    assert compared.relation is Relation.TRUNCATED
    side = Side.EXPECTED if swapped else Side.OBSERVED
    assert compared.notes == (f"the {side} vectors are zeros behind the first 32 dimensions",)
    assert compared.normalized is (side if normalised else None)


@pytest.mark.parametrize(
    ("observed", "sentence"),
    [
        pytest.param(
            np.round(spread(1).astype(np.float64), 3), "is rounding to 3 digits after the", id="digits"
        ),
        pytest.param(
            through(torch.float16)(spread(1) + 0.05 * spread(2)), "It is open whether", id="undecided"
        ),
        pytest.param(-spread(1), "Every row points the opposite way: a sign was lost.", id="sign"),
    ],
)
def test_what_was_found_is_told(observed: Matrix, sentence: str) -> None:
    """Text and page say in words what was found besides a type."""
    comparison = compare_embeddings(spread(1), observed)

    assert sentence in " ".join(render_comparison(comparison).split())
    assert sentence in render_comparison_html(comparison)
    assert from_jsonable(EmbeddingComparison, json.loads(render_comparison_json(comparison))) == comparison
