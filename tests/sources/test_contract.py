"""Every source keeps the promises that are shipped to users as `SourceContract`."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from embaudit.errors import SourceError
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources import CloneSource, FolderSource, MemorySource
from embaudit.sources import local as local_module
from embaudit.sources.base import Source
from embaudit.sources.cache import CacheSource, read_cached_repo
from embaudit.sources.history import open_clone
from embaudit.sources.hub import open_hub
from embaudit.sources.metered import metered
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.source_contract import SourceContract

FILES = {
    "README.md": b"# a model\n",
    "config.json": b'{"hidden_size": 32}',
    "empty.txt": b"",
    "model.safetensors": bytes(range(256)) * 300,
    "onnx/model.onnx": b"\x08\x07" * 999,
    "one": b"1",
    "\N{CJK UNIFIED IDEOGRAPH-6A21}.txt": b"\x80\xff",
}
COMMIT = "c" * 40


class TestMemory(SourceContract):
    """The contract in memory."""

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return MemorySource(FILES), FILES


class TestFolder(SourceContract):
    """The contract on a plain folder."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        for path, content in FILES.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(content)
        (tmp_path / "linked.json").symlink_to("config.json")
        (tmp_path / "broken").symlink_to("nowhere")

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return FolderSource(self.folder), {**FILES, "linked.json": FILES["config.json"]}


class TestPortableFolder(TestFolder):
    """The contract on a folder where the system has no read by position."""

    @pytest.fixture(autouse=True)
    def _portable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local_module, "read_at", local_module._seek_and_read)


class TestCrowdedFolder(TestFolder):
    """The contract on a folder of which only one file may be kept open."""

    @pytest.fixture(autouse=True)
    def _crowded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(local_module, "_MOST_OPEN", 1)


class TestCache(SourceContract):
    """The contract on a cache with links."""

    layout = "links"

    @pytest.fixture(autouse=True)
    def _cache(self, hub_cache: Any) -> None:
        self.repo = hub_cache.repo
        for path, content in FILES.items():
            hub_cache.add(COMMIT, path, content, layout=self.layout, lfs=path == "model.safetensors")

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return CacheSource(read_cached_repo(self.repo), COMMIT), FILES


class TestSharedCache(TestCache):
    """The contract on a cache whose blobs are links into the shared store."""

    layout = "shared"


class TestCopyingCache(TestCache):
    """The contract on a cache without links."""

    layout = "copies"


class TestClone(SourceContract):
    """The contract on a commit of a clone, one file of which is in the LFS store."""

    @pytest.fixture(autouse=True)
    def _clone(self, clone: Any) -> None:
        self.folder = clone.folder
        clone.commit({**FILES, "model.safetensors": clone.store_lfs(FILES["model.safetensors"])})

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return CloneSource(open_clone(self.folder, DEFAULT_LIMITS)), FILES


class TestHub(SourceContract):
    """The contract on a commit of a repository on the hub."""

    @pytest.fixture(autouse=True)
    def _hub(self) -> Iterator[None]:
        with LoopbackHub() as hub, hub.in_process():
            repository = hub.create("org/name")
            # Some files have the same content in both commits, the others have not.
            before = {path: content for path, content in FILES.items() if path != "empty.txt"}
            self.old = repository.commit({**before, "config.json": b"{}", "moved.bin": FILES["one"]})
            repository.commit({**FILES, "moved.bin": None})
            yield

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return opened_on_hub(), FILES


class TestHubBeside(TestHub):
    """The contract on a commit beside another one of the hub, where equal contents are read."""

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return opened_on_hub(beside=open_hub("org/name", self.old)), FILES


class TestHubBesideMemory(TestHub):
    """The contract on a commit beside a near snapshot, of which one file is not what it claims to be."""

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return opened_on_hub(beside=Damaged(FILES).snapshot()), FILES


class TestForgetfulHub(TestHub):
    """The contract on the hub with room for a few bytes only."""

    def opened(self) -> tuple[Source, Mapping[str, bytes]]:
        """The source under test."""
        return opened_on_hub(limits=Limits(kept_bytes=100)), FILES


class Damaged(MemorySource):
    """Lists the digests of its files, and gives other bytes of one."""

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        super()._fill(path, start, buffer)
        if path == "config.json" and len(buffer) == len(FILES[path]):
            buffer[-1] ^= 0xFF


def opened_on_hub(**how: Any) -> Source:
    """The source of `org/name` on the hub."""
    reader = open_hub("org/name", **how).reader
    assert isinstance(reader, Source)
    return reader


def test_a_source_that_breaks_a_promise_is_told() -> None:
    """The contract catches a source that gives fewer bytes than asked for."""

    class Short(MemorySource):
        def read(self, path: str, start: int, stop: int) -> bytes:
            return super().read(path, start, stop)[:-1]

    class TestShort(SourceContract):
        def opened(self) -> tuple[Source, Mapping[str, bytes]]:
            return Short(FILES), FILES

    with pytest.raises(AssertionError, match="broken promise"):
        TestShort().test_ranges_are_exact_at_both_ends()


def test_a_source_that_reads_too_far_is_told() -> None:
    """The contract catches a source that answers where it must refuse."""

    class Lenient(MemorySource):
        def read(self, path: str, start: int, stop: int) -> bytes:
            return FILES.get(path, b"")[max(start, 0) : stop]

    class TestLenient(SourceContract):
        def opened(self) -> tuple[Source, Mapping[str, bytes]]:
            return Lenient(FILES), FILES

    with pytest.raises(AssertionError, match="not refused"):
        TestLenient().test_reading_past_the_end_is_refused()


def test_a_metered_snapshot_counts_calls_and_bytes() -> None:
    """Each call counts once and each byte once, and a refused call counts no byte."""
    snapshot, meter = metered(MemorySource(FILES).snapshot())

    snapshot.reader.read("config.json", 2, 10)
    snapshot.reader.read_into("model.safetensors", 5, memoryview(bytearray(100)))
    with pytest.raises(SourceError):
        snapshot.reader.read("config.json", 0, 10_000)

    assert (meter.requests, meter.bytes_read) == (3, 108)
    assert snapshot == MemorySource(FILES).snapshot()


def test_a_snapshot_without_bytes_is_not_metered() -> None:
    """A snapshot out of a report has no reader to wrap, and says so."""
    snapshot = attrs.evolve(MemorySource(FILES).snapshot(), reader=None)

    with pytest.raises(SourceError, match="without its bytes"):
        metered(snapshot)


def test_memory_has_the_digests_that_the_hub_would_give() -> None:
    """Weights are known by the SHA-256 of their content, everything else by its git blob."""
    files = MemorySource({"model.bin": b"w", "config.json": b"{}"}).snapshot().files

    assert files["model.bin"].sha256 == hashlib.sha256(b"w").hexdigest()
    assert files["model.bin"].git_sha1 is None
    assert files["config.json"].git_sha1 == hashlib.sha1(b"blob 2\0{}").hexdigest()
    assert files["config.json"].sha256 is None
