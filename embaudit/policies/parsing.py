"""The text of a policy to a `Policy`, or to an error that names the file, the line and the right name.

Everything that is wrong with a policy is a `UsageError`: it is an argument, written by whoever asks, and not
the bytes of somebody else that a `FormatError` is about.
"""

import re
from pathlib import PurePath
from typing import Any, NoReturn

from embaudit.errors import UsageError
from embaudit.model.policy import Policy
from embaudit.policies.keys import policy_of
from embaudit.policies.places import line_of_key, line_of_unfinished, parse_toml
from embaudit.policies.values import Place, WrongValueError
from embaudit.sources import shown

POLICY_FILE = "embaudit.toml"
"""The name of a file that holds nothing but a policy."""

PROJECT_FILE = "pyproject.toml"
"""The name of a file in which the policy is a table."""

_TABLE = ("tool", "embaudit")
_AT_LINE = re.compile(r"(?P<problem>.*) \(at line (?P<line>[0-9]+), column (?P<column>[0-9]+)\)", re.DOTALL)
_AT_END = " (at end of document)"


def parse_policy(text: str, name: str = POLICY_FILE) -> Policy:
    """The policy that a TOML text holds.

    Args:
        text: The text.
        name: What errors call it, and the policy its source. Of a `pyproject.toml`, in whatever folder, the
            table `[tool.embaudit]` is meant, of any other file the whole.

    Raises:
        UsageError: If it is not TOML, a key is not known or is missing, a value is wrong, or a
            `pyproject.toml` has no such table; says the line, what was expected, and the nearest right name.
    """
    policy = parse_if_any(text, name)
    if policy is None:
        raise UsageError(f"{shown(name)} holds no policy: it has no table [tool.embaudit]")
    return policy


def parse_if_any(text: str, name: str) -> Policy | None:
    """As `parse_policy`; None for a `pyproject.toml` without the table.

    Raises:
        UsageError: As `parse_policy` does.
    """
    document = _document(text, shown(name))
    place: Place = _TABLE if PurePath(name).name == PROJECT_FILE else ()
    table: Any = document
    for part in place:
        if not isinstance(table, dict) or part not in table:
            return None
        table = table[part]
    try:
        return policy_of(table, name)
    except WrongValueError as error:
        _fail(text, shown(name), (*place, *error.place), _problem(error, document, place))


def _document(text: str, name: str) -> dict[str, Any]:
    if text.startswith("\N{ZERO WIDTH NO-BREAK SPACE}"):
        raise UsageError(f"{name}, line 1: begins with a byte order mark, which is not TOML; take it out")
    try:
        return parse_toml(text)
    except RecursionError:
        line = line_of_unfinished(text)
        raise UsageError(f"{name}, line {line}: nests deeper than this python's stack") from None
    except ValueError as error:
        at = _AT_LINE.fullmatch(str(error))
        line = int(at["line"]) if at else line_of_unfinished(text)
        problem = f"{at['problem']} (column {at['column']})" if at else str(error).removesuffix(_AT_END)
        raise UsageError(f"{name}, line {line}: is not TOML: {problem}") from None


def _problem(error: WrongValueError, document: dict[str, Any], place: Place) -> str:
    """The problem, and what to do where the table of a pyproject.toml was put into a file of its own."""
    if not place and error.place == _TABLE[:1] and isinstance(document["tool"], dict):
        return "is not a key here: [tool.embaudit] is for pyproject.toml; put its keys at the top level"
    return error.problem


def _fail(text: str, name: str, place: Place, problem: str) -> NoReturn:
    line = line_of_key(text, place)
    at = name if line is None else f"{name}, line {line}"
    raise UsageError(f"{at}: {_spelled(place)} {problem}" if place else f"{at}: {problem}") from None


def _spelled(place: Place) -> str:
    """`waivers[1].expires`, positions from 0 on as in every report, in backticks."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in place)
    return f"`{''.join(parts).removeprefix('.')}`"
