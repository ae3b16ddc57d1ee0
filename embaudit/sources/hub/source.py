"""A commit of a repository on the hub, read over the network for kilobytes.

Knows how a listing, a thrifty reader, a history and a snapshot opened before make one source; refuses to know
what is asked of the hub, and how.
"""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.errors import UnknownCommitError
from embaudit.model.files import CommitInfo, FileState, Lineage, Snapshot, Span
from embaudit.model.limits import MIB
from embaudit.sources.base import ListedSource
from embaudit.sources.hub.api import HubApi, NoRevisionError
from embaudit.sources.hub.beside import Beside
from embaudit.sources.hub.held import HeldFiles
from embaudit.sources.hub.history import read_last_commits, read_lineage
from embaudit.sources.hub.ranges import Ranges
from embaudit.sources.hub.reading import ThriftyReader, spans_by_path
from embaudit.sources.hub.resolving import read_files, read_information
from embaudit.sources.hub.windows import pieces
from embaudit.sources.metered import Meter

LARGEST_PIECE = 8 * MIB
"""Bytes of tensor data asked for at once. An answer is held in memory beside the buffer that it goes to."""


class HubSource(ListedSource):
    """One commit of a repository on the hub.

    Args:
        listed: The listing.
        api: How the hub is asked.
        beside: A snapshot opened before; a content that both list with the same digest is read there.

    Attributes:
        meter: Requests and bytes that went over the network since the source was opened, for its listing too.
    """

    def __init__(self, listed: Snapshot, api: HubApi, *, beside: Snapshot | None = None) -> None:
        super().__init__(listed)
        self.meter: Meter = api.exchange.meter
        self._api = api
        self._commit = listed.commit or ""
        self._ranges = Ranges(api.exchange, api.addresses, self._commit)
        self._thrifty = ThriftyReader(self._ranges.ask, api.limits.kept_bytes, api.exchange.interrupt)
        self._beside = Beside(listed.files, beside)
        self._held = HeldFiles(self._ranges.ask, api.exchange.interrupt)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes of `path` from `start` (included) to `stop` (not included); some more are had along.

        Raises:
            NoContentError: If the hub lists the file and has no content for it.
            SourceError: If the path is not listed or not readable, if the span is not inside the file, or if
                the bytes cannot be had.
            LimitError: If they take more than a limit allows.
        """
        self._check(path, start, stop)
        if start == stop:
            return b""
        data = self._beside.read(path, start, stop)
        if data is None and self._held.has(path):
            return super().read(path, start, stop)
        return self._thrifty.read(self._listed.files[path], start, stop) if data is None else data

    def fetch(self, spans: Iterable[Span]) -> None:
        """Have these bytes kept for the reads that follow, as far as there is room; raises nothing."""
        spans = tuple(spans)
        self._beside.fetch(spans)
        own = (span for span in spans if not (self._beside.has(span.path) or self._held.has(span.path)))
        self._thrifty.fetch(spans_by_path(own, self._listed.files), self._listed.files)

    def hold(self, paths: Iterable[str]) -> None:
        """Have files whole on this disk for the reads that follow; what cannot be had is left to its read."""
        own = (path for path in paths if path in self._listed.files and not self._beside.has(path))
        present = (self._listed.files[path] for path in own)
        self._held.hold(entry for entry in present if entry.state is FileState.PRESENT)

    def interrupt(self) -> None:
        """Let every wait end, and ask the hub for nothing any more: the program is to end."""
        self._api.exchange.interrupt()

    def at(self, commit: str) -> Snapshot:
        """Another commit of the repository, by its full hash, with one request or, if it is very large, more.

        Raises:
            UnknownCommitError: If the hub does not have it (any more).
            TargetError: If the hub refuses.
            SourceError: If there is no sound answer.
            LimitError: If it takes more than a limit allows.
        """
        try:
            information = read_information(self._api, commit)
        except NoRevisionError as error:
            raise UnknownCommitError(str(error), commit) from error
        files = read_files(self._api, information)
        listed = attrs.evolve(
            self._listed, revision=commit, commit=commit, files=files, hub=information.state, reader=None
        )
        return HubSource(listed, self._api).snapshot()

    def lineage(self, old: str, new: str) -> Lineage:
        """How two commits lie to one another; both are full hashes.

        Raises:
            UnknownCommitError: If the hub does not have one of them (any more).
            SourceError: If one is not a full hash, or the history cannot be read.
            LimitError: If it is longer than `limits.commits`.
        """
        return read_lineage(self._api, old, new)

    def last_commits(self, paths: Iterable[str]) -> Mapping[str, CommitInfo]:
        """The commit that last changed each file, as of this one; what is not known is left out.

        Raises:
            SourceError: If the history cannot be read.
            LimitError: If it takes more than a limit allows.
        """
        known = (path for path in paths if path in self._listed.files)
        return read_last_commits(self._api, self._commit, known)

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        if self._beside.read_into(path, start, buffer) or self._held.fill(path, start, buffer):
            return
        entry, stop = self._listed.files[path], start + len(buffer)
        kept = self._thrifty.kept(entry, start, stop)
        if kept is not None:
            buffer[:] = kept
            return
        for begin, end in pieces(start, stop, LARGEST_PIECE):
            buffer[begin - start : end - start] = self._ranges.ask(entry, begin, end)
