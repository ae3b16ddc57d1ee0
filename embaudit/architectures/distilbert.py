"""DistilBERT, as transformers has it: no segments, no pooler, and names of its own for layers and fields."""

from collections.abc import Mapping

from embaudit.architectures.heads import head_size
from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "transformer.layer.{layer}"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    return {"head_size": head_size(config, "dim", "n_heads")}


DISTILBERT = Architecture(
    name="distilbert",
    model_types=("distilbert",),
    class_name="DistilBertModel",
    base_prefix="distilbert",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "dim"),
        *table("embeddings.position_embeddings", "max_position_embeddings", "dim"),
        *norm("embeddings.LayerNorm", "dim"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_LAYER}.attention.q_lin", "dim", "dim"),
        *linear(f"{_LAYER}.attention.k_lin", "dim", "dim"),
        *linear(f"{_LAYER}.attention.v_lin", "dim", "dim"),
        *linear(f"{_LAYER}.attention.out_lin", "dim", "dim"),
        *norm(f"{_LAYER}.sa_layer_norm", "dim"),
        *linear(f"{_LAYER}.ffn.lin1", "hidden_dim", "dim"),
        *linear(f"{_LAYER}.ffn.lin2", "dim", "hidden_dim"),
        *norm(f"{_LAYER}.output_layer_norm", "dim"),
    ),
    repeats={"layer": "n_layers"},
    defaults={
        "vocab_size": 30522,
        "dim": 768,
        "n_layers": 6,
        "n_heads": 12,
        "hidden_dim": 3072,
        "max_position_embeddings": 512,
    },
    aliases={"hidden_size": "dim", "num_attention_heads": "n_heads", "num_hidden_layers": "n_layers"},
    derive=_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/distilbert/modeling_distilbert.py",
)
"""`DistilBertModel`."""
