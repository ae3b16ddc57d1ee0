"""How a configuration fills an architecture in, and what no configuration can make it do."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.architectures import ARCHITECTURES, architectures_of, complete_config, expected_model
from embaudit.architectures.patterns import linear, table, tensor
from embaudit.errors import FormatError, LimitError
from embaudit.model.architecture import Architecture, Role
from embaudit.model.limits import Limits
from embaudit.testing.tiny_models import TINY_CONFIGS

PLAIN = Architecture(
    name="plain",
    model_types=("plain",),
    class_name="PlainModel",
    base_prefix="plain",
    patterns=(
        *table("words", "vocab_size", "hidden_size"),
        *linear("layer.{layer}.qkv", "3*hidden_size", "hidden_size", bias="qkv_bias"),
        *tensor("layer.{layer}.{half}.scale", "n_heads"),
        *tensor("relative.{layer}.bias", "n_heads", "8", first=1),
        *tensor("positions", "1", "length", role=Role.BUFFER),
        *tensor("absolute", "hidden_size", when="!relative"),
        *tensor("temperature", role=Role.UNUSED, when="relative"),
    ),
    repeats={"layer": "num_hidden_layers", "half": "n_halves"},
    defaults={"hidden_size": 4, "num_hidden_layers": 2, "n_halves": 2, "qkv_bias": False, "relative": 0},
    aliases={"d_model": "hidden_size", "max_len": "length"},
    derive=lambda config: {"n_heads": 3} if config["hidden_size"] == 4 else {"n_heads": 5},
    source="https://example.org",
)
SETTINGS: Mapping[str, Any] = {"vocab_size": 7, "length": 9}


def shapes(**config: Any) -> dict[str, tuple[int, ...]]:
    """Name to shape of the plain architecture with the settings and these fields."""
    expected = expected_model(PLAIN, {**SETTINGS, **config})
    return {name: expected.tensors[name].shape for name in expected.tensors}


def test_a_configuration_gives_names_and_shapes() -> None:
    """Placeholders take every number, sizes multiply, and a scalar has no dimension."""
    assert shapes(relative=True) == {
        "words.weight": (7, 4),
        "layer.0.qkv.weight": (12, 4),
        "layer.1.qkv.weight": (12, 4),
        "layer.0.0.scale": (3,),
        "layer.0.1.scale": (3,),
        "layer.1.0.scale": (3,),
        "layer.1.1.scale": (3,),
        "relative.1.bias": (3, 8),
        "positions": (1, 9),
        "temperature": (),
    }


@pytest.mark.parametrize(
    ("config", "name", "exists"),
    [
        ({"qkv_bias": True}, "layer.0.qkv.bias", True),
        ({"qkv_bias": False}, "layer.0.qkv.bias", False),
        ({"qkv_bias": 3}, "layer.0.qkv.bias", True),
        ({"qkv_bias": 0}, "layer.0.qkv.bias", False),
        ({"relative": True}, "absolute", False),
        ({"relative": False}, "absolute", True),
        ({"num_hidden_layers": 3}, "relative.2.bias", True),
        ({"num_hidden_layers": 1}, "relative.1.bias", False),
        ({"num_hidden_layers": 0}, "relative.1.bias", False),
    ],
)
def test_some_tensors_depend_on_the_configuration(config: Mapping[str, Any], name: str, exists: bool) -> None:
    """A tensor exists where its size is true or above 0, or with `!` where it is not; layers are counted."""
    assert (name in shapes(**config)) is exists


def test_derived_sizes_see_the_complete_configuration() -> None:
    """They are worked out from the defaults too, and from fields in another spelling."""
    assert shapes()["layer.0.0.scale"] == (3,)
    assert shapes(d_model=6)["layer.0.0.scale"] == (5,)


def test_roles_are_those_of_the_pattern() -> None:
    """What a tensor is for does not depend on the configuration."""
    expected = expected_model(PLAIN, {**SETTINGS, "relative": True})

    assert {
        name: str(expected.tensors[name].role) for name in ("words.weight", "positions", "temperature")
    } == {
        "words.weight": "embedding",
        "positions": "buffer",
        "temperature": "unused",
    }


@pytest.mark.parametrize(
    ("config", "hidden_size"),
    [
        ({}, 4),
        ({"hidden_size": 5}, 5),
        ({"d_model": 6}, 6),
        ({"hidden_size": 5, "d_model": 6}, 6),
        ({"d_model": 6, "hidden_size": 5}, 6),
    ],
    ids=str,
)
def test_a_field_may_be_left_out_or_spelled_otherwise(config: Mapping[str, Any], hidden_size: int) -> None:
    """The default counts where a field is left out, and the other spelling where there are two."""
    assert complete_config(PLAIN, config)["hidden_size"] == hidden_size


NO_SIZES: Mapping[str, Any] = {
    "negative": -1,
    "very negative": -(10**30),
    "beyond 64 bits": 2**63,
    "beyond what python prints": 10**6000,
    "a float": 3.0,
    "not a number": float("nan"),
    "a text": "3",
    "null": None,
    "true": True,
    "an array": [3],
    "an object": {"a": 3},
}


@pytest.mark.parametrize("value", NO_SIZES.values(), ids=NO_SIZES)
@pytest.mark.parametrize("field", ["vocab_size", "d_model", "num_hidden_layers"])
def test_a_value_that_is_no_size_is_a_format_error(field: str, value: Any) -> None:
    """The error names the file and the field in its own spelling."""
    named = complete_config(PLAIN, {field: value})
    own_spelling = next(name for name in named if named[name] is value)

    with pytest.raises(FormatError) as caught:
        expected_model(PLAIN, {**SETTINGS, field: value})
    assert caught.value.where == f"config.json: {own_spelling}"


@pytest.mark.parametrize("value", [-1, 0.0, "", "yes", None, []], ids=repr)
def test_a_value_that_is_no_truth_is_a_format_error(value: Any) -> None:
    """Python would find each of them true or false; configuration classes refuse them or disagree."""
    with pytest.raises(FormatError, match="qkv_bias"):
        expected_model(PLAIN, {**SETTINGS, "qkv_bias": value})


@pytest.mark.parametrize("name", ["bert", "albert", "distilbert", "mpnet", "electra", "deberta-v2"])
def test_pruned_heads_are_a_format_error(name: str) -> None:
    """Layers then differ in shape, in a way that is not worked out; an empty list of them is as none."""
    config = TINY_CONFIGS[name][0]

    assert expected_model(ARCHITECTURES[name], {**config, "pruned_heads": {}}).tensors
    with pytest.raises(FormatError, match="pruned_heads"):
        expected_model(ARCHITECTURES[name], {**config, "pruned_heads": {"0": [1]}})


def test_a_missing_field_is_a_format_error() -> None:
    """A field without a default must be there."""
    with pytest.raises(FormatError, match=r"config\.json: length: is missing"):
        expected_model(PLAIN, {"vocab_size": 7})


@pytest.mark.parametrize("n_layers", [10**6, 2**63 - 1], ids=["a million", "all that torch can count"])
def test_too_many_tensors_are_a_limit_error(n_layers: int) -> None:
    """They are counted before any is made."""
    with pytest.raises(LimitError) as caught:
        expected_model(PLAIN, {**SETTINGS, "num_hidden_layers": n_layers})
    assert (caught.value.where, caught.value.limit) == ("config.json", "tensors")


def test_the_limit_itself_is_allowed() -> None:
    """A model with exactly as many tensors as the limit is expanded; with one more, it is not."""
    n_tensors = len(shapes())

    assert len(expected_model(PLAIN, SETTINGS, Limits(tensors=n_tensors)).tensors) == n_tensors
    with pytest.raises(LimitError):
        expected_model(PLAIN, SETTINGS, Limits(tensors=n_tensors - 1))


OPTIONS = (
    "attention_head_size",
    "conv_kernel_size",
    "embedding_size",
    "head_dim",
    "norm_rel_ebd",
    "num_key_value_heads",
    "pos_att_type",
    "position_embedding_type",
    "pruned_heads",
    "relative_attention",
)
"""Fields that change tensors only where a repository has them."""

hostile_numbers = st.sampled_from([-1, 0, 2, 7, 10**30, -(10**30), 10**4000, 2**63 - 1]) | st.integers()
hostile_words = st.sampled_from(["12", "c2p|p2c", "relative_key", "layer_norm", "gated-gelu", ""]) | st.text()
hostile_values = st.recursive(
    st.none() | st.booleans() | hostile_numbers | st.floats() | hostile_words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.parametrize("name", ARCHITECTURES)
@given(data=st.data())
def test_no_configuration_raises_another_error(name: str, data: st.DataObject) -> None:
    """Whatever the fields hold: a model of bounded size, or an error that names the file."""
    architecture = ARCHITECTURES[name]
    fields = sorted({*TINY_CONFIGS[name][0], *architecture.defaults, *architecture.aliases, *OPTIONS})
    hostile = data.draw(st.dictionaries(st.sampled_from(fields), hostile_values, min_size=1, max_size=4))

    try:
        expected = expected_model(architecture, {**TINY_CONFIGS[name][0], **hostile}, Limits(tensors=500))
    except (FormatError, LimitError) as error:
        place = error.where
    else:
        place = "config.json"
        sizes = [size for each in expected.tensors.values() for size in each.shape]
        assert len(expected.tensors) <= 500
        assert all(type(size) is int and size >= 0 for size in sizes)
    assert place.startswith("config.json")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_found_by_its_model_types(name: str) -> None:
    """Each `model_type` leads to it, and an unknown one to nothing."""
    assert all(ARCHITECTURES[name] in architectures_of(known) for known in ARCHITECTURES[name].model_types)
    assert architectures_of(f"no-{name}") == architectures_of(None) == ()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_tiny_model_is_of_a_type_of_its_architecture(name: str) -> None:
    """Every architecture has one or more, and all their types lead to it."""
    types = {config["model_type"] for config in TINY_CONFIGS[name]}

    assert types
    assert types <= set(ARCHITECTURES[name].model_types)
