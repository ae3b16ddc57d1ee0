"""EMB501 to EMB513: what a verification found to differ from a lock.

Digests decide. A rule here says which of the things that were locked are others now, in the words of a diff;
what a server makes of texts is in `embaudit.rules.served`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import attrs

from embaudit.loaders.harmless import why_harmless
from embaudit.locks import compare_files, compare_settings, compare_weights, locked_place
from embaudit.locks.drifting import WeightsDrift
from embaudit.model.diff import FieldChange
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.files import FileKind
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.lock import Lock, LockDrift
from embaudit.model.prediction import Outcome
from embaudit.model.words import plural, short
from embaudit.rules.evidence import be, listed, some
from embaudit.rules.registry import rule

_RELOCK = "If the change is wanted, compare embeddings before and after, and lock again."
_WEIGHTS = {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX}
_SETTINGS = {FileKind.CONFIG, FileKind.POOLING, FileKind.TOKENIZER}


@rule("EMB501", Severity.WARNING)
def commit_moved(drift: LockDrift) -> Iterator[Observation]:
    """The commit is another one than was locked.

    What that changed is told by the other rules; information if no file differs. Silent where nothing says
    which commit is there: a folder is verified by its bytes.
    """
    old, new = drift.locked.commit, drift.found.commit
    if old is None or new is None or old == new:
        return
    files = compare_files(drift)
    n_files = sum(map(len, (files.added, files.removed, files.changed, files.unknown)))
    told = "no file differs" if not n_files else f"{plural(n_files, 'file')} may differ"
    yield Observation(
        message=f"Commit {short(old)} was locked, and {short(new)} is there; {told}.",
        where=Where(field="commit"),
        evidence={"locked": old, "found": new, "files": n_files},
        remedy=f"`{_diff(drift)}` tells what changed.",
        severity=None if n_files else Severity.INFO,
    )


@rule("EMB502", Severity.ERROR)
def values_changed(drift: LockDrift) -> Iterator[Observation]:
    """Locked tensors have other values, or another shape.

    Their digests differ, which neither shards nor another file format bring about: the weights are others,
    damaged or exchanged. One bit is enough.
    """
    for weights in compare_weights(drift):
        names = sorted({*weights.changed, *weights.reshaped})
        if names:
            shapes = f", {len(weights.reshaped)} of them in shape" if weights.reshaped else ""
            yield Observation(
                message=(
                    f"`{weights.found}`: {plural(len(names), 'tensor')} {be(len(names))} not what was"
                    f" locked{shapes}: {some(names)}; {weights.n_same:,} {be(weights.n_same)}."
                ),
                where=Where(path=weights.found, tensor=names[0]),
                evidence=_of_weights(
                    weights, changed=listed(weights.changed), reshaped=listed(weights.reshaped)
                ),
                remedy=(f"Do not use it before you know why: `{_diff(drift)}` tells by how much. {_RELOCK}"),
            )


@rule("EMB503", Severity.ERROR)
def tensors_came_or_went(drift: LockDrift) -> Iterator[Observation]:
    """Locked tensors are missing, or there are tensors that were not locked.

    A loader starts what it misses at random values. A warning where tensors only came along or only have
    another name, which loaders may not understand; information where no embedding depends on any of them. A
    name that shares the bytes of another one, and that safetensors therefore drops, is no loss.
    """
    for weights in compare_weights(drift):
        counted = (
            (weights.missing, "missing"),
            (weights.added, "not locked"),
            ([f"{old} -> {new}" for old, new in weights.renamed], "under another name"),
        )
        told = [f"{plural(len(names), 'tensor')} {what}: {some(names)}" for names, what in counted if names]
        if told:
            yield Observation(
                message=f"`{weights.found}` has {'; '.join(told)}.",
                where=Where(path=weights.found),
                evidence=_of_weights(
                    weights,
                    missing=listed(weights.missing),
                    added=listed(weights.added),
                    renamed=listed(counted[2][0]),
                ),
                remedy=f"Take the file that was locked. {_RELOCK}",
                severity=_of_strangers(weights),
            )


def _of_strangers(weights: WeightsDrift) -> Severity | None:
    names = (*weights.missing, *weights.added, *(name for pair in weights.renamed for name in pair))
    if all(why_harmless(name) for name in names):
        return Severity.INFO
    return None if any(not why_harmless(name) for name in weights.missing) else Severity.WARNING


@rule("EMB504", Severity.ERROR)
def tensors_were_recast(drift: LockDrift) -> Iterator[Observation]:
    """Locked tensors are stored in another type.

    A digest is of bits, so it cannot show whether the values are the locked ones, rounded: a comparison of
    both files can. Until then the values are taken to be others.
    """
    for weights in compare_weights(drift):
        by_cast: dict[str, list[str]] = defaultdict(list)
        for name, old, new in weights.recast:
            by_cast[f"{old} -> {new}"].append(name)
        for cast, names in sorted(by_cast.items()):
            yield Observation(
                message=(
                    f"`{weights.found}`: {plural(len(names), 'tensor')} {be(len(names))} of another type,"
                    f" {cast}: {some(names)}. No digest tells whether these are the locked values, rounded."
                ),
                where=Where(path=weights.found, tensor=names[0]),
                evidence=_of_weights(weights, cast=cast, tensors=listed(names)),
                remedy=f"`{_diff(drift)}` tells. {_RELOCK}",
            )


def _diff(drift: LockDrift) -> str:
    """The command that compares the values of what was locked with those that are there."""
    locked, found = locked_place(drift.locked), drift.found.target
    return f"embaudit diff --depth full {'A-COPY-OF-WHAT-WAS-LOCKED' if locked == found else locked} {found}"


@rule("EMB505", Severity.INFO)
def files_were_written_anew(drift: LockDrift) -> Iterator[Observation]:
    """The same tensors lie in other files.

    Every locked tensor is there with its digest, and none besides: the checkpoint was sharded or joined,
    converted between `.bin` and safetensors, or written with other metadata or in another order. That loaders
    read the new files as they read the old ones is for an audit to say.
    """
    for weights in compare_weights(drift):
        if weights.is_same_model and (weights.other_bytes or weights.locked != weights.found):
            yield Observation(
                message=(
                    f"`{weights.found}` holds the {plural(weights.n_same, 'tensor')} of `{weights.locked}`"
                    f" {_how(drift, weights)}: every value is the locked one."
                ),
                where=Where(path=weights.found),
                evidence=_of_weights(weights, untied=listed(weights.untied)),
                remedy="Audit it, and lock again.",
            )


def _how(drift: LockDrift, weights: WeightsDrift) -> str:
    old = drift.locked.checkpoints[weights.locked]
    new = drift.found.checkpoints[weights.found]
    told = [f"as {new.format} instead of {old.format}"] if old.format is not new.format else []
    if len(old.files) != len(new.files):
        told.append(f"in {plural(len(new.files), 'file')} instead of {len(old.files)}")
    return ", ".join(told) or ("in other bytes" if weights.locked == weights.found else "under another name")


def _of_weights(weights: WeightsDrift, **evidence: JSON) -> dict[str, JSON]:
    return {"locked": weights.locked, "found": weights.found, "n_same": weights.n_same, **evidence}


@rule("EMB506", Severity.ERROR)
def pipeline_changed(drift: LockDrift) -> Iterator[Observation]:
    """What is declared of the way from tokens to vectors is not what was locked.

    Pooling, normalisation, length, casing, prompts, dimension, dense layers, as the newest
    sentence-transformers would take them. The weights may be the same, and the vectors are not.
    """
    old, new = drift.locked.pipeline, drift.found.pipeline
    if old is None or new is None:
        return
    for field in attrs.fields(EmbeddingPipeline):
        before, now = getattr(old, field.name), getattr(new, field.name)
        if field.name != "notes" and before != now:
            yield Observation(
                message=f"`{field.name}` was locked as {_shown(before)} and is {_shown(now)}.",
                where=Where(field=field.name),
                evidence={"locked": _shown(before), "found": _shown(now)},
                remedy=_RELOCK,
            )


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " + ".join(map(str, value)) or "nothing"
    return "unknown" if value is None else str(value)


@rule("EMB507", Severity.ERROR)
def settings_changed(drift: LockDrift) -> Iterator[Observation]:
    """A settings file says something else than was locked.

    Field by field. Information where no field that changed can change an embedding, and where the file says
    the same in other bytes.
    """
    yield from _of_documents(drift, {FileKind.CONFIG, FileKind.POOLING}, "setting")


@rule("EMB508", Severity.ERROR)
def tokenizer_changed(drift: LockDrift) -> Iterator[Observation]:
    """The tokenizer is not the one that was locked.

    Other tokens are other vectors. Said by file, and by field where the file is JSON; a file that came or
    went counts. Information where no field that changed can change an embedding, and where the file says the
    same in other bytes.
    """
    yield from _of_documents(drift, {FileKind.TOKENIZER}, "field")
    files = compare_files(drift)
    kinds = {path: file.kind for lock in (drift.found, drift.locked) for path, file in lock.files.items()}
    for paths, what in ((files.added, "was not locked"), (files.removed, "is not there any more")):
        for path in paths:
            if kinds[path] is FileKind.TOKENIZER:
                yield Observation(
                    message=f"`{path}`, a file of the tokenizer, {what}.",
                    where=Where(path=path),
                    evidence={"change": what},
                    remedy=_RELOCK,
                )


def _of_documents(drift: LockDrift, kinds: set[FileKind], noun: str) -> Iterator[Observation]:
    settings = compare_settings(drift)
    by_file: dict[str, list[FieldChange]] = defaultdict(list)
    for change in settings.changes:
        by_file[change.file].append(change)
    for path in compare_files(drift).changed:
        is_document = path in settings.told
        if drift.found.files[path].kind not in kinds or not (is_document or FileKind.TOKENIZER in kinds):
            continue
        changes = by_file[path]
        told = tuple(f"{each.field}: {_spelled(each)}" for each in changes)
        if not is_document:
            message, severity = f"`{path}` changed.", None
        elif not changes:
            message, severity = f"`{path}` says the same in other bytes.", Severity.INFO
        else:
            message = f"`{path}`: {plural(len(changes), noun)} changed: {told[0]}."
            severity = None if any(each.affects_embeddings for each in changes) else Severity.INFO
        yield Observation(
            message=message,
            where=Where(path=path, field=changes[0].field if changes else None),
            evidence={"changes": listed(told), "why": changes[0].why if changes else ""},
            remedy=_RELOCK,
            severity=severity,
        )


_MOST_SPELLED = 60
"""Characters of one value in a message."""


def _spelled(change: FieldChange) -> str:
    old = repr(change.old)[:_MOST_SPELLED] if change.old_present else "nothing"
    new = repr(change.new)[:_MOST_SPELLED] if change.new_present else "nothing"
    return f"{old} -> {new}"


@rule("EMB509", Severity.WARNING)
def files_changed(drift: LockDrift) -> Iterator[Observation]:
    """Locked files have another content.

    Those that other rules do not tell of. Code, weights of other programs (ONNX, OpenVINO), weight files
    whose tensors could not be read, and settings that cannot be read any more are errors; documentation is
    information.
    """
    documents = compare_settings(drift).told
    checkpoints = _weight_paths(drift.locked) & _weight_paths(drift.found)
    by_severity: dict[Severity, list[str]] = defaultdict(list)
    for path in compare_files(drift).changed:
        kind = drift.found.files[path].kind
        if kind is not FileKind.TOKENIZER and path not in documents and path not in checkpoints:
            was_read = path in drift.locked.settings
            severity = Severity.ERROR if was_read else _CHANGED.get(kind, Severity.WARNING)
            by_severity[severity].append(path)
    yield from _of_files(by_severity, "changed since they were locked", _RELOCK)


_CHANGED = {
    FileKind.CODE: Severity.ERROR,
    FileKind.WEIGHTS: Severity.ERROR,
    FileKind.WEIGHTS_INDEX: Severity.ERROR,
    FileKind.FOREIGN_WEIGHTS: Severity.ERROR,
    FileKind.DOCS: Severity.INFO,
}


@rule("EMB510", Severity.WARNING)
def files_came_or_went(drift: LockDrift) -> Iterator[Observation]:
    """Locked files are not there, or there are files that were not locked.

    Weights, settings and code that are gone are errors, and so are settings that came: loaders read them. New
    code and weights that no locked ones stand against are warnings. What was not downloaded because nobody
    needs it (documentation, training state, weights of other programs) is information, and so is what came of
    it. Weight files whose tensors could be compared, and the tokenizer, are told of by other rules.
    """
    files = compare_files(drift)
    compared = compare_weights(drift)
    gone: dict[Severity, list[str]] = defaultdict(list)
    old = _paths_of(drift.locked, {each.locked for each in compared})
    for path in files.removed:
        kind = drift.locked.files[path].kind
        if path not in old and kind is not FileKind.TOKENIZER:
            gone[_severity_of_gone(drift.locked, path, kind)].append(path)
    come: dict[Severity, list[str]] = defaultdict(list)
    new = _paths_of(drift.found, {each.found for each in compared})
    for path in files.added:
        kind = drift.found.files[path].kind
        if path not in new and kind is not FileKind.TOKENIZER:
            come[_severity_of_come(drift.found, path, kind)].append(path)
    yield from _of_files(gone, "that were locked are not there", "Take them from what was locked.")
    yield from _of_files(come, "were not locked", _RELOCK)


def _severity_of_gone(locked: Lock, path: str, kind: FileKind) -> Severity:
    is_setting = kind in _SETTINGS and path in locked.settings
    return Severity.ERROR if kind in {*_WEIGHTS, FileKind.CODE} or is_setting else Severity.INFO


def _severity_of_come(found: Lock, path: str, kind: FileKind) -> Severity:
    if kind in _SETTINGS and path in found.settings:
        return Severity.ERROR
    return Severity.WARNING if kind in {*_WEIGHTS, FileKind.CODE} else Severity.INFO


def _of_files(by_severity: dict[Severity, list[str]], what: str, remedy: str) -> Iterator[Observation]:
    for severity, paths in sorted(by_severity.items(), reverse=True):
        yield Observation(
            message=f"{plural(len(paths), 'file')} {what}: {some(paths)}.",
            where=Where(path=paths[0]),
            evidence={"files": listed(paths)},
            remedy=remedy,
            severity=severity,
        )


def _weight_paths(lock: Lock) -> frozenset[str]:
    return _paths_of(lock, lock.checkpoints)


def _paths_of(lock: Lock, checkpoints: Iterable[str]) -> frozenset[str]:
    """Every file and index of some checkpoints."""
    return frozenset(path for name in checkpoints for path in (name, *lock.checkpoints[name].files))


@rule("EMB511", Severity.ERROR)
def remote_code_moved(drift: LockDrift) -> Iterator[Observation]:
    """The code of another repository is not the code that was locked.

    Another repository or class is named, or that repository has a new commit, which loaders take unless they
    are told a `code_revision`. A locked commit that cannot be looked up here counts; a warning where none was
    known when it was locked.
    """
    old = {(code.where, code.reference): code for code in drift.locked.remote_code}
    new = {(code.where, code.reference): code for code in drift.found.remote_code}
    for where, reference in (key for key in new if key not in old):
        yield _code(where, f"asks for code that was not locked, {reference}", {"found": reference})
    for where, reference in (key for key in old if key not in new):
        yield _code(where, f"does not ask any more for {reference}", {"locked": reference})
    for key in (key for key in old if key in new):
        before, now = old[key].commit, new[key].commit
        evidence: dict[str, JSON] = {"reference": key[1], "locked": before, "found": now}
        if before is None or now is None:
            severity = Severity.WARNING if before is None else None
            yield _code(
                key[0], f"runs {key[1]}, whose commit could not be compared", evidence, severity=severity
            )
        elif before != now:
            what = f"runs {key[1]}, locked at {short(before)}, and {old[key].repo_id} is at {short(now)}"
            yield _code(key[0], what, evidence)


def _code(where: str, what: str, evidence: dict[str, JSON], severity: Severity | None = None) -> Observation:
    path, _, field = where.partition(": ")
    return Observation(
        message=f"`{path}` {what}.",
        where=Where(path=path, field=field),
        evidence=evidence,
        remedy="Pass `code_revision` with the locked commit, or look at the new code and lock again.",
        severity=severity,
    )


@rule("EMB512", Severity.ERROR)
def outcome_changed(drift: LockDrift) -> Iterator[Observation]:
    """A loader that was asked about does something else than was locked.

    A warning where the load is faithful now and was not.
    """
    for asked, before in drift.locked.loads.items():
        now = drift.found.loads.get(asked)
        if now is not None and now is not before:
            yield Observation(
                message=f"{asked} was locked as {before}, and is {now}.",
                where=Where(field="loads"),
                loader=asked,
                evidence={
                    "locked": str(before),
                    "found": str(now),
                    "locked_by": drift.locked.tool_version,
                    "found_by": drift.found.tool_version,
                },
                remedy=f"`embaudit predict {drift.found.target} --loader '{asked}'` tells why.",
                severity=Severity.WARNING if now is Outcome.FAITHFUL else None,
            )


@rule("EMB513", Severity.ERROR)
def not_compared(drift: LockDrift) -> Iterator[Observation]:
    """Something that was locked could not be compared.

    No digest is known to both, values were not read, or a file is not at hand or malformed. Not compared is
    not equal.
    """
    reasons = dict.fromkeys(compare_files(drift).unknown, "no digest of it is known to both")
    for weights in compare_weights(drift):
        if weights.unknown:
            n_tensors = plural(len(weights.unknown), "tensor")
            reasons[weights.found] = f"the values of {n_tensors} are not known on one side"
    old, new = drift.locked, drift.found
    unread = (name for name in old.checkpoints if name in new.files and name not in new.checkpoints)
    reasons |= dict.fromkeys(unread, "its tensors could not be read")
    reasons |= {
        path: why for path, why in new.problems.items() if path in old.files and path not in old.problems
    }
    for note in compare_settings(drift).notes:
        reasons.setdefault(note, "a part of the comparison is too large to be told")
    for path, reason in sorted(reasons.items()):
        yield Observation(
            message=f"`{path}` could not be compared: {reason.rstrip('.')}.",
            where=Where(path=path),
            evidence={
                "reason": reason,
                "depth": str(drift.found.depth),
                "locked_at": str(drift.locked.depth),
            },
            remedy="Verify at depth full; if it was locked without values, lock it at depth full first.",
        )
