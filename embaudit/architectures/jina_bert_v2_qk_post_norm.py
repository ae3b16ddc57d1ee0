"""Jina's BERT for code: the code of jinaai/jina-bert-v2-qk-post-norm, and TEI."""

from embaudit.architectures.jina_bert_v2 import (
    JINA_BERT_ATTENTION,
    JINA_BERT_DEFAULTS,
    JINA_BERT_EMBEDDINGS,
    JINA_BERT_POOLER,
    jina_bert_sizes,
)
from embaudit.architectures.patterns import linear, norm
from embaudit.model.architecture import Architecture

_LAYER = "encoder.layer.{layer}"

JINA_BERT_V2_QK_POST_NORM = Architecture(
    name="jina_bert_v2_qk_post_norm",
    model_types=("bert",),
    class_name="JinaBertModel",
    base_prefix="bert",
    patterns=(
        *JINA_BERT_EMBEDDINGS,
        *JINA_BERT_ATTENTION,
        *norm(f"{_LAYER}.attention.self.layer_norm_q", "hidden_size"),
        *norm(f"{_LAYER}.attention.self.layer_norm_k", "hidden_size"),
        *norm(f"{_LAYER}.layer_norm_1", "hidden_size"),
        *norm(f"{_LAYER}.layer_norm_2", "hidden_size"),
        *linear(
            f"{_LAYER}.mlp.up_gated_layer", "2*intermediate_size", "hidden_size", bias=False, when="gated"
        ),
        *linear(f"{_LAYER}.mlp.up_layer", "intermediate_size", "hidden_size", bias=False, when="!gated"),
        *linear(f"{_LAYER}.mlp.down_layer", "hidden_size", "intermediate_size"),
        *JINA_BERT_POOLER,
    ),
    defaults={**JINA_BERT_DEFAULTS, "feed_forward_type": "geglu"},
    derive=jina_bert_sizes,
    remote_code=("jinaai/jina-bert-v2-qk-post-norm",),
    source="https://github.com/huggingface/text-embeddings-inference/blob/09b8b2212cc57a33199205cfbecb973e9c2d6eff/backends/candle/src/models/jina_code.rs",
)
"""`JinaBertModel` of jinaai/jina-bert-v2-qk-post-norm (`modeling_bert.py`): jina-embeddings-v2-base-code.

Verified: names, shapes and defaults against TEI's rust source and a copy of the python code. No code was run.
"""
