"""EMB01x: what changed between two snapshots, as far as it can change an embedding."""

from collections import defaultdict
from collections.abc import Iterator

from embaudit.loaders.harmless import why_harmless
from embaudit.model.diff import FieldChange, SnapshotDiff
from embaudit.model.files import FileKind
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.tensor_map import Agreement, TensorMap
from embaudit.model.weights import preferred_weights
from embaudit.model.words import plural
from embaudit.rules.evidence import listed, some
from embaudit.rules.registry import rule


@rule("EMB010", Severity.WARNING)
def loaders_read_another_file(diff: SnapshotDiff) -> Iterator[Observation]:
    """Between the two snapshots, loaders read another weight file.

    The usual case: `model.safetensors` appeared beside `pytorch_model.bin`. transformers and
    sentence-transformers then read the new file (the order is that of transformers 4.30 to 5.23,
    `modeling_utils`), and text-embeddings-inference downloads it instead of the `.bin`. If the two files
    differ, or a loader reads one of them wrong, the vectors change with the revision and nothing says so.
    """
    before, after = preferred_weights(diff.old.files), preferred_weights(diff.new.files)
    if before is None or after is None or before == after:
        return
    maps = [each for each in diff.tensors if (each.left, each.right) == (before, after)]
    yield Observation(
        message=(
            f"Loaders that read `{before}` in the older snapshot read `{after}` in the newer one. "
            f"{_relation(maps)}"
        ),
        where=Where(path=after),
        evidence={
            "old_file": before,
            "new_file": after,
            "old_commit": diff.old.commit,
            "new_commit": diff.new.commit,
        },
        remedy="Pin the commit, and compare the two files at depth full before you move it.",
    )


def _relation(maps: list[TensorMap]) -> str:
    if not maps:
        return "The two files could not be compared."
    if _is_harmless(maps[0]):
        n_alone = len(maps[0].only_left) + len(maps[0].only_right)
        return f"They differ by {plural(n_alone, 'tensor')} on which no embedding depends."
    if not maps[0].same_model:
        return "The two files do not hold the same tensors; see the comparison."
    verdicts = {pair.values for pair in maps[0].pairs}
    if Agreement.NOT_COMPARED in verdicts:
        return "Both hold the same names, dtypes and shapes; values were not compared."
    if Agreement.IDENTICAL_IN_SAMPLE in verdicts:
        return "Both hold the same names, dtypes and shapes, and the same values in all samples."
    if Agreement.IDENTICAL_BY_CHECKSUM in verdicts:
        return "Both hold the same tensors with the same values, by the checksums in their directories."
    return (
        "Both hold the same tensors with the same values, so vectors that change with the revision"
        " come from how a loader reads one of the files."
    )


@rule("EMB011", Severity.WARNING)
def settings_changed(diff: SnapshotDiff) -> Iterator[Observation]:
    """A setting that can change an embedding differs between the two snapshots.

    Pooling, normalisation, sequence length, casing, prompts, dtype, activation, remote code: the weights may
    be the same and the vectors are not. A field that is not known to be harmless counts as one that can.
    """
    by_file: dict[str, list[FieldChange]] = defaultdict(list)
    for change in diff.field_changes:
        if change.affects_embeddings:
            by_file[change.file].append(change)
    for path, changes in by_file.items():
        yield Observation(
            message=(
                f"{plural(len(changes), 'setting')} of `{path}` that can change an embedding"
                f" {'differs' if len(changes) == 1 else 'differ'}: {changes[0].why.rstrip('.')}."
            ),
            where=Where(path=path, field=changes[0].field),
            evidence={"changes": [_change(change) for change in changes]},
            remedy="Compare embeddings of the two snapshots before you move the pin.",
        )


def _change(change: FieldChange) -> JSON:
    return {"field": change.field, "old": change.old, "new": change.new, "why": change.why}


@rule("EMB012", Severity.WARNING)
def weights_changed(diff: SnapshotDiff) -> Iterator[Observation]:
    """The weights differ between the two snapshots.

    Tensors that appeared, disappeared, or have another dtype, shape or other values. Values are compared at
    depth sampled or full; at depth headers, torch's zips tell by the checksums in their directories.
    Information if nothing differs but tensors that came or went and on which no embedding depends.
    """
    for each in diff.tensors:
        if each.same_model:
            continue
        yield Observation(
            message=f"`{each.left}` and `{each.right}` differ: {differences(each)}.{_changed_names(each)}",
            where=Where(path=each.right),
            evidence=difference_evidence(each),
            remedy="Recompute stored embeddings if you move between these snapshots.",
            severity=Severity.INFO if _is_harmless(each) else None,
        )


def _is_harmless(tensors: TensorMap) -> bool:
    """Whether the two hold the same but for tensors on which no embedding depends."""
    alone = (*tensors.only_left, *tensors.only_right)
    return bool(alone) and tensors.same_pairs and all(why_harmless(name) for name in alone)


def _changed_names(tensors: TensorMap) -> str:
    names = [pair.left for pair in tensors.changed]
    return f" Other values: {some(names)}." if names else ""


@rule("EMB013", Severity.INFO)
def weights_not_compared(diff: SnapshotDiff) -> Iterator[Observation]:
    """Weight files that may differ were not compared.

    The two sources give no digest that both know, the sizes are equal, and this depth reads no values.
    """
    if diff.uncompared:
        yield Observation(
            message=f"{plural(len(diff.uncompared), 'file')} of equal size may still differ.",
            where=Where(path=diff.uncompared[0]),
            evidence={"files": listed(diff.uncompared)},
            remedy="Run the comparison again with depth full.",
        )


@rule("EMB015", Severity.WARNING)
def weight_file_changed(diff: SnapshotDiff) -> Iterator[Observation]:
    """A weight file changed, and its tensors do not tell how.

    Its digest or size is another one, but only headers were read and they are equal, or it could not be
    compared, or it is of a format that is not read. Files that disappeared count; ones that appeared are
    information. What the tensors do tell is EMB012. At depth full, equal tensors in other bytes (another
    order, other metadata) are information. Equal checksums in the directories of torch's zips are no such
    proof: no loader checks them, so that a value patched in place keeps its checksum.
    """
    compared = {each.left: each for each in diff.tensors if each.left == each.right}
    told = {name for name, each in compared.items() if not each.same_model}
    changed = [each.path for each in diff.modified if each.kind in _WEIGHTS and each.path not in told]
    for path in changed:
        tensors = compared.get(path)
        yield _weights(diff, path, _how_changed(tensors), Severity.INFO if _is_proven(tensors) else None)
    for entry in diff.removed:
        if entry.kind in _WEIGHTS:
            yield _weights(diff, entry.path, "disappeared")
    # That loaders now read another file is EMB010.
    told_file = preferred_weights(diff.new.files) if preferred_weights(diff.old.files) else None
    for entry in diff.added:
        if entry.kind in _WEIGHTS and entry.path != told_file:
            yield _weights(diff, entry.path, "appeared", Severity.INFO)


_WEIGHTS = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS}
_SAME = {Agreement.IDENTICAL, Agreement.IDENTICAL_BY_CHECKSUM}


def _is_proven(tensors: TensorMap | None) -> bool:
    """Whether every value was compared and found equal."""
    return tensors is not None and all(pair.values is Agreement.IDENTICAL for pair in tensors.pairs)


def _how_changed(tensors: TensorMap | None) -> str:
    if tensors is None:
        return "changed, and its tensors could not be compared"
    if _is_proven(tensors):
        return "changed in other bytes than those of its tensors"
    if all(pair.values in _SAME for pair in tensors.pairs):
        return "changed; its tensors are the same by their checksums, which no loader checks"
    return "changed; names, dtypes and shapes are the same, and not all values were compared"


def _weights(diff: SnapshotDiff, path: str, what: str, severity: Severity | None = None) -> Observation:
    remedy = "Compare at depth full, and recompute stored embeddings if the values differ."
    return _file_changed(diff, path, what, remedy, severity)


@rule("EMB016", Severity.WARNING)
def comparison_is_incomplete(diff: SnapshotDiff) -> Iterator[Observation]:
    """A part of the comparison could not be made.

    A file could not be read on one side, or there was too much to tell. Not compared is not equal.
    """
    if diff.notes:
        yield Observation(
            message=(
                f"{plural(len(diff.notes), 'part')} of the comparison could not be made:"
                f" {diff.notes[0].rstrip('.')}."
            ),
            where=Where(field="notes"),
            evidence={"notes": listed(diff.notes)},
            remedy="Look at the files that the notes name.",
        )


def differences(tensors: TensorMap) -> str:
    """What two checkpoints differ in, counted, as one clause."""
    n_close = sum(pair.values is Agreement.CLOSE for pair in tensors.changed)
    counted = (
        (len(tensors.only_left), "only in the first"),
        (len(tensors.only_right), "only in the second"),
        (len(tensors.renamed), "under another name"),
        (len(tensors.recast), "with another dtype"),
        (len(tensors.reshaped), "with another shape"),
        (len(tensors.changed) - n_close, "with other values"),
        (n_close, "with values that are close"),
        (len(tensors.rounded), "rounded through a narrower type"),
    )
    return ", ".join(f"{plural(number, 'tensor')} {what}" for number, what in counted if number)


def difference_evidence(tensors: TensorMap) -> dict[str, JSON]:
    """The names behind `differences`."""
    return {
        "left": tensors.left,
        "right": tensors.right,
        "only_left": listed(tensors.only_left),
        "only_right": listed(tensors.only_right),
        "renamed": listed(f"{pair.left} -> {pair.right}" for pair in tensors.renamed),
        "recast": listed(pair.left for pair in tensors.recast),
        "reshaped": listed(pair.left for pair in tensors.reshaped),
        "changed": listed(pair.left for pair in tensors.changed),
        "rounded": listed(pair.left for pair in tensors.rounded),
    }


_DECISIVE = {FileKind.CONFIG, FileKind.POOLING, FileKind.TOKENIZER, FileKind.CODE}
"""Files that a loader takes its settings from, or that it runs."""


@rule("EMB014", Severity.WARNING)
def decisive_file_came_or_went(diff: SnapshotDiff) -> Iterator[Observation]:
    """A file that decides embeddings appeared, disappeared or changed as a whole.

    Loaders fall back to defaults for a settings file that is not there: without `1_Pooling/config.json`
    sentence-transformers pools by the mean and text-embeddings-inference from 1.5.1 on takes the first token.
    A vocabulary, a merges file or remote code that changed has no fields to compare, and changes vectors all
    the same.
    """
    told = {change.file for change in diff.field_changes}
    appeared = [entry.path for entry in diff.added if entry.kind in _DECISIVE]
    appeared += [each.new_path for each in diff.renamed if each.kind in _DECISIVE]
    disappeared = [entry.path for entry in diff.removed if entry.kind in _DECISIVE]
    disappeared += [each.old_path for each in diff.renamed if each.kind in _DECISIVE]
    changed = [each.path for each in diff.modified if each.kind in _DECISIVE and each.path not in told]
    for paths, what in ((appeared, "appeared"), (disappeared, "disappeared"), (changed, "changed")):
        for path in paths:
            remedy = "Compare embeddings of the two snapshots before you move the pin."
            yield _file_changed(diff, path, what, remedy)


def _file_changed(
    diff: SnapshotDiff, path: str, what: str, remedy: str, severity: Severity | None = None
) -> Observation:
    return Observation(
        message=f"`{path}` {what} between the two snapshots.",
        where=Where(path=path),
        evidence={"change": what, "old_commit": diff.old.commit, "new_commit": diff.new.commit},
        remedy=remedy,
        severity=severity,
    )
