"""On which line of a TOML text a key stands, which the parser does not tell.

The parser itself is the oracle: a statement ends where the lines since the end of the one before it parse by
themselves, and a key stands in the first statement with which the text holds it. This is done only where an
error is to be told.
"""

import sys
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from embaudit.policies.values import Place

MAX_PARSED = 2 * 1024 * 1024
"""Characters that are parsed again to find the ends of statements. Each is parsed once where a statement
has a line; of an array of thousands of lines the place is not found."""

_ENDS = ("]", "}", '"""', "'''")
"""One of these is on the last line of a statement of several lines."""


def parse_toml(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        ValueError: If it is not TOML, or holds a number with more digits than python converts.
        RecursionError: If it nests too deep for this python's stack.
    """
    return tomllib.loads(text)


def line_of_key(text: str, place: Place) -> int | None:
    """The line, from 1 on, on which the statement begins that brings in a key of a valid document.

    Args:
        text: The document.
        place: Keys of tables and positions in arrays, from the outermost on.
    """
    lines = _lines(text)
    ends = list(_statement_ends(lines))
    first = bisect_left(ends, 1, key=lambda end: int(_holds("".join(lines[:end]), place)))
    if first == len(ends):
        return None
    return ends[first - 1] + 1 if first else 1


def line_of_unfinished(text: str) -> int:
    """The line, from 1 on, after the last statement that ends: there what is faulty begins."""
    return max(_statement_ends(_lines(text)), default=0) + 1


def _lines(text: str) -> list[str]:
    # Not `splitlines`, which knows line ends that TOML does not.
    return [f"{line}\n" for line in text.split("\n")]


def _statement_ends(lines: Sequence[str]) -> Iterator[int]:
    """How many lines there are up to the end of each statement, comment and empty line."""
    begin, parsed = 0, 0
    for end in range(1, len(lines) + 1):
        if end > begin + 1 and not any(mark in lines[end - 1] for mark in _ENDS):
            continue
        statement = "".join(lines[begin:end])
        parsed += len(statement)
        if parsed > MAX_PARSED:
            return
        if _is_toml(statement):
            yield end
            begin = end


def _is_toml(text: str) -> bool:
    try:
        parse_toml(text)
    except (ValueError, RecursionError):
        return False
    return True


def _holds(text: str, place: Place) -> bool:
    found: Any = parse_toml(text)
    for part in place:
        if isinstance(part, int):
            inside = isinstance(found, list) and part < len(found)
        else:
            inside = isinstance(found, dict) and part in found
        if not inside:
            return False
        found = found[part]
    return True
