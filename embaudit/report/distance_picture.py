"""Distances as a picture: inline SVG, bars of the largest and a strip of all, without a script.

Distances run from the noise of float32 to 2, the distance of opposite unit vectors, so that the scale is
logarithmic. Colours are those of the page around, and red.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape

from embaudit.report.wording import plain

MAX_BARS = 40
"""Bars of one picture: the rows farthest apart."""
MAX_CELLS = 1000
"""Cells of the strip; beyond, a cell stands for several rows, and shows the largest of them."""
MAX_LABEL = 48
"""Characters of a text beside its bar."""

_LEAST, _MOST = 1e-8, 2.0
_TICKS = (1e-6, 1e-4, 1e-2, 1.0)
_BAR, _GAP, _TOP = 14, 4, 20
_LABEL_WIDTH, _BAR_WIDTH, _NUMBER_WIDTH = 330, 380, 90
_CELLS_IN_A_LINE, _CELL = 100, 8
_RED = "#d33"


def distance_bars(labels: Sequence[str], distances: Sequence[float], marked: frozenset[int]) -> str:
    """A bar for each row, in the order of the rows; where there are many, for those farthest apart.

    Args:
        labels: One for each row; may be foreign.
        distances: One for each row, from 0.
        marked: Rows whose bar is red.
    """
    farthest = sorted(range(len(distances)), key=lambda row: -distances[row])[:MAX_BARS]
    rows = sorted(farthest)
    height = _TOP + len(rows) * (_BAR + _GAP)
    width = _LABEL_WIDTH + _BAR_WIDTH + _NUMBER_WIDTH
    body = "".join(
        _bar(labels[row], distances[row], _TOP + at * (_BAR + _GAP), red=row in marked)
        for at, row in enumerate(rows)
    )
    return _picture(width, height, "L2 distance of each text", "".join(_ticks(height)) + body)


def distance_strip(distances: Sequence[float]) -> str:
    """One cell for each row, the darker the farther apart."""
    each = -(-len(distances) // MAX_CELLS)
    cells = [max(distances[start : start + each]) for start in range(0, len(distances), each)]
    lines = -(-len(cells) // _CELLS_IN_A_LINE)
    body = "".join(_cell(at, distance, each) for at, distance in enumerate(cells))
    return _picture(_CELLS_IN_A_LINE * _CELL, lines * _CELL, "L2 distance of every row", body)


def _picture(width: int, height: int, title: str, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'style="max-width:100%;height:auto" font-size="11" fill="currentColor"><title>{title}</title>'
        f"{body}</svg>"
    )


def _ticks(height: int) -> Iterator[str]:
    for tick in _TICKS:
        x = _LABEL_WIDTH + _BAR_WIDTH * _share(tick)
        yield f'<text x="{x:.0f}" y="12" text-anchor="middle" opacity=".7">{tick:g}</text>'
        yield f'<path d="M{x:.0f} {_TOP - 4}V{height}" stroke="currentColor" opacity=".25"/>'


def _bar(label: str, distance: float, top: int, *, red: bool) -> str:
    shown = plain(label)
    short = shown if len(shown) <= MAX_LABEL else f"{shown[: MAX_LABEL - 1]}…"
    baseline = top + _BAR - 3
    length = _BAR_WIDTH * _share(distance)
    colour = f'fill="{_RED}"' if red else 'opacity=".6"'
    return (
        f'<text x="{_LABEL_WIDTH - 8}" y="{baseline}" text-anchor="end">{escape(short)}'
        f"<title>{escape(shown)}</title></text>"
        f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{length:.1f}" height="{_BAR}" {colour}/>'
        f'<text x="{_LABEL_WIDTH + length + 4:.1f}" y="{baseline}">{distance:.2g}</text>'
    )


def _cell(at: int, distance: float, each: int) -> str:
    line, column = divmod(at, _CELLS_IN_A_LINE)
    rows = f"row {at}" if each == 1 else f"rows {at * each} to {(at + 1) * each - 1}"
    return (
        f'<rect x="{column * _CELL}" y="{line * _CELL}" width="{_CELL}" height="{_CELL}" fill="{_RED}" '
        f'fill-opacity="{0.04 + 0.96 * _share(distance):.2f}"><title>{rows}: {distance:.2g}</title></rect>'
    )


def _share(distance: float) -> float:
    """Where a distance lies on the scale, from 0 to 1."""
    if distance <= _LEAST:
        return 0.0
    return min(1.0, math.log(distance / _LEAST) / math.log(_MOST / _LEAST))
