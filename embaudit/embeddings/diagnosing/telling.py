"""What came of a search, as a diagnosis: the verdict, the cause, and what else is worth knowing."""

import math
from collections.abc import Iterator, Sequence

import attrs

from embaudit.embeddings.diagnosing.judging import (
    AHEAD,
    NOISE,
    Trial,
    Vectors,
    common_factor,
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

_COMPUTED = "computed-in:"
"""How hypotheses begin that tell how far rounding reaches."""


@attrs.frozen(kw_only=True, eq=False)
class Found:
    """What a search found.

    Attributes:
        target: What was asked about, as it was named.
        material: Its files.
        loader: The loader asked about.
        observed: The observed vectors.
        n_passes: Runs of models.
        trials: What was tried; what is declared comes first.
        failures: Name and reason of what could not be tried.
        n_untried: Combinations that were left out.
    """

    target: str
    material: Material
    loader: str | None
    observed: Vectors
    n_passes: int
    trials: tuple[Trial, ...]
    failures: tuple[tuple[str, str], ...]
    n_untried: int


def tell(found: Found) -> Diagnosis:
    """The diagnosis."""
    near = not_told_apart(found.trials)
    factor = _factor(near, found)
    verdict = verdict_of(near, found.trials, is_scaled=factor is not None)
    group = without_bundles(near) if verdict is Verdict.EXPLAINED else ()
    doubtful = tuple(trial for trial in group if _is_doubtful(trial, found))
    if doubtful:
        verdict, group = Verdict.UNEXPLAINED, ()
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
        doubts=(doubt,) if (doubt := found.material.tokenizer.doubt) else (),
        notes=(*_doubtful_notes(doubtful), *_notes(found, verdict, near, factor)),
        dimension=found.observed.shape[1],
        n_texts=len(found.observed),
        n_passes=found.n_passes,
    )


def _is_doubtful(trial: Trial, found: Found) -> bool:
    """Whether a cause may be what loaders do anyway, as it is not sure what tokenizer they have."""
    return bool(found.material.tokenizer.doubt) and any(change.is_about_tokens for change in trial.changes)


def _doubtful_notes(doubtful: Sequence[Trial]) -> Iterator[str]:
    for trial in doubtful:
        yield f"`{_hypothesis(trial).name}` gives the vectors, and may be what loaders do of themselves."


def _factor(near: Sequence[Trial], found: Found) -> float | None:
    """What all observed vectors are multiplied by, where that is all that keeps them from being the nearest.

    The nearest is what is declared, if that is not told apart from the nearest.
    """
    nearest = next((trial for trial in near if not trial.changes), near[0] if near else None)
    if nearest is None or nearest.vectors is None or nearest.error <= NOISE:
        return None
    return common_factor(nearest.vectors, found.observed)


def verdict_of(near: Sequence[Trial], trials: Sequence[Trial], *, is_scaled: bool) -> Verdict:
    """What comes of a search.

    Args:
        near: The trials that are not told apart from the nearest; none if that one is far.
        trials: All of them; what is declared comes first.
        is_scaled: Whether the observed vectors are the nearest ones, all of them longer or shorter alike.
    """
    if not near or is_scaled:
        return Verdict.UNEXPLAINED
    if any(not trial.changes for trial in near):
        return _verdict_on_declared(trials)
    if not all(trial.reproduces for trial in near) or not same_vectors(near):
        return Verdict.AMBIGUOUS
    return Verdict.EXPLAINED


def _verdict_on_declared(trials: Sequence[Trial]) -> Verdict:
    """What comes of it where what is declared is not told apart from the nearest."""
    declared = trials[0]
    is_rounding = declared.error <= max(NOISE, AHEAD * max(_rounding(trials).values(), default=0.0))
    if not is_rounding:
        return Verdict.UNEXPLAINED
    return Verdict.AGREES if declared.reproduces else Verdict.AMBIGUOUS


def _rounding(trials: Sequence[Trial]) -> dict[str, float]:
    """Name of another type to how far computing in it takes vectors from those declared."""
    return {
        trial.changes[0].name.removeprefix(_COMPUTED): trial.from_declared
        for trial in trials
        if len(trial.changes) == 1
        and trial.changes[0].name.startswith(_COMPUTED)
        and math.isfinite(trial.from_declared)
    }


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
        distances=trial.errors,
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


def _notes(found: Found, verdict: Verdict, near: Sequence[Trial], factor: float | None) -> Iterator[str]:
    declared, dimension = found.trials[0], found.observed.shape[1]
    if all(trial.dimension != dimension for trial in found.trials):
        yield (
            f"The observed vectors have {plural(dimension, 'component')}, those declared"
            f" {declared.dimension:,}, and nothing that is tried gives as many."
        )
    if factor is not None:
        whose = next((trial for trial in near if not trial.changes), near[0])
        yield (
            f"All observed vectors are {factor:.6g} times those of `{_hypothesis(whose).name}`, which is no"
            " rounding."
        )
    reaches = _rounding(found.trials)
    is_near = declared.reproduces or any(not trial.changes for trial in near)
    if is_near and declared.error > NOISE and verdict is not Verdict.EXPLAINED:
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
