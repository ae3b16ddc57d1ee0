"""compare_embeddings: what was done to vectors is found; what is wrong with them is said with its place."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.embeddings import compare_embeddings, matching
from embaudit.embeddings.matching import LEAST_FOR_A_LINE
from embaudit.embeddings.measuring import WORK_BYTES
from embaudit.errors import UsageError
from embaudit.model.comparison import Relation, RoundingKind, Side

Matrix = np.ndarray


def normal(seed: int, rows: int = 12, dimension: int = 96) -> Matrix:
    """Rows of many lengths and directions, in float32."""
    generator = np.random.default_rng(seed)
    lengths = np.exp(generator.uniform(-2, 2, (rows, 1)))
    return (generator.standard_normal((rows, dimension)) * lengths).astype(np.float32)


def unit(rows: Matrix) -> Matrix:
    """Rows of length 1, in their own type."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def through(dtype: torch.dtype) -> Callable[[Matrix], Matrix]:
    """Rounds to a type and back, as torch does."""
    return lambda rows: torch.from_numpy(rows).to(dtype).to(torch.float64).numpy()


def int8_rows(rows: Matrix) -> Matrix:
    """Each row in 255 steps of its own, as vector stores quantise, and back."""
    step = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.rint(rows / step) * step


def int8_codes(rows: Matrix) -> Matrix:
    """One step for all rows, codes as they are stored."""
    return np.rint(rows / np.abs(rows).max() * 127).astype(np.int8)


ROUNDINGS: Mapping[str, Callable[[Matrix], Matrix]] = {
    "float32": lambda rows: rows.astype(np.float64) * (1 + 2.0**-26),
    "float16": through(torch.float16),
    "bfloat16": through(torch.bfloat16),
    "int8": int8_rows,
}
SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_equal_numbers_are_identical(seed: int) -> None:
    """The same numbers are identical, whatever type holds them, and no distance is left."""
    rows = normal(seed)

    compared = compare_embeddings(rows, rows.astype(np.float64))

    assert (compared.relation, compared.rounding, compared.residual) == (Relation.IDENTICAL, None, 0.0)
    assert compared.agrees
    assert set(compared.l2) == {0.0}
    assert set(compared.cosine) == {1.0}


@pytest.mark.parametrize("dtype", ROUNDINGS)
@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "normalised"])
@given(SEEDS)
def test_rounding_is_found_as_its_type(dtype: str, scaled: bool, seed: int) -> None:
    """Rows rounded through a type, normalised before or not, are told as rounded by that type."""
    rows = normal(seed)
    before = unit(rows) if scaled else rows

    compared = compare_embeddings(rows, ROUNDINGS[dtype](before))

    assert compared.relation is (Relation.SCALED if scaled else Relation.ROUNDING)
    assert compared.rounding is not None
    assert compared.rounding.dtype == dtype
    assert compared.normalized is (Side.OBSERVED if scaled else None)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@given(SEEDS)
def test_a_cast_is_told_to_the_bit(dtype: torch.dtype, seed: int) -> None:
    """A plain cast, in either direction, is known as one, not only as differences of its size."""
    rows = normal(seed)
    cast = torch.from_numpy(rows).to(dtype)

    for compared in (compare_embeddings(rows, cast), compare_embeddings(cast, rows)):
        assert compared.rounding is not None
        assert f"torch.{compared.rounding.dtype}" == str(dtype)
        assert compared.rounding.kind is RoundingKind.CAST


@given(SEEDS, st.floats(-30, 30).filter(lambda power: abs(power) > 0.1))
def test_a_common_factor_is_found(seed: int, power: float) -> None:
    """One factor for all rows is told, to the precision of the numbers."""
    rows = normal(seed).astype(np.float64)

    compared = compare_embeddings(rows, rows * 2.0**power)

    assert compared.relation is Relation.SCALED
    assert compared.scale == pytest.approx(2.0**power, rel=1e-12)


@given(SEEDS)
def test_normalisation_is_found_on_either_side(seed: int) -> None:
    """Whichever side has length 1, it is named, and the ratio of norms is that of the rows."""
    rows = normal(seed)

    there, back = compare_embeddings(rows, unit(rows)), compare_embeddings(unit(rows), rows)

    assert (there.relation, there.normalized) == (Relation.SCALED, Side.OBSERVED)
    assert (back.relation, back.normalized) == (Relation.SCALED, Side.EXPECTED)
    assert np.multiply(there.norm_ratio, back.norm_ratio) == pytest.approx(1, rel=1e-6)


@given(SEEDS, st.integers(24, 95), st.booleans(), st.booleans())
def test_truncation_is_found(seed: int, kept: int, again: bool, swapped: bool) -> None:
    """The leading dimensions are known as such, normalised again or not, on either side."""
    rows = unit(normal(seed))
    short = unit(rows[:, :kept]) if again else rows[:, :kept]

    compared = compare_embeddings(short, rows) if swapped else compare_embeddings(rows, short)

    assert compared.relation is Relation.TRUNCATED
    assert {compared.expected_dimension, compared.observed_dimension} == {96, kept}
    assert (compared.normalized is not None) == again


@given(SEEDS, st.permutations(range(12)), st.sampled_from(sorted(ROUNDINGS)), st.booleans())
def test_a_permutation_is_found(seed: int, order: list[int], dtype: str, scaled: bool) -> None:
    """Rows in another order are told with the order, rounded and normalised besides or not."""
    rows = normal(seed)
    moved = ROUNDINGS[dtype](unit(rows) if scaled else rows)[order]

    compared = compare_embeddings(rows, moved)

    if order == sorted(order):
        assert compared.permutation is None
    else:
        assert compared.relation is Relation.PERMUTED
        assert compared.permutation == tuple(order)


MANY: Mapping[str, Callable[[Matrix], Matrix]] = {
    "the same numbers": lambda rows: rows,
    "normalised": unit,
    "float16": through(torch.float16),
    "bfloat16": through(torch.bfloat16),
}


@pytest.mark.parametrize("spoilt", [0, 1, 40], ids="{} wrong".format)
@pytest.mark.parametrize("changed", MANY)
def test_a_permutation_of_many_rows_is_found(changed: str, spoilt: int) -> None:
    """An order of many rows is found, rounded or not, also where some rows are wrong."""
    rows = normal(3, rows=LEAST_FOR_A_LINE + 900, dimension=32)
    order = np.random.default_rng(4).permutation(len(rows))
    moved = MANY[changed](rows)[order]
    wrong = np.arange(spoilt) * 100
    moved[wrong] = normal(5, rows=len(rows), dimension=32)[wrong]

    compared = compare_embeddings(rows, moved)

    assert compared.majority is Relation.PERMUTED
    assert set(compared.outliers) == set(wrong.tolist())
    assert compared.permutation is not None
    assert set(np.flatnonzero(np.array(compared.permutation) != order)) <= set(wrong.tolist())


def test_many_rows_that_are_nowhere_are_unrelated() -> None:
    """Many rows are not held each against each if hardly any can be elsewhere, and nothing is open."""
    n_rows = LEAST_FOR_A_LINE + 900

    compared = compare_embeddings(normal(3, rows=n_rows, dimension=32), normal(4, rows=n_rows, dimension=32))

    assert (compared.relation, compared.notes) == (Relation.UNRELATED, ())


def test_one_dimension_has_no_directions() -> None:
    """Signs that agree are no scale, and no truncation: half of all rows would be one by chance."""
    rows = np.abs(normal(1))

    assert compare_embeddings(rows, rows[:, :1] * normal(2)[:, :1] ** 2).relation is Relation.UNRELATED
    assert compare_embeddings(rows, rows[:, :1]).relation is Relation.TRUNCATED


def test_what_was_not_looked_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows too many to be held each against each are undecided, not unrelated, and the note says why."""
    left, right = normal(3), normal(4)
    assert compare_embeddings(left, right).relation is Relation.UNRELATED

    monkeypatch.setattr(matching, "MOST_PRODUCTS", 12 * 12 * 96 - 1)
    compared = compare_embeddings(left, right)

    assert compared.relation is Relation.UNDECIDED
    assert not compared.agrees
    assert "too many to hold each of them against each" in compared.notes[0]


@given(SEEDS)
def test_random_rows_are_unrelated(seed: int) -> None:
    """Rows of other random numbers are related by nothing."""
    compared = compare_embeddings(normal(seed), normal(seed + 1))

    assert compared.relation is Relation.UNRELATED
    assert (compared.rounding, compared.scale, compared.permutation) == (None, None, None)


@given(SEEDS, st.sets(st.integers(0, 11), min_size=1, max_size=5), st.booleans())
def test_rows_that_do_not_agree_are_named(seed: int, wrong: set[int], scaled: bool) -> None:
    """Where most rows agree, the others are named, and the relation is that of most."""
    rows = normal(seed)
    observed = unit(rows) if scaled else rows.copy()
    observed[sorted(wrong)] = normal(seed + 1)[sorted(wrong)]

    compared = compare_embeddings(rows, observed)

    assert compared.relation is Relation.MIXED
    assert compared.majority is (Relation.SCALED if scaled else Relation.IDENTICAL)
    assert set(compared.outliers) == wrong
    assert set(compared.worst_rows[:1]) <= set(range(12))


def test_a_row_of_another_length_does_not_agree() -> None:
    """Where all other rows are what they should be, twice a row is a wrong row, not a scale of all."""
    observed = unit(normal(1))
    observed[3] *= 2

    compared = compare_embeddings(unit(normal(1)), observed)

    assert (compared.relation, compared.majority) == (Relation.MIXED, Relation.IDENTICAL)
    assert compared.outliers == (3,)


def test_lengths_near_one_are_found_to_be_normalised() -> None:
    """Rows of lengths near 1 were normalised if their directions are the same to the last digits."""
    rows = unit(normal(1).astype(np.float64)) * np.linspace(0.97, 1.03, 12)[:, np.newaxis]

    compared = compare_embeddings(rows, unit(rows))

    assert (compared.relation, compared.normalized) == (Relation.SCALED, Side.OBSERVED)


@given(SEEDS, st.sets(st.integers(0, 11), min_size=1, max_size=6), st.sampled_from([1e-3, 0.03]))
def test_noise_that_most_rows_do_not_have_is_no_rounding(seed: int, wrong: set[int], size: float) -> None:
    """Where most rows are off by the noise of float32, rows that are off by far more do not agree."""
    generator = np.random.default_rng(seed)
    rows = unit(normal(seed).astype(np.float64))
    noise = unit(generator.standard_normal(rows.shape))
    observed = rows + 1e-6 * noise
    observed[sorted(wrong)] += size * noise[sorted(wrong)]

    compared = compare_embeddings(rows, observed)

    assert (compared.relation, compared.majority) == (Relation.MIXED, Relation.ROUNDING)
    assert set(compared.outliers) == wrong
    assert compared.rounding is not None
    assert compared.rounding.dtype == "float32"


@pytest.mark.parametrize(("size", "dtype"), [(1e-6, "float32"), (1e-3, "float16"), (0.02, "bfloat16")])
@given(SEEDS)
def test_noise_is_named_by_its_size(size: float, dtype: str, seed: int) -> None:
    """Noise of all rows alike is the rounding of the type that makes so much, and known to be computed."""
    rows = unit(normal(seed).astype(np.float64))
    noise = unit(np.random.default_rng(seed).standard_normal(rows.shape))

    compared = compare_embeddings(rows, rows + size * noise)

    assert compared.relation is Relation.ROUNDING
    assert compared.rounding is not None
    assert (compared.rounding.dtype, compared.rounding.kind) == (dtype, RoundingKind.COMPUTED)


def test_few_agreeing_rows_are_unrelated_with_a_note() -> None:
    """Where less than half agrees there is no relation, but it is said how many do."""
    observed = normal(2)
    observed[:4] = normal(1)[:4]

    compared = compare_embeddings(normal(1), observed)

    assert compared.relation is Relation.UNRELATED
    assert compared.notes == ("4 of 12 rows agree, which is less than half",)


def test_the_other_direction_is_unrelated() -> None:
    """Minus one is no scale: every cosine is -1."""
    compared = compare_embeddings(normal(1), -normal(1))

    assert compared.relation is Relation.UNRELATED
    assert compared.cosine == pytest.approx([-1.0] * 12, abs=1e-15)
    assert compared.notes == ("every row points the opposite way: a sign was lost",)


def test_codes_of_int8_are_scaled() -> None:
    """Raw int8 codes are the vectors, scaled by the step and rounded to it."""
    rows = unit(normal(5))

    compared = compare_embeddings(rows, int8_codes(rows))

    assert compared.relation is Relation.SCALED
    assert compared.rounding is not None
    assert compared.rounding.dtype == "int8"
    assert compared.scale == pytest.approx(127 / np.abs(rows).max(), rel=0.01)


@given(SEEDS)
def test_measures_are_those_of_numpy(seed: int) -> None:
    """Distances, cosines and norms are what numpy makes of the rows one by one; the worst comes first."""
    left, right = normal(seed).astype(np.float64), normal(seed + 1).astype(np.float64)
    lengths = np.linalg.norm(left, axis=1), np.linalg.norm(right, axis=1)

    compared = compare_embeddings(left, right)

    assert compared.l2 == pytest.approx(np.linalg.norm(left - right, axis=1), rel=1e-12)
    assert compared.cosine == pytest.approx((left * right).sum(axis=1) / np.multiply(*lengths), abs=1e-12)
    assert compared.expected_norm == pytest.approx(lengths[0], rel=1e-12)
    assert compared.norm_ratio == pytest.approx(lengths[1] / lengths[0], rel=1e-12)
    assert compared.worst_l2 == compared.l2[compared.worst_rows[0]] == max(compared.l2)
    assert compared.worst_cosine == min(compared.cosine)
    assert compared.worst_norm_ratio in compared.norm_ratio


def test_small_angles_are_not_lost() -> None:
    """Two float32 roundings apart is not the same direction, although the cosine of it is 1."""
    rows = normal(6).astype(np.float64)
    turned = rows.copy()
    turned[:, 0] *= 1 + 1e-9

    compared = compare_embeddings(rows, turned * 3)

    assert compared.relation is Relation.SCALED
    assert 0 < compared.residual < 1e-9


def test_more_rows_than_a_block_holds_are_all_seen() -> None:
    """The one row that differs is found in the last of several blocks."""
    dimension = 512
    n_rows = 2 * WORK_BYTES // (8 * dimension) + 3
    rows = np.random.default_rng(1).standard_normal((n_rows, dimension), dtype=np.float32)
    observed = rows.copy()
    observed[-1] = rows[0]

    compared = compare_embeddings(rows, observed)

    assert compared.outliers == (n_rows - 1,)
    assert compared.worst_rows[0] == n_rows - 1


ROWS = [[1.0, 2.0], [3.0, 4.0]]


class Foreign:
    """Somebody's class that says it is an array."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __array__(self, dtype: object = None, copy: object = None) -> object:
        """Raise, or give something else."""
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(np.array(ROWS), id="array"),
        pytest.param(np.array(ROWS, dtype=np.float16), id="float16"),
        pytest.param(np.array(ROWS, dtype=np.int64), id="integers"),
        pytest.param(torch.tensor(ROWS, requires_grad=True), id="tensor with a gradient"),
        pytest.param(torch.tensor(ROWS, dtype=torch.bfloat16), id="bfloat16"),
        pytest.param(torch.tensor(ROWS).to(torch.float8_e4m3fn), id="float8"),
        pytest.param([torch.tensor(row) for row in ROWS], id="list of tensors"),
        pytest.param([np.array(row) for row in ROWS], id="list of arrays"),
        pytest.param(tuple(tuple(row) for row in ROWS), id="tuples"),
        pytest.param([[1, 2], [np.float32(3), 4]], id="mixed numbers"),
        pytest.param(np.ma.masked_array(ROWS, [[0, 0], [0, 0]]), id="masked array without a mask"),
        pytest.param(np.array(ROWS, dtype=np.longdouble), id="longdouble"),
        pytest.param(Foreign(np.array(ROWS)), id="somebody's array"),
    ],
)
def test_vectors_of_every_kind_are_taken(rows: Any) -> None:
    """Arrays, tensors and lists of the same numbers are the same vectors."""
    assert compare_embeddings(ROWS, rows).relation is Relation.IDENTICAL


def test_one_vector_is_one_row() -> None:
    """A list, an array and a tensor of one axis are a single row."""
    assert compare_embeddings([1.0, 2.0], np.array([1.0, 2.0])).n_rows == 1
    assert compare_embeddings(torch.tensor([1.0, 2.0]), [[1.0, 2.0]]).n_rows == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([], "observed is empty", id="no rows"),
        pytest.param([[], []], "observed: is empty", id="no numbers"),
        pytest.param(np.empty((0, 4)), "observed: is empty", id="empty array"),
        pytest.param([[1.0, 2.0], [3.0]], r"observed\[1\] has 1 numbers", id="ragged"),
        pytest.param([[1.0, 2.0], 3.0], r"observed\[1\] is of type float, not a vector", id="not a row"),
        pytest.param([[1.0, 2.0], None], r"observed\[1\] is None, not a vector", id="none"),
        pytest.param([[1.0, "2"], [3.0, 4.0]], r"observed\[0\]\[1\] is of type str", id="string"),
        pytest.param([[1.0, True], [3.0, 4.0]], r"observed\[0\]\[1\] is of type bool", id="bool"),
        pytest.param([[[1.0]], [[2.0]]], r"observed\[0\]\[0\] is of type list", id="too deep"),
        pytest.param(["a", "b"], r"observed\[0\] is of type str", id="texts"),
        pytest.param([[10**400, 1], [1, 1]], "float64 cannot", id="huge integer"),
        pytest.param(b"1234", "observed is bytes", id="bytes"),
        pytest.param(3.0, "observed is of type float", id="number"),
        pytest.param(None, "observed is of type NoneType", id="nothing"),
        pytest.param(np.zeros((2, 2, 2)), "has the shape", id="three axes"),
        pytest.param(np.array([["a", "b"]] * 2), "not real numbers", id="strings"),
        pytest.param(np.array(ROWS, dtype=object), "holds object", id="objects"),
        pytest.param(np.array(ROWS, dtype=complex), "holds complex128", id="complex"),
        pytest.param(np.array(ROWS) > 1, "holds bool", id="flags"),
        pytest.param([[1.0, np.nan], [3.0, 4.0]], "row 0, column 1 is nan", id="nan"),
        pytest.param([[1.0, 2.0], [-np.inf, 4.0]], "row 1, column 0 is -inf", id="infinity"),
        pytest.param([[1.0, 2.0], [1e200, 4.0]], "row 1, column 0 is 1e.200, too large", id="too large"),
        pytest.param([[1.0, 2.0], [0.0, 0.0]], "row 1 is all zeros", id="zeros"),
        pytest.param(
            [[1.0, 2.0], [0.0, 1e-200]], "no number beyond 1e-200: they are too small", id="too small"
        ),
        pytest.param(np.ma.masked_array(ROWS, [[0, 0], [0, 1]]), "has masked numbers", id="masked"),
        pytest.param(Foreign(RuntimeError("boom")), "into an array: RuntimeError: boom", id="raises"),
        pytest.param(Foreign("x"), "cannot be turned into an array: ValueError", id="gives no array"),
        pytest.param(np.full((2, 2), np.longdouble("1e400")), "is inf, not a finite", id="only longdouble"),
        pytest.param([[1.0, 2.0]] * 3, "expected has 2 rows and observed has 3", id="other number of rows"),
        pytest.param(torch.eye(2).to_sparse(), "cannot be turned into numbers", id="sparse tensor"),
        pytest.param("vectors.csv", "vectors are read from .npy", id="unknown suffix"),
        pytest.param("\0.npy", "vectors are read from .npy", id="no path"),
        pytest.param(Path("hello"), "vectors are read from .npy", id="no suffix"),
    ],
)
def test_what_is_no_vectors_is_refused_with_its_place(rows: Any, message: str) -> None:
    """Whatever cannot be compared is refused, and the message says which argument and where in it."""
    with pytest.raises(UsageError, match=message):
        compare_embeddings(ROWS, rows)
