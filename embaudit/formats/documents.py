"""Strict JSON from untrusted bytes: the one door through which documents enter.

Knows JSON (RFC 8259, https://www.rfc-editor.org/rfc/rfc8259) and the ways in which python's own parser is
laxer than others: it takes NaN, takes `1e400` as infinity, lets the last of equal keys win in silence, joins
no half of a surrogate pair, and overflows its stack on deep nesting. Each is refused here, by name and place,
but that a caller may ask to be told of equal keys and of NaN and the infinities instead.
Refuses to know what a document means.
"""

import json
import math
import re
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

from embaudit.errors import FormatError, LimitError
from embaudit.formats.fields import quoted
from embaudit.model.frozen import JSON, freeze
from embaudit.model.limits import DEFAULT_LIMITS, Limits

MAX_DIGITS = 308
"""Digits of an integer. One more may exceed the largest double, which other JSON readers refuse; and python
refuses to print integers of more than 4300 digits (or as few as 640, if so configured)."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_STEP = [(char in b"[{") - (char in b"]}") for char in range(256)]
# Strings, brackets and numbers, each as python's parser delimits them.
_TOKEN = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]|NaN|-?(?:Infinity|(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)',
    re.DOTALL,
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# A first half without its second, or a second half without its first.
_LONE_SURROGATE = re.compile(
    r"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD])[c-fC-F])"
)


def parse_json(
    data: bytes,
    *,
    limits: Limits = DEFAULT_LIMITS,
    max_depth: int | None = None,
    on_duplicate: Callable[[str], None] | None = None,
    on_constant: Callable[[str], None] | None = None,
) -> JSON:
    """The frozen value of one JSON document in UTF-8.

    Args:
        data: The whole document.
        limits: `json_bytes` bounds its size; `json_depth` its nesting, unless `max_depth` does.
        max_depth: Arrays and objects inside one another that the document's own format allows.
        on_duplicate: Called with each key that an object repeats; the last value then stands, as python's
            readers have it. Without it a repeated key is an error.
        on_constant: Called with each `NaN`, `Infinity` and `-Infinity` that stands where a value is due, as
            python's json writes and reads them; its value is then this text. Without it each is an error.

    Raises:
        FormatError: If it is not strict JSON, or nests deeper than `max_depth`.
        LimitError: If it is larger than `json_bytes` or nests deeper than `json_depth`.
    """
    if len(data) > limits.json_bytes:
        raise LimitError(
            f"the document has {len(data)} bytes, the limit is {limits.json_bytes}", limit="json_bytes"
        )
    decode = partial(decode_json, data, on_duplicate=on_duplicate, on_constant=on_constant)
    if max_depth is not None:
        return freeze(decode(max_depth=max_depth))
    try:
        return freeze(decode(max_depth=limits.json_depth))
    except _TooDeepError as error:
        raise LimitError(error.problem, error.where, "json_depth") from error


def decode_json(
    data: bytes,
    *,
    max_depth: int,
    on_duplicate: Callable[[str], None] | None = None,
    on_constant: Callable[[str], None] | None = None,
) -> Any:
    """As `parse_json`, for readers that bound the size themselves and freeze only what they keep.

    Raises:
        FormatError: If it is not strict JSON, or nests deeper than `max_depth`.
    """
    text = _text_of(data)
    _check_depth(data, text, max_depth)
    _check_surrogates(text)

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            _report_duplicates(pairs, on_duplicate)
        return result

    def constant(token: str) -> str:
        if on_constant is None:
            raise _NumberError(f"is not JSON: {token} is not a number", token)
        on_constant(token)
        return token

    try:
        return json.loads(
            text,
            object_pairs_hook=build,
            parse_int=_integer,
            parse_float=_floating,
            parse_constant=constant,
        )
    except json.JSONDecodeError as error:
        raise FormatError(f"is not JSON: {error.msg}", _place(text, error.pos)) from error
    except _NumberError as error:
        raise FormatError(error.problem, _place(text, _position_of(text, error.token))) from error
    except RecursionError as error:
        raise _TooDeepError("nests deeper than this python's stack", "") from error


class _TooDeepError(FormatError):
    """Deeper than allowed: the caller's limit or the format's, which `parse_json` tells apart."""


class _NumberError(Exception):
    """A number that is refused, raised where its position is not known."""

    def __init__(self, problem: str, token: str) -> None:
        super().__init__(problem, token)
        self.problem = problem
        self.token = token


def _text_of(data: bytes) -> str:
    if data.startswith(_BYTE_ORDER_MARK):
        raise FormatError("begins with a byte order mark, which JSON forbids", "byte 0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"is not UTF-8: {error.reason}", f"byte {error.start}") from error


def _check_depth(data: bytes, text: str, max_depth: int) -> None:
    """Raise before the parser recurses: only brackets outside strings count.

    The passes below keep brackets and quotes alone. Taking out two neighbouring quotes never changes which
    brackets lie inside a string.
    """
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in data else data
    skeleton = unescaped.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    brackets = re.sub(rb'"[^"]*"?', b"", skeleton) if b'"' in skeleton else skeleton
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) <= max_depth:
        return
    # Not reached by brackets that follow a fault of syntax: the parser then stops at the fault.
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += _STEP[ord(token.group())] if token.group() in "[]{}" else 0
        if depth > max_depth:
            problem = f"nests arrays and objects deeper than {max_depth}"
            raise _TooDeepError(problem, _place(text, token.start()))


def _check_surrogates(text: str) -> None:
    if _SURROGATE.search(text) is None:
        return
    # With escaped backslashes blanked out, every backslash left begins an escape.
    lone = _LONE_SURROGATE.search(text.replace("\\\\", "  "))
    if lone is not None:
        raise FormatError("a \\u escape is half of a surrogate pair", _place(text, lone.start()))


def _report_duplicates(pairs: list[tuple[str, Any]], on_duplicate: Callable[[str], None] | None) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key not in seen:
            seen.add(key)
        elif on_duplicate is not None:
            on_duplicate(key)
        else:
            raise FormatError(f"the key {quoted(key)} appears twice in one object")


def _integer(token: str) -> int | float:
    if len(token) > MAX_DIGITS and len(token.lstrip("-")) > MAX_DIGITS:
        raise _NumberError(f"an integer has {len(token.lstrip('-'))} digits, more than {MAX_DIGITS}", token)
    # No integer is -0: other JSON readers take it as a float, and refuse it where an integer is due.
    return int(token) if token != "-0" else -0.0  # noqa: S105 - a token of JSON, not a secret


def _floating(token: str) -> float:
    value = float(token)
    if math.isinf(value):
        raise _NumberError(f"the number {quoted(token)} is larger than any double", token)
    return value


def _position_of(text: str, token: str) -> int:
    return next(match.start() for match in _TOKEN.finditer(text) if match.group() == token)


def _place(text: str, position: int) -> str:
    """`line 3 column 5 (byte 40)`: lines and columns from 1, in characters; bytes from 0."""
    before = text[:position]
    line = before.count("\n") + 1
    column = position - before.rfind("\n")
    return f"line {line} column {column} (byte {len(before.encode())})"
