"""A commit on the hub as a source: right bytes for few requests, from many threads, and within its bounds."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embaudit.errors import SourceError
from embaudit.model.files import FarReader, Snapshot, Span
from embaudit.model.limits import Limits
from embaudit.sources import MemorySource, open_snapshot
from embaudit.sources.base import Source
from embaudit.sources.hub import open_hub
from embaudit.sources.hub import source as source_module
from embaudit.sources.hub.patience import Patience
from embaudit.sources.hub.reading import WORKERS
from embaudit.sources.hub.windows import LARGEST_GAP, READ_AHEAD
from embaudit.testing.loopback_hub import LoopbackHub, Meanwhile, Repository, Sparse, Status
from embaudit.testing.source_contract import SourceContract

SIZE = 1_000_000
WEIGHTS, OTHER, CONFIG = "model.safetensors", "pytorch_model.bin", "config.json"
Contents = dict[str, bytes]


@pytest.fixture
def contents(repository: Repository, noise: Callable[..., bytes]) -> Contents:
    """Two large files and a small one."""
    files = {WEIGHTS: noise(SIZE), OTHER: noise(SIZE, 1), CONFIG: noise(500, 2)}
    repository.commit(files)
    return files


@pytest.fixture
def snapshot(hub: LoopbackHub, contents: Contents, hasty: Patience) -> Snapshot:
    """The repository, opened, with an empty log of requests."""
    opened = open_hub("org/name", patience=hasty)
    hub.forget()
    assert contents
    return opened


def cdn_ranges(hub: LoopbackHub) -> list[str | None]:
    """The ranges that the CDN was asked for."""
    return [request.range for request in hub.requests if request.origin == "cdn"]


class TestHub(SourceContract):
    """The contract over a network."""

    @pytest.fixture(autouse=True)
    def _hub(self, hub: LoopbackHub, noise: Callable[..., bytes]) -> None:
        self.contents = {
            "README.md": b"# a model\n",
            "empty.txt": b"",
            WEIGHTS: noise(300_000),
            "onnx/model.onnx": noise(100, 1),
            "\N{CJK UNIFIED IDEOGRAPH-6A21} #?%41.txt": b"\x80\xff",
        }
        hub.create("org/contract").commit(self.contents)

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        reader = open_snapshot("org/contract").reader
        assert isinstance(reader, Source)
        return reader, self.contents


class TestForgetfulHub(TestHub):
    """The contract where nothing may be kept."""

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        reader = open_hub("org/contract", limits=Limits(kept_bytes=0)).reader
        assert isinstance(reader, Source)
        return reader, self.contents


def test_a_header_is_read_ahead(hub: LoopbackHub, snapshot: Snapshot, contents: Contents) -> None:
    """A read asks for 64 KiB from where it starts; what follows in them costs nothing."""
    for start, stop in ((0, 8), (8, 5000), (60_000, READ_AHEAD)):
        assert snapshot.reader.read(WEIGHTS, start, stop) == contents[WEIGHTS][start:stop]

    assert cdn_ranges(hub) == ["bytes=0-65535"]


def test_a_directory_is_read_back(hub: LoopbackHub, snapshot: Snapshot, contents: Contents) -> None:
    """A read that ends with the file asks for its last 64 KiB; what lies in them costs nothing."""
    for start, stop in ((SIZE - 22, SIZE), (SIZE - 5000, SIZE - 22), (SIZE - READ_AHEAD, SIZE)):
        assert snapshot.reader.read(WEIGHTS, start, stop) == contents[WEIGHTS][start:stop]

    assert cdn_ranges(hub) == [f"bytes={SIZE - READ_AHEAD}-{SIZE - 1}"]


def test_only_what_is_missing_is_asked_for(hub: LoopbackHub, snapshot: Snapshot, contents: Contents) -> None:
    """A header that goes on after what is kept costs its rest, once."""
    snapshot.reader.read(WEIGHTS, 0, 8)
    assert snapshot.reader.read(WEIGHTS, 8, 100_000) == contents[WEIGHTS][8:100_000]
    snapshot.reader.read(WEIGHTS, 0, 100_000)

    assert cdn_ranges(hub) == ["bytes=0-65535", "bytes=65536-99999"]


def test_a_small_file_is_asked_for_whole(hub: LoopbackHub, snapshot: Snapshot, contents: Contents) -> None:
    """A small file takes a redirect and a body, whatever part of it is read."""
    for start, stop in ((100, 200), (0, 500), (499, 500)):
        assert snapshot.reader.read(CONFIG, start, stop) == contents[CONFIG][start:stop]

    assert [(request.status, request.range) for request in hub.requests] == [
        (307, "bytes=0-499"),
        (206, "bytes=0-499"),
    ]


def test_tensor_data_is_asked_for_exactly(
    hub: LoopbackHub, snapshot: Snapshot, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A buffer is filled with its bytes and no others, in pieces; they are not kept, but what is is used."""
    monkeypatch.setattr(source_module, "LARGEST_PIECE", 100_000)
    buffer = bytearray(250_000)

    for _ in range(2):
        snapshot.reader.read_into(WEIGHTS, 10, memoryview(buffer))
        assert buffer == contents[WEIGHTS][10:250_010]
    snapshot.reader.read(WEIGHTS, 0, 8)
    snapshot.reader.read_into(WEIGHTS, 100, memoryview(buffer)[:1000])

    assert buffer[:1000] == contents[WEIGHTS][100:1100]
    pieces = ["bytes=10-100009", "bytes=100010-200009", "bytes=200010-250009"]
    assert cdn_ranges(hub) == [*pieces, *pieces, "bytes=0-65535"]


def test_the_budget_of_two_weight_files(hub: LoopbackHub, repository: Repository) -> None:
    """Head of one file, head and tail of another: 5 requests for the 440 MB of each, and at most 192 KiB."""
    files = {name: Sparse(440_000_000, {0: name.encode()}) for name in (WEIGHTS, OTHER)}
    repository.commit(files)

    snapshot = open_snapshot("org/name")
    snapshot.reader.read(WEIGHTS, 0, 8)
    snapshot.reader.read(WEIGHTS, 8, 25_000)
    snapshot.reader.read(OTHER, 0, 4)
    snapshot.reader.read(OTHER, 440_000_000 - 22, 440_000_000)
    snapshot.reader.read(OTHER, 440_000_000 - 14_000, 440_000_000 - 22)
    snapshot.reader.read(OTHER, 64, 30_000)

    meter = snapshot.reader.meter
    assert meter.requests == len(hub.requests) == 6
    assert 3 * READ_AHEAD < meter.bytes_read == sum(r.sent_bytes for r in hub.requests) < 256 * 1024


def test_fetched_spans_are_kept(hub: LoopbackHub, snapshot: Snapshot, contents: Contents) -> None:
    """Spans of several files are asked for beforehand, neighbours at once; reads then cost nothing."""
    spans = [
        Span(WEIGHTS, 0, 10),
        Span(WEIGHTS, 10 + LARGEST_GAP - 1, 200_000),
        Span(WEIGHTS, 500_000, 500_001),
        Span(OTHER, SIZE - 10, SIZE + 1000),
        Span(CONFIG, 0, 500),
        Span(CONFIG, 300, 300),
        Span("none", 0, 10),
    ]
    assert isinstance(snapshot.reader, FarReader)

    snapshot.reader.fetch(spans)
    asked = len(hub.requests)
    for span in spans[:5]:
        data = snapshot.reader.read(span.path, span.start, min(span.stop, len(contents[span.path])))
        assert data == contents[span.path][span.start : span.stop]
    snapshot.reader.fetch(spans)

    assert len(hub.requests) == asked == 7
    assert set(cdn_ranges(hub)) == {"bytes=0-199999", "bytes=500000-500000", f"bytes={SIZE - 10}-{SIZE - 1}"}


def test_no_more_is_fetched_than_may_be_kept(hub: LoopbackHub, contents: Contents) -> None:
    """What has no room is left to the read that wants it."""
    reader = open_hub("org/name", limits=Limits(kept_bytes=250_000)).reader
    hub.forget()

    reader.fetch(Span(WEIGHTS, i * 200_000, i * 200_000 + 100_000) for i in range(5))

    assert len(cdn_ranges(hub)) == 2
    for i in range(5):
        start = i * 200_000
        assert reader.read(WEIGHTS, start, start + 100_000) == contents[WEIGHTS][start : start + 100_000]
    assert len(cdn_ranges(hub)) == 5


def test_a_failed_fetch_raises_where_it_is_read(
    hub: LoopbackHub, snapshot: Snapshot, contents: Contents
) -> None:
    """Fetching raises nothing; the read says why, without asking again; the next one tries anew."""
    hub.inject(Status(where=WEIGHTS, status=400, times=1))

    snapshot.reader.fetch([Span(WEIGHTS, 0, 100)])
    snapshot.reader.fetch([Span(WEIGHTS, 0, 100), Span(WEIGHTS, 500_000, 500_100), Span(OTHER, 0, 100)])
    asked = len(hub.requests)

    assert snapshot.reader.read(OTHER, 0, 100) == contents[OTHER][:100]
    with pytest.raises(SourceError, match="400"):
        snapshot.reader.read(WEIGHTS, 0, 100)
    assert len(hub.requests) == asked == 3
    assert snapshot.reader.read(WEIGHTS, 0, 100) == contents[WEIGHTS][:100]


def test_a_failed_fetch_raises_where_a_buffer_is_filled(
    hub: LoopbackHub, snapshot: Snapshot, contents: Contents
) -> None:
    """Tensor data that could not be fetched is not asked for again at once; the next one tries anew."""
    hub.inject(Status(where=WEIGHTS, status=400, times=1))
    buffer = bytearray(100)

    snapshot.reader.fetch([Span(WEIGHTS, 0, 100)])
    with pytest.raises(SourceError, match="400"):
        snapshot.reader.read_into(WEIGHTS, 0, memoryview(buffer))

    assert len(hub.requests) == 1
    snapshot.reader.read_into(WEIGHTS, 0, memoryview(buffer))
    assert buffer == contents[WEIGHTS][:100]


def test_a_hub_that_does_not_answer_is_not_asked_for_every_span(
    hub: LoopbackHub, repository: Repository, hasty: Patience
) -> None:
    """Once a request has failed for good a fetch begins no other, however many spans it was to have."""
    repository.commit({f"{i}.json": b"{%d}" % i for i in range(4 * WORKERS)})
    snapshot = open_hub("org/name", patience=hasty)
    hub.forget()
    hub.inject(Status(status=503, times=None))

    snapshot.reader.fetch([Span(path, 0, 2) for path in snapshot.files])

    assert len(hub.requests) <= WORKERS * hasty.attempts


def test_threads_that_want_the_same_ask_once(
    hub: LoopbackHub, snapshot: Snapshot, contents: Contents
) -> None:
    """A window that is under way is waited for, not asked for again."""
    ready = threading.Barrier(8)

    def read(i: int) -> bool:
        ready.wait()
        return snapshot.reader.read(WEIGHTS, i * 10, i * 10 + 5000) == contents[WEIGHTS][i * 10 :][:5000]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))

    # Whoever comes first decides where the window begins: those before it ask for the few bytes missing.
    assert sum(request.origin == "hub" for request in hub.requests) == 1
    counted = Counter(
        byte
        for asked in cdn_ranges(hub)
        for byte in range(*(int(end) for end in (asked or "").removeprefix("bytes=").split("-")))
    )
    assert max(counted.values()) == 1


def test_a_push_while_two_threads_read(
    hub: LoopbackHub, repository: Repository, snapshot: Snapshot, contents: Contents
) -> None:
    """A commit that comes between two reads changes neither."""
    hub.inject(Meanwhile(origin="cdn", action=lambda: repository.commit({WEIGHTS: b"new"})))

    assert snapshot.reader.read(WEIGHTS, 0, 10) == contents[WEIGHTS][:10]
    assert snapshot.reader.read(WEIGHTS, SIZE - 10, SIZE) == contents[WEIGHTS][-10:]


@pytest.mark.parametrize("kept_bytes", [0, 100_000, 10_000_000])
def test_many_threads_get_the_right_bytes(contents: Contents, kept_bytes: int) -> None:
    """Threads that read here and there, and drive out what others had, all get what they asked for."""
    reader = open_hub("org/name", limits=Limits(kept_bytes=kept_bytes)).reader

    def read_around(seed: int) -> bool:
        dice = random.Random(seed)
        for _ in range(12):
            path = dice.choice([WEIGHTS, OTHER, CONFIG])
            start, stop = sorted(dice.randint(0, len(contents[path])) for _ in range(2))
            stop = min(stop, start + 150_000)
            if dice.random() < 0.3:
                reader.fetch([Span(path, start, stop), Span(WEIGHTS, stop, stop + 1000)])
            if reader.read(path, start, stop) != contents[path][start:stop]:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read_around, range(8)))


class TestBeside:
    """Contents that a snapshot opened before has too."""

    def test_an_unchanged_file_of_another_commit_costs_nothing(
        self, hub: LoopbackHub, repository: Repository, snapshot: Snapshot, contents: Contents
    ) -> None:
        """What was read of one commit is not asked for again for another one that has it too."""
        repository.commit({CONFIG: b"{}"})
        snapshot.reader.read(WEIGHTS, 0, 100)
        snapshot.reader.fetch([Span(OTHER, 0, 100)])

        newer = open_snapshot("org/name", beside=snapshot)
        hub.forget()
        newer.reader.fetch([Span(WEIGHTS, 0, 100), Span(OTHER, 0, 100), Span(CONFIG, 0, 2)])
        read = {path: newer.reader.read(path, 0, 2) for path in newer.files}

        assert read == {WEIGHTS: contents[WEIGHTS][:2], OTHER: contents[OTHER][:2], CONFIG: b"{}"}
        assert all(CONFIG in request.path for request in hub.requests)
        assert len(hub.requests) == newer.reader.meter.requests - 1 == 2

    def test_tensor_data_is_read_there_too(
        self, hub: LoopbackHub, contents: Contents, snapshot: Snapshot
    ) -> None:
        """A local source with the same contents saves every request for them."""
        local = MemorySource(contents).snapshot()
        opened = open_snapshot("org/name", beside=local)
        hub.forget()
        buffer = bytearray(SIZE)

        opened.reader.read_into(WEIGHTS, 0, memoryview(buffer))

        assert bytes(buffer) == contents[WEIGHTS]
        assert opened.files == snapshot.files
        assert not hub.requests

    def test_a_damaged_copy_is_not_believed(self, hub: LoopbackHub, contents: Contents) -> None:
        """A whole file that is not what its source claims is asked for at the hub."""
        damaged = _Damaged(contents).snapshot()
        opened = open_snapshot("org/name", beside=damaged)

        assert opened.reader.read(CONFIG, 0, 500) == contents[CONFIG]
        buffer = bytearray(SIZE)
        opened.reader.read_into(WEIGHTS, 0, memoryview(buffer))
        assert bytes(buffer) == contents[WEIGHTS]
        assert cdn_ranges(hub)

    def test_a_far_copy_that_cannot_be_had_is_an_error(
        self, hub: LoopbackHub, contents: Contents, snapshot: Snapshot
    ) -> None:
        """What the other commit could not get from the hub is not asked for again under this one."""
        opened = open_snapshot("org/name", beside=snapshot)
        hub.lose(snapshot.files[WEIGHTS].sha256 or "")
        hub.forget()

        with pytest.raises(SourceError, match="has no content for it"):
            opened.reader.read(WEIGHTS, 0, 10)

        assert len(hub.requests) == 2
        assert opened.reader.read(OTHER, 0, 10) == contents[OTHER][:10]

    def test_a_copy_that_cannot_be_read_is_left(self, contents: Contents) -> None:
        """A local source that fails leaves its files to the hub."""
        opened = open_snapshot("org/name", beside=_Broken(contents).snapshot())

        assert opened.reader.read(WEIGHTS, 0, 10) == contents[WEIGHTS][:10]


class _Damaged(MemorySource):
    """A source whose bytes are all zero."""

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        super()._fill(path, start, buffer)
        buffer[:] = bytes(len(buffer))


class _Broken(MemorySource):
    """A source that can be listed and not read."""

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        raise SourceError(f"'{path}' is gone at {start}, for {len(buffer)} bytes")


spans = st.tuples(st.sampled_from([WEIGHTS, CONFIG]), st.floats(0, 1), st.floats(0, 1))


@given(
    steps=st.lists(st.tuples(st.sampled_from(["read", "read_into", "fetch"]), spans), max_size=12),
    kept_bytes=st.sampled_from([0, 1000, 100_000, 10_000_000]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reads_are_right_in_any_order(
    contents: Contents, steps: list[tuple[str, tuple[str, float, float]]], kept_bytes: int
) -> None:
    """However reads and fetches follow one another, and however little is kept, the bytes are right."""
    reader = open_hub("org/name", limits=Limits(kept_bytes=kept_bytes)).reader

    for how, (path, one, two) in steps:
        size = len(contents[path])
        start, stop = sorted((int(one * size), int(two * size)))
        if how == "fetch":
            reader.fetch([Span(path, start, stop)])
            continue
        buffer = bytearray(stop - start)
        if how == "read":
            buffer[:] = reader.read(path, start, stop)
        else:
            reader.read_into(path, start, memoryview(buffer))
        assert buffer == contents[path][start:stop]
