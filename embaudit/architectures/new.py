"""GTE in the naming of its own repositories: the code of Alibaba-NLP/new-impl, and TEI."""

from collections.abc import Mapping

from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.architectures.sizes import take_truth
from embaudit.errors import FormatError
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layer.{layer}"
_HAS_BIAS = {"layer_norm": 1, "rms_norm": 0}
"""`layer_norm_type` to whether such a norm has a bias."""
_HAS_TABLE = {"absolute": 1, "rope": 0}
"""`position_embedding_type` to whether positions are learned."""


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    return {
        "norm_bias": _choice(config, "layer_norm_type", _HAS_BIAS),
        "learned_positions": _choice(config, "position_embedding_type", _HAS_TABLE),
        "pack_qkv": int(take_truth(config, "pack_qkv")),
    }


def _choice(config: Mapping[str, JSON], field: str, choices: Mapping[str, int]) -> int:
    chosen = config.get(field)
    if not isinstance(chosen, str) or chosen not in choices:
        raise FormatError(f"expected one of {', '.join(choices)}", field)
    return choices[chosen]


NEW = Architecture(
    name="new",
    model_types=("new",),
    class_name="NewModel",
    base_prefix="new",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table(
            "embeddings.position_embeddings",
            "max_position_embeddings",
            "hidden_size",
            when="learned_positions",
        ),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size", when="type_vocab_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_LAYER}.attention.qkv_proj", "3*hidden_size", "hidden_size", when="pack_qkv"),
        *linear(f"{_LAYER}.attention.q_proj", "hidden_size", "hidden_size", when="!pack_qkv"),
        *linear(f"{_LAYER}.attention.k_proj", "hidden_size", "hidden_size", when="!pack_qkv"),
        *linear(f"{_LAYER}.attention.v_proj", "hidden_size", "hidden_size", when="!pack_qkv"),
        *linear(f"{_LAYER}.attention.o_proj", "hidden_size", "hidden_size"),
        *linear(f"{_LAYER}.mlp.up_gate_proj", "2*intermediate_size", "hidden_size", bias=False),
        *linear(f"{_LAYER}.mlp.down_proj", "hidden_size", "intermediate_size"),
        *norm(f"{_LAYER}.attn_ln", "hidden_size", bias="norm_bias"),
        *norm(f"{_LAYER}.mlp_ln", "hidden_size", bias="norm_bias"),
    ),
    defaults={
        "vocab_size": 30528,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 2048,
        "type_vocab_size": 1,
        "layer_norm_type": "layer_norm",
        "position_embedding_type": "rope",
        "pack_qkv": True,
    },
    derive=_sizes,
    remote_code=("Alibaba-NLP/new-impl",),
    source="https://github.com/huggingface/text-embeddings-inference/blob/005a69335a6b890ee8dccc45ba3202646f455fb1/backends/candle/src/models/gte.rs",
)
"""`NewModel` of Alibaba-NLP/new-impl (`modeling.py`).

These are also the tensors that TEI expects of `model_type` `gte`, which in transformers is `GTE`.

Verified: names, shapes and defaults against TEI's rust source and a copy of the python code; that
transformers 5.23 maps all of them, packed and with LayerNorm, onto its own `GteModel`, by loading them. Not
verified: the python code was not run.
"""
