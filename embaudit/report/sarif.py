"""The findings as SARIF 2.1.0, in the subset that code scanning of GitHub shows.

Knows the format (https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os.html)
and what GitHub asks for beyond it (https://docs.github.com/en/code-security/code-scanning/
integrating-with-code-scanning/sarif-support-for-code-scanning). Refuses to know lines: the files are weights
and settings, so every result stands at the first line of its file, and names its tensor or field.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from typing import Any

from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.policy import Waiver
from embaudit.model.record import AuditRecord
from embaudit.model.words import plural
from embaudit.report.references import PROJECT_URL, fingerprint, relative_uri, rule_page
from embaudit.report.wording import plain, seen
from embaudit.rules import RULES, Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
"""The schema that the document names as its own."""

MAX_RESULTS = 25_000
"""Results of one run; GitHub rejects a file with more
(https://github.com/github/docs/blob/2fd966a1/data/reusables/code-scanning/sarif-limits.md)."""

MAX_DESCRIPTION = 1024
"""Characters of a description that GitHub shows (the page named above, `reportingDescriptor`)."""

_BASE = "REPOSITORY"
"""Name of the root that every location is relative to."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEMS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "recommendation"}
"""What code scanning calls the severity of a rule that is not about security."""

_FIRST_LINE = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
"""GitHub shows no result without a region, and asks for all four numbers."""


def render_sarif(record: AuditRecord) -> str:
    """The report as a SARIF log of one run, ASCII only.

    Findings that a policy waives are results too, marked as suppressed. Rules that could not be asked are
    notifications: not asked is not passed. Of more than `MAX_RESULTS` findings the worst are kept, and a
    notification tells how many are left out.
    """
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(record)]}
    return json.dumps(log, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _run(record: AuditRecord) -> dict[str, Any]:
    reported = [(finding, None) for finding in record.findings]
    every = [*reported, *((waived.finding, waived.waiver) for waived in record.waived)]
    kept = every[:MAX_RESULTS]
    told = {finding.code for finding, _ in kept} | {skipped.code for skipped in record.skipped}
    rules = {code: index for index, code in enumerate(sorted({*RULES, *told}))}
    paths = sorted({finding.where.path for finding, _ in kept if finding.where.path is not None})
    artifacts = {path: index for index, path in enumerate(paths)}
    return {
        "tool": {
            "driver": {
                "name": "embaudit",
                "version": seen(record.tool_version),
                "informationUri": PROJECT_URL,
                "rules": [_descriptor(code) for code in rules],
            }
        },
        # What stands before the last slash is the category, by which GitHub tells uploads apart.
        "automationDetails": {"id": f"embaudit/{relative_uri(record.repo_id or record.target)}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_BASE: {"description": _message(f"The root of {_root(record)}.")}},
        "invocations": [_invocation(record, rules, len(every) - len(kept))],
        "artifacts": [_artifact(record, path) for path in paths],
        "results": [_result(finding, waiver, rules, artifacts) for finding, waiver in kept],
        "properties": _properties(record),
    }


def _root(record: AuditRecord) -> str:
    commit = f" at commit {record.commit}" if record.commit else ""
    return f"{record.repo_id or record.target}{commit}"


def _properties(record: AuditRecord) -> dict[str, str]:
    values = {
        "target": record.target,
        "source": record.source,
        "commit": record.commit,
        "against": record.against,
        "depth": str(record.depth),
    }
    return {name: seen(value) for name, value in values.items() if value is not None}


def _descriptor(code: str) -> dict[str, Any]:
    """A rule; for one that this embaudit does not have, in a report of another one, what can be said."""
    rule = RULES.get(code)
    title = "A rule of another version of embaudit" if rule is None else rule.title
    explanation = "" if rule is None else _unwrapped(rule.explanation)
    described = {
        "id": seen(code),
        "shortDescription": _message(title),
        "fullDescription": _message(textwrap.shorten(explanation or title, MAX_DESCRIPTION)),
        "help": {
            **_message(explanation or title),
            "markdown": _literal(f"{explanation or title}\n\n[The page of the rule]({rule_page(code)})"),
        },
        "helpUri": rule_page(code),
    }
    return described if rule is None else described | _defaults(rule)


def _defaults(rule: Rule) -> dict[str, Any]:
    return {
        "name": "".join(word.capitalize() for word in rule.ask.__name__.split("_")),
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"problem.severity": _PROBLEMS[rule.severity]},
    }


def _unwrapped(text: str) -> str:
    """Paragraphs on one line each: viewers keep the line ends of a text."""
    return re.sub(r"(?<!\n)\n(?![\n*-])", " ", text)


def _invocation(record: AuditRecord, rules: dict[str, int], left_out: int) -> dict[str, Any]:
    invocation: dict[str, Any] = {
        # An audit that cannot be finished raises an error, and makes no report.
        "executionSuccessful": True,
        "toolExecutionNotifications": [
            *(_not_asked(skipped, rules) for skipped in record.skipped),
            *_cut_off(left_out),
        ],
    }
    ended = _utc(record.created)
    return invocation if ended is None else invocation | {"endTimeUtc": ended}


def _utc(moment: str) -> str | None:
    """A moment as SARIF writes it, in UTC with a Z; None if it is none, or says no offset."""
    try:
        parsed = datetime.fromisoformat(moment)
        in_utc = None if parsed.tzinfo is None else parsed.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return None if in_utc is None else f"{in_utc.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def _not_asked(skipped: Skipped, rules: dict[str, int]) -> dict[str, Any]:
    return {
        "level": "warning" if skipped.unanswered else "note",
        "message": _message(f"{skipped.code} was not asked: {skipped.reason}"),
        "associatedRule": {"id": seen(skipped.code), "index": rules[skipped.code]},
    }


def _cut_off(left_out: int) -> Iterator[dict[str, Any]]:
    if left_out:
        text = f"{plural(left_out, 'finding')} left out: a run may hold {MAX_RESULTS:,} results."
        yield {"level": "warning", "message": _message(text)}


def _artifact(record: AuditRecord, path: str) -> dict[str, Any]:
    artifact: dict[str, Any] = {
        "location": {"uri": relative_uri(path), "uriBaseId": _BASE},
        "roles": ["analysisTarget"],
    }
    entry = record.files.get(path)
    if entry is not None and entry.size is not None:
        artifact["length"] = entry.size
    if entry is not None and entry.sha256 is not None:
        artifact["hashes"] = {"sha-256": entry.sha256}
    return artifact


def _result(
    finding: Finding, waiver: Waiver | None, rules: dict[str, int], artifacts: dict[str, int]
) -> dict[str, Any]:
    identity = fingerprint(finding)
    told = (finding.message, f"What to do: {finding.remedy}" if finding.remedy else "")
    return {
        "ruleId": seen(finding.code),
        "ruleIndex": rules[finding.code],
        "level": _LEVELS[finding.severity],
        "message": _message(" ".join(part for part in told if part) or finding.code),
        "locations": [_location(finding, artifacts)],
        # The first is the only one that GitHub reads; its form there is a hash and a count.
        "partialFingerprints": {"primaryLocationLineHash": f"{identity[:16]}:1", "embaudit/v1": identity},
        # If one result of a run has the list, all must.
        "suppressions": [] if waiver is None else [_suppression(waiver)],
        "properties": _about(finding),
    }


def _about(finding: Finding) -> dict[str, Any]:
    loader = {} if finding.loader is None else {"loader": seen(finding.loader)}
    return loader | {"evidence": seen(finding.evidence)}


def _suppression(waiver: Waiver) -> dict[str, Any]:
    suppression: dict[str, Any] = {
        "kind": "external",
        "status": "accepted",
        "justification": seen(waiver.reason),
    }
    if waiver.expires is not None:
        suppression["properties"] = {"expires": waiver.expires.isoformat()}
    return suppression


def _location(finding: Finding, artifacts: dict[str, int]) -> dict[str, Any]:
    path = finding.where.path
    # A finding about the repository as a whole stands at its root: GitHub drops a result without a place.
    artifact: dict[str, Any] = {"uri": ".", "uriBaseId": _BASE}
    if path is not None:
        artifact = {"uri": relative_uri(path), "uriBaseId": _BASE, "index": artifacts[path]}
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": artifact, "region": dict(_FIRST_LINE)}
    }
    inside = list(_inside(finding))
    return location | {"logicalLocations": inside} if inside else location


def _inside(finding: Finding) -> Iterator[dict[str, str]]:
    """The tensor and the field, each as a place of its own inside the file."""
    where = finding.where
    for kind, name in (("tensor", where.tensor), ("member", where.field)):
        if name:
            qualified = _qualified(part for part in (where.path, name) if part is not None)
            yield {"name": seen(name), "fullyQualifiedName": qualified, "kind": kind}


def _qualified(parts: Iterable[str]) -> str:
    return "::".join(map(plain, parts))


def _message(text: str) -> dict[str, str]:
    """A plain text message, in which nothing is a link to somewhere (SARIF 2.1.0, 3.11.6)."""
    return {"text": _literal(plain(text)).replace("](", "] (")}


def _literal(text: str) -> str:
    """A text without placeholders: braces that mean themselves stand twice (SARIF 2.1.0, 3.11.5)."""
    return text.replace("{", "{{").replace("}", "}}")
