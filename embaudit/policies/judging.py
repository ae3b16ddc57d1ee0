"""What a policy makes of the findings of an audit: other severities, waivers, and what is to be said of them.

Knows which waiver covers which finding. Refuses to know what a repository must be like: rules do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase

import attrs

from embaudit.loaders import canonical_name
from embaudit.model.facts import Facts
from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.frozen import JSON
from embaudit.model.policy import Policy, RecordedAudit, WaivedFinding, Waiver, WaiverUse
from embaudit.rules import RULES, Rule, ask_rules, worst_first
from embaudit.rules.evidence import MAX_LISTED


@attrs.frozen(kw_only=True)
class Judgement:
    """What an audit found, by the policy that it was made under.

    Attributes:
        findings: The worst first.
        waived: Findings that waivers cover, the worst first.
        skipped: Rules that could not be asked, and why.
        asked: Codes of the rules that had every fact they need, and lacked none; sorted.
    """

    findings: tuple[Finding, ...] = ()
    waived: tuple[WaivedFinding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    asked: tuple[str, ...] = ()

    def joined(self, other: "Judgement") -> "Judgement":
        """Both, as one."""
        return Judgement(
            findings=worst_first((*self.findings, *other.findings)),
            waived=(*self.waived, *other.waived),
            skipped=(*self.skipped, *other.skipped),
            asked=tuple(sorted({*self.asked, *other.asked})),
        )


def judge(rules: Iterable[Rule], facts: Facts, policy: Policy | None, today: date) -> Judgement:
    """Ask rules about facts, and treat what they find as a policy says.

    What there is to say of the waivers themselves cannot be waived.

    Args:
        rules: The rules to ask. Those that need a policy are not asked without one.
        facts: The facts; the policy is among them if there is one.
        policy: The policy.
        today: The day by which waivers expire, in UTC.
    """
    asked = tuple(rule for rule in rules if policy is not None or Policy not in rule.needs)
    found, skipped = ask_rules(asked, facts)
    fully = _fully_asked(asked, facts, skipped)
    if policy is None:
        return Judgement(findings=found, skipped=skipped, asked=tuple(sorted(fully)))
    covered = [(finding, _cover(finding, policy.waivers, today)) for finding in _weighed(found, policy)]
    uses = _uses(covered, policy.waivers, today, fully)
    about_waivers, _ = ask_rules(asked, Facts(known=tuple(uses)))
    kept = [finding for finding, waiver in covered if waiver is None]
    return Judgement(
        findings=worst_first((*kept, *_weighed(about_waivers, policy))),
        waived=tuple(WaivedFinding(finding=each, waiver=waiver) for each, waiver in covered if waiver),
        skipped=skipped,
        asked=tuple(sorted(fully)),
    )


def judge_age(recorded: RecordedAudit, policy: Policy) -> Judgement:
    """Whether what was recorded is too old for a policy: `EMB610`, for those who rely on a lock or report."""
    asked = () if _AGE.startswith(policy.ignore) else (RULES[_AGE],)
    return judge(asked, Facts(known=(policy, recorded)), policy, recorded.today)


_AGE = "EMB610"


def _weighed(findings: Iterable[Finding], policy: Policy) -> tuple[Finding, ...]:
    """The findings with the severities that the policy gives them, sorted anew."""
    return worst_first(
        attrs.evolve(finding, severity=_severity(finding, policy.severity)) for finding in findings
    )


def _severity(finding: Finding, overrides: Mapping[str, Severity]) -> Severity:
    fitting = [start for start in overrides if finding.code.startswith(start)]
    return overrides[max(fitting, key=len)] if fitting else finding.severity


def _cover(finding: Finding, waivers: Iterable[Waiver], today: date) -> Waiver | None:
    """The first waiver that holds today and covers the finding."""
    holding = (waiver for waiver in waivers if not _is_over(waiver, today))
    return next((waiver for waiver in holding if covers(waiver, finding)), None)


def _is_over(waiver: Waiver, today: date) -> bool:
    return waiver.expires is not None and today > waiver.expires


def _uses(
    covered: Sequence[tuple[Finding, Waiver | None]],
    waivers: Iterable[Waiver],
    today: date,
    asked: frozenset[str],
) -> Iterator[WaiverUse]:
    """What became of each waiver; of one that is over, what it would cover by itself."""
    for waiver in waivers:
        expired = _is_over(waiver, today)
        n_findings = sum(
            by is waiver if not expired else by is None and covers(waiver, finding) for finding, by in covered
        )
        yield WaiverUse(waiver=waiver, expired=expired, n_findings=n_findings, asked=waiver.code in asked)


def _fully_asked(rules: Iterable[Rule], facts: Facts, skipped: Iterable[Skipped]) -> frozenset[str]:
    """Codes of the rules that had every fact they need, and lacked none."""
    kinds = {type(fact) for fact in facts.known}
    lacking = {each.code for each in skipped}
    return frozenset(each.code for each in rules if kinds.issuperset(each.needs)) - lacking


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is about a finding, whatever the day.

    A finding about several tensors or files is covered only if the waiver's pattern fits every one of them,
    and one that does not list them all only if the pattern fits everything.
    """
    return (
        waiver.code == finding.code
        and (waiver.loader is None or (canonical_name(waiver.loader) or waiver.loader) == finding.loader)
        and (waiver.path is None or all(_fits(waiver.path, each) for each in _files(finding)))
        and (waiver.tensor is None or all(_fits(waiver.tensor, each) for each in _tensors(finding)))
    )


def _fits(pattern: str, name: str | None) -> bool:
    return name is not None and fnmatchcase(name, pattern)


_TENSOR_LISTS = (
    *("names", "tensors", "missing", "missing_keys", "unexpected_keys", "pairs", "tied"),
    *("changed", "reshaped", "added", "renamed"),
)
"""Members of a finding's evidence in which rules list the tensors that it is about."""

_NOT_LISTED = "\N{HORIZONTAL ELLIPSIS}"
"""Stands for tensors that are not named, which only a pattern that fits everything fits."""


def _tensors(finding: Finding) -> Iterator[str | None]:
    """Every tensor that a finding is known to be about, by the name that its place has."""
    yield finding.where.tensor
    n_tensors = finding.evidence.get("n_tensors")
    lists = [_names(finding.evidence[key]) for key in _TENSOR_LISTS if key in finding.evidence]
    for names in lists:
        yield from names
    n_named = max(map(len, lists), default=1)
    if n_named >= MAX_LISTED or (isinstance(n_tensors, int) and n_tensors > n_named):
        yield _NOT_LISTED


def _files(finding: Finding) -> Iterator[str | None]:
    """Every file that a finding is known to be about."""
    yield finding.where.path
    listed = finding.evidence.get("files")
    items = listed if isinstance(listed, tuple) else ()
    for item in items:
        yield str(item.get("file")) if isinstance(item, Mapping) else str(item)
    if len(items) >= MAX_LISTED:
        yield _NOT_LISTED


def _names(listed: JSON) -> list[str]:
    if isinstance(listed, Mapping):
        return list(listed)
    if not isinstance(listed, tuple):
        return []
    return [_name(item) for item in listed]


def _name(item: JSON) -> str:
    """The name in a list, or of a pair that on the right, where its finding is placed."""
    if isinstance(item, Mapping):
        return str(item.get("name", item.get("right")))
    return str(item).rpartition(" -> ")[2]
