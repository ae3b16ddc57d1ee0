"""Pages of reports: everything is in them, in bounds, and the browser is told what it may do."""

import base64
import hashlib
import re
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import attrs
import pytest

from embaudit.model.findings import Finding, Severity, Skipped, Where
from embaudit.model.frozen import JSON
from embaudit.model.policy import Policy, WaivedFinding, Waiver
from embaudit.model.prediction import Outcome
from embaudit.report import AuditReport
from embaudit.report.html.parts import MAX_NAME, PAGE, PIECE
from embaudit.report.pages import page
from embaudit.report.references import rule_page
from embaudit.testing.facts import make_checkpoint, make_entry, make_load, make_prediction
from embaudit.testing.reports import make_finding, make_report, report_of

HOSTILE = "</script></style>\"'><img src=x onerror=alert(1)>\u202e\u2066\x00\n" + "unbroken" * 200
LONG = "unbroken" * 50


class Seen(HTMLParser):
    """What a page is made of: elements with their attributes, and the text inside of each kind of element."""

    void = frozenset({"meta", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: dict[str, list[list[str]]] = {}
        self._open: list[tuple[str, list[str]]] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:  # noqa: D102
        self.elements.append((tag, dict(attributes)))
        if tag not in self.void:
            text: list[str] = []
            self._texts.setdefault(tag, []).append(text)
            self._open.append((tag, text))

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        if tag not in self.void:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:  # noqa: D102
        for _, text in self._open:
            text.append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def texts(self, tag: str) -> list[str]:
        """What is read in every element of a kind."""
        return ["".join(text) for text in self._texts.get(tag, ())]

    @property
    def text(self) -> str:
        """All that is read."""
        return self.texts("main")[0]


@pytest.fixture(params=["demo", "small", "hostile", "empty"])
def report(request: pytest.FixtureRequest) -> AuditReport:
    """Reports of every kind."""
    if request.param == "hostile":
        return report_of(HOSTILE)
    if request.param == "empty":
        return make_report()
    made: AuditReport = request.getfixturevalue(f"{request.param}_report")
    return made


def test_the_policy_of_the_page_allows_its_own_script_and_style_only(report: AuditReport) -> None:
    """Its hash is that of the script that is there, and nothing else is allowed from anywhere."""
    seen = Seen(report.render("html"))
    metas = {meta.get("http-equiv"): meta.get("content") for meta in seen.every("meta")}
    policy = metas["Content-Security-Policy"] or ""
    directives = dict(directive.split(maxsplit=1) for directive in policy.split("; "))
    (script,) = seen.texts("script")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert directives == {
        "default-src": "'none'",
        "script-src": f"'sha256-{digest}'",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert [tag for tag, _ in seen.elements].index("meta") < [tag for tag, _ in seen.elements].index("style")


def test_a_page_without_a_script_allows_none() -> None:
    """Pages of vectors run nothing at all."""
    html = page("title", "body", whole_page=True)

    assert "script-src 'none'" in html
    assert "<script" not in html


def test_a_page_is_accessible(report: AuditReport) -> None:
    """It has a language, one h1, no level left out, a scope for heads, names for boxes that scroll."""
    seen = Seen(report.render("html"))
    levels = [int(tag[1]) for tag, _ in seen.elements if re.fullmatch("h[1-6]", tag)]
    boxes = [box for box in seen.every("div") if box.get("class") == "box"]

    assert seen.every("html") == [{"lang": "en"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(head.get("scope") in {"col", "row"} for head in seen.every("th"))
    assert all(box["aria-label"] and box["role"] == "group" for box in boxes)
    assert sum(box.get("tabindex") == "0" for box in boxes) == len(seen.every("thead"))


def test_links_lead_somewhere(report: AuditReport) -> None:
    """Each link within the page has its section, names are given once, and other links tell nobody whence."""
    seen = Seen(report.render("html"))
    names = Counter(attributes["id"] for _, attributes in seen.elements if "id" in attributes)
    links = seen.every("a")

    assert set(names.values()) <= {1}
    for link in links:
        address = link["href"] or ""
        assert address.removeprefix("#") in names or address.startswith("https://")
        assert address.startswith("#") or link["rel"] == "noreferrer"


def test_every_finding_is_there_whole() -> None:
    """Severity, code, place, message, remedy, each piece of evidence, and the way to the rule's page."""
    findings = [
        make_finding(
            code,
            severity,
            message=f"It differs in `{code}`.",
            where=Where(path=f"{code}.bin", tensor="t", field="f"),
            loader=f"loader of {code}",
            remedy=f"Do {code} otherwise.",
            evidence={"one": 1, "list": [1, 2], "deep": {"inner": f"evidence of {code}"}},
        )
        for code, severity in zip(("EMB106", "EMB107", "EMB003"), reversed(Severity), strict=True)
    ]

    seen = Seen(make_report(*findings).render("html"))
    articles = seen.texts("article")

    assert [attributes["data-severity"] for attributes in seen.every("article")] == [
        "error",
        "warning",
        "info",
    ]
    for finding, shown, attributes in zip(findings, articles, seen.every("article"), strict=True):
        told = (finding.code, f"{finding.code}.bin", "tensor t", "field f", f"loader of {finding.code}")
        assert all(word in shown for word in told)
        assert f"It differs in {finding.code}." in shown
        assert f"Do {finding.code} otherwise." in shown
        assert f"inner: evidence of {finding.code}" in shown
        assert str(finding.severity) in shown
        assert attributes["data-code"] == finding.code
        assert rule_page(finding.code) in [link["href"] for link in seen.every("a")]


def test_a_code_without_a_rule_is_no_link() -> None:
    """A report that was read may name any code; only codes of rules have pages."""
    report = make_report(make_finding('EMB999"><b>'))

    seen = Seen(report.render("html"))

    assert seen.every("b") == []
    assert seen.every("a") == []


def test_the_policy_and_what_it_waives_are_there() -> None:
    """The file, what it asks for beyond the defaults, its waivers with reasons, and what they cover."""
    waiver = Waiver(code="EMB106", reason="Nobody reads it.", expires=date(2027, 1, 31), path="*.bin")
    report = make_report(
        policy=Policy(source="embaudit.toml", dimension=384, waivers=(waiver,)),
        waived=(WaivedFinding(finding=make_finding(message="It was found."), waiver=waiver),),
    )

    shown = Seen(report.render("html")).text

    for word in (
        "embaudit.toml",
        "384",
        "Nobody reads it.",
        "2027-01-31",
        "*.bin",
        "It was found.",
        "1 waived",
    ):
        assert word in shown
    assert "max bytes" not in shown


def test_loads_files_and_questions_are_there() -> None:
    """What each loader does and why, the digest of every file, and what was not asked."""
    load = make_load(
        Outcome.INCOMPLETE,
        missing_keys=("lost.weight",),
        reasons=("It looks elsewhere.",),
        sources=("https://example.org/a", "javascript:alert(1)"),
    )
    entry = make_entry("model.safetensors", sha256="5" * 64)
    report = make_report(
        files={entry.path: entry},
        loads=(make_prediction(load),),
        skipped=(
            Skipped(code="EMB001", reason="nobody knows"),
            Skipped(code="EMB002", reason="nobody knows"),
        ),
    )

    seen = Seen(report.render("html"))

    for word in (
        "incomplete",
        "lost.weight",
        "It looks elsewhere.",
        "5" * 64,
        "EMB001, EMB002",
        "nobody knows",
    ):
        assert word in seen.text
    assert [
        link["href"] for link in seen.every("a") if link["href"] not in {"#loads", "#files", "#not-asked"}
    ] == ["https://example.org/a"]


@pytest.mark.parametrize("passes", [True, False], ids=["passed", "not passed"])
def test_the_verdict_is_said_in_words(passes: bool) -> None:
    """Whether it passed is told by the threshold of the policy, and not by a colour alone."""
    policy = Policy(fail_on=Severity.ERROR if passes else Severity.WARNING)
    report = make_report(make_finding(severity=Severity.WARNING), policy=policy)

    verdict = Seen(report.render("html")).texts("p")[0]

    assert ("did not pass" in verdict) is not passes
    assert f"the threshold is {policy.fail_on}" in verdict


def many_findings(number: int) -> tuple[Finding, ...]:
    """Findings with a message and evidence of their own."""
    return tuple(
        make_finding(message=f"Number {at}.", evidence={"at": at, "all": list(range(0 if at else 1000))})
        for at in range(number)
    )


def big_report() -> AuditReport:
    """A report that is too large for a page in every way."""
    checkpoints = [
        make_checkpoint([f"tensor {at} {LONG}" for at in range(PAGE.tensors)], name=f"{name}.bin")
        for name in "ab"
    ]
    return make_report(
        *many_findings(PAGE.findings + 500),
        checkpoints={each.name: each for each in checkpoints},
        skipped=tuple(Skipped(code="EMB001", reason=f"reason {at}") for at in range(5000)),
    )


def test_a_page_is_bounded_and_says_what_it_leaves_out() -> None:
    """Findings, tensors, items and names are cut at their bounds, and counted."""
    seen = Seen(big_report().render("html"))
    n_rows = sum(1 for code in seen.texts("td") if code.startswith("tensor "))

    assert len(seen.every("article")) == PAGE.findings
    assert "... and 500 more" in seen.text
    assert n_rows == PAGE.tensors
    assert f"... and {PAGE.tensors - PAGE.tensors // 2:,} more" in seen.text
    assert f"... and {1000 - PAGE.values} more" in seen.texts("article")[0]
    assert max(map(len, seen.texts("code"))) <= 2 * MAX_NAME
    assert f"({len(f'tensor 0 {LONG}'):,} characters)" in seen.text


def test_a_piece_is_small() -> None:
    """What a notebook stores of the largest report is less than a megabyte, without a script or a name."""
    shown = big_report()._repr_html_()
    seen = Seen(shown)

    assert len(shown) < 1_000_000
    assert len(seen.every("article")) == PIECE.findings
    assert not {"script", "h1", "html", "input", "button"} & {tag for tag, _ in seen.elements}
    assert not [attributes for _, attributes in seen.elements if "id" in attributes]


def nested(depth: int) -> JSON:
    """Objects in objects."""
    value: JSON = "innermost"
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("evidence", "shown"),
    [
        ({"of": nested(3)}, "innermost"),
        ({"of": nested(20)}, "innermost"),
        ({"of": []}, "of[]"),
        ({"of": {}}, "of{}"),
        ({"of": None}, "None"),
        ({"of": [[1, 2], [3]]}, "1, 23"),
        ({"of": [{"a": 1}, {"b": 2}]}, "a: 1b: 2"),
    ],
    ids=["deep", "deeper", "empty list", "empty object", "nothing", "lists", "unlike objects"],
)
def test_evidence_is_laid_out(evidence: Any, shown: str) -> None:
    """Any JSON is shown, however deep it is."""
    assert shown in Seen(make_report(make_finding(evidence=evidence)).render("html")).texts("article")[0]


def test_evidence_of_like_objects_is_a_table() -> None:
    """The members of a list of like objects are columns."""
    finding = make_finding(evidence={"tensors": [{"name": "a", "byte": 1}, {"name": "b", "byte": 20}]})

    seen = Seen(make_report(finding).render("html"))

    assert seen.texts("thead") == ["namebyte"]
    assert [row for row in seen.texts("tr") if row in {"a1", "b20"}] == ["a1", "b20"]
    assert [cell["data-value"] for cell in seen.every("td") if cell.get("class") == "number"] == ["1", "20"]


def test_columns_that_say_nothing_are_left_out() -> None:
    """Tensors that have a storage each, and lie in one file, need no columns for either."""
    plain = make_report(checkpoints={"a": make_checkpoint(("x", "y"), name="a")})
    sharded = attrs.evolve(
        plain, checkpoints={"a": make_checkpoint(("x", "y"), name="a", files=("s1", "s2"))}
    )

    heads = ["".join(Seen(each.render("html")).texts("thead")) for each in (plain, sharded)]

    assert [("storage" in head, "stride" in head, "first byte" in head) for head in heads] == [
        (False, False, True)
    ] * 2
    assert heads[1].count("file") == heads[0].count("file") + 1


def test_the_title_is_cut_and_escaped() -> None:
    """A target of any length gives a title that a browser can show."""
    seen = Seen(report_of("<x>" + "y" * 10_000).render("html"))

    assert seen.texts("title")[0].startswith("embaudit: <x>yyy")
    assert len(seen.texts("title")[0]) == 200
