"""A part of a commit is compared as the commit that it is of: what nobody downloaded is not gone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from huggingface_hub import constants, hf_hub_download

import embaudit
from embaudit.model.diff import SnapshotDiff
from embaudit.sources.metered import Metered
from embaudit.testing.everywhere import Everywhere
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    flat,
    save_safetensors,
    save_torch,
)

REPO = "org/name"
LOADERS = ("tei==1.5.0", "sentence-transformers==6.2.0")
HAD = {"config.json", "model.safetensors", "tokenizer.json", "modules.json"}
"""What some loader has fetched of the commit."""


@attrs.frozen
class World:
    """A repository with two commits on a hub and in a clone, and a cache in which nothing is yet.

    Attributes:
        hub: The hub.
        everywhere: The repository at each place; its own cache is not used.
        cache: The cache.
        old: The first commit.
        new: The second one, which changed the `.safetensors` and `config.json`, added the `.onnx`, moved
            `notes.txt` and lost `gone.json`.
    """

    hub: LoopbackHub
    everywhere: Everywhere
    cache: Path
    old: str
    new: str

    def cached(self, commit: str, *, listed: bool) -> Path:
        """A commit of which the cache holds a part, with the listing of the whole commit or without."""
        files = {
            path: file.contents.read(0, file.size)
            for path, file in self.everywhere.repository.commits[commit].files.items()
        }
        had = {path: content for path, content in files.items() if path in HAD}
        rest = {path: content for path, content in files.items() if path not in HAD}
        return cache_commit(self.cache, REPO, commit, had, absent=rest if listed else None)

    def whole(self, commit: str, place: str) -> Any:
        """What names all of a commit at a place."""
        return self.everywhere.targets(commit)[place]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The two commits."""
    made = tmp_path_factory.mktemp("partial")
    save_torch(flat(bert_tensors()), made / "pytorch_model.bin")
    save_safetensors(bert_tensors(), made / "model.safetensors")
    save_safetensors(bert_tensors(seed=1), made / "other.safetensors")
    first = {name: (made / name).read_bytes() for name in ("pytorch_model.bin", "model.safetensors")}
    with LoopbackHub() as hub:
        everywhere = Everywhere(hub, made / "everywhere", REPO)
        notes = b"some notes on the model\n"
        old = everywhere.commit({**bert_settings(), **first, "notes.txt": notes, "gone.json": b"{}"})
        config = json.loads(bert_settings()["config.json"]) | {"layer_norm_eps": 1e-5}
        new = everywhere.commit(
            {
                "model.safetensors": (made / "other.safetensors").read_bytes(),
                "config.json": json.dumps(config).encode(),
                "onnx/model.onnx": b"\x08\x07",
                "docs/notes.txt": notes,
                "notes.txt": None,
                "gone.json": None,
            }
        )
        yield World(hub, everywhere, made / "cache", old, new)


@pytest.fixture
def cache(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The same with an empty cache that is the one of this process, as the hub is."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with world.hub.in_process():
        yield attrs.evolve(world, cache=tmp_path / "cache")


def paths(diff: SnapshotDiff) -> dict[str, tuple[Any, ...]]:
    """The files of a diff, sorted by what became of them."""
    return {
        "added": tuple(entry.path for entry in diff.added),
        "removed": tuple(entry.path for entry in diff.removed),
        "modified": tuple(change.path for change in diff.modified),
        "renamed": tuple((rename.old_path, rename.new_path) for rename in diff.renamed),
        "uncompared": diff.uncompared,
        "not at hand": diff.not_at_hand,
    }


def told(report: embaudit.AuditReport) -> set[tuple[str, str]]:
    """Codes and messages of what two snapshots have to do with one another."""
    codes = {*(f"EMB{number:03}" for number in range(10, 20)), "EMB028"}
    return {(finding.code, finding.message) for finding in report.findings if finding.code in codes}


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize("place", ["hub", "clone"])
@pytest.mark.parametrize("way", ["cache first", "cache last"])
def test_the_same_commit_has_no_changes(cache: World, place: str, listed: bool, way: str) -> None:
    """A part of a commit and the whole of it differ in nothing, and no loader's outcome changed."""
    part, whole = cache.cached(cache.new, listed=listed), cache.whole(cache.new, place)
    target, against = (part, whole) if way == "cache first" else (whole, part)

    report = embaudit.audit(target, against=against, loaders=LOADERS)

    assert report.diff is not None
    assert set(paths(report.diff).values()) == {()}
    assert told(report) == set()


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "unlisted"])
@pytest.mark.parametrize("place", ["hub", "clone"])
@pytest.mark.parametrize("way", ["old part", "new part"])
def test_other_commits_are_compared_as_if_all_had_been_downloaded(
    cache: World, place: str, listed: bool, way: str
) -> None:
    """Files, settings, tensors and loads are told as between the two commits."""
    if way == "old part":
        target, against = cache.cached(cache.old, listed=listed), cache.whole(cache.new, place)
        whole = embaudit.audit(cache.whole(cache.old, place), against=against, loaders=LOADERS)
    else:
        target, against = cache.whole(cache.old, place), cache.cached(cache.new, listed=listed)
        whole = embaudit.audit(target, against=cache.whole(cache.new, place), loaders=LOADERS)

    report = embaudit.audit(target, against=against, loaders=LOADERS)

    assert report.diff is not None
    assert whole.diff is not None
    assert paths(report.diff) == paths(whole.diff)
    assert paths(report.diff)["modified"] == ("config.json", "model.safetensors")
    assert report.diff.field_changes == whole.diff.field_changes
    assert report.diff.tensors == whole.diff.tensors
    assert {code for code, _ in told(report)} == {code for code, _ in told(whole)}
    assert embaudit.AuditReport.from_json(report.to_json()) == report


def test_looking_up_a_commit_costs_one_request(cache: World) -> None:
    """The hub is asked once more for the listing of the cached commit, and for no file that is cached."""
    part = cache.cached(cache.old, listed=False)
    cache.hub.forget()

    report = embaudit.audit(cache.whole(cache.new, "hub"), against=part)

    listings = [each for each in cache.hub.requests if f"/revision/{cache.old}" in each.path]
    fetched = {each.path.partition("/resolve/")[2] for each in cache.hub.requests if "/resolve/" in each.path}
    assert len(listings) == 1
    assert not any(path == f"{cache.old}/{had}" for path in fetched for had in HAD)
    assert report.cost.requests == len(cache.hub.requests)


@pytest.mark.parametrize("depth", ["headers", "full"])
def test_two_caches_with_listings_know_what_changed(cache: World, depth: str) -> None:
    """Without a network: the digests of the listings tell of files that neither holds."""
    parts = [cache.cached(commit, listed=True) for commit in (cache.old, cache.new)]
    cache.hub.forget()

    diff = embaudit.diff_snapshots(*parts, depth=depth)

    wholes = [cache.whole(commit, "memory") for commit in (cache.old, cache.new)]
    assert paths(diff) == paths(embaudit.diff_snapshots(*wholes, depth=depth))
    assert cache.hub.requests == ()


@pytest.mark.parametrize("other", ["cache", "folder"])
def test_what_nobody_knows_is_neither_gone_nor_new(cache: World, other: str) -> None:
    """Without a listing and without a history, a file of one side only is told as not at hand."""
    part = cache.cached(cache.new, listed=False)
    whole = cache.cached(cache.old, listed=True) if other == "cache" else cache.whole(cache.old, "folder")

    report = embaudit.audit(part, against=whole, loaders=LOADERS)

    assert report.diff is not None
    found = paths(report.diff)
    assert (found["added"], found["removed"], found["renamed"]) == ((), (), ())
    assert {"gone.json", "pytorch_model.bin"} <= set(found["not at hand"])
    assert not {"EMB014", "EMB028"} & {code for code, _ in told(report)}
    assert "pytorch_model.bin" in report.render("text")
    assert "not at hand" in report.render("html")


def test_a_file_that_the_client_fetched_alone_is_no_changed_repository(cache: World) -> None:
    """As `from_pretrained` leaves a cache: one file of the commit, fetched by the real client."""
    hf_hub_download(REPO, "config.json", revision=cache.new, cache_dir=cache.cache)

    report = embaudit.audit(f"cache:{REPO}@{cache.new}", against=f"{REPO}@{cache.new}", loaders=LOADERS)

    assert report.diff is not None
    assert set(paths(report.diff).values()) == {()}
    assert told(report) == set()


def test_a_folder_that_was_downloaded_into_is_a_part_too(cache: World, tmp_path: Path) -> None:
    """`hf download --local-dir` notes the commit in the folder; what was left out is not removed."""
    for path in ("config.json", "model.safetensors"):
        hf_hub_download(REPO, path, revision=cache.old, local_dir=tmp_path / "local")

    same = embaudit.diff_snapshots(tmp_path / "local", f"{REPO}@{cache.old}")
    moved = embaudit.diff_snapshots(tmp_path / "local", f"{REPO}@{cache.new}")

    assert set(paths(same).values()) == {()}
    assert paths(moved)["removed"] == ("gone.json",)
    assert paths(moved)["added"] == ("onnx/model.onnx",)


@pytest.mark.parametrize("digests", ["listed", "none"])
def test_a_copy_proves_a_hub_the_same_without_a_download(cache: World, digests: str) -> None:
    """At depth full the bytes on this disk are hashed, and those of the hub do not travel."""
    place = "clone" if digests == "listed" else "folder"
    copy = cache.whole(cache.new, place)
    hub = embaudit.open_snapshot(cache.whole(cache.new, "hub"))
    cache.hub.forget()

    diff = embaudit.diff_snapshots(copy, hub, depth="full")

    assert set(paths(diff).values()) == {()}
    assert cache.hub.requests == ()


def test_what_differs_travels_once(cache: World) -> None:
    """At depth full only the weights that differ are had from the hub, each byte once."""
    hub = embaudit.open_snapshot(cache.whole(cache.new, "hub"))
    size = hub.files["model.safetensors"].size or 0

    report = embaudit.audit(cache.whole(cache.old, "folder"), against=hub, depth="full")

    assert report.diff is not None
    (changed,) = report.diff.tensors
    assert changed.changed
    reader = hub.reader
    assert isinstance(reader, Metered)
    assert size <= reader.meter.bytes_read < 1.2 * size
