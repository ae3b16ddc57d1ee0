"""When a hypothesis counts as the cause: distances, ties and what contains what."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.embeddings.diagnosing.judging import (
    LEAST_COSINE,
    MOST_ERROR,
    NOISE,
    Trial,
    least_cosine,
    not_told_apart,
    permutation,
    same_vectors,
    without_bundles,
    worst_error,
)
from embaudit.embeddings.diagnosing.settings import Change, Setting
from embaudit.model.embedding_pipeline import PoolingMode

SETTING = Setting(weights="model.safetensors", pooling=(PoolingMode.MEAN,), normalize=True)
CHANGES = {name: Change(name=name, description=name, is_bundle=name == "z") for name in "abcz"}


def trial(causes: str, error: float, row: float = 1.0) -> Trial:
    """A trial whose changes are these letters."""
    return Trial(
        changes=tuple(CHANGES[letter] for letter in causes),
        setting=SETTING,
        dimension=2,
        error=error,
        cosine=1.0,
        vectors=np.array([[row, 1.0]], np.float32),
    )


def causes_of(trials: tuple[Trial, ...]) -> list[str]:
    """Their letters."""
    return ["".join(change.name for change in each.changes) for each in trials]


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda row: np.linalg.norm(row) > 0.1),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(lambda row: np.linalg.norm(row) > 0.1),
    st.floats(0, MOST_ERROR * 0.999),
)
def test_what_is_reproduced_has_the_cosine(row: list[float], way: list[float], error: float) -> None:
    """Vectors within the greatest error of others have at least the least cosine to them."""
    expected = np.array([row], np.float32)
    step = np.array([way], np.float32)
    step *= error * np.linalg.norm(expected) / np.linalg.norm(step)

    assert worst_error(expected, expected + step) <= MOST_ERROR
    assert least_cosine(expected, expected + step) >= LEAST_COSINE


def test_length_counts() -> None:
    """Vectors of the right direction and another length are not reproduced."""
    expected = np.eye(2, dtype=np.float32)

    assert least_cosine(expected, 2 * expected) == 1
    assert worst_error(expected, 2 * expected) == 1


@pytest.mark.parametrize(
    "expected",
    [np.zeros((1, 2)), np.full((1, 2), np.nan), np.full((1, 2), np.inf), np.ones((1, 3))],
    ids=["zero", "nan", "infinite", "other shape"],
)
def test_what_cannot_be_compared_is_infinitely_far(expected: np.ndarray) -> None:
    """No hypothesis is near because its vectors are no vectors."""
    assert worst_error(expected.astype(np.float32), np.ones((1, 2), np.float32)) == math.inf


@pytest.mark.parametrize("order", [order for order in permutations(range(4)) if order != (0, 1, 2, 3)])
def test_every_permutation_is_found(order: tuple[int, ...]) -> None:
    """For each expected row, the place of the observed one."""
    expected = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)

    observed = expected[np.argsort(order)]

    assert permutation(expected, observed) == order


def test_no_permutation_is_made_up() -> None:
    """Rows in their order, equal rows, and rows of which one is missing give none."""
    rows = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)

    assert permutation(rows, rows) == ()
    assert permutation(np.stack([rows[0]] * 3), np.stack([rows[0]] * 3)) == ()
    assert permutation(rows, rows[[1, 1, 2]]) == ()


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([], []),
        ([("", 1.0), ("a", 0.5)], []),
        ([("", 1.0), ("a", 0.001), ("b", 0.9)], ["a"]),
        ([("", 0.002), ("a", 0.001)], [""]),
        ([("", 0.9), ("a", 0.002), ("ab", 0.001)], ["a"]),
        ([("", 0.9), ("a", 0.9), ("ab", 0.001)], ["ab"]),
        ([("", 0.9), ("a", 0.001), ("b", 0.002)], ["a", "b"]),
        ([("", 0.9), ("a", 0.001), ("b", 0.0031)], ["a"]),
        ([("", 0.9), ("a", 0.0), ("b", NOISE / 2)], ["a", "b"]),
        ([("", 0.9), ("a", 0.01), ("b", 0.025)], ["a", "b"]),
    ],
    ids=[
        *("nothing", "nothing near", "one", "declared first", "the smaller one", "a pair", "two"),
        *("one is ahead", "noise", "one beyond the bound"),
    ],
)
def test_what_is_not_told_apart(trials: list[tuple[str, float]], expected: list[str]) -> None:
    """The nearest and those about as near, if it reproduces; of two that contain one another the smaller."""
    assert causes_of(not_told_apart(trial(*each) for each in trials)) == expected


def test_a_bundle_yields_to_what_it_is_made_of() -> None:
    """What stands for several things is named only where nothing smaller has the same effect."""
    assert causes_of(without_bundles([trial("z", 0), trial("a", 0), trial("bc", 0)])) == ["a"]
    assert causes_of(without_bundles([trial("z", 0)])) == ["z"]


def test_same_vectors_are_told_by_the_vectors() -> None:
    """Equally near is not the same."""
    assert same_vectors([trial("a", 0.001), trial("b", 0.001)])
    assert not same_vectors([trial("a", 0.001), trial("b", 0.001, row=1.002)])
