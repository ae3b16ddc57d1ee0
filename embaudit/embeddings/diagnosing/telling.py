"""What came of a search, as a diagnosis: the verdict, the cause, and what else is worth knowing."""

import math
from collections.abc import Iterator, Sequence

import attrs

from embaudit.embeddings.diagnosing.judging import (
    AHEAD,
    NOISE,
    Trial,
    not_told_apart,
    same_vectors,
    without_bundles,
)
from embaudit.embeddings.diagnosing.material import REFERENCE, Material
from embaudit.loaders.harmless import why_harmless
from embaudit.model.diagnosis import Cause, Diagnosis, Hypothesis, Verdict
from embaudit.model.words import plural

MOST_PAIRS_TOLD = 20
"""Combinations that a diagnosis lists."""

_DECLARED = f"vectors are made as {REFERENCE} makes them of this repository"

_HALVES = ("computed-in:float16", "computed-in:bfloat16")
"""Hypotheses that tell how far half-precision rounding reaches."""


@attrs.frozen(kw_only=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        target: What was asked about, as it was named.
        material: Its files.
        loader: The loader asked about.
        n_texts: How many texts there were.
        n_passes: Runs of models.
        trials: What was tried; what is declared comes first.
        failures: Name and reason of what could not be tried.
        n_untried: Combinations that were left out.
    """

    target: str
    material: Material
    loader: str | None
    n_texts: int
    n_passes: int
    trials: tuple[Trial, ...]
    failures: tuple[tuple[str, str], ...]
    n_untried: int


def tell(found: Found) -> Diagnosis:
    """The diagnosis."""
    near = not_told_apart(found.trials)
    verdict = _verdict(near, found.trials)
    group = without_bundles(near) if verdict is Verdict.EXPLAINED else ()
    return Diagnosis(
        target=found.target,
        commit=found.material.snapshot.commit,
        loader=found.loader,
        verdict=verdict,
        cause=Cause(hypotheses=tuple(map(_hypothesis, group))) if group else None,
        declared=_hypothesis(found.trials[0]),
        ranked=tuple(map(_hypothesis, _ranked(found.trials))),
        without_effect=tuple(_without_effect(found.trials)),
        untested=tuple(_untested(found)),
        notes=tuple(_notes(found, verdict, near)),
        n_texts=found.n_texts,
        n_passes=found.n_passes,
    )


def _verdict(near: Sequence[Trial], trials: Sequence[Trial]) -> Verdict:
    if not near:
        return Verdict.UNEXPLAINED
    if any(not trial.changes for trial in near):
        declared = trials[0]
        is_rounding = declared.error <= max(NOISE, AHEAD * max(_rounding(trials).values(), default=0.0))
        return Verdict.AGREES if declared.reproduces and is_rounding else Verdict.UNEXPLAINED
    if not all(trial.reproduces for trial in near) or not same_vectors(near):
        return Verdict.AMBIGUOUS
    return Verdict.EXPLAINED


def _rounding(trials: Sequence[Trial]) -> dict[str, float]:
    """Name of a half-precision type to how far computing in it takes vectors from those declared."""
    found = {}
    for trial in trials:
        if (
            len(trial.changes) == 1
            and trial.changes[0].name in _HALVES
            and math.isfinite(trial.from_declared)
        ):
            found[trial.changes[0].name.partition(":")[2]] = trial.from_declared
    return found


def _hypothesis(trial: Trial) -> Hypothesis:
    is_told = math.isfinite(trial.error)
    return Hypothesis(
        causes=tuple(change.name for change in trial.changes),
        description="; ".join(change.description for change in trial.changes) or _DECLARED,
        evidence=tuple(line for change in trial.changes for line in change.evidence),
        dimension=trial.dimension,
        distance=trial.error if is_told else None,
        cosine=trial.cosine if is_told and math.isfinite(trial.cosine) else None,
        reproduces=trial.reproduces,
        rows=trial.rows,
    )


def _ranked(trials: Sequence[Trial]) -> Iterator[Trial]:
    """The nearest first: all single hypotheses, and a few pairs, if they are nearer than both their parts."""
    alone = {trial.changes[0].name: _distance(trial) for trial in trials if len(trial.changes) == 1}
    n_pairs = 0
    for trial in sorted(trials, key=lambda trial: (_distance(trial), len(trial.changes), trial.error)):
        if len(trial.changes) > 1:
            is_nearer = _distance(trial) < min(alone.get(name, math.inf) for name in trial.causes)
            if not is_nearer or n_pairs == MOST_PAIRS_TOLD:
                continue
            n_pairs += 1
        yield trial


def _distance(trial: Trial) -> float:
    """The error of a trial, all those being equal that are noise."""
    return max(trial.error, NOISE)


def _without_effect(trials: Sequence[Trial]) -> Iterator[str]:
    for trial in trials:
        if len(trial.changes) == 1 and not trial.rows and trial.from_declared <= NOISE:
            yield trial.changes[0].name


def _untested(found: Found) -> Iterator[str]:
    yield from (f"{name}: {why}" for name, why in found.failures if " + " not in name)
    if found.n_untried:
        yield f"{plural(found.n_untried, 'combination')} would have taken more runs than were allowed."


def _notes(found: Found, verdict: Verdict, near: Sequence[Trial]) -> Iterator[str]:
    declared = found.trials[0]
    reaches = _rounding(found.trials)
    if declared.reproduces and declared.error > NOISE and verdict is not Verdict.EXPLAINED:
        told = " and ".join(f"computing in {name} {reach:.1e}" for name, reach in reaches.items())
        yield (
            f"The vectors are up to {declared.error:.1e} of their length from those declared"
            f"{f'; for comparison, {told}' if told else ''}."
        )
    if verdict is Verdict.AMBIGUOUS:
        yield f"About equally near: {', '.join(_hypothesis(trial).name for trial in near)}."
    if found.loader is not None:
        yield from _prediction(found.material, found.loader)


def _prediction(material: Material, loader: str) -> Iterator[str]:
    prediction = material.predict(loader)
    why = f": {prediction.reasons[0]}" if prediction.reasons else "."
    yield f"{loader} is predicted to be {prediction.outcome}{why}"
    random = [name for name in prediction.missing_keys if why_harmless(name) is None]
    random += prediction.unfilled_keys
    if random:
        yield (
            f"It is predicted to leave {plural(len(random), 'tensor')} at random values, `{random[0]}` among"
            " them, and vectors of those cannot be reproduced."
        )
