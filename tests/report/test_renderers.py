"""The report as text and as HTML, and what hostile names can do to them: nothing."""

import re
import unicodedata
from html.parser import HTMLParser

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.errors import UsageError
from embaudit.model.checkpoint import Oddity, PickleSummary
from embaudit.model.diff import FieldChange, FileRename, SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.findings import Finding, Severity, Skipped, Where
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth, TensorMap, TiedName
from embaudit.model.words import plural
from embaudit.report import FORMATS, AuditReport, FindingsError
from embaudit.report.text import render_checkpoint, render_diff, render_map, render_text
from embaudit.report.wording import plain, size
from embaudit.testing.facts import COMMIT_A, COMMIT_B, make_checkpoint, make_entry, make_pair, make_snapshot

HOSTILE = "a\x1b[2J\u202eb\n<script>alert(1)</script>\"'&\u2028\ud800\x9b"


def a_report(
    name: str = "weight", *, severity: Severity = Severity.ERROR, message: str = "It differs."
) -> AuditReport:
    """A report in which every text that can come from a repository is `name`."""
    checkpoint = make_checkpoint(
        (name,),
        name=name,
        metadata={name: name},
        state_dict=name,
        tied=(frozenset({name, "b"}),),
        pickle=PickleSummary(protocol=2, tensor_only=False, reasons=(name,)),
        oddities=(Oddity(file=name, problem=name),),
    )
    tensors = TensorMap(
        left=name, right=name, depth=Depth.FULL, pairs=(make_pair(name, renamed_by=name),), only_left=(name,),
        only_right=(name,), tied=(TiedName(name=name, tied_to=name, side="left"),),
    )  # fmt: skip
    entry = make_entry(name)
    diff = SnapshotDiff(
        old=make_snapshot((entry,)),
        new=make_snapshot((entry,)),
        added=(entry,),
        removed=(entry,),
        renamed=(FileRename(old_path=name, new_path=name, kind=entry.kind),),
        uncompared=(name,),
        commits=(CommitInfo(commit=COMMIT_A, title=name, date=name),),
        lost_commits=(CommitInfo(commit=COMMIT_A, title=name, date=name),),
        unknown_commit=name,
        field_changes=(
            FieldChange(file=name, field=name, old=name, new=[name], affects_embeddings=True, why=name),
        ),
        tensors=(tensors,),
        notes=(name,),
    )
    finding = Finding(
        code="EMB106",
        severity=severity,
        message=message,
        where=Where(path=name, tensor=name, field=name),
        evidence={name: {name: [name, {name: name}]}},
        remedy=name,
    )
    return AuditReport(
        target=name,
        source="folder",
        against=name,
        depth=Depth.FULL,
        created="2026-01-01T00:00:00+00:00",
        tool_version="0",
        files={name: entry},
        checkpoints={name: checkpoint},
        mappings=(tensors,),
        diff=diff,
        findings=(finding,),
        skipped=(Skipped(code="EMB001", reason=name),),
        cost=Cost(requests=1, bytes_read=2, seconds=0.5),
    )


@pytest.mark.parametrize("form", ["text", "html"])
@pytest.mark.parametrize(("source", "unit"), [("hub", "1 request"), ("folder", "1 read")])
def test_what_was_read_is_counted_in_its_own_unit(form: str, source: str, unit: str) -> None:
    """A network is asked in requests, a disk in reads."""
    report = attrs.evolve(a_report("a"), source=source)

    assert f"{unit}, 2 B" in report.render(form)


@given(st.text())
@example(HOSTILE)
def test_plain_text_is_one_visible_line(text: str) -> None:
    """Nothing that a terminal obeys is left, and what can be seen stays as it is."""
    shown = plain(text)

    assert not [character for character in shown if unicodedata.category(character).startswith("C")]
    assert len(shown.splitlines()) <= 1
    assert plain(shown) == shown


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_hostile_name_cannot_act(form: str) -> None:
    """A name with escape sequences, bidirectional controls and markup reaches no output as such."""
    shown = a_report(HOSTILE, message=HOSTILE).render(form)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800]", shown)
    assert form == "text" or shown.count("<script") == 1
    assert form == "text" or "<script>alert" not in shown


def test_json_of_a_hostile_name_is_ascii() -> None:
    """The JSON form can be printed whatever is in it: everything but ASCII is escaped."""
    assert a_report(HOSTILE).to_json().isascii()


class _Tags(HTMLParser):
    """Checks that every tag is closed, and collects attributes that would load something, and links."""

    void = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loading: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.loading += [name for name, _ in attributes if name in {"src", "srcset"} or name.startswith("on")]
        self.links += [value or "" for name, value in attributes if name == "href"]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ["weight", HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize("whole", [True, False], ids=["page", "notebook"])
def test_html_is_well_formed_and_loads_nothing(name: str, whole: bool) -> None:
    """Every tag is closed, nothing outside the page is loaded, and links lead to the rules' pages alone."""
    report = a_report(name)
    shown = report.render("html") if whole else report._repr_html_()
    tags = _Tags()
    tags.feed(shown)

    assert tags.open == []
    assert tags.loading == []
    assert not re.search(r"url\(|@import|<link", shown)
    assert all(
        re.match(r"#|https://github\.com/embaudit/embaudit/blob/main/docs/rules/EMB", link)
        for link in tags.links
    )
    assert shown.startswith("<!doctype html>") == whole


def test_text_names_findings_by_severity_code_and_place() -> None:
    """A finding takes a heading line, its message and what to do."""
    shown = render_text(a_report())

    assert (
        "ERROR   EMB106  weight: weight: weight\n        It differs.\n        What to do: weight\n" in shown
    )
    assert "1 error" in shown.splitlines()[0]


def test_colour_is_only_added() -> None:
    """Without its colour codes the coloured text is the plain one."""
    coloured = render_text(a_report(), colour=True)

    assert "\x1b[31;1m" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == render_text(a_report())


MANY = [f"name{number}" for number in range(100)]
MANY_CHANGES = tuple(
    FieldChange(file="config.json", field=name, affects_embeddings=True, why="because") for name in MANY
)
LONG = {
    "tensors": render_checkpoint(make_checkpoint(MANY), max_rows=10),
    "metadata": render_checkpoint(make_checkpoint(metadata=dict.fromkeys(MANY, 1))),
    "files": render_diff(
        SnapshotDiff(old=make_snapshot(), new=make_snapshot(), added=tuple(map(make_entry, MANY)))
    ),
    "fields": render_diff(SnapshotDiff(old=make_snapshot(), new=make_snapshot(), field_changes=MANY_CHANGES)),
    "pairs": render_map(
        TensorMap(
            left="l",
            right="r",
            depth=Depth.HEADERS,
            pairs=tuple(make_pair(f"x.{name}", name, renamed_by="prefix") for name in MANY),
        )
    ),
    "names": render_map(TensorMap(left="l", right="r", depth=Depth.HEADERS, pairs=(), only_left=tuple(MANY))),
}


@pytest.mark.parametrize("what", LONG)
def test_long_lists_are_cut_and_say_so(what: str) -> None:
    """Of a hundred names a few are shown, and the others are counted."""
    shown = sum(name in re.split(r"[ .:=\n]+", LONG[what]) for name in MANY)

    assert 0 < shown < 50
    assert f"... and {100 - shown} more" in LONG[what]


def test_a_map_shows_the_pairs_that_are_not_plainly_the_same() -> None:
    """Equal pairs are counted; a renamed one has a row."""
    tensors = TensorMap(
        left="l",
        right="r",
        depth=Depth.HEADERS,
        pairs=(make_pair("same"), make_pair("x.a", "a", renamed_by="prefix")),
    )

    shown = render_map(tensors)

    assert "2 pairs" in shown.splitlines()[0]
    assert "x.a" in shown
    assert "same" not in shown


@pytest.mark.parametrize("form", ["text", "html"])
def test_a_diff_shows_the_commits_of_both_sides(form: str) -> None:
    """Commits between and lost ones stand with title and date, and so does a commit that nobody knows."""
    between, lost = (
        CommitInfo(commit=commit, title=title, date=f"{year}-01-01")
        for commit, title, year in ((COMMIT_A, "gained", 2024), (COMMIT_B, "forgotten", 2023))
    )
    diff = SnapshotDiff(
        old=make_snapshot(),
        new=make_snapshot(),
        commits=(between,),
        lost_commits=(lost,),
        unknown_commit="c" * 40,
    )

    shown = attrs.evolve(a_report(), diff=diff).render(form)

    assert all(word in shown for word in ("gained", "2024-01-01", "forgotten", "2023-01-01", "lost commit"))
    assert "c" * 12 in shown
    assert shown.index("gained") < shown.index("lost commit") < shown.index("forgotten")


def test_a_diff_marks_settings_that_matter() -> None:
    """A setting that can change an embedding carries a mark, a harmless one does not."""
    fields = {"file": "config.json", "old": 1, "new": 2, "why": "because"}
    changes = (
        FieldChange(field="hidden_act", affects_embeddings=True, **fields),
        FieldChange(field="transformers_version", affects_embeddings=False, **fields),
    )

    shown = render_diff(SnapshotDiff(old=make_snapshot(), new=make_snapshot(), field_changes=changes))

    assert "! config.json: hidden_act: 1 -> 2  (because)" in shown
    assert "  config.json: transformers_version: 1 -> 2" in shown


@pytest.mark.parametrize(
    ("n_bytes", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KB"),
        (90_868_376, "90.9 MB"),
        (10**16, "10000.0 TB"),
        (None, "?"),
    ],
    ids=str,
)
def test_sizes_are_said_in_decimal_units(n_bytes: int | None, shown: str) -> None:
    """Sizes use powers of 1000, one decimal place above bytes."""
    assert size(n_bytes) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 files"), (1, "1 file"), (1200, "1,200 files")], ids=str)
def test_counts_agree_with_their_noun(number: int, shown: str) -> None:
    """One is singular, everything else plural."""
    assert plural(number, "file") == shown


@pytest.mark.parametrize(
    ("severity", "fail_on", "passes"),
    [
        (Severity.ERROR, "error", False),
        (Severity.WARNING, "error", True),
        (Severity.WARNING, "warning", False),
        (Severity.INFO, "WARNING", True),
        (Severity.INFO, "info", False),
    ],
    ids=str,
)
def test_a_report_passes_below_its_threshold(severity: Severity, fail_on: str, passes: bool) -> None:
    """A report passes if its worst finding is below the threshold; else it raises, with itself inside."""
    report = a_report(severity=severity)

    assert report.worst is severity
    assert report.passed(fail_on) is passes
    if passes:
        report.raise_for_findings(fail_on)
    else:
        with pytest.raises(FindingsError, match=r"EMB106: It differs\.") as caught:
            report.raise_for_findings(fail_on)
        assert caught.value.report is report


def test_a_report_without_findings_passes_everything() -> None:
    """No findings: nothing is worst and every threshold passes."""
    report = attrs.evolve(a_report(), findings=())

    assert report.worst is None
    assert all(report.passed(severity) for severity in Severity)


def test_unknown_forms_and_severities_are_usage_errors() -> None:
    """A form or a threshold that does not exist is refused with the ones that do."""
    with pytest.raises(UsageError, match=", ".join(FORMATS)):
        a_report().render("pdf")
    with pytest.raises(UsageError, match="info, warning, error"):
        a_report().passed("fatal")
    with pytest.raises(UsageError, match="info, warning, error"):
        a_report().passed(3)  # type: ignore[arg-type]
