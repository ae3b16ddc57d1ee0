"""Typed getters: each takes exactly its type, and says where it found another."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from embaudit.errors import FormatError, LimitError
from embaudit.formats import fields
from embaudit.formats.fields import (
    ARRAY,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Kind,
    examples,
    inside,
    quoted,
    take,
    take_as,
    take_as_optional,
    take_optional,
)
from embaudit.model.frozen import freeze

SAMPLES = {"text": "x", "flag": True, "integer": 1, "number": 1.5, "object": {}, "array": [], "null": None}
DOCUMENTS = {"as python parses it": SAMPLES, "frozen": freeze(SAMPLES)}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        pytest.param(TEXT, {"text"}, id="text"),
        pytest.param(FLAG, {"flag"}, id="flag"),
        pytest.param(INTEGER, {"integer"}, id="integer"),
        pytest.param(NUMBER, {"integer", "number"}, id="number"),
        pytest.param(OBJECT, {"object"}, id="object"),
        pytest.param(ARRAY, {"array"}, id="array"),
    ],
)
def test_each_kind_takes_its_own_values_only(
    kind: Kind[Any], taken: set[str], document: dict[str, Any]
) -> None:
    """A getter gives the values of its kind and refuses all others; true is no integer, a string no array."""
    for key, value in document.items():
        if key in taken:
            assert take(document, key, kind) is value
        else:
            with pytest.raises(FormatError, match=f"^{key}: expected {kind.title}, found"):
                take(document, key, kind)


def test_a_missing_field_is_an_error_only_if_required() -> None:
    """A required field must be there; an optional one may be missing or null."""
    with pytest.raises(FormatError, match=r"^a: is missing$"):
        take({}, "a", TEXT)

    assert take_optional({}, "a", TEXT) is None
    assert take_optional({"a": None}, "a", TEXT) is None
    assert take_as_optional({"a": None}, "a", TEXT, len) is None
    assert take_as_optional({"a": "xyz"}, "a", TEXT, len) == 3


@pytest.mark.parametrize("getter", [take_optional, take], ids=["optional", "required"])
def test_optional_does_not_mean_of_any_kind(getter: Callable[..., Any]) -> None:
    """A field that is there with the wrong kind is an error, optional or not."""
    with pytest.raises(FormatError, match=r"^a: expected a string, found an integer$"):
        getter({"a": 1}, "a", TEXT)


def test_places_grow_outwards_to_a_path() -> None:
    """An error deep inside says the whole path to the fault, outermost part first."""
    document = json.loads('{"metadata": {"sizes": {"total": "many"}}}')

    with pytest.raises(FormatError) as caught, inside("index.json"):
        take_as(
            document,
            "metadata",
            OBJECT,
            lambda metadata: take_as(metadata, "sizes", OBJECT, lambda sizes: take(sizes, "total", INTEGER)),
        )

    expected = "index.json: metadata: sizes: total: expected an integer, found a string"
    assert str(caught.value) == expected


def test_a_place_is_said_once() -> None:
    """An error that already names its file keeps that name when the next reader adds it, and its limit."""
    with pytest.raises(LimitError) as caught, inside("a.json"), inside("a.json"):
        raise LimitError("too large", "a.json: byte 3", "json_bytes")

    assert (caught.value.where, caught.value.limit) == ("a.json: byte 3", "json_bytes")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("weight", "'weight'", id="plain"),
        pytest.param("a\x1b[31m\u202e\n", "'a\\x1b[31m\\u202e\\n'", id="terminal escapes"),
        pytest.param("é", "'é'", id="letters"),
        pytest.param("x" * 1000, "'" + "x" * 80 + "'... (1000 characters)", id="long"),
    ],
)
def test_quoted_text_is_safe_to_print(text: str, expected: str) -> None:
    """A foreign name in a message is escaped where it does not print, and cut where it is long."""
    assert quoted(text) == expected


def test_examples_name_a_few_of_many() -> None:
    """Many names are told by their number and the first three."""
    assert examples(["a"]) == "1 tensor ('a')"
    assert examples(list("abcde"), "key") == "5 keys ('a', 'b', 'c', ...)"


def test_every_value_has_a_kind_in_words() -> None:
    """Each JSON value is called what JSON calls it."""
    titles = [fields.kind_of_value(value) for value in SAMPLES.values()]

    expected = ["a string", "true or false", "an integer", "a number", "an object", "an array", "null"]
    assert titles == expected
