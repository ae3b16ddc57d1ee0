"""The hard bound on the time of a piece of work."""

import subprocess
import sys
import threading

import pytest

from embaudit.sources.hub.deadline import (
    AbandonedError,
    InterruptedWaitError,
    Pace,
    Progress,
    SlowError,
    run_within,
)

SHORT = Pace(grace_seconds=0.4, bytes_per_second=1000)
LONG = Pace(grace_seconds=60, bytes_per_second=1000)
CEILING = 30
"""Seconds after which a test that hangs is ended."""
NEVER = threading.Event()
"""Set by nobody."""


def test_work_in_time_gives_its_result() -> None:
    """What the work gives is what the caller gets."""
    assert run_within(LONG, lambda _progress: "done", NEVER) == "done"


def test_errors_of_the_work_reach_the_caller() -> None:
    """An error of the work is raised where it is waited for, one that looks like a timeout included."""
    failure = TimeoutError("of the work itself")

    def fail(_progress: Progress) -> None:
        raise failure

    with pytest.raises(TimeoutError) as caught:
        run_within(LONG, fail, NEVER)

    assert caught.value is failure


def test_work_that_hangs_is_left_behind() -> None:
    """Work that never says anything costs its grace, and its thread is one that python does not wait for."""
    released = threading.Event()
    threads: list[threading.Thread] = []

    def hang(_progress: Progress) -> None:
        threads.append(threading.current_thread())
        released.wait(CEILING)

    try:
        with pytest.raises(SlowError):
            run_within(SHORT, hang, NEVER)

        assert [thread.daemon for thread in threads] == [True]
    finally:
        released.set()


def test_an_interrupt_ends_the_wait() -> None:
    """Whoever waits for work that hangs is let go when the event is set, long before its grace is over."""
    interrupted, released = threading.Event(), threading.Event()

    def hang(_progress: Progress) -> None:
        interrupted.set()
        released.wait(CEILING)

    try:
        with pytest.raises(InterruptedWaitError):
            run_within(LONG, hang, interrupted)
    finally:
        released.set()


def test_bytes_buy_time() -> None:
    """Work that would be too slow for its grace is not, as long as enough bytes come."""
    nap = threading.Event()

    def trickle(progress: Progress) -> int:
        for _ in range(8):
            nap.wait(0.1)
            progress.advance(1000)
        return 8000

    assert run_within(SHORT, trickle, NEVER) == 8000


def test_abandoned_work_ends_when_it_next_has_bytes() -> None:
    """A trickle below the pace is abandoned, and learns of it with its next byte."""
    ended = threading.Event()
    nap = threading.Event()

    def trickle(progress: Progress) -> None:
        try:
            while True:
                nap.wait(0.01)
                progress.advance(1)
        except AbandonedError:
            ended.set()
            raise

    with pytest.raises(SlowError, match=r"0\.4 seconds and one for 1,000 bytes"):
        run_within(SHORT, trickle, NEVER)

    assert ended.wait(CEILING)


def test_a_program_ends_while_work_hangs() -> None:
    """The interpreter ends although abandoned work is still in a system call."""
    program = (
        "import threading\n"
        "from embaudit.sources.hub.deadline import Pace, SlowError, run_within\n"
        "try:\n"
        "    pace = Pace(grace_seconds=0.05, bytes_per_second=1)\n"
        "    run_within(pace, lambda _: threading.Event().wait(), threading.Event())\n"
        "except SlowError:\n"
        "    print('slow')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=CEILING, check=True
    )

    assert done.stdout == "slow\n"
