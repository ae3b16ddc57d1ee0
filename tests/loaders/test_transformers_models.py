"""Which class a configuration means, and what comes of one that means none."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from embaudit.architectures import ARCHITECTURES
from embaudit.loaders.transformers.eras import ERAS, TransformersEra
from embaudit.loaders.transformers.models import choose_model
from embaudit.model.prediction import Outcome


def era_of(version: str) -> TransformersEra:
    """The era of a release."""
    return next(era for era in ERAS if era.versions.contains(version))


JINA = {"AutoModel": "jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertModel"}
NOMIC = {"AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel"}


@pytest.mark.parametrize(
    ("config", "version", "name"),
    [
        ({"model_type": "bert"}, "4.30.2", "bert"),
        ({"model_type": "t5"}, "5.23.0", "t5"),
        ({"model_type": "bert", "auto_map": JINA}, "4.57.1", "bert"),
        ({"model_type": "nomic_bert", "auto_map": NOMIC}, "5.4.0", "nomic_bert_remote"),
        ({"model_type": "nomic_bert", "auto_map": NOMIC}, "5.5.0", "nomic_bert"),
        (
            {"model_type": "nomic_bert", "auto_map": {"AutoModel": "code.NomicBertModel"}},
            "5.4.0",
            "nomic_bert_remote",
        ),
    ],
)
def test_a_class_of_its_own_comes_first(config: Mapping[str, Any], version: str, name: str) -> None:
    """Transformers takes its own class if the release has one, else the repository's code."""
    chosen = choose_model(config, era_of(version))

    assert chosen.architecture is ARCHITECTURES[name]
    assert bool(chosen.reasons) is ("auto_map" in config)


@pytest.mark.parametrize(
    ("config", "version", "outcome"),
    [
        ({"model_type": "modernbert"}, "4.47.1", Outcome.REFUSED),
        ({"model_type": "new"}, "5.23.0", Outcome.REFUSED),
        ({"model_type": "nobodys_own"}, "5.23.0", Outcome.REFUSED),
        ({"model_type": "whisper"}, "5.23.0", Outcome.UNKNOWN),
        ({"model_type": "realm"}, "4.57.1", Outcome.UNKNOWN),
        ({"model_type": "realm"}, "5.0.0", Outcome.REFUSED),
        ({"model_type": "nobodys_own", "auto_map": {"AutoModel": "code.Model"}}, "5.23.0", Outcome.UNKNOWN),
        ({"model_type": "nobodys_own", "auto_map": {"AutoConfig": "code.C"}}, "5.23.0", Outcome.REFUSED),
        ({"model_type": ["bert"]}, "5.23.0", Outcome.REFUSED),
        ({"model_type": None}, "5.23.0", Outcome.REFUSED),
        ({}, "4.57.1", Outcome.REFUSED),
        ({}, "5.23.0", Outcome.REFUSED),
    ],
)
def test_no_class_is_never_a_load(config: Mapping[str, Any], version: str, outcome: Outcome) -> None:
    """A type that the release lacks is refused, one that only embaudit lacks is told as unknown."""
    chosen = choose_model(config, era_of(version))

    assert chosen.architecture is None
    assert chosen.outcome is outcome
    assert chosen.reasons


def test_old_releases_guess_from_the_name() -> None:
    """Without a type, transformers 4 takes the longest one that stands in the repository's name."""
    guessed = choose_model({}, era_of("4.57.1"), repo_id="org/my-xlm-roberta-base")

    assert guessed.architecture is ARCHITECTURES["xlm-roberta"]
    assert choose_model({}, era_of("5.23.0"), repo_id="org/my-bert").outcome is Outcome.REFUSED


def test_another_architecture_may_be_asked_for() -> None:
    """Who loads another class than `AutoModel` does names its architecture."""
    chosen = choose_model({"model_type": "t5"}, era_of("5.23.0"), "t5_encoder")

    assert chosen.architecture is ARCHITECTURES["t5_encoder"]
    assert choose_model({"model_type": "t5"}, era_of("5.23.0"), "no such").outcome is Outcome.UNKNOWN


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2).map(tuple) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(model_type=_JSON, auto_map=_JSON, since=st.sampled_from([era.since for era in ERAS]))
def test_any_configuration_ends_in_a_class_or_a_reason(
    model_type: Any, auto_map: Any, since: Version
) -> None:
    """Whatever stands in the two fields, there is a class, or an outcome with a reason."""
    era = next(era for era in ERAS if era.since == since)
    chosen = choose_model({"model_type": model_type, "auto_map": auto_map}, era)

    assert (chosen.architecture is None) is (chosen.outcome is not None)
    assert chosen.architecture is not None or chosen.reasons
