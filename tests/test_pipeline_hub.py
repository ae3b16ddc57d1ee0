"""Audits of the hub and against it: what only a history and the hub's own words can tell."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from huggingface_hub import constants

import embaudit
from embaudit.model.findings import Severity
from embaudit.testing.loopback_hub import LoopbackHub, Repository
from embaudit.testing.repositories import (
    bert_settings,
    cache_commit,
)

REPO, TEI = "org/name", "tei==1.5.0"
LONG_AGO = 1_400_000_000
"""A day of 2014, in seconds: before the loopback hub's repositories were made."""


@attrs.frozen
class World:
    """A hub whose repository is three commits ahead of what the cache holds."""

    hub: LoopbackHub
    repository: Repository
    files: Mapping[str, bytes]
    old: str
    new: str

    def cached(self, repo_id: str = REPO) -> Path:
        """The snapshot folder of the old commit, which the cache takes for `main`."""
        cache = Path(constants.HF_HUB_CACHE)
        return cache_commit(cache, repo_id, self.old, self.files, ref="main")


@pytest.fixture
def world(weights: Mapping[str, bytes]) -> Iterator[World]:
    """The hub, in this process."""
    files = {**bert_settings(), "pytorch_model.bin": weights["pytorch_model.bin"]}
    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create(REPO)
        old = repository.commit(files, title="the model")
        repository.commit({"README.md": b"a model"}, title="a card")
        repository.commit({"model.safetensors": weights["model.safetensors"]}, title="add safetensors")
        new = repository.commit({"README.md": b"a good model"}, title="a better card")
        yield World(hub=hub, repository=repository, files=files, old=old, new=new)


def severities(report: embaudit.AuditReport, *codes: str) -> list[tuple[str, Severity]]:
    """The findings of some rules, by code."""
    return [(finding.code, finding.severity) for finding in report.findings if finding.code in codes]


def message(report: embaudit.AuditReport, code: str) -> str:
    """What the one finding of a rule says."""
    (told,) = [finding.message for finding in report.findings if finding.code == code]
    return told


def test_a_cached_commit_behind_the_hub_is_told_with_what_it_means(world: World) -> None:
    """How far it is behind and what the loader would now do, for the listing, the history and one header."""
    world.cached()

    report = embaudit.audit(f"cache:{REPO}@{world.old}", against=REPO, loaders=[TEI])

    told = message(report, "EMB028")
    assert "in the cache is 3 commits behind" in told
    assert "`model.safetensors` instead of `pytorch_model.bin`, faithful instead of corrupt" in told
    asked = [request.path.partition("?")[0] for request in world.hub.requests]
    assert asked[:2] == [f"/api/models/{REPO}/revision/main", f"/api/models/{REPO}/commits/{world.new}"]
    assert all("/model.safetensors" in path or path.startswith("/loopback/") for path in asked[2:])
    assert report.diff is not None
    assert [each.title for each in report.diff.commits] == ["a card", "add safetensors", "a better card"]
    assert all(each.date for each in report.diff.commits)


def test_the_same_is_told_from_the_newer_end(world: World) -> None:
    """The order of target and against changes what is audited, and not what changed or what it means."""
    cached = world.cached()

    there = embaudit.audit(cached, against=REPO, loaders=[TEI])
    back = embaudit.audit(REPO, against=cached, loaders=[TEI])

    assert there.diff is not None
    assert back.diff is not None
    assert there.diff.commits == back.diff.commits
    assert message(there, "EMB028") == message(back, "EMB028")


def test_unchanged_files_are_not_asked_for_twice(world: World) -> None:
    """Against an older commit of the hub an audit asks for its listing and the history, and nothing else."""
    embaudit.audit(REPO, loaders=[TEI])
    alone = len(world.hub.requests)
    world.hub.forget()

    embaudit.audit(REPO, against=f"{REPO}@{world.old}", loaders=[TEI])

    assert len(world.hub.requests) == alone + 2


def test_a_snapshot_that_was_opened_before_costs_what_the_audit_adds(world: World) -> None:
    """A second audit of the same snapshot counts its own requests only, though the meter goes on."""
    snapshot = embaudit.open_snapshot(REPO)
    world.hub.forget()

    first = embaudit.audit(snapshot)
    asked = len(world.hub.requests)
    second = embaudit.audit(snapshot)

    assert first.cost.requests == asked > 0
    assert second.cost.requests == len(world.hub.requests) - asked < first.cost.requests


@pytest.mark.parametrize("turned", [False, True], ids=["older first", "newer first"])
@pytest.mark.parametrize("old_from", ["cache", "hub"])
def test_the_history_is_asked_once(world: World, old_from: str, *, turned: bool) -> None:
    """The order is found with one page of the history, whichever of the two is the older one."""
    old = str(world.cached()) if old_from == "cache" else f"{REPO}@{world.old}"
    target, against = (REPO, old) if turned else (old, REPO)

    report = embaudit.audit(target, against=against)

    pages = [request for request in world.hub.requests if "/commits/" in request.path]
    assert len(pages) == 1
    assert report.diff is not None
    assert (report.diff.old.commit, report.diff.new.commit) == (world.old, world.new)


def test_a_snapshot_compared_with_itself_is_counted_once(world: World) -> None:
    """Target and against may share a meter, and what it counts is told once."""
    snapshot = embaudit.open_snapshot(REPO)
    world.hub.forget()

    report = embaudit.audit(snapshot, against=snapshot)

    assert report.cost.requests == len(world.hub.requests) > 0
    assert report.diff is not None
    assert not report.diff.differs


def test_a_diff_across_commits_asks_for_what_changed_only(world: World) -> None:
    """Two listings, one history, and the headers of the weights that loaders read before and read now."""
    diff = embaudit.diff_snapshots(f"{REPO}@{world.old}", REPO)

    paths = [request.path for request in world.hub.requests if request.origin == "hub"]
    told = {path.removeprefix(f"/{REPO}/resolve/").partition("/")[2] for path in paths if "/resolve/" in path}
    assert told == {"model.safetensors", "pytorch_model.bin"}
    assert len([path for path in paths if "/resolve/" not in path]) == 3
    assert [each.title for each in diff.commits] == ["a card", "add safetensors", "a better card"]
    assert [each.path for each in diff.added] == ["README.md", "model.safetensors"]


def test_a_history_that_was_rewritten_is_told(world: World) -> None:
    """After a squash the hub does not know the cached commit; nothing says that the repository is another."""
    cached = world.cached()
    world.repository.rewrite()

    report = embaudit.audit(cached, against=REPO)

    assert severities(report, "EMB024", "EMB025", "EMB028") == [("EMB025", Severity.ERROR)]
    assert "not known to the hub" in message(report, "EMB025")


def test_a_name_that_was_taken_over_is_told(world: World) -> None:
    """A repository that was made after the download, under the name of a deleted one, is another one."""
    cached = world.cached()
    os.utime(cached, (LONG_AGO, LONG_AGO))
    before = embaudit.open_snapshot(REPO)
    world.hub.delete(REPO)
    world.hub.create(REPO).commit({"config.json": b"{}"})

    for against in (cached, before):
        report = embaudit.audit(REPO, against=against)

        assert severities(report, "EMB024", "EMB025") == [("EMB024", Severity.ERROR)]


def test_what_is_withdrawn_while_it_is_audited_gives_no_report(world: World) -> None:
    """A repository that is gone by the time its files are read is an error, not a fault of its files."""
    listed = embaudit.open_snapshot(REPO)
    world.hub.delete(REPO)

    with pytest.raises(embaudit.RefusedError, match="config"):
        embaudit.audit(listed, loaders=["transformers"])


def test_a_renamed_repository_is_told_and_compared_with_what_is_cached_under_its_old_name(
    world: World,
) -> None:
    """The old name leads to the new one: that is told, and the history is the same."""
    cached = world.cached()
    world.hub.rename(REPO, "other/name")

    report = embaudit.audit(cached, against="other/name")
    by_old_name = embaudit.audit(REPO, against=cached)

    assert severities(by_old_name, "EMB023", "EMB024") == [("EMB023", Severity.WARNING)]
    assert by_old_name.diff is not None
    assert len(by_old_name.diff.commits) == 3
    assert severities(report, "EMB023", "EMB024", "EMB025") == []


def test_what_the_hub_says_beside_the_files_is_told(world: World) -> None:
    """Gates, scanners that object, and scans that are not finished, each by its rule."""
    world.repository.gated = "manual"
    world.repository.scans_done = False
    world.repository.flag("pytorch_model.bin", "unsafe")

    with world.hub.in_process(token=world.hub.token(REPO)):
        report = embaudit.audit(REPO)

    assert severities(report, "EMB020", "EMB021", "EMB022") == [
        ("EMB022", Severity.ERROR),
        ("EMB020", Severity.INFO),
        ("EMB022", Severity.INFO),
    ]


def test_an_object_that_was_never_uploaded_is_told_once(world: World) -> None:
    """A listed weight file without a content is EMB027, and not one that is malformed as well."""
    lost = embaudit.open_snapshot(REPO).files["model.safetensors"].sha256
    world.hub.lose(str(lost), status=404)

    report = embaudit.audit(REPO)

    assert severities(report, "EMB027", "EMB140", "EMB141") == [("EMB027", Severity.ERROR)]


def test_a_closed_repository_is_told_once(world: World) -> None:
    """Files that the hub refuses are one finding, not one for each."""
    world.repository.disabled = True

    report = embaudit.audit(REPO)

    assert severities(report, "EMB006", "EMB021", "EMB140") == [("EMB021", Severity.ERROR)]
