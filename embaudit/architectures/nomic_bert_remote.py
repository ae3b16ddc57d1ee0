"""Nomic's BERT in the naming of its own repositories: the code of nomic-ai/nomic-bert-2048, and TEI.

Knows nomic-embed-text v1 and v1.5 and the mixture of experts of v2. Knows nothing of the vision model.
"""

from collections.abc import Mapping

from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.architectures.sizes import take_integer, take_size, take_truth
from embaudit.formats.fields import NUMBER, TEXT, take
from embaudit.model.architecture import Architecture, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layers.{layer}"
_MLP = f"{_LAYER}.mlp"
_GATED = frozenset({"glu", "swiglu", "geglu"})
_WIDTH_STEP = 256
"""A gated feed-forward part is as wide as the next multiple of this."""
_EXPERTS = "moe_every_n_layers"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    gated = take(config, "activation_function", TEXT) in _GATED
    return {
        "vocab_size": _rounded_up(take_size(config, "vocab_size"), _vocabulary_step(config)),
        "learned_positions": int(take(config, "rotary_emb_fraction", NUMBER) <= 0),
        "gated": int(gated),
        "gated_bias": int(gated and take_truth(config, "mlp_fc1_bias")),
        "plain_bias": int(not gated and take_truth(config, "mlp_fc1_bias")),
        "inner": _inner(config, gated=gated),
        # A null means that there are no experts, as 0 does.
        _EXPERTS: 0 if config.get(_EXPERTS) is None else take_size(config, _EXPERTS),
    }


def _inner(config: Mapping[str, JSON], *, gated: bool) -> int:
    width = take_size(config, "n_embd")
    unsaid = config.get("n_inner") is None
    if not gated:
        return 4 * width if unsaid else take_size(config, "n_inner")
    return _rounded_up(8 * width // 3 if unsaid else take_size(config, "n_inner"), _WIDTH_STEP)


def _vocabulary_step(config: Mapping[str, JSON]) -> int:
    return take_integer(config, "pad_vocab_size_multiple", least=1)


def _rounded_up(size: int, step: int) -> int:
    return -(-size // step) * step


NOMIC_BERT_REMOTE = Architecture(
    name="nomic_bert_remote",
    model_types=("nomic_bert",),
    class_name="NomicBertModel",
    base_prefix="bert",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "n_embd"),
        *table("embeddings.position_embeddings", "n_positions", "n_embd", when="learned_positions"),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "n_embd", when="type_vocab_size"),
        *norm("emb_ln", "n_embd"),
        *linear(f"{_LAYER}.attn.Wqkv", "3*n_embd", "n_embd", bias="qkv_proj_bias"),
        *linear(f"{_LAYER}.attn.out_proj", "n_embd", "n_embd", bias="qkv_proj_bias"),
        *linear(f"{_MLP}.fc11", "inner", "n_embd", bias="gated_bias", when="gated", every=f"!{_EXPERTS}"),
        *linear(f"{_MLP}.fc12", "inner", "n_embd", bias="gated_bias", when="gated", every=f"!{_EXPERTS}"),
        *linear(f"{_MLP}.fc1", "inner", "n_embd", bias="plain_bias", when="!gated", every=f"!{_EXPERTS}"),
        *linear(f"{_MLP}.fc2", "n_embd", "inner", bias="mlp_fc2_bias", every=f"!{_EXPERTS}"),
        *tensor(f"{_MLP}.router.layer.weight", "num_experts", "n_embd", every=_EXPERTS),
        *tensor(f"{_MLP}.experts.mlp.w1", "num_experts*inner", "n_embd", every=_EXPERTS),
        *tensor(f"{_MLP}.experts.mlp.w2", "num_experts*inner", "n_embd", every=_EXPERTS),
        *tensor(f"{_MLP}.experts.bias", "n_embd", every=_EXPERTS),
        *norm(f"{_LAYER}.norm1", "n_embd"),
        *norm(f"{_LAYER}.norm2", "n_embd"),
    ),
    repeats={"layer": "n_layer"},
    defaults={
        "vocab_size": 50257,
        "n_embd": 768,
        "n_layer": 12,
        "n_positions": 1024,
        "activation_function": "gelu_new",
        "type_vocab_size": 2,
        "rotary_emb_fraction": 0.0,
        "qkv_proj_bias": True,
        "mlp_fc1_bias": True,
        "mlp_fc2_bias": True,
        "pad_vocab_size_multiple": 1,
        _EXPERTS: 0,
        "num_experts": 8,
    },
    aliases={
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    },
    derive=_sizes,
    remote_code=("nomic-ai/nomic-bert-2048",),
    source="https://github.com/huggingface/text-embeddings-inference/blob/00f47a23b5ca110549c7d5d307651be4108a1fc1/backends/candle/src/models/nomic.rs",
)
"""`NomicBertModel` of nomic-ai/nomic-bert-2048 (`modeling_hf_nomic_bert.py`).

`base_prefix` is what that code strips by itself, not the class's `base_model_prefix`, which is `model`: its
`from_pretrained` is its own, and has no pooler. TEI strips nothing, doesn't round `n_inner` up to a multiple
of 256 where the feed-forward part is gated, and takes the token type table for granted.

Verified: names, shapes and biases against TEI's rust source and copies of the python code; that transformers
5.23 maps all of them but biases and experts onto its own `NomicBertModel`, by loading them. Not verified: the
python code of the repository itself, which was not run; the default of `num_experts`.
"""
