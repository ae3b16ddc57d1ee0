"""The commits between two, and those that last changed a file: what was committed, or one clear error."""

from typing import Any

import pytest

from embaudit.errors import LimitError, SourceError, UnknownCommitError
from embaudit.model.files import Lineage
from embaudit.model.limits import Limits
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.history import TITLE_CHARACTERS
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


@pytest.fixture
def commits(repository: Repository) -> list[str]:
    """Five commits, oldest first, each with a title of its own."""
    return [repository.commit({"config.json": b"%d" % i}, title=f"Title {i}") for i in range(5)]


def titles(lineage: Lineage) -> tuple[list[str], list[str]]:
    """The titles of the commits, ahead and behind."""
    return [info.title for info in lineage.ahead], [info.title for info in lineage.behind]


def test_a_commit_before_another(hub: LoopbackHub, commits: list[str]) -> None:
    """What came after the old commit is ahead, oldest first, with titles and dates, for one request."""
    reader = open_hub("org/name").reader
    hub.forget()

    lineage = reader.lineage(commits[1], commits[4])

    assert titles(lineage) == (["Title 2", "Title 3", "Title 4"], [])
    assert [info.commit for info in lineage.ahead] == commits[2:]
    assert [info.date for info in lineage.ahead] == [f"2024-01-0{i}T00:00:00+00:00" for i in (3, 4, 5)]
    assert len(hub.requests) == 1
    assert reader.lineage(commits[4], commits[1]) == Lineage(behind=lineage.ahead)
    assert reader.lineage(commits[1], commits[1]) == Lineage()


def test_two_branches(repository: Repository, commits: list[str]) -> None:
    """Where neither comes before the other, each has commits that the other has not."""
    side = repository.commit({"a": b""}, title="Side 1", parent=commits[1], branch="side")
    side = repository.commit({"b": b""}, title="Side 2", parent=side, branch="side")

    lineage = open_hub("org/name").reader.lineage(commits[3], side)

    assert titles(lineage) == (["Side 1", "Side 2"], ["Title 2", "Title 3"])


def test_histories_without_a_common_commit(repository: Repository, commits: list[str]) -> None:
    """Every commit of each is one that the other has not."""
    other = repository.commit({"a": b""}, title="Alone", parent=(), branch="other")

    assert titles(open_hub("org/name").reader.lineage(commits[1], other)) == (
        ["Alone"],
        ["Title 0", "Title 1"],
    )


def test_a_history_of_many_pages() -> None:
    """Pages are followed until the old commit comes, and no further."""
    with LoopbackHub(commits_page=10) as hub, hub.in_process():
        repository = hub.create("org/name")
        commits = [repository.commit({"a": b"%d" % i}) for i in range(35)]
        reader = open_hub("org/name").reader
        hub.forget()

        lineage = reader.lineage(commits[20], commits[34])

        assert [info.commit for info in lineage.ahead] == commits[21:]
        assert len(hub.requests) == 2
        for too_few in (12, 34):
            with pytest.raises(LimitError) as caught:
                open_hub("org/name", limits=Limits(commits=too_few)).reader.lineage(commits[0], commits[34])
            assert caught.value.limit == "commits"
        enough = open_hub("org/name", limits=Limits(commits=35)).reader
        assert len(enough.lineage(commits[0], commits[34]).ahead) == 34


@pytest.mark.parametrize("known", ["old", "new"])
def test_a_commit_that_vanished(repository: Repository, commits: list[str], known: str) -> None:
    """A commit that the hub does not have (any more) is an error of its own."""
    reader = open_hub("org/name").reader
    now = repository.rewrite()
    pair = (now, commits[4]) if known == "old" else (commits[4], now)

    with pytest.raises(UnknownCommitError, match=f"org/name has no commit {commits[4]}"):
        reader.lineage(*pair)


@pytest.mark.parametrize("commit", ["main", "a" * 39, "A" * 40, "../" + "a" * 37, ""])
def test_only_full_hashes_are_asked_for(hub: LoopbackHub, commits: list[str], commit: str) -> None:
    """What is no full hash never becomes an address."""
    reader = open_hub("org/name").reader
    hub.forget()

    with pytest.raises(SourceError, match="is not a full commit hash"):
        reader.lineage(commits[0], commit)

    assert not hub.requests


def edited(key: str, value: Any) -> Fault:
    """The history with another value in its second commit."""

    def edit(page: Any) -> Any:
        return [page[0], {**page[1], key: value}, *page[2:]]

    return JsonEdited(where="/commits/", edit=edit)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(edited("id", "x"), r"\[1\].id should be 40", id="id"),
        pytest.param(edited("title", 7), r"\[1\].title should be a text", id="title"),
        pytest.param(edited("date", "today"), r"\[1\].date should be a date", id="date"),
        pytest.param(JsonCut(where="/commits/"), "cut short", id="cut"),
        pytest.param(BodyReplaced(where="/commits/", body=b"{}"), "should be an array", id="object"),
        pytest.param(
            JsonEdited(where="/commits/", edit=lambda page: page[1:]),
            "the next commit",
            id="begins-elsewhere",
        ),
        pytest.param(
            JsonEdited(where="/commits/", edit=lambda page: [*page[:2], page[1]]),
            "the next commit",
            id="twice",
        ),
        pytest.param(Status(where="/commits/", status=401, code="GatedRepo"), "gated", id="gated"),
    ],
)
def test_an_unsound_history_is_an_error(
    hub: LoopbackHub, commits: list[str], fault: Fault, message: str
) -> None:
    """What is not a list of commits with ids, titles and dates is a `SourceError` that names the field."""
    hub.inject(fault)

    with pytest.raises(SourceError, match=message):
        open_hub("org/name").reader.lineage(commits[0], commits[4])


@pytest.mark.parametrize("location", ["", "http://elsewhere.invalid/api", "http://user:pw@{hub}{path}"])
def test_a_next_page_elsewhere_is_not_followed(hub: LoopbackHub, commits: list[str], location: str) -> None:
    """`Link` is followed on the hub's own origin and path, and never back to a page."""
    path = f"/api/models/org/name/commits/{commits[2]}?p=1"
    target = location.format(hub=hub.endpoint.removeprefix("http://"), path=path)
    hub.inject(LinkElsewhere(where="/commits/", location=target))
    reader = open_hub("org/name").reader
    hub.forget()

    with pytest.raises(SourceError, match=r"at another place|leads back"):
        reader.lineage(commits[4], commits[2])

    assert len(hub.requests) == 1


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("x" * 1000, "x" * TITLE_CHARACTERS),
        ("first\nsecond", "first"),
        ("\n first ", "first"),
        ("cut \ud83d", "cut ?"),
        (None, ""),
    ],
)
def test_titles_are_cut(hub: LoopbackHub, commits: list[str], title: str | None, kept: str) -> None:
    """A title is one line of bounded length that can be written anywhere."""
    hub.inject(edited("title", title))

    lineage = open_hub("org/name").reader.lineage(commits[2], commits[4])

    assert lineage.ahead[0].title == kept


def test_the_last_commit_of_each_file(hub: LoopbackHub, repository: Repository) -> None:
    """One request tells which commit last changed each file, as of the snapshot."""
    first = repository.commit(
        {"model.safetensors": b"1", "model.onnx": b"1", "a b&c=d.txt": b""}, title="One"
    )
    second = repository.commit({"model.safetensors": b"2"}, title="Two")
    reader = open_hub("org/name").reader
    repository.commit({"model.onnx": b"3"}, title="Three")
    hub.forget()

    found = reader.last_commits(["model.safetensors", "model.onnx", "a b&c=d.txt", "none", "model.onnx"])

    assert {path: (info.commit, info.title) for path, info in found.items()} == {
        "model.safetensors": (second, "Two"),
        "model.onnx": (first, "One"),
        "a b&c=d.txt": (first, "One"),
    }
    assert [request.method for request in hub.requests] == ["POST"]
    assert reader.last_commits(["none"]) == {}
    assert len(hub.requests) == 1


def test_what_the_hub_does_not_tell_is_left_out(hub: LoopbackHub, commits: list[str]) -> None:
    """A file without a last commit, or one that nobody asked for, is not in the answer."""
    reader = open_hub("org/name").reader
    hub.inject(
        JsonEdited(where="/paths-info/", edit=lambda _: [{"path": "config.json"}, {"path": "x"}]),
        JsonEdited(where="/paths-info/", edit=lambda _: [{"path": "config.json", "lastCommit": []}]),
        Status(where="/paths-info/", status=400),
    )

    assert reader.last_commits(["config.json"]) == {}
    for message in ("should be an object", "400"):
        with pytest.raises(SourceError, match=message):
            reader.last_commits(["config.json"])
    assert reader.last_commits(["config.json"])["config.json"].commit == commits[4]
