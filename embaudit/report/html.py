"""The report as HTML: one self-contained page, or the piece of one that a notebook shows.

No script, no external resource. Colours are those of the page around it, so that it reads in light and dark.
Every text from the repository is stripped of invisible characters and escaped.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.diff import SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.findings import Finding
from embaudit.model.prediction import LoadPrediction
from embaudit.model.record import AuditRecord
from embaudit.model.tensor_map import TensorMap
from embaudit.model.words import plural, short
from embaudit.report.loads import LOAD_COLUMNS, load_rows
from embaudit.report.pages import page
from embaudit.report.text import verdict
from embaudit.report.wording import as_json, dtypes, inferred, plain, size, taken, value_notes

MAX_ROWS = 2000
"""Rows of one table; a browser shows no more with comfort. The JSON form has all of them."""

_STYLE = """
.embaudit code { font-family: ui-monospace, monospace; font-size: .93em; color: inherit; background: none; }
.embaudit .finding { border-left: 4px solid #888; padding: .1em 0 .1em .8em; margin: .8em 0; }
.embaudit .error { border-color: #d33; } .embaudit .warning { border-color: #d90; }
.embaudit .info { border-color: #28c; }
.embaudit .label { font-weight: 700; text-transform: uppercase; font-size: .85em; }
.embaudit summary { cursor: pointer; opacity: .85; }
"""
"""What findings add to the style of every page."""


def render_html(record: AuditRecord, *, whole_page: bool = True) -> str:
    """The report as a page, or as the piece of one that a notebook takes in."""
    body = "".join(
        (
            f"<h2>embaudit: {verdict(record.findings)}</h2>",
            _about(record),
            *(_finding(finding) for finding in record.findings),
            _weights(record.checkpoints),
            _loads(record.loads),
            *(_map(tensors) for tensors in record.mappings),
            _value_notes(record.mappings),
            "" if record.diff is None else _diff(record.diff),
            _skipped(record),
        )
    )
    return page(f"embaudit: {record.target}", body, whole_page=whole_page, style=_STYLE)


def _text(value: object) -> str:
    return escape(plain(str(value)))


def _prose(text: str) -> str:
    """A sentence, in which what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", _text(text))


def _code(value: object) -> str:
    return f"<code>{_text(value)}</code>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    top = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>" if body else ""


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{_text(summary)}</summary>{content}</details>" if content else ""


def _about(record: AuditRecord) -> str:
    rows = (
        ("target", _code(record.target)),
        ("commit", _code(record.commit) if record.commit else "unknown"),
        ("against", _code(record.against) if record.against else ""),
        ("depth", _text(record.depth)),
        ("cost", _text(taken(record))),
    )
    body = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows if value)
    return f"<table>{body}</table>"


def _finding(finding: Finding) -> str:
    evidence = _table(
        ("evidence", "value"), ((_text(name), _value(value)) for name, value in finding.evidence.items())
    )
    remedy = f"<div>What to do: {_prose(finding.remedy)}</div>" if finding.remedy else ""
    return (
        f'<div class="finding {finding.severity}"><span class="label">{finding.severity}</span>'
        f" {_text(finding.code)} {_code(finding.where)}<div>{_prose(finding.message)}</div>{remedy}"
        f"{_details('Evidence', evidence)}</div>"
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "<br>".join(f"{_text(key)}: {_value(item)}" for key, item in value.items())
    if isinstance(value, tuple) and any(isinstance(item, Mapping | tuple) for item in value):
        return "<br>".join(f"{_value(item)}" for item in value)
    if isinstance(value, tuple):
        return ", ".join(_code(item) for item in value)
    return _code(value)


def _loads(predictions: Sequence[LoadPrediction]) -> str:
    rows = ((_code(cell) if cell else "" for cell in row) for row in load_rows(predictions))
    table = _table(LOAD_COLUMNS, [tuple(row) for row in rows])
    return f"<h3>Loads</h3>{table}" if table else ""


def _weights(checkpoints: Mapping[str, Checkpoint]) -> str:
    if not checkpoints:
        return ""
    rows = (
        (
            _code(each.name),
            _text(each.format),
            f"{len(each.tensors):,}",
            _text(dtypes(each)),
            _text(size(each.n_bytes)),
        )
        for each in checkpoints.values()
    )
    tables = (_details(f"Tensors of {each.name}", _tensor_table(each)) for each in checkpoints.values())
    notes = (
        f"<div>{_code(each.name)}: {_text(inferred(each))}</div>"
        for each in checkpoints.values()
        if each.inferred
    )
    table = _table(("file", "format", "tensors", "dtype", "size"), rows)
    return "".join(("<h3>Weights</h3>", table, *notes, *tables))


def _tensor_table(checkpoint: Checkpoint) -> str:
    tensors = list(checkpoint.tensors.values())
    rows = (
        (
            _code(tensor.name),
            _text(tensor.dtype),
            _text(tensor.shape),
            _text(tensor.stride),
            _code(tensor.storage),
            f"{tensor.storage_offset:,}",
            f"{tensor.start:,} to {tensor.stop:,}",
        )
        for tensor in tensors[:MAX_ROWS]
    )
    header = ("tensor", "dtype", "shape", "stride", "storage", "offset", "bytes")
    return _table(header, rows) + _left_out(len(tensors))


def _map(tensors: TensorMap) -> str:
    rows = (
        (
            _code(pair.left),
            _code(pair.right),
            _text(pair.renamed_by or ""),
            _text(
                pair.left_dtype
                if pair.left_dtype == pair.right_dtype
                else f"{pair.left_dtype} -> {pair.right_dtype}"
            ),
            _text(pair.values),
        )
        for pair in tensors.pairs[:MAX_ROWS]
    )
    lonely = [
        f"<div>only in {_code(tensors.left)}: {_code(name)}</div>" for name in tensors.only_left[:MAX_ROWS]
    ]
    lonely += [
        f"<div>only in {_code(tensors.right)}: {_code(name)}</div>" for name in tensors.only_right[:MAX_ROWS]
    ]
    pairs = _table(("left", "right", "renamed by", "dtype", "values"), rows) + _left_out(len(tensors.pairs))
    heading = f"<h3>{_code(tensors.left)} and {_code(tensors.right)}</h3>"
    return heading + "".join(lonely) + _details(plural(len(tensors.pairs), "pair"), pairs)


def _value_notes(maps: Sequence[TensorMap]) -> str:
    return "".join(f"<div>{_text(note)}</div>" for note in value_notes(maps))


def _diff(diff: SnapshotDiff) -> str:
    files = [("added", _code(entry.path), _text(entry.kind)) for entry in diff.added]
    files += [("removed", _code(entry.path), _text(entry.kind)) for entry in diff.removed]
    files += [("modified", _code(each.path), _text(each.kind)) for each in diff.modified]
    files += [
        ("renamed", f"{_code(each.old_path)} to {_code(each.new_path)}", _text(each.kind))
        for each in diff.renamed
    ]
    files += [("not compared", _code(path), "") for path in diff.uncompared]
    files += [("not at hand", _code(path), "") for path in diff.not_at_hand]
    fields = (
        (
            _code(change.file),
            _code(change.field),
            _code(as_json(change.old)) if change.old_present else "absent",
            _code(as_json(change.new)) if change.new_present else "absent",
            _text(change.why),
        )
        for change in diff.field_changes[:MAX_ROWS]
    )
    return (
        f"<h3>What changed from {_code(short(diff.old.commit))} to {_code(short(diff.new.commit))}</h3>"
        + _commits("commit", diff.commits)
        + _commits("lost commit", diff.lost_commits)
        + _unknown_commit(diff)
        + _table(("change", "file", "kind"), files)
        + _table(("file", "setting", "old", "new", "why it matters"), fields)
        + "".join(_map(tensors) for tensors in diff.tensors)
        + _value_notes(diff.tensors)
        + "".join(f"<div>{_text(note)}</div>" for note in diff.notes)
    )


def _commits(what: str, commits: Sequence[CommitInfo]) -> str:
    """The newest commits, oldest first."""
    rows = (
        (_code(short(commit.commit)), _text(commit.date), _text(commit.title))
        for commit in commits[-MAX_ROWS:]
    )
    return _table((what, "date", "title"), rows) + _left_out(len(commits))


def _unknown_commit(diff: SnapshotDiff) -> str:
    if diff.unknown_commit is None:
        return ""
    commit = _code(short(diff.unknown_commit))
    return f"<div>commit {commit} is not known to the history of the other snapshot</div>"


def _skipped(record: AuditRecord) -> str:
    rows = ((_text(skipped.code), _text(skipped.reason)) for skipped in record.skipped)
    return _details(f"{plural(len(record.skipped), 'rule')} not asked", _table(("rule", "reason"), rows))


def _left_out(number: int) -> str:
    return f"<div>... and {number - MAX_ROWS:,} more</div>" if number > MAX_ROWS else ""
