"""Nomic's BERT in the naming of transformers 5, which is not that of the repositories' own code."""

from embaudit.architectures.heads import attention_heads
from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role

_LAYER = "layers.{layer}"
_HEADS = "num_attention_heads*head_dim"

NOMIC_BERT = Architecture(
    name="nomic_bert",
    model_types=("nomic_bert",),
    class_name="NomicBertModel",
    base_prefix="nomic_bert",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *tensor("embeddings.token_type_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *linear(f"{_LAYER}.self_attn.q_proj", _HEADS, "hidden_size", bias=False),
        *linear(f"{_LAYER}.self_attn.k_proj", _HEADS, "hidden_size", bias=False),
        *linear(f"{_LAYER}.self_attn.v_proj", _HEADS, "hidden_size", bias=False),
        *linear(f"{_LAYER}.self_attn.o_proj", "hidden_size", _HEADS, bias=False),
        *norm(f"{_LAYER}.post_attention_layernorm", "hidden_size"),
        *linear(f"{_LAYER}.mlp.gate_proj", "intermediate_size", "hidden_size", bias=False),
        *linear(f"{_LAYER}.mlp.up_proj", "intermediate_size", "hidden_size", bias=False),
        *linear(f"{_LAYER}.mlp.down_proj", "hidden_size", "intermediate_size", bias=False),
        *norm(f"{_LAYER}.post_mlp_layernorm", "hidden_size"),
    ),
    defaults={
        "vocab_size": 30528,
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 2048,
        "type_vocab_size": 2,
    },
    derive=attention_heads,
    ignored=("inv_freq", "original_inv_freq"),
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/nomic_bert/modeling_nomic_bert.py",
)
"""`NomicBertModel`.

The checkpoints of nomic-ai have the tensors of `NOMIC_BERT_REMOTE`; transformers renames and splits those
while it loads. It doesn't rename the fields of their `config.json` (`n_embd`, `n_layer`): this class has no
`attribute_map`, so that such a configuration gives a model with this class's defaults.
"""
