"""What a field of a settings file has to be, by the rules of serde, with which the server reads.

Knows the types that its structures have, and what serde_json makes of other values: an error, which keeps the
server from starting. Which structure has which fields is for `configs` and `settings`.

Source: https://docs.rs/serde_json/1.0 and https://serde.rs/field-attrs.html: a field without `default` has to
be there unless it is an `Option`; null is taken for an `Option` only; a whole number is no text and no truth;
1.0 is no whole number; what no field asks for is ignored.
"""

import enum
from collections.abc import Callable, Iterable, Mapping

import attrs

from embaudit.model.frozen import JSON

LARGEST_COUNT = 2**64 - 1
"""Of a `usize` on the machines that the images are made for."""


class Presence(str, enum.Enum):
    """Whether a field has to be there."""

    REQUIRED = "required"
    DEFAULTED = "defaulted"
    """It may be left out, and may not be null."""
    OPTIONAL = "optional"
    """It may be left out or null."""


class Kind(str, enum.Enum):
    """The type of a field."""

    COUNT = "a whole number from 0 on"
    NUMBER = "a number"
    TRUTH = "true or false"
    TEXT = "a text"
    TEXTS = "a list of texts"
    TEXTS_BY_NAME = "an object of texts"
    COUNTS_BY_NAME = "an object of whole numbers from 0 on"
    ACTIVATION = "an activation that it knows"
    TEXT_OR_TEXTS = "a text or a list of texts"
    ANY_SCALING = "an object with a number `factor` and a text `type` or `rope_type`"
    NTK_SCALING = "an object with the `type` ntk and a number `factor`"
    ROPE_PARAMETERS = "an object with a number `rope_theta` and a text `rope_type`"
    INTEGER = "a whole number"


@attrs.frozen
class Field:
    """One field of a structure.

    Attributes:
        name: Its name in the file.
        kind: Its type.
        presence: Whether it has to be there.
        aliases: Other names that are taken for it.
        only: The values that are taken, where not every one of the type is; empty for all.
    """

    name: str
    kind: Kind
    presence: Presence = Presence.REQUIRED
    aliases: tuple[str, ...] = ()
    only: tuple[JSON, ...] = ()


Fields = tuple[Field, ...]


def required(kind: Kind, names: str) -> Fields:
    """Required fields of one kind, their names with blanks between them."""
    return tuple(Field(name, kind) for name in names.split())


def optional(kind: Kind, names: str) -> Fields:
    """Fields of one kind that may be left out or null."""
    return tuple(Field(name, kind, Presence.OPTIONAL) for name in names.split())


def first_problem(document: JSON, fields: Iterable[Field], activations: Iterable[str] = ()) -> str:
    """Why serde cannot make a structure of a document, one clause; empty if it can.

    Args:
        document: The parsed file.
        fields: The fields of the structure.
        activations: The names that its activations may have.
    """
    if not isinstance(document, Mapping):
        return "it holds no object"
    names = frozenset(activations)
    return next((problem for field in fields if (problem := _problem(document, field, names))), "")


def _problem(document: Mapping[str, JSON], field: Field, activations: frozenset[str]) -> str:
    named = [name for name in (field.name, *field.aliases) if name in document]
    if not named:
        return f"it lacks `{field.name}`" if field.presence is Presence.REQUIRED else ""
    if len(named) > 1:
        return f"it has both `{named[0]}` and `{named[1]}`"
    value = document[named[0]]
    if value is None and field.presence is Presence.OPTIONAL:
        return ""
    if field.kind is Kind.ACTIVATION:
        return "" if value in activations else f"its `{named[0]}` is {shown(value)}, which it does not know"
    if not _CHECKS[field.kind](value):
        return f"its `{named[0]}` is {shown(value)} and not {field.kind.value}"
    if field.only and not any(value == each and type(value) is type(each) for each in field.only):
        return f"its `{named[0]}` is {shown(value)}, which is not supported"
    return ""


_SHOWN = 60
"""Characters of a value that a reason quotes at most: a repository may put megabytes there."""


def shown(value: JSON) -> str:
    """A value as a reason quotes it."""
    if value is None:
        return "null"
    if isinstance(value, int) and abs(value) > LARGEST_COUNT:
        return "a number beyond 64 bits"
    try:
        text = repr(value)
    except ValueError:  # python writes no whole number of more than 4,300 digits, in a list neither
        return "something with a number beyond 64 bits"
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}...`"


def is_count(value: JSON) -> bool:
    """Whether a value is a `usize`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT


def _is_number(value: JSON) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: JSON) -> bool:
    return isinstance(value, str)


def _is_texts(value: JSON) -> bool:
    return isinstance(value, (tuple, list)) and all(isinstance(each, str) for each in value)


def _is_any_scaling(value: JSON) -> bool:
    if not isinstance(value, Mapping):
        return False
    return _is_number(value.get("factor")) and _is_text(value.get("rope_type", value.get("type")))


def _is_ntk_scaling(value: JSON) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "ntk" and _is_number(value.get("factor"))


def _is_rope_parameters(value: JSON) -> bool:
    if not isinstance(value, Mapping):
        return False
    return _is_number(value.get("rope_theta")) and _is_text(value.get("rope_type"))


def _by_name(check: Callable[[JSON], bool]) -> Callable[[JSON], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(check, value.values()))


_CHECKS: Mapping[Kind, Callable[[JSON], bool]] = {
    Kind.COUNT: is_count,
    Kind.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63,
    Kind.NUMBER: _is_number,
    Kind.TRUTH: lambda value: isinstance(value, bool),
    Kind.TEXT: _is_text,
    Kind.TEXTS: _is_texts,
    Kind.TEXTS_BY_NAME: _by_name(_is_text),
    Kind.COUNTS_BY_NAME: _by_name(is_count),
    Kind.TEXT_OR_TEXTS: lambda value: _is_text(value) or _is_texts(value),
    Kind.ANY_SCALING: _is_any_scaling,
    Kind.NTK_SCALING: _is_ntk_scaling,
    Kind.ROPE_PARAMETERS: _is_rope_parameters,
}
