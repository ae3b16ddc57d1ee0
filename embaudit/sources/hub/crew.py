"""The threads of a source: made when they are first needed, kept for its life, and anew after a fork."""

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from embaudit.sources.interrupts import done_by, interrupting

Job = TypeVar("Job")


class Crew:
    """A bounded number of threads that do jobs side by side. Safe to use from several threads.

    A job must not give jobs to the same crew: all threads could wait for one another.

    Args:
        n_threads: Threads at most.
        name: What a debugger calls them.
        interrupt: Called if whoever waits for the jobs is interrupted: lets the waits inside them end.
    """

    def __init__(self, n_threads: int, name: str, interrupt: Callable[[], None]) -> None:
        self._n_threads = n_threads
        self._name = name
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0

    def do(self, work: Callable[[Job], object], jobs: Iterable[Job]) -> None:
        """Do every job; the first failure, in their order, ends the rest.

        Raises:
            Whatever `work` does.
        """
        with interrupting(self._interrupt):
            for _ in done_by(self._ready(), work, jobs):
                pass

    def _ready(self) -> ThreadPoolExecutor:
        with self._lock:
            # A child process has the pool without its threads.
            if self._pool is None or self._process != os.getpid():
                self._pool = ThreadPoolExecutor(self._n_threads, self._name)
                self._process = os.getpid()
            return self._pool
