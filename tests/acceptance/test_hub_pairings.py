"""Two commits from any two places: what changed, how far one is behind, what became of the repository."""

import itertools
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants, snapshot_download

import embaudit
from embaudit.model.diff import SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.findings import Severity
from embaudit.testing.audit_contract import audit_differences
from embaudit.testing.everywhere import Everywhere
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    save_safetensors,
)

pytestmark = pytest.mark.exhaustive

REPO = "org/name"
PLACES = ("hub", "cache", "cache folder", "folder", "clone")
PAIRS = list(itertools.product(PLACES, PLACES))
KNOW_A_HISTORY = {"hub", "clone"}
TEI = "tei==1.5.0"


@pytest.fixture(scope="module")
def weights(weights: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Those of all tests, and other values."""
    other = tmp_path_factory.mktemp("weights") / "other.safetensors"
    save_safetensors(bert_tensors(seed=1), other)
    return {**weights, other.name: other.read_bytes()}


@pytest.fixture(scope="module")
def running_hub() -> Iterator[LoopbackHub]:
    """A hub for all tests of the module that don't change it."""
    with LoopbackHub() as hub:
        yield hub


@pytest.fixture(scope="module")
def two(
    running_hub: LoopbackHub, weights: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Everywhere, str, str]:
    """A repository everywhere, an old commit, and one two commits later."""
    everywhere = Everywhere(running_hub, tmp_path_factory.mktemp("two"), REPO)
    old = everywhere.commit(
        {
            **bert_settings(),
            "model.safetensors": weights["model.safetensors"],
            "pytorch_model.bin": weights["pytorch_model.bin"],
            "notes.txt": b"some notes on the model\n",
            "gone.json": b"{}",
        },
        title="The model",
    )
    everywhere.commit({"README.md": b"# a model\n"}, title="A card")
    config = json.loads(bert_settings()["config.json"]) | {"layer_norm_eps": 1e-5}
    new = everywhere.commit(
        {
            "model.safetensors": weights["other.safetensors"],
            "notes.txt": None,
            "docs/notes.txt": b"some notes on the model\n",
            "gone.json": None,
            "config.json": json.dumps(config).encode(),
        },
        title="Trained again",
    )
    return everywhere, old, new


@pytest.fixture
def pinned(
    two: tuple[Everywhere, str, str], running_hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mapping[str, Any]]:
    """What names the old and the new commit at each place; the hub is the one of this process."""
    everywhere, old, new = two
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(everywhere.cache))
    with running_hub.in_process():
        yield {place: (_named(everywhere, place, old), _named(everywhere, place, new)) for place in PLACES}


def _named(everywhere: Everywhere, place: str, commit: str) -> Any:
    if place == "cache":
        return f"cache:{REPO}@{commit}"
    return everywhere.targets(commit)["cache" if place == "cache folder" else place]


def changes(diff: SnapshotDiff) -> dict[str, Any]:
    """What a diff tells of files, settings and tensors, without the digests that only some sources know."""
    return {
        "added": [entry.path for entry in diff.added],
        "removed": [entry.path for entry in diff.removed],
        "modified": [(change.path, change.kind) for change in diff.modified],
        "renamed": diff.renamed,
        "fields": diff.field_changes,
        "tensors": diff.tensors,
        "uncompared": diff.uncompared,
        "notes": diff.notes,
    }


def expected_commits(
    old_place: str, new_place: str, everywhere: Everywhere, new: str
) -> tuple[CommitInfo, ...]:
    """The two commits after the old one, if a side knows the history and both know their commits."""
    if "folder" in {old_place, new_place} or KNOW_A_HISTORY.isdisjoint({old_place, new_place}):
        return ()
    titles = {"A card": "2024-01-02", "Trained again": "2024-01-03"}
    ids = {commit.title: commit.id for commit in everywhere.repository.commits.values()}
    assert ids["Trained again"] == new
    return tuple(
        CommitInfo(commit=ids[title], title=title, date=f"{day}T00:00:00+00:00")
        for title, day in titles.items()
    )


@pytest.mark.parametrize(("old_place", "new_place"), PAIRS)
def test_every_pairing_tells_the_same_changes(
    pinned: Mapping[str, Any], two: tuple[Everywhere, str, str], old_place: str, new_place: str
) -> None:
    """Where everything is read, changes and commits are the same between any two places."""
    everywhere, old, new = two
    listed = everywhere.targets(old)["memory"], everywhere.targets(new)["memory"]

    diff = embaudit.diff_snapshots(pinned[old_place][0], pinned[new_place][1], depth="full")

    assert changes(diff) == changes(embaudit.diff_snapshots(*listed, depth="full"))
    assert [change.path for change in diff.modified] == ["config.json", "model.safetensors"]
    assert [rename.new_path for rename in diff.renamed] == ["docs/notes.txt"]
    assert diff.commits == expected_commits(old_place, new_place, everywhere, new)
    assert (diff.lost_commits, diff.unknown_commit) == ((), None)


@pytest.mark.parametrize(("old_place", "new_place"), PAIRS)
def test_headers_tell_the_same_of_all_that_has_digests(
    pinned: Mapping[str, Any], two: tuple[Everywhere, str, str], old_place: str, new_place: str
) -> None:
    """From headers alone too; but weights of equal size and headers are told apart by digests, if at all."""
    everywhere, old, new = two
    listed = everywhere.targets(old)["memory"], everywhere.targets(new)["memory"]
    expected = changes(embaudit.diff_snapshots(*listed))

    found = changes(embaudit.diff_snapshots(pinned[old_place][0], pinned[new_place][1]))

    if "folder" not in {old_place, new_place}:
        assert found == expected
        return
    assert found.pop("uncompared") == ("model.safetensors", "pytorch_model.bin")
    modified = [change for change in expected["modified"] if change[0] != "model.safetensors"]
    assert found.pop("modified") == modified
    for part in ("added", "removed", "renamed", "fields", "notes"):
        assert found[part] == expected[part]
    assert {each.left for each in found["tensors"]} == {"model.safetensors", "pytorch_model.bin"}


@pytest.mark.parametrize(("target", "against"), PAIRS)
def test_audits_against_any_place_tell_what_it_means(
    pinned: Mapping[str, Any], target: str, against: str
) -> None:
    """The old commit is two behind, in whichever order they are given, wherever a history is known."""
    known = "folder" not in {target, against} and not KNOW_A_HISTORY.isdisjoint({target, against})

    there = embaudit.audit(pinned[target][0], against=pinned[against][1], loaders=[TEI])
    back = embaudit.audit(pinned[target][1], against=pinned[against][0], loaders=[TEI])

    for report in (there, back):
        told = [finding for finding in report.findings if finding.code == "EMB028"]
        assert len(told) == known
        assert not known or "2 commits behind" in told[0].message
        assert not known or told[0].severity is Severity.WARNING
        assert codes(report, "EMB024", "EMB025") == []
    assert there.diff is not None
    assert "layer_norm_eps" in {change.field for change in there.diff.field_changes}


def codes(report: embaudit.AuditReport, *asked: str) -> list[tuple[str, Severity]]:
    """Code and severity of the findings of some rules."""
    return [(finding.code, finding.severity) for finding in report.findings if finding.code in asked]


@pytest.mark.parametrize("name", ["hash", "release", "v1", "refs/pr/1", "feature/x"])
def test_revisions_go_by_every_name(
    two: tuple[Everywhere, str, str], running_hub: LoopbackHub, tmp_path: Path, name: str
) -> None:
    """A hash, branch, tag or pull request names the same commit on the hub, in the cache and in a clone."""
    assert two
    everywhere = Everywhere(running_hub, tmp_path, f"org/by-{name.replace('/', '-')}")
    old = everywhere.commit({"config.json": b'{"a": 1}'})
    repository = everywhere.repository
    repository.branch("release", old)
    repository.branch("feature/x", old)
    repository.branch("refs/pr/1", old)
    repository.tag("v1", old)
    new = everywhere.commit({"config.json": b'{"a": 2}'})
    asked = old if name == "hash" else name
    if name != "hash":
        (everywhere.snapshot_folder(old).parent.parent / "refs" / name).parent.mkdir(parents=True)
        (everywhere.snapshot_folder(old).parent.parent / "refs" / name).write_text(old)

    with running_hub.in_process(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_CACHE", str(everywhere.cache))
        targets = [
            f"{repository.repo_id}@{asked}",
            f"cache:{repository.repo_id}@{asked}",
            f"{everywhere.clone}@{asked}",
        ]
        found = [embaudit.open_snapshot(target) for target in targets]
        diff = embaudit.diff_snapshots(targets[0], repository.repo_id)

    assert [(each.commit, each.revision) for each in found] == [(old, asked)] * 3
    assert [each.commit for each in diff.commits] == [new]


@pytest.fixture
def everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LoopbackHub, Everywhere]]:
    """A hub of its own, and an empty repository everywhere; `HF_HUB_CACHE` is its cache."""
    with LoopbackHub() as hub, hub.in_process():
        made = Everywhere(hub, tmp_path, REPO)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(made.cache))
        yield hub, made


def test_a_cache_that_is_behind_is_told_with_what_it_means(
    everywhere: tuple[LoopbackHub, Everywhere], weights: dict[str, bytes]
) -> None:
    """The incident: an old commit with a flat `.bin` only, and safetensors since, read right from now on."""
    _, made = everywhere
    old = made.commit({**bert_settings(), "pytorch_model.bin": weights["pytorch_model.bin"]})
    made.commit({"README.md": b"# a model\n"}, title="A card")
    made.commit({"model.safetensors": weights["model.safetensors"]}, title="Add safetensors")
    (made.cache / "models--org--name" / "refs").mkdir()
    (made.cache / "models--org--name" / "refs" / "main").write_text(old)

    report = embaudit.audit(f"cache:{REPO}", against=REPO, loaders=[TEI, "sentence-transformers==6.2.0"])

    (told,) = [finding for finding in report.findings if finding.code == "EMB028"]
    assert "in the cache is 2 commits behind" in told.message
    assert "on the hub" in told.message
    assert "`model.safetensors` instead of `pytorch_model.bin`, faithful instead of corrupt" in told.message
    assert set(told.evidence["loaders"]) == {TEI, "sentence-transformers==6.2.0"}


def test_a_renamed_repository_is_told_from_hub_and_cache(
    everywhere: tuple[LoopbackHub, Everywhere],
) -> None:
    """The old name leads to the new one: EMB023; what is cached under the old name is behind as before."""
    hub, made = everywhere
    old = made.commit({"config.json": b"{}"})
    new = made.commit({"README.md": b"# a model\n"})
    cached = made.snapshot_folder(old)
    hub.rename(REPO, "other/name")

    alone = embaudit.audit(f"{REPO}@{new}")
    report = embaudit.audit(f"{REPO}@{new}", against=cached)
    compared = embaudit.audit(cached, against=f"{REPO}@{new}")
    by_new_name = embaudit.audit(f"other/name@{new}")

    for told in (alone, report, compared):
        assert codes(told, "EMB023") == [("EMB023", Severity.WARNING)]
    assert codes(by_new_name, "EMB023") == []
    assert codes(report, "EMB024", "EMB025", "EMB028") == [("EMB028", Severity.INFO)]


def test_a_name_that_somebody_else_took_is_told(everywhere: tuple[LoopbackHub, Everywhere]) -> None:
    """Deleted, and made again by somebody else: another repository, with the same files or without."""
    hub, made = everywhere
    files = {"config.json": b"{}"}
    old = made.commit(files, title="Mine")
    before, cached = embaudit.open_snapshot(f"{REPO}@{old}"), made.snapshot_folder(old)
    long_ago = 1_400_000_000
    os.utime(cached, (long_ago, long_ago))
    hub.delete(REPO)
    hub.create(REPO).commit(files, title="Theirs")

    for against in (before, cached):
        report = embaudit.audit(REPO, against=against)

        assert codes(report, "EMB024", "EMB025", "EMB028") == [("EMB024", Severity.ERROR)]


@pytest.mark.parametrize(("place", "severity"), [("cache", Severity.ERROR), ("clone", Severity.WARNING)])
def test_a_rewritten_history_is_told(
    everywhere: tuple[LoopbackHub, Everywhere], place: str, severity: Severity
) -> None:
    """The hub no longer knows a commit that was had from it; a clone may hold what was never pushed."""
    _, made = everywhere
    old = made.commit({"config.json": b"{}"})
    made.commit({"README.md": b"# a model\n"})
    held = embaudit.open_snapshot(made.targets(old)[place])
    made.repository.rewrite()

    report = embaudit.audit(held, against=REPO)

    assert codes(report, "EMB024", "EMB025", "EMB028") == [("EMB025", severity)]
    assert report.diff is not None
    assert report.diff.unknown_commit == old


def test_a_commit_that_vanished_is_no_target(everywhere: tuple[LoopbackHub, Everywhere]) -> None:
    """What the hub no longer has is an error that names it, before it is opened and afterwards."""
    _, made = everywhere
    old = made.commit({"config.json": b"{}"})
    held = embaudit.open_snapshot(f"{REPO}@{old}")
    made.commit({"README.md": b"# a model\n"})
    made.repository.rewrite()

    with pytest.raises(embaudit.TargetError, match=old):
        embaudit.audit(f"{REPO}@{old}")
    with pytest.raises(embaudit.SourceError, match="no such branch, tag or commit"):
        embaudit.audit(held)


def test_stale_pairs_are_told_by_hub_and_clone_alike(
    everywhere: tuple[LoopbackHub, Everywhere], weights: dict[str, bytes]
) -> None:
    """Weights that came after their conversion and their export: the same findings, evidence and all."""
    _, made = everywhere
    pair = {"model.safetensors": weights["model.safetensors"], "onnx/model.onnx": b"\x08\x07"}
    made.commit({**bert_settings(), **pair}, title="All forms")
    made.commit({"model.safetensors": weights["other.safetensors"]}, title="Trained again")
    commit = made.commit({"pytorch_model.bin": weights["pytorch_model.bin"]}, title="As torch has it")
    targets = made.targets(commit)

    told = {
        place: [finding for finding in embaudit.audit(targets[place]).findings if finding.code == "EMB026"]
        for place in targets
    }

    assert told["hub"] == told["clone"]
    assert [finding.where.path for finding in told["hub"]] == ["model.safetensors", "onnx/model.onnx"]
    assert told["cache"] == told["folder"] == told["memory"] == []


def test_a_lost_object_is_told(everywhere: tuple[LoopbackHub, Everywhere], weights: dict[str, bytes]) -> None:
    """A listed file without content on the hub is EMB027; loaders are not said to load it."""
    hub, made = everywhere
    commit = made.commit({**bert_settings(), "model.safetensors": weights["model.safetensors"]})
    lost = embaudit.open_snapshot(f"{REPO}@{commit}").files["model.safetensors"].sha256
    hub.lose(str(lost))

    report = embaudit.audit(f"{REPO}@{commit}", loaders=["transformers==5.23.0"])

    assert codes(report, "EMB027", "EMB140") == [("EMB027", Severity.ERROR)]
    assert report.load("transformers").outcome != "faithful"


def test_gates_doors_and_scanners_are_told(everywhere: tuple[LoopbackHub, Everywhere]) -> None:
    """Gated: a finding with access and an error without. Closed and flagged: findings."""
    hub, made = everywhere
    commit = made.commit({"config.json": b"{}", "pytorch_model.bin": b"\x80\x02}."})
    made.repository.gated = "auto"
    made.repository.flag("pytorch_model.bin", "unsafe")

    with pytest.raises(embaudit.TargetError, match=r"(?i)gated|access") as refused:
        embaudit.audit(f"{REPO}@{commit}")
    with hub.in_process(token=hub.token(REPO)):
        report = embaudit.audit(f"{REPO}@{commit}")
    made.repository.gated, made.repository.disabled = "", True
    closed = embaudit.audit(f"{REPO}@{commit}")

    assert REPO in str(refused.value)
    asked = ("EMB020", "EMB021", "EMB022")
    assert codes(report, *asked) == [("EMB022", Severity.ERROR), ("EMB020", Severity.INFO)]
    assert ("EMB021", Severity.ERROR) in codes(closed, *asked)


def test_offline_says_what_the_cache_holds(
    everywhere: tuple[LoopbackHub, Everywhere], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With HF_HUB_OFFLINE=1 nothing is asked of the hub, and the error names what to write instead."""
    hub, made = everywhere
    commit = made.commit({"config.json": b"{}"})
    (made.cache / "models--org--name" / "refs").mkdir()
    (made.cache / "models--org--name" / "refs" / "main").write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    for target, words in (
        (REPO, [commit, "HF_HUB_OFFLINE", f"cache:{REPO}@main"]),
        ("org/else", ["nothing"]),
    ):
        for ask in (embaudit.audit, embaudit.open_snapshot, embaudit.open_checkpoint):
            with pytest.raises(embaudit.TargetError) as refused:
                ask(target)
            assert all(word in str(refused.value) for word in words)
    assert hub.requests == ()
    assert embaudit.audit(f"cache:{REPO}").commit == commit


def test_a_partial_cache_is_audited_for_what_it_has(
    everywhere: tuple[LoopbackHub, Everywhere], weights: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not downloaded is told from the commit's listing; loads are predicted from what is there."""
    _, made = everywhere
    whole = {
        **bert_settings(),
        **{name: weights[name] for name in ("model.safetensors", "pytorch_model.bin")},
    }
    commit = made.repository.commit(whole)
    absent = {"model.safetensors", "modules.json"}
    had = {path: content for path, content in whole.items() if path not in absent}
    lacking = {path: whole[path] for path in absent}
    cache_commit(made.cache, REPO, commit, had, ref="main", absent=lacking)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    report = embaudit.audit(f"cache:{REPO}", loaders=[TEI])

    (partial,) = [finding for finding in report.findings if finding.code == "EMB005"]
    assert set(partial.evidence["absent"]) == absent
    assert report.load("tei").files == ("pytorch_model.bin",)
    assert report.load("tei").outcome == "corrupt"


def test_what_the_client_downloads_is_audited_like_the_hub(
    everywhere: tuple[LoopbackHub, Everywhere], weights: dict[str, bytes]
) -> None:
    """A cache written by huggingface_hub itself is what the hub has, to every finding of its bytes."""
    hub, made = everywhere
    commit = made.repository.commit({**bert_settings(), **weights})
    cached = Path(snapshot_download(REPO, cache_dir=made.cache))
    hub.forget()

    near = embaudit.audit(cached, loaders=[TEI], depth="full")
    assert hub.requests == ()
    far = embaudit.audit(f"{REPO}@{commit}", loaders=[TEI], depth="full")

    assert near.commit == far.commit == commit
    assert near.files == far.files
    assert audit_differences(near, far) == ()
