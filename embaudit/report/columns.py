"""Lines of plain text: tables in columns, wrapped sentences, and what a cut list left out."""

import textwrap
from collections.abc import Iterable, Sequence

from embaudit.report.wording import plain

WIDTH = 100
"""Columns of running text. Tables are as wide as their longest names."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows under a header, each column as wide as its widest cell; nothing if there are no rows."""
    if not rows:
        return []
    every = [tuple(header), *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(header))]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]


def wrapped(text: str, indent: int = 8) -> list[str]:
    """A sentence on lines of `WIDTH`, each indented."""
    return textwrap.wrap(
        plain(text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )


def left_out(number: int, shown: int) -> list[str]:
    """The line that says how many of `number` rows are not among those shown."""
    return [f"... and {number - shown:,} more"] if number > shown else []


def indented(lines: Iterable[str]) -> list[str]:
    """The same lines, two columns to the right."""
    return [f"  {line}" for line in lines]
