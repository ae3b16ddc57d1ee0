"""MPNet, as transformers has it: no segments, and one table of relative positions for all layers."""

from embaudit.architectures.bert import feed_forward, head_sizes
from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role

_LAYER = "encoder.layer.{layer}"

MPNET = Architecture(
    name="mpnet",
    model_types=("mpnet",),
    class_name="MPNetModel",
    base_prefix="mpnet",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table("embeddings.position_embeddings", "max_position_embeddings", "hidden_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_LAYER}.attention.attn.q", "all_head_size", "hidden_size"),
        *linear(f"{_LAYER}.attention.attn.k", "all_head_size", "hidden_size"),
        *linear(f"{_LAYER}.attention.attn.v", "all_head_size", "hidden_size"),
        *linear(f"{_LAYER}.attention.attn.o", "hidden_size", "hidden_size"),
        *norm(f"{_LAYER}.attention.LayerNorm", "hidden_size"),
        *feed_forward(_LAYER),
        *table("encoder.relative_attention_bias", "relative_attention_num_buckets", "num_attention_heads"),
        *linear("pooler.dense", "hidden_size", "hidden_size", role=Role.UNUSED),
    ),
    defaults={
        "vocab_size": 30527,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "relative_attention_num_buckets": 32,
    },
    derive=head_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/mpnet/modeling_mpnet.py",
)
"""`MPNetModel`."""
