"""Spans of files on the hub, had with few requests: what was had is kept, and what is on its way awaited.

Knows what is kept, what is under way and what to ask for; refuses to know how it is asked.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial

import attrs

from embaudit.errors import WITHHELD, EmbauditError
from embaudit.model.files import FileEntry, FileState, Span
from embaudit.sources.hub.crew import Crew
from embaudit.sources.hub.exchange import MOST_IN_FLIGHT
from embaudit.sources.hub.kept import KeptBytes, content_key
from embaudit.sources.hub.ranges import check_digest
from embaudit.sources.hub.windows import LARGEST_RANGE, Window, coalesced, pieces, window_around

WORKERS = MOST_IN_FLIGHT
"""Spans that are asked for side by side: more would only queue."""

Ask = Callable[[FileEntry, int, int], bytes]
"""Gets the bytes of a file from a start (included) to a stop (not included) from the hub."""


@attrs.frozen(eq=False)
class _Flight:
    """Bytes of a content that a thread is asking for."""

    start: int
    stop: int
    data: "Future[bytes]"


class ThriftyReader:
    """Reads of headers, each span asked for once as long as it is kept. Safe to use from several threads.

    Args:
        ask: How bytes are had.
        most_bytes: Bytes that are kept.
        interrupt: Lets the waits inside `ask` end.
    """

    def __init__(self, ask: Ask, most_bytes: int, interrupt: Callable[[], None]) -> None:
        self._ask = ask
        self._crew = Crew(WORKERS, "embaudit-hub", interrupt)
        self._most_bytes = most_bytes
        self._kept = KeptBytes(most_bytes)
        self._lock = threading.Lock()
        self._flights: defaultdict[Hashable, list[_Flight]] = defaultdict(list)
        self._failed: dict[str, EmbauditError] = {}

    def kept(self, entry: FileEntry, start: int, stop: int) -> bytes | None:
        """The bytes of a span if all of them are kept.

        Raises:
            SourceError: If they are not, and the file could not be fetched beforehand; says why, once.
            LimitError: Likewise.
        """
        with self._lock:
            failed = self._failed.pop(entry.path, None)
        data = self._kept.get(content_key(entry), start, stop)
        if data is None and failed is not None:
            raise failed  # It was asked for beforehand, with all retries: the answer is known.
        return data

    def read(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """The bytes of a span that is not empty and lies inside the file.

        Raises:
            SourceError: If they cannot be had.
            LimitError: If they take more than a limit allows.
        """
        data = self.kept(entry, start, stop)
        if data is None:
            data = self._read(entry, (start, stop), window_around(start, stop, entry.size or 0))
        if len(data) == entry.size:
            check_digest(entry, data)
        return data

    def fetch(self, wanted: Mapping[str, Iterable[Window]], entries: Mapping[str, FileEntry]) -> None:
        """Have spans kept, side by side, as far as there is room; a failure waits for the read that follows.

        A file whose failure waits is not asked for again. What ends an audit ends this, too: a hub that does
        not answer is not asked for every span.

        Args:
            wanted: Path to spans inside that file.
            entries: Path to file.
        """
        with self._lock:
            failed = frozenset(self._failed)
        windows = [
            (entries[path], piece)
            for path, spans in wanted.items()
            if path not in failed
            for joined in coalesced(self._missing(entries[path], spans))
            for piece in pieces(*joined, LARGEST_RANGE)
        ]
        # Two files of one content are one: the same window of both is asked for once.
        once = {(content_key(entry), window): (entry, window) for entry, window in windows}
        fitting = list(_within(once.values(), self._most_bytes))
        given_up = threading.Event()
        if len(fitting) <= 1:
            for job in fitting:
                self._try(given_up, job)
            return
        self._crew.do(partial(self._try, given_up), fitting)

    def _missing(self, entry: FileEntry, spans: Iterable[Window]) -> Iterable[Window]:
        for start, stop in spans:
            yield from self._kept.gaps(content_key(entry), start, stop)

    def _try(self, given_up: threading.Event, job: tuple[FileEntry, Window]) -> None:
        entry, window = job
        if given_up.is_set():
            return
        try:
            self._read(entry, window, window)
        except EmbauditError as error:
            with self._lock:
                self._failed[entry.path] = error
            if isinstance(error, WITHHELD):
                given_up.set()

    def _read(self, entry: FileEntry, need: Window, window: Window) -> bytes:
        """The bytes of `need`, with those of `window` around it asked for along."""
        key = content_key(entry)
        while True:
            with self._lock:
                kept = self._kept.get(key, *need)
                if kept is not None:
                    return kept
                other = self._under_way(key, need)
                if other is None:
                    before, flight, after = self._planned(key, need, window)
                    self._flights[key].append(flight)
            if other is None:
                data = self._fly(entry, key, flight)
                return before + _part(data, flight, need) + after
            data = other.data.result()
            if other.start <= need[0] and need[1] <= other.stop:
                return _part(data, other, need)

    def _planned(self, key: Hashable, need: Window, window: Window) -> tuple[bytes, _Flight, bytes]:
        """What to ask for, and the bytes needed that are kept before and after it."""
        gaps = self._kept.gaps(key, *window)
        start, stop = gaps[0][0], gaps[-1][1]
        before = self._kept.get(key, need[0], start) if need[0] < start else b""
        after = self._kept.get(key, stop, need[1]) if stop < need[1] else b""
        # What another thread has just driven out is asked for again.
        flight = _Flight(need[0] if before is None else start, need[1] if after is None else stop, Future())
        return before or b"", flight, after or b""

    def _under_way(self, key: Hashable, need: Window) -> _Flight | None:
        """Somebody else's request for some of the bytes needed."""
        for flight in self._flights.get(key, ()):
            if flight.start < need[1] and need[0] < flight.stop:
                return flight
        return None

    def _fly(self, entry: FileEntry, key: Hashable, flight: _Flight) -> bytes:
        try:
            asked = pieces(flight.start, flight.stop, LARGEST_RANGE)
            data = b"".join([self._ask(entry, *piece) for piece in asked])
        except BaseException as error:
            self._land(key, flight)
            flight.data.set_exception(error)
            raise
        self._kept.put(key, flight.start, data)
        self._land(key, flight)
        flight.data.set_result(data)
        return data

    def _land(self, key: Hashable, flight: _Flight) -> None:
        with self._lock:
            self._flights[key].remove(flight)
            if not self._flights[key]:
                del self._flights[key]


def _part(data: bytes, flight: _Flight, need: Window) -> bytes:
    """The bytes needed out of those that came; all of them if they are needed from before to after."""
    return data[max(need[0] - flight.start, 0) : need[1] - flight.start]


def _within(
    windows: Iterable[tuple[FileEntry, Window]], most_bytes: int
) -> Iterable[tuple[FileEntry, Window]]:
    """The windows that may be kept together, in order; one that is too large is left to its read."""
    room = most_bytes
    for entry, (start, stop) in windows:
        if stop - start <= room:
            room -= stop - start
            yield entry, (start, stop)


def spans_by_path(spans: Iterable[Span], entries: Mapping[str, FileEntry]) -> dict[str, list[Window]]:
    """The spans of files that can be read, clipped to them, by path; nothing for what is empty."""
    found: defaultdict[str, list[Window]] = defaultdict(list)
    for span in spans:
        entry = entries.get(span.path)
        if entry is None or entry.state is not FileState.PRESENT or entry.size is None:
            continue
        start, stop = max(span.start, 0), min(span.stop, entry.size)
        if start < stop:
            found[span.path].append((start, stop))
    return dict(found)
