"""Requests to the hub and their answers: redirects by hand, credentials, budgets, repeats, and nothing more.

An exchange knows where credentials may go, how much may come, and when to ask again. It does not know what
the addresses mean, nor whether an answer holds what was asked for: statuses up to 4xx, `Content-Range` and
lengths are for whoever asks.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies

import attrs

from embaudit.errors import BudgetError, UnavailableError
from embaudit.model.frozen import frozen_mapping
from embaudit.model.limits import KIB, Limits
from embaudit.sources.base import shown
from embaudit.sources.hub import redaction
from embaudit.sources.hub.addresses import origin_of, redirect_target
from embaudit.sources.hub.deadline import InterruptedWaitError, Progress, SlowError, run_within
from embaudit.sources.hub.patience import (
    INTERRUPTED,
    PATIENCE,
    RETRIED,
    TOO_MANY_REQUESTS,
    Patience,
    Persistence,
    Trouble,
    seconds_asked,
)
from embaudit.sources.hub.transport import (
    Request,
    Response,
    TransportError,
    calling_session,
    hub_headers,
    opened,
)
from embaudit.sources.metered import Meter

MOST_IN_FLIGHT = 16
"""Requests at the same time over one exchange; the clients keep 20 connections alive (httpx) or 10 a session
(requests), and more would be opened and closed again and again."""

MOST_REDIRECTS = 5
"""Redirects of one request: a rename, the file's own, and what mirrors and proxies add."""

REFUSAL_BYTES = 16 * KIB
"""Bytes of the body of a redirect or a refusal that are read: it is a sentence, or a page nobody looks at."""

_OK, _PARTIAL, _FIRST_REFUSAL, _FIRST_FAILURE = 200, 206, 400, 500
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})
_SECRET_HEADERS = frozenset({"location", "set-cookie"})
_MOST_DIGITS = 18


@attrs.frozen(kw_only=True)
class Answer:
    """What came back, whole.

    Attributes:
        status: Of the last response: 200, 206, or a 4xx that is not worth repeating.
        headers: Of the last response, under lower-case names, without `location` and `set-cookie`.
        first_headers: Of the first response, likewise: what the hub says of a file stands on the redirect.
        url: Where the last response came from; may be a signed address, a secret.
        on_hub: Whether that is the hub's own origin.
        redirected: Whether it is another address than the one asked.
        with_token: Whether a token went along with the first request.
        body: As sent, not decoded; of a 4xx the beginning.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False, converter=frozen_mapping)
    first_headers: Mapping[str, str] = attrs.field(repr=False, converter=frozen_mapping)
    url: str = attrs.field(repr=False)
    on_hub: bool
    redirected: bool
    with_token: bool = False
    body: bytes = attrs.field(repr=False)


class TooMuchError(UnavailableError):
    """An answer has more bytes than it may have."""


@attrs.frozen(kw_only=True)
class _Question:
    """What is asked, as `Exchange.get` and `Exchange.post_form` describe it."""

    url: str = attrs.field(repr=False)
    what: str
    most: int
    byte_range: str | None = None
    form: bytes | None = None
    crosses: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers that the question itself needs."""
        # A body that is compressed on the way has other bytes, and caches ignore ranges of what they
        # compress.
        headers = {"accept-encoding": "identity"}
        if self.byte_range is not None:
            headers["range"] = self.byte_range
        if self.form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        return headers


class Exchange:
    """Requests to one hub, on huggingface_hub's own session. Safe to use from several threads.

    Args:
        endpoint: The hub's address, without a path.
        token: As huggingface_hub takes it: a token, True for the stored one, False for none, None for the
            stored one if there is one. It goes to the hub's own origin, and nowhere else.
        limits: `requests` and `received_bytes` bound all requests together.
        meter: Counts every request, redirects and repeats included, and every byte of a body.
        patience: How much waiting a request is worth.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | bool | None = None,
        limits: Limits,
        meter: Meter,
        patience: Patience = PATIENCE,
    ) -> None:
        redaction.install()
        self.endpoint = endpoint.rstrip("/")
        self.meter = meter
        self._hub = origin_of(self.endpoint, what="the hub's endpoint")
        self._token = token
        self._patience = patience
        self._budget = _Budget(limits, meter)
        self._in_flight = threading.BoundedSemaphore(MOST_IN_FLIGHT)
        self._lock = threading.Lock()
        self._introduction: Mapping[str, str] | None = None
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        """Let every wait end, and make no request any more: the program is to end."""
        self._interrupted.set()

    def get(
        self,
        url: str,
        *,
        what: str,
        most: int,
        byte_range: str | None = None,
        crosses: bool = False,
        known: bool = False,
    ) -> Answer:
        """Ask for what is at an address.

        Args:
            url: Absolute, on the hub's own origin unless it is `known`.
            what: Words for messages: "the listing of org/name". Safe to print.
            most: Bytes that the body may have.
            byte_range: `bytes=0-99`, or `bytes=-65536`.
            crosses: Whether a redirect may leave the hub's origin; credentials never do.
            known: Whether the address is that of an earlier answer, and may be on another origin.

        Raises:
            TargetError: If huggingface_hub is offline, or has no token although one is asked for.
            UnavailableError: If there is no answer after the last attempt, or one that breaks a rule.
            BudgetError: If it would take more requests or bytes than the limits allow.
        """
        if not known and origin_of(url, what=what) != self._hub:
            raise UnavailableError(f"{what}: the address is on another host than the hub; it is not followed")
        return self._ask(_Question(url=url, what=what, most=most, byte_range=byte_range, crosses=crosses))

    def post_form(self, url: str, *, what: str, fields: Sequence[tuple[str, str]], most: int) -> Answer:
        """Post a form to an address on the hub's own origin, and nowhere else.

        Args:
            url: Absolute.
            what: Words for messages. Safe to print.
            fields: Names and values; a name may stand more than once.
            most: Bytes that the body of the answer may have.

        Raises:
            TargetError: As `get` does.
            UnavailableError: As `get` does.
            BudgetError: As `get` does.
        """
        if origin_of(url, what=what) != self._hub:
            raise UnavailableError(f"{what}: the address is on another host than the hub; it is not followed")
        form = urlencode(list(fields)).encode("ascii")
        return self._ask(_Question(url=url, what=what, most=most, form=form))

    def _ask(self, question: _Question) -> Answer:
        """The answer, after as many attempts as it takes."""
        introduction = self._introduced()
        persistence = Persistence(self._patience, self._interrupted)
        while True:
            with self._in_flight, persistence.attempt():
                if self._interrupted.is_set():
                    raise UnavailableError(f"{question.what}: {INTERRUPTED}; open the snapshot anew")
                outcome = self._attempt(question, introduction)
            if isinstance(outcome, Answer):
                return outcome
            given_up = persistence.wait_after(outcome)
            if given_up is not None:
                raise UnavailableError(f"{question.what}: {outcome.reason} ({given_up}){self._way()}")

    def _way(self) -> str:
        """Whom the questions went to, and through whom: what is wrong is often there."""
        host = urlsplit(self.endpoint).hostname or ""
        through = ", through a proxy (HTTPS_PROXY)" if getproxies().keys() & {"http", "https", "all"} else ""
        return f"; the hub asked is {shown(host)}{through}"

    def _introduced(self) -> Mapping[str, str]:
        """The headers that introduce us to the hub, credentials included; the token is looked up once."""
        with self._lock:
            if self._introduction is None:
                self._introduction = hub_headers(self._token)
            return self._introduction

    def _attempt(self, question: _Question, introduction: Mapping[str, str]) -> Answer | Trouble:
        # The session is taken here, in the caller's thread: before 1.0 a session belongs to one thread.
        session = calling_session()
        try:
            answer = run_within(
                self._patience.pace,
                lambda progress: self._follow(session, question, introduction, progress),
                self._interrupted,
            )
        except SlowError as error:
            return Trouble(reason=str(error))
        except InterruptedWaitError:
            return Trouble(reason=INTERRUPTED, lasting=True)
        except TransportError as error:
            return Trouble(reason=str(error), lasting=error.lasting)
        if answer.status >= _FIRST_FAILURE or answer.status in RETRIED:
            return _trouble_of(answer)
        return answer

    def _follow(
        self, session: Any, question: _Question, introduction: Mapping[str, str], progress: Progress
    ) -> Answer:
        """One attempt, redirects included."""
        url, visited, trusted = question.url, set[str](), True
        first: Mapping[str, str] | None = None
        while len(visited) <= MOST_REDIRECTS:
            visited.add(url)
            progress.advance(0)  # nobody may be waiting for this any more
            on_hub = self._is_on_hub(url, question)
            # Once a chain has left the hub, whoever leads it back does not get to use the credentials.
            trusted = trusted and on_hub
            self._budget.spend_request(question.what)
            with opened(session, self._request(question, url, introduction, trusted=trusted)) as response:
                first = response.headers if first is None else first
                if response.status not in _REDIRECTS:
                    return Answer(
                        status=response.status,
                        headers=_without_secrets(response.headers),
                        first_headers=_without_secrets(first),
                        url=url,
                        on_hub=on_hub,
                        redirected=len(visited) > 1,
                        with_token="authorization" in introduction
                        and self._is_on_hub(question.url, question),
                        body=self._body(response, question, progress),
                    )
                self._beginning(response, question, progress)
            url = self._next(response, url, question)
            if url in visited:
                raise UnavailableError(f"{question.what}: the redirects lead in a circle")
        raise UnavailableError(f"{question.what}: more than {MOST_REDIRECTS} redirects")

    def _is_on_hub(self, url: str, question: _Question) -> bool:
        return origin_of(url, what=question.what) == self._hub

    def _request(
        self, question: _Question, url: str, introduction: Mapping[str, str], *, trusted: bool
    ) -> Request:
        agent = {"user-agent": introduction["user-agent"]}
        return Request(
            method="GET" if question.form is None else "POST",
            url=url,
            headers={**(introduction if trusted else agent), **question.headers},
            content=question.form,
            anonymous=not trusted,
            connect_seconds=self._patience.connect_seconds,
            read_seconds=self._patience.read_seconds,
        )

    def _next(self, response: Response, url: str, question: _Question) -> str:
        if question.form is not None and response.status not in _KEEPS_METHOD:
            raise UnavailableError(
                f"{question.what}: a redirect ({response.status}) that would lose the form"
            )
        return redirect_target(
            response.headers.get("location"),
            current=url,
            hub=self._hub,
            crosses=question.crosses,
            what=question.what,
        )

    def _body(self, response: Response, question: _Question, progress: Progress) -> bytes:
        """The body of the last response: whole if it is what was asked for, else its beginning."""
        what = question.what
        if response.status >= _FIRST_REFUSAL:
            return self._beginning(response, question, progress)
        if response.status not in {_OK, _PARTIAL}:
            raise UnavailableError(f"{what}: the hub answered with status {response.status}")
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in {"", "identity"}:
            raise UnavailableError(
                f"{what}: the answer is compressed ({shown(encoding[:40])}) although that was not asked for; "
                "a proxy on the way may do so"
            )
        expected = _content_length(response.headers)
        if expected is not None and expected > question.most:
            raise _too_much(response, question)
        body = bytearray()
        for chunk in response.chunks:
            self._take(chunk, question, progress)
            body += chunk
            if len(body) > question.most:
                raise _too_much(response, question)
        if expected is not None and len(body) != expected:
            raise TransportError(f"the connection ended after {len(body)} of {expected} bytes")
        return bytes(body)

    def _beginning(self, response: Response, question: _Question, progress: Progress) -> bytes:
        """What can be had of a body that is not what was asked for; read, so that the connection is kept."""
        body = bytearray()
        try:
            for chunk in response.chunks:
                self._take(chunk, question, progress)
                body += chunk
                if len(body) >= REFUSAL_BYTES:
                    break
        except TransportError:
            pass  # the status has been said already
        return bytes(body[:REFUSAL_BYTES])

    def _take(self, chunk: bytes, question: _Question, progress: Progress) -> None:
        progress.advance(len(chunk))
        self._budget.spend_bytes(len(chunk), question.what)


class _Budget:
    """What all requests of an exchange may take together."""

    def __init__(self, limits: Limits, meter: Meter) -> None:
        self._limits = limits
        self._meter = meter
        self._lock = threading.Lock()

    def spend_request(self, what: str) -> None:
        """Count a request that is about to be made.

        Raises:
            BudgetError: If there is none left; it is not counted.
        """
        with self._lock:
            if self._meter.requests >= self._limits.requests:
                raise _over("requests", f"{self._limits.requests:,} requests to the hub", what)
            if self._meter.bytes_read >= self._limits.received_bytes:
                raise self._too_many_bytes(what)
            self._meter.count(requests=1)

    def spend_bytes(self, n_bytes: int, what: str) -> None:
        """Count bytes that have come.

        Raises:
            BudgetError: If they are too many; they are counted, since they did come.
        """
        with self._lock:
            self._meter.count(n_bytes=n_bytes)
            if self._meter.bytes_read > self._limits.received_bytes:
                raise self._too_many_bytes(what)

    def _too_many_bytes(self, what: str) -> BudgetError:
        return _over("received_bytes", f"{self._limits.received_bytes:,} bytes from the hub", what)


def _over(limit: str, allowance: str, what: str) -> BudgetError:
    return BudgetError(f"this takes more than {allowance}; Limits({limit}=...) allows more", what, limit)


def _too_much(response: Response, question: _Question) -> UnavailableError:
    if question.byte_range is not None and response.status == _OK:
        return UnavailableError(f"{question.what}: the hub ignored the range that it was asked for")
    return TooMuchError(f"{question.what}: the answer has more than the {question.most:,} bytes it may have")


def _content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}


def _trouble_of(answer: Answer) -> Trouble:
    """What to say of a failure of the server."""
    who = "the hub" if answer.on_hub else "the hub's storage"
    if answer.status == TOO_MANY_REQUESTS:
        reason = f"{who} has had too many requests (429)"
        if answer.on_hub and not answer.with_token:
            reason += ", and allows more with a token: log in with `hf auth login`, or set HF_TOKEN"
    else:
        reason = f"{who} failed ({answer.status})"
    return Trouble(
        reason=reason,
        asked_seconds=seconds_asked(answer.status, answer.headers),
        lasting=answer.status not in RETRIED,
    )
