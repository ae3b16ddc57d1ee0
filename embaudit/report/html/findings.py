"""Findings as HTML, those that a policy waives, and the policy itself."""

from collections.abc import Sequence
from itertools import islice

import attrs

from embaudit.model.findings import Finding, Severity
from embaudit.model.policy import Policy, WaivedFinding
from embaudit.model.words import plural
from embaudit.report.codec import to_jsonable
from embaudit.report.html.parts import (
    Bounds,
    Column,
    code,
    facts,
    fold,
    label_of,
    left_out,
    paragraph,
    prose,
    table,
    text,
    value_of,
)
from embaudit.report.references import rule_page
from embaudit.report.wording import as_json
from embaudit.rules import RULES

LAID_OUT_AT_ONCE = 100
"""Findings beyond which a browser lays out those alone that are seen."""
_MARKS = {Severity.ERROR: "✖ error", Severity.WARNING: "▲ warning", Severity.INFO: "● info"}
_NOT_TOLD = {"source", "waivers"}


def findings_list(findings: Sequence[Finding], bounds: Bounds) -> str:
    """The worst findings, one below the other, and how many there are besides."""
    if not findings:
        return ""
    n_left = max(0, len(findings) - bounds.findings)
    shown = "".join(_finding(finding, bounds) for finding in findings[: bounds.findings])
    more = left_out(len(findings), bounds.findings)
    many = ' class="many"' if len(findings) > LAID_OUT_AT_ONCE else ""
    return f'<div{many} data-findings="" data-left-out="{n_left}">{shown}</div>{more}'


def _finding(finding: Finding, bounds: Bounds) -> str:
    severity = str(finding.severity)
    return (
        f'<article class="finding {severity}" data-severity="{severity}" data-code="{text(finding.code)}">'
        f"<h3>{label_of(_MARKS[finding.severity], severity)} {_rule(finding.code)}{_title(finding.code)}</h3>"
        f"{paragraph(_place(finding))}{paragraph(prose(finding.message))}"
        f"{paragraph(_remedy(finding.remedy))}{_evidence(finding, bounds)}</article>"
    )


def _rule(rule_code: str) -> str:
    """The code of a rule that there is leads to its page; a report that was read may name any other."""
    if rule_code not in RULES:
        return text(rule_code)
    address = text(rule_page(rule_code))
    return f'<a href="{address}" rel="noreferrer">{text(rule_code)}</a>'


def _title(rule_code: str) -> str:
    return f" {text(RULES[rule_code].title)}" if rule_code in RULES else ""


def _place(finding: Finding) -> str:
    """The parts of the place, and the loader: those that there are."""
    where = finding.where
    parts = (("in", where.path), ("tensor", where.tensor), ("field", where.field), ("loader", finding.loader))
    return ", ".join(f"{word} {code(part)}" for word, part in parts if part is not None)


def _remedy(remedy: str) -> str:
    return f"<strong>What to do:</strong> {prose(remedy)}" if remedy else ""


def _evidence(finding: Finding, bounds: Bounds) -> str:
    rows = ((name, value_of(value, bounds)) for name, value in finding.evidence.items())
    shown = facts(islice(rows, bounds.values), "Evidence")
    return fold("Evidence", f"{shown}{left_out(len(finding.evidence), bounds.values)}" if shown else "")


def waived_table(waived: Sequence[WaivedFinding], bounds: Bounds) -> str:
    """The findings that are accepted, who says so, and for how long."""
    columns = (
        Column("severity"),
        Column("rule"),
        Column("where", "name"),
        Column("what was found", "told"),
        Column("accepted because", "told"),
        Column("until", "date"),
    )
    rows = (
        (
            text(each.finding.severity),
            _rule(each.finding.code),
            _place(each.finding),
            prose(each.finding.message),
            prose(each.waiver.reason),
            "" if each.waiver.expires is None else text(each.waiver.expires),
        )
        for each in waived
    )
    return table(columns, rows, "waived findings", most=bounds.rows, total=len(waived))


def policy_facts(policy: Policy, bounds: Bounds) -> str:
    """Where the policy comes from, what it asks for beyond the defaults, and its waivers."""
    default = Policy()
    rows = [("file", code(policy.source) if policy.source else "given without a file")]
    rows += [
        (field.name.replace("_", " "), code(_setting(getattr(policy, field.name))))
        for field in attrs.fields(Policy)
        if field.name not in _NOT_TOLD
        and (field.name == "fail_on" or getattr(policy, field.name) != getattr(default, field.name))
    ]
    columns = (
        Column("rule"),
        Column("file", "name"),
        Column("tensor", "name"),
        Column("loader", "name"),
        Column("because", "told"),
        Column("until", "date"),
    )
    waivers = table(
        columns,
        (
            (
                _rule(each.code),
                *(code(part) if part else "all" for part in (each.path, each.tensor, each.loader)),
                prose(each.reason),
                "" if each.expires is None else text(each.expires),
            )
            for each in policy.waivers
        ),
        "waivers",
        most=bounds.rows,
        total=len(policy.waivers),
    )
    return facts(rows, "Policy") + fold(plural(len(policy.waivers), "waiver"), waivers)


def _setting(value: object) -> str:
    document = to_jsonable(value)
    return document if isinstance(document, str) else as_json(document)
