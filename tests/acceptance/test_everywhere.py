"""The same audit of the same bytes finds the same from the hub, the cache, a folder and a clone."""

import io
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import embaudit
from embaudit.model.files import Snapshot
from embaudit.rules import RULES
from embaudit.sources import MemorySource, Source, open_snapshot
from embaudit.testing.audit_contract import (
    ABOUT_THE_SOURCE,
    LOADERS,
    AuditContract,
    audit_differences,
    sample_repositories,
)
from embaudit.testing.everywhere import Everywhere
from embaudit.testing.git_objects import GitObject, commit_object, tree_objects, write_loose
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import bert_settings, save_safetensors, save_torch

pytestmark = pytest.mark.exhaustive

PLACES = ("hub", "cache", "folder", "clone")
Files = Mapping[str, bytes]


@pytest.fixture(scope="module")
def running_hub() -> Iterator[LoopbackHub]:
    """A hub for all tests of the module."""
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture
def hub(running_hub: LoopbackHub) -> Iterator[LoopbackHub]:
    """The hub, which this process takes for the real one."""
    with running_hub.in_process():
        running_hub.forget()
        yield running_hub


@pytest.fixture(scope="module")
def samples(running_hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What names each sample repository at each place, by the name of the sample."""
    folder = tmp_path_factory.mktemp("samples")
    targets = {}
    for number, (name, files) in enumerate(sample_repositories().items()):
        put = Everywhere(running_hub, folder / str(number), f"samples/{number}")
        targets[name] = put.targets(put.commit(files))
    return targets


class AtOnePlace(AuditContract):
    """The contract at one place, which the subclass names."""

    place: str

    @pytest.fixture(autouse=True)
    def _samples(self, hub: LoopbackHub, samples: dict[str, Any]) -> None:
        assert hub
        self.samples = samples

    def snapshot_of(self, files: Files) -> Snapshot:
        """The sample, opened at the place."""
        name = next(name for name, sample in sample_repositories().items() if sample is files)
        return open_snapshot(self.samples[name][self.place])


class TestHub(AtOnePlace):
    """The contract over a network."""

    place = "hub"


class TestCache(AtOnePlace):
    """The contract on a cached commit."""

    place = "cache"


class TestFolder(AtOnePlace):
    """The contract on a plain folder."""

    place = "folder"


class TestClone(AtOnePlace):
    """The contract on a commit of a clone with a store of Git LFS."""

    place = "clone"


class OneRepository(AuditContract):
    """The contract on one small repository only."""

    def repositories(self) -> Mapping[str, Files]:
        """The repository."""
        return {"good": sample_repositories()["good"]}


def test_a_source_that_changes_a_byte_is_told() -> None:
    """The contract catches a source whose bytes are others: here of one setting."""

    class TestWrong(OneRepository):
        def snapshot_of(self, files: Files) -> Source:
            pooling = files["1_Pooling/config.json"].replace(b"mean_tokens", b"mean_tokenz")
            return MemorySource({**files, "1_Pooling/config.json": pooling})

    with pytest.raises(AssertionError, match=r"broken promise: good at depth headers.*declaration"):
        TestWrong().test_headers_tell_the_same()


def test_a_source_that_hides_a_file_is_told() -> None:
    """The contract catches a source that does not list a file, though no finding depends on it."""

    class TestBlind(OneRepository):
        def snapshot_of(self, files: Files) -> Source:
            return MemorySource({path: data for path, data in files.items() if path != "tokenizer.json"})

    with pytest.raises(AssertionError, match="the listing"):
        TestBlind().test_headers_tell_the_same()


def test_a_source_that_damages_values_is_told_where_values_are_read() -> None:
    """What lies in the tensors is compared at depth full, and only there."""

    class Rotten(MemorySource):
        def _fill(self, path: str, start: int, buffer: memoryview) -> None:
            super()._fill(path, start, buffer)
            if path == "model.safetensors" and start + len(buffer) == self.snapshot().files[path].size:
                buffer[-1] ^= 0xFF

    class TestRotten(OneRepository):
        def snapshot_of(self, files: Files) -> Source:
            return Rotten(files)

    TestRotten().test_headers_tell_the_same()
    with pytest.raises(AssertionError, match="EMB004"):
        TestRotten().test_whole_files_tell_the_same()


def test_what_is_left_out_are_rules() -> None:
    """Each code that is left out of comparisons is that of a rule, with a reason."""
    assert set(ABOUT_THE_SOURCE) <= set(RULES)
    assert all(ABOUT_THE_SOURCE.values())


def test_the_samples_are_worth_comparing() -> None:
    """The samples provoke many rules, so that to find the same is to find something."""
    reports = {
        name: embaudit.audit(MemorySource(files).snapshot(), loaders=LOADERS)
        for name, files in sample_repositories().items()
    }

    found = {finding.code for report in reports.values() for finding in report.findings}
    assert len(found - set(ABOUT_THE_SOURCE)) >= 15
    assert reports["good"].passed(fail_on="error")


@pytest.fixture
def everywhere(hub: LoopbackHub, tmp_path: Path) -> Everywhere:
    """An empty repository everywhere."""
    return Everywhere(hub, tmp_path, f"org/m{tmp_path.name.replace('_', '')[-40:]}")


def test_the_clone_is_one_for_git(everywhere: Everywhere) -> None:
    """Git itself finds no fault with the objects, and the history is that of the hub."""
    first = everywhere.commit({"a/b/c.txt": b"1", "a/b.txt": b"2", "a.b": b"3"}, title="f\N{DIAERESIS}rst")
    second = everywhere.commit({"a.b": None, "model.safetensors": b"4"}, date="2024-05-06T07:08:09.000Z")

    def git(*words: str) -> str:
        command = ["git", "-C", str(everywhere.clone), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("fsck", "--strict", "--full")
    assert git("log", "--format=%H %at %s").splitlines() == [
        f"{second} 1714979289 Commit 2",
        f"{first} 1704067200 f\N{DIAERESIS}rst",
    ]
    assert git("ls-tree", "-r", "--name-only", first).split() == ["a.b", "a/b.txt", "a/b/c.txt"]


def test_a_clone_tells_dates_as_the_hub_does(everywhere: Everywhere) -> None:
    """A commit made in another time zone is dated in UTC, as the hub dates it."""
    old = everywhere.commit({"config.json": b"{}"})
    tree = everywhere.repository.commits[old].files
    *trees, root = tree_objects({path: file.oid for path, file in tree.items()})
    made = commit_object(root.id, [old], "Elsewhere", "2024-01-02T00:30:00+00:00")
    elsewhere = GitObject("commit", made.content.replace(b"+0000", b"+0200"))
    write_loose(everywhere.clone / ".git", *trees, root, elsewhere)

    diff = embaudit.diff_snapshots(f"{everywhere.clone}@{old}", f"{everywhere.clone}@{elsewhere.id}")

    assert [each.date for each in diff.commits] == ["2024-01-02T00:30:00+00:00"]


def test_a_relative_folder_is_never_taken_for_a_repository(
    hub: LoopbackHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets name places wherever the folder was given from."""
    monkeypatch.chdir(tmp_path)
    relative = Everywhere(hub, Path("relative"), "org/relative")

    targets = relative.targets(relative.commit({"config.json": b"{}"}))

    assert open_snapshot(targets["clone"]).source == "git"
    assert open_snapshot(targets["folder"]).source == "folder"


def test_digests_agree_wherever_they_are_known(everywhere: Everywhere) -> None:
    """Hub, cache, clone and memory list the same digests; a plain folder lists none."""
    commit = everywhere.commit(
        {"config.json": b"{}", "model.bin": b"1", "optimizer.pt": b"2", "m.onnx": b"3"}
    )

    listed = {place: open_snapshot(target).files for place, target in everywhere.targets(commit).items()}

    assert {entry.identity for entry in listed.pop("folder").values()} == {None}
    assert len({tuple(files.values()) for files in listed.values()}) == 1


def test_a_local_header_far_away_is_looked_at_with_the_values(everywhere: Everywhere) -> None:
    """The documented exception: over a network, local headers are inferred at depth headers, and it says so.

    A zip whose directory is right and whose storage has a damaged header of its own is told on a disk at
    every depth, and from the hub from depth sampled on.
    """
    files = dict(sample_repositories()["good"])
    weights = bytearray(files["pytorch_model.bin"])
    with zipfile.ZipFile(io.BytesIO(weights)) as archive:
        last = max(info.header_offset for info in archive.infolist() if "/data/" in info.filename)
    weights[last] ^= 0xFF
    targets = everywhere.targets(everywhere.commit({**files, "pytorch_model.bin": bytes(weights)}))

    def told(place: str, depth: str) -> bool:
        report = embaudit.audit(targets[place], depth=depth)
        return any(finding.code == "EMB140" for finding in report.findings)

    assert all(told("folder", depth) for depth in ("headers", "sampled", "full"))
    assert [told("hub", depth) for depth in ("headers", "sampled", "full")] == [False, True, True]
    inferred = embaudit.audit(targets["hub"]).checkpoints["pytorch_model.bin"].inferred
    assert inferred > 0


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Two formats of 8 MB each, of which one has other values at both ends of a tensor."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("large")
    generator = torch.Generator().manual_seed(0)
    tensors = {f"layer.{n}.weight": torch.randn((512, 1024), generator=generator) for n in range(4)}
    save_torch(tensors, folder / "pytorch_model.bin")
    tensors["layer.1.weight"] = tensors["layer.1.weight"].clone()
    tensors["layer.1.weight"][0, 0] += 1
    tensors["layer.1.weight"][-1, -1] += 1
    save_safetensors(tensors, folder / "model.safetensors")
    return {**bert_settings(), **{path.name: path.read_bytes() for path in folder.iterdir()}}


@pytest.mark.parametrize("depth", ["sampled", "full"])
def test_values_from_the_hub_are_those_of_the_folder(
    everywhere: Everywhere, hub: LoopbackHub, large: dict[str, bytes], depth: str
) -> None:
    """Both depths tell what a folder tells: sampled for few of the bytes, full for each of them once."""
    targets = everywhere.targets(everywhere.commit(large))
    size = sum(len(data) for path, data in large.items() if "model" in path and "json" not in path)

    far = embaudit.audit(targets["hub"], loaders=LOADERS, depth=depth)
    near = embaudit.audit(targets["folder"], loaders=LOADERS, depth=depth)

    (tensors,) = far.mappings
    different = [pair.left for pair in tensors.pairs if str(pair.values) == "different"]
    assert (different, far.mappings) == (["layer.1.weight"], near.mappings)
    assert audit_differences(far, near) == ()
    sent = sum(request.sent_bytes for request in hub.requests)
    assert far.cost.bytes_read == sent
    if depth == "sampled":
        assert sent < size / 10
    else:
        assert size <= sent < 1.1 * size
