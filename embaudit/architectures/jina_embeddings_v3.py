"""Jina's third embedding model in the naming of transformers 5, which is not that of its own remote code."""

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role

_LAYER = "layers.{layer}"
_HEADS = "num_attention_heads*head_dim"

JINA_EMBEDDINGS_V3 = Architecture(
    name="jina_embeddings_v3",
    model_types=("jina_embeddings_v3",),
    class_name="JinaEmbeddingsV3Model",
    base_prefix="roberta",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *tensor("embeddings.token_type_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_LAYER}.self_attn.q_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.k_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.v_proj", _HEADS, "hidden_size"),
        *linear(f"{_LAYER}.self_attn.o_proj", "hidden_size", _HEADS),
        *norm(f"{_LAYER}.post_attention_layernorm", "hidden_size"),
        *linear(f"{_LAYER}.mlp.fc1", "intermediate_size", "hidden_size"),
        *linear(f"{_LAYER}.mlp.fc2", "hidden_size", "intermediate_size"),
        *norm(f"{_LAYER}.post_mlp_layernorm", "hidden_size"),
        *linear("pooler.dense", "hidden_size", "hidden_size", role=Role.UNUSED),
    ),
    defaults={
        "vocab_size": 250002,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "max_position_embeddings": 8194,
        "type_vocab_size": 1,
    },
    derive=attention_heads,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/jina_embeddings_v3/modeling_jina_embeddings_v3.py",
)
"""`JinaEmbeddingsV3Model`, which has no LoRA tensors: here those are adapters beside the model."""
