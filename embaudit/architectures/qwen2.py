"""Qwen 2, as transformers has it."""

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.llama import CAUSAL_EMBEDDINGS, CAUSAL_NORMS, causal_attention, gated_mlp
from embaudit.model.architecture import Architecture

QWEN2 = Architecture(
    name="qwen2",
    model_types=("qwen2",),
    class_name="Qwen2Model",
    base_prefix="model",
    patterns=(
        *CAUSAL_EMBEDDINGS,
        *causal_attention(bias=True, out_bias=False),
        *gated_mlp(),
        *CAUSAL_NORMS,
    ),
    defaults={
        "vocab_size": 151936,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "intermediate_size": 22016,
    },
    derive=attention_heads,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/qwen2/modeling_qwen2.py",
)
"""`Qwen2Model`. No field takes its biases away, `attention_bias` neither."""
