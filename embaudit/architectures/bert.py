"""BERT, as transformers has it."""

from embaudit.architectures.patterns import linear, norm, table, tensor
from embaudit.model.architecture import Architecture, Role

_LAYER = "encoder.layer.{layer}"

BERT_LAYERS = (
    *linear(f"{_LAYER}.attention.self.query", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.self.key", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.self.value", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
    *norm(f"{_LAYER}.attention.output.LayerNorm", "hidden_size"),
    *linear(f"{_LAYER}.intermediate.dense", "intermediate_size", "hidden_size"),
    *linear(f"{_LAYER}.output.dense", "hidden_size", "intermediate_size"),
    *norm(f"{_LAYER}.output.LayerNorm", "hidden_size"),
)
"""The layers that BERT, RoBERTa and their kin share."""

BERT_DEFAULTS = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}

BERT = Architecture(
    name="bert",
    model_types=("bert",),
    class_name="BertModel",
    base_prefix="bert",
    patterns=(
        *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
        *table("embeddings.position_embeddings", "max_position_embeddings", "hidden_size"),
        *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size"),
        *norm("embeddings.LayerNorm", "hidden_size"),
        *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *tensor("embeddings.token_type_ids", "1", "max_position_embeddings", role=Role.BUFFER),
        *BERT_LAYERS,
        *linear("pooler.dense", "hidden_size", "hidden_size", role=Role.UNUSED),
    ),
    defaults=BERT_DEFAULTS,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/bert/modeling_bert.py",
)
"""`BertModel`."""
