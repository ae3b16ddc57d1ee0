"""TOML values to the exact types of a policy: each converter takes one value and says what it expected.

Knows which words, codes and loaders there are. Refuses to know the name of a key, and where it stands.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from embaudit.errors import UsageError
from embaudit.formats.fields import quoted
from embaudit.loaders import LOADERS, canonical_name, parse_loader
from embaudit.model.findings import Severity
from embaudit.model.words import nearest
from embaudit.rules import RULES

Converter = Callable[[Any], Any]
"""Takes what TOML has, which may be anything, and gives the value or raises `WrongValueError`."""

Place = tuple[str | int, ...]
"""Keys and positions, outermost first."""


class WrongValueError(Exception):
    """A value is none of those that its key takes.

    Attributes:
        problem: What was expected, and what was found.
        place: Where inside the value.
    """

    def __init__(self, problem: str, place: Place = ()) -> None:
        super().__init__(problem, place)
        self.problem = problem
        self.place = place


def expected(what: str, found: object, hint: str = "") -> WrongValueError:
    """The error that says what was expected, what was found, and perhaps what was meant."""
    return WrongValueError(f"expected {what}, found {_found(found)}{hint}")


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "an integer"),
    (float, "a floating-point number"),
    (datetime, "a date with a time"),
    (date, "a date"),
    (time, "a time"),
    (list, "an array"),
    (dict, "a table"),
)
"""The types of TOML 1.0 as python holds them, the narrower ones first."""


def _found(value: object) -> str:
    if isinstance(value, str):
        return f"the string {quoted(value)}"
    kind = next((words for kind, words in _KINDS if isinstance(value, kind)), type(value).__name__)
    return f"{value}" if isinstance(value, bool) else kind


def text(value: Any) -> str:
    """A string that is not empty."""
    if not isinstance(value, str):
        raise expected("a string", value)
    if not value.strip():
        raise WrongValueError("expected a string that says something, found an empty one")
    return value


def flag(value: Any) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        raise expected("true or false", value)
    return value


def count(value: Any) -> int:
    """A whole number from 1 on."""
    if type(value) is not int:
        raise expected("an integer", value)
    if value < 1:
        raise WrongValueError(f"expected an integer from 1 on, found {value}")
    return value


def word(words: Iterable[str]) -> Converter:
    """One of some words, as it is spelled."""
    known = tuple(words)
    listed = ", ".join(f'"{each}"' for each in known)

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in known:
            hint = nearest(value, known) if isinstance(value, str) else ""
            raise expected(f"one of {listed}", value, hint)
        return value

    return convert


def several(convert: Converter, *, some: bool = False) -> Converter:
    """An array of values, each converted; with `some` there must be one."""

    def convert_all(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise expected("an array", value)
        if some and not value:
            raise WrongValueError("expected at least one entry: nothing can comply with an empty array")
        return tuple(_inside(index, convert, each) for index, each in enumerate(value))

    return convert_all


def _inside(at: str | int, convert: Converter, value: Any) -> Any:
    """The converted value; an error gains `at` as its outermost place."""
    try:
        return convert(value)
    except WrongValueError as error:
        raise WrongValueError(error.problem, (at, *error.place)) from None


def code(value: Any) -> str:
    """The code of a rule."""
    if not isinstance(value, str) or value not in RULES:
        hint = nearest(value, RULES) if isinstance(value, str) else ""
        raise expected("the code of a rule, like EMB110", value, hint)
    return value


def codes(value: Any) -> str:
    """The code of a rule, or the beginning of the codes of several."""
    starts = isinstance(value, str) and value != "" and any(each.startswith(value) for each in RULES)
    if not starts:
        hint = nearest(value, RULES) if isinstance(value, str) else ""
        raise expected("the code of a rule or the beginning of codes, like EMB110 or EMB1", value, hint)
    return str(value)


severity = word(str(each) for each in Severity)


def severities(value: Any) -> dict[str, str]:
    """A table from codes to severities."""
    if not isinstance(value, Mapping):
        raise expected("a table of codes and severities", value)
    return {_inside(key, codes, key): _inside(key, severity, each) for key, each in value.items()}


def loader(value: Any) -> str:
    """A loader with its versions, as `embaudit.audit` takes it."""
    try:
        parse_loader(text(value))
    except UsageError as error:
        raise WrongValueError(f"{error}{_nearest_loader(value)}") from None
    return str(value)


def loader_name(value: Any) -> str:
    """The name of a loader, or an alias, which becomes the name."""
    name = canonical_name(value) if isinstance(value, str) else None
    if name is None:
        hint = _nearest_loader(value) if isinstance(value, str) else ""
        raise expected("the name of a loader, without versions", value, hint)
    return name


_NAME = re.compile(r"[A-Za-z0-9._-]+")


def _nearest_loader(value: str) -> str:
    """What may have been meant by the name at the beginning, if it is not that of a loader."""
    begins = _NAME.match(value.strip())
    if begins is None or canonical_name(begins[0]) is not None:
        return ""
    return nearest(begins[0], [name for each in LOADERS for name in (each.name, *each.aliases)])


_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z]+)", re.ASCII)
_UNITS = {
    **{unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)},
}


def size(value: Any) -> int:
    """Bytes: an integer from 1 on, or a number and its unit."""
    if type(value) is int:
        return count(value)
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    known = {unit.lower(): factor for unit, factor in _UNITS.items()}
    if match is None or match[2].lower() not in known:
        units = ", ".join(_UNITS)
        raise expected(f'bytes, as an integer or like "2 GB" with one of the units {units}', value)
    return count(int(Decimal(match[1]) * known[match[2].lower()]))


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
"""The one form of ISO 8601 that every python since 3.7 reads."""


def day(value: Any) -> date:
    """A date, as TOML writes it or as a string; without a time, which would leave the time zone open."""
    if type(value) is date:
        return value
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        raise expected('a date like 2027-01-31 or "2027-01-31"', value)
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise WrongValueError(f"expected a date, found {quoted(value)}: {error}") from None
