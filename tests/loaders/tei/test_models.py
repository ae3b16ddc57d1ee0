"""The models of text-embeddings-inference: what each takes, under which prefixes, and what it refuses."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from embaudit.loaders.tei import TEI
from embaudit.loaders.tei.models import CPU, CUDA, TeiModel
from embaudit.model.prediction import Outcome

VERSIONS = ("0.2.0", "0.5.0", "1.2.0", "1.3.0", "1.4.0", "1.6.1", "1.7.0", "1.9.1", "1.9.3")
_SIDE = {"jina_bert_v2": "jinaai/jina-bert-implementation"}
_SIDE["jina_bert_v2_qk_post_norm"] = "jinaai/jina-bert-v2-qk-post-norm"


def rows() -> list[Any]:
    """Every model of some versions, the same one once."""
    models: dict[TeiModel, str] = {}
    for version in VERSIONS:
        era = next(era for era in TEI.eras if era.versions.contains(version))
        for model in era.models:
            models.setdefault(model, version)
    return [
        pytest.param(version, model, id=f"{version}-{model.candle.name}-{model.model_types[-1]}")
        for model, version in models.items()
    ]


def named(tei: Any, version: str, model: TeiModel) -> dict[str, Any]:
    """A configuration that this version takes for this model, and no other."""
    config = tei.config(model)
    name = model.candle.architecture.name
    return {**config, "_name_or_path": _SIDE[name]} if name in _SIDE and version >= "1.3" else config


def spellings(model: TeiModel, config: dict[str, Any]) -> Iterator[Callable[[str], str]]:
    """Every way in which the names of a whole model may be spelled: name in the architecture to stored."""
    longest = max(len(part.attempts) for part in model.candle.parts)
    for number in range(longest):
        yield partial(_spelled, model, config, number)


def _spelled(model: TeiModel, config: dict[str, Any], number: int, name: str) -> str:
    part = next(part for part in model.candle.parts if name.startswith(part.begins))
    renames = part.attempts[number].renames
    begins, becomes = next(pair for pair in renames if name.startswith(pair[0]))
    return becomes.replace("{model_type}", config["model_type"]) + name.removeprefix(begins)


@pytest.mark.parametrize(("version", "model"), rows())
def test_intact(tei: Any, version: str, model: TeiModel) -> None:
    """An intact model loads faithfully under every prefix that is tried, in float16 unless it cannot."""
    config = named(tei, version, model)
    shapes = tei.shapes(model, config)

    for spell in spellings(model, config):
        stored = {spell(name): shape for name, shape in shapes.items()}
        load = tei.load(tei.repository(config, tei.file("model.safetensors", stored)), version)
        assert (load.outcome, load.missing_keys, load.reasons) == (Outcome.FAITHFUL, (), ())
        assert load.dtype == (model.dtype or "float16")
        assert set(load.unexpected_keys) == set(load.harmless_keys)
        assert not load.silent


@pytest.mark.parametrize(("version", "model"), rows())
def test_each_required_tensor(tei: Any, version: str, model: TeiModel) -> None:
    """Without any one of the tensors that embeddings depend on the server does not start, and it is named."""
    config = named(tei, version, model)
    spell = next(spellings(model, config))
    stored = {spell(name): shape for name, shape in tei.shapes(model, config).items()}
    needed = [name for name in stored if "pooler" not in name]

    for name in needed:
        rest = {other: shape for other, shape in stored.items() if other != name}
        load = tei.load(tei.repository(config, tei.file("model.safetensors", rest)), version)
        assert load.outcome is Outcome.REFUSED
        assert any(name.endswith(each) or each.endswith(name) for each in load.missing_keys)
        assert "cannot find tensor" in load.reasons[0]


@pytest.mark.parametrize(("version", "model"), rows())
def test_layers_beyond_those_of_the_configuration(tei: Any, version: str, model: TeiModel) -> None:
    """A layer that the configuration does not count is dropped, and the server says nothing."""
    config = named(tei, version, model)
    spell = next(spellings(model, config))
    stored = {spell(name): shape for name, shape in tei.shapes(model, config).items()}
    last = max(int(number) for name in stored for number in re.findall(r"\.(\d+)\.", name))
    more = {
        name.replace(f".{last}.", f".{last + 1}."): shape
        for name, shape in stored.items()
        if f".{last}." in name or name.startswith(f"layers.{last}.")
    }

    load = tei.load(tei.repository(config, tei.file("model.safetensors", {**stored, **more})), version)

    assert (load.outcome, load.silent) == (Outcome.FAITHFUL, True)
    assert set(more) <= set(load.unexpected_keys)
    assert not set(more) & set(load.harmless_keys)


@pytest.mark.parametrize(("version", "model"), rows())
def test_other_shapes(tei: Any, version: str, model: TeiModel) -> None:
    """A tensor of another shape keeps the server from starting, and is told with both shapes."""
    config = named(tei, version, model)
    spell = next(spellings(model, config))
    stored = {spell(name): shape for name, shape in tei.shapes(model, config).items()}
    name = next(name for name in stored if "embed" in name)

    load = tei.load(tei.repository(config, tei.file("model.safetensors", {**stored, name: (3, 5)})), version)

    assert load.outcome is Outcome.REFUSED
    assert [(key.name, key.stored_shape, key.expected_shape) for key in load.mismatched_keys] == [
        (name, (3, 5), stored[name])
    ]


def test_gamma_and_beta(tei: Any) -> None:
    """Norms may have the names that TensorFlow gives them."""
    config, shapes = tei.bert()
    stored = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): shape
        for name, shape in shapes.items()
    }

    load = tei.load(tei.repository(config, tei.file("model.safetensors", stored)))

    assert load.outcome is Outcome.FAITHFUL
    assert load.renamed_keys["embeddings.LayerNorm.gamma"] == "embeddings.LayerNorm.weight"


def test_half_a_prefix(tei: Any) -> None:
    """Embeddings under one prefix and layers under another do not load, but in ModernBERT, part by part."""
    config, shapes = tei.bert()
    modern = tei.model("modernbert")
    modern_config = tei.config(modern)

    mixed = {f"bert.{name}" if name.startswith("enc") else name: shape for name, shape in shapes.items()}
    parts = {
        f"model.{name}" if name.startswith("layers") else name: shape
        for name, shape in tei.shapes(modern, modern_config).items()
    }

    assert tei.load(tei.repository(config, tei.file("model.safetensors", mixed))).outcome is Outcome.REFUSED
    whole = tei.load(tei.repository(modern_config, tei.file("model.safetensors", parts)))
    assert whole.outcome is Outcome.FAITHFUL


def test_modernbert_norm_biases(tei: Any) -> None:
    """The biases of ModernBERT's norms are never asked for, so that such a model is silently another one."""
    model = tei.model("modernbert")
    config = {**tei.config(model), "norm_bias": True}

    load = tei.load(tei.repository(config, tei.file("model.safetensors", tei.shapes(model, config))))

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert "final_norm.bias" in load.unexpected_keys


@pytest.mark.parametrize("shape", [None, (3,)], ids=["missing", "of another shape"])
def test_modernbert_optional_biases(tei: Any, shape: tuple[int, ...] | None) -> None:
    """A bias of ModernBERT that cannot be had is left out without a word."""
    model = tei.model("modernbert")
    config = {**tei.config(model), "attention_bias": True}
    shapes = tei.shapes(model, config)
    name = "layers.1.attn.Wqkv.bias"
    changed = {**shapes, name: shape} if shape else {key: shapes[key] for key in shapes if key != name}

    load = tei.load(tei.repository(config, tei.file("model.safetensors", changed)))

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert name in (load.unexpected_keys if shape else load.missing_keys)


CUDA_ONLY = ("mistral", "llama", "qwen2")


@pytest.mark.parametrize("name", CUDA_ONLY)
def test_cuda_only(tei: Any, name: str) -> None:
    """Models that need flash attention do not start in CPU images."""
    model = tei.model(name)
    config = tei.config(model)
    repository = tei.repository(config, tei.file("model.safetensors", tei.shapes(model, config)))

    assert tei.load(repository, backend=CUDA).outcome is Outcome.FAITHFUL
    assert tei.load(repository, backend=CPU).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("version", "outcome"), [("1.5.1", Outcome.REFUSED), ("1.6.0", Outcome.FAITHFUL)], ids=str
)
def test_gte_on_cpu(tei: Any, version: str, outcome: Outcome) -> None:
    """GTE needed CUDA until 1.6.0."""
    model = tei.model("new", version)
    config = tei.config(model)
    repository = tei.repository(config, tei.file("model.safetensors", tei.shapes(model, config)))

    assert tei.load(repository, version, CPU).outcome is outcome


JINA = "jinaai/jina-bert-implementation"


@pytest.mark.parametrize(
    ("version", "said", "outcome"),
    [
        ("1.2.0", {}, Outcome.FAITHFUL),
        ("1.6.1", {}, Outcome.REFUSED),
        ("1.6.1", {"_name_or_path": JINA}, Outcome.FAITHFUL),
        (
            "1.6.1",
            {"auto_map": {"AutoConfig": f"{JINA}--configuration_bert.JinaBertConfig"}},
            Outcome.REFUSED,
        ),
        (
            "1.7.0",
            {"auto_map": {"AutoConfig": f"{JINA}--configuration_bert.JinaBertConfig"}},
            Outcome.FAITHFUL,
        ),
        ("1.9.3", {}, Outcome.REFUSED),
    ],
)
def test_how_jina_is_told(tei: Any, version: str, said: dict[str, Any], outcome: Outcome) -> None:
    """Jina's BERT was told by its positions, then by the name it came from, then by its code as well."""
    model = tei.model("jina_bert_v2", version)
    config = {**tei.config(model), "auto_map": {}, **said}
    shapes = tei.shapes(model, config)

    assert tei.load(tei.repository(config, tei.file("model.safetensors", shapes)), version).outcome is outcome
