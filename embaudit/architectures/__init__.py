"""The tensors that models expect: one frozen `Architecture` a file, and how a configuration fills it in."""

from embaudit.architectures.albert import ALBERT
from embaudit.architectures.bert import BERT
from embaudit.architectures.camembert import CAMEMBERT
from embaudit.architectures.deberta_v2 import DEBERTA_V2
from embaudit.architectures.distilbert import DISTILBERT
from embaudit.architectures.electra import ELECTRA
from embaudit.architectures.expanding import complete_config, expected_model
from embaudit.architectures.gemma3_text import GEMMA3_TEXT
from embaudit.architectures.gte import GTE
from embaudit.architectures.jina_bert_v2 import JINA_BERT_V2
from embaudit.architectures.jina_bert_v2_qk_post_norm import JINA_BERT_V2_QK_POST_NORM
from embaudit.architectures.jina_embeddings_v3 import JINA_EMBEDDINGS_V3
from embaudit.architectures.llama import LLAMA
from embaudit.architectures.mistral import MISTRAL
from embaudit.architectures.modernbert import MODERNBERT
from embaudit.architectures.mpnet import MPNET
from embaudit.architectures.new import NEW
from embaudit.architectures.nomic_bert import NOMIC_BERT
from embaudit.architectures.nomic_bert_remote import NOMIC_BERT_REMOTE
from embaudit.architectures.qwen2 import QWEN2
from embaudit.architectures.qwen3 import QWEN3
from embaudit.architectures.roberta import ROBERTA
from embaudit.architectures.t5 import T5
from embaudit.architectures.t5_encoder import T5_ENCODER
from embaudit.architectures.xlm_roberta import XLM_ROBERTA
from embaudit.architectures.xlm_roberta_flash import XLM_ROBERTA_FLASH
from embaudit.model.architecture import Architecture

ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        BERT,
        ROBERTA,
        XLM_ROBERTA,
        CAMEMBERT,
        DISTILBERT,
        MPNET,
        ALBERT,
        ELECTRA,
        DEBERTA_V2,
        MODERNBERT,
        NOMIC_BERT,
        NOMIC_BERT_REMOTE,
        GTE,
        NEW,
        JINA_EMBEDDINGS_V3,
        XLM_ROBERTA_FLASH,
        JINA_BERT_V2,
        JINA_BERT_V2_QK_POST_NORM,
        T5,
        T5_ENCODER,
        MISTRAL,
        LLAMA,
        QWEN2,
        QWEN3,
        GEMMA3_TEXT,
    )
}
"""Every architecture that is known, by its name here."""


def architectures_of(model_type: str | None) -> tuple[Architecture, ...]:
    """The architectures that a `model_type` may mean: none if unknown, those of transformers first.

    There are several where remote code shares a `model_type`: its `auto_map` says which is meant.
    """
    return tuple(known for known in ARCHITECTURES.values() if model_type in known.model_types)


__all__ = ["ARCHITECTURES", "architectures_of", "complete_config", "expected_model"]
