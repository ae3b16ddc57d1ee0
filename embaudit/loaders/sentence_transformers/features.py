"""What modules of sentence-transformers hand on to one another: the features that each needs and gives.

Knows under which names tokens and the vector of a text are handed on, in 2.0 to 6.2, so that an order of
modules in which one lacks what it needs is told. Refuses to know what the features hold.
Source: the `forward` of each module, https://github.com/huggingface/sentence-transformers/tree/v6.2.0
"""

from collections.abc import Iterable, Mapping, Sequence

from embaudit.formats.fields import quoted
from embaudit.loaders.sentence_transformers.loading import (
    Place,
    Sight,
    normalize_settings,
    read_settings,
)
from embaudit.loaders.sentence_transformers.module_files import Settings
from embaudit.loaders.sentence_transformers.modules import Takes
from embaudit.model.frozen import JSON

TOKENS = "token_embeddings"
VECTOR = "sentence_embedding"
_LENGTHS = "sentence_lengths"
_OFFSETS = "offsets"
_WORDS: Mapping[str, str] = {
    TOKENS: "the vectors of tokens",
    VECTOR: "the vector of a text",
    _LENGTHS: "the numbers of words, which only WordEmbeddings counts",
    _OFFSETS: "the tokens, which it makes itself if it stands first",
}
"""How a sentence names features."""
_NEEDS = {
    "Pooling": (TOKENS,),
    "CNN": (TOKENS,),
    "WordWeights": (TOKENS,),
    "LSTM": (TOKENS, _LENGTHS),
    "Dropout": (VECTOR,),
    "LayerNorm": (VECTOR,),
    "StaticEmbedding": (_OFFSETS,),
}
_GIVES = {
    "Transformer": (TOKENS,),
    "WordEmbeddings": (TOKENS, _LENGTHS),
    "Pooling": (VECTOR,),
    "StaticEmbedding": (VECTOR,),
    "BoW": (VECTOR,),
}
_SPLITS = {"StaticEmbedding": (_OFFSETS,), "BoW": (VECTOR,)}
"""What modules give by splitting texts, which the first one does."""
_RENAMING = {"Dense", "Normalize"}
"""Modules whose settings may name what they take and give."""
_FOLLOWED = frozenset({*_NEEDS, *_GIVES, *_RENAMING})
_TAKE_TEXT = {Takes.TRANSFORMER, Takes.STATIC_TABLE, Takes.WORD_TABLE, Takes.ROUTES, Takes.UNFOLLOWED}


def takes_text(place: Place) -> bool:
    """Whether a module can split texts into tokens, and so stand first."""
    return place.type.takes in _TAKE_TEXT or place.type.name == "BoW"


def lacking_feature(sight: Sight, places: Sequence[Place]) -> str:
    """Why no text can be encoded with these modules in this order; empty if nothing is lacking.

    Nothing is said of what comes after a module that is not followed, as a Router.

    Raises:
        FormatError: If the settings of a module are not as its class needs them.
        CannotTellError: If embaudit could not read them.
    """
    if not places or places[0].by_default:
        return ""
    if not takes_text(places[0]):
        return f"{places[0].type.name}, the first module, takes no text."
    held = {*_SPLITS.get(places[0].type.name, ())}
    for place in places:
        if place.type.name not in _FOLLOWED:
            return ""
        settings = _settings(sight, place)
        lacking = next((name for name in _needs(sight, place, settings) if name not in held), None)
        if lacking is not None:
            return f"{place.type.name} lacks {_WORDS.get(lacking, quoted(lacking))}."
        held.update(_gives(place, settings, held))
    return "" if VECTOR in held else f"no module makes {_WORDS[VECTOR]}."


def _settings(sight: Sight, place: Place) -> Settings:
    if place.type.name == "Normalize":
        return normalize_settings(sight, place)
    is_read = place.type.name in {"Dense", "Transformer"}
    return read_settings(sight, place, may_lack=True) if is_read else {}


def _needs(sight: Sight, place: Place, settings: Settings) -> Iterable[str]:
    if place.type.name == "Normalize" and not sight.era.normalize_needs_vector:
        return ()
    return (_taken(settings),) if place.type.name in _RENAMING else _NEEDS.get(place.type.name, ())


def _gives(place: Place, settings: Settings, held: set[str]) -> Iterable[str]:
    if place.type.name == "Transformer":
        return (_name(settings.get("module_output_name"), TOKENS),)
    if place.type.name not in _RENAMING:
        return _GIVES.get(place.type.name, ())
    taken = _taken(settings)
    return (_name(settings.get("module_output_name"), taken),) if taken in held else ()


def _taken(settings: Settings) -> str:
    return _name(settings.get("module_input_name"), VECTOR)


def _name(value: JSON, usual: str) -> str:
    return value if isinstance(value, str) and value else usual
