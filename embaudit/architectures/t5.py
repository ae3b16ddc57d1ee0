"""T5, encoder and decoder, as transformers has it."""

import re
from collections.abc import Mapping

from embaudit.architectures.patterns import Patterns, linear, norm, table
from embaudit.errors import FormatError
from embaudit.formats.fields import TEXT, take
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_ACTIVATION = re.compile(r"(?P<gated>gated-)?[^-]+")


def t5_sizes(config: Mapping[str, JSON]) -> Sizes:
    """Whether the feed-forward part is gated, and how many blocks the decoder has.

    Raises:
        FormatError: If `feed_forward_proj` is not the name of a function, or `gated-` and one.
    """
    found = _ACTIVATION.fullmatch(take(config, "feed_forward_proj", TEXT))
    if found is None:
        raise FormatError("expected the name of a function, or gated- and one", "feed_forward_proj")
    sizes = {"is_gated_act": int(found["gated"] is not None)}
    blocks = config.get("num_layers")
    if config.get("num_decoder_layers") is None and isinstance(blocks, int):
        sizes["num_decoder_layers"] = blocks
    return sizes


def _attention(name: str, role: Role) -> Patterns:
    return (
        *linear(f"{name}.q", "num_heads*d_kv", "d_model", bias=False, role=role),
        *linear(f"{name}.k", "num_heads*d_kv", "d_model", bias=False, role=role),
        *linear(f"{name}.v", "num_heads*d_kv", "d_model", bias=False, role=role),
        *linear(f"{name}.o", "d_model", "num_heads*d_kv", bias=False, role=role),
    )


def _feed_forward(name: str, role: Role) -> Patterns:
    return (
        *linear(f"{name}.wi", "d_ff", "d_model", bias=False, role=role, when="!is_gated_act"),
        *linear(f"{name}.wi_0", "d_ff", "d_model", bias=False, role=role, when="is_gated_act"),
        *linear(f"{name}.wi_1", "d_ff", "d_model", bias=False, role=role, when="is_gated_act"),
        *linear(f"{name}.wo", "d_model", "d_ff", bias=False, role=role),
    )


def _stack(stack: str, block: str, count: str, role: Role) -> Patterns:
    """What both stacks have: self attention, which alone knows positions, in the first block."""
    positions = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
    return (
        *table(f"{stack}.embed_tokens", "vocab_size", "d_model", role=role),
        *_attention(f"{block}.layer.0.SelfAttention", role),
        *table(positions, "relative_attention_num_buckets", "num_heads", role=role, when=count),
        *norm(f"{block}.layer.0.layer_norm", "d_model", bias=False, role=role),
        *norm(f"{stack}.final_layer_norm", "d_model", bias=False, role=role),
    )


_ENCODER_BLOCK = "encoder.block.{layer}"
_DECODER_BLOCK = "decoder.block.{decoder_layer}"

T5_ENCODER_PATTERNS = (
    *table("shared", "vocab_size", "d_model"),
    *_stack("encoder", _ENCODER_BLOCK, "num_layers", Role.EMBEDDING),
    *_feed_forward(f"{_ENCODER_BLOCK}.layer.1.DenseReluDense", Role.EMBEDDING),
    *norm(f"{_ENCODER_BLOCK}.layer.1.layer_norm", "d_model", bias=False),
)
_T5_DECODER_PATTERNS = (
    *_stack("decoder", _DECODER_BLOCK, "num_decoder_layers", Role.UNUSED),
    *_attention(f"{_DECODER_BLOCK}.layer.1.EncDecAttention", Role.UNUSED),
    *norm(f"{_DECODER_BLOCK}.layer.1.layer_norm", "d_model", bias=False, role=Role.UNUSED),
    *_feed_forward(f"{_DECODER_BLOCK}.layer.2.DenseReluDense", Role.UNUSED),
    *norm(f"{_DECODER_BLOCK}.layer.2.layer_norm", "d_model", bias=False, role=Role.UNUSED),
)

T5_DEFAULTS: dict[str, JSON] = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "feed_forward_proj": "relu",
}
T5_ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
}

T5 = Architecture(
    name="t5",
    model_types=("t5",),
    class_name="T5Model",
    base_prefix="transformer",
    patterns=(*T5_ENCODER_PATTERNS, *_T5_DECODER_PATTERNS),
    repeats={"layer": "num_layers", "decoder_layer": "num_decoder_layers"},
    defaults=T5_DEFAULTS,
    aliases=T5_ALIASES,
    derive=t5_sizes,
    tied=(("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),),
    ignored=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/t5/modeling_t5.py",
)
"""`T5Model`, which `AutoModel` takes; only its encoder gives embeddings."""
