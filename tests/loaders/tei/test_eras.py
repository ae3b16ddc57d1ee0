"""The eras of text-embeddings-inference."""

import pytest
from packaging.version import Version

from embaudit.loaders.tei import TEI

SINCE = {
    "bert": "0.1.0",
    "xlm-roberta": "0.1.0",
    "camembert": "0.3.0",
    "roberta": "0.4.0",
    "nomic_bert": "1.0.0",
    "distilbert": "1.1.0",
    "mistral": "1.3.0",
    "new": "1.3.0",
    "qwen2": "1.4.0",
    "mpnet": "1.6.0",
    "gte": "1.6.1",
    "modernbert": "1.7.0",
    "qwen3": "1.7.2",
    "gemma3_text": "1.8.1",
    "deberta-v2": "1.9.0",
    "llama": "1.9.0",
    "llama_bidirec": "1.9.0",
    "bidirectional_pplx_qwen3": "1.9.2",
}
"""Model type to the first release that knows it, as the release notes and `Config` have it."""


@pytest.mark.parametrize("release", TEI.releases, ids=str)
def test_every_release_lies_in_one_era(release: Version) -> None:
    """No release is left out, and none is claimed twice."""
    assert sum(era.versions.contains(release) for era in TEI.eras) == 1


def test_eras_are_in_order_and_have_sources() -> None:
    """Eras follow one another as their releases do, and each says where it was read."""
    firsts = [next(each for each in TEI.releases if era.versions.contains(each)) for era in TEI.eras]

    assert firsts == sorted(firsts)
    assert all(source.startswith("https://") for era in TEI.eras for source in era.sources)
    assert all(era.sources for era in TEI.eras)


@pytest.mark.parametrize(("model_type", "since"), SINCE.items(), ids=SINCE)
def test_model_types_since(model_type: str, since: str) -> None:
    """A model type is known from one release on, and never forgotten."""
    known = [
        any(model_type in model.model_types for model in era.models)
        for release in TEI.releases
        for era in TEI.eras
        if era.versions.contains(release)
    ]

    assert str(TEI.releases[known.index(True)]) == since
    assert all(known[known.index(True) :])


def test_no_other_model_types() -> None:
    """The table above is complete."""
    assert {name for era in TEI.eras for model in era.models for name in model.model_types} == set(SINCE)
