"""How the loaders that stand on candle word what they say of a repository.

Knows that names and values out of a repository may be of any length and number, and what a reason shows of
them.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from embaudit.loaders.harmless import why_harmless

_SHOWN = 120
"""Characters of a name or a value that a reason shows at most."""
_SENTENCES = 3
"""Sentences of one kind that are given at most."""
_REMEMBERED = 2**16
"""Names of which it is remembered whether they are harmless: many eras ask the same of the same file."""

harmless = lru_cache(maxsize=_REMEMBERED)(why_harmless)
"""`why_harmless`, remembered."""


def cut(text: str) -> str:
    """A name or a value as a reason shows it: escaped where it does not print, and not too long."""
    end = "..." if len(text) > _SHOWN else ""
    shown = text[:_SHOWN]
    return (shown if shown.isprintable() else repr(shown)[1:-1]) + end


def first_few(sentences: Sequence[str]) -> Iterator[str]:
    """The first few of many sentences, and how many more there are."""
    yield from sentences[:_SENTENCES]
    more = len(sentences) - _SENTENCES
    if more > 0:
        yield f"And so on, {more:,} more like this."
