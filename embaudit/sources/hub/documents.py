"""Strict reading of the hub's JSON answers: a value of the wrong form is an error that names its field.

An answer may come from anyone who can serve an endpoint, so it is trusted no more than a file of a
repository. What is asked for has to have the right form; what is not asked for is not looked at. Knows JSON
and the forms of hashes, paths and dates; refuses to know what an answer is for.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import attrs

from embaudit.errors import SourceError
from embaudit.sources.base import shown

_SHA1, _SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
_MOST_INTEGER = 2**63 - 1
"""Larger than any file and any count; JSON itself has no bound."""
_WORD_CHARACTERS = 200
"""Characters of a short text, a key or a level, that are taken over; no real one comes near."""
_DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
"""ISO 8601 as the hub writes it: `2023-09-24T13:37:00.000Z`."""


class _RepeatedKeyError(ValueError):
    """One object holds a key twice: readers differ in which value they take."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _RepeatedKeyError("an object holds a key twice")
    return result


def parse_answer(body: bytes, what: str) -> "Field":
    """The JSON document that an answer holds, ready to be asked for its fields.

    Args:
        body: The whole answer; how long it may be is held by whoever asked.
        what: What was asked for, for messages: `the listing of org/name`.

    Raises:
        SourceError: If it is no JSON in UTF-8, or an object repeats a key.
    """
    try:
        return Field(json.loads(body.decode("utf-8"), object_pairs_hook=_object), what)
    except _RepeatedKeyError as error:
        raise SourceError(f"{what} is no sound answer: {error}") from None
    except RecursionError:
        raise SourceError(f"{what} is no sound answer: it nests too deep") from None
    except ValueError:
        # The decoder's own words quote the answer, which may hold anything.
        raise SourceError(f"{what} is no sound answer: it is not JSON, or was cut short") from None


@attrs.frozen
class Field:
    """A value of an answer and its place in it; what is asked of it raises `SourceError` if it is not so.

    Attributes:
        value: The value as python's json reads it.
        place: What was asked for, and the way to the value: `the listing of org/name: siblings[3].size`.
    """

    value: Any = attrs.field(repr=False)
    place: str

    def wrong(self, expected: str) -> SourceError:
        """The error that says what should have been here."""
        return SourceError(f"{self.place} should be {expected}; the hub's answer is not sound")

    def __getitem__(self, key: str) -> "Field":
        """The field of an object; one that is absent has the value None, as one that is null."""
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        joint = "." if ": " in self.place else ": "
        return Field(self.value.get(key), f"{self.place}{joint}{key}")

    def __iter__(self) -> Iterator["Field"]:
        """The items of an array."""
        if not isinstance(self.value, list):
            raise self.wrong("an array")
        joint = "" if ": " in self.place else ": "
        return (Field(item, f"{self.place}{joint}[{i}]") for i, item in enumerate(self.value))

    @property
    def is_absent(self) -> bool:
        """Whether the field is absent, or null."""
        return self.value is None

    def whole_number(self) -> int:
        """An integer from 0 on that fits 64 bits."""
        if type(self.value) is not int or not 0 <= self.value <= _MOST_INTEGER:
            raise self.wrong("a whole number from 0 on")
        return self.value

    def flag(self) -> bool:
        """A truth value; False if absent."""
        if self.value is not None and type(self.value) is not bool:
            raise self.wrong("true or false")
        return bool(self.value)

    def text(self) -> str:
        """A text of any length, which may hold half surrogate pairs."""
        if not isinstance(self.value, str):
            raise self.wrong("a text")
        return self.value

    def word(self) -> str:
        """A text that is not empty, short, and can be written as UTF-8."""
        text = self.text()
        if not text or len(text) > _WORD_CHARACTERS or not _is_unicode(text):
            raise self.wrong(f"a text of 1 to {_WORD_CHARACTERS} characters")
        return text

    def line(self, most: int) -> str:
        """The first line of a text, at most so many characters of it; what is no character is replaced."""
        # The hub itself cuts titles by UTF-16 units, which may leave half a pair: that is no fault to raise.
        first = self.text().lstrip().partition("\n")[0].rstrip()[:most]
        return first.encode("utf-8", "replace").decode("utf-8")

    def date(self) -> str:
        """A date as ISO 8601 with offset, to the second; empty if absent."""
        if self.value is None:
            return ""
        match = _DATE.fullmatch(self.text())
        try:
            # Python 3.10 reads no `Z`, and fractions of three or six digits only.
            parsed = match and datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00"))
        except ValueError:
            parsed = None
        if parsed is None:
            raise self.wrong("a date such as 2024-01-31T12:00:00.000Z")
        return parsed.isoformat(timespec="seconds")

    def sha1(self) -> str:
        """40 lower-case hex digits."""
        return self._matching(_SHA1, "40 lower-case hex digits")

    def sha256(self) -> str:
        """64 lower-case hex digits."""
        return self._matching(_SHA256, "64 lower-case hex digits")

    def _matching(self, form: re.Pattern[str], expected: str) -> str:
        if not isinstance(self.value, str) or form.fullmatch(self.value) is None:
            raise self.wrong(expected)
        return self.value

    def path(self) -> str:
        """A path inside a repository: relative, with forward slashes, and without a way out.

        A backslash is a character of a name, as in git; nothing is written to a disk under these names.
        """
        text = self.text()
        if {"", ".", ".."} & set(text.split("/")) or "\0" in text or not _is_unicode(text):
            seen = shown(text[:_WORD_CHARACTERS])
            raise self.wrong(f"a path inside the repository, not '{seen}'")
        return text


def _is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: it holds no half of a surrogate pair."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
