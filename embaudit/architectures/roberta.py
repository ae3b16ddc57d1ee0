"""RoBERTa, as transformers has it: BERT's tensors under another prefix."""

import attrs

from embaudit.architectures.bert import BERT, BERT_DEFAULTS

ROBERTA = attrs.evolve(
    BERT,
    name="roberta",
    model_types=("roberta",),
    class_name="RobertaModel",
    base_prefix="roberta",
    defaults={**BERT_DEFAULTS, "vocab_size": 50265},
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/modeling_roberta.py",
)
"""`RobertaModel`."""
