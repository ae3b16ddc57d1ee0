"""Architectures whose code stands in repositories, held against what others say about them.

None of that code is run here. Transformers 5 maps three of these namings onto classes of its own, and the
sizes of published models are known.
"""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModel, PreTrainedModel

from embaudit.architectures import ARCHITECTURES, architectures_of, expected_model
from embaudit.errors import FormatError
from embaudit.model.architecture import Architecture, Role
from embaudit.testing.tiny_models import TINY_CONFIGS, tiny_weights

REMOTE = [known for known in ARCHITECTURES.values() if known.remote_code]
NOMIC, _, _, NOMIC_EXPERTS = TINY_CONFIGS["nomic_bert_remote"]
NEW, NEW_WITHOUT_TYPES, _ = TINY_CONFIGS["new"]
FLASH, _ = TINY_CONFIGS["xlm_roberta_flash"]

NATIVE_NOMIC = {**TINY_CONFIGS["nomic_bert"][0], "intermediate_size": NOMIC["n_inner"]}
NATIVE_GTE, NATIVE_GTE_WITHOUT_TYPES = TINY_CONFIGS["gte"]
NATIVE_JINA = {**TINY_CONFIGS["jina_embeddings_v3"][0], "type_vocab_size": 1}

Fields = Mapping[str, Any]

each_mapped = pytest.mark.parametrize(
    ("name", "remote", "native", "prefix"),
    [
        pytest.param("nomic_bert_remote", NOMIC, NATIVE_NOMIC, "", id="nomic"),
        pytest.param("new", NEW, NATIVE_GTE, "", id="new"),
        pytest.param("new", NEW, NATIVE_GTE, "new.", id="new-prefixed"),
        pytest.param("new", NEW_WITHOUT_TYPES, NATIVE_GTE_WITHOUT_TYPES, "", id="new-without-types"),
        pytest.param("xlm_roberta_flash", FLASH, NATIVE_JINA, "", id="flash"),
        pytest.param("xlm_roberta_flash", FLASH, NATIVE_JINA, "roberta.", id="flash-prefixed"),
    ],
)


def load(folder: Path, weights: Mapping[str, Tensor], config: Fields) -> tuple[PreTrainedModel, Fields]:
    """What transformers makes of weights and a configuration, and what it tells of the loading."""
    save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(dict(config)))
    model, told = AutoModel.from_pretrained(folder, output_loading_info=True)
    return model, told


@each_mapped
def test_transformers_maps_every_tensor_onto_its_own_class(
    tmp_path: Path, name: str, remote: Fields, native: Fields, prefix: str
) -> None:
    """Nothing is missing, left over or of another shape, and the model has the values that were stored."""
    weights = {f"{prefix}{key}": value for key, value in tiny_weights(name, remote).items()}

    model, told = load(tmp_path, weights, native)

    assert [told[keys] for keys in ("missing_keys", "unexpected_keys", "mismatched_keys")] == [set()] * 3
    assert torch.equal(_values(weights), _values(dict(model.named_parameters())))


def _values(tensors: Mapping[str, Tensor]) -> Tensor:
    """Every value of every tensor, in an order that does not depend on how they were renamed or split."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors.values()]).sort().values


def test_transformers_has_no_place_for_experts(tmp_path: Path) -> None:
    """Its own class leaves the experts out, and layers without any values for what stands there instead."""
    config = {**NATIVE_NOMIC, "num_hidden_layers": NOMIC_EXPERTS["n_layer"]}
    weights = tiny_weights("nomic_bert_remote", NOMIC_EXPERTS)

    _, told = load(tmp_path, weights, config)

    experts = {key.removeprefix("encoder.") for key in weights if ".router." in key or ".experts." in key}
    assert len(experts) == 4
    assert experts < set(told["unexpected_keys"])
    assert "layers.1.mlp.gate_proj.weight" in told["missing_keys"]


BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
NOMIC_BASE = {
    "n_embd": 768,
    "n_head": 12,
    "n_inner": 3072,
    "n_layer": 12,
    "rotary_emb_fraction": 1.0,
    "pad_vocab_size_multiple": 64,
}
JINA_BASE = {**BASE, "position_embedding_type": "alibi", "feed_forward_type": "geglu"}


@pytest.mark.parametrize(
    ("name", "config", "n_parameters"),
    [
        pytest.param(
            "nomic_bert_remote",
            {
                **NOMIC_BASE,
                "vocab_size": 30528,
                "activation_function": "swiglu",
                "qkv_proj_bias": False,
                "mlp_fc1_bias": False,
                "mlp_fc2_bias": False,
            },
            136_731_648,
            id="nomic-ai/nomic-embed-text-v1.5",
        ),
        pytest.param(
            "nomic_bert_remote",
            {
                **NOMIC_BASE,
                "vocab_size": 250048,
                "type_vocab_size": 1,
                "activation_function": "gelu",
                "moe_every_n_layers": 2,
                "num_experts": 8,
            },
            475_292_928,
            id="nomic-ai/nomic-embed-text-v2-moe",
        ),
        pytest.param(
            "new",
            {**BASE, "vocab_size": 250048},
            # Its file has a classifier of 769 numbers besides.
            305_369_089 - 769,
            id="Alibaba-NLP/gte-multilingual-base",
        ),
        pytest.param(
            "jina_bert_v2",
            {**JINA_BASE, "vocab_size": 30528},
            137_368_320,
            id="jinaai/jina-embeddings-v2-base-en",
        ),
        pytest.param(
            "xlm_roberta_flash",
            {"lora_adaptations": ["query", "passage", "separation", "classification", "matching"]},
            572_310_396,
            id="jinaai/jina-embeddings-v3",
        ),
    ],
)
def test_published_models_have_as_many_parameters(name: str, config: Fields, n_parameters: int) -> None:
    """The elements of all parameters are as many as the hub counts in the model's file."""
    tensors = expected_model(ARCHITECTURES[name], config).tensors.values()

    assert sum(prod(tensor.shape) for tensor in tensors if tensor.role is not Role.BUFFER) == n_parameters


@pytest.mark.parametrize(
    ("period", "with_experts"), [(0, set()), (1, set()), (2, {1, 3}), (3, {1, 4}), (9, {1}), (None, set())]
)
def test_experts_stand_in_the_second_layer_of_each_period(period: int | None, with_experts: set[int]) -> None:
    """Each layer has either experts or a plain feed-forward part, never both."""
    config = {**NOMIC_EXPERTS, "n_layer": 5, "moe_every_n_layers": period}
    names = expected_model(ARCHITECTURES["nomic_bert_remote"], config).tensors

    layers = {number: f"encoder.layers.{number}.mlp" for number in range(5)}
    assert {n for n, mlp in layers.items() if f"{mlp}.experts.mlp.w1" in names} == with_experts
    assert {n for n, mlp in layers.items() if f"{mlp}.fc1.weight" in names} == set(layers) - with_experts


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "nomic_bert"])
def test_a_model_type_that_transformers_has_means_its_class_first(model_type: str) -> None:
    """Where remote code has the same model type, the class of transformers is the first of those meant."""
    first, *others = architectures_of(model_type)

    assert not first.remote_code
    assert others
    assert all(other.remote_code for other in others)


NUMBERS = ("vocab_size", "hidden_size", "num_hidden_layers", "n_embd", "n_inner", "n_layer", "num_experts")


@pytest.mark.parametrize(
    "value", [-1, "12", True, [], {}, 10**5000], ids=["negative", "text", "truth", "array", "object", "huge"]
)
@pytest.mark.parametrize("architecture", REMOTE, ids=[known.name for known in REMOTE])
def test_what_is_no_size_is_refused(architecture: Architecture, value: Any) -> None:
    """A size of another kind ends in a `FormatError` that names the field, never in another error."""
    config = TINY_CONFIGS[architecture.name][-1]
    for field in set(NUMBERS) & set(config):
        with pytest.raises(FormatError, match=field):
            expected_model(architecture, {**config, field: value})
