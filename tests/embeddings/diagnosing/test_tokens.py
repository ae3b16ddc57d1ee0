"""Casing, cutting and prompts, held against texts and tokens that need no library."""

import json

import attrs
import pytest

from embaudit.embeddings.diagnosing.growth import MOST_CHARACTERS
from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.embeddings.diagnosing.tokens import MOST_TOKENS, TokenizerFile, same_tokens, tokenize
from embaudit.errors import EmbauditError, FormatError, LimitError, TargetError
from embaudit.model.embedding_pipeline import PoolingMode
from embaudit.testing.repositories import bert_settings

DOCUMENT = json.loads(bert_settings()["tokenizer.json"])
FILE = TokenizerFile(document=DOCUMENT)
CLS, SEP, UNKNOWN, HELLO, WORLD = 2, 3, 1, 5, 6
PLAIN = Setting(weights="", pooling=(PoolingMode.MEAN,), normalize=False)


def numbers(file: TokenizerFile, text: str, most: int | None = None, **fields: object) -> tuple[int, ...]:
    """The numbers of one text."""
    setting = attrs.evolve(PLAIN, **fields)
    return tokenize(file.tokenizer(setting.lowercase), [text], setting, most)[0].numbers


@pytest.mark.parametrize(
    "normalizer",
    [
        {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
        {"type": "Lowercase"},
        {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
    ],
    ids=["bert", "step", "sequence"],
)
def test_lowercasing_is_switched(normalizer: dict[str, object]) -> None:
    """Whichever step does it: off from on, and on again from off."""
    file = TokenizerFile(document={**DOCUMENT, "normalizer": normalizer})
    assert file.lowercases
    assert numbers(file, "HELLO") == (CLS, HELLO, SEP)
    assert numbers(file, "HELLO", lowercase=False) == (CLS, UNKNOWN, SEP)
    assert numbers(file, "hello", lowercase=False) == (CLS, HELLO, SEP)


def test_lowercasing_is_added() -> None:
    """Where no step does it."""
    file = TokenizerFile(document={**DOCUMENT, "normalizer": None})

    assert numbers(file, "HELLO") == (CLS, UNKNOWN, SEP)
    assert numbers(file, "HELLO", lowercase=True) == (CLS, HELLO, SEP)


@pytest.mark.parametrize(("declared", "model"), [(3, None), (None, 3), (3, 9), (9, 3)])
def test_texts_end_where_the_shorter_bound_is(declared: int | None, model: int | None) -> None:
    """Special tokens included."""
    assert numbers(FILE, "hello world hello", model, max_length=declared) == (CLS, HELLO, SEP)


def test_the_tokens_of_a_prompt_are_counted() -> None:
    """With the special token before them, without that at the end."""
    setting = attrs.evolve(PLAIN, prompt="hello ")
    (tokens,) = tokenize(FILE.tokenizer(None), ["world"], setting, None)

    assert tokens.numbers == (CLS, HELLO, WORLD, SEP)
    assert tokens.n_prompt == 2
    assert tokens.special == (True, False, False, True)


def test_what_the_file_says_of_lengths_is_read() -> None:
    """Its own cut and its own padding, which programs in Rust obey."""
    truncation = {"max_length": 64, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    padding = {
        "strategy": {"Fixed": 128},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    file = TokenizerFile(document={**DOCUMENT, "truncation": truncation, "padding": padding})

    assert (file.cut_length, file.padded_length) == (64, 128)
    assert (FILE.cut_length, FILE.padded_length) == (None, None)
    assert len(numbers(file, "hello " * 70)) == 72


def test_endless_and_empty_texts_are_refused() -> None:
    """A text without tokens, one of more tokens than any model takes, and one cut to less than nothing."""
    with pytest.raises(TargetError):
        numbers(FILE, "", special_tokens=False)
    with pytest.raises(TargetError):
        numbers(FILE, "hello world", max_length=1)
    with pytest.raises(LimitError):
        numbers(FILE, "hello " * MOST_TOKENS)


def replacing(content: str, count: int = 1) -> dict[str, object]:
    """A normaliser that replaces the letter l."""
    step = {"type": "Replace", "pattern": {"String": "l"}, "content": content}
    return {"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [step]}] * count}


CATASTROPHE = {"Regex": "(x+x+)+y"}
SPECIAL = {"id": "X", "ids": [CLS] * 1000, "tokens": ["[CLS]"] * 1000}
HOSTILE = {
    "a regular expression to split at": (
        {"pre_tokenizer": {"type": "Split", "pattern": CATASTROPHE, "behavior": "Removed", "invert": False}},
        TargetError,
    ),
    "a regular expression to replace": (
        {"normalizer": {"type": "Replace", "pattern": CATASTROPHE, "content": ""}},
        TargetError,
    ),
    "no token for unknown words": ({"model": {**DOCUMENT["model"], "unk_token": "nope"}}, TargetError),
    "long replacements": ({"normalizer": replacing("l" * 1000, 4)}, LimitError),
    "a very long replacement": ({"normalizer": replacing("l" * 10_000_000)}, LimitError),
    "many replacements": ({"normalizer": replacing("ll", 40)}, LimitError),
    "many special tokens": (
        {
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "X", "type_id": 0}}] * 1000,
                "pair": [],
                "special_tokens": {"X": SPECIAL},
            }
        },
        LimitError,
    ),
    "a number for a normaliser": ({"normalizer": 3}, FormatError),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tokenizer_ends_in_an_error(name: str) -> None:
    """One of embaudit's own, before time or memory are used up; panics in Rust are no Exception."""
    fields, error = HOSTILE[name]

    with pytest.raises(error) as raised:
        numbers(TokenizerFile(document={**DOCUMENT, **fields}), "hello " + "x" * 40 + " \N{SNOWMAN}")

    assert isinstance(raised.value, EmbauditError)


@pytest.mark.parametrize(
    "normalizer",
    [
        replacing("l"),
        replacing("ll"),
        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "hello "}, {"type": "NFKD"}]},
    ],
    ids=["as many", "more", "before"],
)
def test_a_normaliser_may_make_texts_longer(normalizer: dict[str, object]) -> None:
    """A little, as real ones do; the tokens are those of the library."""
    file = TokenizerFile(document={**DOCUMENT, "normalizer": normalizer})

    assert numbers(file, "hello world") == tuple(file.tokenizer().backend.encode("hello world").ids)


def test_texts_of_millions_of_characters_are_refused() -> None:
    """Before they are tokenized."""
    with pytest.raises(LimitError, match="characters"):
        numbers(FILE, "a" * (MOST_CHARACTERS + 1))


def test_an_endless_padding_is_not_tried() -> None:
    """A length that no model takes is none to try."""
    padding = {"strategy": {"Fixed": MOST_TOKENS + 1}}

    assert TokenizerFile(document={**DOCUMENT, "padding": padding}).padded_length is None


def test_texts_are_cut_on_the_side_that_is_declared() -> None:
    """Their beginnings on the left; `tokenizer.json` as it stands cuts on the right."""
    file = attrs.evolve(FILE, cut_side="left")
    setting = attrs.evolve(PLAIN, max_length=3)

    assert tokenize(file.tokenizer(), ["hello world"], setting, None)[0].numbers == (CLS, WORLD, SEP)
    stored = file.tokenizer(as_stored=True)
    assert tokenize(stored, ["hello world"], setting, None)[0].numbers == (CLS, HELLO, SEP)


def test_lowercasing_before_all_else_keeps_accents() -> None:
    """As sentence-transformers does it; the file as it stands is kept beside it."""
    plain = {**DOCUMENT["normalizer"], "lowercase": False}
    file = TokenizerFile(document={**DOCUMENT, "normalizer": plain})
    first = file.lowercasing_first()

    assert numbers(file, "HELLO") == (CLS, UNKNOWN, SEP)
    assert numbers(first, "HELLO") == (CLS, HELLO, SEP)
    assert numbers(first, "HELL\N{LATIN CAPITAL LETTER O WITH ACUTE}") == (CLS, UNKNOWN, SEP)
    assert first.stored == file.document
    assert not same_tokens(first.document, file.document)
