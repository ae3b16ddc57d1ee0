"""EMB520 to EMB523: what a running server does, held against a lock."""

from collections.abc import Iterator

from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.lock import ServedDrift
from embaudit.model.words import plural
from embaudit.rules.evidence import listed
from embaudit.rules.registry import rule

_IDENTITY = {"model_id", "model_sha", "pooling"}
"""What a server says of itself that decides its vectors."""


@rule("EMB520", Severity.ERROR)
def vectors_drifted(served: ServedDrift) -> Iterator[Observation]:
    """The server gives texts other vectors than the golden probe has.

    Farther apart than the rounding of the type that the golden vectors were computed in. A text that has no
    vector any more counts.
    """
    drift = served.drift
    if drift is None or not (drift.drifted or drift.only_golden):
        return
    worst = drift.drifted[0] if drift.drifted else None
    told = (
        f"{plural(len(drift.drifted), 'text')} of {len(drift.texts)} have another vector,"
        f" up to {worst.l2:.3g} apart (cosine {worst.cosine:.4f})"
        if worst is not None
        else f"{plural(len(drift.only_golden), 'text')} have no vector any more"
    )
    yield Observation(
        message=f"Against the golden probe, {told}; the vectors are {drift.comparison.relation}.",
        where=Where(field="vectors"),
        evidence={
            "drifted": listed(each.text for each in drift.drifted),
            "missing": listed(drift.only_golden),
            "tolerance": drift.tolerance,
            "relation": str(drift.comparison.relation),
        },
        remedy="`embaudit diagnose` finds out what is done otherwise.",
    )


@rule("EMB521", Severity.WARNING)
def server_says_otherwise(served: ServedDrift) -> Iterator[Observation]:
    """What the server says of itself is not what was locked.

    An error for the model, its commit and its pooling. What it said when the golden probe was taken counts,
    too: another type or version may compute otherwise.
    """
    changed = () if served.drift is None else served.drift.server
    told = {each.field: each for each in (*changed, *served.mismatches)}
    for field, mismatch in told.items():
        yield Observation(
            message=f"The server's `{field}` is {mismatch.served}, and should be {mismatch.expected}:"
            f" {mismatch.why}.",
            where=Where(field=field),
            evidence={"locked": mismatch.expected, "found": mismatch.served},
            remedy="Serve what was locked, by its commit, or lock again.",
            severity=Severity.ERROR if field in _IDENTITY else None,
        )


@rule("EMB522", Severity.ERROR)
def vectors_not_compared(served: ServedDrift) -> Iterator[Observation]:
    """There is no golden probe to hold the server's vectors against.

    What a server says of itself proves nothing of its vectors. Not compared is not equal.
    """
    if served.drift is None:
        yield Observation(
            message="The lock has no golden probe, so that the server's vectors could not be compared.",
            where=Where(field="vectors"),
            evidence={"texts": len(served.current.texts)},
            remedy="Keep one with `embaudit probe SERVER --save golden.safetensors`; lock with `--probe`.",
        )


@rule("EMB523", Severity.ERROR)
def server_misbehaves(served: ServedDrift) -> Iterator[Observation]:
    """The server does not do what every server must, or did when the golden probe was taken.

    A text has another vector in a batch than alone, vectors come in another order, or a repeated request
    gives others. A warning for behaviours that are a choice (length 1, casing, truncation) and have changed.
    """
    faults = {each.behaviour for each in served.current.faults}
    changed = () if served.drift is None else served.drift.behaviours
    for behaviour in sorted({*faults, *changed}):
        observation = served.current.observed(behaviour)
        yield Observation(
            message=f"The server {'fails' if behaviour in faults else 'has changed'} in `{behaviour}`.",
            where=Where(field=str(behaviour)),
            evidence={
                "holds": None if observation is None else observation.holds,
                "worst": None if observation is None else observation.worst,
            },
            remedy="`embaudit probe SERVER` shows the texts.",
            severity=None if behaviour.is_required else Severity.WARNING,
        )
