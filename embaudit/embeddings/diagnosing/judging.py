"""How near the vectors of a hypothesis come to those observed, and which of them that makes the cause.

Knows numbers only: distances, and when one hypothesis is ahead of another. Refuses to know what they mean.

What is measured
----------------
The error of a row is the L2 distance between the observed vector and that of the hypothesis, as a part of the
length of the latter; the error of a hypothesis is that of its worst row. Direction and length both count.

When one is the cause
---------------------
1. It reproduces the vectors: its error is at most `MOST_ERROR`, so that every cosine is at least 0.9999.
2. It is ahead: those whose errors are at most `AHEAD` times the least one, or within `NOISE`, are not told
   apart from the nearest. Of them, one that contains another (the same and something more) says nothing
   that the other does not, and is put aside. If what is declared is among them, nothing is to blame.
3. If several remain, they are the cause together if they give the same vectors of these texts, to within
   `NOISE`; otherwise no cause is named.
"""

import math
from collections.abc import Iterable, Sequence

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.embeddings.comparing import compare_rows
from embaudit.embeddings.diagnosing.settings import Change, Setting
from embaudit.model.comparison import Relation

Vectors = npt.NDArray[np.float32]

LEAST_COSINE = 0.9999
"""Cosine that every row has to have for vectors to be called reproduced."""

MOST_ERROR = math.sqrt(2 * (1 - LEAST_COSINE))
"""The distance between two vectors of one length at that cosine, as a part of the length. At most this error
keeps the cosine, whatever the lengths: its sine is no larger."""

NOISE = 5e-6
"""Error below which vectors count as the same: some 40 units in the last place of float32. Programs that
compute MiniLM in float32 differ by about 1e-6."""

AHEAD = 3.0
"""How many times larger the error of a hypothesis has to be that is to be ruled out. Half-precision computing
in another order gives errors about half as large as half-precision computing itself."""


@attrs.frozen(kw_only=True, eq=False)
class Trial:
    """One hypothesis and what came of it.

    Attributes:
        changes: What is done otherwise than declared.
        setting: How its vectors are made.
        dimension: Components of its vectors.
        error: That of the worst row; infinite where nothing can be compared.
        cosine: Of the row where it is least; NaN as above.
        from_declared: Error of the declared vectors against its own; infinite as above.
        vectors: Its vectors, in the observed order; kept only where they are near, else None.
        errors: That of each row; kept only where they are near, or are declared, and are numbers.
        rows: The order that they had to be brought into, if any.
    """

    changes: tuple[Change, ...]
    setting: Setting
    dimension: int
    error: float
    cosine: float
    from_declared: float = math.inf
    vectors: Vectors | None = attrs.field(default=None, repr=False)
    errors: tuple[float, ...] = attrs.field(default=(), repr=False)
    rows: tuple[int, ...] = ()

    @property
    def causes(self) -> frozenset[str]:
        """Names of what is done otherwise."""
        return frozenset(change.name for change in self.changes)

    @property
    def reproduces(self) -> bool:
        """Whether the observed vectors are its own."""
        return self.error <= MOST_ERROR


def errors(expected: Vectors, observed: Vectors) -> npt.NDArray[np.float64]:
    """The error of each row; infinite where the expected vector has no length or is no vector of numbers."""
    wide = expected.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    distances = np.linalg.norm(wide - observed, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = distances / lengths
    return np.where(np.isfinite(ratios), ratios, np.inf)


def worst_error(expected: Vectors, observed: Vectors) -> float:
    """The error of the worst row; infinite if the shapes differ."""
    if expected.shape != observed.shape:
        return math.inf
    return float(errors(expected, observed).max())


def row_errors(expected: Vectors, observed: Vectors) -> tuple[float, ...]:
    """The error of each row; none if the shapes differ, or one is infinite."""
    if expected.shape != observed.shape:
        return ()
    found = errors(expected, observed)
    return tuple(found.tolist()) if np.isfinite(found).all() else ()


def common_factor(expected: Vectors, observed: Vectors) -> float | None:
    """The factor that all observed vectors carry, if undoing it brings them nearer than rounding does.

    Rounding moves a vector sideways as much as lengthwise; a factor moves all of them lengthwise.
    """
    found = compare_rows(expected, observed)
    return found.scale if found.relation is Relation.SCALED else None


def least_cosine(left: Vectors, right: Vectors) -> float:
    """Cosine similarity of the row where it is least; NaN if there is none."""
    if left.shape != right.shape:
        return math.nan
    wide, other = left.astype(np.float64), right.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1) * np.linalg.norm(other, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(((wide * other).sum(axis=1) / lengths).min())


def permutation(expected: Vectors, observed: Vectors) -> tuple[int, ...]:
    """For each expected row the position of the observed one that is it, each used once; empty if none is.

    Empty too if that is the order they are in. Of rows that are alike the first one free is taken.
    """
    if expected.shape != observed.shape or not np.isfinite(expected).all():
        return ()
    free = list(range(len(observed)))
    order: list[int] = []
    for row in expected:
        near = errors(np.broadcast_to(row, observed[free].shape), observed[free])
        best = int(near.argmin())
        if near[best] > MOST_ERROR:
            return ()
        order.append(free.pop(best))
    return () if order == sorted(order) else tuple(order)


def not_told_apart(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials that come about as near as the nearest, if that one reproduces the vectors.

    Of two that contain one another the smaller one. The nearest comes first.
    """
    ordered = sorted(trials, key=lambda trial: (trial.error, len(trial.changes)))
    if not ordered or not ordered[0].reproduces:
        return ()
    limit = max(AHEAD * ordered[0].error, NOISE)
    near = [trial for trial in ordered if trial.error <= limit]
    causes = [trial.causes for trial in near]
    return tuple(trial for trial in near if not any(other < trial.causes for other in causes))


def same_vectors(trials: Sequence[Trial]) -> bool:
    """Whether trials that are near the observed vectors give one and the same vectors of these texts."""
    first = trials[0].vectors
    if first is None:
        return len(trials) == 1
    return all(trial.vectors is not None and worst_error(first, trial.vectors) <= NOISE for trial in trials)


def without_bundles(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """The trials with the fewest changes, bundles only where nothing else is left."""
    single = [trial for trial in trials if not any(change.is_bundle for change in trial.changes)] or trials
    fewest = min(len(trial.changes) for trial in single)
    return tuple(trial for trial in single if len(trial.changes) == fewest)
