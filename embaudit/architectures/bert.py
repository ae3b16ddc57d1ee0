"""BERT, as transformers has it, and the parts of it that RoBERTa, ALBERT, ELECTRA and MPNet share."""

from collections.abc import Mapping
from typing import Any

from embaudit.architectures.heads import head_size
from embaudit.architectures.patterns import Patterns, linear, norm, table, tensor
from embaudit.architectures.sizes import take_size, take_truth
from embaudit.errors import FormatError
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layer.{layer}"
_LEARNED_DISTANCES = ("relative_key", "relative_key_query")
"""Values of `position_embedding_type`."""


def bert_embeddings(width: str) -> Patterns:
    """Words, positions and segments of that width, and the two buffers that index them."""
    return (
        *table("embeddings.word_embeddings", "vocab_size", width),
        *table("embeddings.position_embeddings", "max_position_embeddings", width),
        *table("embeddings.token_type_embeddings", "type_vocab_size", width),
        *norm("embeddings.LayerNorm", width),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *tensor("embeddings.token_type_ids", "1", "max_position_embeddings", role=Role.BUFFER),
    )


def self_attention(module: str, **how: Any) -> Patterns:
    """Query, key and value of an attention module; `how` are further fields of `TensorPattern`."""
    return (
        *linear(f"{module}.query", "all_head_size", "hidden_size", **how),
        *linear(f"{module}.key", "all_head_size", "hidden_size", **how),
        *linear(f"{module}.value", "all_head_size", "hidden_size", **how),
    )


def learned_distances(module: str) -> Patterns:
    """What an attention module learns of the distance between two positions.

    transformers 4 has it, 5 neither has it nor reads `position_embedding_type`: whoever asks about 5 leaves
    that field out of the configuration
    (https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/models/bert/modeling_bert.py#L209).
    """
    return tensor(f"{module}.distance_embedding.weight", "n_distances", "head_size", when="learned_distances")


def _attention(module: str, **how: Any) -> Patterns:
    return (
        *self_attention(f"{module}.self", **how),
        *linear(f"{module}.output.dense", "hidden_size", "hidden_size", **how),
        *norm(f"{module}.output.LayerNorm", "hidden_size", **how),
    )


def feed_forward(layer: str) -> Patterns:
    """The part of a layer after its attention."""
    return (
        *linear(f"{layer}.intermediate.dense", "intermediate_size", "hidden_size"),
        *linear(f"{layer}.output.dense", "hidden_size", "intermediate_size"),
        *norm(f"{layer}.output.LayerNorm", "hidden_size"),
    )


BERT_LAYERS = (
    *_attention(f"{_LAYER}.attention"),
    *learned_distances(f"{_LAYER}.attention.self"),
    # Runs only where an encoder's output is given, which embedding never does.
    *_attention(f"{_LAYER}.crossattention", role=Role.UNUSED, when="add_cross_attention"),
    *feed_forward(_LAYER),
)
"""The layers that BERT, RoBERTa and ELECTRA share."""

BERT_DEFAULTS: Mapping[str, JSON] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "is_decoder": False,
    "add_cross_attention": False,
}


def head_sizes(config: Mapping[str, JSON]) -> Sizes:
    """How wide one attention head is, and all of them together.

    Raises:
        FormatError: As `head_size` does.
    """
    # The classes let heads be uneven in every configuration that has this field, BERT's too.
    size = head_size(config, even="embedding_size" not in config)
    return {"head_size": size, "all_head_size": take_size(config, "num_attention_heads") * size}


def distance_sizes(config: Mapping[str, JSON]) -> Sizes:
    """Whether attention learns distances between positions, and how many there are."""
    if config.get("position_embedding_type") not in _LEARNED_DISTANCES:
        return {"learned_distances": 0}
    return {"learned_distances": 1, "n_distances": 2 * take_size(config, "max_position_embeddings") - 1}


def bert_sizes(config: Mapping[str, JSON]) -> Sizes:
    """Sizes of heads and distances, for a model that may be a decoder.

    Raises:
        FormatError: If there is cross attention in what is no decoder, or `head_sizes` says so.
    """
    if take_truth(config, "add_cross_attention") and not take_truth(config, "is_decoder"):
        raise FormatError("only a decoder has cross attention", "add_cross_attention")
    return {**head_sizes(config), **distance_sizes(config)}


BERT = Architecture(
    name="bert",
    model_types=("bert",),
    class_name="BertModel",
    base_prefix="bert",
    patterns=(
        *bert_embeddings("hidden_size"),
        *BERT_LAYERS,
        *linear("pooler.dense", "hidden_size", "hidden_size", role=Role.UNUSED),
    ),
    defaults=BERT_DEFAULTS,
    derive=bert_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py",
)
"""`BertModel`."""
