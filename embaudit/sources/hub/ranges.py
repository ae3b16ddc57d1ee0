"""Bytes of files on the hub: each span one request, each answer held against what was listed and asked for.

A file's content is had through `/resolve/`, which redirects: for a large file to a signed address of a
content network, good for about an hour, for a small one to a cache of the hub's own. The redirect says which
commit, size and digest the content has; the answer after it says nothing that can be relied on but the span.
So the first request for a file goes through `/resolve/` and later ones straight to where it led. Shapes of
the answers: huggingface_hub 2.4.0, `file_download.py`; RFC 9110, sections 14 and 15.3.7.
"""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import attrs

from embaudit.errors import EmbauditError, NoContentError, UnavailableError
from embaudit.model.files import FileEntry
from embaudit.model.refs import is_commit
from embaudit.sources.base import shown
from embaudit.sources.hub.api import OK, Addresses, as_source_error
from embaudit.sources.hub.exchange import Answer, Exchange
from embaudit.sources.hub.refusals import refusal
from embaudit.sources.memory import git_blob_sha1

ADDRESS_SECONDS = 50 * 60
"""How long a signed address is used: they are good for about an hour."""
MOST_ANSWERS = 4
"""Times that a span is asked for whose answers are shorter than they say."""
_PARTIAL = 206
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_REFUSED = {_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND}
"""What an address answers that is no longer good."""
_DENIED, _EXPIRED = b"<Code>AccessDenied</Code>", b"expired"
"""S3 says of an object that is not there what it says of one that is not for the asker; so that files whose
upload broke off answer 403 at a fresh address (https://github.com/huggingface/huggingface_hub/issues/4430)."""
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@attrs.define
class _Place:
    """Where the content of one file was last found.

    Attributes:
        url: The address that a redirect led to; a secret.
        since: When, by the clock of the ranges.
        finding: Set while a thread goes through the hub to find it; done when it has, or failed.
    """

    url: str | None = attrs.field(default=None, repr=False)
    since: float = 0.0
    finding: "Future[None] | None" = None


class Ranges:
    """Asks the hub for spans of the files of one commit. Safe to use from several threads.

    Args:
        exchange: How requests are made.
        addresses: Where the hub answers for the repository.
        commit: 40 hex digits.
        clock: Seconds that pass, for the age of an address.
    """

    def __init__(
        self,
        exchange: Exchange,
        addresses: Addresses,
        commit: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._addresses = addresses
        self._commit = commit
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}

    def ask(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """The bytes of a listed file from `start` (included) to `stop` (not included), at least one.

        The whole of a file is held against its digest.

        Raises:
            NoContentError: If the hub has no content for the file.
            UnavailableError: If they cannot be had, or are not those that were listed.
            LimitError: If they take more than a limit allows.
        """
        try:
            data = self._whole(entry, start, stop)
        except EmbauditError as error:
            raise as_source_error(error) from None
        if len(data) == entry.size:
            check_digest(entry, data)
        return data

    def _whole(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """The body of an answer that is as long as its `Content-Range` says.

        A shorter one contradicts itself, and none of it is kept: it may be a page of a proxy.
        """
        for _ in range(MOST_ANSWERS):
            data = self._asked(entry, start, stop)
            if len(data) == stop - start:
                return data
        raise UnavailableError(
            f"{self._what(entry)}: the hub gave {len(data)} of the {stop - start} bytes from {start} on"
        )

    def _asked(self, entry: FileEntry, start: int, stop: int) -> bytes:
        """The body of one answer, which may be shorter than what was asked for."""
        place = self._place(entry.path)
        refused: str | None = None
        while True:
            url, finding, is_mine = self._known(place, refused)
            if is_mine:
                return self._found(entry, place, (start, stop))
            if finding is not None:
                finding.result()  # Another thread goes through the hub; what it meets is raised here too.
                continue
            answer = self._get(url or "", entry, (start, stop), known=True)
            if answer.status in _REFUSED and refused is None:
                refused = url
                continue
            return self._checked(answer, entry, (start, stop))

    def _place(self, path: str) -> _Place:
        with self._lock:
            return self._places.setdefault(path, _Place())

    def _known(self, place: _Place, refused: str | None) -> "tuple[str | None, Future[None] | None, bool]":
        """Where the content is; or else who finds it, and whether that is the calling thread."""
        with self._lock:
            if place.finding is not None:
                return None, place.finding, False
            is_good = place.url not in {None, refused} and self._clock() - place.since < ADDRESS_SECONDS
            if is_good:
                return place.url, None, False
            place.finding = Future()
            return None, place.finding, True

    def _found(self, entry: FileEntry, place: _Place, span: tuple[int, int]) -> bytes:
        """The body of an answer that came through the hub; the address that it led to is kept."""
        finding, url, began = place.finding, None, self._clock()
        try:
            resolve = self._addresses.file(self._commit, entry.path)
            answer = self._get(resolve, entry, span, known=False)
            data = self._checked(answer, entry, span)
            url = answer.url
        except BaseException as error:
            self._settle(place, None, began)
            if finding is not None:
                finding.set_exception(error)
            raise
        self._settle(place, url, began)
        if finding is not None:
            finding.set_result(None)
        return data

    def _settle(self, place: _Place, url: str | None, since: float) -> None:
        with self._lock:
            place.url, place.since, place.finding = url, since, None

    def _get(self, url: str, entry: FileEntry, span: tuple[int, int], *, known: bool) -> Answer:
        start, stop = span
        return self._exchange.get(
            url,
            what=self._what(entry),
            most=stop - start,
            byte_range=f"bytes={start}-{stop - 1}",
            crosses=True,
            known=known,
        )

    def _what(self, entry: FileEntry) -> str:
        return f"'{shown(entry.path)}' of {self._addresses.repo_id}"

    def _checked(self, answer: Answer, entry: FileEntry, span: tuple[int, int]) -> bytes:
        """The body of an answer that is what was asked for, as far as it says."""
        what, size = self._what(entry), entry.size or 0
        if answer.status not in {OK, _PARTIAL}:
            raise self._refusal(answer, what)
        check_identity(answer.first_headers, entry, self._commit, what)
        if answer.status == OK:
            if span != (0, size) or len(answer.body) != size:
                raise UnavailableError(f"{what}: the hub ignored the range that it was asked for")
            return answer.body
        check_range(answer.headers.get("content-range", ""), span, size, what)
        return answer.body

    def _refusal(self, answer: Answer, what: str) -> EmbauditError:
        if _is_lost(answer):
            return NoContentError(
                f"{what}: the hub lists it and has no content for it: "
                "its LFS object was never uploaded or is gone (status 403, AccessDenied)"
            )
        return refusal(answer, what=what, page=self._addresses.page)


def _is_lost(answer: Answer) -> bool:
    """Whether the storage has no object at the address that was just signed for it."""
    denied = answer.status == _FORBIDDEN and _DENIED in answer.body and _EXPIRED not in answer.body.lower()
    return denied and not answer.on_hub


def check_range(content_range: str, span: tuple[int, int], size: int, what: str) -> None:
    """Hold the `Content-Range` of an answer against what was asked for, in a file of `size` bytes.

    Raises:
        UnavailableError: If it is another span, or one of a file of another size.
    """
    start, stop = span
    match = _CONTENT_RANGE.fullmatch(content_range)
    if match is None:
        raise UnavailableError(f"{what}: the hub's answer does not say which bytes it holds")
    first, last, total = (int(number) for number in match.groups())
    if total != size:
        raise UnavailableError(f"{what} has changed since it was listed: it had {size} bytes, now {total}")
    if (first, last) != (start, stop - 1):
        raise UnavailableError(
            f"{what}: asked for bytes {start}-{stop - 1}, the answer is for {first}-{last}"
        )


def check_identity(headers: Mapping[str, str], entry: FileEntry, commit: str, what: str) -> None:
    """Hold what a redirect says of a content, as far as it says anything, against the listing.

    Args:
        headers: By lower-case name. `X-Repo-Commit`, `X-Linked-Size` and `X-Linked-ETag`, which is the
            SHA-256 of an LFS file and the id of the blob of any other.
        entry: The file as listed.
        commit: The commit that was listed.
        what: The file, for messages.

    Raises:
        UnavailableError: If it is another content.
    """
    said = headers.get("x-repo-commit", "")
    if is_commit(said) and said != commit:
        raise UnavailableError(f"{what}: asked for commit {commit}, the hub answers for {said}")
    size = headers.get("x-linked-size", "")
    if size.isdecimal() and size.isascii() and size.lstrip("0") != str(entry.size).lstrip("0"):
        raise UnavailableError(f"{what} has changed since it was listed: another size")
    digest = headers.get("x-linked-etag", "").removeprefix("W/").strip('"')
    if _DIGEST.fullmatch(digest) and entry.identity not in {None, digest}:
        raise UnavailableError(f"{what} has changed since it was listed: another digest")


def check_digest(entry: FileEntry, content: bytes | memoryview) -> None:
    """Hold a whole content against the digest that is listed for it, if any is.

    Raises:
        UnavailableError: If it has another one.
    """
    if entry.sha256 is not None:
        is_same = hashlib.sha256(content).hexdigest() == entry.sha256
    else:
        is_same = entry.git_sha1 in {None, git_blob_sha1(bytes(content))}
    if not is_same:
        raise UnavailableError(f"'{shown(entry.path)}': the bytes that came are not those that the hub lists")
