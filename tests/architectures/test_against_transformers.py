"""Every architecture that transformers has, held against the class itself in the version installed."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers import CONFIG_MAPPING, PreTrainedConfig, PreTrainedModel

from embaudit.architectures import ARCHITECTURES, complete_config, expected_model
from embaudit.errors import FormatError
from embaudit.model.architecture import Architecture, ExpectedModel, Role
from embaudit.testing.tiny_models import TINY_CONFIGS

Shapes = Mapping[str, tuple[int, ...]]
Fields = Mapping[str, st.SearchStrategy[Any]]

NATIVE = [known for known in ARCHITECTURES.values() if not known.remote_code]
each_architecture = pytest.mark.parametrize("architecture", NATIVE, ids=[known.name for known in NATIVE])
each_config = pytest.mark.parametrize(
    ("architecture", "config"),
    [
        pytest.param(known, config, id=f"{known.name}-{number}")
        for known in NATIVE
        for number, config in enumerate(TINY_CONFIGS[known.name])
    ],
)


def config_of(fields: Mapping[str, Any]) -> PreTrainedConfig:
    """What transformers makes of a `config.json`."""
    return CONFIG_MAPPING[fields["model_type"]].from_dict(dict(fields))


def model_of(architecture: Architecture, fields: Mapping[str, Any]) -> PreTrainedModel:
    """The real model, without values."""
    with torch.device("meta"):
        model: PreTrainedModel = getattr(transformers, architecture.class_name)(config_of(fields))
    return model


def parameters_of(model: PreTrainedModel) -> Shapes:
    """What `from_pretrained` asks a checkpoint for."""
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def buffers_of(model: PreTrainedModel) -> Shapes:
    """The buffers that checkpoints were ever seen to have, so without those of rotary positions."""
    buffers = model.named_buffers()
    return {name: tuple(value.shape) for name, value in buffers if "rotary_emb" not in name}


def shapes_of(expected: ExpectedModel, *, buffers: bool = False) -> Shapes:
    """The parameters that embaudit expects, or else the buffers that it knows."""
    tensors = expected.tensors.values()
    return {tensor.name: tensor.shape for tensor in tensors if (tensor.role is Role.BUFFER) is buffers}


@each_config
def test_the_parameters_are_those_of_the_class(architecture: Architecture, config: Mapping[str, Any]) -> None:
    """Names and shapes are equal, none more and none less."""
    assert shapes_of(expected_model(architecture, config)) == parameters_of(model_of(architecture, config))


@each_config
def test_the_buffers_are_those_of_the_class(architecture: Architecture, config: Mapping[str, Any]) -> None:
    """Every buffer that is not about rotary positions is known, with its shape."""
    known = shapes_of(expected_model(architecture, config), buffers=True)

    assert {name: known[name] for name in known if "rotary_emb" not in name} == buffers_of(
        model_of(architecture, config)
    )


@each_config
def test_tied_tensors_are_those_of_the_class(architecture: Architecture, config: Mapping[str, Any]) -> None:
    """The groups of names that are one parameter are equal."""
    names: dict[int, set[str]] = {}
    for name, parameter in model_of(architecture, config).named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), set()).add(name)

    assert set(map(frozenset, architecture.tied)) == {
        frozenset(group) for group in names.values() if len(group) > 1
    }


@each_architecture
def test_a_model_without_settings_is_that_of_the_configuration_class(architecture: Architecture) -> None:
    """What `config.json` leaves out has the value that the class has for it."""
    fields = {"model_type": architecture.model_types[0]}

    assert shapes_of(expected_model(architecture, fields)) == parameters_of(model_of(architecture, fields))


@each_architecture
def test_defaults_are_those_of_the_configuration_class(architecture: Architecture) -> None:
    """Each default that the class has is equal; a few fields exist only where a repository sets them."""
    config = config_of({"model_type": architecture.model_types[0]})

    defaults = architecture.defaults
    assert {name: getattr(config, name, default) for name, default in defaults.items()} == dict(defaults)


@each_architecture
def test_names_around_the_model_are_those_of_the_class(architecture: Architecture) -> None:
    """The prefix, the other spellings of fields and the names that are ignored are equal."""
    model = model_of(architecture, TINY_CONFIGS[architecture.name][0])

    assert architecture.base_prefix == model.base_model_prefix
    assert dict(architecture.aliases) == type(model.config).attribute_map
    assert set(architecture.ignored) == set(model._keys_to_ignore_on_load_unexpected or ())


@pytest.mark.parametrize("own_first", [True, False], ids=["own spelling first", "other spelling first"])
def test_of_two_spellings_the_same_one_counts(own_first: bool) -> None:
    """Where `config.json` has both spellings of a field, the class and embaudit take the same one."""
    both: Mapping[str, Any] = {"dim": 16, "hidden_size": 24} if own_first else {"hidden_size": 24, "dim": 16}
    fields: Mapping[str, Any] = {"model_type": "distilbert", **both}

    assert complete_config(ARCHITECTURES["distilbert"], fields)["dim"] == config_of(fields).dim


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "camembert", "albert", "electra"])
def test_some_settings_are_not_read_any_more(name: str) -> None:
    """A model of transformers 5 is made as if `position_embedding_type` and `pruned_heads` were not there."""
    fields = TINY_CONFIGS[name][0]
    unread = {"position_embedding_type": "relative_key", "pruned_heads": {"0": [1]}}
    model = model_of(ARCHITECTURES[name], {**fields, **unread})

    assert parameters_of(model) == shapes_of(expected_model(ARCHITECTURES[name], fields))


sizes = st.integers(min_value=1, max_value=12)
BERT_FIELDS: Fields = {
    "vocab_size": sizes,
    "hidden_size": st.sampled_from([4, 6, 8, 12]),
    "num_attention_heads": st.integers(min_value=1, max_value=4),
    "num_hidden_layers": st.integers(min_value=1, max_value=3),
    "intermediate_size": sizes,
    "max_position_embeddings": sizes,
    "type_vocab_size": st.integers(min_value=0, max_value=3),
    "pad_token_id": st.none(),
}
DECODER_FIELDS: Fields = {"is_decoder": st.booleans(), "add_cross_attention": st.booleans()}
EMBEDDING_SIZE: Fields = {"embedding_size": st.sampled_from([4, 6, 8, 12])}
RANDOM_FIELDS: Mapping[str, tuple[Fields, Fields]] = {
    "bert": (BERT_FIELDS, {**DECODER_FIELDS, **EMBEDDING_SIZE}),
    "albert": (
        {**BERT_FIELDS, **EMBEDDING_SIZE},
        {"num_hidden_groups": st.integers(0, 3), "inner_group_num": st.integers(0, 3)},
    ),
    "electra": ({**BERT_FIELDS, **EMBEDDING_SIZE}, DECODER_FIELDS),
    "deberta-v2": (
        BERT_FIELDS,
        {
            **EMBEDDING_SIZE,
            "attention_head_size": sizes,
            "relative_attention": st.booleans(),
            "position_buckets": st.integers(-1, 5),
            "max_relative_positions": st.integers(-1, 5),
            "position_biased_input": st.booleans(),
            "pos_att_type": st.none()
            | st.sampled_from(["c2p", "P2C | c2p", "p2c|p2p", ""])
            | st.lists(st.sampled_from(["c2p", "p2c", "C2P", "p2p"])),
            "share_att_key": st.booleans(),
            "norm_rel_ebd": st.sampled_from(["none", "layer_norm", " Layer_Norm|x", "layer"]),
            "conv_kernel_size": st.integers(-1, 3),
            "conv_groups": st.integers(1, 4),
        },
    ),
}


@pytest.mark.parametrize("name", RANDOM_FIELDS)
@given(data=st.data())
def test_random_models_agree_or_are_refused_by_both(name: str, data: st.DataObject) -> None:
    """Whatever the settings, embaudit expects what the class has, and refuses where the class does."""
    required, optional = RANDOM_FIELDS[name]
    fields = {"model_type": name, **data.draw(st.fixed_dictionaries(required, optional=optional))}

    try:
        real: Shapes | None = parameters_of(model_of(ARCHITECTURES[name], fields))
    except ValueError:
        real = None
    try:
        expected: Shapes | None = shapes_of(expected_model(ARCHITECTURES[name], fields))
    except FormatError:
        expected = None

    assert expected == real
