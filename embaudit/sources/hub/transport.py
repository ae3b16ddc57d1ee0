"""One request, on huggingface_hub's own session: the only place that knows which library that session is of.

huggingface_hub 0.34 to 0.36 use `requests`, with one session for each thread; 1.x use `httpx`, 2.x `httpx2`,
with one client that all threads share. Each is asked for exactly one exchange: no redirect is followed, no
body is decoded, nothing is repeated. What the libraries raise becomes a `TransportError` with words of our
own, since their messages hold addresses and header values.
"""

import importlib
import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import attrs
from huggingface_hub import constants, get_session
from huggingface_hub.errors import LocalTokenNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined] # public, but loaded lazily

from embaudit.errors import TargetError, causes_of
from embaudit.version import VERSION

CHUNK_BYTES = 64 * 1024
"""Bytes asked of `requests` at a time; httpx gives what has come."""

_CREDENTIALS = ("authorization", "cookie")
_ONE_AT_A_TIME = threading.Lock()
_OFFLINE = (
    "the hub cannot be asked: huggingface_hub is offline (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set); "
    "unset it, or name what was downloaded, as cache:org/name"
)
_NOT_LOGGED_IN = (
    "a token is asked for, and none is stored: log in with `hf auth login`, or set the variable HF_TOKEN"
)


class TransportError(Exception):
    """A request that got no whole answer; the message holds no address.

    Attributes:
        lasting: Whether the same would happen again.
    """

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.lasting = lasting


class OfflineError(TargetError):
    """The network is switched off by huggingface_hub's own setting."""


@attrs.frozen(kw_only=True)
class Request:
    """One request.

    Attributes:
        method: `GET` or `POST`.
        url: Absolute; may be a secret.
        headers: Lower-case names; may hold a secret.
        content: The body.
        anonymous: Whether no credentials may go along, those of the session included.
        connect_seconds: How long a connection may take.
        read_seconds: How long nothing may come.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes | None = attrs.field(default=None, repr=False)
    anonymous: bool
    connect_seconds: float
    read_seconds: float


@attrs.frozen(kw_only=True)
class Response:
    """The beginning of one answer.

    Attributes:
        status: The status code.
        headers: Lower-case names; may hold a secret.
        chunks: The body as it comes, not decoded. Raises `TransportError`.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    chunks: Iterator[bytes] = attrs.field(repr=False)


def hub_headers(token: str | bool | None) -> dict[str, str]:
    """The headers that introduce us to the hub, with lower-case names.

    The first call in a process makes late 1.x and 2.x ask `{endpoint}/api/agent-harnesses` once a day, by
    their own client and with three seconds of patience, unless HF_HUB_DISABLE_TELEMETRY is set; that request
    is not ours and not counted.

    Args:
        token: As huggingface_hub takes it: a token, True for the stored one, False for none, None for the
            stored one if there is one.

    Raises:
        OfflineError: If the network is switched off.
        TargetError: If the stored token is asked for and there is none.
    """
    _check_online()
    try:
        headers = build_hf_headers(token=token, library_name="embaudit", library_version=VERSION)
    except LocalTokenNotFoundError:
        raise TargetError(_NOT_LOGGED_IN) from None
    return {name.lower(): value for name, value in headers.items()}


def calling_session() -> Any:
    """huggingface_hub's session. Before 1.0 it belongs to the calling thread, so that it is taken there.

    A `requests.Session`, `httpx.Client` or `httpx2.Client`, as the application set it up.

    Raises:
        OfflineError: If the network is switched off.
    """
    _check_online()
    # huggingface_hub 1.0 makes several clients and forgets all but one if threads ask for the first at once.
    with _ONE_AT_A_TIME:
        return get_session()


def _check_online() -> None:
    # The clients look at the switch as well; before 1.0 only when a session is made.
    if constants.HF_HUB_OFFLINE:
        raise OfflineError(_OFFLINE)


@contextmanager
def opened(session: Any, request: Request) -> Generator[Response, None, None]:
    """Send a request, and close its answer at the end, whether or not its body was read.

    Raises:
        OfflineError: If the network is switched off.
        TransportError: If there is no answer.
    """
    library = _library_of(session)
    with _retold(library):
        response = library.send(session, request)
    try:
        yield Response(
            status=int(response.status_code),
            headers={str(name).lower(): str(value) for name, value in response.headers.items()},
            chunks=_chunks(library, response),
        )
    finally:
        # What was wanted of the answer is read by now, or its own error is on the way.
        with suppress(TransportError), _retold(library):
            response.close()


@attrs.frozen(kw_only=True)
class _Library:
    """What differs between the libraries.

    Attributes:
        send: Sends a request with a session; gives the response, its body still to come.
        body: The raw body of a response, in chunks.
        failures: What it raises.
    """

    send: Callable[[Any, Request], Any]
    body: Callable[[Any], Iterator[bytes]]
    failures: tuple[type[BaseException], ...]


def _library_of(session: Any) -> _Library:
    """The library that a session is of, which may be a child of the library's own class."""
    for base in type(session).__mro__:
        name = base.__module__.partition(".")[0]
        if name in _MAKERS:
            return _library(name)
    raise TransportError("the session of huggingface_hub is of an unknown kind", lasting=True)


@lru_cache
def _library(name: str) -> _Library:
    return _MAKERS[name](name)


def _httpx(name: str) -> _Library:
    library = importlib.import_module(name)

    def send(client: Any, request: Request) -> Any:
        built = client.build_request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.content,
            # Writing, and waiting for a free connection, are given as long as reading.
            timeout=library.Timeout(request.read_seconds, connect=request.connect_seconds),
        )
        options: dict[str, Any] = {"stream": True, "follow_redirects": False}
        if request.anonymous:
            _strip(built)
            options["auth"] = _strip
        return client.send(built, **options)

    return _Library(
        send=send,
        body=lambda response: response.iter_raw(),
        # RuntimeError: huggingface_hub closes the client that all threads share when one request fails.
        failures=(library.HTTPError, library.InvalidURL, RuntimeError, OSError, ValueError),
    )


def _requests(name: str) -> _Library:
    library = importlib.import_module(name)
    urllib3 = importlib.import_module("urllib3")

    def send(session: Any, request: Request) -> Any:
        built = session.prepare_request(
            library.Request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=request.content,
                auth=_strip if request.anonymous else None,
            )
        )
        built.register_hook("response", _hide_redirect)
        settings = session.merge_environment_settings(request.url, {}, True, None, None)
        response = session.send(
            built,
            allow_redirects=False,
            timeout=(request.connect_seconds, request.read_seconds),
            **settings,
        )
        _show_redirect(response)
        return response

    return _Library(
        send=send,
        body=lambda response: response.raw.stream(CHUNK_BYTES, decode_content=False),
        failures=(library.RequestException, urllib3.exceptions.HTTPError, RuntimeError, OSError, ValueError),
    )


_MAKERS: Mapping[str, Callable[[str], _Library]] = {"requests": _requests, "httpx": _httpx, "httpx2": _httpx}


def _strip(request: Any) -> Any:
    """Take the credentials out of a request, whoever put them in.

    As the `auth` of a request it keeps both libraries from looking for credentials in the session, in
    ~/.netrc and in the address.
    """
    for name in _CREDENTIALS:
        request.headers.pop(name, None)
    return request


_HIDDEN = "x-embaudit-location"


def _hide_redirect(response: Any, *_arguments: Any, **_options: Any) -> None:
    """Keep `requests` from seeing a redirect: to make ready for it, it reads the body, whatever its length.

    https://github.com/psf/requests/blob/v2.32.5/src/requests/sessions.py, `Session.send` at
    `if not allow_redirects` and `resolve_redirects`.
    """
    location = response.headers.pop("location", None)
    if location is not None:
        response.headers[_HIDDEN] = location


def _show_redirect(response: Any) -> None:
    location = response.headers.pop(_HIDDEN, None)
    if location is not None:
        response.headers["location"] = location


def _chunks(library: _Library, response: Any) -> Iterator[bytes]:
    chunks = library.body(response)
    while True:
        with _retold(library):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk


@contextmanager
def _retold(library: _Library) -> Generator[None, None, None]:
    """Say what the library raises in our own words, without the library's, which may hold secrets."""
    try:
        yield
    except OfflineModeIsEnabled:
        raise OfflineError(_OFFLINE) from None
    except library.failures as error:
        raise _told(error) from None


_BY_CLASS: tuple[tuple[tuple[type[BaseException], ...], str, bool], ...] = (
    ((ssl.SSLCertVerificationError,), "the server's certificate could not be verified", True),
    ((ssl.SSLError,), "the secure connection failed", False),
    ((socket.gaierror,), "the name of the host could not be resolved", False),
    ((ConnectionRefusedError,), "the connection was refused", False),
    ((BrokenPipeError, ConnectionAbortedError, ConnectionResetError), "the connection was dropped", False),
    ((TimeoutError,), "no answer in time", False),
)
"""What the system says, whichever library passes it on; the third column: whether it would happen again."""

_BY_NAME: tuple[tuple[str, str, bool], ...] = (
    ("Timeout", "no answer in time", False),
    ("Proxy", "the proxy failed", False),
    ("LocalProtocolError", "the request could not be written", True),
    ("Invalid", "the request could not be written", True),
    ("UnsupportedProtocol", "the request could not be written", True),
    ("Incomplete", "the connection ended before the answer did", False),
    ("Chunked", "the connection ended before the answer did", False),
    ("Protocol", "the connection broke off, or the answer is not HTTP", False),
    ("Connect", "no connection", False),
)
"""What else the libraries name their errors: part of the name of a class, and the rest as above."""


def _told(error: BaseException) -> TransportError:
    causes = tuple(causes_of(error))
    for classes, reason, lasting in _BY_CLASS:
        if any(isinstance(cause, classes) for cause in causes):
            return TransportError(reason, lasting=lasting)
    for part, reason, lasting in _BY_NAME:
        if any(part in type(cause).__name__ for cause in causes):
            return TransportError(reason, lasting=lasting)
    return TransportError(f"the request failed ({type(error).__name__})")
