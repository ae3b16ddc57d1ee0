"""Which models the versions of text-embeddings-inference know.

Source: `Config` in
https://github.com/huggingface/text-embeddings-inference/blob/v1.9.3/backends/candle/src/lib.rs and its states
at older tags.
"""

from embaudit.loaders.tei import decoders, encoders

SINCE_0_1 = (encoders.OLD_BERT, encoders.OLD_XLM_ROBERTA)
SINCE_0_3 = (encoders.JINA_BY_POSITIONS, *SINCE_0_1, encoders.OLD_CAMEMBERT)
SINCE_0_4 = (encoders.JINA_BY_POSITIONS, *encoders.BERTS_BEFORE_1)
SINCE_1_0 = (encoders.JINA_BY_POSITIONS, *encoders.BERTS, encoders.PLAIN_NOMIC)
SINCE_1_1 = (*SINCE_1_0, encoders.OLD_DISTILBERT)
_NAMED = (
    *encoders.JINA_BY_NAME,
    *encoders.BERTS,
    encoders.PLAIN_NOMIC,
    encoders.OLD_DISTILBERT,
    decoders.MISTRAL_ROW,
)
SINCE_1_3 = (*_NAMED, encoders.CUDA_GTE)
SINCE_1_4 = (*SINCE_1_3, decoders.OLD_QWEN2)
SINCE_1_6_0 = (*_NAMED, encoders.OLD_GTE, decoders.OLD_QWEN2, encoders.MPNET_ROW)
SINCE_1_6_1 = (*_NAMED, encoders.GTE, decoders.OLD_QWEN2, encoders.MPNET_ROW)
_SINCE_1_7 = (*encoders.JINA_BY_NAME_OR_MAP, *encoders.BERTS, encoders.MPNET_ROW, encoders.MODERNBERT_ROW)
SINCE_1_7_0 = (
    *_SINCE_1_7,
    encoders.PLAIN_NOMIC,
    encoders.OLD_DISTILBERT,
    decoders.MISTRAL_ROW,
    encoders.GTE,
    decoders.QWEN2_ROW,
)
SINCE_1_7_1 = (
    *_SINCE_1_7,
    encoders.NOMIC,
    encoders.DISTILBERT_ROW,
    decoders.MISTRAL_ROW,
    encoders.GTE,
    decoders.QWEN2_ROW,
)
SINCE_1_7_2 = (*SINCE_1_7_1, decoders.QWEN3_ROW)
SINCE_1_8_1 = (*SINCE_1_7_2, decoders.GEMMA3_ROW)
_SINCE_1_9 = (*_SINCE_1_7, encoders.NOMIC, encoders.DISTILBERT_ROW, decoders.GEMMA3_ROW, encoders.DEBERTA_ROW)
SINCE_1_9_0 = (
    *_SINCE_1_9,
    encoders.SCALED_GTE,
    decoders.MISTRAL_ROW,
    decoders.LLAMA_ROW,
    decoders.QWEN2_ROW,
    decoders.QWEN3_ROW,
)
SINCE_1_9_2 = (*_SINCE_1_9, encoders.PARAMETERS_GTE, *decoders.DECODERS_WITH_ANY_THETA, decoders.PPLX_ROW)
"""The models of an era and those after it, up to the next one that has a row here."""
