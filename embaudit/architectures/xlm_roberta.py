"""XLM-RoBERTa, as transformers has it: RoBERTa's tensors, and its prefix."""

import attrs

from embaudit.architectures.bert import BERT_DEFAULTS
from embaudit.architectures.roberta import ROBERTA

XLM_ROBERTA = attrs.evolve(
    ROBERTA,
    name="xlm-roberta",
    model_types=("xlm-roberta",),
    class_name="XLMRobertaModel",
    defaults=BERT_DEFAULTS,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/xlm_roberta/modeling_xlm_roberta.py",
)
"""`XLMRobertaModel`. Not `xlm-roberta-xl`, whose layers have their norms elsewhere."""
