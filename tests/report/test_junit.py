"""The report as JUnit XML, as a CI server reads it."""

import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from embaudit.cli import cli
from embaudit.model.findings import Severity, Skipped, Where
from embaudit.model.policy import Policy, WaivedFinding, Waiver
from embaudit.pipeline import audit
from embaudit.report import AuditReport
from embaudit.report.junit import render_junit
from embaudit.report.wording import plain
from embaudit.testing.reports import make_finding, make_report, report_of


def _suite(text: str) -> ET.Element:
    suites = ET.fromstring(text.encode())
    (suite,) = suites
    return suite


def _cases(report: AuditReport, **options: Any) -> list[ET.Element]:
    return _suite(report.render("junit", **options)).findall("testcase")


def _ended(case: ET.Element) -> str:
    return next((child.tag for child in case if child.tag != "system-out"), "passed")


@pytest.mark.parametrize(
    ("fail_on", "failed"),
    [("info", 3), ("warning", 2), ("error", 1), (Severity.INFO, 3), (None, 1)],
    ids=repr,
)
def test_findings_fail_from_the_threshold_on(fail_on: Any, failed: int) -> None:
    """As many tests fail as findings do not pass; the milder ones pass, with their text as output."""
    findings = [make_finding(severity=severity) for severity in reversed(Severity)]
    report = make_report(*findings)
    cases = _cases(report, fail_on=fail_on)

    assert [_ended(case) for case in cases[:3]] == ["failure"] * failed + ["passed"] * (3 - failed)
    assert [case.find("system-out") is not None for case in cases[:3]] == [False] * failed + [True] * (
        3 - failed
    )
    assert (failed == 0) == report.passed(fail_on)


def test_the_policy_sets_the_threshold() -> None:
    """Without a threshold of its own the rendering takes the policy's."""
    report = make_report(make_finding(severity=Severity.INFO), policy=Policy(fail_on=Severity.INFO))

    assert _ended(_cases(report)[0]) == "failure"
    assert _ended(_cases(report, fail_on="error")[0]) == "passed"


def test_a_rule_that_found_nothing_is_a_test_that_passed() -> None:
    """Every rule that was asked is there once; one that nobody asked passed nothing."""
    report = make_report(make_finding("EMB106"), asked=("EMB101", "EMB106"))

    assert [case.get("classname") for case in _cases(report)] == ["embaudit.EMB106", "embaudit.EMB101"]


def test_what_an_audit_leaves_out_is_no_test(tmp_path: Path) -> None:
    """Neither the rules that the caller ignores nor those about a lock or a policy are tests that passed."""
    (tmp_path / "config.json").write_text("{}")

    report = audit(tmp_path, ignore=["EMB0"])

    codes = {str(case.get("classname")).removeprefix("embaudit.") for case in _cases(report)}
    assert codes == {*report.asked, *(each.code for each in (*report.findings, *report.skipped))}
    assert not [code for code in codes if code.startswith(("EMB0", "EMB5", "EMB6"))]


@pytest.mark.parametrize("fail_on", ["info", "warning", "error"])
def test_the_tests_and_the_exit_code_agree(fail_on: str, tmp_path: Path) -> None:
    """The command line ends with 1 exactly if a test of its JUnit XML failed."""
    (tmp_path / "config.json").write_text("{}")
    result = CliRunner().invoke(cli, ["audit", str(tmp_path), "--format", "junit", "--fail-on", fail_on])

    assert (_suite(result.output).get("failures") != "0") == (result.exit_code == 1)


@pytest.mark.parametrize(("unanswered", "kind"), [(True, "unanswered"), (False, "not-asked")], ids=str)
def test_what_was_not_asked_is_skipped(unanswered: bool, kind: str) -> None:
    """A rule that could not be asked did not pass: it is skipped, and says why."""
    skipped = Skipped(code="EMB001", reason="no history", unanswered=unanswered)
    cases = _cases(make_report(skipped=(skipped,)))
    (told,) = (case for case in cases if case.get("classname") == "embaudit.EMB001")

    assert [(child.tag, child.get("type"), child.get("message")) for child in told] == [
        ("skipped", kind, "no history")
    ]


def test_what_is_waived_is_skipped_with_its_reason() -> None:
    """A waived finding neither fails nor passes: it says who accepted what until when."""
    waiver = Waiver(code="EMB106", reason="Looked at.", expires=date(2027, 1, 31))
    case = _cases(make_report(waived=(WaivedFinding(finding=make_finding(), waiver=waiver),)))[0]

    assert _ended(case) == "skipped"
    assert case[0].get("message") == "waived, until 2027-01-31: Looked at."


def test_the_counts_are_those_of_the_cases(demo_report: AuditReport) -> None:
    """A suite says how many of its tests failed and were skipped, and names no two alike."""
    suite = _suite(demo_report.render("junit"))
    cases = suite.findall("testcase")
    ended = [_ended(case) for case in cases]
    names = [(case.get("classname"), case.get("name")) for case in cases]

    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(ended.count("failure"))
    assert suite.get("skipped") == str(ended.count("skipped"))
    assert len(set(names)) == len(names)


def test_findings_alike_are_told_apart() -> None:
    """Two findings of one rule at one place are two tests."""
    names = [case.get("name") for case in _cases(make_report(make_finding(), make_finding(message="x")))[:2]]

    assert names[1] == f"{names[0]} (2)"


@settings(max_examples=60)
@given(st.text(st.characters(), max_size=20))
def test_a_name_comes_out_of_the_xml_as_it_is_shown(name: str) -> None:
    """A parser gives back the name as `plain` shows it: nothing closes an element or is lost."""
    case = _cases(make_report(make_finding(where=Where(path=name), message=name)))[0]

    assert f"[{plain(name)}]" in str(case.get("name")) or not name
    assert case[0].get("message") == plain(name)
    assert len(_cases(report_of(name))) == len(_cases(report_of("a")))


def test_the_report_is_held(small_report: AuditReport, held_golden: Any) -> None:
    """The JUnit XML of a small report, but for the rules that found nothing, is the one committed."""
    suites = ET.fromstring(render_junit(small_report).encode())
    for case in suites[0].findall("testcase"):
        if len(case) == 0:
            suites[0].remove(case)
    for element in (suites, suites[0]):
        element.set("tests", "N")

    held_golden.check("small.junit.xml", ET.tostring(suites, encoding="unicode") + "\n")
