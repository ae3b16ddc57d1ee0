"""The report as JUnit XML, which CI servers show as tests: a rule that found nothing is one that passed.

There is no standard of it. What is written here is the part that the schema of Jenkins' xUnit plugin allows
(https://github.com/jenkinsci/xunit-plugin/blob/xunit-2.3.2/src/main/resources/org/jenkinsci/plugins/xunit/
types/model/xsd/junit-10.xsd), which pytest writes too.
"""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator

import attrs

from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.policy import WaivedFinding
from embaudit.model.record import AuditRecord
from embaudit.report.references import rule_page
from embaudit.report.wording import as_json, plain
from embaudit.rules import RULES


@attrs.frozen(kw_only=True)
class _Case:
    """One test.

    Attributes:
        code: The rule, whose tests are a class.
        name: What is asked, and of what.
        outcome: Name of the element that says how it ended, `failure` or `skipped`; empty if it passed.
        kind: The severity of what failed, or why it is skipped, in one word.
        message: One sentence.
        text: All that is known.
    """

    code: str
    name: str
    outcome: str = ""
    kind: str = ""
    message: str = ""
    text: str = ""


def render_junit(record: AuditRecord, *, fail_on: Severity | None = None) -> str:
    """The report as one test suite.

    A finding at or above `fail_on` is a failed test, a milder one a passed test with its text as output. A
    rule that could not be asked, and a finding that a policy waives, is a skipped test that says why. Every
    other rule that was asked is a test that passed.

    Args:
        record: The report.
        fail_on: The mildest severity that fails; None for that of the policy, or `error`.
    """
    fail_on = record.threshold(fail_on)
    cases = [*_cases(record, fail_on)]
    outcomes = Counter(case.outcome for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(outcomes["failure"]), "errors": "0"}
    time = {"time": f"{record.cost.seconds:.3f}"}
    root = ET.Element("testsuites", {"name": "embaudit", **counts, **time})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": f"embaudit {plain(record.target)}",
            **counts,
            "skipped": str(outcomes["skipped"]),
            **time,
            "timestamp": plain(record.created),
        },
    )
    _add_properties(suite, record, fail_on)
    numbers: Counter[tuple[str, str]] = Counter()
    for case in cases:
        numbers[case.code, case.name] += 1
        _add(suite, case, numbers[case.code, case.name])
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _cases(record: AuditRecord, fail_on: Severity) -> Iterator[_Case]:
    """The findings, the worst first, then what was waived, was not asked, and passed, by code."""
    yield from (_of_finding(finding, fail_on) for finding in record.findings)
    yield from (_of_waived(waived) for waived in record.waived)
    yield from (_of_skipped(skipped) for skipped in record.skipped)
    told = {finding.code for finding in record.findings} | {each.finding.code for each in record.waived}
    told |= {skipped.code for skipped in record.skipped}
    yield from (_Case(code=code, name=_title(code)) for code in record.asked if code not in told)


def _of_finding(finding: Finding, fail_on: Severity) -> _Case:
    return _Case(
        code=finding.code,
        name=_name(finding),
        outcome="failure" if finding.severity >= fail_on else "",
        kind=str(finding.severity),
        message=finding.message,
        text=_text(finding),
    )


def _of_waived(waived: WaivedFinding) -> _Case:
    expires = waived.waiver.expires
    until = "" if expires is None else f", until {expires.isoformat()}"
    return _Case(
        code=waived.finding.code,
        name=_name(waived.finding),
        outcome="skipped",
        kind="waived",
        message=f"waived{until}: {waived.waiver.reason}",
        text=_text(waived.finding),
    )


def _of_skipped(skipped: Skipped) -> _Case:
    return _Case(
        code=skipped.code,
        name=_title(skipped.code),
        outcome="skipped",
        kind="unanswered" if skipped.unanswered else "not-asked",
        message=skipped.reason,
    )


def _title(code: str) -> str:
    return RULES[code].title if code in RULES else code


def _name(finding: Finding) -> str:
    place, loader = str(finding.where), finding.loader
    about = ", ".join(part for part in (place, f"for {loader}" if loader else "") if part)
    return f"{_title(finding.code)} [{about}]" if about else _title(finding.code)


def _text(finding: Finding) -> str:
    lines = [
        f"{finding.severity}: {finding.message}",
        f"where: {finding.where}",
        f"loader: {finding.loader}" if finding.loader else "",
        f"what to do: {finding.remedy}" if finding.remedy else "",
        *(f"{name}: {as_json(value)}" for name, value in finding.evidence.items()),
        f"rule: {rule_page(finding.code)}",
    ]
    return "\n".join(plain(line) for line in lines if line)


def _add_properties(suite: ET.Element, record: AuditRecord, fail_on: Severity) -> None:
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("target", record.target),
        ("commit", record.commit),
        ("against", record.against),
        ("depth", str(record.depth)),
        ("fail_on", str(fail_on)),
        ("embaudit", record.tool_version),
    ):
        if value is not None:
            ET.SubElement(properties, "property", {"name": name, "value": plain(value)})


def _add(suite: ET.Element, case: _Case, number: int) -> None:
    """One test; of those with one name every later one has its number, since servers tell tests by names."""
    name = plain(case.name) if number == 1 else f"{plain(case.name)} ({number})"
    element = ET.SubElement(suite, "testcase", {"classname": f"embaudit.{plain(case.code)}", "name": name})
    if case.outcome:
        told = ET.SubElement(
            element, case.outcome, {"type": plain(case.kind), "message": plain(case.message)}
        )
        told.text = case.text or None
    elif case.text:
        ET.SubElement(element, "system-out").text = case.text
