"""Counting what reading costs: calls and bytes, for the report and for tests that hold a budget."""

import threading
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

import attrs

from embaudit.errors import SourceError
from embaudit.model.files import CommitInfo, History, Lineage, Reader, Snapshot


class Meter:
    """How many reads were made and how many bytes they gave. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._bytes = 0

    @property
    def requests(self) -> int:
        """Calls to a reader so far, those that failed included."""
        return self._requests

    @property
    def bytes_read(self) -> int:
        """Bytes that the calls gave; a call that failed gave none."""
        return self._bytes

    def count(self, *, requests: int = 0, n_bytes: int = 0) -> None:
        """Add to the counts."""
        with self._lock:
            self._requests += requests
            self._bytes += n_bytes


class MeteredReader:
    """A reader that counts what goes through it, and changes nothing."""

    def __init__(self, reader: Reader, meter: Meter) -> None:
        self._reader = reader
        self._meter = meter

    def read(self, path: str, start: int, stop: int) -> bytes:
        """As the reader inside does, counted."""
        self._meter.count(requests=1)
        data = self._reader.read(path, start, stop)
        self._meter.count(n_bytes=len(data))
        return data

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """As the reader inside does, counted."""
        self._meter.count(requests=1)
        self._reader.read_into(path, start, buffer)
        self._meter.count(n_bytes=buffer.nbytes)


class MeteredHistory(MeteredReader):
    """A metered reader of a source that knows its history; asking for commits is not counted."""

    def __init__(self, reader: Reader, history: History, meter: Meter) -> None:
        super().__init__(reader, meter)
        self._history = history
        self._meter = meter

    def at(self, commit: str) -> Snapshot:
        """As the history inside does; what is read of that commit is counted here, too."""
        return _counted(self._history.at(commit), self._meter)

    def lineage(self, old: str, new: str) -> Lineage:
        """As the history inside does."""
        return self._history.lineage(old, new)

    def last_commits(self, paths: Iterable[str]) -> Mapping[str, CommitInfo]:
        """As the history inside does."""
        return self._history.last_commits(paths)


@runtime_checkable
class Metered(Protocol):
    """A reader that counts for itself, since it knows what a read costs: requests, and bytes on a network."""

    meter: Meter


def metered(snapshot: Snapshot) -> tuple[Snapshot, Meter]:
    """The same snapshot with every read counted, and the meter that counts.

    A reader that counts for itself keeps its own meter, which counts from when the source was opened.

    Raises:
        SourceError: If the snapshot has no reader: it comes out of a report, not out of a source.
    """
    reader = snapshot.reader
    if reader is None:
        raise SourceError("this snapshot comes without its bytes: it was not opened from a source")
    if isinstance(reader, Metered):
        return snapshot, reader.meter
    meter = Meter()
    return _counted(snapshot, meter), meter


def _counted(snapshot: Snapshot, meter: Meter) -> Snapshot:
    reader = snapshot.reader
    if reader is None or isinstance(reader, Metered):
        return snapshot
    if isinstance(reader, History):
        return attrs.evolve(snapshot, reader=MeteredHistory(reader, reader, meter))
    return attrs.evolve(snapshot, reader=MeteredReader(reader, meter))
