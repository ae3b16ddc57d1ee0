"""What the small tokenizer files declare: where texts end, whether they are lowercased, which side is padded.

Knows what transformers makes of `tokenizer_config.json`, and the defaults of the classes that are built like
BERT's tokenizer. Refuses to know `tokenizer.json`, a vocabulary, which is not read: where that alone decides,
the answer is None.
Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/tokenization_utils_base.py
"""

from collections.abc import Mapping

import attrs

from embaudit.model.declaration import Declaration
from embaudit.model.frozen import JSON, FrozenMapping

UNLIMITED = 1_000_000_000
"""A `model_max_length` from here on means that there is none; transformers writes 1e30."""
_LIKE_BERT = frozenset(
    {
        *("BertTokenizer", "ConvBertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "FunnelTokenizer"),
        *("LayoutLMTokenizer", "LxmertTokenizer", "MobileBertTokenizer", "MPNetTokenizer"),
        *("SqueezeBertTokenizer",),
    }
)
"""Classes that lowercase where `do_lower_case` says so or is absent, whatever `tokenizer.json` says."""
_TOKENIZER_OF = {
    "bert": "BertTokenizer",
    "convbert": "ConvBertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "squeezebert": "SqueezeBertTokenizer",
}
"""`model_type` to the tokenizer of a repository that names none."""
_FAST = "Fast"
_SIDES = ("left", "right")


@attrs.frozen(kw_only=True)
class DeclaredTokenizer:
    """What the small tokenizer files of a folder declare.

    Attributes:
        max_length: `model_max_length` in tokens, or None if there is no limit.
        lowercase: Whether the tokenizer lowercases, or None if only `tokenizer.json` tells.
        padding_side: `left` or `right`, or None if the class decides and is not known here.
    """

    max_length: int | None = None
    lowercase: bool | None = None
    padding_side: str | None = None


def declared_tokenizer(
    declaration: Declaration, folder: str = "", given: Mapping[str, JSON] | None = None
) -> DeclaredTokenizer:
    """The tokenizer that the files of a folder declare.

    Args:
        declaration: What the repository declares.
        folder: Path inside the repository without a slash at its end; empty for the root.
        given: Arguments that take the place of what `tokenizer_config.json` says.
    """
    start = f"{folder}/" if folder else ""
    settings = {**_object(declaration, f"{start}tokenizer_config.json"), **(given or {})}
    is_like_bert = _class_of(settings, _object(declaration, f"{start}config.json")) in _LIKE_BERT
    side = settings.get("padding_side", "right" if is_like_bert else None)
    return DeclaredTokenizer(
        max_length=length(settings.get("model_max_length")),
        lowercase=bool(settings.get("do_lower_case", True)) if is_like_bert else None,
        padding_side=side if isinstance(side, str) and side in _SIDES else None,
    )


def length(value: JSON) -> int | None:
    """A number of tokens, or None if it is none or stands for no limit."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 < value < UNLIMITED else None


def _class_of(settings: Mapping[str, JSON], config: Mapping[str, JSON]) -> str:
    """The class without the `Fast` that transformers 4 put at its end."""
    model_type = config.get("model_type")
    usual = _TOKENIZER_OF.get(model_type) if isinstance(model_type, str) else None
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or usual
    return name.removesuffix(_FAST) if isinstance(name, str) else ""


def _object(declaration: Declaration, path: str) -> Mapping[str, JSON]:
    document = declaration.documents.get(path)
    return document if isinstance(document, Mapping) else FrozenMapping[JSON]()
