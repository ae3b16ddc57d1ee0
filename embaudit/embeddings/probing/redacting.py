"""Keeping the key of a server out of everything that is told, kept and raised.

A server may repeat the key: as it is, in other capitals, escaped as JSON, URLs and HTML escape, in base64, or
cut off. So texts are looked at last, when they are decoded and put together. Knows spellings of one text;
where texts come from is somebody else's.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs

from embaudit.errors import EmbauditError
from embaudit.model.frozen import JSON

Result = TypeVar("Result")
Error = TypeVar("Error", bound=EmbauditError)

LEFT_OUT = "..."
"""What stands in the place of a key."""

LEAST_BEGINNING = 4
"""Characters of the beginning of a key that are left out at the end of a message. Fewer, as `sk-`, tell
nothing, and many words end with them; where embaudit cut the text itself, one is enough."""

LEAST_IN_VALUES = 8
"""Characters of a key, or of its beginning, that are left out inside a value such as the name of a model. A
shorter key is a word that stands for none, as `test` or `EMPTY`, and names hold such words."""

_LEAST_BASE64 = 6
"""Characters of base64 that belong to a key: fewer occur in any text."""
_BITS = (0, 2, 3)
"""Characters of base64 that depend on 0, 1 or 2 bytes before the key."""

_MARKS = frozenset("\\%&")
_ESCAPES = re.compile(
    r"\\{1,8}u(?P<u>[0-9a-f]{4})|\\{1,8}x(?P<x>[0-9a-f]{2})|%(?P<percent>[0-9a-f]{2})"
    r"|&#x(?P<hex>[0-9a-f]{1,6});|&#(?P<decimal>[0-9]{1,7});|\\{1,8}(?P<same>.)",
    re.DOTALL | re.IGNORECASE,
)
_UNFINISHED = re.compile(
    r"(?:\\{1,8}(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|%[0-9a-f]?|&(?:#x?[0-9a-f]{0,7})?)\Z", re.IGNORECASE
)
"""An escape at the end of a text that was cut."""
_CUTS = re.compile(r"(['\"]?\.\.\.)")
"""Where embaudit, or the server, left something out of a text."""
_LAST_CHARACTER = 0x10FFFF


@attrs.frozen
class _Decoded:
    """A text without escapes.

    Attributes:
        text: The characters that are meant.
        starts: Where each of them begins in the text as it stands, and at last where that ends.
    """

    text: str
    starts: Sequence[int]


def _decoded(text: str) -> _Decoded:
    if _MARKS.isdisjoint(text):
        return _Decoded(text, range(len(text) + 1))
    characters: list[str] = []
    starts: list[int] = []
    at = 0
    for escape in _ESCAPES.finditer(text):
        characters += [text[at : escape.start()], _meant(escape)]
        starts += [*range(at, escape.start()), escape.start()]
        at = escape.end()
    return _Decoded("".join([*characters, text[at:]]), [*starts, *range(at, len(text) + 1)])


def _meant(escape: "re.Match[str]") -> str:
    kind = str(escape.lastgroup)
    if kind == "same":
        return escape[kind]
    number = int(escape[kind], 10 if kind == "decimal" else 16)
    return chr(number) if number <= _LAST_CHARACTER else LEFT_OUT[0]


def _in_base64(key: str) -> tuple[str, ...]:
    """The characters of base64 that belong to a key, after any number of other bytes, the whole first."""
    whole = base64.b64encode(key.encode()).decode()
    parts = [whole]
    for before, foreign in enumerate(_BITS):
        n_bytes = before + len(key)
        text = base64.b64encode(bytes(before) + key.encode()).decode()
        parts.append(text[foreign : n_bytes * 8 // 6])
    standard = [part for part in parts if part == whole or len(part) >= _LEAST_BASE64]
    return tuple(dict.fromkeys([*standard, *(part.translate(_URL_SAFE) for part in standard)]))


_URL_SAFE = str.maketrans("+/", "-_")


class Secret:
    """A key, or none, and how to leave it out.

    Args:
        key: Printable ASCII; None if there is none to leave out.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        if key is not None:
            spelled = dict.fromkeys((key, _decoded(key).text))
            self._beginnings = (*spelled, *_in_base64(key))
            words = "|".join(re.escape(word) for word in spelled)
            codes = "|".join(re.escape(code) for code in _in_base64(key))
            self._whole = re.compile(f"(?i:{words})|(?:{codes})[A-Za-z0-9+/_-]?={{0,2}}")

    def __repr__(self) -> str:
        return f"Secret({'none' if self._key is None else LEFT_OUT})"

    def in_message(self, text: str, *, is_cut: bool = False) -> str:
        """A message without the key, and without a beginning of it where the message is cut or ends.

        Args:
            text: The whole message.
            is_cut: Whether its end was cut off at any character.
        """
        if self._key is None:
            return text
        pieces = _CUTS.split(self._without_whole(_UNFINISHED.sub("", text) if is_cut else text))
        least = 1 if is_cut else LEAST_BEGINNING
        before_cuts = [
            piece if at % 2 else self._without_beginning(piece, LEAST_BEGINNING)
            for at, piece in enumerate(pieces[:-1])
        ]
        last = self._without_beginning(pieces[-1], least)
        return "".join([*before_cuts, last, LEFT_OUT if last != pieces[-1] else ""])

    def in_value(self, value: JSON) -> JSON:
        """A JSON value without the key; names of members included."""
        if isinstance(value, str):
            return self._in_word(value)
        if isinstance(value, Mapping):
            return {self._in_word(name): self.in_value(each) for name, each in value.items()}
        if isinstance(value, Sequence):
            return tuple(self.in_value(each) for each in value)
        return value

    def in_error(self, error: Error) -> Error:
        """The same error without the key, and without the errors that it came from."""
        arguments = (self.in_message(each) if isinstance(each, str) else each for each in error.args)
        return type(error)(*arguments)

    def guard(self, work: Callable[[], Result]) -> Result:
        """What some work gives; what it raises is raised as `in_error` makes it."""
        if self._key is None:
            return work()
        try:
            return work()
        except EmbauditError as error:
            clean = self.in_error(error)
        # Not inside the handler: there the first error, and with it the key, would be the context.
        raise clean

    def _in_word(self, text: str) -> str:
        key = self._key
        if key is None:
            return text
        if len(key) < LEAST_IN_VALUES:
            return LEFT_OUT if _decoded(text).text.lower() == key.lower() else text
        whole = self._without_whole(text)
        return self._without_beginning(whole, LEAST_IN_VALUES)

    def _without_whole(self, text: str) -> str:
        plain = self._whole.sub(LEFT_OUT, text)
        decoded = _decoded(plain)
        at = 0
        pieces: list[str] = []
        for found in self._whole.finditer(decoded.text):
            pieces += [plain[at : decoded.starts[found.start()]], LEFT_OUT]
            at = decoded.starts[found.end()]
        return "".join([*pieces, plain[at:]])

    def _without_beginning(self, text: str, least: int) -> str:
        """A text that may end in the middle of the key, up to where the key begins."""
        decoded = _decoded(text)
        end = decoded.text.lower()
        leasts = (least, *(max(least, _LEAST_BASE64) for _ in self._beginnings[1:]))
        longest = max(map(_overlap, [end] * len(leasts), self._beginnings, leasts))
        return text[: decoded.starts[len(end) - longest]] if longest else text


def _overlap(end: str, word: str, least: int) -> int:
    """How many characters at the end of a text begin a word, `least` at least; else 0."""
    lengths = range(min(len(word), len(end)), least - 1, -1)
    return next((length for length in lengths if end.endswith(word[:length].lower())), 0)
