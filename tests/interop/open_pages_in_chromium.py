"""Opens pages in a headless Chromium, acts on them as asked, and tells what happened there.

Reads from standard input a JSON object: `folder`, which holds the pages, `profile`, an empty folder for the
browser's own files, and `visits`, an array of objects: `page`, the name of the file; `scheme`, light or dark;
`width`, of the window; `script`, whether pages may run scripts; and `steps`, arrays of an action with its
arguments, one of `evaluate` an expression, `fill` a selector with a text, `press` a key, `click` a selector,
`wait` until an expression holds, `shoot` the whole page into a file, or `print` it.

Writes, on the last line, an array with an object for each visit: `console` (errors, warnings and faults of
scripts), `requested` (addresses that the page asked for, itself included), `served` (paths that arrived at
the server, favicons included), `results` of the steps, of `print` the text on the paper, and `seconds`
until it was loaded.
"""

import io
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import BrowserContext, Error, Page, sync_playwright
from pypdf import PdfReader

_FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--no-sandbox",
)
_HEIGHT = 900
_PATIENCE_MILLISECONDS = 30_000
_PAUSE_MILLISECONDS = 20


class _Server(ThreadingHTTPServer):
    """Serves a folder on this machine, and keeps what it was asked for."""

    def __init__(self, folder: str) -> None:
        super().__init__(("127.0.0.1", 0), partial(_Handler, directory=folder))
        self.asked: list[str] = []


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        """Keep the path, and serve the file."""
        assert isinstance(self.server, _Server)
        self.server.asked.append(self.path)
        super().do_GET()

    def end_headers(self) -> None:
        """Let every visit ask anew."""
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def main() -> None:
    """Make every visit, each in a page of its own."""
    job = json.load(sys.stdin)
    server = _Server(job["folder"])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told: dict[int, dict[str, Any]] = {}
    with sync_playwright() as playwright:
        for scripts in (True, False):
            context = playwright.chromium.launch_persistent_context(
                f"{job['profile']}/{scripts}",
                executable_path=shutil.which("chromium"),
                headless=True,
                args=list(_FLAGS),
                java_script_enabled=scripts,
            )
            for at, visit in enumerate(job["visits"]):
                if visit.get("script", True) is scripts:
                    told[at] = _visit(context, server, visit)
            context.close()
    server.shutdown()
    print(json.dumps([told[at] for at in sorted(told)]))  # noqa: T201 - the result


def _visit(context: BrowserContext, server: _Server, visit: dict[str, Any]) -> dict[str, Any]:
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MILLISECONDS)
    console: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: console.append(f"fault: {error}"))
    page.on("dialog", lambda dialog: (console.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: requested.append(request.url))
    page.emulate_media(color_scheme=visit.get("scheme", "light"))
    page.set_viewport_size({"width": visit.get("width", 1280), "height": _HEIGHT})
    server.asked.clear()
    began = time.perf_counter()
    page.goto(f"http://127.0.0.1:{server.server_port}/{visit['page']}")
    seconds = time.perf_counter() - began
    results = list(_results(page, visit.get("steps", ())))
    page.close()
    return {
        "console": console,
        "requested": requested,
        "served": list(server.asked),
        "results": results,
        "seconds": seconds,
    }


def _results(page: Page, steps: list[list[str]]) -> Iterator[Any]:
    """The result of each step, up to one that fails, in whose place stands what happened."""
    for step in steps:
        try:
            yield _step(page, *step)
        except Error as error:
            yield f"{step[0]} failed: {error}"
            return


def _step(page: Page, action: str, *arguments: str) -> Any:
    match action:
        case "evaluate":
            return page.evaluate(*arguments)
        case "fill":
            page.fill(*arguments)
        case "press":
            page.keyboard.press(*arguments)
        case "click":
            page.click(*arguments)
        case "wait":
            _wait(page, *arguments)
        case "shoot":
            page.screenshot(path=arguments[0], full_page=True)
        case "print":
            paper = PdfReader(io.BytesIO(page.pdf(format="A4")))
            return "\n".join(sheet.extract_text() for sheet in paper.pages)
        case _:
            raise ValueError(action)
    return None


def _wait(page: Page, expression: str) -> None:
    """Ask again and again: the browser's own way to wait evaluates texts, which a page may forbid."""
    until = time.perf_counter() + _PATIENCE_MILLISECONDS / 1000
    while not page.evaluate(expression):
        if time.perf_counter() > until:
            raise Error(f"never true: {expression}")
        page.wait_for_timeout(_PAUSE_MILLISECONDS)


if __name__ == "__main__":
    main()
