"""Qwen 3, as transformers has it."""

from embaudit.architectures.heads import key_value_heads
from embaudit.architectures.llama import (
    CAUSAL_EMBEDDINGS,
    CAUSAL_NORMS,
    HEAD_NORMS,
    causal_attention,
    gated_mlp,
)
from embaudit.model.architecture import Architecture

QWEN3 = Architecture(
    name="qwen3",
    model_types=("qwen3",),
    class_name="Qwen3Model",
    base_prefix="model",
    patterns=(
        *CAUSAL_EMBEDDINGS,
        *causal_attention(bias="attention_bias", out_bias="attention_bias"),
        *HEAD_NORMS,
        *gated_mlp(),
        *CAUSAL_NORMS,
    ),
    defaults={
        "vocab_size": 151936,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "intermediate_size": 22016,
        "attention_bias": False,
    },
    derive=key_value_heads,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/qwen3/modeling_qwen3.py",
)
"""`Qwen3Model`. Its head size is a field with a default, never worked out from the width."""
