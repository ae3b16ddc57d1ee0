"""Two numbers of a configuration that decide the shape of embeddings and the length of texts.

Knows under which names model types keep the width of their token vectors and the number of positions, and the
defaults of those that leave them out. Refuses to know what else a configuration holds.
Source: the configuration classes of
https://github.com/huggingface/transformers/tree/v5.23.0/src/transformers/models
"""

from collections.abc import Mapping

from embaudit.model.frozen import JSON

_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
"""Names of the width, the usual one first; T5, DistilBERT and GPT-like remote code have others."""
_LIKE_BERT = frozenset(
    {
        *("bert", "camembert", "convbert", "distilbert", "electra", "mpnet"),
        *("roberta", "xlm-roberta", "xlm-roberta-xl", "mobilebert", "squeezebert"),
    }
)
"""Model types whose configuration has 512 positions if it does not say how many."""
_POSITIONS_OF_BERT = 512
_WITHOUT_POSITIONS = frozenset({"t5", "mt5", "umt5", "bloom", "xlnet"})
"""Model types that have relative positions only, so that a text may have any length."""


def width(config: Mapping[str, JSON]) -> int | None:
    """Components of the vector of a token, or None if the configuration does not say."""
    given = (whole(config.get(name)) for name in _WIDTHS)
    text = config.get("text_config")
    inner = width(text) if isinstance(text, Mapping) else None
    return next((number for number in given if number is not None), inner)


def positions(config: Mapping[str, JSON]) -> int | None:
    """Positions that the model has, padding offsets included, or None if there is no limit that is known."""
    model_type = config.get("model_type")
    if model_type in _WITHOUT_POSITIONS:
        return None
    given = whole(config.get("max_position_embeddings"))
    if given is not None:
        return given if given > 0 else None
    return _POSITIONS_OF_BERT if model_type in _LIKE_BERT else None


def has_table_of_positions(config: Mapping[str, JSON]) -> bool:
    """Whether the model is of a type that looks positions up in a table, which ends."""
    return config.get("model_type") in _LIKE_BERT


def whole(value: JSON) -> int | None:
    """A whole number, which `true` is not."""
    return value if type(value) is int else None
