"""DeBERTa v2 and v3, as transformers has them: attention to relative positions, with many options."""

from collections.abc import Mapping

from embaudit.architectures.bert import feed_forward
from embaudit.architectures.heads import head_size
from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.architectures.sizes import take_integer, take_size, take_truth
from embaudit.errors import FormatError
from embaudit.formats.fields import ARRAY, TEXT, expect, take
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layer.{layer}"
_ATTENTION = f"{_LAYER}.attention.self"
_HEADS = "num_attention_heads*attention_head_size"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    width = take_size(config, "hidden_size")
    complete = {"attention_head_size": head_size(config), "embedding_size": width, **config}
    return {
        "embedding_size": take_size(complete, "embedding_size"),
        "attention_head_size": take_size(complete, "attention_head_size"),
        "projected": complete["embedding_size"] != width,
        "n_token_types": max(0, take_integer(config, "type_vocab_size")),
        "normed_positions": "layer_norm" in _words(take(config, "norm_rel_ebd", TEXT)),
        **_relative_sizes(config),
        **_convolution_sizes(config, width),
    }


def _relative_sizes(config: Mapping[str, JSON]) -> Sizes:
    if not take_truth(config, "relative_attention"):
        return {"relative_attention": 0, "position_keys": 0, "position_queries": 0}
    own = not take_truth(config, "share_att_key")
    kinds = _attention_kinds(config)
    return {
        "n_positions": 2 * _reach(config),
        "position_keys": own and "c2p" in kinds,
        "position_queries": own and "p2c" in kinds,
    }


def _reach(config: Mapping[str, JSON]) -> int:
    """How far, in positions or in buckets of them, one token tells apart where another one is."""
    for field in ("position_buckets", "max_relative_positions"):
        if (reach := take_integer(config, field)) > 0:
            return reach
    return take_size(config, "max_position_embeddings")


def _attention_kinds(config: Mapping[str, JSON]) -> tuple[str, ...]:
    kinds = config.get("pos_att_type")
    if kinds is None:
        return ()
    if isinstance(kinds, str):
        return _words(kinds)
    return tuple(expect(kind, TEXT, "pos_att_type") for kind in expect(kinds, ARRAY, "pos_att_type"))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.lower().split("|"))


def _convolution_sizes(config: Mapping[str, JSON], width: int) -> Sizes:
    kernel = take_integer(config, "conv_kernel_size")
    if kernel <= 0:
        return {"conv_kernel_size": 0}
    groups = take_integer(config, "conv_groups", least=1)
    if width % groups:
        raise FormatError(f"the width {width} is no multiple of it, {groups}", "conv_groups")
    return {"conv_width": width // groups}


DEBERTA_V2 = Architecture(
    name="deberta-v2",
    model_types=("deberta-v2",),
    class_name="DebertaV2Model",
    base_prefix="deberta",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "embedding_size"),
        *table(
            "embeddings.position_embeddings",
            "max_position_embeddings",
            "embedding_size",
            when="position_biased_input",
        ),
        *table("embeddings.token_type_embeddings", "n_token_types", "embedding_size", when="n_token_types"),
        *linear("embeddings.embed_proj", "hidden_size", "embedding_size", bias=False, when="projected"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_ATTENTION}.query_proj", _HEADS, "hidden_size"),
        *linear(f"{_ATTENTION}.key_proj", _HEADS, "hidden_size"),
        *linear(f"{_ATTENTION}.value_proj", _HEADS, "hidden_size"),
        *linear(f"{_ATTENTION}.pos_key_proj", _HEADS, "hidden_size", when="position_keys"),
        *linear(f"{_ATTENTION}.pos_query_proj", _HEADS, "hidden_size", when="position_queries"),
        *linear(f"{_LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
        *norm(f"{_LAYER}.attention.output.LayerNorm", "hidden_size"),
        *feed_forward(_LAYER),
        *table("encoder.rel_embeddings", "n_positions", "hidden_size", when="relative_attention"),
        *norm("encoder.LayerNorm", "hidden_size", when="normed_positions"),
        *tensor(
            "encoder.conv.conv.weight",
            "hidden_size",
            "conv_width",
            "conv_kernel_size",
            when="conv_kernel_size",
        ),
        *tensor("encoder.conv.conv.bias", "hidden_size", when="conv_kernel_size"),
        *norm("encoder.conv.LayerNorm", "hidden_size", when="conv_kernel_size"),
    ),
    defaults={
        "vocab_size": 128100,
        "hidden_size": 1536,
        "num_hidden_layers": 24,
        "num_attention_heads": 24,
        "intermediate_size": 6144,
        "max_position_embeddings": 512,
        "type_vocab_size": 0,
        "relative_attention": False,
        "max_relative_positions": -1,
        "position_buckets": -1,
        "position_biased_input": True,
        "share_att_key": False,
        "norm_rel_ebd": "none",
        "conv_kernel_size": 0,
        "conv_groups": 1,
    },
    derive=_sizes,
    ignored=("position_embeddings",),
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/deberta_v2/modeling_deberta_v2.py",
)
"""`DebertaV2Model`."""
