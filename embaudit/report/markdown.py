"""The report as Markdown that fits into a comment on a pull request, whatever the repository's names hold.

Knows what of a report is shown, and in what space; what may be written of a name is known to
`embaudit.report.spans`. Refuses to write HTML around anything but its own words.
"""

from collections.abc import Iterable, Iterator, Sequence

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.findings import Finding
from embaudit.model.policy import WaivedFinding
from embaudit.model.record import AuditRecord
from embaudit.model.words import plural, short
from embaudit.report.loads import LOAD_COLUMNS, load_rows
from embaudit.report.references import rule_page
from embaudit.report.spans import as_code, as_row, as_words
from embaudit.report.text import verdict
from embaudit.report.wording import as_json, dtypes, size, taken

MAX_SIZE = 65_536
"""What a comment may hold: GitHub answers more with "Body is too long (maximum is 65536 characters)"
(https://github.com/telia-oss/github-pr-resource/issues/259). Held in bytes of UTF-8, of which no way of
counting characters makes more."""

MAX_VALUE = 300
"""Characters of one value of evidence."""

MAX_EVIDENCE = 6
"""Values of evidence of one finding."""


@attrs.frozen(kw_only=True)
class _Section:
    """A list or a table that is cut where the space ends.

    Attributes:
        title: What stands on it when it is folded; empty if it is always open.
        rows: Its lines, made one by one: of thousands only few are shown.
        number: How many there are.
        noun: What a row is.
        share: Part of the space that is kept for it; what the sections before it leave is its own too.
        header: The columns, if it is a table.
    """

    title: str
    rows: Iterable[str]
    number: int
    noun: str
    share: float
    header: Sequence[str] = ()


def render_markdown(record: AuditRecord, *, max_size: int = MAX_SIZE) -> str:
    """The report as Markdown of at most `max_size` bytes: the worst findings first, the rest folded.

    What there is no space for is counted.
    """
    text = _heading(record)
    sections = [section for section in _sections(record) if section.number]
    kept = sum(section.share for section in sections)
    for section in sections:
        kept -= section.share
        text += _fitted(section, max_size - int(kept * max_size) - _size(text))
    return text


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _sections(record: AuditRecord) -> Iterator[_Section]:
    advised = [finding for finding in record.findings if finding.remedy or finding.evidence]
    changes, loads = _changes(record), load_rows(record.loads)
    yield _Section(
        title="",
        header=("severity", "rule", "where", "what"),
        rows=map(_finding_row, record.findings),
        number=len(record.findings),
        noun="finding",
        share=0.4,
    )
    yield _Section(
        title="What to do, and the evidence",
        rows=map(_advice, advised),
        number=len(advised),
        noun="finding",
        share=0.25,
    )
    yield _Section(
        title="Loads",
        header=LOAD_COLUMNS,
        rows=(as_row(map(as_code, row)) for row in loads),
        number=len(loads),
        noun="load",
        share=0.1,
    )
    yield _Section(
        title="Weights",
        header=("file", "format", "tensors", "dtype", "size"),
        rows=map(_weights_row, record.checkpoints.values()),
        number=len(record.checkpoints),
        noun="file",
        share=0.05,
    )
    yield _Section(
        title="What changed",
        header=("what", "setting", "old", "new"),
        rows=(as_row(map(as_code, row)) for row in changes),
        number=len(changes),
        noun="change",
        share=0.05,
    )
    yield _Section(
        title="Waived",
        rows=map(_waived, record.waived),
        number=len(record.waived),
        noun="waived finding",
        share=0.05,
    )
    yield _Section(
        title="Not asked",
        rows=(f"- {_rule(each.code)}: {as_words(each.reason)}" for each in record.skipped),
        number=len(record.skipped),
        noun="rule",
        share=0.05,
    )


def _fitted(section: _Section, space: int) -> str:
    """As many rows as there is space for, and how many are left out."""
    summary = f"{section.title} ({section.number:,})"
    opening = f"\n<details>\n<summary>{summary}</summary>\n\n" if section.title else "\n"
    closing = "\n</details>\n" if section.title else ""
    if section.header:
        opening += f"{as_row(section.header)}\n{as_row('---' for _ in section.header)}\n"
    space -= _size(opening) + _size(_left_out(section, section.number)) + _size(closing)
    shown: list[str] = []
    for row in section.rows:
        space -= _size(row) + 1
        if space < 0:
            break
        shown.append(f"{row}\n")
    left = _left_out(section, section.number - len(shown))
    return f"{opening}{''.join(shown)}{left}{closing}" if shown else left


def _left_out(section: _Section, number: int) -> str:
    if not number:
        return ""
    what = plural(number, section.noun)
    return f"\n... and {what} more that would not fit here; the JSON form of the report has all.\n"


def _heading(record: AuditRecord) -> str:
    commit = f" at {as_code(short(record.commit))}" if record.commit else ""
    against = f", against {as_code(record.against)}" if record.against else ""
    return (
        f"## embaudit: {verdict(record.findings)}\n\n"
        f"{as_code(record.target)}{commit}{against}. Depth {record.depth}, {taken(record)}.\n"
    )


def _rule(code: str) -> str:
    return f"[{as_words(code)}]({rule_page(code)})"


def _place(finding: Finding) -> str:
    where = finding.where
    parts = [as_code(part) for part in (where.path, where.tensor, where.field) if part]
    loader = [f"for {as_code(finding.loader)}"] if finding.loader else []
    return ", ".join([*parts, *loader])


def _finding_row(finding: Finding) -> str:
    severity = f"**{finding.severity}**"
    return as_row((severity, _rule(finding.code), _place(finding), as_words(finding.message)))


def _advice(finding: Finding) -> str:
    """What to do about a finding, and what it was seen by."""
    some = list(finding.evidence.items())[:MAX_EVIDENCE]
    lines = [f"- {_rule(finding.code)} {_place(finding)}".rstrip()]
    lines += [f"  What to do: {as_words(finding.remedy)}"] if finding.remedy else []
    lines += [f"  - {as_code(name)}: {as_code(as_json(value), MAX_VALUE)}" for name, value in some]
    return "\n".join(lines)


def _weights_row(checkpoint: Checkpoint) -> str:
    return as_row(
        (
            as_code(checkpoint.name),
            as_code(str(checkpoint.format)),
            f"{len(checkpoint.tensors):,}",
            as_code(dtypes(checkpoint)),
            size(checkpoint.n_bytes),
        )
    )


def _changes(record: AuditRecord) -> list[tuple[str, str, str, str]]:
    """A row for each file and each setting that changed, in plain text."""
    diff = record.diff
    if diff is None:
        return []
    rows = [("added", "", "", entry.path) for entry in diff.added]
    rows += [("removed", "", entry.path, "") for entry in diff.removed]
    rows += [("modified", "", "", each.path) for each in diff.modified]
    rows += [("renamed", "", each.old_path, each.new_path) for each in diff.renamed]
    return rows + [
        (
            each.file,
            each.field,
            as_json(each.old) if each.old_present else "",
            as_json(each.new) if each.new_present else "",
        )
        for each in diff.field_changes
    ]


def _waived(waived: WaivedFinding) -> str:
    finding, expires = waived.finding, waived.waiver.expires
    until = "" if expires is None else f"until {expires.isoformat()}"
    told = " ".join(part for part in (_rule(finding.code), _place(finding), until) if part)
    return f"- {told}: {as_words(waived.waiver.reason)}"
