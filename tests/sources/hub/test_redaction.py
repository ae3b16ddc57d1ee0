"""What of addresses, headers and tokens is left in logs."""

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants, utils
from hypothesis import given
from hypothesis import strategies as st

from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.sources.hub.exchange import Exchange
from embaudit.sources.hub.redaction import redacted
from embaudit.sources.metered import Meter

TOKEN = "hf_" + "t0ken" * 4
SIGNATURE = "s1gnature"
COOKIE = "c00kie"
QUERY = f"response-content-disposition=inline;+filename*=UTF-8''a%22b&X-Amz-Signature={SIGNATURE}"

not_space = st.characters(exclude_categories=["Z", "C"], exclude_characters="?")


@given(st.text(not_space, min_size=1))
def test_queries_are_cut_whole(query: str) -> None:
    """Of a query nothing is left, whatever letters it is made of, and the text around it stays."""
    line = redacted(f'"GET https://cdn.example/a/b?{query} HTTP/1.1" 206')

    assert line == '"GET https://cdn.example/a/b?... HTTP/1.1" 206'


TEXTS = {
    "a token": (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ..."),
    "a token alone": (f"the token {TOKEN} is", "the token hf_... is"),
    "a header of httpcore": (
        "(b'Set-Cookie', b'id=1; x'), (b'A', b'1')",
        "(b'Set-Cookie', b'...'), (b'A', b'1')",
    ),
    "a header in a mapping": ("{'authorization': 'Basic abc'}", "{'authorization': '...'}"),
    "a password": ("https://user:word@host/a", "https://...@host/a"),
    "a query torn apart": ("name.bin and&Signature=abc", "name.bin and&Signature=..."),
    "a question": ("Really? No", "Really? No"),
    "nothing": ("connect_tcp.started host='127.0.0.1' port=1", "connect_tcp.started host='127.0.0.1' port=1"),
}


@pytest.mark.parametrize(("text", "safe"), TEXTS.values(), ids=TEXTS)
def test_secrets_are_cut_and_the_rest_stays(text: str, safe: str) -> None:
    """Each kind of secret is cut, a text without one stays as it is, and so does one that is cut already."""
    assert redacted(text) == safe
    assert redacted(safe) == safe


class Hub(BaseHTTPRequestHandler):
    """Redirects to a signed address on the other name of the same host."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the hub does for a file, with a cookie."""
        signed = "?" in self.path
        port = self.server.server_address[1]
        self.send_response(200 if signed else 302)
        self.send_header("Set-Cookie", f"session={COOKIE}")
        self.send_header("Content-Length", "2" if signed else "0")
        if not signed:
            self.send_header("Location", f"http://localhost:{port}/cdn?{QUERY}")
        self.end_headers()
        self.wfile.write(b"ok" if signed else b"")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the parent's
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The endpoint of a hub on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    forget = getattr(huggingface_hub, "close_session", None) or utils.reset_sessions
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    forget()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    forget()
    server.shutdown()
    server.server_close()


class Everything(logging.Handler):
    """Keeps what a log file would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line and the record's parts."""
        self.lines.append(f"{record.name}: {self.format(record)} {record.msg!r} {record.args!r}")


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What is logged at level DEBUG, by every logger that there is, whatever was set up before."""
    everything, root = Everything(), logging.getLogger()
    named = [logging.getLogger(name) for name in list(root.manager.loggerDict)]
    loggers = [root, *(logger for logger in named if not logger.name.startswith("hypothesis"))]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate = True
    root.addHandler(everything)
    yield everything.lines
    root.removeHandler(everything)
    for logger, level, propagate in before:
        logger.setLevel(level)
        logger.propagate = propagate


def test_no_log_at_any_level_holds_a_secret(hub: str, log: list[str]) -> None:
    """With every logger at DEBUG, no record of any library holds the token, the signature or the cookie."""
    exchange = Exchange(endpoint=hub, token=TOKEN, limits=DEFAULT_LIMITS, meter=Meter())

    answer = exchange.get(f"{hub}/org/name/resolve/main/a", what="'a'", most=2, crosses=True)
    exchange.get(answer.url, what="'a'", most=2, crosses=True, known=True)

    logged = "\n".join(log)
    assert SIGNATURE in answer.url
    assert "/cdn?..." in logged, "the libraries log addresses, else this test proves nothing"
    assert "huggingface_hub.utils._http: " in logged
    assert not [secret for secret in (TOKEN, SIGNATURE, COOKIE) if secret in logged]
