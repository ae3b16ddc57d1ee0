"""Names of stored tensors on which no embedding depends: heads, poolers, decoders, computed buffers.

Knows names only. A name that is not listed here is taken to matter: a tensor of a layer beyond those of the
configuration belongs to the model, however it is called.

Names are cut at their dots and looked up, not searched: a file may hold very many names, and very long ones.
"""

import re

from embaudit.model.frozen import FrozenMapping

LAST = FrozenMapping(
    {
        "position_ids": "the numbers 0, 1, 2, ... of the positions",
        "token_type_ids": "the zeros that stand for one segment",
        "inv_freq": "the frequencies of rotary positions, computed from the settings",
        "original_inv_freq": "the frequencies of rotary positions, computed from the settings",
        "cos_cached": "a cache of rotary positions",
        "sin_cached": "a cache of rotary positions",
        "num_batches_tracked": "a counter of training steps",
    }
)
"""Last word of a name to what the tensor is, one noun phrase."""

TOP = FrozenMapping(
    {
        "cls": "BERT's heads for pretraining",
        "lm_head": "a head that predicts words",
        "mlm_head": "a head that predicts words",
        "generator_lm_head": "a head that predicts words",
        "generator_predictions": "ELECTRA's heads",
        "discriminator_predictions": "ELECTRA's heads",
        "lm_predictions": "DeBERTa's heads",
        "mask_predictions": "DeBERTa's heads",
        "predictions": "ALBERT's heads",
        "sop_classifier": "ALBERT's heads",
        "classifier": "a classifier",
        "pre_classifier": "a classifier",
        "qa_outputs": "a head for another task",
        "score": "a head for another task",
        "vocab_transform": "DistilBERT's head",
        "vocab_layer_norm": "DistilBERT's head",
        "vocab_projector": "DistilBERT's head",
    }
)
"""Module at the top level of a model, with or without a wrapper and a base prefix, to what it is."""

START = FrozenMapping(
    {
        "head.dense": "ModernBERT's head",
        "head.norm": "ModernBERT's head",
        "decoder.block": "T5's decoder",
        "decoder.final_layer_norm": "T5's decoder",
        "decoder.embed_tokens": "T5's decoder",
    }
)
"""The first two words of a name that has more, to what the tensor is."""

_WHOLE = FrozenMapping(
    {"decoder.weight": "the projection to words", "decoder.bias": "the projection to words"}
)
_WRAPPER = "module."
"""What torch's DataParallel puts before every name."""
_BASE = re.compile(r"[a-z_]+")
"""A base prefix."""
_BASE_AND_MODULE = 2


def why_harmless(name: str) -> str | None:
    """What the tensor is, if no embedding depends on it; None if one may."""
    if name.startswith("pooler.") or ".pooler." in name:
        return "the pooler, which embedding does not run"
    return LAST.get(name.rpartition(".")[2]) or _WHOLE.get(name) or _at_the_top(name)


def _at_the_top(name: str) -> str | None:
    start = ".".join(name.split(".", 2)[:2])
    if start in START and len(start) < len(name):
        return START[start]
    parts = name.removeprefix(_WRAPPER).split(".", 2)
    if len(parts) > 1 and parts[0] in TOP:
        return TOP[parts[0]]
    has_base = len(parts) > _BASE_AND_MODULE and parts[1] in TOP and _BASE.fullmatch(parts[0])
    return TOP[parts[1]] if has_base else None
