"""Fields of `config.json` with which no model can be made, as the installed transformers sees them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embaudit.architectures import ARCHITECTURES
from embaudit.loaders.transformers.eras import ERAS, TransformersEra
from embaudit.loaders.transformers.models import configured_model, too_many_layers
from embaudit.loaders.transformers.settings import RULES, refused_settings, unfollowed_settings
from embaudit.model.frozen import freeze_object
from embaudit.testing.tiny_models import TINY_CONFIGS

VALUES: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("nosuch", "silu", "quick_gelu", None),
    "hidden_activation": ("nosuch", "silu", None),
    "activation": ("nosuch", "silu", None),
    "id2label": (["a"], {"a": "b"}, {"0": "x"}, None, {}),
    "hidden_dropout_prob": ("0.1", 0.1),
    "attention_probs_dropout_prob": ("0.1", 0.1),
    "attention_dropout": ("0.1", 0, 0.1),
    "pad_token_id": ("0", 10**6, 1, -1),
    "bos_token_id": ([1], "x", 1, None),
    "layer_types": (["full_attention"], ["x", "y"]),
    "rope_scaling": ({"rope_type": "nosuch"}, None),
    "num_attention_heads": (3, 2),
    "initializer_range": (None, "0.02", 1, 0.02),
    "layer_norm_eps": ("1e-12", 1, 1e-12),
    "rms_norm_eps": ("x", 1, 1e-6),
    "norm_eps": ("x", 1, 1e-5),
    "layer_norm_epsilon": ("x", 1, 1e-6),
    "use_cache": ("true", 1, True),
    "tie_word_embeddings": ("true", 0, None, True),
    "is_decoder": ("no", 1, False),
    "add_cross_attention": ("no", 1, False),
}
TRIED = sorted({(rule.field, name) for rule in RULES for name in rule.architectures & TINY_CONFIGS.keys()})


def era_of(version: str) -> TransformersEra:
    """The era of a release."""
    return next(era for era in ERAS if era.versions.contains(version))


def refused(name: str, version: str, **fields: Any) -> bool:
    """Whether a release makes no model of a small configuration with these fields."""
    config = freeze_object({**TINY_CONFIGS[name][0], **fields})
    return any(refused_settings(ARCHITECTURES[name], config, era_of(version)))


def test_every_rule_is_tried() -> None:
    """No rule stands in the table without values that it is held against."""
    assert {rule.field for rule in RULES} == VALUES.keys()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("field", "name"), TRIED)
def test_what_is_refused_is_refused_by_transformers(field: str, name: str, tmp_path: Path) -> None:
    """No value of a field is refused of which the installed transformers makes a model; some value is."""
    transformers = pytest.importorskip("transformers")
    told = []
    for value in VALUES[field]:
        settings = {**TINY_CONFIGS[name][0], "model_type": ARCHITECTURES[name].model_types[0], field: value}
        (tmp_path / "config.json").write_text(json.dumps(settings, default=dict))
        if not refused(name, transformers.__version__, **{field: value}):
            continue
        told.append(value)
        with pytest.raises(Exception):  # noqa: B017, PT011 - each field has its own
            transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(tmp_path))
    assert told


@pytest.mark.parametrize("name", sorted(TINY_CONFIGS))
@pytest.mark.parametrize("version", ["4.30.2", "4.57.1", "5.4.0", "5.23.0"])
def test_a_small_model_is_never_refused(name: str, version: str) -> None:
    """An honest configuration passes every rule of every release."""
    assert not refused(name, version)


@pytest.mark.parametrize(
    ("name", "fields", "before", "since"),
    [
        ("bert", {"initializer_range": None}, "5.3.0", "5.4.0"),
        ("bert", {"use_cache": "true"}, "4.57.1", "5.4.0"),
        ("qwen3", {"layer_types": ["x", "y"]}, "4.52.1", "4.57.1"),
    ],
)
def test_when_a_rule_begins(name: str, fields: Mapping[str, Any], before: str, since: str) -> None:
    """Types of fields are checked since 5.4."""
    assert not refused(name, before, **fields)
    assert refused(name, since, **fields)


def test_remote_code_has_its_own_rules() -> None:
    """What the code of a repository refuses is not known."""
    assert not refused("new", "5.23.0", hidden_act="nosuch", use_cache="true")


def test_pruned_heads_are_not_known_where_they_are_read() -> None:
    """Transformers 4 takes heads out of the layers, 5 does not look at the field."""
    config = freeze_object({**TINY_CONFIGS["bert"][0], "pruned_heads": {"0": [0]}})

    assert any(unfollowed_settings(config, era_of("4.57.1")))
    assert not any(unfollowed_settings(config, era_of("5.0.0")))
    assert configured_model(ARCHITECTURES["bert"], config, era_of("5.0.0")).tensors


@pytest.mark.parametrize(("count", "is_too_many"), [(2, False), (1000, False), (1200, True), (10**30, True)])
def test_far_more_layers_than_tensors_are_not_looked_at(count: int, is_too_many: bool) -> None:
    """A hostile configuration may ask for any number of layers; a model that lacks a few is looked at."""
    config = {**TINY_CONFIGS["bert"][0], "num_hidden_layers": count}

    assert too_many_layers(ARCHITECTURES["bert"], config, 10) is is_too_many
