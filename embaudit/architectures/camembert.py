"""CamemBERT, as transformers has it: RoBERTa's tensors, and its prefix."""

import attrs

from embaudit.architectures.bert import BERT_DEFAULTS
from embaudit.architectures.roberta import ROBERTA

CAMEMBERT = attrs.evolve(
    ROBERTA,
    name="camembert",
    model_types=("camembert",),
    class_name="CamembertModel",
    defaults=BERT_DEFAULTS,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/camembert/modeling_camembert.py",
)
"""`CamembertModel`."""
