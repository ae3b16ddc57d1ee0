"""Leaving in time: a pool of threads waits for its threads, so that what they wait for has to end first."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from typing import TypeVar

from embaudit.model.files import Interruptible

Job = TypeVar("Job")
Result = TypeVar("Result")

LOOK_SECONDS = 0.25
"""How often whoever waits looks whether it should go on. A wait without an end may sleep through a signal
that comes just before it."""


@contextmanager
def interrupting(interrupt: Callable[[], None]) -> Generator[None, None, None]:
    """Call `interrupt` where the block is left because the program is to end."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        interrupt()
        raise


@contextmanager
def interrupting_reads(reader: object) -> Generator[None, None, None]:
    """Let the waits of a reader end where the block is left because the program is to end.

    Stands inside the `with` of a pool whose threads read.
    """
    with interrupting(reader.interrupt if isinstance(reader, Interruptible) else _nothing):
        yield


def done_by(pool: Executor, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """The results of every job, in order; the first failure, in their order, ends what has not begun.

    As `pool.map`, with waits that an interrupt gets through to.

    Raises:
        Whatever `work` does.
    """
    futures: list[Future[Result]] = []
    try:
        # One by one: what was given before an interrupt is cancelled below.
        futures.extend(pool.submit(work, job) for job in jobs)
        for future in futures:
            while not wait((future,), timeout=LOOK_SECONDS).done:
                pass
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _nothing() -> None:
    """What readers that never wait need."""
