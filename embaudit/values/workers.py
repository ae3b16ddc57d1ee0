"""Running work over many tensors in a few threads, in order, with one set of buffers per thread.

Large tensors are cut into parts, so that all threads are busy to the end; small ones are one part. Work is
made when its turn comes and dropped when it is finished, so that a million tensors cost no memory.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Generic, TypeVar

import attrs

from embaudit.errors import EmbauditError
from embaudit.model.limits import MIB
from embaudit.values.workspace import Room, Workspace

PART_BYTES = 8 * MIB
"""Bytes of one side of a part: a few milliseconds of work, so that threads end nearly together."""

MOST_WORKERS = 8
"""Threads at most, unless the caller names a number: beyond it the memory bus is the limit."""

Partial = TypeVar("Partial")
Result = TypeVar("Result")
Progress = Callable[[int], None]


@attrs.frozen(kw_only=True)
class Work(Generic[Partial, Result]):
    """What is to be done for one tensor or pair.

    Attributes:
        n_bytes: Bytes of all values concerned, for progress.
        parts: Numbers of boxes, in runs that may be done in any order.
        run: Does one part.
        finish: Makes the result out of what all parts gave, in order of the parts.
    """

    n_bytes: int
    parts: Sequence[Sequence[int]]
    run: Callable[[Sequence[int], Workspace], Partial]
    finish: Callable[[Sequence[Partial], Workspace], Result]


def done(result: Result) -> Work[Any, Result]:
    """Work whose result is known without reading anything."""
    return Work(
        n_bytes=0,
        parts=((),),
        run=lambda _boxes, _workspace: result,
        finish=lambda parts, _workspace: parts[0],
    )


def run_all(
    makers: Iterable[Callable[[], Work[Partial, Result]]],
    room: Room,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Result]:
    """The results of all work, in order.

    Args:
        makers: What makes each piece of work, when its turn comes.
        room: The memory plan; it bounds the number of threads.
        workers: Threads; by default one for each processor, up to `MOST_WORKERS`.
        progress: Called from any thread with the bytes of values done since the last call.

    Raises:
        EmbauditError: Whatever work raises; the error of the earliest part, however many threads there are.
    """
    queue: _Queue[Partial, Result] = _Queue(makers, progress)
    wanted = min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers
    n_threads = max(1, min(wanted, room.most_workers))
    if n_threads == 1:
        queue.drain(Workspace(room))
        return queue.results()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="embaudit-values") as executor:
        futures = [executor.submit(queue.drain, Workspace(room)) for _ in range(n_threads)]
        try:
            for future in futures:
                future.result()
        finally:
            queue.stop()
    return queue.results()


@attrs.define
class _Pending(Generic[Partial, Result]):
    """One piece of work on its way, and what its parts gave so far."""

    number: int
    work: Work[Partial, Result]
    partials: dict[int, Partial] = attrs.field(factory=dict)

    def share(self, part: int) -> int:
        """The bytes that one part stands for; all shares together are all bytes."""
        n_parts = len(self.work.parts)
        return (part + 1) * self.work.n_bytes // n_parts - part * self.work.n_bytes // n_parts


class _Queue(Generic[Partial, Result]):
    """Parts to be done, taken in order by any thread."""

    def __init__(
        self, makers: Iterable[Callable[[], Work[Partial, Result]]], progress: Progress | None
    ) -> None:
        self._parts = self._generate(makers)
        self._progress = progress
        self._lock = Lock()
        self._n_made = 0
        self._results: dict[int, Result] = {}
        self._errors: dict[tuple[int, int], EmbauditError] = {}
        self._stopped = False

    def drain(self, workspace: Workspace) -> None:
        """Do parts until there are none left, or one fails in any thread."""
        place = (0, 0)
        try:
            while (taken := self._take()) is not None:
                pending, part = taken
                place = (pending.number, part)
                self._give(pending, part, pending.work.run(pending.work.parts[part], workspace), workspace)
        except EmbauditError as error:
            self._fail(place, error)

    def stop(self) -> None:
        """Give out no further part."""
        self._stopped = True

    def results(self) -> list[Result]:
        """All results in order, once every part is done."""
        if self._errors:
            raise self._errors[min(self._errors)]
        return [self._results[number] for number in range(self._n_made)]

    def _generate(
        self, makers: Iterable[Callable[[], Work[Partial, Result]]]
    ) -> Iterator[tuple[_Pending[Partial, Result], int]]:
        for make in makers:
            pending = _Pending(self._n_made, make())
            self._n_made += 1
            yield from ((pending, part) for part in range(len(pending.work.parts)))

    def _take(self) -> tuple[_Pending[Partial, Result], int] | None:
        with self._lock:
            if self._stopped:
                return None
            try:
                return next(self._parts, None)
            except EmbauditError as error:
                # Work that cannot be made fails before any part of its own or of later work is given out.
                self._errors[self._n_made, -1] = error
                self._stopped = True
                return None

    def _give(
        self, pending: _Pending[Partial, Result], part: int, partial: Partial, workspace: Workspace
    ) -> None:
        with self._lock:
            pending.partials[part] = partial
            complete = len(pending.partials) == len(pending.work.parts)
        if complete:
            partials = [pending.partials[number] for number in range(len(pending.partials))]
            self._results[pending.number] = pending.work.finish(partials, workspace)
        if self._progress is not None:
            self._progress(pending.share(part))

    def _fail(self, place: tuple[int, int], error: EmbauditError) -> None:
        with self._lock:
            self._errors[place] = error
            self._stopped = True
