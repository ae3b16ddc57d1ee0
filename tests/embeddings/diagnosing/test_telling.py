"""Which verdict comes of which distances."""

import attrs
import numpy as np
import pytest

from embaudit.embeddings.diagnosing.judging import MOST_ERROR, Trial, common_factor, not_told_apart
from embaudit.embeddings.diagnosing.settings import Change, Setting
from embaudit.embeddings.diagnosing.telling import verdict_of
from embaudit.model.diagnosis import Verdict
from embaudit.model.embedding_pipeline import PoolingMode

SETTING = Setting(weights="model.safetensors", pooling=(PoolingMode.MEAN,), normalize=True)
VECTORS = np.random.default_rng(0).normal(size=(4, 32)).astype(np.float32)


def trial(name: str, error: float, from_declared: float) -> Trial:
    """One change, or none."""
    return Trial(
        changes=(Change(name=name, description=name),) if name else (),
        setting=SETTING,
        dimension=32,
        error=error,
        cosine=1.0,
        from_declared=from_declared,
        vectors=VECTORS + np.float32(from_declared),
    )


@pytest.mark.parametrize(
    ("declared", "computed", "reaches", "verdict"),
    [
        (1e-7, 0.01, 0.01, Verdict.AGREES),
        (0.8 * MOST_ERROR, 0.5 * MOST_ERROR, 0.01, Verdict.AGREES),
        (1.01 * MOST_ERROR, 0.85 * MOST_ERROR, 0.01, Verdict.AMBIGUOUS),
        (0.8 * MOST_ERROR, 0.8 * MOST_ERROR, 0.001, Verdict.UNEXPLAINED),
        (1.01 * MOST_ERROR, 1e-7, 0.01, Verdict.EXPLAINED),
        (5 * MOST_ERROR, 4 * MOST_ERROR, 0.01, Verdict.UNEXPLAINED),
    ],
    ids=["the same", "rounding", "coarse rounding", "more than rounding", "computed so", "far"],
)
def test_rounding_is_as_large_as_computing_in_another_type_makes_it(
    declared: float, computed: float, reaches: float, verdict: Verdict
) -> None:
    """Nothing is blamed where a type comes about as near; what is declared holds where both are near."""
    trials = (trial("", declared, 0.0), trial("computed-in:bfloat16", computed, reaches))

    assert verdict_of(not_told_apart(trials), trials, is_scaled=False) is verdict


def test_what_is_scaled_does_not_agree() -> None:
    """However near it is, and whatever is nearest."""
    trials = (trial("", 0.01, 0.0), trial("computed-in:bfloat16", 0.012, 0.01))

    assert verdict_of(not_told_apart(trials), trials, is_scaled=True) is Verdict.UNEXPLAINED


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_common_factor_is_told_from_noise(noise: float) -> None:
    """Found where all rows are longer alike, and not where they only differ."""
    disturbed = VECTORS + noise * np.random.default_rng(1).normal(size=VECTORS.shape).astype(np.float32)

    assert common_factor(VECTORS, 1.01 * disturbed) == pytest.approx(1.01, abs=1e-3)
    assert common_factor(VECTORS, disturbed) is None


def test_settings_are_kept_apart_by_what_they_run() -> None:
    """The tokenizer, the side of padding and the type each cost a run of their own."""
    others = ({"tokenizer": "tokenizer.json"}, {"padding_side": "left"}, {"dtype": "bfloat16"})

    assert len({SETTING.states, *(attrs.evolve(SETTING, **fields).states for fields in others)}) == 4
