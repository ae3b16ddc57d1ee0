"""A diagnosis as text: the verdict first, then the cause and its evidence, then what else was tried."""

import json

import attrs
import pytest

from embaudit.model.diagnosis import Cause, Diagnosis, Hypothesis, Verdict
from embaudit.report.diagnosis import render_diagnosis, render_diagnosis_html, render_diagnosis_json

DECLARED = Hypothesis(
    causes=(), description="as declared", dimension=4, distance=1.4, cosine=-0.03, reproduces=False
)
CLS = Hypothesis(
    causes=("pooling:cls",),
    description="tokens are pooled by cls",
    evidence=("The repository declares mean.",),
    dimension=4,
    distance=1e-6,
    cosine=1.0,
    reproduces=True,
)
SHORTER = attrs.evolve(CLS, causes=("dense\x1bskipped",), dimension=8, distance=None, cosine=None)
FOUND = Diagnosis(
    target="org/name",
    verdict=Verdict.EXPLAINED,
    cause=Cause(hypotheses=(CLS,)),
    declared=DECLARED,
    ranked=(CLS, SHORTER, DECLARED),
    without_effect=("cut-at:128",),
    untested=("unread:segments: the model has no segments",),
    notes=("A note.",),
    dimension=4,
    n_texts=3,
    n_passes=30,
)


def test_everything_a_person_needs_is_told() -> None:
    """The cause, its evidence, distances, and what was not tried or had no effect."""
    text = render_diagnosis(FOUND)

    expected = [
        "This gives them",
        "pooling:cls",
        "Tokens are pooled by cls.",
        "The repository declares mean.",
        "A note.",
        "as-declared",
        "-0.030000",
        "No effect on these texts: cut-at:128.",
        "the model has no segments",
    ]
    assert [part for part in expected if part not in text] == []
    assert "\x1b" not in text


def test_what_is_declared_is_always_listed() -> None:
    """However few rows are shown, and how many are left out is told."""
    text = render_diagnosis(FOUND, max_rows=1)

    assert "as-declared" in text
    assert "... and 1 more" in text


@pytest.mark.parametrize(
    ("verdict", "cause", "said"),
    [
        (Verdict.AGREES, None, "are those that org/name declares"),
        (Verdict.EXPLAINED, Cause(hypotheses=(CLS, SHORTER)), "One of these gives them"),
        (Verdict.AMBIGUOUS, None, "Several causes come near"),
        (Verdict.UNEXPLAINED, None, "no hypothesis gives them"),
    ],
)
def test_each_verdict_is_a_sentence(verdict: Verdict, cause: Cause | None, said: str) -> None:
    """The first thing that is said."""
    text = render_diagnosis(attrs.evolve(FOUND, verdict=verdict, cause=cause))

    assert said in text.partition("\n\n")[0]


def test_json_has_the_names_of_the_fields() -> None:
    """And is plain ASCII."""
    text = render_diagnosis_json(FOUND)

    assert json.loads(text)["cause"]["hypotheses"][0]["causes"] == ["pooling:cls"]
    assert text.isascii()


def test_a_doubt_comes_before_a_verdict() -> None:
    """Where it is not sure what is declared, vectors that nothing gives are not called others."""
    doubtful = attrs.evolve(FOUND, verdict=Verdict.UNEXPLAINED, cause=None, doubts=("A doubt.",))

    text = " ".join(render_diagnosis(doubtful).split())

    assert "is not known" in text
    assert "A doubt." in text
    assert "are not those" not in text
    assert "A doubt." in render_diagnosis_html(doubtful)


def test_a_page_is_escaped() -> None:
    """Names out of a repository are no markup, and what had no effect is told there too."""
    named = attrs.evolve(CLS, causes=("prompt-added:<b>",), distances=(1e-6, 0.5, 1e-6))
    shown = render_diagnosis_html(attrs.evolve(FOUND, cause=Cause(hypotheses=(named,))), whole_page=False)

    assert "<b>" not in shown
    assert "prompt-added:&lt;b&gt;" in shown
    assert shown.count("<svg") == 1
    assert "No effect on these texts: cut-at:128." in shown
    assert "Not tried:" in shown
