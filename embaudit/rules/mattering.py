"""Which changes between two snapshots can change a vector: of settings, of weights, of what a loader takes.

Told from what each loader would do with both, from the settings that changed, and from the weight files.
Refuses to know how the two were found, and what is to be said of them.
"""

import re
from collections.abc import Iterator

from packaging.version import Version

from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import LoadChange
from embaudit.model.files import FileKind, Snapshot, kind_of
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.tensor_map import Agreement
from embaudit.rules.behaviours import who
from embaudit.rules.evidence import some

_SETTINGS = {FileKind.CONFIG, FileKind.POOLING, FileKind.TOKENIZER, FileKind.CODE}
_WEIGHTS = {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX, FileKind.FOREIGN_WEIGHTS}

_VOCABULARIES = (".model", ".spm", ".codes", ".bpe", ".tiktoken", ".vocab", ".tokenizer", "dict.txt")
"""How files of tokenizers end that have no name of their own: `spm.model` of DeBERTa, `bpe.codes` of PhoBERT
(`vocab_files_names` in https://github.com/huggingface/transformers/tree/v5.23.0/src/transformers/models)."""

_VERSION = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)*")


def changed_settings(diff: SnapshotDiff) -> list[str]:
    """The files, other than weights, whose change can change an embedding, sorted."""
    told = {change.file for change in diff.field_changes}
    found = {change.file for change in diff.field_changes if change.affects_embeddings}
    entries = [(entry.path, entry.kind) for entry in (*diff.added, *diff.removed)]
    entries += [(each.path, each.kind) for each in diff.modified if each.path not in told]
    entries += _moved_paths(diff)
    found.update(path for path, kind in entries if kind in _SETTINGS or _is_vocabulary(path, kind))
    elsewhere = _export_folders(diff.old) | _export_folders(diff.new)
    return sorted(path for path in found if _folder(path) not in elsewhere)


def _moved_paths(diff: SnapshotDiff) -> list[tuple[str, FileKind]]:
    """Both paths of every file that moved, each with what it is for."""
    paths = (path for each in diff.renamed for path in (each.old_path, each.new_path))
    return [(path, kind_of(path)) for path in paths]


def _is_vocabulary(path: str, kind: FileKind) -> bool:
    return kind is FileKind.OTHER and path.endswith(_VOCABULARIES)


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


def changed_weights(diff: SnapshotDiff) -> list[str]:
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
    found |= {path for path, kind in _moved_paths(diff) if kind in _WEIGHTS}
    return sorted(found | {path for path in diff.uncompared if path not in same})


def what_becomes(change: LoadChange, weights: list[str]) -> list[str]:
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
