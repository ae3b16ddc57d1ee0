"""The key of a server in texts: every spelling is found, and every beginning of it where a text is cut."""

import base64
import json
from collections.abc import Callable, Mapping
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.embeddings.probing.redacting import Secret
from embaudit.errors import EmbauditError, FormatError, LimitError

KEY = "sk-very/secret+0123456789"
KEYS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1, max_size=40
)
"""Keys without the character that stands in their place."""
SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "capitals": str.upper,
    "json": lambda key: json.dumps(key)[1:-1],
    "json, every character": lambda key: "".join(f"\\u{ord(each):04x}" for each in key),
    "json in json": lambda key: json.dumps(json.dumps("".join(f"\\u{ord(each):04X}" for each in key))),
    "python": lambda key: "".join(f"\\x{ord(each):02x}" for each in key),
    "url": lambda key: quote(key, safe=""),
    "html": lambda key: "".join(f"&#{ord(each)};" for each in key),
    "html, hexadecimal": lambda key: "".join(f"&#x{ord(each):x};" for each in key),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of urls": lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(key=KEYS)
@example(key=KEY)
@example(key='a"b\\\\c%41&#64;')
def test_every_spelling_is_left_out(spelling: str, key: str) -> None:
    """However a text spells the key, it is not in what is left, and what stands around it is."""
    spelled = SPELLINGS[spelling](key)

    told = Secret(key).in_message(f"\u00fc {spelled} \u00fc")

    assert spelled not in told
    assert (told[0], told[-1]) == ("\u00fc", "\u00fc")
    assert "..." in told


@pytest.mark.parametrize("before", ["u", "us", "use", "user"])
@pytest.mark.parametrize("after", ["", ":", ":x", ":xy"])
def test_base64_of_the_key_among_others_is_left_out(before: str, after: str) -> None:
    """Credentials for Basic hold the key after a name: at most a few bits of it are left."""
    spelled = base64.b64encode(f"{before}:{KEY}{after}".encode()).decode()

    told = Secret(KEY).in_message(f"Basic {spelled}")

    left = told.removeprefix("Basic ").replace("...", "")
    assert len(left) <= len(base64.b64encode((before + ":" + after).encode())) + 3


@pytest.mark.parametrize("spelling", ["plain", "json, every character", "url", "base64"])
def test_a_beginning_at_a_cut_is_left_out(spelling: str) -> None:
    """A text that was cut anywhere in the key ends before the key."""
    spelled = SPELLINGS[spelling](KEY)
    least = 6 if spelling == "base64" else 1

    for length in range(least, len(spelled)):
        assert Secret(KEY).in_message(f"key {spelled[:length]}", is_cut=True) in {"key ...", "key "}, length


def test_a_beginning_that_somebody_else_cut_is_left_out() -> None:
    """Where the text does not say that it was cut, four characters are a beginning, and fewer are none."""
    secret = Secret(KEY)

    assert secret.in_message("wrong key: sk-v") == "wrong key: ..."
    assert secret.in_message("wrong key: sk-") == "wrong key: sk-"
    assert secret.in_message("the key 'x sk-very'... (88 characters)") == "the key 'x '... (88 characters)"


def test_values_are_cleaned_all_the_way_down() -> None:
    """Names of members, members and elements; numbers and what looks like nothing stay."""
    value = {"a": [KEY, {f"b{KEY}": None}], "c": 1.5, "d": True, "e": "org/sk-v"}

    assert Secret(KEY).in_value(value) == {"a": ("...", {"b...": None}), "c": 1.5, "d": True, "e": "org/sk-v"}
    assert Secret("test").in_value({"a": "org/test-model", "b": "TEST"}) == {
        "a": "org/test-model",
        "b": "...",
    }


@pytest.mark.parametrize(
    "error", [FormatError(KEY, f"/info: {KEY}"), LimitError("x", KEY, "json_bytes")], ids=["format", "limit"]
)
def test_an_error_keeps_its_class_and_place(error: EmbauditError) -> None:
    """The error without the key is of the same class, and nothing that it came from is left."""

    def fails() -> None:
        raise error from ValueError(KEY)

    with pytest.raises(type(error)) as raised:
        Secret(KEY).guard(fails)

    assert KEY not in repr(raised.value.args)
    assert raised.value.__cause__ is raised.value.__context__ is None


@given(text=st.text())
def test_without_a_key_nothing_changes(text: str) -> None:
    """Where there is no key there is nothing to leave out."""
    assert Secret(None).in_message(text, is_cut=True) == text
    assert Secret(None).in_value([text]) == (text,)


@given(text=st.text(st.sampled_from("ab \\\"%&#;u0x61.'")), key=KEYS)
def test_no_text_is_too_odd(text: str, key: str) -> None:
    """Whatever a server says ends as a text without the key."""
    assert key.lower() not in Secret(key).in_message(text).lower()


def test_no_representation_shows_the_key() -> None:
    """Neither that of the secret nor that of what holds it."""
    assert KEY not in repr(Secret(KEY))
