"""The report as SARIF, as code scanning reads it."""

import json
import re
from datetime import date
from typing import Any
from urllib.parse import unquote

import attrs
import pytest

from embaudit.model.findings import Severity, Skipped, Where
from embaudit.model.policy import WaivedFinding, Waiver
from embaudit.report import AuditReport, sarif
from embaudit.report.sarif import render_sarif
from embaudit.rules import RULES
from embaudit.testing.facts import make_entry
from embaudit.testing.reports import make_finding, make_report

WAIVER = Waiver(code="EMB106", reason="Looked at.", expires=date(2027, 1, 31))


def _run(report: AuditReport) -> dict[str, Any]:
    (run,) = json.loads(render_sarif(report))["runs"]
    return dict(run)


def test_what_github_requires_is_there(demo_report: AuditReport) -> None:
    """No member that code scanning requires is missing or empty, and descriptions keep to its limits."""
    run = _run(demo_report)

    for rule in run["tool"]["driver"]["rules"]:
        assert all((rule["id"], rule["help"]["text"], rule["help"]["markdown"]))
        assert 0 < len(rule["shortDescription"]["text"]) <= 1024
        assert 0 < len(rule["fullDescription"]["text"]) <= 1024
    for result in run["results"]:
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert result["message"]["text"]
        assert place["artifactLocation"]["uri"]
        assert {"startLine", "startColumn", "endLine", "endColumn"} <= place["region"].keys()
        assert result["partialFingerprints"]["primaryLocationLineHash"]


def test_the_rules_are_those_of_embaudit() -> None:
    """Every rule is described, whatever was found: two files differ in their results alone."""
    rules = _run(make_report())["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == sorted(RULES)
    for rule in rules:
        own = RULES[rule["id"]]
        assert rule["shortDescription"]["text"] == own.title
        assert rule["help"]["text"].split() == (own.explanation or own.title).split()
        assert rule["defaultConfiguration"]["level"] == sarif._LEVELS[own.severity]
        assert rule["helpUri"].endswith(f"/docs/rules/{rule['id']}.md")


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")],
    ids=str,
)
def test_severities_are_levels(severity: Severity, level: str) -> None:
    """Each severity has a level of its own, and the index of a result leads to its rule."""
    run = _run(make_report(make_finding(severity=severity)))
    (result,) = run["results"]

    assert result["level"] == level
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "EMB106"


def test_a_place_is_a_file_and_what_is_inside() -> None:
    """The path is a relative URI, a tensor and a field are logical locations, a file has its digest."""
    where = Where(path="a b/ü#1.bin", tensor="layer.0", field="dtype")
    entry = make_entry("a b/ü#1.bin", sha256="0" * 64)
    run = _run(make_report(make_finding(where=where), files={entry.path: entry}))
    (location,) = run["results"][0]["locations"]
    artifact = location["physicalLocation"]["artifactLocation"]

    assert artifact["uri"] == "a%20b/%C3%BC%231.bin"
    assert unquote(artifact["uri"]) == where.path
    assert artifact["uriBaseId"] in run["originalUriBaseIds"]
    assert run["artifacts"][artifact["index"]]["location"]["uri"] == artifact["uri"]
    assert run["artifacts"][artifact["index"]]["hashes"] == {"sha-256": "0" * 64}
    assert [(each["kind"], each["name"]) for each in location["logicalLocations"]] == [
        ("tensor", "layer.0"),
        ("member", "dtype"),
    ]


def test_fingerprints_do_not_depend_on_words_or_order(demo_report: AuditReport) -> None:
    """The same findings in another order, in other words and of another version are the same alerts."""
    other = attrs.evolve(
        demo_report,
        tool_version="9",
        findings=tuple(
            attrs.evolve(finding, message="Other words.", remedy="", evidence={})
            for finding in reversed(demo_report.findings)
        ),
    )

    def alerts(report: AuditReport) -> list[Any]:
        return sorted(
            (result["ruleId"], *sorted(result["partialFingerprints"].items()))
            for result in _run(report)["results"]
        )

    assert alerts(other) == alerts(demo_report)
    assert len({str(alert) for alert in alerts(demo_report)}) == len(demo_report.findings)


def test_a_waived_finding_is_suppressed_with_its_reason() -> None:
    """It is a result with a suppression; every other result says that it has none."""
    finding = make_finding()
    report = make_report(make_finding("EMB107"), waived=(WaivedFinding(finding=finding, waiver=WAIVER),))
    plain, waived = _run(report)["results"]

    assert plain["suppressions"] == []
    assert waived["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "Looked at.",
            "properties": {"expires": "2027-01-31"},
        }
    ]


@pytest.mark.parametrize(("unanswered", "level"), [(True, "warning"), (False, "note")], ids=str)
def test_what_was_not_asked_is_told(unanswered: bool, level: str) -> None:
    """A rule that could not be asked is a notification that names it, and no result."""
    skipped = Skipped(code="EMB001", reason="no history", unanswered=unanswered)
    run = _run(make_report(skipped=(skipped,)))
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]
    rule = notification["associatedRule"]

    assert run["results"] == []
    assert notification["level"] == level
    assert notification["message"]["text"] == "EMB001 was not asked: no history"
    assert run["tool"]["driver"]["rules"][rule["index"]]["id"] == rule["id"] == "EMB001"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see [here](https://evil.example)", "see [here] (https://evil.example)"),
        ("{0} and {name}", "{{0}} and {{name}}"),
        ("two\nlines", "two\\nlines"),
        ("shape [2, 3] (float32)", "shape [2, 3] (float32)"),
    ],
    ids=["link", "placeholder", "line end", "brackets"],
)
def test_a_message_is_plain_text(text: str, shown: str) -> None:
    """Nothing in a message is a link or a placeholder to whoever reads it by the standard."""
    (result,) = _run(make_report(make_finding(message=text)))["results"]

    assert result["message"]["text"] == shown


@pytest.mark.parametrize(
    ("created", "ended"),
    [
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z"),
        ("some day", None),
        ("2026-01-01T00:00:00", None),
        ("0900-01-01T00:00:00+00:00", "0900-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", None),
    ],
    ids=str,
)
def test_the_moment_is_in_utc(created: str, ended: str | None) -> None:
    """The end of the audit is written with a Z, and left out if the report does not say it."""
    assert _run(make_report(created=created))["invocations"][0].get("endTimeUtc") == ended


def test_too_many_results_are_cut_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more results than GitHub takes the worst are kept, and a notification counts the others."""
    monkeypatch.setattr(sarif, "MAX_RESULTS", 2)
    run = _run(make_report(*(make_finding(where=Where(path=f"{number}")) for number in range(5))))
    (notification,) = run["invocations"][0]["toolExecutionNotifications"]

    assert [each["location"]["uri"] for each in run["artifacts"]] == ["0", "1"]
    assert len(run["results"]) == 2
    assert notification["message"]["text"].startswith("3 findings left out")


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"repo_id": "org/name", "target": "org/name@main"}, "embaudit/org/name/"),
        ({"target": "../a folder"}, "embaudit/%252E%252E/a%20folder/"),
    ],
    ids=["repository", "folder"],
)
def test_each_repository_is_a_category_of_its_own(fields: dict[str, str], category: str) -> None:
    """Uploads for several models of one commit do not replace one another."""
    assert _run(make_report(**fields))["automationDetails"]["id"] == category


def test_the_report_is_held(small_report: AuditReport, held_golden: Any) -> None:
    """The SARIF of a small report, but for the texts of the rules, is the one that is committed."""
    log = json.loads(render_sarif(small_report))
    driver = log["runs"][0]["tool"]["driver"]
    driver["rules"] = [re.sub("[0-9]+", "N", str(len(driver["rules"])))]
    for result in log["runs"][0]["results"]:
        result["ruleIndex"] = result["ruleId"]

    held_golden.check("small.sarif.json", json.dumps(log, indent=1) + "\n")
