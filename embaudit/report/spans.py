"""Spans of Markdown in which no name can be markup: code, sentences, rows of tables.

Knows GitHub's dialect (https://github.github.com/gfm/, version 0.29), and what GitHub does to text after it:
it turns `@name`, `#1` and addresses into mentions and links, though never inside of code. So every name, and
every word of a sentence that is not plainly a word or a number, is a span of code.
"""

import re
from collections.abc import Iterable

from embaudit.report.wording import plain

MAX_NAME = 120
"""Characters of one name."""

MAX_SENTENCE = 600
"""Characters of one message."""

_WORD = re.compile(r"""(["'(]*)(.*?)(["').,;:!?]*)""", re.DOTALL)
"""A word with the signs around it that mean nothing to Markdown."""

_PLAIN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|[0-9]{1,6}(?:[.,][0-9]{1,6})*%?")
"""What cannot be markup, an address, a mention, or the number or hash of something."""


def as_row(cells: Iterable[str]) -> str:
    """A row of a table. A pipe ends a cell even inside of code, unless a backslash is before it."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _cut(text: str, length: int) -> str:
    text = plain(text)
    return text if len(text) <= length else f"{text[: length - 4]} ..."


def as_code(text: str, length: int = MAX_NAME) -> str:
    """A span of code (GFM 6.3), fenced by more backticks than the text has in a row; nothing for nothing."""
    shown = _cut(text, length)
    if not shown:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    # One space at each end is taken off where both are there, and a backtick would widen the fence.
    padding = " " if shown.strip("` ") != shown and shown.strip(" ") else ""
    return f"{fence}{padding}{shown}{padding}{fence}"


def as_words(text: str) -> str:
    """A sentence, in which what stands between backticks, and every word that is not plainly one, is code."""
    shown = _cut(text, MAX_SENTENCE)
    pieces = re.split("`([^`]+)`", shown)
    written = ""
    for index, piece in enumerate(pieces):
        added = as_code(piece, MAX_SENTENCE) if index % 2 else _sentence(piece)
        touching = written.endswith("`") and added.startswith("`")
        written += f" {added}" if touching else added
    return written


def _sentence(text: str) -> str:
    return "".join(part if part.isspace() else _word(part) for part in re.split("( +)", text) if part)


def _word(word: str) -> str:
    matched = _WORD.fullmatch(word)
    before, core, after = matched.groups() if matched else ("", word, "")
    if core.count("(") > core.count(")") and after.startswith(")"):
        core, after = f"{core})", after[1:]
    if not core or _PLAIN.fullmatch(core):
        return word
    return f"{before}{as_code(core, MAX_SENTENCE)}{after}"
