"""Two locks of one model: which files, tensors and settings differ, and what could not be compared.

Tensors are paired by name, checkpoints by name and then by the model that their names say they hold, so that
shards are held against the single file that they were, and safetensors against the `.bin`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import attrs

from embaudit.diffing.documents import field_changes
from embaudit.locks.sameness import is_same
from embaudit.locks.settings import DIGEST_KEY, SIZE_KEY
from embaudit.model.diff import FieldChange
from embaudit.model.lock import Lock, LockDrift, LockedCheckpoint, LockedTensor
from embaudit.model.weights import same_model_pairs


@attrs.frozen(kw_only=True)
class FilesDrift:
    """The files of two locks; every tuple is sorted.

    Attributes:
        added: Files that were not locked.
        removed: Locked files that are not there.
        changed: Files with another content.
        unknown: Files of which no digest is known to both.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class WeightsDrift:
    """A locked checkpoint, and one that should hold the same model; names are sorted.

    Attributes:
        locked: Name of the locked one.
        found: Name of the one that is there.
        n_same: Tensors with the same values.
        changed: Tensors with other values.
        reshaped: Tensors with another shape.
        recast: Tensors of another type: name, locked type, type that is there.
        missing: Locked tensors that are not there.
        added: Tensors that were not locked.
        renamed: Tensors whose values are there under another name: locked name, name that is there.
        untied: Names that are only there, or only were, because they share the bytes of another name.
        unknown: Tensors whose values were not read on one side.
        other_bytes: Whether the files differ, whatever the tensors do.
    """

    locked: str
    found: str
    n_same: int = 0
    changed: tuple[str, ...] = ()
    reshaped: tuple[str, ...] = ()
    recast: tuple[tuple[str, str, str], ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    untied: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    other_bytes: bool = False

    @property
    def is_same_model(self) -> bool:
        """Whether every tensor is there with the same values, and nothing else is."""
        return not (
            *self.changed,
            *self.reshaped,
            *self.recast,
            *self.missing,
            *self.added,
            *self.renamed,
            *self.unknown,
        )


@attrs.frozen(kw_only=True)
class SettingsDrift:
    """What two locks declare.

    Attributes:
        changes: Fields of JSON files that changed.
        notes: Changes that are too many to be told.
        told: Files that both locks hold as documents: without a change among `changes`, they say the same.
    """

    changes: tuple[FieldChange, ...] = ()
    notes: tuple[str, ...] = ()
    told: frozenset[str] = frozenset()


def compare_files(drift: LockDrift) -> FilesDrift:
    """Which files differ."""
    old, new = drift.locked.files, drift.found.files
    both = [path for path in old if path in new]
    same = {path: is_same(old[path], new[path]) for path in both}
    return FilesDrift(
        added=tuple(path for path in new if path not in old),
        removed=tuple(path for path in old if path not in new),
        changed=tuple(path for path in both if same[path] is False),
        unknown=tuple(path for path in both if same[path] is None),
    )


def compare_settings(drift: LockDrift) -> SettingsDrift:
    """Which fields of settings and tokenizers differ, in the files that both locks hold."""
    changes: list[FieldChange] = []
    notes: list[str] = []
    told = set()
    for path, old in drift.locked.settings.items():
        if path not in drift.found.settings:
            continue
        found, left_out = field_changes(path, old, drift.found.settings[path])
        changes += _plainly(found)
        notes += left_out
        told.add(path)
    return SettingsDrift(changes=tuple(changes), notes=tuple(notes), told=frozenset(told))


def _plainly(changes: Iterable[FieldChange]) -> Iterator[FieldChange]:
    """The changes, those of a large value under its own field instead of that of its digest."""
    for change in changes:
        field, _, last = change.field.rpartition(".")
        if last == DIGEST_KEY:
            yield attrs.evolve(change, field=field)
        elif last != SIZE_KEY:
            yield change


def compare_weights(drift: LockDrift) -> tuple[WeightsDrift, ...]:
    """Every locked checkpoint against the one of its name, or those that should hold the same model."""
    return tuple(_compared(drift, locked, found) for locked, found in _pairs(drift.locked, drift.found))


def _pairs(locked: Lock, found: Lock) -> Iterator[tuple[str, str]]:
    for name in locked.checkpoints:
        if name in found.checkpoints:
            yield name, name
        if name in found.files:
            continue  # what is there and could not be read has no stand-in
        partner = _partner(name, found.checkpoints)
        if partner is not None:
            yield name, partner
    for name in found.checkpoints:
        partner = None if name in locked.checkpoints else _partner(name, locked.checkpoints)
        # A locked file that is gone was held against one that is there already.
        if partner is not None and partner in found.checkpoints:
            yield partner, name


def _partner(name: str, others: Iterable[str]) -> str | None:
    """The checkpoint among others that should hold the same model, the one that loaders prefer."""
    same = [other for other in others if any(same_model_pairs((name, other)))]
    return min(same, key=lambda other: (".safetensors" not in other, ".index" in other, other), default=None)


def _compared(drift: LockDrift, locked_name: str, found_name: str) -> WeightsDrift:
    locked = drift.locked.checkpoints[locked_name]
    found = drift.found.checkpoints[found_name]
    both = [name for name in locked.tensors if name in found.tensors]
    pairs = {name: (locked.tensors[name], found.tensors[name]) for name in both}
    missing, lost_ties = _alone(locked, found, _twins(locked))
    added, new_ties = _alone(found, locked, _twins(found))
    renamed = tuple(_renamed(locked, found, missing, added))
    old_names, new_names = {old for old, _ in renamed}, {new for _, new in renamed}
    recast = [name for name, (old, new) in pairs.items() if old.dtype is not new.dtype]
    reshaped = [name for name, (old, new) in pairs.items() if old.shape != new.shape]
    unlike = {*recast, *reshaped}
    alike = [name for name in both if name not in unlike]
    files_same = _same_files(drift, locked_name, found_name)
    known = [name for name in alike if files_same or None not in {each.sha256 for each in pairs[name]}]
    changed = [] if files_same else [name for name in known if not _is_equal(*pairs[name])]
    return WeightsDrift(
        locked=locked_name,
        found=found_name,
        n_same=len(known) - len(changed),
        changed=tuple(changed),
        reshaped=tuple(reshaped),
        recast=tuple(_recast(name, *pairs[name]) for name in recast),
        missing=tuple(name for name in missing if name not in old_names),
        added=tuple(name for name in added if name not in new_names),
        renamed=renamed,
        untied=tuple(sorted((*lost_ties, *new_ties))),
        unknown=tuple(sorted({*alike} - {*known})),
        other_bytes=files_same is False,
    )


def _recast(name: str, old: LockedTensor, new: LockedTensor) -> tuple[str, str, str]:
    return name, str(old.dtype), str(new.dtype)


def _twins(checkpoint: LockedCheckpoint) -> Mapping[str, frozenset[str]]:
    """The names that share the bytes of each name."""
    return {name: group for group in checkpoint.tied for name in group}


def _alone(
    checkpoint: LockedCheckpoint, other: LockedCheckpoint, twins: Mapping[str, frozenset[str]]
) -> tuple[list[str], list[str]]:
    """The names that the other one lacks, without and with a twin that it has with the same values."""
    lacking = [name for name in checkpoint.tensors if name not in other.tensors]
    tied = [
        name
        for name in lacking
        if any(_is_equal(checkpoint.tensors[name], other.tensors.get(twin)) for twin in twins.get(name, ()))
    ]
    return sorted({*lacking} - {*tied}), tied


def _is_equal(one: LockedTensor, other: LockedTensor | None) -> bool:
    return other is not None and one.sha256 is not None and one.sha256 == other.sha256


def _renamed(
    locked: LockedCheckpoint, found: LockedCheckpoint, missing: Iterable[str], added: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Names whose values are there under another name; equal tensors are joined in order of their names."""
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name in sorted(added, reverse=True):
        digest = found.tensors[name].sha256
        if digest is not None:
            by_digest[digest].append(name)
    for name in missing:
        rest = by_digest.get(locked.tensors[name].sha256 or "")
        if rest:
            yield name, rest.pop()


def _same_files(drift: LockDrift, locked_name: str, found_name: str) -> bool | None:
    """Whether both lie in the same files with the same content; None if nothing tells."""
    locked, found = drift.locked, drift.found
    paths = {locked_name, *locked.checkpoints[locked_name].files}
    if paths != {found_name, *found.checkpoints[found_name].files}:
        return False
    same = {
        is_same(locked.files[path], found.files[path]) if _in_both(drift, path) else None for path in paths
    }
    return False if False in same else None if None in same else True


def _in_both(drift: LockDrift, path: str) -> bool:
    return path in drift.locked.files and path in drift.found.files
