"""The fields of `config.json` that each model of text-embeddings-inference asks for, and the values it takes.

Knows the structures that its candle backend makes of the file. Where one of these fields is left out, though
transformers has a default for it, the server does not start.

Source: the structures `BertConfig`, `DistilBertConfig`, ... under
https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3/backends/candle/src/models, and the older
states that are named beside the rows.
"""

from embaudit.loaders.serde import Field, Fields, Kind, Presence, optional, required

_SIZES = (
    "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size max_position_embeddings"
)
_LABELS = (Field("id2label", Kind.TEXTS_BY_NAME, Presence.OPTIONAL),)


def _is(kind: Kind, name: str, *values: str | float) -> Fields:
    return (Field(name, kind, only=values),)


def _position(*values: str) -> Fields:
    return (Field("position_embedding_type", Kind.TEXT, Presence.DEFAULTED, only=values),)


_BERT_KIN = (
    *required(Kind.COUNT, f"{_SIZES} type_vocab_size pad_token_id"),
    *required(Kind.ACTIVATION, "hidden_act"),
    *required(Kind.NUMBER, "hidden_dropout_prob initializer_range layer_norm_eps"),
    Field("use_cache", Kind.TRUTH, Presence.DEFAULTED),
    *optional(Kind.NUMBER, "classifier_dropout"),
    *_LABELS,
)

BERT_CONFIG = (*_BERT_KIN, *_position("absolute"))
"""bert, roberta, xlm-roberta and camembert: positions have to be absolute ones."""

JINA_CONFIG = (*_BERT_KIN, *_position("absolute", "alibi"))
"""The jina models, which are `bert` in their `model_type`."""

DISTILBERT_CONFIG = (
    *required(Kind.COUNT, "vocab_size dim n_layers n_heads hidden_dim max_position_embeddings pad_token_id"),
    *required(Kind.ACTIVATION, "activation"),
    *optional(Kind.NUMBER, "classifier_dropout"),
    *_LABELS,
)

MPNET_CONFIG = (
    *required(Kind.COUNT, f"{_SIZES} relative_attention_num_buckets"),
    *required(Kind.ACTIVATION, "hidden_act"),
    *required(
        Kind.NUMBER, "hidden_dropout_prob attention_probs_dropout_prob initializer_range layer_norm_eps"
    ),
)

_NOMIC = (
    *required(Kind.COUNT, "n_embd n_head n_inner n_layer n_positions vocab_size"),
    *required(Kind.NUMBER, "rotary_emb_base layer_norm_epsilon"),
    *optional(Kind.NUMBER, "rotary_scaling_factor"),
    Field("max_trained_positions", Kind.COUNT, Presence.DEFAULTED),
    *_is(Kind.TRUTH, "prenorm", False),
    *_is(Kind.TRUTH, "rotary_emb_interleaved", False),
    Field("rotary_emb_fraction", Kind.NUMBER, only=(1, 1.0)),
    *required(Kind.COUNT, "type_vocab_size"),
)
NOMIC_CONFIG = (
    *_NOMIC,
    *required(Kind.TRUTH, "qkv_proj_bias mlp_fc1_bias mlp_fc2_bias"),
    *required(Kind.ACTIVATION, "activation_function"),
    *optional(Kind.COUNT, "moe_every_n_layers moe_top_k num_experts"),
    *optional(Kind.TRUTH, "moe_normalize_expert_weights"),
)
"""nomic_bert since biases and experts are supported: https://github.com/huggingface/text-embeddings-inference/pull/596."""
PLAIN_NOMIC_CONFIG = (
    *_NOMIC,
    *(Field(name, Kind.TRUTH, only=(False,)) for name in ("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias")),
    *_is(Kind.TEXT, "activation_function", "swiglu"),
)
"""nomic_bert before that: `NomicConfig.valid` wanted swiglu and no bias anywhere."""

MODERNBERT_CONFIG = (
    *required(
        Kind.COUNT,
        f"{_SIZES} pad_token_id eos_token_id bos_token_id cls_token_id sep_token_id"
        " global_attn_every_n_layers local_attention",
    ),
    *required(Kind.ACTIVATION, "hidden_activation classifier_activation"),
    *required(
        Kind.NUMBER,
        "initializer_range initializer_cutoff_factor norm_eps global_rope_theta local_rope_theta"
        " attention_dropout",
    ),
    *required(Kind.TRUTH, "norm_bias attention_bias"),
    *optional(Kind.NUMBER, "embedding_dropout mlp_dropout classifier_dropout"),
    *optional(Kind.TRUTH, "mlp_bias decoder_bias classifier_bias deterministic_flash_attn sparse_prediction"),
    *optional(Kind.TRUTH, "reference_compile"),
    *optional(Kind.INTEGER, "sparse_pred_ignore_index"),
    *optional(Kind.COUNT, "num_labels"),
)

_GTE = (
    *required(Kind.COUNT, f"{_SIZES} type_vocab_size"),
    *required(Kind.ACTIVATION, "hidden_act"),
    *required(Kind.TEXT, "layer_norm_type"),
    *required(Kind.NUMBER, "layer_norm_eps"),
    *_is(Kind.TEXT, "position_embedding_type", "rope"),
    *(
        Field(name, Kind.TRUTH, Presence.DEFAULTED, only=(False,))
        for name in ("logn_attention_scale", "logn_attention_clip1")
    ),
    *_LABELS,
)
NTK_GTE_CONFIG = (
    *_GTE,
    *required(Kind.NUMBER, "rope_theta"),
    *optional(Kind.NTK_SCALING, "rope_scaling"),
)
"""gte while `RopeScaling` was an enumeration by `type` with ntk as its only member."""
GTE_CONFIG = (*_GTE, *required(Kind.NUMBER, "rope_theta"), *optional(Kind.ANY_SCALING, "rope_scaling"))
"""gte since `RopeScaling` is told by its fields, whatever its type is called."""
ROPE_PARAMETERS_GTE_CONFIG = (
    *_GTE,
    Field("rope_theta", Kind.NUMBER, Presence.OPTIONAL),
    *optional(Kind.ANY_SCALING, "rope_scaling"),
    *optional(Kind.ROPE_PARAMETERS, "rope_parameters"),
)
"""gte since `rope_parameters` may hold the theta instead:
https://github.com/huggingface/text-embeddings-inference/pull/832."""

_DECODER = (
    *required(Kind.COUNT, f"{_SIZES} num_key_value_heads"),
    *required(Kind.ACTIVATION, "hidden_act"),
    *required(Kind.NUMBER, "rms_norm_eps rope_theta"),
)
MISTRAL_CONFIG = (
    *_DECODER,
    *required(Kind.NUMBER, "initializer_range"),
    *optional(Kind.COUNT, "sliding_window"),
)
LLAMA_CONFIG = (
    *_DECODER,
    *required(Kind.NUMBER, "initializer_range"),
    *optional(Kind.COUNT, "sliding_window head_dim bos_token_id eos_token_id pad_token_id pretraining_tp"),
    *optional(Kind.ANY_SCALING, "rope_scaling"),
    *optional(Kind.NUMBER, "attention_dropout"),
    *optional(Kind.TRUTH, "attention_bias tie_word_embeddings"),
    *(Field(name, Kind.TRUTH, Presence.DEFAULTED) for name in ("use_bidirectional_attention", "mlp_bias")),
)
_QWEN = (*_DECODER, *_is(Kind.TRUTH, "use_sliding_window", False))
QWEN2_CONFIG = (*_QWEN, *optional(Kind.COUNT, "sliding_window"))
WINDOWED_QWEN2_CONFIG = (*_QWEN, *required(Kind.COUNT, "sliding_window"))
"""qwen2 while its `sliding_window` could not be null:
https://github.com/huggingface/text-embeddings-inference/pull/546."""
QWEN3_CONFIG = (
    *_QWEN,
    *required(Kind.TRUTH, "attention_bias"),
    *required(Kind.COUNT, "eos_token_id"),
    *optional(Kind.COUNT, "sliding_window head_dim"),
)
GEMMA3_CONFIG = (
    *required(Kind.TRUTH, "attention_bias"),
    *required(
        Kind.COUNT,
        f"{_SIZES} num_key_value_heads pad_token_id query_pre_attn_scalar _sliding_window_pattern",
    ),
    *required(Kind.ACTIVATION, "hidden_activation"),
    *required(Kind.NUMBER, "rms_norm_eps rope_local_base_freq rope_theta"),
    *optional(Kind.COUNT, "head_dim sliding_window"),
)

DEBERTA_CONFIG = (
    *required(Kind.COUNT, f"{_SIZES} type_vocab_size"),
    Field("hidden_act", Kind.TEXT, only=("gelu", "relu")),
    *required(Kind.NUMBER, "initializer_range layer_norm_eps"),
    *required(Kind.TRUTH, "relative_attention position_biased_input"),
    *required(Kind.INTEGER, "max_relative_positions"),
    *required(Kind.TEXT_OR_TEXTS, "pos_att_type"),
    *optional(Kind.INTEGER, "position_buckets"),
    *optional(Kind.TRUTH, "share_att_key"),
    *optional(
        Kind.COUNT,
        "pad_token_id attention_head_size embedding_size conv_kernel_size conv_groups pooler_hidden_size",
    ),
    *optional(Kind.TEXT, "norm_rel_ebd conv_act"),
    Field("pooler_hidden_act", Kind.TEXT, Presence.OPTIONAL, only=("gelu", "relu")),
    *_LABELS,
    Field("label2id", Kind.COUNTS_BY_NAME, Presence.OPTIONAL),
)

_ROUTER = (
    *required(Kind.TEXT, "model_type"),
    Field("max_position_embeddings", Kind.COUNT, aliases=("n_positions",)),
)
OLD_ROUTER_CONFIG = (*_ROUTER, Field("pad_token_id", Kind.COUNT, Presence.DEFAULTED))
"""What the router asks for, whatever the model."""
ROUTER_CONFIG = (
    *required(Kind.TEXTS, "architectures"),
    *OLD_ROUTER_CONFIG,
    *_LABELS,
    Field("label2id", Kind.COUNTS_BY_NAME, Presence.OPTIONAL),
)
"""The same since models may be classifiers: fields that only those need have to be right in all models."""
MAPPED_ROUTER_CONFIG = (
    *required(Kind.TEXTS, "architectures"),
    *_ROUTER,
    *optional(Kind.COUNT, "pad_token_id"),
    *_LABELS,
    Field("label2id", Kind.COUNTS_BY_NAME, Presence.OPTIONAL),
    *optional(Kind.TEXTS_BY_NAME, "auto_map"),
)
"""The same since it looks at `auto_map` for the tokenizer of qwen2:
https://github.com/huggingface/text-embeddings-inference/pull/762."""

OLD_ACTIVATIONS = ("gelu", "relu")
"""Before nomic: https://github.com/huggingface/text-embeddings-inference/blob/v0.6.0/backends/candle/src/layers.rs."""
SWIGLU_ACTIVATIONS = (*OLD_ACTIVATIONS, "swiglu")
SILU_ACTIVATIONS = (*SWIGLU_ACTIVATIONS, "silu")
GEMMA_ACTIVATIONS = (*SILU_ACTIVATIONS, "gelu_pytorch_tanh")
"""With Gemma 3, whose published configurations have it: users of 1.8 got past their reading,
https://github.com/huggingface/text-embeddings-inference/pull/711 and
https://github.com/huggingface/text-embeddings-inference/issues/748."""
ACTIVATIONS = (*GEMMA_ACTIVATIONS, "gelu_new", "tanh")
"""https://github.com/huggingface/text-embeddings-inference/pull/753."""


def without_theta(fields: Fields) -> Fields:
    """The fields, of which `rope_theta` may be missing or null."""
    theta = Field("rope_theta", Kind.NUMBER, Presence.OPTIONAL)
    return tuple(theta if field.name == theta.name else field for field in fields)
