"""ELECTRA, as transformers has it: BERT's layers behind embeddings that may be narrower, and no pooler."""

from collections.abc import Mapping

from embaudit.architectures.bert import BERT_DEFAULTS, BERT_LAYERS, bert_embeddings, bert_sizes
from embaudit.architectures.patterns import linear
from embaudit.architectures.sizes import take_size
from embaudit.model.architecture import Architecture, Sizes
from embaudit.model.frozen import JSON


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    projected = take_size(config, "embedding_size") != take_size(config, "hidden_size")
    return {**bert_sizes(config), "projected": projected}


ELECTRA = Architecture(
    name="electra",
    model_types=("electra",),
    class_name="ElectraModel",
    base_prefix="electra",
    patterns=(
        *bert_embeddings("embedding_size"),
        *linear("embeddings_project", "hidden_size", "embedding_size", when="projected"),
        *BERT_LAYERS,
    ),
    defaults={
        **BERT_DEFAULTS,
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
    derive=_sizes,
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/electra/modeling_electra.py",
)
"""`ElectraModel`: the generator's and the discriminator's."""
