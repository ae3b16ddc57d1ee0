"""The report as HTML, and its parts: pages that need no other file, and pieces for a notebook."""

from embaudit.report.html.report import render_html

__all__ = ["render_html"]
