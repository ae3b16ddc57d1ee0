"""Pages of HTML: the frame of all of them, and tables.

No external resource, and no script but the one in `page_script`, for pages that ask for it; what a browser is
allowed to do says so. A piece of a page, for a notebook, has no script at all.
"""

from collections.abc import Iterable, Sequence
from html import escape

from embaudit.report.page_script import content_security_policy
from embaudit.report.page_style import PAGE_STYLE, STYLE
from embaudit.report.wording import plain

MAX_TITLE = 200
"""Characters of a page's title."""


def page(title: str, body: str, *, whole_page: bool, style: str = "", script: str = "") -> str:
    """A page under a heading, or the piece of one that a notebook takes in, which has neither.

    Args:
        title: Of the page, a plain text.
        body: HTML already.
        whole_page: Whether it is a page of its own.
        style: CSS beside that of every page.
        script: JavaScript of a page of its own; must not hold `</script`.
    """
    if not whole_page:
        return f'<div class="embaudit"><style>{STYLE}{style}</style>{body}</div>'
    shown = escape(plain(title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"))
    running = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{content_security_policy(script)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        f"<title>{shown}</title><style>{STYLE}{PAGE_STYLE}{style}</style></head>"
        f'<body><main class="embaudit"><h1>{shown}</h1>{body}</main>{running}</body></html>\n'
    )


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts, which scrolls in a box of its own; nothing if there are no rows."""
    top = "".join(f'<th scope="col">{escape(plain(cell))}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(plain(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    label = escape(plain(", ".join(name for name in header if name)))
    return boxed(f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody>", label) if body else ""


def boxed(table: str, label: str, *, box: str = ' tabindex="0"', classes: str = "") -> str:
    """The inside of a table as a table in a box that scrolls where the table is too wide.

    Args:
        table: Heads and rows, HTML already.
        label: What is in the table, escaped already.
        box: More attributes of the box, with a space before them. By default keys can reach it, to scroll.
        classes: Of the table.
    """
    named = f' class="{classes}"' if classes else ""
    return f'<div class="box" role="group" aria-label="{label}"{box}><table{named}>{table}</table></div>'
