"""Whether an audit passes, and the one reason that matters first if it does not.

Knows which findings and which unanswered questions keep a model out; refuses to know what a rule asks.
"""

from embaudit.errors import EmbauditError
from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.policy import DEFAULT_POLICY, Policy
from embaudit.report import AuditReport
from embaudit.rules import RULES

_FIRST = ("EMB4", "EMB114", "EMB20", "EMB6", "EMB5")
"""Which of several findings of one severity is told first: what would run code, then what the loader that was
asked about would do with the weights, then what the policy asks for itself, then drift, then all others."""


class GateError(EmbauditError):
    """A model does not pass: its audit does not meet the policy.

    Attributes:
        report: The whole report.
        reasons: The findings at or above the policy's threshold, and the rules that could not be asked; the
            one that matters most comes first.
    """

    def __init__(self, report: AuditReport, reasons: tuple[Finding | Skipped, ...]) -> None:
        super().__init__(report, reasons)
        self.report = report
        self.reasons = reasons

    def __str__(self) -> str:
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"{self.report.target} does not pass: {_told(self.reasons[0])}{more}"


def reasons_against(report: AuditReport) -> tuple[Finding | Skipped, ...]:
    """Why a report does not pass, the reason that matters most first; empty if it passes.

    A finding counts from the policy's threshold on. So does a rule of that severity that was skipped, if it
    was wanted and something could not be had. What the audit was not asked for (values at depth `headers`,
    another snapshot) does not count; neither does a file that cannot be read: that is a finding of its own,
    and whoever waives it waives what could not be asked about that file.
    """
    policy = DEFAULT_POLICY if report.policy is None else report.policy
    findings = [finding for finding in report.findings if finding.severity >= policy.fail_on]
    findings.sort(key=lambda finding: (-finding.severity, _place_of(finding.code)))
    skipped = (each for each in report.skipped if each.unanswered)
    return (*findings, *(each for each in skipped if _severity(each, policy) >= policy.fail_on))


def _severity(skipped: Skipped, policy: Policy) -> Severity:
    """How much a finding of the rule would have mattered."""
    starts = [start for start in policy.severity if skipped.code.startswith(start)]
    if starts:
        return policy.severity[max(starts, key=len)]
    return RULES[skipped.code].severity if skipped.code in RULES else Severity.ERROR


def _place_of(code: str) -> int:
    return next((place for place, start in enumerate(_FIRST) if code.startswith(start)), len(_FIRST))


def _told(reason: Finding | Skipped) -> str:
    if isinstance(reason, Skipped):
        return f"{reason.code} could not be asked: {reason.reason}"
    return " ".join(part for part in (f"{reason.code}: {reason.message}", reason.remedy) if part)
