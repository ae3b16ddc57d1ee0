"""One question to an embedding server and its JSON answer, within bounds of time and size.

Knows HTTP and waiting; what is asked and answered is somebody else's. The standard library's client
is used, not huggingface_hub's session: that one is for the hub, carries its credentials, and refuses to work
where the hub is switched off, as it should be on a machine that serves models.

Redirects are not followed: the key would go where the server says.
"""

import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse, InvalidURL
from typing import Any
from urllib.parse import urlsplit

import attrs

from embaudit.embeddings.probing.proxies import proxy_for
from embaudit.embeddings.probing.redacting import Secret
from embaudit.errors import FormatError, SourceError, UnavailableError
from embaudit.formats.documents import decode_json
from embaudit.model.limits import KIB, MIB
from embaudit.sources.base import shown
from embaudit.sources.hub.deadline import Progress, SlowError, run_within
from embaudit.sources.hub.patience import Patience, Persistence, Trouble, seconds_asked
from embaudit.version import VERSION

SERVER_PATIENCE = Patience(
    attempts=4,
    first_wait=0.5,
    longest_wait=8.0,
    ceiling=120.0,
    read_seconds=60.0,
    grace_seconds=120.0,
    bytes_per_second=8.0 * KIB,
)
"""The patience for one request. A server on CPU takes a minute for a batch of long texts, and says nothing
meanwhile; what it then sends, a few hundred KB, comes from a machine nearby."""

ANSWER_BYTES = 16 * MIB
"""Bytes of one answer. A batch of 32 vectors of 8,192 numbers of 22 characters takes 6 MB."""

INFO_BYTES = MIB
"""Bytes of what a server says of itself: a few KB, and with a list of thousands of models a few hundred."""

MOST_NUMBERS = 2**20
"""Numbers of one answer: 32 vectors of 32,768. They are counted before they are decoded, by their commas."""

MOST_PARTS = 2**16
"""Arrays and objects of one answer: one or two for each text. They are counted before they are decoded."""

REFUSAL_BYTES = 4 * KIB
"""Bytes of the body of a refusal that are looked at: it is a sentence."""

MOST_WORDS = 300
"""Characters of a server's own words that a message repeats."""

ASKED_AGAIN = frozenset({429, 503})
"""Answers after which a request is repeated: TEI answers 429 while its queue is full
(https://github.com/huggingface/text-embeddings-inference/blob/v1.7.0/router/src/http/server.rs), and proxies
503 while a server starts. Any other failure of a server that computes is told at once."""

_CHUNK_BYTES = 64 * KIB
_DEPTH = 32
_FIRST_REFUSAL, _FIRST_REDIRECT = 400, 300
_OK = 200
_MOST_DIGITS = 18
_MOST_HEADER = 40


class RefusalError(SourceError):
    """A server takes the connection and refuses the request.

    Attributes:
        status: The status, 4xx or 5xx.
        words: What the server says, cut, without secrets.
    """

    def __init__(self, problem: str, status: int = 0, words: str = "") -> None:
        super().__init__(problem, status, words)
        self.status = status
        self.words = words

    def __str__(self) -> str:
        return str(self.args[0])


@attrs.frozen(kw_only=True)
class Answer:
    """A whole answer.

    Attributes:
        status: The status.
        headers: Under lower-case names.
        body: The body; of a refusal its beginning.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for an answer like any other."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow nothing."""


class Asker:
    """Asks one server. Its key is in no message and no representation.

    Args:
        base: `http://host:port/path`, without a slash at the end.
        api_key: Sent as `Authorization: Bearer`, if there is one.
        patience: How much waiting a request is worth.

    Attributes:
        secret: What leaves the key out of what is told.
    """

    def __init__(self, base: str, api_key: str | None, patience: Patience) -> None:
        self.secret = Secret(api_key)
        self._base = base
        self._key = api_key
        self._patience = patience
        proxy = proxy_for(base)
        self._over = "" if proxy is None else f" over the proxy {shown(proxy.name)}"
        proxies = {} if proxy is None else {urlsplit(base).scheme: proxy.address}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _NoRedirects())
        self._never = threading.Event()

    def __repr__(self) -> str:
        return self.secret.in_message(f"Asker({self._base!r})")

    def address_of(self, path: str) -> str:
        """The whole address of a path, and over which proxy it is asked, for messages."""
        return f"{self._base}{path}{self._over}"

    def get(self, path: str) -> Any:
        """The JSON that is at a path; errors as `post`."""
        return self._asked(path, None)

    def post(self, path: str, document: Mapping[str, Any]) -> Any:
        """The JSON that a document is answered with.

        Raises:
            UnavailableError: If there is no answer, or none in time, or it is cut off or too large.
            RefusalError: If the server refuses or fails.
            FormatError: If the answer is not JSON.
        """
        return self._asked(path, json.dumps(document, ensure_ascii=False).encode())

    def _asked(self, path: str, body: bytes | None) -> Any:
        where = self.address_of(path)
        answer = self._answer(path, body)
        if answer.status != _OK:
            raise self._refusal(where, answer)
        _check_amount(answer.body, where)
        try:
            return decode_json(answer.body, max_depth=_DEPTH)
        except FormatError as error:
            kind = self._header(answer.headers.get("content-type", "no type"))
            problem = f"the answer is not what it should be ({kind}): {error.problem}"
            raise FormatError(problem, f"{where}: {error.where}" if error.where else where) from error

    def _header(self, value: str) -> str:
        """A header of an answer, as a message may repeat it."""
        return shown(self.secret.in_message(value)[:_MOST_HEADER])

    def _answer(self, path: str, body: bytes | None) -> Answer:
        """The answer, after as many attempts as it takes."""
        where = self.address_of(path)
        persistence = Persistence(self._patience, self._never)
        while True:
            with persistence.attempt():
                outcome = self._attempt(path, body)
            if isinstance(outcome, Answer) and outcome.status not in ASKED_AGAIN:
                return outcome
            given_up = persistence.wait_after(_trouble(outcome))
            if given_up is None:
                continue
            if isinstance(outcome, Answer):
                return outcome
            raise UnavailableError(f"{where}: {outcome.reason}")

    def _attempt(self, path: str, body: bytes | None) -> Answer | Trouble:
        try:
            return run_within(
                self._patience.pace, lambda progress: self._exchange(path, body, progress), self._never
            )
        except SlowError as error:
            return Trouble(reason=str(error), lasting=True)
        except (OSError, HTTPException, ValueError) as error:
            return Trouble(reason=_reason(error), lasting=True)

    def _exchange(self, path: str, body: bytes | None, progress: Progress) -> Answer:
        request = urllib.request.Request(f"{self._base}{path}", data=body, headers=self._headers(body))  # noqa: S310 - http(s) only, see addresses
        try:
            response = self._opener.open(request, timeout=self._patience.read_seconds)
        except urllib.error.HTTPError as error:
            with error:
                beginning = error.read(REFUSAL_BYTES)
                return Answer(status=error.code, headers=_lower(error.headers), body=beginning)
        with response:
            headers = _lower(response.headers)
            encoding = headers.get("content-encoding", "identity").strip()
            if encoding.lower() != "identity":
                problem = f"the answer is compressed ({self._header(encoding)}), which was not asked for"
                raise UnavailableError(f"{self.address_of(path)}: {problem}")
            most = min(ANSWER_BYTES, INFO_BYTES) if body is None else ANSWER_BYTES
            answered = _body(response, self.address_of(path), progress, most)
            return Answer(status=response.status, headers=headers, body=answered)

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"embaudit/{VERSION}",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        return headers

    def _refusal(self, where: str, answer: Answer) -> RefusalError:
        words = self._words(answer)
        problem = f"{where}: the server answered {answer.status}"
        return RefusalError(f"{problem}: {words}" if words else problem, answer.status, words)

    def _words(self, answer: Answer) -> str:
        """What a refusal says, without the key, which some servers repeat."""
        if answer.status < _FIRST_REDIRECT:
            return f"an answer with vectors has the status {_OK}"
        if answer.status < _FIRST_REFUSAL:
            return "it redirects, which is not followed; give the server's own address"
        message = _message(answer.body.decode("utf-8", "replace"))
        whole = answer.headers.get("content-length", "") == str(len(answer.body))
        return shown(self.secret.in_message(message, is_cut=not whole)[:MOST_WORDS])


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _body(response: HTTPResponse, where: str, progress: Progress, most_bytes: int) -> bytes:
    """The whole body, if it is not too large, too slow or cut off."""
    expected = _content_length(response)
    too_large = UnavailableError(f"{where}: the answer has more than the {most_bytes:,} bytes it may have")
    if expected is not None and expected > most_bytes:
        raise too_large
    body = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        progress.advance(len(chunk))
        body += chunk
        if len(body) > most_bytes:
            raise too_large
    if expected is not None and len(body) != expected:
        raise UnavailableError(f"{where}: the connection ended after {len(body)} of {expected} bytes")
    return bytes(body)


def _content_length(response: HTTPResponse) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _check_amount(body: bytes, where: str) -> None:
    """Hold an answer against what a batch of vectors may have, before memory is taken for it."""
    for marks, most, things in (
        ((b",",), MOST_NUMBERS, "numbers"),
        ((b"[", b"{"), MOST_PARTS, "arrays and objects"),
    ):
        if sum(map(body.count, marks)) > most:
            problem = f"the answer has more than {most:,} {things}, too many for a vector for each text"
            raise UnavailableError(f"{where}: {problem}")


def _trouble(outcome: Answer | Trouble) -> Trouble:
    if isinstance(outcome, Trouble):
        return outcome
    return Trouble(
        reason=f"the server answered {outcome.status}",
        asked_seconds=seconds_asked(outcome.status, outcome.headers),
    )


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (InvalidURL, "the address, or that of the proxy, cannot be used"),
    (ssl.SSLCertVerificationError, "the server's certificate could not be verified"),
    (ssl.SSLError, "the secure connection failed"),
    (socket.gaierror, "the name of the host could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection was dropped"),
    (TimeoutError, "no answer in time"),
    (HTTPException, "the answer is not HTTP, or the connection ended before it did"),
)


_TUNNEL = "Tunnel connection failed"
"""How `http.client` says that a proxy refuses to connect to an `https` address."""


def _reason(error: BaseException) -> str:
    """In our own words: the library's may hold the address and the key."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if _TUNNEL in str(cause):
        return "the proxy does not let the connection through"
    for kind, reason in _REASONS:
        if isinstance(cause, kind):
            return reason
    return f"the request failed ({type(error).__name__})"


def _message(text: str) -> str:
    """The sentence in the body of a refusal, as TEI, OpenAI and FastAPI write it; else the body itself."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    for key in ("error", "message", "detail"):
        if isinstance(document, dict) and key in document:
            document = document[key]
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
