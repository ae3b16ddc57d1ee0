"""Pages of HTML: the frame and the style of all of them, tables, escaping.

No script, no external resource. Colours are those of the page around it.
"""

from collections.abc import Iterable, Sequence
from html import escape

from embaudit.report.wording import plain

STYLE = """
.embaudit { font: 14px/1.45 system-ui, sans-serif; color: inherit; max-width: 70rem;
  overflow-wrap: anywhere; }
.embaudit h2, .embaudit h3 { margin: 1.2em 0 .4em; line-height: 1.2; }
.embaudit table { border-collapse: collapse; margin: .4em 0; background: transparent; }
.embaudit th, .embaudit td { text-align: left; vertical-align: top; padding: .2em .8em .2em 0; color: inherit;
  background: transparent; border-bottom: 1px solid rgba(128, 128, 128, .35); }
.embaudit svg { display: block; margin: .4em 0; }
"""

PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 2rem auto; padding: 0 1rem; max-width: 72rem; }
"""


def page(title: str, body: str, *, whole_page: bool, style: str = "") -> str:
    """A page, or the piece of one that a notebook takes in.

    Args:
        title: Of the page, a plain text.
        body: HTML already.
        whole_page: Whether it is a page of its own.
        style: CSS beside that of every page.
    """
    piece = f'<div class="embaudit"><style>{STYLE}{style}</style>{body}</div>'
    if not whole_page:
        return piece
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(plain(title))}</title><style>{PAGE_STYLE}</style></head>"
        f"<body>{piece}</body></html>\n"
    )


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of plain texts; nothing if there are no rows."""
    top = "".join(f"<th>{escape(plain(cell))}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(plain(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>" if body else ""
