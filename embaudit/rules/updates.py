"""EMB028: how far one commit is behind another, and whether what changed between them matters to anybody.

Told from what each loader would do with both, from the settings that changed, and from the weight files: what
the commits say of themselves is shown, and proves nothing.
"""

import re
from collections.abc import Iterator

from packaging.version import Version

from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import LoadChange, LoadChanges
from embaudit.model.files import FileKind, Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.tensor_map import Agreement
from embaudit.model.words import plural, short
from embaudit.rules.behaviours import who
from embaudit.rules.evidence import listed, some
from embaudit.rules.history import commit_list
from embaudit.rules.registry import rule

_SETTINGS = {FileKind.CONFIG, FileKind.POOLING, FileKind.TOKENIZER, FileKind.CODE}
_WEIGHTS = {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX, FileKind.FOREIGN_WEIGHTS}

_MAX_NAMED = 3
"""Reasons that the message names; the evidence has all of them."""

_PLACES = {"hub": " on the hub", "cache": " in the cache", "git": " in the clone", "folder": " in the folder"}

_VERSION = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)*")


@rule("EMB028", Severity.WARNING)
def commit_is_behind(diff: SnapshotDiff, loads: LoadChanges | None) -> Iterator[Observation]:
    """A commit is behind, and what changed since matters.

    A history tells that the older snapshot is an ancestor of the newer one, and the commits between. They
    matter to a loader if it would take another weight file, if what comes of its load or the type in which
    it computes is another one, or if a file that it takes changed; and they matter to all if a setting
    changed that can change an embedding, or a tokenizer or code. Where no loader is asked about, every change
    of a weight file counts. Information if nothing of what changed matters: documentation, other formats.
    """
    if not diff.commits or diff.lost_commits:
        return
    settings, weights = _settings(diff), _weights(diff)
    changes = () if loads is None else loads.changes
    by_loader = {change.after.asked: _what_changes(change, weights) for change in changes}
    reasons = [reason for each in by_loader.values() for reason in each]
    if settings:
        reasons.append(f"settings, tokenizer or code changed in {some(settings)}")
    if weights and not by_loader:
        reasons.append(f"weights changed in {some(weights)}")
    asked = tuple(by_loader)
    yield Observation(
        message=f"{_distance(diff)}, and {_verdict(diff, reasons, asked)}",
        where=Where(field="commit"),
        loader=asked[0] if len(asked) == 1 else None,
        evidence={
            "old_commit": diff.old.commit,
            "new_commit": diff.new.commit,
            "n_commits": len(diff.commits),
            "commits": commit_list(diff.commits),
            "loaders": {name: listed(each) for name, each in by_loader.items()},
            "settings": listed(settings),
            "weights": listed(weights),
        },
        remedy="Compare embeddings of the two, then move the pin or keep it on purpose." if reasons else "",
        severity=None if reasons else Severity.INFO,
    )


def _distance(diff: SnapshotDiff) -> str:
    differ = diff.old.source != diff.new.source
    old, new = (_PLACES.get(each.source, "") if differ else "" for each in (diff.old, diff.new))
    return (
        f"Commit {short(diff.old.commit)}{old} is {plural(len(diff.commits), 'commit')} behind"
        f" {short(diff.new.commit)}{new}"
    )


def _verdict(diff: SnapshotDiff, reasons: list[str], asked: tuple[str, ...]) -> str:
    if reasons:
        more = f"; and {len(reasons) - _MAX_NAMED} more" if len(reasons) > _MAX_NAMED else ""
        return f"what changed matters: {'; '.join(reasons[:_MAX_NAMED])}{more}."
    n_files = len(diff.added) + len(diff.removed) + len(diff.modified) + len(diff.renamed)
    whom = f" to {', '.join(asked)}" if asked else ""
    return f"nothing of what changed ({plural(n_files, 'file')}) matters{whom}."


def _settings(diff: SnapshotDiff) -> list[str]:
    """The files, other than weights, whose change can change an embedding, sorted."""
    told = {change.file for change in diff.field_changes}
    found = {change.file for change in diff.field_changes if change.affects_embeddings}
    entries = [(entry.path, entry.kind) for entry in (*diff.added, *diff.removed)]
    entries += [(each.path, each.kind) for each in diff.modified if each.path not in told]
    entries += [(path, each.kind) for each in diff.renamed for path in (each.old_path, each.new_path)]
    found.update(path for path, kind in entries if kind in _SETTINGS)
    elsewhere = _export_folders(diff.old) | _export_folders(diff.new)
    return sorted(path for path in found if _folder(path) not in elsewhere)


def _export_folders(snapshot: Snapshot) -> set[str]:
    """The folders with weights of other programs only: what else lies in them is for those programs."""
    by_kind: dict[FileKind, set[str]] = {kind: set() for kind in _WEIGHTS}
    for path, entry in snapshot.files.items():
        if entry.kind in by_kind:
            by_kind[entry.kind].add(_folder(path))
    own = by_kind[FileKind.WEIGHTS] | by_kind[FileKind.WEIGHTS_INDEX] | {""}
    return by_kind[FileKind.FOREIGN_WEIGHTS] - own


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _weights(diff: SnapshotDiff) -> list[str]:
    """The weight files of either snapshot that changed, or that may have, sorted."""
    same = {
        each.left
        for each in diff.tensors
        if each.left == each.right
        and each.same_model
        and all(pair.values is Agreement.IDENTICAL for pair in each.pairs)
    }
    found = {entry.path for entry in (*diff.added, *diff.removed) if entry.kind in _WEIGHTS}
    found |= {each.path for each in diff.modified if each.kind in _WEIGHTS and each.path not in same}
    found |= {
        path for each in diff.renamed if each.kind in _WEIGHTS for path in (each.old_path, each.new_path)
    }
    return sorted(found | {path for path in diff.uncompared if path not in same})


def _what_changes(change: LoadChange, weights: list[str]) -> list[str]:
    """What becomes of one loader, behaviours of which the same is true together."""
    by_effect: dict[str, list[PredictedLoad]] = {}
    for before, after in _pairs(change):
        effects = ", ".join(_effects(before, after, weights))
        if effects:
            by_effect.setdefault(effects, []).append(after)
    return [f"{who(loads)}: {effects}" for effects, loads in by_effect.items()]


def _pairs(change: LoadChange) -> Iterator[tuple[PredictedLoad, PredictedLoad]]:
    """What the same releases do with the older and with the newer snapshot."""
    for after in change.after.eras:
        rivals = [
            load for load in change.before.eras if load.backend == after.backend and _overlap(load, after)
        ]
        same = [load for load in rivals if load.beneath == after.beneath]
        yield from ((before, after) for before in same or rivals)


def _overlap(left: PredictedLoad, right: PredictedLoad) -> bool:
    """Whether some release is among the versions of both."""
    lefts, rights = ([Version(text) for text in _VERSION.findall(each.versions)] for each in (left, right))
    if not lefts or not rights:
        return True
    return lefts[0] <= rights[-1] and rights[0] <= lefts[-1]


def _effects(before: PredictedLoad, after: PredictedLoad, weights: list[str]) -> Iterator[str]:
    if before.files != after.files:
        yield f"{_files(after)} instead of {_files(before)}"
    if before.outcome is not after.outcome:
        yield f"{after.outcome} instead of {before.outcome}"
    elif Outcome.UNKNOWN is after.outcome and weights:
        yield "unknown before and after, and weights changed"
    elif _tensors(before) != _tensors(after):
        yield "other tensors missing, misread or not taken"
    if before.dtype != after.dtype:
        yield f"computed in {after.dtype or 'an unknown type'} instead of {before.dtype or 'an unknown type'}"
    touched = [path for path in after.files if path in before.files and path in weights]
    if touched:
        yield f"{some(touched)} changed"


def _files(load: PredictedLoad) -> str:
    return some(load.files) if load.files else "no weights"


def _tensors(load: PredictedLoad) -> tuple[JSON, ...]:
    return (
        load.missing_keys,
        load.unfilled_keys,
        load.unexpected_keys,
        tuple(key.name for key in load.mismatched_keys),
        tuple(key.name for key in load.misread_keys),
        tuple(f"{key.name}: {key.winner}" for key in load.duplicate_keys),
    )
