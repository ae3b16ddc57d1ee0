"""A hard bound on the time of a piece of work that cannot be interrupted, and that shows how far it is.

The timeouts of the transport libraries bound one wait for one packet, not a request: looking up a host's name
is under none of them, and a server that sends a byte now and then outlives them all. So the work is done in a
thread of its own, and the caller waits only as long as the pace allows. Nothing here knows what the work is.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

import attrs

from embaudit.sources.interrupts import LOOK_SECONDS

Result = TypeVar("Result")

THREAD_NAME = "embaudit, one request"
"""What a debugger calls the threads of this module."""


class InterruptedWaitError(Exception):
    """The work was abandoned because the program is to end."""


class SlowError(Exception):
    """The work took longer than its pace allows; it was abandoned."""


class AbandonedError(Exception):
    """Ends work that nobody waits for any more; seen by the work only."""


@attrs.frozen(kw_only=True)
class Pace:
    """How long a piece of work may take: a grace, and then time for every byte that has come.

    Attributes:
        grace_seconds: Seconds that are allowed whatever comes.
        bytes_per_second: The least average rate at which bytes may come once the grace is used up.
    """

    grace_seconds: float
    bytes_per_second: float

    def __str__(self) -> str:
        return f"allowed are {self.grace_seconds:g} seconds and one for {self.bytes_per_second:,.0f} bytes"

    def allows(self, n_bytes: int) -> float:
        """Seconds that work may have taken by the time that it has had `n_bytes`."""
        return self.grace_seconds + n_bytes / self.bytes_per_second


class Progress:
    """How far a piece of work is; written by the work, read by the one who waits for it."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._started = time.monotonic()
        self._n_bytes = 0
        self._abandoned = False

    def advance(self, n_bytes: int) -> None:
        """Say that so many more bytes have come.

        Raises:
            AbandonedError: If nobody waits any more.
        """
        if self._abandoned:
            raise AbandonedError
        self._n_bytes += n_bytes

    def abandon(self) -> None:
        """Have the work end when it next says how far it is."""
        self._abandoned = True

    def seconds_left(self) -> float:
        """Seconds until the work is too slow, unless more bytes come; below zero if it is already."""
        return self._started + self._pace.allows(self._n_bytes) - time.monotonic()


def run_within(pace: Pace, work: Callable[[Progress], Result], interrupted: threading.Event) -> Result:
    """What `work` gives or raises, if it keeps the pace and nobody sets `interrupted` meanwhile.

    The work runs in a daemon thread: one that hangs in a system call keeps neither the caller waiting nor the
    interpreter from ending.

    Raises:
        SlowError: If the pace was not kept.
        InterruptedWaitError: If `interrupted` was set.
    """
    progress = Progress(pace)
    outcome: Future[Result] = Future()
    arguments = (outcome, work, progress)
    threading.Thread(target=_settle, args=arguments, name=THREAD_NAME, daemon=True).start()
    try:
        while not wait((outcome,), timeout=min(LOOK_SECONDS, max(0.0, progress.seconds_left()))).done:
            if interrupted.is_set():
                raise InterruptedWaitError
            if progress.seconds_left() <= 0:
                raise SlowError(f"the answer takes too long: {pace}")
        return outcome.result()
    finally:
        progress.abandon()


def _settle(outcome: "Future[Result]", work: Callable[[Progress], Result], progress: Progress) -> None:
    try:
        outcome.set_result(work(progress))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the thread that waits
        outcome.set_exception(error)
