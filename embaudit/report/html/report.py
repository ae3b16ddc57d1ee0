"""The report as HTML: one page that needs no other file, or the piece of one that a notebook shows."""

from collections.abc import Iterator, Sequence

from embaudit.model.files import FileEntry, FileState
from embaudit.model.findings import Skipped
from embaudit.model.record import AuditRecord
from embaudit.model.words import plural
from embaudit.report.html.changes import diff_part
from embaudit.report.html.findings import findings_list, policy_facts, waived_table
from embaudit.report.html.loads import loads_table
from embaudit.report.html.parts import (
    PAGE,
    PIECE,
    Bounds,
    Cell,
    Column,
    anchor,
    code,
    facts,
    fold,
    label_of,
    paragraph,
    prose,
    section,
    table,
    text,
)
from embaudit.report.html.weights import maps_part, weights_tables
from embaudit.report.page_script import SCRIPT
from embaudit.report.pages import page
from embaudit.report.text import model_line, verdict
from embaudit.report.wording import size, taken


def render_html(record: AuditRecord, *, whole_page: bool = True) -> str:
    """The report as a page, or as the piece of one that a notebook takes in."""
    title = f"embaudit: {record.target}"
    bounds = PAGE if whole_page else PIECE
    parts = [(name, content) for name, content in _parts(record, bounds, whole_page=whole_page) if content]
    body = "".join(
        (
            "" if whole_page else paragraph(f"<strong>{text(title)}</strong>"),
            _verdict(record),
            _about(record, whole_page=whole_page),
            _contents([name for name, _ in parts]) if whole_page else "",
            *(section(name, content, named=whole_page) for name, content in parts),
        )
    )
    return page(title, body, whole_page=whole_page, script=SCRIPT)


def _parts(record: AuditRecord, bounds: Bounds, *, whole_page: bool) -> Iterator[tuple[str, str]]:
    """The sections by their titles; what a report does not have is empty. A notebook lists no files."""
    yield "Findings", findings_list(record.findings, bounds)
    yield "Waived", waived_table(record.waived, bounds)
    yield "Policy", "" if record.policy is None else policy_facts(record.policy, bounds)
    yield "Loads", loads_table(record.loads, bounds)
    yield "Weights", weights_tables(record.checkpoints, bounds)
    yield "Formats compared", maps_part(record.mappings, bounds)
    yield "What changed", "" if record.diff is None else diff_part(record.diff, bounds)
    yield "Files", _files(list(record.files.values()), bounds) if whole_page else ""
    yield "Not asked", _skipped(record.skipped, bounds)


def _contents(names: Sequence[str]) -> str:
    """A list of the sections, to which it leads; nothing where one of them is all."""
    links = "".join(f'<a href="#{anchor(name)}">{text(name)}</a>' for name in names)
    return f'<nav aria-label="Sections">{links}</nav>' if len(names) > 1 else ""


def _verdict(record: AuditRecord) -> str:
    passed = record.passed()
    kind = "good" if passed else "error"
    word = label_of("✔ passed" if passed else "✖ did not pass", kind)
    waived = f", {len(record.waived):,} waived" if record.waived else ""
    return (
        f'<p class="verdict {kind}">{word} {text(verdict(record.findings))}{waived};'
        f" the threshold is {text(record.threshold())}</p>"
    )


def _about(record: AuditRecord, *, whole_page: bool) -> str:
    took = f"{taken(record)}, {record.cost.seconds:.2f} s" if whole_page else taken(record)
    rows = (
        ("target", code(record.target)),
        ("revision", code(record.revision) if record.revision else ""),
        ("commit", code(record.commit) if record.commit else "unknown"),
        ("model", text(model_line(record))),
        ("against", code(record.against) if record.against else ""),
        ("depth", text(record.depth)),
        ("cost", text(took)),
        ("made", f"{text(record.created)} by embaudit {text(record.tool_version)}" if whole_page else ""),
    )
    return facts(rows, "The audit")


def _files(files: Sequence[FileEntry], bounds: Bounds) -> str:
    odd = any(entry.state is not FileState.PRESENT for entry in files)
    columns = (
        Column("file", "name"),
        Column("kind"),
        Column("size", "number"),
        *([Column("state", "told")] if odd else ()),
        Column("digest, as the source claims it", "name"),
    )
    rows = (
        (
            code(entry.path),
            text(entry.kind),
            Cell(text(size(entry.size)), entry.size),
            *([_state(entry)] if odd else ()),
            _digest(entry),
        )
        for entry in files
    )
    listing = table(columns, rows, "files", most=bounds.rows, total=len(files))
    whole = sum(entry.size or 0 for entry in files)
    return fold(f"{plural(len(files), 'file')}, {text(size(whole))}", listing)


def _state(entry: FileEntry) -> str:
    if entry.state is FileState.PRESENT:
        return ""
    detail = f": {code(entry.detail)}" if entry.detail else ""
    return f"<strong>{text(entry.state)}</strong>{detail}"


def _digest(entry: FileEntry) -> str:
    if entry.sha256 is not None:
        return f"sha256 {code(entry.sha256)}"
    return "" if entry.git_sha1 is None else f"git {code(entry.git_sha1)}"


def _skipped(skipped: Sequence[Skipped], bounds: Bounds) -> str:
    """The reasons, each with the rules that could not be asked because of it."""
    codes: dict[str, list[str]] = {}
    for each in skipped:
        codes.setdefault(each.reason, []).append(each.code)
    rows = ((text(", ".join(names), 10 * bounds.items), prose(reason)) for reason, names in codes.items())
    columns = (Column("rules", "told"), Column("why they were not asked", "told"))
    listing = table(columns, rows, "rules not asked", most=bounds.rows, total=len(codes))
    return fold(f"{plural(len(skipped), 'rule')} not asked", listing)
