"""Casing, cutting and prompts, held against texts and tokens that need no library."""

import json

import attrs
import pytest

from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.embeddings.diagnosing.tokens import MOST_TOKENS, TokenizerFile, tokenize
from embaudit.errors import LimitError, TargetError
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
