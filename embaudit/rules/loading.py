"""`EMB20x`: what one loader would do with the weights, judged by what becomes of the embeddings."""

from collections.abc import Iterable, Iterator

from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.prediction import LoadPrediction, Outcome, PredictedLoad
from embaudit.model.words import plural
from embaudit.rules.behaviours import (
    affected_by,
    because,
    causes,
    first_file,
    harmful,
    left_random,
    loading,
    name_of,
    says_nothing,
    severity_of,
    who,
    who_does,
)
from embaudit.rules.evidence import MAX_LISTED, listed, some
from embaudit.rules.registry import rule


@rule("EMB201", Severity.ERROR)
def weights_stay_random(prediction: LoadPrediction) -> Iterator[Observation]:
    """A loader leaves weights at random values.

    The model has tensors on which every embedding depends, and the files that this loader opens do not hold
    them under a name that it knows. The model then runs with random numbers in their place: other ones at
    every start. A pooler or another part that embeddings do not use is not told of. A warning where no
    version was asked for and the newest ones load the weights.
    """
    affected = [load for load in loading(prediction) if left_random(load)]
    if not affected:
        return
    names = left_random(affected[-1])
    yield Observation(
        message=(
            f"{who_does(affected, 'leaves')} {plural(len(names), 'tensor')} at random values"
            f"{says_nothing(affected)}: {some(names)}."
        ),
        where=Where(path=first_file(affected), tensor=names[0]),
        loader=prediction.loader,
        evidence={
            **affected_by(affected),
            "missing_keys": listed(names),
            "not_taken": listed(harmful(affected[-1], affected[-1].unexpected_keys)),
            "reasons": listed(affected[-1].reasons),
        },
        remedy=_cure(affected),
        severity=severity_of(prediction, affected, Severity.ERROR),
    )


def _cure(affected: Iterable[PredictedLoad]) -> str:
    """What helps against weights at random values."""
    if any("trust_remote_code" in reason for load in affected for reason in load.reasons):
        return (
            "The repository brings the code of its model: load it with trust_remote_code=True if you trust"
            " it, and ask about that with `LOADER with trust_remote_code`."
        )
    return "Use a version that is not affected, or save the weights under the names that it knows."


@rule("EMB202", Severity.ERROR)
def weights_are_misread(prediction: LoadPrediction) -> Iterator[Observation]:
    """A loader takes weights from the wrong bytes.

    The load succeeds and the shapes are right, but the values are others: the vectors have nothing to do
    with those of the model. The evidence names, for each tensor, the byte of the file that should be read
    and the one that is. A warning where no version was asked for and the newest ones read rightly.
    """
    affected = [load for load in loading(prediction) if load.misread_keys]
    if not affected:
        return
    worst = affected[-1]
    first = worst.misread_keys[0]
    yield Observation(
        message=(
            f"{who_does(affected, 'takes')} {plural(len(worst.misread_keys), 'tensor')} from the wrong bytes"
            f"{says_nothing(affected)}: `{first.name}` from byte {first.byte_read:,} on where"
            f" {first.byte_to_read:,} is right ({first.reason})."
        ),
        where=Where(path=first.file, tensor=first.name),
        loader=prediction.loader,
        evidence={
            **affected_by(affected),
            "n_tensors": len(worst.misread_keys),
            "tensors": [
                {"name": one.name, "byte_to_read": one.byte_to_read, "byte_read": one.byte_read}
                for one in worst.misread_keys[:MAX_LISTED]
            ],
        },
        remedy="Use a version that is not affected, or serve safetensors.",
        severity=severity_of(prediction, affected, Severity.ERROR),
    )


@rule("EMB203", Severity.WARNING)
def weights_are_dropped(prediction: LoadPrediction) -> Iterator[Observation]:
    """A loader drops stored tensors that seem to matter.

    The file holds more than the model takes: layers beyond the number that `config.json` gives, a projection
    that is not applied, tensors under names that nothing claims. Task heads, poolers and buffers are not told
    of. An error where the model is another one without them. Where weights are missing too, EMB201 tells of
    both: the one is often the other under a name that nobody knows.
    """
    whole = [load for load in loading(prediction) if not left_random(load)]
    affected = [load for load in whole if harmful(load, load.unexpected_keys)]
    if not affected:
        return
    names = harmful(affected[-1], affected[-1].unexpected_keys)
    decisive = any(load.outcome is Outcome.INCOMPLETE for load in affected)
    yield Observation(
        message=(
            f"{who_does(affected, 'does not take')} {plural(len(names), 'stored tensor')}"
            f"{says_nothing(affected)}: {some(names)}."
        ),
        where=Where(path=first_file(affected), tensor=names[0]),
        loader=prediction.loader,
        evidence={**affected_by(affected), "unexpected_keys": listed(names)},
        remedy="Find out what they are for: a wrong config.json, a renamed module, another model class.",
        severity=severity_of(prediction, affected, Severity.ERROR if decisive else Severity.WARNING),
    )


@rule("EMB204", Severity.ERROR)
def the_loader_refuses(prediction: LoadPrediction) -> Iterator[Observation]:
    """A loader refuses the repository.

    It ends in an error, which is loud, but comes after the download and at the start of a service. A warning
    where only some of the versions or backends that were asked about refuse, and a note where no version was
    asked for and the newest ones load it.
    """
    refusing = [load for load in prediction.eras if load.outcome is Outcome.REFUSED]
    if not refusing:
        return
    newest = refusing[-1]
    usual = Severity.WARNING if len(refusing) < len(prediction.eras) else Severity.ERROR
    yield Observation(
        message=causes(refusing, "refuses the repository"),
        where=Where(path=first_file(refusing)),
        loader=prediction.loader,
        evidence={
            **affected_by(refusing),
            "reasons": listed(reason for load in refusing for reason in load.reasons),
            "missing_keys": listed(newest.missing_keys),
            "mismatched_keys": [
                {"name": one.name, "stored": one.stored_shape, "expected": one.expected_shape}
                for one in newest.mismatched_keys[:MAX_LISTED]
            ],
        },
        remedy="Use another version or backend, or a revision of the repository with what it asks for.",
        severity=severity_of(prediction, refusing, usual),
    )


@rule("EMB205", Severity.WARNING)
def the_load_cannot_be_told(prediction: LoadPrediction) -> Iterator[Observation]:
    """It cannot be told what a loader would do.

    An architecture that is not known here, code of the repository, a file format that is not read: the
    reasons say which. Not told is not passed. A note where it is so in old versions only.
    """
    unknown = [load for load in prediction.eras if load.outcome is Outcome.UNKNOWN]
    if unknown:
        yield Observation(
            message=f"What {who(unknown)} would do cannot be told: {because(unknown)}",
            where=Where(path=first_file(unknown)),
            loader=prediction.loader,
            evidence={
                **affected_by(unknown),
                "reasons": listed(reason for load in unknown for reason in load.reasons),
            },
            remedy="Load it once in an isolated environment and compare its embeddings with known ones.",
            severity=severity_of(prediction, unknown, Severity.WARNING),
        )


@rule("EMB206", Severity.WARNING)
def the_winner_depends_on_the_version(prediction: LoadPrediction) -> Iterator[Observation]:
    """A tensor of the model is stored twice, and the version decides which one is taken.

    Two stored names become one on loading (`LayerNorm.gamma` and `LayerNorm.weight`, with and without the
    prefix of the base model). If the two hold different values, an upgrade of the loader changes the model.
    """
    winners: dict[str, dict[str, list[PredictedLoad]]] = {}
    for load in prediction.eras:
        for twice in load.duplicate_keys:
            winners.setdefault(twice.name, {}).setdefault(twice.winner, []).append(load)
    disputed = {name: by for name, by in winners.items() if len(by) > 1}
    if disputed:
        name, by = next(iter(disputed.items()))
        told = "; ".join(f"{who_does(loads, 'takes')} `{winner}`" for winner, loads in by.items())
        yield Observation(
            message=f"Stored twice: {plural(len(disputed), 'tensor')}. For `{name}` {told}.",
            where=Where(path=first_file(prediction.eras), tensor=name),
            loader=prediction.loader,
            evidence={
                "tensors": listed(disputed),
                "winners": {winner: affected_by(loads) for winner, loads in by.items()},
            },
            remedy="Save the weights again with one name for each tensor.",
        )


@rule("EMB207", Severity.INFO)
def the_outcome_depends_on_the_version(prediction: LoadPrediction) -> Iterator[Observation]:
    """What comes of a load depends on the version or the backend of the loader.

    Among those that were asked about, some load the repository faithfully and others do not.
    """
    outcomes = {load.outcome for load in prediction.eras}
    if len(outcomes) < 2:  # noqa: PLR2004 - two outcomes differ
        return
    told = "; ".join(f"{name_of(load)} {load.outcome}" for load in prediction.eras)
    yield Observation(
        message=f"What comes of the load depends on the version or backend: {told}.",
        where=Where(path=first_file(prediction.eras)),
        loader=prediction.loader,
        evidence={
            "outcomes": [{"loader": name_of(load), "outcome": str(load.outcome)} for load in prediction.eras]
        },
        remedy="Pin the version of the loader beside the commit of the model.",
    )


@rule("EMB208", Severity.WARNING)
def the_version_is_not_known(prediction: LoadPrediction) -> Iterator[Observation]:
    """A version was asked for that is none of the releases that embaudit knows.

    It is taken to do what its neighbours do, which nobody has verified.
    """
    assumed = [load for load in prediction.eras if load.extrapolated]
    if assumed:
        yield Observation(
            message=f"What {who(assumed)} does is not known; it is taken to be what its neighbours do.",
            where=Where(path=first_file(assumed)),
            loader=prediction.loader,
            evidence={**affected_by(assumed), "reasons": listed(assumed[-1].reasons)},
            remedy="Update embaudit, or load it once in an isolated environment and compare embeddings.",
        )
