"""Frozen values to JSON, JSON to frozen values, and the schema that describes it: three walks over one type.

Every field of a value becomes a member of the same name, except those that do not take part in equality
(readers). Enums are their value, severities their name, dates as ISO 8601 has them, mappings objects, tuples
arrays, sets sorted arrays; floats that JSON cannot say are the strings `NaN`, `Infinity` and `-Infinity`.
"""

import enum
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeVar, cast, get_args, get_origin

import attrs

from embaudit.errors import FormatError
from embaudit.model.findings import Severity
from embaudit.model.frozen import JSON, FrozenMapping, freeze

T = TypeVar("T")

_UNSPEAKABLE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_jsonable(value: object) -> Any:
    """`value` as dicts, lists and scalars that `json.dumps` takes."""
    if attrs.has(type(value)):
        return {field.name: to_jsonable(getattr(value, field.name)) for field in _fields(type(value))}
    if isinstance(value, Severity):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: to_jsonable(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(to_jsonable(item) for item in value)
    if isinstance(value, tuple | list):
        return [to_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def render_json(value: object) -> str:
    """`value` as JSON text, one member a line, ASCII only: safe in a terminal whatever the names hold."""
    return json.dumps(to_jsonable(value), indent=1, ensure_ascii=True, allow_nan=False)


def _fields(kind: type) -> "Iterable[attrs.Attribute[Any]]":
    return (field for field in attrs.fields(kind) if field.eq)


def from_jsonable(kind: type[T], value: Any, where: str = "$") -> T:
    """The value of type `kind` that `to_jsonable` turned into `value`.

    Members that `kind` does not have are ignored, so that a report of a newer embaudit can be read.

    Raises:
        FormatError: If something is missing or of another type; says where.
    """
    return cast("T", _decode(kind, value, where))


def _decode(kind: Any, value: Any, where: str) -> Any:
    if kind is JSON:
        return freeze(value)
    if attrs.has(kind):
        return _decode_value(kind, value, where)
    if get_origin(kind) is not None or get_args(kind):
        return _decode_generic(kind, value, where)
    if kind is Severity:
        return _decode_severity(value, where)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _decode_enum(kind, value, where)
    if kind is date:
        return _decode_date(value, where)
    return _decode_scalar(kind, value, where)


def _decode_value(kind: type, value: Any, where: str) -> Any:
    members = _expect(value, Mapping, "an object", where)
    arguments: dict[str, Any] = {}
    for field in _fields(kind):
        if field.name in members:
            arguments[field.name] = _decode(field.type, members[field.name], f"{where}.{field.name}")
        elif field.default is attrs.NOTHING:
            raise FormatError("the member is missing", f"{where}.{field.name}")
    return kind(**arguments)


def _decode_generic(kind: Any, value: Any, where: str) -> Any:
    arguments, origin = get_args(kind), get_origin(kind)
    if origin is tuple:
        items = _expect(value, list, "an array", where)
        return tuple(_decode(arguments[0], item, f"{where}[{at}]") for at, item in enumerate(items))
    if origin is frozenset:
        items = _expect(value, list, "an array", where)
        return frozenset(_decode(arguments[0], item, f"{where}[{at}]") for at, item in enumerate(items))
    if origin is Mapping or (isinstance(origin, type) and issubclass(origin, Mapping)):
        members = _expect(value, Mapping, "an object", where)
        return FrozenMapping(
            {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in members.items()}
        )
    if value is None and type(None) in arguments:
        return None
    (only,) = (argument for argument in arguments if argument is not type(None))
    return _decode(only, value, where)


def _decode_severity(value: Any, where: str) -> Severity:
    try:
        return Severity.parse(_expect(value, str, "a severity", where))
    except ValueError as error:
        raise FormatError(str(error), where) from error


def _decode_enum(kind: type[enum.Enum], value: Any, where: str) -> enum.Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise FormatError(str(error), where) from error


def _decode_date(value: Any, where: str) -> date:
    try:
        return date.fromisoformat(_expect(value, str, "a date", where))
    except ValueError as error:
        raise FormatError(str(error), where) from error


def _decode_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float:
        if isinstance(value, str) and value in _UNSPEAKABLE:
            return _UNSPEAKABLE[value]
        return float(_expect(value, int | float, "a number", where))
    if kind is int and isinstance(value, bool):
        raise FormatError("expected an integer, found a boolean", where)
    return _expect(value, kind, f"a value of type {kind.__name__}", where)


def _expect(value: Any, kind: Any, words: str, where: str) -> Any:
    if not isinstance(value, kind):
        raise FormatError(f"expected {words}, found {type(value).__name__}", where)
    return value


def schema_of(kind: type) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what `to_jsonable` makes of values of type `kind`."""
    definitions: dict[str, Any] = {}
    reference = _schema(kind, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.__name__,
        **reference,
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind is JSON:
        return {}
    if attrs.has(kind):
        return _schema_of_value(kind, definitions)
    if get_origin(kind) is not None or get_args(kind):
        return _schema_of_generic(kind, definitions)
    if kind is Severity:
        return {"enum": [str(severity) for severity in Severity]}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"enum": [member.value for member in kind]}
    if kind is date:
        return {"type": "string", "format": "date"}
    if kind is float:
        return {"anyOf": [{"type": "number"}, {"enum": list(_UNSPEAKABLE)}]}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[kind]}


def _schema_of_value(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # taken before its fields are walked: types may contain themselves
        fields = tuple(_fields(kind))
        definitions[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").partition("\n")[0],
            "properties": {field.name: _schema(field.type, definitions) for field in fields},
            "required": [field.name for field in fields],
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _schema_of_generic(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    arguments, origin = get_args(kind), get_origin(kind)
    if origin in {tuple, frozenset}:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    (only,) = (argument for argument in arguments if argument is not type(None))
    return {"anyOf": [_schema(only, definitions), {"type": "null"}]}
