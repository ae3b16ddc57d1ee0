"""What the small tokenizer files declare: where texts end, whether they are lowercased, which side is padded.

Knows what transformers makes of `tokenizer_config.json`, and the defaults of the classes that are built like
BERT's tokenizer. Refuses to know `tokenizer.json`, a vocabulary, which is not read: where that alone decides,
the answer is None.
Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/tokenization_utils_base.py
"""

from collections.abc import Mapping

import attrs

from embaudit.errors import FormatError
from embaudit.formats.fields import OBJECT, expect, inside, quoted_value
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


def declared_length(
    declaration: Declaration, folder: str = "", given: Mapping[str, JSON] | None = None
) -> JSON:
    """The length that the files of a folder declare, as it stands there; `max_len` is its former name.

    Args:
        declaration: What the repository declares.
        folder: Path inside the repository without a slash at its end; empty for the root.
        given: Arguments that take the place of what `tokenizer_config.json` says.
    """
    start = f"{folder}/" if folder else ""
    return _length_of({**_object(declaration, f"{start}tokenizer_config.json"), **(given or {})})


def _length_of(settings: Mapping[str, JSON]) -> JSON:
    return settings["model_max_length"] if "model_max_length" in settings else settings.get("max_len")


_LONGEST_NUMBER = 80
"""Digits of a number that a sentence repeats."""
_ENDLESS = 10**20
"""Above this number transformers does not cut texts at all, whatever type the number has."""
_SIZES = 2**64
"""The tokenizers library takes whole numbers below this one."""
_SPECIAL_TOKENS = 2
"""Of a text in BERT's manner; a text is not cut at less than these."""
_CONSTANTS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
"""Numbers that are no JSON and that python reads all the same; declarations hold them as text."""


@attrs.frozen
class MaxLength:
    """What stands where a number of tokens is due, as the tokenizers library takes it.

    Attributes:
        value: The value; None and very large numbers mean that texts are not cut.
        may_be_endless: Whether very large numbers mean that, instead of an error.
    """

    value: JSON
    may_be_endless: bool = True

    @property
    def shown(self) -> str:
        """The value, for a sentence."""
        is_number = isinstance(self.value, int | float)
        return repr(self.value)[:_LONGEST_NUMBER] if is_number else quoted_value(self.value)

    @property
    def tokens(self) -> int | None:
        """At how many tokens texts are cut; None if they are not, or if it is an error."""
        return None if self.fails or self.is_too_short else length(self.value)

    @property
    def is_too_short(self) -> bool:
        """Whether it is less than the special tokens, so that nothing is cut."""
        return isinstance(self.value, int) and 0 <= self.value < _SPECIAL_TOKENS

    @property
    def fails(self) -> bool:
        """Whether the first text that is encoded ends in an error."""
        number = _number(self.value)
        if self.value is None or (self.may_be_endless and number is not None and number > _ENDLESS):
            return False
        return not isinstance(number, int) or not 0 <= number < _SIZES

    def bounded(self, limit: int | None, *, keeps_nan: bool) -> "MaxLength":
        """The smaller of it and the number of positions, as python's `min` has it.

        Args:
            limit: Positions of the model, or None if there is no limit.
            keeps_nan: Whether what is no number at all is the smaller one; it is that which stands first.
        """
        number = _number(self.value)
        if limit is None or (number is None and self.value is not None):
            return self
        if number is None or number >= limit or (number != number and not keeps_nan):  # noqa: PLR0124 - NaN
            return MaxLength(limit)
        return self


def _number(value: JSON) -> int | float | None:
    if isinstance(value, str):
        return _CONSTANTS.get(value)
    return value if isinstance(value, int | float) else None


_ONE_OF = dict.fromkeys(("padding_side", "truncation_side"), _SIDES)
_SWITCHES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
"""Settings of tokenizers like BERT's that must be true or false; `strip_accents` may be null as well."""


def check_tokenizer(
    declaration: Declaration,
    folder: str = "",
    given: Mapping[str, JSON] | None = None,
    *,
    takes_numbers: bool = False,
) -> None:
    """Whether transformers makes a tokenizer of these settings, the vocabulary apart.

    Args:
        declaration: What the repository declares.
        folder: Path inside the repository without a slash at its end; empty for the root.
        given: Arguments that take the place of what `tokenizer_config.json` says.
        takes_numbers: Whether 0 and 1 may stand for false and true; before transformers 5 they may, if
            `tokenizer.json` agrees.

    Raises:
        FormatError: If it ends in an error.
    """
    start = f"{folder}/" if folder else ""
    path = f"{start}tokenizer_config.json"
    declared = expect(declaration.documents.get(path, FrozenMapping[JSON]()), OBJECT, path)
    settings = {**declared, **(given or {})}
    with inside(path):
        for name, known in _ONE_OF.items():
            if name in settings and settings[name] not in known:
                raise FormatError(
                    f"expected {' or '.join(known)}, found {quoted_value(settings[name])}", name
                )
        if _class_of(settings, _object(declaration, f"{start}config.json")) in _LIKE_BERT:
            for name in _SWITCHES:
                _check_switch(settings, name, takes_numbers=takes_numbers)


def _check_switch(settings: Mapping[str, JSON], name: str, *, takes_numbers: bool) -> None:
    value = settings.get(name, False)
    may_be = value is None and name == "strip_accents"
    if may_be or isinstance(value, bool) or (takes_numbers and value in (0, 1)):
        return
    raise FormatError(f"expected true or false, found {quoted_value(value)}", name)


def check_length(declaration: Declaration, folder: str, given: Mapping[str, JSON]) -> None:
    """Whether the declared length can be held against the number of positions, which is a number.

    Raises:
        FormatError: If it is no number, which ends the load.
    """
    declared = declared_length(declaration, folder, given)
    if declared is not None and _number(declared) is None:
        where = f"{folder}/tokenizer_config.json" if folder else "tokenizer_config.json"
        raise FormatError(f"expected a number, found {quoted_value(declared)}", f"{where}: model_max_length")


def _class_of(settings: Mapping[str, JSON], config: Mapping[str, JSON]) -> str:
    """The class without the `Fast` that transformers 4 put at its end."""
    model_type = config.get("model_type")
    usual = _TOKENIZER_OF.get(model_type) if isinstance(model_type, str) else None
    name = settings.get("tokenizer_class") or config.get("tokenizer_class") or usual
    return name.removesuffix(_FAST) if isinstance(name, str) else ""


def _object(declaration: Declaration, path: str) -> Mapping[str, JSON]:
    document = declaration.documents.get(path)
    return document if isinstance(document, Mapping) else FrozenMapping[JSON]()
