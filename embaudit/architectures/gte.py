"""GTE in the naming of transformers 5, which is not that of the repositories' own code."""

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.patterns import linear, norm, table
from embaudit.model.architecture import Architecture

_LAYER = "layers.{layer}"
_HEADS = "num_attention_heads*head_dim"

GTE = Architecture(
    name="gte",
    model_types=("gte",),
    class_name="GteModel",
    base_prefix="gte",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size", when="type_vocab_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *linear(f"{_LAYER}.self_attn.q_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.k_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.v_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.o_proj", "hidden_size", _HEADS),
        *norm(f"{_LAYER}.post_attention_layernorm", "hidden_size"),
        *linear(f"{_LAYER}.mlp.gate_proj", "intermediate_size", "hidden_size", bias=False),
        *linear(f"{_LAYER}.mlp.up_proj", "intermediate_size", "hidden_size", bias=False),
        *linear(f"{_LAYER}.mlp.down_proj", "hidden_size", "intermediate_size"),
        *norm(f"{_LAYER}.post_mlp_layernorm", "hidden_size"),
    ),
    defaults={
        "vocab_size": 250048,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "type_vocab_size": 1,
    },
    derive=attention_heads,
    ignored=("inv_freq", "original_inv_freq"),
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/gte/modeling_gte.py",
)
"""`GteModel`.

The checkpoints of Alibaba-NLP have the tensors of `NEW`; transformers renames and splits those
while it loads.
"""
