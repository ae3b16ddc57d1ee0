"""`EMB60x`: what a policy asks of a snapshot, one rule for each requirement.

A gate fails closed: what is not known, of weights that cannot be read, of settings that are missing, is told
as not shown to comply. Without a policy nothing here is asked.
"""

import re
from collections.abc import Callable, Iterator, Sequence

from embaudit.formats.fields import quoted
from embaudit.loaders import declared_pipeline
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration, ModelCard
from embaudit.model.facts import Loads, WeightContents
from embaudit.model.files import FileKind, FileState, Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.policy import PickleRule, Policy, RemoteCodeRule
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.refs import is_commit
from embaudit.model.repository import Repository
from embaudit.model.tensors import TensorInfo
from embaudit.model.weight_formats import WeightFormat, foreign_format
from embaudit.model.words import plural
from embaudit.rules.code_references import CodeReference, code_references
from embaudit.rules.evidence import MAX_LISTED, listed, some
from embaudit.rules.registry import rule


@rule("EMB601", Severity.ERROR)
def format_is_not_allowed(
    policy: Policy, weights: WeightContents, snapshot: Snapshot
) -> Iterator[Observation]:
    """A weight file is stored in a format that the policy does not allow.

    `formats` lists every container that weight files of the snapshot may have. That of torch and safetensors
    files is told by their content, that of other programs' files (ONNX, GGUF, TensorFlow, ...) by their
    names. A file that could not be read is in no format that is known. Files of a commit that were not
    downloaded are not asked about.
    """
    if policy.formats is None:
        return
    allowed = ", ".join(policy.formats)
    stored = [*_formats(weights), *_foreign_formats(snapshot)]

    def observe(path: str, found: str) -> Observation:
        return Observation(
            message=f"`{path}` is {found}, and the policy allows {allowed}.",
            where=Where(path=path),
            evidence={"format": found, "allowed": tuple(map(str, policy.formats or ()))},
            remedy="Take a revision without it, convert it, or waive it by its path if nothing loads it.",
        )

    wrong = [(path, found) for path, found in stored if found not in policy.formats]
    yield from _bounded(wrong, observe, f"are in none of the formats {allowed}")
    if not stored:
        yield _no_weights(f"one of the formats {allowed}")


def _formats(weights: WeightContents) -> Iterator[tuple[str, str]]:
    yield from ((each.name, WeightFormat(each.format.value)) for each in weights.checkpoints)
    yield from ((path, "in a format that is not known") for path in weights.unread)


def _foreign_formats(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for path, entry in snapshot.files.items():
        if entry.kind is FileKind.FOREIGN_WEIGHTS and entry.state is not FileState.ABSENT:
            yield path, foreign_format(path) or "in a format that is not known"


def _no_weights(requirement: str) -> Observation:
    return Observation(
        message=f"The policy asks for weights of {requirement}, and no weight file is at hand.",
        where=Where(field="files"),
        remedy="Check the revision and the folder; download the weights.",
    )


def _bounded(
    rows: Sequence[tuple[str, str]], observe: Callable[[str, str], Observation], told: str
) -> Iterator[Observation]:
    """An observation for each of the first rows, a path and what was found, and one for all others."""
    yield from (observe(path, found) for path, found in rows[:MAX_LISTED])
    others = [path for path, _ in rows[MAX_LISTED:]]
    if others:
        yield Observation(
            message=f"{plural(len(others), 'file')} more {told}: {some(others)}.",
            where=Where(field="files"),
            evidence={"files": listed(others)},
            remedy="As for the others.",
        )


_SAFETENSORS = re.compile(r"\.safetensors(\.index(\.[\w-]+)?\.json)?\Z", re.IGNORECASE)


def _is_called_safetensors(path: str) -> bool:
    """Whether every loader that opens the file takes it for safetensors, or for the index of such."""
    return _SAFETENSORS.search(path) is not None


@rule("EMB602", Severity.ERROR)
def pickle_is_not_allowed(policy: Policy, weights: WeightContents) -> Iterator[Observation]:
    """A weight file holds a pickle that the policy does not allow.

    `pickles = "tensor-only"` lets pass what asks for nothing but tensors, containers of them and plain
    values; `"none"` no pickle at all, which leaves safetensors. A file that could not be read, and is not
    called safetensors, may hold anything.
    """
    if policy.pickles is PickleRule.ANY:
        return
    named = [(each.name, _pickle_problem(each, policy.pickles)) for each in weights.checkpoints]
    wrong = [(path, problem) for path, problem in named if problem]
    wrong += [
        (path, f"was not read, so what it holds is not known: {why}")
        for path, why in weights.unread.items()
        if not _is_called_safetensors(path)
    ]

    def observe(path: str, problem: str) -> Observation:
        return Observation(
            message=f"`{path}` {problem.rstrip('.')}; the policy asks for pickles = {str(policy.pickles)!r}.",
            where=Where(path=path),
            evidence={"problem": problem, "pickles": str(policy.pickles)},
            remedy="Take safetensors, convert the file in isolation, or waive it by its path.",
        )

    yield from _bounded(wrong, observe, "hold a pickle that is not allowed, or were not read")


def _pickle_problem(checkpoint: Checkpoint, allowed: PickleRule) -> str:
    if checkpoint.pickle is None:
        return ""
    if allowed is PickleRule.NONE:
        return f"holds a pickle ({checkpoint.format})"
    if checkpoint.pickle.tensor_only:
        return ""
    return (
        f"holds a pickle of more than tensors: {next(iter(checkpoint.pickle.reasons), 'no reason is given')}"
    )


@rule("EMB603", Severity.ERROR)
def revision_is_no_commit(policy: Policy, snapshot: Snapshot) -> Iterator[Observation]:
    """The revision that was asked for is not a commit hash, and the policy wants one.

    With `require-commit = true` only 40 hex digits will do: a branch and a tag can move between the audit and
    the load. A plain folder has no revision, so that nothing pins what is in it.
    """
    if policy.require_commit and not is_commit(snapshot.revision):
        asked = "no revision was asked for" if snapshot.revision is None else f"{snapshot.revision!r} is none"
        pin = (
            f"Ask for {snapshot.commit}." if snapshot.commit else "Audit the repository at a commit instead."
        )
        yield Observation(
            message=f"The policy asks for a whole commit hash, and {asked}.",
            where=Where(field="revision"),
            evidence={"revision": snapshot.revision, "commit": snapshot.commit},
            remedy=pin,
        )


@rule("EMB604", Severity.ERROR)
def dtype_is_not_allowed(policy: Policy, weights: WeightContents) -> Iterator[Observation]:
    """Weights are stored in a type that the policy does not allow.

    Asked of every tensor of floating-point, complex or packed numbers, and of integers that are called
    weights, as quantised ones are (`weight`, `qweight`). Positions, masks and other plain integers may always
    be there. A file that could not be read is not shown to comply.
    """
    if policy.dtypes is None:
        return
    allowed = ", ".join(policy.dtypes)
    for checkpoint in weights.checkpoints:
        wrong = [
            each
            for each in checkpoint.tensors.values()
            if _is_weight(each) and each.dtype not in policy.dtypes
        ]
        if wrong:
            found = sorted({str(tensor.dtype) for tensor in wrong})
            yield Observation(
                message=(
                    f"`{checkpoint.name}` stores {plural(len(wrong), 'tensor')} in {', '.join(found)}, and"
                    f" the policy allows {allowed}: {some([tensor.name for tensor in wrong])}."
                ),
                where=Where(path=checkpoint.name, tensor=wrong[0].name),
                evidence={"dtypes": found, "names": listed(tensor.name for tensor in wrong)},
                remedy="Take a revision or a file with the right type, or convert the weights.",
            )
    yield from _bounded(tuple(weights.unread.items()), _untold_dtypes, "could not be read")
    if not weights.checkpoints and not weights.unread:
        yield _no_weights(f"the types {allowed}")


def _is_weight(tensor: TensorInfo) -> bool:
    is_plain = tensor.dtype.lstrip("u").startswith(("int", "bool"))
    return not is_plain or tensor.name.rpartition(".")[2].endswith("weight")


def _untold_dtypes(path: str, why: str) -> Observation:
    return Observation(
        message=f"The types in `{path}` are not known, and the policy names some: {why.rstrip('.')}.",
        where=Where(path=path),
        evidence={"problem": why},
        remedy="Restore or remove the file; waive it by its path if nothing loads it.",
    )


@rule("EMB605", Severity.ERROR)
def dimension_is_another(
    policy: Policy, snapshot: Snapshot, declaration: Declaration, weights: WeightContents, loads: Loads | None
) -> Iterator[Observation]:
    """Vectors do not have the dimension that the policy asks for, or it is not known.

    That is the dimension of what sentence-transformers would make of the repository, after every Dense
    module, and of what each loader that was asked about would make of it, as far as that is known.
    """
    if policy.dimension is None:
        return
    repository = Repository(
        snapshot=snapshot,
        declaration=declaration,
        checkpoints={each.name: each for each in weights.checkpoints},
    )
    pipeline = declared_pipeline(repository)
    if pipeline.dimension != policy.dimension:
        found = (
            f"have {pipeline.dimension:,} as the repository declares them"
            if pipeline.dimension is not None
            else f"have a dimension that is not known{_because(pipeline.notes)}"
        )
        yield _another_dimension(policy, pipeline.dimension, found, None)
    for prediction in () if loads is None else loads.predictions:
        others = {each.pipeline.dimension for each in prediction.eras if each.pipeline is not None}
        for dimension in sorted(others - {None, policy.dimension, pipeline.dimension}, key=str):
            found = f"of {prediction.asked} have {dimension:,}"
            yield _another_dimension(policy, dimension, found, prediction.loader)


def _because(notes: Sequence[str]) -> str:
    return f" ({notes[0].rstrip('.')})" if notes else ""


def _another_dimension(policy: Policy, dimension: int | None, found: str, loader: str | None) -> Observation:
    return Observation(
        message=f"The policy asks for vectors of {policy.dimension:,} components, and those {found}.",
        where=Where(field="dimension"),
        loader=loader,
        evidence={"dimension": dimension, "required": policy.dimension},
        remedy="Take a model of that dimension; an index of vectors holds one dimension only.",
    )


@rule("EMB606", Severity.ERROR)
def licence_is_not_allowed(policy: Policy, card: ModelCard) -> Iterator[Observation]:
    """The licence is not one that the policy allows, or none is declared.

    What counts is `license` in the head of `README.md`, in the hub's identifiers
    (https://huggingface.co/docs/hub/repositories-licenses), and `license_name` where that is `other`. Of
    several each must be allowed, because a card does not say which holds for what. It is what the repository
    says of itself, and no legal advice. The card is read only where a policy names licences.
    """
    if policy.licences is None:
        return
    allowed = {licence.casefold() for licence in policy.licences}
    wrong = [each for each in card.licences if not _is_allowed(each, card.licence_name, allowed)]
    if wrong:
        told = f"declares {', '.join(quoted(each) for each in wrong)}"
    elif card.problem:
        told = f"does not tell the licence: {card.problem}"
    else:
        told = "" if card.licences else "declares no licence"
    if told:
        yield Observation(
            message=f"`{card.path}` {told}, and the policy allows {', '.join(policy.licences)}.",
            where=Where(path=card.path, field="license"),
            evidence={
                "licences": card.licences,
                "licence_name": card.licence_name,
                "allowed": policy.licences,
            },
            remedy="Take another model, or have the licence cleared and add it to the policy.",
        )


def _is_allowed(licence: str, name: str, allowed: set[str]) -> bool:
    identifier = licence.strip().casefold()
    return identifier in allowed or (identifier == _OTHER and name.strip().casefold() in allowed)


_OTHER = "other"
"""The hub's identifier of a licence that it has no identifier for."""


@rule("EMB607", Severity.ERROR)
def remote_code_is_not_allowed(
    policy: Policy, snapshot: Snapshot, declaration: Declaration
) -> Iterator[Observation]:
    """The repository has code run that the policy does not allow.

    `remote-code = "forbidden"` lets no repository pass that asks for code of its own or of another one, by
    `auto_map`, `custom_pipelines` or the types of `modules.json`. `"pinned"` lets its own code pass, which
    the commit pins, and no code of another repository (`org/name--file.Class`): that is taken at whatever
    commit the other one is at. Settings that cannot be read may ask for anything.
    """
    if policy.remote_code is RemoteCodeRule.ALLOWED:
        return
    is_pinned = policy.remote_code is RemoteCodeRule.PINNED
    by_field: dict[tuple[str, str], list[CodeReference]] = {}
    for reference in code_references(declaration):
        if not (is_pinned and reference.repo_id in {None, *snapshot.names}):
            by_field.setdefault((reference.path, reference.field), []).append(reference)
    for (path, field), references in by_field.items():
        yield _forbidden_code(path, field, references, is_pinned=is_pinned)
    for bad in declaration.bad:
        entry = snapshot.files.get(bad.path)
        if not bad.usable and (entry is None or entry.state is not FileState.ABSENT):
            yield Observation(
                message=f"`{bad.path}` cannot be read, so what code it asks for is not known: {bad.problem}.",
                where=Where(path=bad.path),
                evidence={"problem": bad.problem},
                remedy="Restore the file from the repository's history.",
            )


def _forbidden_code(
    path: str, field: str, references: Sequence[CodeReference], *, is_pinned: bool
) -> Observation:
    named = [each.reference for each in references]
    others = dict.fromkeys(each.repo_id for each in references if each.repo_id is not None)
    whose = f"of {', '.join(quoted(repo) for repo in others)}" if others else "of the repository"
    rule_says = "whose commit nothing names" if is_pinned else "and the policy forbids that"
    return Observation(
        message=f"`{path}` has code {whose} run, {rule_says}: {some(named)}.",
        where=Where(path=path, field=field),
        evidence={"classes": listed(named), "repositories": listed(others)},
        remedy=(
            "Copy the code into a repository of your own, or pass `code_revision` and waive this."
            if is_pinned
            else "Take a model whose architecture the loader brings along."
        ),
    )


@rule("EMB608", Severity.ERROR)
def snapshot_is_too_large(policy: Policy, snapshot: Snapshot) -> Iterator[Observation]:
    """The files of the snapshot are larger, together, than the policy allows.

    `max-size` is about every file, whoever reads it, without those of a commit that were not downloaded.
    Where the source does not know the size of a file, it is not shown that they keep to it.
    """
    if policy.max_bytes is None:
        return
    files = [entry for entry in snapshot.files.values() if entry.state is not FileState.ABSENT]
    n_bytes = sum(entry.size or 0 for entry in files)
    unknown = [entry.path for entry in files if entry.size is None]
    largest = max(files, key=lambda entry: entry.size or 0, default=None)
    if n_bytes > policy.max_bytes and largest is not None:
        yield Observation(
            message=f"The files have {n_bytes:,} bytes, and the policy allows {policy.max_bytes:,}.",
            where=Where(field="files"),
            evidence={"bytes": n_bytes, "allowed": policy.max_bytes, "largest": largest.path},
            remedy="Take a smaller model, or a revision without weights in formats that nobody loads.",
        )
    elif unknown:
        yield Observation(
            message=f"The policy allows {policy.max_bytes:,} bytes, {some(unknown)} has no known size.",
            where=Where(path=unknown[0]),
            evidence={"files": listed(unknown), "known_bytes": n_bytes, "allowed": policy.max_bytes},
            remedy="Restore the file, or audit the repository on the hub.",
        )


@rule("EMB609", Severity.ERROR)
def required_load_is_not_faithful(policy: Policy, loads: Loads | None) -> Iterator[Observation]:
    """A loader that the policy names would not load faithfully, or that cannot be told.

    `faithful` is every tensor that embeddings depend on, with the right values, in every version and backend
    that the entry of `loaders` covers. `incomplete`, `corrupt`, `refused` and `unknown` do not pass; what
    went wrong is told by `EMB20x` as well.
    """
    predictions: dict[str, LoadPrediction] = (
        {} if loads is None else {each.asked: each for each in loads.predictions}
    )
    for asked in policy.loaders:
        prediction = predictions.get(asked)
        if prediction is None:
            yield _not_asked(asked)
        elif prediction.outcome is not Outcome.FAITHFUL:
            reason = next(iter(prediction.reasons), "")
            yield Observation(
                message=(
                    f"The policy asks that {quoted(asked)} loads faithfully, and the outcome is"
                    f" {prediction.outcome}{f': {reason}' if reason else '.'}"
                ),
                where=Where(path=next(iter(prediction.files), None), field="loaders"),
                loader=prediction.loader,
                evidence={
                    "asked": asked,
                    "outcomes": _outcomes(prediction),
                    "reasons": listed(prediction.reasons),
                },
                remedy="Name versions that load it, or take another file format or revision.",
            )


def _outcomes(prediction: LoadPrediction) -> dict[str, tuple[str, ...]]:
    """Outcome to the versions that have it."""
    outcomes: dict[str, list[str]] = {}
    for era in prediction.eras:
        backend = f"[{era.backend}]" if era.backend else ""
        outcomes.setdefault(str(era.outcome), []).append(f"{backend}{era.versions}")
    return {outcome: listed(versions) for outcome, versions in outcomes.items()}


def _not_asked(asked: str) -> Observation:
    return Observation(
        message=f"The policy asks that {quoted(asked)} loads faithfully, and it was not asked about.",
        where=Where(field="loaders"),
        evidence={"asked": asked},
        remedy="Audit with this policy.",
    )
