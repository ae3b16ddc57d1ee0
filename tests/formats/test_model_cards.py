"""The head of a model card: the licence that it declares, and what cannot be told."""

import time
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard as HubCard
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.errors import EmbauditError, FormatError, LimitError
from embaudit.formats import model_cards
from embaudit.formats.model_cards import MAX_HEAD_BYTES, MAX_HEAD_DEPTH, head_is_whole, parse_model_card

PATH = "README.md"


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML, of which only the slower one is there everywhere."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(model_cards, "_LOADER", getattr(yaml, request.param))


def licences(text: str) -> tuple[tuple[str, ...], str]:
    """The licences of a card, and the name of another one."""
    card = parse_model_card(text.encode(), PATH)
    return card.licences, card.licence_name


CARDS = {
    "usual": ("---\nlicense: apache-2.0\ntags:\n- a\n---\n# Title\n", ("apache-2.0",), ""),
    "several": ("---\nlicense:\n- mit\n- 'cc-by-4.0'\n---\n", ("mit", "cc-by-4.0"), ""),
    "on a line": ("---\nlicense: [mit, apache-2.0]\n---\n", ("mit", "apache-2.0"), ""),
    "another": (
        "---\nlicense: other\nlicense_name: gemma\nlicense_link: LICENSE\n---\n",
        ("other",),
        "gemma",
    ),
    "not a type": ("---\nlicense: no\n---\n", ("no",), ""),
    "a tag": ("---\nlicense: !!python/object/apply:os.system [mit]\n---\n", ("mit",), ""),
    "windows": ("---\r\nlicense: mit\r\n---\r\ntext", ("mit",), ""),
    "quoted null": ("---\nlicense: 'null'\n---\n", ("null",), ""),
    "empty": ("---\nlicense:\n---\n", (), ""),
    "null": ("---\nlicense: ~\n---\n", (), ""),
    "no licence": ("---\ntags: [license]\nmodel-index:\n- license: mit\n---\n", (), ""),
    "no head": ("# Title\n---\nlicense: mit\n---\n", (), ""),
    "no file": ("", (), ""),
    "an odd key": ("---\n? [license]\n: mit\n? {a: b}\n: c\nlicense: isc\n---\n", ("isc",), ""),
    "an anchor": ("---\na: &a {x: [1, *a]}\nlicense: mit\nb: *a\n---\n", ("mit",), ""),
    "space before": ("\n \n---\nlicense: mit\n--- \n", ("mit",), ""),
    "no line after": ("---\nlicense: mit\n---", ("mit",), ""),
}


@pytest.mark.parametrize("name", CARDS)
def test_the_licence_is_what_the_head_says(name: str) -> None:
    """The values of `license` at the top level, as they are written, and none from anywhere else."""
    text, *expected = CARDS[name]

    assert list(licences(text)) == expected


@pytest.mark.parametrize("name", ["usual", "several", "on a line", "another", "windows", "empty"])
def test_huggingface_hub_reads_the_same(name: str) -> None:
    """The hub's own client finds the same licence in a plain card."""
    text = CARDS[name][0]

    declared: Any = HubCard(text, ignore_metadata_errors=False).data.to_dict().get("license") or []
    assert licences(text)[0] == tuple([declared] if isinstance(declared, str) else declared)


BOMB = "---\n" + "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))

FAULTS = {
    "no end": ("---\nlicense: mit\n", FormatError, "has no end"),
    "not yaml": ("---\nlicense: [\n---\n", FormatError, "not YAML"),
    "not an object": ("---\n- license\n---\n", FormatError, "not a YAML object"),
    "nothing in it": ("---\n\n---\n", FormatError, "not a YAML object"),
    "twice": ("---\nlicense: mit\nlicense: isc\n---\n", FormatError, "twice"),
    "an alias": ("---\na: &a mit\nlicense: *a\n---\n", FormatError, "expected a text or an array"),
    "aliases": (f"{BOMB}license: *a59\n---\n", FormatError, "expected a text or an array"),
    "merged": ("---\na: &a {license: mit}\n<<: *a\n---\n", FormatError, "from elsewhere"),
    "an object": ("---\nlicense: {name: mit}\n---\n", FormatError, "expected a text or an array"),
    "arrays": ("---\nlicense: [[mit]]\n---\n", FormatError, "expected an array of at most"),
    "too many": (f"---\nlicense: [{'mit, ' * 21}]\n---\n", FormatError, "expected an array of at most 20"),
    "too deep": (f"---\na: {'[' * 33}{']' * 33}\n---\n", LimitError, f"deeper than {MAX_HEAD_DEPTH}"),
    "far too deep": (f"---\na: {'[' * 500_000}\n---\n", LimitError, f"deeper than {MAX_HEAD_DEPTH}"),
    "too large": (f"---\na: {'x' * MAX_HEAD_BYTES}\n---\n", LimitError, "more than 1,048,576 bytes"),
    "a control character": ("---\nlicense: m\x07it\n---\n", FormatError, "not YAML"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_licence_that_cannot_be_told_is_an_error(name: str) -> None:
    """What is not YAML, says it twice, or says it by way of something else, is no declaration."""
    text, kind, words = FAULTS[name]

    with pytest.raises(kind, match=words) as caught:
        parse_model_card(text.encode(), PATH)
    assert str(caught.value).startswith(PATH)


def test_bytes_that_are_no_text_are_an_error() -> None:
    """A head that is not UTF-8 says nothing."""
    with pytest.raises(FormatError, match="not UTF-8"):
        parse_model_card(b"---\nlicense: \xff\n---\n", PATH)


def test_aliases_that_multiply_cost_nothing() -> None:
    """An alias is never followed: sixty that double each other are passed over, and the licence is read."""
    began = time.perf_counter()

    assert licences(f"{BOMB}license: mit\n---\n") == (("mit",), "")
    assert time.perf_counter() - began < 5  # following them would take as many steps as there are atoms


@given(st.binary(max_size=200))
@example(b"---\n\x00\n---\n")
@example(b"---\n? \n---\n")
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever the card, there is a value or an error that names it."""
    for card in (data, b"---\n" + data + b"\n---\n"):
        try:
            path = parse_model_card(card, PATH).path
        except EmbauditError as error:
            path = str(error)
        assert path.startswith(PATH)


@given(
    st.sampled_from(
        ["", "x", "\n", "---\n", "\n---\n", "---\r\na: b\r\n---\r\n", "---\nlicense: mit\n---\nrest"]
    ),
    st.sampled_from(["", "\n", "-", "--- \n", "text\n---\n", "\n----\n---\n"]),
)
def test_once_its_head_is_whole_the_rest_of_a_card_does_not_matter(begin: str, rest: str) -> None:
    """What is told by a beginning that is called whole is what all of the card tells."""

    def told(text: str) -> object:
        try:
            return parse_model_card(text.encode(), PATH)
        except FormatError as error:
            return str(error)

    for stop in range(len(begin + rest) + 1):
        part = (begin + rest)[:stop]
        if head_is_whole(part.encode()) and not "---".startswith(part.strip()):
            assert told(part) == told(begin + rest)
