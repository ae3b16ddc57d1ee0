"""How the loaders that stand on candle word what they say of a repository.

Knows that names and values out of a repository may be of any length and number, and what a reason shows of
them.
"""

from collections.abc import Iterator, Sequence

_SHOWN = 120
"""Characters of a name or a value that a reason shows at most."""
_SENTENCES = 3
"""Sentences of one kind that are given at most."""


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
