"""How findings and renderers alike say counts and commits."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_SHORT_COMMIT = 12
"""Hex digits that tell the commits of one repository apart."""


def plural(number: int, noun: str) -> str:
    """A number with its noun: `1 tensor`, `1,200 tensors`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(commit: str | None) -> str:
    """The first digits of a commit hash."""
    return "unknown" if commit is None else commit[:_SHORT_COMMIT]


def nearest(word: str, known: Iterable[str]) -> str:
    """The question that ends a message about an unknown word, `; did you mean "error"?`, or nothing."""
    asked = _spelling(word)
    by_spelling = {_spelling(each): each for each in known}
    close = get_close_matches(asked, by_spelling, n=len(by_spelling) or 1)
    if not close:
        return ""
    return f'; did you mean "{by_spelling[max(close, key=lambda each: _likeness(asked, each))]}"?'


def _spelling(word: str) -> str:
    return word.lower().replace("_", "-")


def _likeness(asked: str, known: str) -> tuple[float, int]:
    """How alike two words are; of codes, which are all alike, how many characters stand at the same place."""
    ratio = SequenceMatcher(None, known, asked).ratio()
    return ratio, sum(left == right for left, right in zip(asked, known, strict=False))
