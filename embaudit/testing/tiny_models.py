"""Configurations of models of a few kilobytes, one an architecture and more where options change the tensors.

torch comes in on demand, where weights are made; importing this module does not import it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.model.architecture import Role

_BERT: Mapping[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
_DECODER: Mapping[str, Any] = {"is_decoder": True, "add_cross_attention": True}
_ROBERTA: Mapping[str, Any] = {
    **_BERT,
    "model_type": "roberta",
    "architectures": ["RobertaModel"],
    "max_position_embeddings": 22,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
_DISTILBERT: Mapping[str, Any] = {
    "model_type": "distilbert",
    "architectures": ["DistilBertModel"],
    "vocab_size": 40,
    "dim": 16,
    "hidden_dim": 24,
    "max_position_embeddings": 20,
    "n_heads": 2,
    "n_layers": 2,
    "activation": "gelu",
    "pad_token_id": 0,
}
_MPNET: Mapping[str, Any] = {
    "model_type": "mpnet",
    "architectures": ["MPNetModel"],
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 22,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "relative_attention_num_buckets": 12,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
}
_ALBERT: Mapping[str, Any] = {
    **_BERT,
    "model_type": "albert",
    "architectures": ["AlbertModel"],
    "embedding_size": 12,
    "num_hidden_groups": 1,
    "inner_group_num": 1,
}
_ELECTRA: Mapping[str, Any] = {
    **_BERT,
    "model_type": "electra",
    "architectures": ["ElectraModel"],
    "embedding_size": 12,
}
_DEBERTA_V2: Mapping[str, Any] = {
    **_BERT,
    "model_type": "deberta-v2",
    "architectures": ["DebertaV2Model"],
    "layer_norm_eps": 1e-7,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 6,
    "max_relative_positions": -1,
    "position_biased_input": False,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}

_MODERNBERT: Mapping[str, Any] = {
    "model_type": "modernbert",
    "architectures": ["ModernBertModel"],
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 20,
    "max_position_embeddings": 22,
    "num_attention_heads": 2,
    "num_hidden_layers": 3,
    "hidden_activation": "gelu",
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "cls_token_id": 1,
    "sep_token_id": 2,
}
_ROTARY_BERT: Mapping[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 28,
    "max_position_embeddings": 20,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_NOMIC_BERT = {**_ROTARY_BERT, "model_type": "nomic_bert", "architectures": ["NomicBertModel"]}
_GTE = {**_ROTARY_BERT, "model_type": "gte", "architectures": ["GteModel"]}
_JINA_3 = {**_ROTARY_BERT, "model_type": "jina_embeddings_v3", "architectures": ["JinaEmbeddingsV3Model"]}
_NOMIC_REMOTE: Mapping[str, Any] = {
    "model_type": "nomic_bert",
    "architectures": ["NomicBertModel"],
    "auto_map": {
        "AutoConfig": "nomic-ai/nomic-bert-2048--configuration_hf_nomic_bert.NomicBertConfig",
        "AutoModel": "nomic-ai/nomic-bert-2048--modeling_hf_nomic_bert.NomicBertModel",
    },
    "vocab_size": 40,
    "n_embd": 16,
    # The remote code rounds the width of a gated feed-forward part up to a multiple of this.
    "n_inner": 256,
    "n_positions": 20,
    "n_head": 2,
    "n_layer": 2,
    "type_vocab_size": 2,
    "activation_function": "swiglu",
    "layer_norm_epsilon": 1e-12,
    "prenorm": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_base": 1000,
    "rotary_emb_interleaved": False,
    "rotary_scaling_factor": None,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "pad_vocab_size_multiple": 8,
    "pad_token_id": 0,
}
_BIASES = {"qkv_proj_bias": True, "mlp_fc1_bias": True, "mlp_fc2_bias": True}
_EXPERTS = {"activation_function": "gelu", "moe_every_n_layers": 2, "num_experts": 3, "moe_top_k": 2}
_NEW: Mapping[str, Any] = {
    **_ROTARY_BERT,
    "model_type": "new",
    "architectures": ["NewModel"],
    "auto_map": {
        "AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig",
        "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel",
    },
    "hidden_act": "gelu",
    "layer_norm_type": "layer_norm",
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "rope",
    "rope_theta": 500000.0,
    "pack_qkv": True,
}
_JINA_2: Mapping[str, Any] = {
    **_BERT,
    "auto_map": {
        "AutoConfig": "jinaai/jina-bert-implementation--configuration_bert.JinaBertConfig",
        "AutoModel": "jinaai/jina-bert-implementation--modeling_bert.JinaBertModel",
    },
    "architectures": ["JinaBertModel"],
    "intermediate_size": 28,
    "position_embedding_type": "alibi",
    "feed_forward_type": "geglu",
}
_JINA_2_CODE: Mapping[str, Any] = {
    **_JINA_2,
    "auto_map": {
        "AutoConfig": "jinaai/jina-bert-v2-qk-post-norm--configuration_bert.JinaBertConfig",
        "AutoModel": "jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertModel",
    },
}
_FLASH_CODE = "jinaai/xlm-roberta-flash-implementation"
_FLASH: Mapping[str, Any] = {
    **_ROTARY_BERT,
    "model_type": "xlm-roberta",
    "architectures": ["XLMRobertaModel"],
    "auto_map": {
        "AutoConfig": f"{_FLASH_CODE}--configuration_xlm_roberta.XLMRobertaFlashConfig",
        "AutoModel": f"{_FLASH_CODE}--modeling_xlm_roberta.XLMRobertaModel",
    },
    "type_vocab_size": 1,
    "position_embedding_type": "rotary",
}
_LORA: Mapping[str, Any] = {
    **_FLASH,
    "architectures": ["XLMRobertaLoRA"],
    "auto_map": {**_FLASH["auto_map"], "AutoModel": f"{_FLASH_CODE}--modeling_lora.XLMRobertaLoRA"},
    "lora_adaptations": ["retrieval.query", "retrieval.passage", "separation"],
    "lora_rank": 5,
}
_T5: Mapping[str, Any] = {
    "model_type": "t5",
    "architectures": ["T5Model"],
    "vocab_size": 40,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "relative_attention_num_buckets": 8,
    "feed_forward_proj": "relu",
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
_T5_ENCODER = {**_T5, "architectures": ["T5EncoderModel"]}
_CAUSAL: Mapping[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 28,
    "max_position_embeddings": 20,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_MISTRAL = {**_CAUSAL, "model_type": "mistral", "architectures": ["MistralModel"]}
_LLAMA = {**_CAUSAL, "model_type": "llama", "architectures": ["LlamaModel"]}
_QWEN2 = {**_CAUSAL, "model_type": "qwen2", "architectures": ["Qwen2Model"]}
_QWEN3 = {**_CAUSAL, "model_type": "qwen3", "architectures": ["Qwen3Model"], "head_dim": 6}
_GEMMA3 = {**_CAUSAL, "model_type": "gemma3_text", "architectures": ["Gemma3TextModel"], "head_dim": 6}

TINY_CONFIGS: Mapping[str, tuple[Mapping[str, Any], ...]] = MappingProxyType(
    {
        "bert": (_BERT, {**_BERT, **_DECODER}),
        "roberta": (_ROBERTA, {**_ROBERTA, **_DECODER}),
        "xlm-roberta": ({**_ROBERTA, "model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"]},),
        "camembert": ({**_ROBERTA, "model_type": "camembert", "architectures": ["CamembertModel"]},),
        "distilbert": (_DISTILBERT, {**_DISTILBERT, "sinusoidal_pos_embds": True}),
        "mpnet": (_MPNET,),
        "albert": (_ALBERT, {**_ALBERT, "num_hidden_groups": 2, "inner_group_num": 3}),
        "electra": (_ELECTRA, {**_ELECTRA, "embedding_size": 16}, {**_ELECTRA, **_DECODER}),
        "deberta-v2": (
            _DEBERTA_V2,
            {**_DEBERTA_V2, "type_vocab_size": 2, "position_biased_input": True, "relative_attention": False},
            {**_DEBERTA_V2, "share_att_key": False, "position_buckets": -1, "norm_rel_ebd": "none"},
            {**_DEBERTA_V2, "pos_att_type": "c2p", "share_att_key": False, "max_relative_positions": 9},
            {**_DEBERTA_V2, "embedding_size": 12, "conv_kernel_size": 3, "conv_act": "gelu"},
            {**_DEBERTA_V2, "attention_head_size": 7, "conv_kernel_size": 3, "conv_groups": 2},
        ),
        "modernbert": (
            _MODERNBERT,
            {**_MODERNBERT, "norm_bias": True},
            {**_MODERNBERT, "attention_bias": True, "mlp_bias": True},
        ),
        "nomic_bert": (_NOMIC_BERT, {**_NOMIC_BERT, "head_dim": 6}),
        "nomic_bert_remote": (
            _NOMIC_REMOTE,
            {**_NOMIC_REMOTE, **_BIASES},
            {**_NOMIC_REMOTE, "activation_function": "gelu", "vocab_size": 37, "rotary_emb_fraction": 0.0},
            {**_NOMIC_REMOTE, **_BIASES, **_EXPERTS, "n_layer": 3},
        ),
        "new": (
            _NEW,
            {**_NEW, "type_vocab_size": 0},
            {**_NEW, "pack_qkv": False, "layer_norm_type": "rms_norm", "position_embedding_type": "absolute"},
        ),
        "jina_bert_v2": (
            _JINA_2,
            {**_JINA_2, "feed_forward_type": "original", "position_embedding_type": "absolute"},
        ),
        "jina_bert_v2_qk_post_norm": (_JINA_2_CODE, {**_JINA_2_CODE, "feed_forward_type": "original"}),
        "xlm_roberta_flash": (_FLASH, _LORA),
        "gte": (_GTE, {**_GTE, "type_vocab_size": 0}),
        "jina_embeddings_v3": (_JINA_3,),
        "t5": (
            _T5,
            {**_T5, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 3},
        ),
        "t5_encoder": (_T5_ENCODER, {**_T5_ENCODER, "feed_forward_proj": "gated-gelu"}),
        "mistral": (_MISTRAL, {**_MISTRAL, "head_dim": 6}),
        "llama": (
            _LLAMA,
            {**_LLAMA, "attention_bias": True, "num_key_value_heads": None},
            {**_LLAMA, "mlp_bias": True, "head_dim": 6},
        ),
        "qwen2": (_QWEN2, {**_QWEN2, "num_key_value_heads": 4}),
        "qwen3": (_QWEN3, {**_QWEN3, "attention_bias": True}),
        "gemma3_text": (_GEMMA3, {**_GEMMA3, "attention_bias": True}),
    }
)
"""Architecture's name to configurations, each a complete `config.json`; the first one is the plainest. Sizes
differ from one another, so that a tensor with its dimensions swapped has another shape."""


def tiny_weights(name: str, config: Mapping[str, Any] | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Random float32 torch tensors for every parameter that a tiny model has, buffers left out.

    Args:
        name: The architecture's name.
        config: One of its configurations; the first one if it is left out.
        seed: The same seed gives the same values.
    """
    import torch  # noqa: PLC0415 - on demand

    generator = torch.Generator().manual_seed(seed)
    expected = expected_model(ARCHITECTURES[name], TINY_CONFIGS[name][0] if config is None else config)
    tensors = (tensor for tensor in expected.tensors.values() if tensor.role is not Role.BUFFER)
    return {tensor.name: torch.randn(tensor.shape, generator=generator) for tensor in tensors}
