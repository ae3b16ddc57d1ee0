"""How rules are declared and asked.

A rule is a plain function whose parameter types are the facts that it needs. It is asked once for every
combination of known facts of those types; for every fact that is absent it is `Skipped`, with the reason.
A parameter `Fact | None` is for a fact that the rule can do without: it is None where the fact is absent.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from types import NoneType
from typing import ParamSpec, get_args

import attrs

from embaudit.errors import UsageError
from embaudit.model.facts import Fact, Facts
from embaudit.model.findings import Finding, Observation, Severity, Skipped

P = ParamSpec("P")


@attrs.frozen(kw_only=True)
class Rule:
    """A question about facts.

    Attributes:
        code: `EMB` and three digits. A code never changes its meaning.
        severity: How much its findings matter, unless an observation says otherwise.
        title: One line.
        explanation: The rest of the function's docstring: what is asked, why it matters, what to do.
        needs: The types of facts that it is asked about.
        uses: The types of facts, after those that it needs, that it can do without.
        ask: The function.
    """

    code: str
    severity: Severity
    title: str
    explanation: str
    needs: tuple[type[Fact], ...]
    ask: Callable[..., Iterable[Observation]]
    uses: tuple[type[Fact], ...] = ()


RULES: dict[str, Rule] = {}
"""Every rule that was declared, by code."""


def rule(
    code: str, severity: Severity
) -> Callable[[Callable[P, Iterator[Observation]]], Callable[P, Iterator[Observation]]]:
    """Declare the decorated function as the rule `code`; its annotations say which facts it needs.

    Raises:
        TypeError: If the code is taken, an annotation is not a fact, or a fact that is needed comes after one
            that is not: a mistake in a rule, found at import.
    """

    def declare(function: Callable[P, Iterator[Observation]]) -> Callable[P, Iterator[Observation]]:
        if code in RULES:
            raise TypeError(f"{code} is declared twice")
        asked = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
        needs = tuple(annotation for annotation in asked if NoneType not in get_args(annotation))
        options = [kind for annotation in asked[len(needs) :] for kind in get_args(annotation)]
        uses = tuple(kind for kind in options if kind is not NoneType)
        strangers = [kind for kind in (*needs, *uses) if kind not in get_args(Fact)]
        if strangers or not needs:
            raise TypeError(f"{code} asks for {strangers or 'nothing'}, which no stage produces")
        if len(needs) + len(uses) != len(asked):
            raise TypeError(f"{code} asks for a fact that it needs after one that it can do without")
        title, _, explanation = inspect.cleandoc(function.__doc__ or "").partition("\n")
        RULES[code] = Rule(
            code=code,
            severity=severity,
            title=title.rstrip("."),
            explanation=explanation.strip(),
            needs=needs,
            ask=function,
            uses=uses,
        )
        return function

    return declare


def ask_rules(rules: Iterable[Rule], facts: Facts) -> tuple[tuple[Finding, ...], tuple[Skipped, ...]]:
    """Ask every rule about every fact it needs: the worst findings first, then by code and place."""
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    for each in rules:
        findings.extend(_findings(each, facts))
        skipped.extend(_skipped(each, facts))
    return worst_first(findings), tuple(skipped)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings in the order of every report: the worst first, then by code and place."""
    return tuple(sorted(findings, key=lambda finding: (-finding.severity, finding.code, str(finding.where))))


def _findings(asked: Rule, facts: Facts) -> Iterator[Finding]:
    known = [[fact for fact in facts.known if type(fact) is need] for need in asked.needs]
    helpful = [_or_none(fact for fact in facts.known if type(fact) is use) for use in asked.uses]
    for combination in product(*known, *helpful):
        for seen in asked.ask(*combination):
            yield Finding(
                code=asked.code,
                severity=asked.severity if seen.severity is None else seen.severity,
                message=seen.message,
                where=seen.where,
                loader=seen.loader,
                evidence=seen.evidence,
                remedy=seen.remedy,
            )


def _or_none(facts: Iterable[Fact]) -> list[Fact | None]:
    """The facts, or the one absence that stands for them."""
    return [*facts] or [None]


def _skipped(asked: Rule, facts: Facts) -> Iterator[Skipped]:
    lacks = [lack for lack in facts.absent if lack.kind in asked.needs]
    for reason in dict.fromkeys(lack.reason for lack in lacks):
        unanswered = any(lack.unanswered for lack in lacks if lack.reason == reason)
        yield Skipped(code=asked.code, reason=reason, unanswered=unanswered)


def without(ignore: Iterable[str]) -> tuple[Rule, ...]:
    """Every rule but those whose code is, or begins with, one of `ignore`, sorted by code.

    Raises:
        UsageError: If an entry matches no rule.
    """
    prefixes = (ignore,) if isinstance(ignore, str) else tuple(map(str, ignore))
    for prefix in prefixes:
        if not prefix or not any(code.startswith(prefix) for code in RULES):
            raise UsageError(f"no rule has a code that begins with {prefix!r}")
    return tuple(RULES[code] for code in sorted(RULES) if not code.startswith(prefixes))
