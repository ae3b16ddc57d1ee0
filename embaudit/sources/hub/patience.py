"""How long to wait for the hub, how often to ask again, and when to give up.

The hub says in `RateLimit: "api";r=0;t=55` how many seconds it is until it counts from zero again; others say
it in `Retry-After` (RFC 9110, section 10.2.3). Where nobody says anything the waits double, with jitter, so
that many workers do not come back at the same moment. Nothing here sends a request.
"""

import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

import attrs

from embaudit.model.limits import KIB
from embaudit.sources.hub.deadline import Pace

TOO_MANY_REQUESTS = 429
RETRIED = frozenset({408, TOO_MANY_REQUESTS, 500, 502, 503, 504})
"""Answers after which it is worth asking again: the list of huggingface_hub 2.4.0, `utils/_http.py`."""

_UNAVAILABLE = 503
_ASKS_TO_WAIT = frozenset({TOO_MANY_REQUESTS, _UNAVAILABLE})
"""Answers whose `Retry-After` says when the server is ready again."""

_RATE_LIMIT = re.compile(r'"[^"]*"\s*;\s*r\s*=\s*(\d{1,9})\s*;\s*t\s*=\s*(\d{1,9})')
"""One entry of a `RateLimit` header: a bucket's name, requests that remain, seconds until it is filled again.
https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html, as the hub writes it."""

_SECONDS = re.compile(r"\d{1,9}")
_JITTER = random.SystemRandom()


@attrs.frozen(kw_only=True)
class Patience:
    """How much waiting one request is worth. All times are in seconds.

    Attributes:
        attempts: How often to ask at most.
        first_wait: Wait after the first attempt, if the hub names none; it doubles with every attempt.
        longest_wait: Where the doubling ends.
        ceiling: What failed attempts and the waits between them may take in all; after that there is no
            further attempt. The hub counts requests over 300 seconds, and an audit that stands still that
            long looks broken.
        margin: What is added to a time that the hub counts in whole seconds.
        connect_seconds: For the connection to be made, once the host's name is known.
        read_seconds: Between two packets of an answer.
        grace_seconds: For one attempt beside its bytes: name, connections, headers, redirects.
        bytes_per_second: The least average rate of a body, once the grace is used up.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 8.0
    ceiling: float = 120.0
    margin: float = 1.0
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    grace_seconds: float = 60.0
    bytes_per_second: float = 32.0 * KIB

    @property
    def pace(self) -> Pace:
        """How long one attempt may take."""
        return Pace(grace_seconds=self.grace_seconds, bytes_per_second=self.bytes_per_second)

    def wait_after(self, attempt: int) -> float:
        """Seconds to wait after the attempt of that number, counted from 1, if the hub names none.

        Between half of the doubled time and all of it, at random.
        """
        doubled = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return doubled * _JITTER.uniform(0.5, 1.0)


PATIENCE = Patience()
"""The patience that holds where the caller names none."""


@attrs.frozen(kw_only=True)
class Trouble:
    """Why an attempt failed.

    Attributes:
        reason: In words; no address, no token.
        asked_seconds: How long the hub asks to wait, or None if it does not say.
        lasting: Whether another attempt would fail as well.
    """

    reason: str
    asked_seconds: float | None = None
    lasting: bool = False


INTERRUPTED = "interrupted"
"""Why there is no further attempt when the program is to end."""


class Persistence:
    """The attempts of one request, and the time that they and the waits between them have taken.

    Args:
        patience: How much waiting the request is worth.
        interrupted: Set when nobody wants the answer any more.
    """

    def __init__(self, patience: Patience, interrupted: threading.Event) -> None:
        self._patience = patience
        self._interrupted = interrupted
        self._spent = 0.0
        self._attempts = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One attempt, whose time counts; time in a queue before it does not: the hub is not asked then."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent += time.monotonic() - began
            self._attempts += 1

    def wait_after(self, trouble: Trouble) -> str | None:
        """Wait as long as is fit before the next attempt, or until an interrupt.

        Returns:
            None if there is to be another attempt; else, in words, why there is none, without having waited.
        """
        if trouble.lasting:
            return "asking again would not help"
        if self._attempts >= self._patience.attempts:
            return f"attempts: {self._attempts}"
        wait = self._next_wait(trouble)
        if self._spent + wait > self._patience.ceiling:
            return self._too_long(trouble)
        self._spent += wait
        return INTERRUPTED if self._interrupted.wait(wait) else None

    def _next_wait(self, trouble: Trouble) -> float:
        wait = self._patience.wait_after(self._attempts)
        if trouble.asked_seconds is None:
            return wait
        # The jitter stays, so that workers who were told the same time do not all come at once.
        return trouble.asked_seconds + self._patience.margin + min(wait, self._patience.first_wait)

    def _too_long(self, trouble: Trouble) -> str:
        if trouble.asked_seconds is None:
            return f"attempts: {self._attempts}, in {self._spent:.0f} seconds"
        return (
            f"the server asks to wait {trouble.asked_seconds:.0f} seconds, and embaudit waits "
            f"{self._patience.ceiling:.0f} at most for one request: try again after that time"
        )


def seconds_asked(status: int, headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asks to wait before the next request, or None if it does not say.

    Args:
        status: Of its answer.
        headers: Of its answer, under lower-case names.
    """
    if status == TOO_MANY_REQUESTS:
        until_reset = _until_reset(headers.get("ratelimit", ""))
        if until_reset is not None:
            return until_reset
    return _retry_after(headers) if status in _ASKS_TO_WAIT else None


def _until_reset(rate_limit: str) -> float | None:
    """The longest time of the buckets that are empty; of all of them, if none is said to be."""
    buckets = [(int(left), float(seconds)) for left, seconds in _RATE_LIMIT.findall(rate_limit)]
    empty = [seconds for left, seconds in buckets if left == 0]
    return max(empty or [seconds for _, seconds in buckets], default=None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After`, in seconds or as a date, which is held against the server's own clock if it tells it."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = _timestamp(text)
    if until is None:
        return None
    now = _timestamp(headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
