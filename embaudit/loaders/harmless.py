"""Names of stored tensors on which no embedding depends: heads, poolers, decoders, computed buffers.

Knows names only. A name that is not listed here is taken to matter: a tensor of a layer beyond those of the
configuration belongs to the model, however it is called.
"""

import re

import attrs

_TOP = r"^(?:module\.)?(?:[a-z_]+\.)?"
"""The top level of a model, with or without a wrapper and a base prefix."""


@attrs.frozen
class HarmlessName:
    """A kind of tensor that embeddings do not use.

    Attributes:
        pattern: Regular expression that is found in its names.
        what: What it is, one noun phrase.
    """

    pattern: re.Pattern[str]
    what: str


def _row(pattern: str, what: str) -> HarmlessName:
    return HarmlessName(re.compile(pattern), what)


HARMLESS = (
    _row(r"(?:^|\.)position_ids$", "the numbers 0, 1, 2, ... of the positions"),
    _row(r"(?:^|\.)token_type_ids$", "the zeros that stand for one segment"),
    _row(
        r"(?:^|\.)(?:original_)?inv_freq$", "the frequencies of rotary positions, computed from the settings"
    ),
    _row(r"(?:^|\.)(?:cos_cached|sin_cached)$", "a cache of rotary positions"),
    _row(r"(?:^|\.)num_batches_tracked$", "a counter of training steps"),
    _row(r"(?:^|\.)pooler\.", "the pooler, which embedding does not run"),
    _row(rf"{_TOP}cls\.", "BERT's heads for pretraining"),
    _row(rf"{_TOP}(?:lm|mlm|generator_lm)_head\.", "a head that predicts words"),
    _row(rf"{_TOP}(?:generator|discriminator)_predictions\.", "ELECTRA's heads"),
    _row(rf"{_TOP}(?:lm|mask)_predictions\.", "DeBERTa's heads"),
    _row(rf"{_TOP}(?:predictions|sop_classifier)\.", "ALBERT's heads"),
    _row(rf"{_TOP}(?:pre_)?classifier\.", "a classifier"),
    _row(rf"{_TOP}(?:qa_outputs|score)\.", "a head for another task"),
    _row(rf"{_TOP}vocab_(?:transform|layer_norm|projector)\.", "DistilBERT's head"),
    _row(r"^head\.(?:dense|norm)\.", "ModernBERT's head"),
    _row(r"^decoder\.(?:weight|bias)$", "the projection to words"),
    _row(r"^decoder\.(?:block|final_layer_norm|embed_tokens)\.", "T5's decoder"),
)
"""Every kind that is known."""


def why_harmless(name: str) -> str | None:
    """What the tensor is, if no embedding depends on it; None if one may."""
    return next((row.what for row in HARMLESS if row.pattern.search(name)), None)
