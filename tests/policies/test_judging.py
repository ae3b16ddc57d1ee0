"""What a policy makes of findings: severities, waivers, and what is said of waivers."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.model.facts import Absent, Facts, WeightFiles
from embaudit.model.findings import Finding, Observation, Severity, Where
from embaudit.model.policy import Policy, RecordedAudit, Waiver
from embaudit.policies import Judgement, covers, judge, judge_age
from embaudit.rules import RULES, Rule, worst_first
from embaudit.rules.evidence import MAX_LISTED, listed

TODAY = date(2027, 1, 1)
FINDING = Finding(
    code="EMB201",
    severity=Severity.ERROR,
    message="It differs.",
    where=Where(path="a/model.bin", tensor="layer.0.weight"),
    loader="transformers",
)


def a_rule(code: str, *observations: Observation, severity: Severity = Severity.ERROR) -> Rule:
    """A rule that yields these observations whenever it is asked about the listing of weight files."""

    def ask(_: WeightFiles) -> Iterator[Observation]:
        yield from observations

    return Rule(code=code, severity=severity, title="", explanation="", needs=(WeightFiles,), ask=ask)


def judged(*rules: Rule, policy: Policy, today: date = TODAY, facts: Facts | None = None) -> Judgement:
    """What the rules find, and the two about waivers say, under a policy."""
    known = Facts(known=(WeightFiles(), policy)) if facts is None else facts
    return judge((*rules, RULES["EMB611"], RULES["EMB612"]), known, policy, today)


SEEN = Observation(message="One.", where=Where(path="one"))
OTHER = Observation(message="Two.", where=Where(path="two"))


def told(judgement: Judgement) -> list[tuple[str, str, str]]:
    """Code, severity and path of each finding that counts."""
    return [(each.code, str(each.severity), each.where.path or "") for each in judgement.findings]


@pytest.mark.parametrize(
    ("overrides", "severity"),
    [
        ({}, Severity.ERROR),
        ({"EMB201": "info"}, Severity.INFO),
        ({"EMB2": "warning"}, Severity.WARNING),
        ({"EMB2": "warning", "EMB20": "info"}, Severity.INFO),
        ({"EMB201": "error", "EMB20": "info", "EMB": "warning"}, Severity.ERROR),
        ({"EMB1": "info", "EMB2011": "info"}, Severity.ERROR),
    ],
    ids=str,
)
def test_of_several_severities_the_longest_code_counts(overrides: Any, severity: Severity) -> None:
    """A finding gets the severity of the longest code that its own begins with, or keeps its own."""
    (finding,) = judged(a_rule("EMB201", SEEN), policy=Policy(severity=overrides)).findings

    assert finding == Finding(code="EMB201", severity=severity, message="One.", where=SEEN.where)


def test_findings_are_sorted_by_the_severities_that_they_get() -> None:
    """The worst come first, by what the policy says and not by what the rules say."""
    policy = Policy(severity={"EMB201": "info", "EMB202": "error"})

    judgement = judged(
        a_rule("EMB201", OTHER, SEEN), a_rule("EMB202", SEEN, severity=Severity.INFO), policy=policy
    )

    assert told(judgement) == [
        ("EMB202", "error", "one"),
        ("EMB201", "info", "one"),
        ("EMB201", "info", "two"),
    ]


def test_a_waived_finding_is_told_and_decides_nothing() -> None:
    """It is among the waived with the waiver that covers it, keeps its place, and the others stay."""
    waiver = Waiver(code="EMB201", reason="looked at", path="o*")

    judgement = judged(a_rule("EMB201", SEEN, OTHER), policy=Policy(waivers=(waiver,)))

    assert told(judgement) == [("EMB201", "error", "two")]
    assert [(each.finding.where.path, each.waiver) for each in judgement.waived] == [("one", waiver)]


def test_the_first_waiver_that_covers_a_finding_counts() -> None:
    """Of two that fit the first is named, and the second covers nothing."""
    waivers = (Waiver(code="EMB201", reason="first"), Waiver(code="EMB201", reason="second", path="one"))

    judgement = judged(a_rule("EMB201", SEEN), policy=Policy(waivers=waivers))

    assert [each.waiver.reason for each in judgement.waived] == ["first"]
    assert told(judgement) == [("EMB612", "info", "one")]


@given(st.integers(-400, 400))
def test_a_waiver_holds_up_to_its_last_day(days: int) -> None:
    """On its last day it still covers; on the next it does not, and both findings are told."""
    waiver = Waiver(code="EMB201", reason="x", expires=TODAY + timedelta(days=days))

    judgement = judged(a_rule("EMB201", SEEN), policy=Policy(waivers=(waiver,)))

    expected = [] if days >= 0 else [("EMB201", "error", "one"), ("EMB611", "warning", "")]
    assert told(judgement) == expected
    assert len(judgement.waived) == (days >= 0)


def test_an_expired_waiver_says_how_many_findings_count_again() -> None:
    """Findings that a later waiver covers are not among them."""
    ended = TODAY - timedelta(days=1)
    waivers = (
        Waiver(code="EMB201", reason="old", expires=ended),
        Waiver(code="EMB201", reason="new", path="two"),
    )

    judgement = judged(a_rule("EMB201", SEEN, OTHER), policy=Policy(waivers=waivers))

    (expired,) = [each for each in judgement.findings if each.code == "EMB611"]
    assert expired.evidence["n_findings"] == 1
    assert "1 finding that it covered counts again" in expired.message


def test_what_is_said_of_waivers_has_the_severity_of_the_policy_and_cannot_be_waived() -> None:
    """An expired waiver may be made an error, and a waiver of that does not cover it."""
    ended = Waiver(code="EMB201", reason="old", expires=TODAY - timedelta(days=1))
    policy = Policy(waivers=(ended, Waiver(code="EMB611", reason="no")), severity={"EMB611": "error"})

    judgement = judged(a_rule("EMB201"), policy=policy)

    assert told(judgement) == [("EMB611", "error", "")]
    assert judgement.waived == ()


def test_a_waiver_of_what_was_not_asked_is_not_called_useless() -> None:
    """Where its rule is left out, skipped for one file, or lacks a fact, what it covers is not known."""
    policy = Policy(waivers=(Waiver(code="EMB201", reason="x"),))
    silent = a_rule("EMB201")
    skipped = Facts(known=(WeightFiles(), policy), absent=(Absent(kind=WeightFiles, reason="one more"),))

    assert told(judged(silent, policy=policy)) == [("EMB612", "info", "")]
    assert told(judged(policy=policy)) == []
    assert told(judged(silent, policy=policy, facts=skipped)) == []
    assert told(judged(silent, policy=policy, facts=Facts(known=(policy,)))) == []


def test_without_a_policy_the_rules_about_one_are_neither_asked_nor_skipped() -> None:
    """`EMB6xx` says nothing, and does not say that it was not asked."""
    facts = Facts(absent=tuple(Absent(kind=kind, reason="x") for kind in RULES["EMB605"].needs))

    judgement = judge(RULES.values(), facts, None, TODAY)

    assert {each.code for each in judgement.skipped}.isdisjoint(
        code for code in RULES if code.startswith("EMB6")
    )


WAIVER = Waiver(code="EMB201", reason="x")


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({}, True),
        ({"code": "EMB202"}, False),
        ({"code": "EMB20"}, False),
        ({"loader": "transformers"}, True),
        ({"loader": "candle"}, False),
        ({"loader": "Transformers"}, True),
        ({"path": "a/model.bin"}, True),
        ({"path": "*.bin"}, True),
        ({"path": "a/*"}, True),
        ({"path": "model.bin"}, False),
        ({"path": "A/*"}, False),
        ({"tensor": "layer.?.weight"}, True),
        ({"tensor": "layer.1.*"}, False),
        ({"path": "*", "tensor": "*", "loader": "transformers"}, True),
        ({"path": "*", "tensor": "*", "loader": "candle"}, False),
    ],
    ids=str,
)
def test_every_part_of_a_waiver_has_to_fit(fields: dict[str, str], covered: bool) -> None:
    """Code and loader are equal, path and tensor fit their patterns, case included."""
    assert covers(attrs.evolve(WAIVER, **fields), FINDING) is covered


def test_a_part_that_a_finding_lacks_fits_no_pattern() -> None:
    """A waiver of a file, a tensor or a loader is not about a finding that names none."""
    bare = attrs.evolve(FINDING, where=Where(), loader=None)

    assert covers(WAIVER, bare)
    for field in ("path", "tensor", "loader"):
        assert not covers(attrs.evolve(WAIVER, **{field: "*"}), bare)


FILES = ("a.py", "b.py")


@pytest.mark.parametrize(
    ("evidence", "pattern", "covered"),
    [
        ({"files": FILES}, "a.py", False),
        ({"files": FILES}, "*.py", True),
        ({"files": FILES[:1]}, "a.py", True),
        ({"files": [{"file": file} for file in FILES]}, "a.py", False),
        ({"files": [f"{number}.py" for number in range(MAX_LISTED)]}, "*.py", False),
        ({"files": 2}, "a.py", True),
    ],
    ids=str,
)
def test_a_finding_about_several_files_is_covered_only_if_all_are(
    evidence: Any, pattern: str, *, covered: bool
) -> None:
    """A waiver of the file that a finding is placed at does not cover the others that it lists."""
    finding = attrs.evolve(FINDING, where=Where(path="a.py"), evidence=evidence)

    assert covers(attrs.evolve(WAIVER, path=pattern), finding) is covered


NAMES = ("layer.0.weight", "layer.1.weight")
MANY = tuple(f"layer.{number}.weight" for number in range(MAX_LISTED + 1))


@pytest.mark.parametrize(
    ("evidence", "pattern", "covered"),
    [
        ({"names": NAMES}, "layer.0.*", False),
        ({"names": NAMES}, "layer.*", True),
        ({"missing_keys": NAMES}, "layer.0.*", False),
        ({"tensors": [{"name": name, "shape": [1]} for name in NAMES]}, "layer.0.*", False),
        ({"tensors": dict.fromkeys(NAMES, "a.bin")}, "layer.0.*", False),
        ({"pairs": [f"a -> {name}" for name in NAMES]}, "layer.0.*", False),
        ({"pairs": [f"a -> {name}" for name in NAMES]}, "layer.*", True),
        ({"pairs": [{"left": "a", "right": name} for name in NAMES]}, "layer.*", True),
        ({"n_tensors": 2}, "layer.*", False),
        ({"n_tensors": 2}, "*", True),
        ({"n_tensors": 1}, "layer.0.*", True),
        ({"names": listed(MANY)}, "layer.*", False),
        ({"names": listed(MANY)}, "*", True),
        ({"names": MANY[:MAX_LISTED]}, "layer.*", False),
        ({"changed": NAMES}, "layer.0.*", False),
        ({"changed": NAMES[:1], "reshaped": NAMES[1:]}, "layer.0.*", False),
        ({"renamed": [f"a -> {name}" for name in NAMES]}, "layer.0.*", False),
        ({"bytes": NAMES}, "layer.0.*", True),
    ],
    ids=str,
)
def test_a_finding_about_several_tensors_is_covered_only_if_all_are(
    evidence: Any, pattern: str, *, covered: bool
) -> None:
    """A waiver of one tensor does not cover others that come later, and of unnamed ones only `*` is sure."""
    finding = attrs.evolve(FINDING, evidence=evidence)

    assert covers(attrs.evolve(WAIVER, tensor=pattern), finding) is covered


FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(["EMB101", "EMB201", "EMB202"]),
    severity=st.sampled_from(Severity),
    message=st.just("It is so."),
    where=st.builds(Where, path=st.none() | st.sampled_from(["a", "b"])),
    loader=st.none() | st.sampled_from(["candle", "transformers"]),
)
WAIVERS = st.builds(
    Waiver,
    code=st.sampled_from(["EMB101", "EMB201", "EMB202"]),
    reason=st.just("x"),
    expires=st.none() | st.sampled_from([TODAY, TODAY - timedelta(days=1)]),
    path=st.none() | st.sampled_from(["a", "*"]),
    loader=st.none() | st.just("candle"),
)


@given(st.lists(FINDINGS, max_size=6), st.lists(WAIVERS, max_size=4))
def test_nothing_gets_lost(findings: list[Finding], waivers: list[Waiver]) -> None:
    """Every finding is either among those that count or among the waived, and both are in order."""
    rules = [
        a_rule(
            code,
            *(
                Observation(
                    message=each.message, where=each.where, loader=each.loader, severity=each.severity
                )
                for each in findings
                if each.code == code
            ),
        )
        for code in ("EMB101", "EMB201", "EMB202")
    ]

    judgement = judged(*rules, policy=Policy(waivers=tuple(waivers)))

    kept = [each for each in judgement.findings if not each.code.startswith("EMB61")]
    waived = [each.finding for each in judgement.waived]
    assert sorted(map(repr, (*kept, *waived))) == sorted(map(repr, findings))
    assert judgement.findings == worst_first(judgement.findings)
    assert waived == list(worst_first(waived))
    assert all(covers(each.waiver, each.finding) for each in judgement.waived)


@given(st.integers(0, 3000), st.integers(1, 1000))
def test_a_record_counts_for_as_many_days_as_the_policy_says(age: int, allowed: int) -> None:
    """The last day that counts is that many days after the one of the record."""
    created = (TODAY - timedelta(days=age)).isoformat()
    recorded = RecordedAudit(name="embaudit.lock", created=f"{created}T23:00:00+00:00", today=TODAY)

    judgement = judge_age(recorded, Policy(max_age_days=allowed))

    assert bool(judgement.findings) == (age > allowed)
    assert judge_age(recorded, Policy(max_age_days=allowed, ignore=("EMB61",))).findings == ()


def test_an_age_that_somebody_accepts_is_waived() -> None:
    """The age of a record is a finding like others: it has the severity of the policy, and can be waived."""
    recorded = RecordedAudit(name="embaudit.lock", created="2020-01-01", today=TODAY)
    policy = Policy(max_age_days=1, severity={"EMB610": "warning"})

    assert [str(each.severity) for each in judge_age(recorded, policy).findings] == ["warning"]
    waived = attrs.evolve(policy, waivers=(Waiver(code="EMB610", reason="frozen"),))
    assert judge_age(recorded, waived).findings == ()
    assert len(judge_age(recorded, waived).waived) == 1


@pytest.mark.parametrize(
    ("created", "age"),
    [
        ("2027-01-01T00:00:00+00:00", 0),
        ("2026-12-31T23:59:59Z", 1),
        ("2026-12-31T23:00:00-02:00", 0),
        ("2027-01-02", 0),
        ("2027-01-03", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("2027", None),
        ("", None),
    ],
)
def test_an_age_is_counted_in_days_of_utc(created: str, age: int | None) -> None:
    """A date with an offset is that of UTC, one a day ahead is today, and one further ahead is no date."""
    assert RecordedAudit(name="x", created=created, today=TODAY).age_days == age
