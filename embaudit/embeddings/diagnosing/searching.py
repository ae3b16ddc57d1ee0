"""The search for a cause: what is declared, every single change, and combinations of two as far as needed.

Knows in which order hypotheses are tried and when it is enough. Refuses to know how vectors are made, and
when one is near enough.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice
from typing import Any

import attrs
import numpy as np

from embaudit.embeddings.accepting import accept
from embaudit.embeddings.diagnosing.changes import AGAINST, Facts, changes, declared_setting
from embaudit.embeddings.diagnosing.judging import (
    MOST_ERROR,
    NOISE,
    Trial,
    Vectors,
    least_cosine,
    not_told_apart,
    permutation,
    row_errors,
    worst_error,
)
from embaudit.embeddings.diagnosing.material import Material, read_material
from embaudit.embeddings.diagnosing.running import Runner
from embaudit.embeddings.diagnosing.settings import Change, Setting
from embaudit.embeddings.diagnosing.telling import Found, tell
from embaudit.errors import EmbauditError, TargetError, UsageError
from embaudit.model.diagnosis import Diagnosis
from embaudit.model.files import Snapshot
from embaudit.model.limits import Limits

_PERMUTED = Change(
    name="rows-permuted",
    description="the rows are in another order than the texts",
    evidence=("Each observed row is that of another text.",),
)


@attrs.frozen(kw_only=True, eq=False)
class Question:
    """What `diagnose` was asked; see there."""

    target: str | os.PathLike[str] | Snapshot
    against: str | os.PathLike[str] | Snapshot | None
    texts: tuple[str, ...]
    observed: Any
    loader: str | None
    most_passes: int
    limits: Limits


def search(question: Question) -> Diagnosis:
    """See `embaudit.embeddings.diagnosing.diagnose`."""
    observed = _observed(question)
    material = read_material(question.target, question.limits)
    other = None if question.against is None else read_material(question.against, question.limits)
    materials = {"": material} if other is None else {"": material, AGAINST: other}
    runner = Runner(materials, question.texts, question.limits)
    hunt = _Hunt(runner, observed, question.most_passes)
    hunt.start(declared_setting(material))
    facts = _facts(question, material, other, hunt)
    singles = changes(facts)
    if hunt.reaches_dimension(singles):
        hunt.try_singles(singles)
        hunt.try_pairs()
    return tell(
        Found(
            target=str(question.target)
            if not isinstance(question.target, Snapshot)
            else _named(question.target),
            material=material,
            loader=question.loader,
            observed=observed,
            n_passes=runner.n_passes,
            trials=tuple(hunt.trials),
            failures=tuple(hunt.failures),
            n_untried=hunt.n_untried,
        )
    )


def _named(snapshot: Snapshot) -> str:
    return snapshot.repo_id or snapshot.source


def _observed(question: Question) -> Vectors:
    rows = accept(question.observed, "observed", question.limits).rows
    if len(rows) != len(question.texts):
        raise UsageError(f"{len(question.texts)} texts and {len(rows)} observed vectors were given")
    with np.errstate(over="ignore"):
        observed: Vectors = np.ascontiguousarray(rows, dtype=np.float32)
    if not np.isfinite(observed).all():
        raise UsageError("the observed vectors hold numbers that float32 cannot")
    return observed


def _facts(question: Question, material: Material, other: Material | None, hunt: "_Hunt") -> Facts:
    declared = hunt.declared
    return Facts(
        material=material,
        declared=declared.setting,
        against=other,
        n_texts=len(question.texts),
        dimension=hunt.observed.shape[1],
        declared_dimension=declared.dimension,
        n_layers=hunt.runner.layers(declared.setting),
        loader=question.loader or "",
    )


class _Hunt:
    """Trials, one after the other.

    Attributes:
        runner: What makes vectors.
        observed: The vectors that somebody has.
        trials: What has been tried; what is declared comes first.
        failures: What could not be tried, and why.
        n_untried: Combinations left out because of `most_passes`.
    """

    def __init__(self, runner: Runner, observed: Vectors, most_passes: int) -> None:
        self.runner = runner
        self.observed = observed
        self.trials: list[Trial] = []
        self.failures: list[tuple[str, str]] = []
        self.n_untried = 0
        self._most_passes = most_passes
        self._singles: tuple[Change, ...] = ()
        self._reference: Vectors = observed

    @property
    def declared(self) -> Trial:
        """What the repository declares."""
        return self.trials[0]

    def start(self, declared: Setting) -> None:
        """Try what is declared.

        Raises:
            TargetError: If it gives no vectors of numbers, or one of the errors of reading.
        """
        ((_, vectors),) = self.runner.run([declared])
        if isinstance(vectors, EmbauditError):
            raise vectors
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise TargetError(
                "the reference vectors are not finite or have no length: the weights are damaged"
            )
        self._reference = vectors
        self._keep((), declared, vectors)

    def reaches_dimension(self, singles: Sequence[Change]) -> bool:
        """Whether anything that is tried gives as many components as were observed.

        Fields that decide on them are few, and most of them cost no run of a model.
        """
        dimension = self.observed.shape[1]
        if self.declared.dimension == dimension:
            return True
        shaping = [change for change in singles if change.shapes_vectors]
        pairs = [pair for pair in combinations(shaping, 2) if _fit(*pair)]
        settings = [change.applied(self.declared.setting) for change in shaping]
        settings += [right.applied(left.applied(self.declared.setting)) for left, right in pairs]
        return any(
            not isinstance(vectors, EmbauditError) and vectors.shape[1] == dimension
            for _, vectors in self.runner.run(settings)
        )

    def try_singles(self, singles: Sequence[Change]) -> None:
        """Try every change alone, and together with each that costs no further run of a model."""
        self._singles = tuple(singles)
        cheap = [change for change in singles if not change.runs_model]
        sets: list[tuple[Change, ...]] = [(change,) for change in singles]
        sets += [
            pair
            for pair in combinations(singles, 2)
            if _fit(*pair) and (pair[0] in cheap or pair[1] in cheap)
        ]
        self._try(sets)

    def try_pairs(self) -> None:
        """Try two changes that each cost runs, as far as what was found leaves them possible."""
        best = min(trial.error for trial in self.trials)
        if best <= NOISE:
            return
        candidates = [change for change in self._singles if change.runs_model and self._has_effect(change)]
        pairs = [pair for pair in combinations(candidates, 2) if _fit(*pair)]
        near = not_told_apart(self.trials)
        if any(not trial.changes for trial in near):
            small = {trial.changes[0] for trial in self._alone() if trial.from_declared <= MOST_ERROR}
            pairs = [pair for pair in pairs if small.issuperset(pair)]
        elif near:
            named = {change for trial in near for change in trial.changes}
            pairs = [pair for pair in pairs if not named.isdisjoint(pair)]
        self._try(pairs)

    def _alone(self) -> Iterator[Trial]:
        return (
            trial for trial in self.trials if len(trial.changes) == 1 and trial.changes[0] is not _PERMUTED
        )

    def _has_effect(self, change: Change) -> bool:
        found = next((trial for trial in self._alone() if trial.changes[0] is change), None)
        return found is not None and found.from_declared > NOISE

    def _try(self, sets: Iterable[tuple[Change, ...]]) -> None:
        wanted: dict[Setting, tuple[Change, ...]] = {}
        for changes_made in sets:
            setting = self.declared.setting
            for change in changes_made:
                setting = change.applied(setting)
            wanted.setdefault(setting, changes_made)
        room = max(0, self._most_passes - self.runner.n_passes)
        states = set(islice(dict.fromkeys(setting.states for setting in wanted), room))
        allowed = [setting for setting in wanted if setting.states in states]
        self.n_untried += len(wanted) - len(allowed)
        for setting, vectors in self.runner.run(allowed):
            if isinstance(vectors, EmbauditError):
                self.failures.append((" + ".join(change.name for change in wanted[setting]), str(vectors)))
            else:
                self._keep(wanted[setting], setting, vectors)

    def _keep(self, made: tuple[Change, ...], setting: Setting, vectors: Vectors) -> None:
        error = worst_error(vectors, self.observed)
        trial = Trial(
            changes=made,
            setting=setting,
            dimension=vectors.shape[1],
            error=error,
            cosine=least_cosine(vectors, self.observed),
            from_declared=worst_error(vectors, self._reference),
            vectors=vectors if error <= MOST_ERROR else None,
            errors=row_errors(vectors, self.observed) if error <= MOST_ERROR or not made else (),
        )
        self.trials.append(trial)
        if not trial.reproduces and len(made) <= 1:
            self._keep_permuted(trial, vectors)

    def _keep_permuted(self, trial: Trial, vectors: Vectors) -> None:
        rows = permutation(vectors, self.observed)
        if not rows:
            return
        there = vectors[np.argsort(rows)]
        self.trials.append(
            attrs.evolve(
                trial,
                changes=(*trial.changes, _PERMUTED),
                error=worst_error(there, self.observed),
                cosine=least_cosine(there, self.observed),
                vectors=there,
                errors=row_errors(there, self.observed),
                rows=rows,
            )
        )


def _fit(left: Change, right: Change) -> bool:
    """Whether two changes can be made together: they touch different fields, and neither is a bundle."""
    return left.fields.keys().isdisjoint(right.fields) and not (left.is_bundle or right.is_bundle)
