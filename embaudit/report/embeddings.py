"""Comparisons of vectors for people: as text, as JSON, and as a page with a picture of the distances."""

from collections.abc import Sequence
from html import escape

from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.words import plural
from embaudit.report.codec import render_json
from embaudit.report.columns import indented, left_out, table, wrapped
from embaudit.report.comparisons import told
from embaudit.report.distance_picture import MAX_BARS, distance_bars, distance_strip
from embaudit.report.pages import html_table, page
from embaudit.report.wording import plain

__all__ = ["render_comparison", "render_comparison_html", "render_comparison_json"]

MAX_TEXT = 60
"""Characters of a text in a table."""

_COLUMNS = ("row", "L2", "cosine", "norm ratio", "text")


def render_comparison(comparison: EmbeddingComparison, texts: Sequence[str] = ()) -> str:
    """The verdict, the worst of each measure, and the rows farthest apart.

    Args:
        comparison: What to tell.
        texts: Of the rows, if they are known.
    """
    title = f"{comparison.relation}: {plural(comparison.n_rows, 'vector')}"
    lines = [title, *(line for sentence in told(comparison) for line in wrapped(sentence, 2))]
    lines += ["", "Worst", *indented(table(("L2", "cosine", "norm ratio"), [_worst(comparison)]))]
    if comparison.worst_l2 > 0:
        rows = [_row(comparison, row, texts) for row in comparison.worst_rows]
        lines += ["", "Farthest apart", *indented(table(_COLUMNS, rows))]
        lines += indented(left_out(comparison.n_rows, len(rows)))
    return "\n".join(lines) + "\n"


def render_comparison_json(comparison: EmbeddingComparison) -> str:
    """Every field of the comparison, as JSON."""
    return render_json(comparison) + "\n"


def render_comparison_html(
    comparison: EmbeddingComparison, texts: Sequence[str] = (), *, whole_page: bool = True
) -> str:
    """The same as a page, or as a piece of one, with bars of the distances and a strip of all of them."""
    title = f"embaudit: {comparison.relation}"
    return page(title, comparison_body(comparison, texts), whole_page=whole_page)


def comparison_body(comparison: EmbeddingComparison, texts: Sequence[str] = ()) -> str:
    """The inside of that page."""
    rows = [_row(comparison, row, texts) for row in comparison.worst_rows]
    return "".join(
        (
            f"<h2>{comparison.relation}: {plural(comparison.n_rows, 'vector')}</h2>",
            *(f"<div>{escape(sentence)}</div>" for sentence in told(comparison)),
            html_table(("worst L2", "worst cosine", "worst norm ratio"), [_worst(comparison)]),
            _picture(comparison, texts),
            "<h3>Farthest apart</h3>",
            html_table(_COLUMNS, rows),
        )
    )


def _picture(comparison: EmbeddingComparison, texts: Sequence[str]) -> str:
    labels = [label_of(row, texts) for row in range(comparison.n_rows)]
    bars = distance_bars(labels, comparison.l2, frozenset(comparison.outliers))
    strip = distance_strip(comparison.l2) if comparison.n_rows > MAX_BARS else ""
    return f"<h3>L2 distance of each text</h3>{bars}{strip}"


def _worst(comparison: EmbeddingComparison) -> tuple[str, ...]:
    return (
        f"{comparison.worst_l2:.3g}",
        f"{comparison.worst_cosine:.6f}",
        f"{comparison.worst_norm_ratio:.6g}",
    )


def _row(comparison: EmbeddingComparison, row: int, texts: Sequence[str]) -> tuple[str, ...]:
    return (
        str(row),
        f"{comparison.l2[row]:.3g}",
        f"{comparison.cosine[row]:.6f}",
        f"{comparison.norm_ratio[row]:.6g}",
        shown_text(texts[row]) if row < len(texts) else "",
    )


def label_of(row: int, texts: Sequence[str]) -> str:
    """What a bar is called: the row's text, or its number."""
    return texts[row] if row < len(texts) and texts[row].strip() else f"row {row}"


def shown_text(text: str) -> str:
    """A text as a table shows it: on one line, in quotes where its ends are not seen, and cut."""
    shown = plain(text)
    if shown.strip() != shown or not shown:
        shown = repr(shown)
    return shown if len(shown) <= MAX_TEXT else f"{shown[: MAX_TEXT - 1]}…"
