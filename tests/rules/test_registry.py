"""How rules are declared, asked and left out."""

from collections.abc import Iterator
from typing import Any

import pytest

from embaudit.errors import UsageError
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import Absent, Facts, WeightFiles
from embaudit.model.findings import Observation, Severity
from embaudit.rules import RULES, Rule, ask_rules, rule, without
from embaudit.testing.facts import make_checkpoint

BOTH = WeightFiles(checkpoints=("a", "b"))


def test_a_rule_is_asked_once_for_each_combination_of_its_facts() -> None:
    """A rule of two facts sees every checkpoint with every listing."""
    seen: list[tuple[str, tuple[str, ...]]] = []

    def asked(checkpoint: Checkpoint, files: WeightFiles) -> Iterator[Observation]:
        seen.append((checkpoint.name, files.checkpoints))
        yield from ()

    each = Rule(
        code="EMB999",
        severity=Severity.INFO,
        title="",
        explanation="",
        needs=(Checkpoint, WeightFiles),
        ask=asked,
    )
    facts = Facts(known=(make_checkpoint(name="a"), make_checkpoint(name="b"), BOTH))
    ask_rules([each], facts)

    assert seen == [("a", ("a", "b")), ("b", ("a", "b"))]


def test_one_absent_fact_does_not_silence_the_others() -> None:
    """A rule is asked about the files that could be read, and skipped for the one that could not."""
    facts = Facts(known=(make_checkpoint(()),), absent=(Absent(kind=Checkpoint, reason="b was not read"),))

    findings, skipped = ask_rules([RULES["EMB132"]], facts)

    assert [finding.code for finding in findings] == ["EMB132"]
    assert [each.reason for each in skipped] == ["b was not read"]


@pytest.mark.parametrize("known", [(), (BOTH,)], ids=["without", "with"])
def test_a_rule_is_asked_with_or_without_a_fact_that_it_can_do_without(
    known: tuple[WeightFiles, ...],
) -> None:
    """`Fact | None` is None where the fact is absent, and its absence is no reason to skip the rule."""
    seen: list[tuple[str, WeightFiles | None]] = []

    @rule("EMB997", Severity.INFO)
    def asked(checkpoint: Checkpoint, files: WeightFiles | None) -> Iterator[Observation]:
        seen.append((checkpoint.name, files))
        yield from ()

    facts = Facts(known=(make_checkpoint(), *known), absent=(Absent(kind=WeightFiles, reason="none"),))
    _, skipped = ask_rules([RULES.pop("EMB997")], facts)

    assert seen == [("pytorch_model.bin", known[0] if known else None)]
    assert skipped == ()


def test_what_a_rule_can_do_without_comes_last() -> None:
    """A fact that is needed after one that is not fails at import, and declares nothing."""
    with pytest.raises(TypeError, match="after one that it can do without"):

        @rule("EMB996", Severity.INFO)
        def wrong(files: WeightFiles | None, checkpoint: Checkpoint) -> Iterator[Observation]:
            yield Observation(message=f"{files}, {checkpoint.name}")

    assert "EMB996" not in RULES


def test_a_code_is_declared_once() -> None:
    """Taking a code that another rule has fails at import."""
    with pytest.raises(TypeError, match="declared twice"):

        @rule("EMB001", Severity.INFO)
        def again(checkpoint: Checkpoint) -> Iterator[Observation]:
            yield Observation(message=checkpoint.name)


def test_a_rule_asks_only_for_facts_that_exist() -> None:
    """An annotation that no stage produces fails at import, and declares nothing."""
    with pytest.raises(TypeError, match="no stage produces"):

        @rule("EMB998", Severity.INFO)
        def wrong(name: str) -> Iterator[Observation]:
            yield Observation(message=name)

    assert "EMB998" not in RULES


@pytest.mark.parametrize(
    ("ignore", "left_out"),
    [
        ((), set()),
        (("EMB101",), {"EMB101"}),
        (("EMB00",), {code for code in RULES if code.startswith("EMB00")}),
    ],
    ids=["nothing", "a code", "a group"],
)
def test_rules_are_left_out_by_code_or_group(ignore: tuple[str, ...], left_out: set[str]) -> None:
    """`without` leaves out the codes that begin with an entry and keeps all others, sorted."""
    kept = [each.code for each in without(ignore)]

    assert kept == sorted(set(RULES) - left_out)


@pytest.mark.parametrize("ignore", ["EMB9", "emb101", "", "101", 3])
def test_an_unknown_code_to_ignore_is_an_error(ignore: Any) -> None:
    """A code that matches nothing would silence nothing: it is refused."""
    with pytest.raises(UsageError, match="no rule has a code"):
        without((ignore,))


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_explains_itself(code: str) -> None:
    """A rule has a code of its form, a one-line title and an explanation: they make its page."""
    each = RULES[code]

    assert code.startswith("EMB")
    assert len(code) == 6
    assert 10 < len(each.title) < 90
    assert len(each.explanation) > 50
