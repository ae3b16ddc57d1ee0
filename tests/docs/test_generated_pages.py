"""The pages that are made from the code: one for each rule, their index, and the schema of the report."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from embaudit.report import AuditReport
from embaudit.rules import RULES, Rule

TABLE = Path(__file__).parent.parent / "rules" / "test_rules.py"

GROUPS = {
    "EMB00": "The snapshot",
    "EMB01": "Changes between two snapshots",
    "EMB10": "Weight formats",
    "EMB11": "The layout of torch files",
    "EMB12": "Shards",
    "EMB13": "Content",
    "EMB14": "Files that were not read",
    "EMB20": "What a loader would do",
    "EMB22": "What several loaders make of one repository",
}


def _table() -> Any:
    """The module with the table of cases, from its path: tests are no package."""
    spec = importlib.util.spec_from_file_location("table_of_rules", TABLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _page(rule: Rule, cases: list[Any]) -> str:
    fires = [
        f"- {case.situation}: {', '.join(str(severity) for severity, _ in case.findings)}"
        for case in cases
        if case.findings
    ]
    silent = [f"- {case.situation}" for case in cases if not case.findings]
    needs = ", ".join(f"`{need.__name__}`" for need in rule.needs)
    parts = [
        f"# {rule.code}: {rule.title}",
        f"Severity: **{rule.severity}**, unless a case below says otherwise.",
        rule.explanation,
        "## It fires",
        "\n".join(fires),
        "## It stays silent",
        "\n".join(silent),
        "## It is skipped",
        f"When one of the facts that it asks about could not be had, with the reason: {needs}.",
    ]
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_its_page(code: str, held_page: Any) -> None:
    """A rule's page is its docstring and the rows of its table of cases."""
    cases = [case for case in _table().CASES if case.code == code]

    held_page.check(f"rules/{code}.md", _page(RULES[code], cases))


def test_the_index_lists_every_rule(held_page: Any) -> None:
    """The index of the rules names each with its severity and title, by group."""
    lines = [
        "# The rules",
        "",
        "A code never changes its meaning. Each page says when its rule fires and when it does not.",
    ]
    for prefix, title in GROUPS.items():
        rows = [
            f"| [{code}]({code}.md) | {rule.severity} | {rule.title} |"
            for code, rule in sorted(RULES.items())
            if code.startswith(prefix)
        ]
        lines += ["", f"## {title}", "", "| code | severity | |", "|---|---|---|", *rows]

    held_page.check("rules/index.md", "\n".join(lines) + "\n")
    assert all(code.startswith(tuple(GROUPS)) for code in RULES)


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    """Every page of a code belongs to a rule."""
    pages = {page.stem for page in (TABLE.parent.parent.parent / "docs" / "rules").glob("EMB*.md")}

    assert pages == set(RULES)


def test_the_published_schema_is_that_of_the_code(held_page: Any) -> None:
    """The schema in the reference is the one that the code makes."""
    schema = json.dumps(AuditReport.json_schema(), indent=1) + "\n"

    held_page.check("reference/report.schema.json", schema)
