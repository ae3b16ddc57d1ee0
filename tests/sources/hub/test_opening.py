"""A repository on the hub becomes a snapshot, or one clear error that says what would work."""

from collections.abc import Callable
from typing import Any

import pytest
from huggingface_hub import constants

from embaudit.errors import LimitError, SourceError, TargetError, UnavailableError
from embaudit.model.files import FarReader, FileState, History
from embaudit.model.limits import Limits
from embaudit.sources import MemorySource, open_snapshot
from embaudit.sources.hub import listing as listing_module
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.patience import Patience
from embaudit.sources.metered import Metered, metered
from embaudit.testing.loopback_hub import (
    BodyReplaced,
    Fault,
    JsonCut,
    JsonEdited,
    LinkElsewhere,
    LoopbackHub,
    Repository,
    Status,
)

FILES = {
    "config.json": b'{"hidden_size": 32}',
    "model.safetensors": b"weights",
    "onnx/model.onnx": b"\x08\x07",
    "empty.txt": b"",
}


@pytest.fixture
def commit(repository: Repository) -> str:
    """A commit with a few files on `main`."""
    return repository.commit(FILES)


def test_one_request_gives_commit_and_listing(hub: LoopbackHub, commit: str) -> None:
    """A repository is opened with one request, and lists what the same files in memory list."""
    snapshot = open_snapshot("org/name")

    assert (snapshot.source, snapshot.repo_id, snapshot.revision) == ("hub", "org/name", None)
    assert snapshot.commit == commit
    assert snapshot.files == MemorySource(FILES).snapshot().files
    assert len(hub.requests) == 1
    assert metered(snapshot)[1].requests == 1
    assert all(isinstance(snapshot.reader, what) for what in (FarReader, History, Metered))


@pytest.mark.parametrize("revision", ["main", "v1.0", "refs/pr/1", "feature/x y", "{commit}"])
def test_every_name_of_a_commit_is_resolved(repository: Repository, commit: str, revision: str) -> None:
    """A branch, a tag, a pull request and a hash lead to the commit, whatever is committed later."""
    repository.branch("refs/pr/1", commit)
    repository.branch("feature/x y", commit)
    repository.tag("v1.0", commit)
    asked = revision.format(commit=commit)

    snapshot = open_snapshot("org/name", revision=asked)
    repository.commit({"config.json": b"later"})

    assert (snapshot.revision, snapshot.commit) == (asked, commit)
    assert snapshot.reader.read("config.json", 0, 19) == FILES["config.json"]


@pytest.mark.usefixtures("commit")
def test_an_unknown_revision_names_those_that_are_near(hub: LoopbackHub, repository: Repository) -> None:
    """The error lists branches and tags that look alike; without them it still says what is wrong."""
    repository.tag("release-1", repository.refs["refs/heads/main"])

    with pytest.raises(TargetError, match=r"no revision 'relaese-1' on the hub.*include release-1"):
        open_snapshot("org/name@relaese-1")
    hub.inject(Status(status=400, where="/refs"))
    with pytest.raises(TargetError, match=r"no revision 'relaese-1' on the hub$"):
        open_snapshot("org/name@relaese-1")


@pytest.mark.usefixtures("commit")
def test_another_commit_than_the_one_asked_for_is_an_error(hub: LoopbackHub, commit: str) -> None:
    """A hash leads to that very commit, or to an error."""
    hub.inject(JsonEdited(edit=lambda document: {**document, "sha": "d" * 40}))

    with pytest.raises(SourceError, match=f"sha should be the commit asked for, {commit}"):
        open_hub("org/name", commit)


@pytest.mark.parametrize("may", [True, False])
def test_a_gated_repository(hub: LoopbackHub, may: bool) -> None:
    """Access is checked once: granted, the repository opens; refused, the error says what to do."""
    hub.create("org/gated", gated="manual").commit(FILES)
    token = hub.token(*(["org/gated"] if may else []))

    if may:
        snapshot = open_hub("org/gated", token=token)
        assert snapshot.hub.gated == "manual"
        assert len(hub.requests) == 2
        assert snapshot.reader.read("model.safetensors", 0, 7) == b"weights"
    else:
        for credentials in (token, None):
            with pytest.raises(TargetError, match=f"gated.*access.*{hub.endpoint}/org/gated"):
                open_hub("org/gated", token=credentials)


def test_a_disabled_repository(hub: LoopbackHub, repository: Repository, commit: str) -> None:
    """Its files are listed and refused; one request says so. Refused altogether, it is a `TargetError`."""
    repository.disabled = True
    repository.gated = "auto"

    snapshot = open_snapshot("org/name")

    assert snapshot.commit == commit
    assert snapshot.hub.disabled
    assert {entry.state for entry in snapshot.files.values()} == {FileState.REFUSED}
    assert len(hub.requests) == 1
    with pytest.raises(SourceError, match="cannot be read: refused"):
        snapshot.reader.read("config.json", 0, 1)
    snapshot.reader.fetch([])
    hub.inject(Status(status=403, message="Access to this resource is disabled."))
    with pytest.raises(TargetError, match="disabled"):
        open_snapshot("org/name")


def test_a_renamed_repository(hub: LoopbackHub, commit: str) -> None:
    """The old name leads to the new one; both are told, and only the first request is redirected."""
    hub.rename("org/name", "other/new")

    snapshot = open_snapshot("org/name")
    snapshot.reader.read("model.safetensors", 0, 7)

    assert snapshot.commit == commit
    assert snapshot.repo_id == "org/name"
    assert (snapshot.hub.asked_id, snapshot.hub.repo_id) == ("org/name", "other/new")
    assert snapshot.hub.redirected
    assert len(hub.requests) == 4


@pytest.mark.usefixtures("commit")
@pytest.mark.parametrize("cause", ["many", "no-sizes", "no-list"])
def test_a_list_that_is_not_relied_on_is_asked_for_as_a_tree(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    """Where the first answer's list is long or lacks something, the tree of the commit gives the same."""
    without: dict[str, Callable[[Any], Any]] = {
        "many": lambda document: document,
        "no-sizes": lambda document: {**document, "siblings": [{"rfilename": path} for path in FILES]},
        "no-list": lambda document: {**document, "siblings": None},
    }
    if cause == "many":
        monkeypatch.setattr(listing_module, "MOST_SIBLINGS", len(FILES))
    hub.inject(JsonEdited(where="/revision/", edit=without[cause]))

    snapshot = open_snapshot("org/name")

    assert snapshot.files == MemorySource(FILES).snapshot().files
    assert [request.path.split("/")[5] for request in hub.requests] == ["revision", "tree"]


def test_a_tree_of_many_pages(hub: LoopbackHub, repository: Repository) -> None:
    """Pages are followed to the last one, each asked for once."""
    files = {f"{i // 100}/{i}.txt": b"%d" % i for i in range(1500)}
    repository.commit(files)
    hub.inject(JsonEdited(where="/revision/", edit=lambda document: {**document, "siblings": None}))

    snapshot = open_snapshot("org/name")

    assert snapshot.files == MemorySource(files).snapshot().files
    asked = [request.path + request.query for request in hub.requests]
    assert len(asked) == len(set(asked)) > 2


@pytest.mark.usefixtures("commit")
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(LinkElsewhere(where="/tree/"), "at another place", id="off-origin"),
        pytest.param(LinkElsewhere(where="/tree/", location=""), "leads back", id="itself"),
        pytest.param(
            LinkElsewhere(where="/tree/", location="/api/models/org/other/tree/x"),
            "at another place",
            id="another-path",
        ),
        pytest.param(JsonCut(where="/tree/"), "not JSON, or was cut short", id="cut"),
        pytest.param(BodyReplaced(where="/tree/", body=b"{}"), "should be an array", id="no-list"),
        pytest.param(Status(where="/tree/", status=404), "does not have it", id="missing"),
    ],
)
def test_a_tree_that_leads_astray(hub: LoopbackHub, fault: Fault, message: str) -> None:
    """A page that leads elsewhere, back, or nowhere is one error, after the requests that it took."""
    hub.inject(JsonEdited(where="/revision/", edit=lambda document: {**document, "siblings": None}), fault)

    with pytest.raises(SourceError, match=message):
        open_snapshot("org/name")

    assert len(hub.requests) <= 3


@pytest.mark.usefixtures("commit")
def test_empty_pages_without_end_are_an_error(hub: LoopbackHub, commit: str) -> None:
    """Pages that hold nothing and lead to other ones are not followed for ever."""
    page = f"/api/models/org/name/tree/{commit}?recursive=true&expand=false&cursor=2"
    hub.inject(
        JsonEdited(where="/revision/", edit=lambda document: {**document, "siblings": None}),
        _EmptyPage(where="/tree/", location=page, times=None),
    )

    with pytest.raises(SourceError, match="empty and leads to another one"):
        open_snapshot("org/name")


class _EmptyPage(LinkElsewhere):
    """A page without entries that leads to another one."""

    def answered(self, response: Any) -> Any:
        return BodyReplaced(body=b"[]").answered(super().answered(response))


@pytest.mark.usefixtures("commit")
@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        pytest.param(JsonCut(), SourceError, "cut short", id="cut"),
        pytest.param(BodyReplaced(body=b"<html>"), SourceError, "not JSON", id="html"),
        pytest.param(BodyReplaced(body=b"[]"), SourceError, "should be an object", id="a-list"),
        pytest.param(Status(status=401), TargetError, "missing, private or gated", id="anonymous-401"),
        pytest.param(Status(status=404, code="RepoNotFound"), TargetError, "no such repository", id="404"),
        pytest.param(Status(status=401, code="GatedRepo"), TargetError, "gated", id="gated-401"),
        pytest.param(Status(status=403, code="GatedRepo"), TargetError, "gated", id="gated-403"),
        pytest.param(Status(status=503, times=None), SourceError, "503", id="down"),
        pytest.param(Status(status=503, times=2), None, "", id="down-for-a-moment"),
    ],
)
def test_an_answer_that_is_none(
    hub: LoopbackHub, hasty: Patience, fault: Fault, error: type[Exception] | None, message: str
) -> None:
    """What is refused is a `TargetError`, what is broken a `SourceError`, what passes is waited for."""
    hub.inject(fault)

    if error is None:
        assert open_hub("org/name", patience=hasty).files
    else:
        with pytest.raises(error, match=message):
            open_hub("org/name", patience=hasty)


@pytest.mark.usefixtures("commit")
def test_limits_hold_while_opening() -> None:
    """An answer that is too long is not read; too many files are not listed."""
    with pytest.raises(LimitError) as caught:
        open_snapshot("org/name", limits=Limits(files=3))
    assert caught.value.limit == "files"
    with pytest.raises(LimitError, match="more than 100 bytes") as caught:
        open_snapshot("org/name", limits=Limits(json_bytes=100))
    assert caught.value.limit == "json_bytes"


@pytest.mark.parametrize("repo_id", ["", "a/b/c", "../x", "org/name?x", "-", "org/na me", "a" * 97])
def test_what_is_no_id_is_not_asked_for(hub: LoopbackHub, repo_id: str) -> None:
    """An id that is none never becomes an address."""
    with pytest.raises(TargetError, match="is not the id of a repository"):
        open_hub(repo_id)

    assert not hub.requests


def test_offline_without_a_cache(hub: LoopbackHub, hub_cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline nothing is asked for, and the error says that the cache holds nothing."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(TargetError, match=r"offline \(HF_HUB_OFFLINE=1\); the cache holds nothing of it"):
        open_snapshot("org/name", cache_dir=hub_cache.folder)

    assert not hub.requests


def test_offline_with_a_cache(hub_cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline the error says what the cache holds, and names a target that then opens."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub_cache.add("a" * 40, "config.json", b"{}")
    hub_cache.add_ref("main", "a" * 40)

    with pytest.raises(TargetError) as caught:
        open_snapshot("org/name@dev", cache_dir=hub_cache.folder)

    assert f"the cache holds commits {'a' * 40} of it (refs: main)" in str(caught.value)
    target = str(caught.value).partition("write ")[2].split()[0]
    assert open_snapshot(target, cache_dir=hub_cache.folder).commit == "a" * 40


def test_a_network_that_fails_points_to_the_cache(hub: LoopbackHub, hub_cache: Any) -> None:
    """When the hub cannot be reached, what the cache holds is named; where it holds nothing, nothing is."""
    hub.inject(Status(status=400, times=None))

    with pytest.raises(SourceError) as caught:
        open_snapshot("org/name", cache_dir=hub_cache.folder)
    assert "cache" not in str(caught.value)
    hub_cache.add("a" * 40, "config.json", b"{}")
    with pytest.raises(UnavailableError, match=f"write cache:org/name@{'a' * 40}"):
        open_snapshot("org/name", cache_dir=hub_cache.folder)


@pytest.mark.usefixtures("hub")
def test_a_folder_of_that_name_is_pointed_to(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is never silently a folder: what the hub does not have is not looked for on the disk."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "none").mkdir(parents=True)

    with pytest.raises(TargetError, match=r"for the folder of that name write \./org/none"):
        open_snapshot("org/none")
    with pytest.raises(TargetError) as caught:
        open_snapshot("org/other")
    assert "folder" not in str(caught.value)
