"""Jina's second BERT: the code of jinaai/jina-bert-implementation, and TEI."""

from collections.abc import Mapping

from embaudit.architectures.bert import BERT_DEFAULTS
from embaudit.architectures.patterns import Patterns, linear, norm, table, tensor
from embaudit.errors import FormatError
from embaudit.formats.fields import TEXT, take
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layer.{layer}"
_WITHOUT_TABLE = "alibi"
_KNOWN_POSITIONS = frozenset({_WITHOUT_TABLE, "absolute"})


def jina_bert_sizes(config: Mapping[str, JSON]) -> Sizes:
    """Whether positions are learned, and whether the feed-forward part is gated.

    Raises:
        FormatError: If one of the two fields is no text, or the positions are of a kind that no published
            model of this code has.
    """
    positions = take(config, "position_embedding_type", TEXT)
    if positions not in _KNOWN_POSITIONS:
        raise FormatError(f"expected one of {', '.join(sorted(_KNOWN_POSITIONS))}", "position_embedding_type")
    return {
        "learned_positions": int(positions != _WITHOUT_TABLE),
        "gated": int(take(config, "feed_forward_type", TEXT).endswith("glu")),
    }


JINA_BERT_EMBEDDINGS: Patterns = (
    *table("embeddings.word_embeddings", "vocab_size", "hidden_size"),
    *table(
        "embeddings.position_embeddings", "max_position_embeddings", "hidden_size", when="learned_positions"
    ),
    *table("embeddings.token_type_embeddings", "type_vocab_size", "hidden_size"),
    *norm("embeddings.LayerNorm", "hidden_size"),
    *tensor("embeddings.position_ids", "1", "max_position_embeddings", role=Role.BUFFER),
    *tensor("embeddings.token_type_ids", "1", "max_position_embeddings", role=Role.BUFFER),
)
JINA_BERT_ATTENTION: Patterns = (
    *linear(f"{_LAYER}.attention.self.query", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.self.key", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.self.value", "hidden_size", "hidden_size"),
    *linear(f"{_LAYER}.attention.output.dense", "hidden_size", "hidden_size"),
    *norm(f"{_LAYER}.attention.output.LayerNorm", "hidden_size"),
)
JINA_BERT_POOLER = linear("pooler.dense", "hidden_size", "hidden_size", role=Role.UNUSED)
JINA_BERT_DEFAULTS: Mapping[str, JSON] = {
    **BERT_DEFAULTS,
    "position_embedding_type": "absolute",
    "feed_forward_type": "original",
}

JINA_BERT_V2 = Architecture(
    name="jina_bert_v2",
    model_types=("bert",),
    class_name="JinaBertModel",
    base_prefix="bert",
    patterns=(
        *JINA_BERT_EMBEDDINGS,
        *JINA_BERT_ATTENTION,
        *linear(f"{_LAYER}.mlp.gated_layers", "2*intermediate_size", "hidden_size", bias=False, when="gated"),
        *linear(f"{_LAYER}.mlp.wo", "hidden_size", "intermediate_size", when="gated"),
        *norm(f"{_LAYER}.mlp.layernorm", "hidden_size", when="gated"),
        *linear(f"{_LAYER}.intermediate.dense", "intermediate_size", "hidden_size", when="!gated"),
        *linear(f"{_LAYER}.output.dense", "hidden_size", "intermediate_size", when="!gated"),
        *norm(f"{_LAYER}.output.LayerNorm", "hidden_size", when="!gated"),
        *JINA_BERT_POOLER,
    ),
    defaults=JINA_BERT_DEFAULTS,
    derive=jina_bert_sizes,
    remote_code=("jinaai/jina-bert-implementation",),
    source="https://github.com/huggingface/text-embeddings-inference/blob/02506d0b3879596c20905951425d16f09be1a556/backends/candle/src/models/jina.rs",
)
"""`JinaBertModel` of jinaai/jina-bert-implementation (`modeling_bert.py`).

`model_type` is `bert`, as that of a plain BERT. Only `auto_map` or `_name_or_path` tell them apart, and a
copy that names its code without a repository is told apart from `JINA_BERT_V2_QK_POST_NORM` by tensors alone.

Verified: names and shapes with gated layers against TEI's rust source and copies of the python code. Not
verified: the layers without a gate, which are as in BERT where the code was read; no code was run.
"""
