"""ALBERT, as transformers has it: narrow embeddings, and groups of layers that run again and again."""

from collections.abc import Mapping

from embaudit.architectures.bert import (
    bert_embeddings,
    distance_sizes,
    head_sizes,
    learned_distances,
    self_attention,
)
from embaudit.architectures.patterns import linear, norm
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.albert_layer_groups.{group}.albert_layers.{layer}"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    return {**head_sizes(config), **distance_sizes(config)}


ALBERT = Architecture(
    name="albert",
    model_types=("albert",),
    class_name="AlbertModel",
    base_prefix="albert",
    patterns=(
        *bert_embeddings("embedding_size"),
        *linear("encoder.embedding_hidden_mapping_in", "hidden_size", "embedding_size"),
        *self_attention(f"{_LAYER}.attention"),
        *learned_distances(f"{_LAYER}.attention"),
        *linear(f"{_LAYER}.attention.dense", "hidden_size", "hidden_size"),
        *norm(f"{_LAYER}.attention.LayerNorm", "hidden_size"),
        *linear(f"{_LAYER}.ffn", "intermediate_size", "hidden_size"),
        *linear(f"{_LAYER}.ffn_output", "hidden_size", "intermediate_size"),
        *norm(f"{_LAYER}.full_layer_layer_norm", "hidden_size"),
        *linear("pooler", "hidden_size", "hidden_size", role=Role.UNUSED),
    ),
    repeats={"group": "num_hidden_groups", "layer": "inner_group_num"},
    defaults={
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_hidden_layers": 12,
        "num_hidden_groups": 1,
        "inner_group_num": 1,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    },
    derive=_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/albert/modeling_albert.py",
)
"""`AlbertModel`. How often the layers run, `num_hidden_layers`, changes no tensor."""
