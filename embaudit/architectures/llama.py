"""Llama as transformers has it, and the layer that the decoder-only models share."""

from collections.abc import Mapping

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.patterns import Patterns, linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "layers.{layer}"


def causal_attention(*, bias: bool | str, out_bias: bool | str) -> Patterns:
    """Attention whose heads have a size of their own, with fewer heads for keys and values.

    Args:
        bias: Whether query, key and value have biases, or the field that says so.
        out_bias: The same for the projection after them.
    """
    attention, heads, groups = f"{_LAYER}.self_attn", "num_attention_heads", "num_key_value_heads"
    return (
        *linear(f"{attention}.q_proj", f"{heads}*head_dim", "hidden_size", bias=bias),
        *linear(f"{attention}.k_proj", f"{groups}*head_dim", "hidden_size", bias=bias),
        *linear(f"{attention}.v_proj", f"{groups}*head_dim", "hidden_size", bias=bias),
        *linear(f"{attention}.o_proj", "hidden_size", f"{heads}*head_dim", bias=out_bias),
    )


def gated_mlp(*, bias: bool | str = False) -> Patterns:
    """The feed-forward part: a gate, a way up and a way down."""
    return (
        *linear(f"{_LAYER}.mlp.gate_proj", "intermediate_size", "hidden_size", bias=bias),
        *linear(f"{_LAYER}.mlp.up_proj", "intermediate_size", "hidden_size", bias=bias),
        *linear(f"{_LAYER}.mlp.down_proj", "hidden_size", "intermediate_size", bias=bias),
    )


CAUSAL_EMBEDDINGS = table("embed_tokens", "vocab_size", "hidden_size")
CAUSAL_NORMS = (
    *norm(f"{_LAYER}.input_layernorm", "hidden_size", bias=False),
    *norm(f"{_LAYER}.post_attention_layernorm", "hidden_size", bias=False),
    *norm("norm", "hidden_size", bias=False),
)
"""The norms of a layer, before attention and before the feed-forward part, and the one after all layers."""
HEAD_NORMS = (
    *norm(f"{_LAYER}.self_attn.q_norm", "head_dim", bias=False),
    *norm(f"{_LAYER}.self_attn.k_norm", "head_dim", bias=False),
)
"""The norms of each head's queries and keys, which Qwen 3 and Gemma 3 have."""


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    sizes = attention_heads(config)
    head_dim = sizes.get("head_dim", config.get("head_dim"))
    return {**sizes, "n_frequencies": head_dim // 2} if isinstance(head_dim, int) else sizes


LLAMA = Architecture(
    name="llama",
    model_types=("llama",),
    class_name="LlamaModel",
    base_prefix="model",
    patterns=(
        *CAUSAL_EMBEDDINGS,
        *causal_attention(bias="attention_bias", out_bias="attention_bias"),
        # Stored by transformers 4.30, in each layer.
        *tensor(f"{_LAYER}.self_attn.rotary_emb.inv_freq", "n_frequencies", role=Role.BUFFER),
        *gated_mlp(bias="mlp_bias"),
        *CAUSAL_NORMS,
    ),
    defaults={
        "vocab_size": 32000,
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "intermediate_size": 11008,
        "attention_bias": False,
        "mlp_bias": False,
    },
    derive=_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/llama/modeling_llama.py",
)
"""`LlamaModel`."""
