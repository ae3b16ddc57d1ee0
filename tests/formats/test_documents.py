"""Strict JSON: what python's parser takes is taken as it takes it, and what is unsafe is refused by name."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.documents import MAX_DIGITS, decode_json, parse_json
from embaudit.model.frozen import FrozenMapping, freeze
from embaudit.model.limits import Limits

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='[]{}"\\/u\n', max_size=6)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *'[]{}:,"\\ \n0-.e',
            "1",
            "-0",
            "1e400",
            "NaN",
            "-Infinity",
            "true",
            "null",
            '"a"',
            '"a":',
            "[]",
            "{}",
            "\\u",
            "\\ud83d",
            "\\ude00",
            "\\\\",
            '\\"',
            "\x00",
            "\ufeff",
            "é",
        ]
    ),
    max_size=25,
).map(lambda fragments: "".join(fragments).encode())


def depth_of(value: Any) -> int:
    """How many arrays and objects lie inside one another."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(depth_of, children), default=0)


@settings(deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_round_trip(value: Any, ascii_only: bool, indent: int | None) -> None:
    """Whatever python writes as JSON is read back equal, and frozen."""
    data = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    parsed = parse_json(data)

    assert parsed == freeze(value)
    assert hash(parsed) == hash(freeze(value))


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=40) | FRAGMENTS)
@example(b"")
@example(b'"\\')
@example(b'\\"' + b"[" * 30)
@example(b'{"a": "\\ud800\\ud800\\udc00"}')
def test_arbitrary_bytes_end_in_a_value_or_a_format_error(data: bytes) -> None:
    """No bytes raise anything but FormatError, and what is taken is what python's own parser takes."""
    try:
        parsed = decode_json(data, max_depth=20)
    except FormatError:
        return

    assert parsed == json.loads(data.decode())


@settings(deadline=None)
@given(VALUES, st.booleans(), st.integers(0, 4))
def test_depth_counts_brackets_outside_strings(value: Any, ascii_only: bool, max_depth: int) -> None:
    """A document is too deep exactly if its arrays and objects are, whatever brackets its strings hold."""
    data = json.dumps(value, ensure_ascii=ascii_only).encode()

    if depth_of(value) > max_depth:
        with pytest.raises(FormatError, match=f"deeper than {max_depth}"):
            parse_json(data, max_depth=max_depth)
    else:
        assert parse_json(data, max_depth=max_depth) == freeze(value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"":'], ids=["arrays", "objects", "both"])
def test_deep_nesting_is_a_limit_error_at_its_byte(opening: bytes) -> None:
    """A hundred thousand brackets are refused where the limit is passed, before the parser recurses."""
    with pytest.raises(LimitError) as caught:
        parse_json(opening * 100_000, limits=Limits(json_depth=4))

    position = int(caught.value.where.partition("(byte ")[2].rstrip(")"))
    opened = (opening * 100_000)[: position + 1]
    assert caught.value.limit == "json_depth"
    assert opened.count(b"[") + opened.count(b"{") == 5


def test_depth_beyond_the_stack_is_a_limit_error() -> None:
    """A limit set higher than python's stack bears still ends in a LimitError."""
    deep = b"[" * 200_000 + b"]" * 200_000

    with pytest.raises(LimitError, match="deeper"):
        parse_json(deep, limits=Limits(json_depth=10**6))


def test_size_is_checked_before_parsing() -> None:
    """A document over `json_bytes` is refused with both numbers, whatever it holds."""
    with pytest.raises(LimitError, match="11 bytes, the limit is 10") as caught:
        parse_json(b"\xff" * 11, limits=Limits(json_bytes=10))

    assert caught.value.limit == "json_bytes"


@pytest.mark.parametrize(
    ("data", "problem", "where"),
    [
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", "byte 0", id="byte order mark"),
        pytest.param(b'{"a": "\xff"}', "is not UTF-8", "byte 7", id="invalid utf-8"),
        pytest.param('["é", x]'.encode(), "is not JSON", "line 1 column 7 (byte 7)", id="bare word"),
        pytest.param(b"{}\x00", "is not JSON", "line 1 column 3 (byte 2)", id="nul padding"),
        pytest.param(b'{"a": 1,\n 2: 3}', "is not JSON", "line 2 column 2 (byte 10)", id="number as key"),
        pytest.param(b'["NaN", NaN]', "NaN is not a number", "line 1 column 9 (byte 8)", id="nan"),
        pytest.param(b"[-Infinity]", "-Infinity is not", "line 1 column 2 (byte 1)", id="infinity"),
        pytest.param(b'["1e400", 1e400]', "larger than any double", "(byte 10)", id="overflow"),
        pytest.param(b"[-" + b"7" * 5000 + b"]", "5000 digits", "(byte 1)", id="5000 digits"),
        pytest.param(b'["\\ud83d\\ude00\\ude00"]', "half of a surrogate", "(byte 14)", id="lone second half"),
        pytest.param(b'["\\\\ud800 \\ud800x"]', "half of a surrogate", "(byte 10)", id="lone first half"),
        pytest.param(b'{"a": {"b": 1, "\\u0062": 2}}', "'b' appears twice", "", id="repeated key"),
    ],
)
def test_refusals_name_the_fault_and_its_place(data: bytes, problem: str, where: str) -> None:
    """Each thing that strict JSON forbids is refused with its name and its line, column and byte."""
    with pytest.raises(FormatError) as caught:
        parse_json(data)

    assert problem in caught.value.problem
    assert where in caught.value.where


def test_repeated_keys_can_be_told_instead() -> None:
    """A caller that asks is told each repeated key, and gets the last value, as python's readers do."""
    data = b'{"a": 1, "a": 2, "b": {"c": 1, "c": 2, "c": 3}}'
    repeated: list[str] = []

    parsed = parse_json(data, on_duplicate=repeated.append)

    assert parsed == json.loads(data)
    assert sorted(repeated) == ["a", "c", "c"]


def test_constants_of_python_can_be_told_instead() -> None:
    """A caller that asks is told each NaN and infinity that python writes, and gets its text."""
    data = json.dumps({"a": math.nan, "b": [math.inf, -math.inf], "c": "NaN"}).encode()
    constants: list[str] = []

    parsed = parse_json(data, on_constant=constants.append)

    assert parsed == freeze(json.loads(data, parse_constant=str))
    assert constants == ["NaN", "Infinity", "-Infinity"]


@pytest.mark.parametrize("data", [b"[nan]", b"[+Infinity]", b"[-NaN]", b"[1e400]"], ids=bytes.decode)
def test_no_other_spelling_is_a_constant(data: bytes) -> None:
    """What python's json does not write stays an error for a caller that asks to be told."""
    constants: list[str] = []

    with pytest.raises(FormatError):
        parse_json(data, on_constant=constants.append)

    assert constants == []


def test_large_numbers_are_kept_exactly() -> None:
    """Integers of up to MAX_DIGITS digits are exact; tokenizers write 10**30 for "no limit"."""
    largest = 10**MAX_DIGITS - 1

    parsed = parse_json(f'{{"model_max_length": {10**30}, "x": {-largest}}}'.encode())

    assert parsed == FrozenMapping({"model_max_length": 10**30, "x": -largest})
