"""Mistral, as transformers has it."""

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.llama import CAUSAL_EMBEDDINGS, CAUSAL_NORMS, causal_attention, gated_mlp
from embaudit.model.architecture import Architecture

MISTRAL = Architecture(
    name="mistral",
    model_types=("mistral",),
    class_name="MistralModel",
    base_prefix="model",
    patterns=(
        *CAUSAL_EMBEDDINGS,
        *causal_attention(bias=False, out_bias=False),
        *gated_mlp(),
        *CAUSAL_NORMS,
    ),
    defaults={
        "vocab_size": 32000,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
    },
    derive=attention_heads,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/mistral/modeling_mistral.py",
)
"""`MistralModel`."""
