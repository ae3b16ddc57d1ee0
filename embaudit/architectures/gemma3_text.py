"""Gemma 3's text model, as transformers has it."""

from embaudit.architectures.llama import (
    CAUSAL_EMBEDDINGS,
    CAUSAL_NORMS,
    HEAD_NORMS,
    causal_attention,
    gated_mlp,
)
from embaudit.architectures.patterns import norm, tensor
from embaudit.model.architecture import Architecture, Role

GEMMA3_TEXT = Architecture(
    name="gemma3_text",
    model_types=("gemma3_text",),
    class_name="Gemma3TextModel",
    base_prefix="model",
    patterns=(
        *CAUSAL_EMBEDDINGS,
        *tensor("embed_tokens.embed_scale", role=Role.BUFFER),
        *causal_attention(bias="attention_bias", out_bias="attention_bias"),
        *HEAD_NORMS,
        *gated_mlp(),
        *norm("layers.{layer}.pre_feedforward_layernorm", "hidden_size", bias=False),
        *norm("layers.{layer}.post_feedforward_layernorm", "hidden_size", bias=False),
        *CAUSAL_NORMS,
    ),
    defaults={
        "vocab_size": 262208,
        "hidden_size": 2304,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "intermediate_size": 9216,
        "attention_bias": False,
    },
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/gemma3/modeling_gemma3.py",
)
"""`Gemma3TextModel`.

`base_prefix` is that of transformers 5. Up to 4.51 the class has `language_model`, from 4.52 to 4.57 an empty
one: there `model.embed_tokens.weight`, as a causal model stores it, is not found
(https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/models/gemma3/modeling_gemma3.py).
"""
