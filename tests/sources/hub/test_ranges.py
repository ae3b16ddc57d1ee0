"""Spans of files on the hub: the bytes that were listed, or one error; and as few requests as that takes."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest

from embaudit.errors import EmbauditError, LimitError, NoContentError, SourceError, UnavailableError
from embaudit.model.files import FileEntry, FileKind, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.api import Addresses
from embaudit.sources.hub.exchange import Exchange
from embaudit.sources.hub.patience import Patience
from embaudit.sources.hub.ranges import ADDRESS_SECONDS, Ranges, check_identity, check_range
from embaudit.sources.metered import Meter
from embaudit.testing.loopback_hub import (
    BodyReplaced,
    Dropped,
    Fault,
    Gzipped,
    HeaderChanged,
    LongBody,
    LoopbackHub,
    Meanwhile,
    OtherCommit,
    RangeIgnored,
    Redirected,
    Repository,
    ShortBody,
    Status,
    UrlExpired,
    WrongRange,
)

SIZE = 300_000
WEIGHTS, CONFIG = "model.safetensors", "config.json"


@pytest.fixture
def contents(repository: Repository, noise: Callable[..., bytes]) -> dict[str, bytes]:
    """A large file, which is redirected to the CDN, and a small one, which the hub has itself."""
    files = {WEIGHTS: noise(SIZE), CONFIG: noise(1000, 1)}
    repository.commit(files)
    return files


@pytest.fixture
def snapshot(contents: dict[str, bytes], hasty: Patience) -> Snapshot:  # noqa: ARG001 - they have to be there
    """The repository, opened."""
    return open_hub("org/name", patience=hasty)


class Clock:
    """A clock that a test sets."""

    now = 0.0
    """Seconds."""

    def __call__(self) -> float:
        """What it says."""
        return self.now


def ranges_of(hub: LoopbackHub, snapshot: Snapshot, patience: Patience, clock: Clock) -> Ranges:
    """Ranges of a snapshot by a clock of one's own."""
    exchange = Exchange(endpoint=hub.endpoint, limits=DEFAULT_LIMITS, meter=Meter(), patience=patience)
    return Ranges(
        exchange,
        Addresses(endpoint=hub.endpoint, repo_id="org/name"),
        snapshot.commit or "",
        clock=clock,
    )


@pytest.mark.parametrize(("path", "origin"), [(WEIGHTS, "cdn"), (CONFIG, "hub")])
def test_only_the_first_span_of_a_file_is_redirected(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes], path: str, origin: str
) -> None:
    """Two requests for the first span, one for each later one, straight to where the first was found."""
    ranges = ranges_of(hub, snapshot, Patience(), Clock())
    hub.forget()

    for start in (0, 100, 200):
        span = ranges.ask(snapshot.files[path], start, start + 50)
        assert span == contents[path][start : start + 50]

    assert [request.origin for request in hub.requests] == ["hub", origin, origin, origin]
    assert all("/resolve/" not in request.path for request in hub.requests[1:])


def test_an_address_is_renewed_in_time(hub: LoopbackHub, snapshot: Snapshot) -> None:
    """After 50 minutes the hub is asked anew, before the address that it signed expires."""
    clock = Clock()
    ranges, entry = ranges_of(hub, snapshot, Patience(), clock), snapshot.files[WEIGHTS]
    hub.forget()

    ranges.ask(entry, 0, 1)
    clock.now = ADDRESS_SECONDS - 1
    ranges.ask(entry, 1, 2)
    clock.now = ADDRESS_SECONDS + 1
    ranges.ask(entry, 2, 3)

    assert [request.origin for request in hub.requests] == ["hub", "cdn", "cdn", "hub", "cdn"]


def test_an_address_that_is_refused_is_renewed_once(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes]
) -> None:
    """An address that expired early costs one way through the hub; one refused anew is an error."""
    reader = snapshot.reader
    reader.read(WEIGHTS, 0, 1)
    hub.forget()
    hub.inject(UrlExpired())

    assert reader.read(WEIGHTS, 100_000, 100_001) == contents[WEIGHTS][100_000:100_001]
    assert [(request.origin, request.status) for request in hub.requests] == [
        ("cdn", 403),
        ("hub", 302),
        ("cdn", 206),
    ]
    hub.inject(UrlExpired(times=None))
    with pytest.raises(SourceError, match="it may have expired") as caught:
        reader.read(WEIGHTS, 200_000, 200_001)
    assert not isinstance(caught.value, NoContentError)


@pytest.mark.parametrize("status", [403, 404])
def test_an_object_that_is_gone(hub: LoopbackHub, snapshot: Snapshot, status: int) -> None:
    """A file that is listed and redirected to nothing has no content, however the storage says so."""
    hub.lose(snapshot.files[WEIGHTS].sha256 or "", status=status)

    with pytest.raises(NoContentError, match="lists it and has no content for it"):
        snapshot.reader.read(WEIGHTS, 0, 1)
    assert snapshot.reader.read(CONFIG, 0, 1)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(RangeIgnored(origin="cdn"), "ignored the range", id="range-ignored"),
        pytest.param(Gzipped(origin="cdn"), "compressed", id="gzip-of-all"),
        pytest.param(Gzipped(origin="cdn", whole=False), "compressed", id="gzip"),
        pytest.param(WrongRange(origin="cdn", start_by=1), "asked for bytes 1000-", id="other-bytes"),
        pytest.param(
            WrongRange(origin="cdn", total_by=1), "has changed since it was listed", id="another-size"
        ),
        pytest.param(
            HeaderChanged(origin="cdn", headers={"Content-Range": None}),
            "does not say which bytes",
            id="no-content-range",
        ),
        pytest.param(
            HeaderChanged(origin="cdn", headers={"Content-Range": "bytes 1000-66535/*"}),
            "does not say which bytes",
            id="unknown-total",
        ),
        pytest.param(LongBody(origin="cdn"), "more than the", id="long-body"),
        pytest.param(OtherCommit(), "the hub answers for c0ffee", id="another-commit"),
        pytest.param(
            HeaderChanged(origin="hub", headers={"X-Linked-Size": "7"}), "another size", id="linked-size"
        ),
        pytest.param(
            HeaderChanged(origin="hub", headers={"X-Linked-ETag": f'"{"0" * 64}"'}),
            "another digest",
            id="linked-digest",
        ),
        pytest.param(Redirected(times=None), "in a circle", id="redirected-in-a-circle"),
        pytest.param(Status(status=416, origin="cdn"), "416", id="416"),
        pytest.param(Status(status=400, origin="cdn"), "400", id="400"),
        pytest.param(Status(status=404, origin="hub", code="EntryNotFound"), "no such file", id="404"),
        pytest.param(Status(status=401, origin="hub", code="GatedRepo"), "gated", id="gated"),
        pytest.param(Status(status=500, times=None), "500", id="down"),
        pytest.param(ShortBody(origin="cdn", times=None), "attempts: 3", id="always-short"),
        pytest.param(
            ShortBody(origin="cdn", times=None, missing=70_000, honest=True), "gave 0 of", id="none"
        ),
    ],
)
def test_wrong_answers_are_errors(hub: LoopbackHub, snapshot: Snapshot, fault: Fault, message: str) -> None:
    """Whatever is not the span that was asked for, of the content that was listed, is one `SourceError`."""
    hub.inject(fault)

    with pytest.raises(SourceError, match=message) as caught:
        snapshot.reader.read(WEIGHTS, 1000, 2000)

    assert WEIGHTS in str(caught.value)
    assert not re.search(r"https?://localhost|Signature", str(caught.value))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Dropped(origin="cdn", times=2), id="dropped"),
        pytest.param(Dropped(origin="cdn", after_headers=True), id="dropped-after-headers"),
        pytest.param(Status(status=503, times=2), id="503"),
        pytest.param(Status(status=429, rate_limit='"resolvers";r=0;t=0'), id="429"),
        pytest.param(ShortBody(origin="cdn", missing=100), id="short"),
        pytest.param(ShortBody(origin="cdn", missing=100, honest=True), id="short-and-honest"),
    ],
)
def test_what_passes_is_borne(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes], fault: Fault
) -> None:
    """A fault that passes costs requests; the bytes are right."""
    hub.inject(fault)

    assert snapshot.reader.read(WEIGHTS, 1000, 2000) == contents[WEIGHTS][1000:2000]


@pytest.mark.parametrize("honest", [True, False])
def test_an_answer_that_ends_early_is_asked_for_again(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes], honest: bool
) -> None:
    """Of an answer that is shorter than its range nothing is kept, whatever length it names."""
    hub.inject(ShortBody(origin="cdn", missing=5, honest=honest))

    snapshot.reader.read(WEIGHTS, 0, 1)

    asked = [request.range for request in hub.requests if request.origin == "cdn"]
    assert asked == ["bytes=0-65535", "bytes=0-65535"]
    assert snapshot.reader.read(WEIGHTS, 0, 65536) == contents[WEIGHTS][:65536]


def test_a_server_that_ignores_ranges_still_gives_whole_files(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes]
) -> None:
    """A 200 with the whole file is right where the whole file was asked for."""
    hub.inject(RangeIgnored(times=None))

    assert snapshot.reader.read(CONFIG, 10, 20) == contents[CONFIG][10:20]


@pytest.mark.parametrize("path", [WEIGHTS, CONFIG])
def test_a_whole_file_is_held_against_its_digest(
    hub: LoopbackHub, snapshot: Snapshot, noise: Callable[..., bytes], path: str
) -> None:
    """Other bytes of the same length are an error, never content."""
    entry = snapshot.files[path]
    hub.replace(entry.identity or "", noise(entry.size or 0, 9))

    for read in (
        lambda: snapshot.reader.read(path, 0, entry.size or 0),
        lambda: snapshot.reader.read_into(path, 0, memoryview(bytearray(entry.size or 0))),
    ):
        with pytest.raises(SourceError, match="not those that the hub lists"):
            read()


def test_a_whole_file_in_parts_is_held_against_its_digest(
    hub: LoopbackHub, snapshot: Snapshot, noise: Callable[..., bytes]
) -> None:
    """A whole file of which the beginning was kept from before is checked like one had at once."""
    hub.replace(snapshot.files[WEIGHTS].sha256 or "", noise(SIZE, 9))
    snapshot.reader.read(WEIGHTS, 0, 8)

    with pytest.raises(SourceError, match="not those that the hub lists"):
        snapshot.reader.read(WEIGHTS, 0, SIZE)


def test_a_push_between_listing_and_read_changes_nothing(
    hub: LoopbackHub, repository: Repository, contents: dict[str, bytes]
) -> None:
    """Reads stay at the commit that was listed."""
    hub.inject(Meanwhile(where="/revision/", action=lambda: repository.commit({WEIGHTS: b"new"})))

    snapshot = open_hub("org/name")

    assert snapshot.reader.read(WEIGHTS, 0, 9) == contents[WEIGHTS][:9]


def test_many_threads_ask_the_hub_once(
    hub: LoopbackHub, snapshot: Snapshot, contents: dict[str, bytes]
) -> None:
    """Threads that begin with one file at once go through the hub once, and then side by side."""
    ranges, entry = ranges_of(hub, snapshot, Patience(), Clock()), snapshot.files[WEIGHTS]
    ready = threading.Barrier(8)
    hub.forget()

    def ask(i: int) -> bytes:
        ready.wait()
        return ranges.ask(entry, i * 1000, i * 1000 + 10)

    with ThreadPoolExecutor(8) as pool:
        spans = list(pool.map(ask, range(8)))

    assert spans == [contents[WEIGHTS][i * 1000 : i * 1000 + 10] for i in range(8)]
    assert [request.origin for request in hub.requests].count("hub") == 1


def test_threads_that_wait_for_a_failure_fail_with_it(hub: LoopbackHub, snapshot: Snapshot) -> None:
    """What one thread met with all its retries is not tried again by those that waited for it."""
    hasty = Patience(attempts=1)
    ranges, entry = ranges_of(hub, snapshot, hasty, Clock()), snapshot.files[WEIGHTS]
    hub.inject(Status(status=503, times=None))
    hub.forget()
    ready = threading.Barrier(4)

    def ask(i: int) -> Any:
        ready.wait()
        try:
            return ranges.ask(entry, i, i + 1)
        except EmbauditError as error:
            return type(error)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {UnavailableError}


def test_credentials_stay_with_the_hub(hub: LoopbackHub) -> None:
    """The CDN is never given the token, by a redirect or directly; no error or repr holds it."""
    hub.create("org/private", private=True).commit({WEIGHTS: b"x" * 200_000})
    token = hub.token("org/private")
    snapshot = open_hub("org/private", token=token)

    snapshot.reader.read(WEIGHTS, 0, 1)
    snapshot.reader.read(WEIGHTS, 150_000, 150_001)

    assert {request.had_credentials for request in hub.requests if request.origin == "cdn"} == {False}
    assert {request.had_credentials for request in hub.requests if request.origin == "hub"} == {True}
    assert token not in repr(vars(snapshot.reader))


def test_budgets_hold(contents: dict[str, bytes]) -> None:
    """Requests and bytes over the network are counted, and end with a `LimitError` that names the limit."""
    few = open_hub("org/name", limits=Limits(requests=2))
    with pytest.raises(LimitError) as caught:
        few.reader.read(WEIGHTS, 0, 1)
    assert caught.value.limit == "requests"
    little = open_hub("org/name", limits=Limits(received_bytes=20_000))
    with pytest.raises(LimitError) as caught:
        little.reader.read(WEIGHTS, 0, 1)
    assert caught.value.limit == "received_bytes"
    assert contents


ENTRY = FileEntry(path="a", size=100, sha256="a" * 64, kind=FileKind.WEIGHTS)


@pytest.mark.parametrize(
    "said", ["", "bytes 0-9", "bytes */100", "bytes 0-9/100 ", "items 0-9/100", "bytes 0-9/" + "1" * 30, "x"]
)
def test_a_content_range_of_another_form_is_refused(said: str) -> None:
    """What cannot be understood is not guessed at."""
    with pytest.raises(SourceError, match="does not say which bytes"):
        check_range(said, (0, 10), 100, "x")


@pytest.mark.parametrize(
    ("headers", "fits"),
    [
        ({}, True),
        ({"x-repo-commit": "c" * 40, "x-linked-size": "100", "x-linked-etag": f'"{"a" * 64}"'}, True),
        ({"x-linked-etag": f'W/"{"a" * 64}"'}, True),
        ({"x-linked-etag": '"something else"', "x-repo-commit": "main", "x-linked-size": "many"}, True),
        ({"x-repo-commit": "d" * 40}, False),
        ({"x-linked-size": "101"}, False),
        ({"x-linked-etag": f'"{"b" * 64}"'}, False),
        ({"x-linked-etag": f'"{"a" * 40}"'}, False),
    ],
)
def test_what_a_redirect_says_is_held_against_the_listing(headers: dict[str, str], fits: bool) -> None:
    """Commit, size and digest have to be those listed, wherever the hub tells them."""
    if fits:
        check_identity(headers, ENTRY, "c" * 40, "x")
        check_identity(headers, attrs.evolve(ENTRY, sha256=None), "c" * 40, "x")
    else:
        with pytest.raises(SourceError, match=r"changed since|answers for"):
            check_identity(headers, ENTRY, "c" * 40, "x")


def test_a_body_of_other_bytes_is_found_out(hub: LoopbackHub, snapshot: Snapshot) -> None:
    """A page of a proxy in place of a file has another length, or another digest."""
    hub.inject(BodyReplaced(where="resolve-cache", body=b"x" * 1000))

    with pytest.raises(SourceError, match="not those that the hub lists"):
        snapshot.reader.read(CONFIG, 0, 10)
