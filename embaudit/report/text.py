"""The report, and its parts, as text for a terminal.

No colour unless asked for, and no name of the repository can move the cursor or break a line.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.diff import FieldChange, SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.findings import Finding, Severity
from embaudit.model.frozen import JSON
from embaudit.model.policy import WaivedFinding
from embaudit.model.prediction import LoadPrediction
from embaudit.model.record import AuditRecord
from embaudit.model.tensor_map import TensorMap, TensorPair
from embaudit.model.words import plural, short
from embaudit.report.columns import indented, left_out, table, wrapped
from embaudit.report.loads import LOAD_COLUMNS, load_rows
from embaudit.report.wording import as_json, dtypes, inferred, plain, size, taken, value_notes

MAX_ROWS = 40
"""Rows of one table of tensors or changes; the JSON form has all of them."""

MAX_VALUE = 60
"""Characters of one setting's value."""

MAX_TITLE = 100
"""Characters of a commit's title."""

MAX_ITEMS = 8
"""Items of a list that stands on one line."""

_COLOURS = {Severity.ERROR: "31;1", Severity.WARNING: "33;1", Severity.INFO: "36"}


def render_text(record: AuditRecord, *, colour: bool = False) -> str:
    """The whole report; with `colour`, severities carry ANSI colours."""
    sections = (
        _heading(record),
        _findings(record.findings, colour=colour),
        _waived(record.waived),
        _weights(record.checkpoints.values()),
        _loads(record.loads),
        _mappings(record.mappings),
        [] if record.diff is None else ["What changed", *indented(_diff(record.diff))],
        _skipped(record),
    )
    return "\n\n".join("\n".join(section) for section in sections if section) + "\n"


def render_diff(diff: SnapshotDiff) -> str:
    """What changed between two snapshots."""
    return "\n".join(_diff(diff)) + "\n"


def render_checkpoint(checkpoint: Checkpoint, *, max_rows: int = MAX_ROWS) -> str:
    """One checkpoint: what the file is, and a row for each tensor, `max_rows` at most."""
    rows = [
        (
            plain(tensor.name),
            str(tensor.dtype),
            _shape(tensor.shape),
            plain(tensor.storage),
            f"{tensor.storage_offset:,}",
            f"{tensor.start:,}",
            f"{tensor.stop:,}",
        )
        for tensor in list(checkpoint.tensors.values())[:max_rows]
    ]
    header = ("tensor", "dtype", "shape", "storage", "offset", "start", "stop")
    lines = [*_about(checkpoint), "", *table(header, rows)]
    return "\n".join([*lines, *left_out(len(checkpoint.tensors), max_rows)]) + "\n"


def render_map(tensors: TensorMap, *, max_rows: int = MAX_ROWS) -> str:
    """One map: the counts, then a row for each pair that is not plainly the same, `max_rows` at most."""
    notable = [pair for pair in tensors.pairs if is_notable(pair)]
    header = ("left", "right", "renamed by", "dtype", "shape", "values")
    rows = [pair_row(pair) for pair in notable[:max_rows]]
    lines = [map_summary(tensors), *value_notes((tensors,))]
    lines += ["", *table(header, rows), *left_out(len(notable), max_rows)] if rows else []
    for title, names in (("only on the left", tensors.only_left), ("only on the right", tensors.only_right)):
        lines += [f"{title}: {plain(name)}" for name in names[:max_rows]]
        lines += left_out(len(names), max_rows)
    lines += [f"tied: {plain(tied.name)} is {plain(tied.tied_to)}" for tied in tensors.tied[:max_rows]]
    return "\n".join(lines) + "\n"


def _heading(record: AuditRecord) -> list[str]:
    rows = [
        ("target", plain(record.target)),
        ("commit", plain(record.commit or "unknown")),
        ("model", model_line(record)),
        ("against", plain(record.against or "")),
        ("depth", str(record.depth)),
        ("policy", "" if record.policy is None else plain(record.policy.source) or "given without a file"),
        ("cost", f"{taken(record)}, {record.cost.seconds:.2f} s"),
    ]
    waived = f", {len(record.waived):,} waived" if record.waived else ""
    title = f"embaudit {plain(record.tool_version)}: {verdict(record.findings)}{waived}"
    return [title, *(f"  {name:8} {value}" for name, value in rows if value)]


def model_line(record: AuditRecord) -> str:
    """What the model is by its configuration: its type, layers and dimensions; empty if it does not say."""
    config = record.declaration.config
    facts = [record.declaration.model_type or ""]
    for field, words in (("num_hidden_layers", "layers"), ("hidden_size", "dimensions")):
        value = config.get(field)
        if isinstance(value, int):
            facts.append(f"{value:,} {words}")
    return _cut(", ".join(fact for fact in facts if fact))


def verdict(findings: Iterable[Finding]) -> str:
    """The findings, counted by severity: `1 error, 2 warnings`."""
    counts = Counter(finding.severity for finding in findings)
    words = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
    parts = [plural(counts[severity], word) for severity, word in words.items() if counts[severity]]
    return ", ".join(parts) or "no findings"


def _findings(findings: Sequence[Finding], *, colour: bool) -> list[str]:
    lines: list[str] = []
    for finding in findings:
        label = f"{finding.severity!s:7}".upper()
        if colour:
            label = f"\x1b[{_COLOURS[finding.severity]}m{label}\x1b[0m"
        lines += [
            "",
            f"{label} {plain(finding.code)}  {plain(str(finding.where))}",
            *wrapped(finding.message),
        ]
        if finding.remedy:
            lines += wrapped(f"What to do: {finding.remedy}")
    return lines[1:]


def _waived(waived: Sequence[WaivedFinding]) -> list[str]:
    """A finding on the first line, and on the next who accepts it, and for how long."""
    lines: list[str] = []
    for each in waived[:MAX_ROWS]:
        finding, waiver = each.finding, each.waiver
        loader = "" if finding.loader is None else f"  {plain(finding.loader)}"
        until = "" if waiver.expires is None else f" (until {waiver.expires})"
        lines.append(f"{finding.severity!s:7} {plain(finding.code)}  {plain(str(finding.where))}{loader}")
        lines += wrapped(f"{waiver.reason}{until}")
    return ["Waived", *indented([*lines, *left_out(len(waived), MAX_ROWS)])] if waived else []


def _weights(checkpoints: Iterable[Checkpoint]) -> list[str]:
    rows = [
        (
            plain(checkpoint.name),
            str(checkpoint.format),
            f"{len(checkpoint.tensors):,}",
            dtypes(checkpoint),
            size(checkpoint.n_bytes),
            container(checkpoint),
        )
        for checkpoint in checkpoints
    ]
    header = ("file", "format", "tensors", "dtype", "size", "container")
    return ["Weights", *indented(table(header, rows))] if rows else []


def _loads(predictions: Sequence[LoadPrediction]) -> list[str]:
    rows = load_rows(predictions)
    return ["Loads", *indented(table(LOAD_COLUMNS, rows))] if rows else []


def container(checkpoint: Checkpoint) -> str:
    """What is worth knowing of the file that holds the tensors."""
    facts: list[str] = []
    if checkpoint.pickle is not None:
        content = "tensors only" if checkpoint.pickle.tensor_only else "more than tensors"
        facts.append(f"pickle protocol {checkpoint.pickle.protocol}, {content}")
    if checkpoint.index is not None:
        facts.append(plural(len(checkpoint.files), "shard"))
    if checkpoint.tied:
        facts.append(plural(len(checkpoint.tied), "tied group"))
    if checkpoint.state_dict:
        facts.append(f"under {plain(checkpoint.state_dict)}")
    facts.append(inferred(checkpoint))
    return ", ".join(fact for fact in facts if fact)


def _about(checkpoint: Checkpoint) -> list[str]:
    rows = [
        ("file", plain(checkpoint.name)),
        ("format", str(checkpoint.format)),
        ("tensors", f"{len(checkpoint.tensors):,}"),
        ("dtype", dtypes(checkpoint)),
        ("size", size(checkpoint.n_bytes)),
        ("container", container(checkpoint)),
        ("tied", _few(" = ".join(sorted(group)) for group in checkpoint.tied)),
        ("metadata", _few(f"{key}={as_json(value)}" for key, value in checkpoint.metadata.items())),
    ]
    lines = [f"{name:10} {value}" for name, value in rows if value]
    reasons = () if checkpoint.pickle is None else checkpoint.pickle.reasons
    lines += [f"{'':10} not tensor-only: {plain(reason)}" for reason in reasons]
    return lines + [f"{'':10} odd: {plain(odd.problem)}" for odd in checkpoint.oddities]


def _few(items: Iterable[str]) -> str:
    """The first few items on one line, and how many more there are."""
    every = list(items)
    shown = "; ".join(_cut(item) for item in every[:MAX_ITEMS])
    return f"{shown}; ... and {len(every) - MAX_ITEMS:,} more" if len(every) > MAX_ITEMS else shown


def _cut(text: str) -> str:
    text = plain(text)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 4]} ..."


def _mappings(mappings: Sequence[TensorMap]) -> list[str]:
    lines = ["Formats compared"] if mappings else []
    lines += [f"  {map_summary(each)}" for each in mappings]
    return lines + [f"  {note}" for note in value_notes(mappings)]


def map_summary(tensors: TensorMap) -> str:
    """One map in one line: names, and counts by verdict."""
    counts = Counter(str(pair.values) for pair in tensors.pairs)
    values = ", ".join(f"{number:,} {verdict}" for verdict, number in counts.most_common())
    facts = [
        f"{plural(len(tensors.pairs), 'pair')} ({values})" if tensors.pairs else "no pairs",
        f"{len(tensors.only_left):,} only left" if tensors.only_left else "",
        f"{len(tensors.only_right):,} only right" if tensors.only_right else "",
        f"{len(tensors.tied):,} tied" if tensors.tied else "",
        f"{len(tensors.renamed):,} renamed" if tensors.renamed else "",
    ]
    names = f"{plain(tensors.left)} <-> {plain(tensors.right)}"
    return f"{names}: {', '.join(fact for fact in facts if fact)}"


def is_notable(pair: TensorPair) -> bool:
    """Whether a pair is not plainly the same on both sides."""
    plain_values = {"identical", "not-compared", "identical-in-sample", "identical-by-checksum"}
    same_header = pair.left_dtype == pair.right_dtype and pair.left_shape == pair.right_shape
    return pair.renamed_by is not None or not same_header or pair.values.value not in plain_values


def pair_row(pair: TensorPair) -> tuple[str, ...]:
    """One pair: both names, the renaming, dtype, shape, and what is known of the values."""
    dtype = str(pair.left_dtype)
    if pair.left_dtype != pair.right_dtype:
        dtype += f" -> {pair.right_dtype}"
    shape = _shape(pair.left_shape)
    if pair.left_shape != pair.right_shape:
        shape += f" -> {_shape(pair.right_shape)}"
    values = str(pair.values) if pair.cast is None else f"{pair.values}, {pair.cast}"
    if pair.first_difference is not None:
        values += f" at {_shape(pair.first_difference)}"
    if pair.max_abs_diff is not None:
        values += f", by {pair.max_abs_diff:.3g} at most"
    return (plain(pair.left), plain(pair.right), plain(pair.renamed_by or ""), dtype, shape, values)


def _diff(diff: SnapshotDiff) -> Iterator[str]:
    yield f"from {plain(short(diff.old.commit))} to {plain(short(diff.new.commit))}"
    yield from _commits("commit", diff.commits)
    yield from _commits("lost commit", diff.lost_commits)
    if diff.unknown_commit is not None:
        unknown = plain(short(diff.unknown_commit))
        yield f"  commit {unknown} is not known to the history of the other snapshot"
    rows = _file_rows(diff)
    yield from indented(table(("", "file", "kind", "size"), rows[:MAX_ROWS]))
    yield from indented(left_out(len(rows), MAX_ROWS))
    for change in diff.field_changes[:MAX_ROWS]:
        yield f"  {_field(change)}"
    yield from (f"  {line}" for line in left_out(len(diff.field_changes), MAX_ROWS))
    for tensors in diff.tensors:
        yield f"  {map_summary(tensors)}"
    yield from (f"  {note}" for note in value_notes(diff.tensors))
    for note in diff.notes:
        yield f"  note: {plain(note)}"


def _commits(what: str, commits: Sequence[CommitInfo]) -> Iterator[str]:
    """The newest commits, oldest first, after how many older ones there are."""
    if len(commits) > MAX_ROWS:
        yield f"  {plural(len(commits) - MAX_ROWS, f'older {what}')}"
    for commit in commits[-MAX_ROWS:]:
        told = (f"{what} {plain(short(commit.commit))}", plain(commit.date), _cut_title(commit.title))
        yield f"  {'  '.join(told)}".rstrip()


def _cut_title(title: str) -> str:
    return plain(title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 4]} ...")


def _file_rows(diff: SnapshotDiff) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    rows += [("+", plain(entry.path), str(entry.kind), size(entry.size)) for entry in diff.added]
    rows += [("-", plain(entry.path), str(entry.kind), size(entry.size)) for entry in diff.removed]
    rows += [("~", plain(each.path), str(each.kind), size(each.new.size)) for each in diff.modified]
    rows += [
        (">", f"{plain(each.old_path)} -> {plain(each.new_path)}", str(each.kind), "")
        for each in diff.renamed
    ]
    rows += [("?", plain(path), "not compared", "") for path in diff.uncompared]
    return rows + [("?", plain(path), "not at hand on both sides", "") for path in diff.not_at_hand]


def _field(change: FieldChange) -> str:
    mark = "!" if change.affects_embeddings else " "
    old = _value(change.old) if change.old_present else "(absent)"
    new = _value(change.new) if change.new_present else "(absent)"
    return f"{mark} {plain(change.file)}: {plain(change.field)}: {old} -> {new}  ({plain(change.why)})"


def _value(value: JSON) -> str:
    return _cut(as_json(value))


def _skipped(record: AuditRecord) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for skipped in record.skipped:
        reasons.setdefault(skipped.reason, []).append(plain(skipped.code))
    lines = [f"  {', '.join(codes)}: {plain(reason)}" for reason, codes in reasons.items()]
    return ["Not asked", *lines] if lines else []


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(str(length) for length in shape)})"
