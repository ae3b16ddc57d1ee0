"""Leaving in time: a pool of threads waits for its threads, so that what they wait for has to end first."""

from collections.abc import Callable, Generator
from contextlib import contextmanager

from embaudit.model.files import Interruptible


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


def _nothing() -> None:
    """What readers that never wait need."""
