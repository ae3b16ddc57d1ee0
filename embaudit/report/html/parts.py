"""The parts that pages of reports are made of: texts, tables, lists, folds, sections, all of bounded length.

Every text from a repository is stripped of invisible characters, cut, and escaped here, and nowhere else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice

import attrs

from embaudit.report.pages import boxed
from embaudit.report.wording import as_json, plain

MAX_NAME = 300
"""Characters of a name, a path, a value. Names of tensors have tens; hostile ones may have millions."""
MAX_SENTENCE = 4_000
"""Characters of a message, which may quote several names."""
MAX_DEPTH = 4
"""Levels of evidence that are laid out; what lies deeper stands as JSON."""
MAX_WORD = 20
"""Characters of a value up to which it is not broken."""
MAX_COLUMNS = 8
"""Members of like objects of evidence up to which they are the columns of a table."""
SEARCHED_FROM = 12
"""Rows from which a table can be searched."""
_CODE = re.compile("`([^`]+)`")
_ANCHOR = re.compile("[^a-z]+")


@attrs.frozen(kw_only=True)
class Bounds:
    """How much is shown; the JSON form of a report has all of it.

    Attributes:
        findings: Findings, the worst of them.
        rows: Rows of one table.
        tensors: Rows of the tables of tensors of all weight files together.
        items: Items of one list.
        values: Values of one piece of evidence; every finding has some.
    """

    findings: int
    rows: int
    tensors: int
    items: int
    values: int


PAGE = Bounds(findings=2_000, rows=2_000, tensors=10_000, items=200, values=40)
"""A page of its own: what Chromium 156 lays out anew, as after a sort, in about a second on one core."""
PIECE = Bounds(findings=20, rows=20, tensors=60, items=20, values=12)
"""A piece of a notebook, which is stored in it."""


@attrs.frozen
class Cell:
    """The content of a cell.

    Attributes:
        html: HTML already.
        value: The number by which it is sorted; None where it is sorted by what it shows.
    """

    html: str
    value: float | None = None


@attrs.frozen
class Column:
    """A column of a table.

    Attributes:
        title: What stands above it, plain.
        kind: `brief` for words, which are broken where nothing else helps, `name` for names and values that
            are long and broken anywhere, `told` for sentences, `number` and `date`, which are not broken.
    """

    title: str
    kind: str = "brief"


def text(value: object, most: int = MAX_NAME) -> str:
    """A text, cut where it is too long, with the number of characters that it has."""
    whole = str(value)
    if len(whole) <= most:
        return escape(plain(whole))
    return f"{escape(plain(whole[:most]))}… ({len(whole):,} characters)"


def code(value: object) -> str:
    """A name, a path, a value of the repository."""
    return f"<code>{text(value)}</code>"


def prose(sentence: str) -> str:
    """A sentence, in which what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", text(sentence, MAX_SENTENCE))


def number(value: int) -> Cell:
    """A count, sorted as one."""
    return Cell(f"{value:,}", value)


def paragraph(html: str, kind: str = "") -> str:
    """A paragraph of HTML, of a class if one is named; nothing for nothing."""
    named = f' class="{kind}"' if kind else ""
    return f"<p{named}>{html}</p>" if html else ""


def bullets(items: Iterable[str], total: int, bounds: Bounds) -> str:
    """The first items, each HTML already, and how many of `total` there are besides."""
    shown = "".join(f"<li>{item}</li>" for item in islice(items, bounds.items))
    return f"<ul>{shown}</ul>{left_out(total, bounds.items)}" if shown else ""


def left_out(total: int, shown: int) -> str:
    """How many are not shown."""
    if total <= shown:
        return ""
    return f'<p class="note">... and {total - shown:,} more, which the JSON form of the report has.</p>'


def facts(rows: Iterable[tuple[str, str]], label: str) -> str:
    """Names and what they are, the latter HTML already, as a table without heads; empty ones left out."""
    body = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{value}</td></tr>' for name, value in rows if value
    )
    return boxed(f"<tbody>{body}</tbody>", text(label), box="", classes="facts") if body else ""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]], label: str, *, most: int, total: int
) -> str:
    """A table that scrolls in a box of its own, and can be sorted and searched where the page has the script.

    Args:
        columns: The heads.
        rows: The rows, cells of HTML already.
        label: What the table lists, for those who do not see it, and for the search.
        most: Rows that are shown.
        total: Rows that there are.
    """
    kinds = [f' class="{column.kind}"' for column in columns]
    body = "".join(_row(row, kinds) for row in islice(rows, most))
    if not body:
        return ""
    head = "".join(
        f'<th scope="col"{kind}>{text(column.title)}</th>'
        for column, kind in zip(columns, kinds, strict=True)
    )
    n_left = max(0, total - most)
    searched = (
        f' data-search="Search {text(label)}" data-left-out="{n_left}"' if total >= SEARCHED_FROM else ""
    )
    inside = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    classes = "sortable" if total > 1 else ""
    return boxed(inside, text(label), box=f' tabindex="0"{searched}', classes=classes) + left_out(total, most)


def _row(row: Sequence[str | Cell], kinds: Sequence[str]) -> str:
    return f"<tr>{''.join(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True))}</tr>"


def _cell(cell: str | Cell, kind: str) -> str:
    if isinstance(cell, str):
        return f"<td{kind}>{cell}</td>"
    value = "" if cell.value is None else f' data-value="{cell.value}"'
    return f"<td{kind}{value}>{cell.html}</td>"


def fold(summary: str, content: str) -> str:
    """Content under a line that opens it; nothing for nothing.

    Args:
        summary: The line, HTML already.
        content: HTML already.
    """
    return f"<details><summary>{summary}</summary>{content}</details>" if content else ""


def section(title: str, content: str, *, named: bool) -> str:
    """Content under a heading of its own.

    Args:
        title: Our own words.
        content: HTML already.
        named: Whether the page's address can lead there; a notebook may hold several such sections.
    """
    name = f' id="{anchor(title)}"' if named else ""
    return f"<section{name}><h2>{text(title)}</h2>{content}</section>"


def anchor(title: str) -> str:
    """What a section is called in the page's address."""
    return _ANCHOR.sub("-", title.lower()).strip("-")


def label_of(word: str, kind: str) -> str:
    """A word in a frame: a severity, an outcome. The frame's colour repeats what the word says."""
    return f'<span class="label {kind}">{text(word)}</span>'


def value_of(value: object, bounds: Bounds, depth: int = 0) -> str:
    """A piece of evidence, laid out."""
    if isinstance(value, Mapping | tuple) and (depth >= MAX_DEPTH or not value):
        return code(_briefly(value))
    if isinstance(value, Mapping):
        items = islice(value.items(), bounds.values)
        lines = (f"{text(key)}: {value_of(item, bounds, depth + 1)}" for key, item in items)
        return _joined(lines, len(value), bounds, "<br/>")
    if isinstance(value, tuple) and len(value) > 1 and _is_tabular(value[: bounds.values]):
        return _objects(value, bounds)
    if isinstance(value, tuple):
        shown = (value_of(item, bounds, depth + 1) for item in value[: bounds.values])
        nested = any(isinstance(item, Mapping | tuple) for item in value[: bounds.values])
        return _joined(shown, len(value), bounds, "<br/>" if nested else ", ")
    return code(value)


def _objects(items: Sequence[Mapping[str, object]], bounds: Bounds) -> str:
    """Objects with the same members as a table."""
    shown = items[: bounds.values]
    columns = [Column(name, _kind([item[name] for item in shown])) for name in items[0]]
    rows = ([_member(item[name]) for name in items[0]] for item in shown)
    return table(columns, rows, "evidence", most=bounds.values, total=len(items))


def _kind(values: Sequence[object]) -> str:
    if all(type(value) is int for value in values):
        return "number"
    return "name" if any(len(str(value)) > MAX_WORD for value in values) else "brief"


def _member(value: object) -> Cell:
    return Cell(code(value), value if type(value) is int else None)


def _is_tabular(items: Sequence[object]) -> bool:
    """Whether these are objects with the same few members, none of which holds others."""
    first = items[0]
    return (
        isinstance(first, Mapping)
        and 0 < len(first) <= MAX_COLUMNS
        and all(isinstance(item, Mapping) and [*item] == [*first] for item in items)
        and not any(isinstance(each, Mapping | tuple) for item in items for each in _values(item))
    )


def _values(item: object) -> Iterable[object]:
    return item.values() if isinstance(item, Mapping) else ()


def _joined(shown: Iterator[str], total: int, bounds: Bounds, between: str) -> str:
    more = [f"... and {total - bounds.values:,} more"] if total > bounds.values else []
    return between.join([*shown, *more])


def _briefly(value: object) -> str:
    """A value as JSON, unless it is too deep for that, too."""
    try:
        return as_json(value)  # type: ignore[arg-type]  # evidence is JSON
    except RecursionError:
        return "…"
