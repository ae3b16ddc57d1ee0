"""The keys of a policy: how each is called, which field of `Policy` it fills, and what it takes."""

from typing import Any

import attrs

from embaudit.model.dtypes import DType
from embaudit.model.policy import PickleRule, Policy, RemoteCodeRule, Waiver
from embaudit.model.weight_formats import WeightFormat
from embaudit.model.words import nearest
from embaudit.policies import values
from embaudit.policies.values import Converter, WrongValueError


@attrs.frozen(kw_only=True)
class Key:
    """One key of a table.

    Attributes:
        name: As the file spells it.
        field: The field of `Policy` or `Waiver` that it fills.
        takes: What it takes, in words.
        convert: Its value, to what the field takes.
        needed: Whether it must be there.
    """

    name: str
    field: str
    takes: str
    convert: Converter
    needed: bool = False


WAIVER_KEYS = (
    Key(name="code", field="code", takes="the code of a rule", convert=values.code, needed=True),
    Key(name="reason", field="reason", takes="a string", convert=values.text, needed=True),
    Key(name="expires", field="expires", takes="a date, or a string with one", convert=values.day),
    Key(name="path", field="path", takes="a shell pattern", convert=values.text),
    Key(name="tensor", field="tensor", takes="a shell pattern", convert=values.text),
    Key(name="loader", field="loader", takes="the name of a loader", convert=values.loader_name),
)
"""The keys of one table of `[[waivers]]`."""


def fields_of(table: Any, keys: tuple[Key, ...]) -> dict[str, Any]:
    """What a table says, by field.

    Raises:
        WrongValueError: If it is no table, a key is missing or not known, or its value is wrong.
    """
    if not isinstance(table, dict):
        raise values.expected("a table", table)
    known = {key.name: key for key in keys}
    for name in table:
        if name not in known:
            raise WrongValueError(f"is not a key here{nearest(name, known) or _known(known)}", (name,))
    fields = {known[name].field: _converted(known[name], value) for name, value in table.items()}
    for key in keys:
        if key.needed and key.name not in table:
            raise WrongValueError(f"lacks the key `{key.name}`, {key.takes}")
    return fields


def _known(names: Any) -> str:
    return f"; the keys are {', '.join(names)}"


def _converted(key: Key, value: Any) -> Any:
    try:
        return key.convert(value)
    except WrongValueError as error:
        raise WrongValueError(error.problem, (key.name, *error.place)) from None


def _waiver(table: Any) -> Waiver:
    return Waiver(**fields_of(table, WAIVER_KEYS))


def _words(kind: Any) -> tuple[str, ...]:
    return tuple(str(member) for member in kind)


KEYS = (
    Key(name="fail-on", field="fail_on", takes="a severity", convert=values.severity),
    Key(name="severity", field="severity", takes="a table", convert=values.severities),
    Key(name="ignore", field="ignore", takes="an array of codes", convert=values.several(values.codes)),
    Key(
        name="loaders",
        field="loaders",
        takes="an array of loaders",
        convert=values.several(values.loader),
    ),
    Key(
        name="formats",
        field="formats",
        takes="an array of formats",
        convert=values.several(values.word(_words(WeightFormat)), some=True),
    ),
    Key(name="pickles", field="pickles", takes="a word", convert=values.word(_words(PickleRule))),
    Key(name="require-commit", field="require_commit", takes="true or false", convert=values.flag),
    Key(
        name="dtypes",
        field="dtypes",
        takes="an array of types",
        convert=values.several(values.word(_words(DType)), some=True),
    ),
    Key(name="dimension", field="dimension", takes="an integer from 1 on", convert=values.count),
    Key(
        name="licences",
        field="licences",
        takes="an array of strings",
        convert=values.several(values.text, some=True),
    ),
    Key(
        name="remote-code",
        field="remote_code",
        takes="a word",
        convert=values.word(_words(RemoteCodeRule)),
    ),
    Key(name="max-size", field="max_bytes", takes="an integer of bytes, or a string", convert=values.size),
    Key(name="max-age-days", field="max_age_days", takes="an integer from 1 on", convert=values.count),
    Key(name="waivers", field="waivers", takes="an array of tables", convert=values.several(_waiver)),
)
"""The keys of a policy, in the order of its documentation."""


def policy_of(table: Any, source: str) -> Policy:
    """The policy that a parsed table makes.

    Raises:
        WrongValueError: If a key is not known or its value is wrong.
    """
    return Policy(source=source, **fields_of(table, KEYS))
