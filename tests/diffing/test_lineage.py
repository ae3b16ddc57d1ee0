"""Lineage: how the commits of two snapshots lie to one another, and whom that is asked of."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
import pytest

from embaudit.diffing.lineage import Relation, relate
from embaudit.errors import LimitError, SourceError, UnknownCommitError
from embaudit.model.files import CommitInfo, HubState, Lineage, Snapshot
from embaudit.testing.facts import COMMIT_A, COMMIT_B, make_snapshot

C = CommitInfo(commit="c" * 40)
AHEAD = Lineage(ahead=(CommitInfo(commit=COMMIT_B),))
BEHIND = Lineage(behind=(CommitInfo(commit=COMMIT_A),))
UNKNOWN = UnknownCommitError("not here")
BROKEN = SourceError("the hub is down")


@attrs.define
class Told:
    """A history that gives one answer, or fails, and remembers how often it was asked."""

    answer: Lineage | Exception
    asked: list[tuple[str, str]] = attrs.field(factory=list)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """There are no files."""
        raise SourceError(f"{path}: {start} to {stop}")

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """There are no files."""
        raise SourceError(f"{path}: {start}, {len(buffer)}")

    def at(self, commit: str) -> Snapshot:
        """No other commit can be opened."""
        raise SourceError(f"no commit {commit}")

    def lineage(self, old: str, new: str) -> Lineage:
        """The answer."""
        self.asked.append((old, new))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def last_commits(self, paths: Iterable[str]) -> Mapping[str, CommitInfo]:
        """Nothing is known."""
        return {path: C for path in paths if not path}


def at(commit: str | None, source: str = "cache", answer: Any = None, **fields: Any) -> Snapshot:
    """A snapshot of `org/name` from a source, with a history if there is an answer."""
    reader = None if answer is None else Told(answer)
    return make_snapshot(
        **{"source": source, "repo_id": "org/name", "commit": commit, "reader": reader, **fields}
    )


def hub_state(**fields: Any) -> HubState:
    """What the hub says of `org/name`."""
    return HubState(**{"repo_id": "org/name", "asked_id": "org/name", "key": "1", **fields})


OTHER_KEY = at(COMMIT_A, "hub", AHEAD, hub=hub_state(key="2"))

# the old snapshot, the new one, and what is told of them
PAIRS: dict[str, tuple[Snapshot, Snapshot, Relation]] = {
    "cache and hub": (at(COMMIT_A), at(COMMIT_B, "hub", AHEAD), Relation(lineage=AHEAD)),
    "hub and cache": (at(COMMIT_A, "hub", AHEAD), at(COMMIT_B), Relation(lineage=AHEAD)),
    "folder out of a cache and clone": (
        at(COMMIT_A, "folder"),
        at(COMMIT_B, "git", AHEAD, repo_id=None),
        Relation(lineage=AHEAD),
    ),
    "two caches": (at(COMMIT_A), at(COMMIT_B), Relation()),
    "the same commit, so that nobody is asked": (
        at(COMMIT_A),
        at(COMMIT_A, "hub", BROKEN),
        Relation(lineage=Lineage()),
    ),
    "a commit that is not known": (at(None, "folder"), at(COMMIT_B, "hub", BROKEN), Relation()),
    "two repositories": (at(COMMIT_A, repo_id="org/b"), at(COMMIT_B, "hub", BROKEN), Relation()),
    "the name before a rename": (
        at(COMMIT_A, repo_id="old/name"),
        at(COMMIT_B, "hub", AHEAD, repo_id="old/name", hub=hub_state(asked_id="old/name")),
        Relation(lineage=AHEAD),
    ),
    "the name after a rename": (
        at(COMMIT_A, repo_id="org/name"),
        at(COMMIT_B, "hub", AHEAD, repo_id="old/name", hub=hub_state(asked_id="old/name")),
        Relation(lineage=AHEAD),
    ),
    "two names with one key": (
        at(COMMIT_A, "hub", AHEAD, repo_id="a/b", hub=hub_state(repo_id="a/b", asked_id="a/b")),
        at(COMMIT_B, "hub", AHEAD, hub=hub_state()),
        Relation(lineage=AHEAD),
    ),
    "one name with two keys": (OTHER_KEY, at(COMMIT_B, "hub", BROKEN, hub=hub_state()), Relation()),
    "a hub that does not know a cached commit": (
        at(COMMIT_A),
        at(COMMIT_B, "hub", UNKNOWN),
        Relation(unknown_commit=COMMIT_A),
    ),
    "a hub that does not know a newer cached commit": (
        at(COMMIT_A, "hub", UNKNOWN),
        at(COMMIT_B),
        Relation(unknown_commit=COMMIT_B),
    ),
    "a clone that lacks the newest commits of the hub": (
        at(COMMIT_A, "hub", AHEAD),
        at(COMMIT_B, "git", UNKNOWN),
        Relation(lineage=AHEAD),
    ),
    "a clone with a commit that was never pushed": (
        at(COMMIT_A, "git", UNKNOWN),
        at(COMMIT_B, "hub", UNKNOWN),
        Relation(unknown_commit=COMMIT_A),
    ),
    "the same the other way round: what the hub lacks is told, not what the clone lacks": (
        at(COMMIT_A, "hub", UNKNOWN),
        at(COMMIT_B, "git", UNKNOWN),
        Relation(unknown_commit=COMMIT_B),
    ),
    "a hub that is down, and a clone that knows": (
        at(COMMIT_A, "git", AHEAD),
        at(COMMIT_B, "hub", BROKEN),
        Relation(lineage=AHEAD),
    ),
    "a hub that is down": (
        at(COMMIT_A),
        at(COMMIT_B, "hub", BROKEN),
        Relation(notes=("The commits between the two snapshots are not known: the hub is down",)),
    ),
    "a history that is too long": (
        at(COMMIT_A),
        at(COMMIT_B, "hub", LimitError("too many", limit="commits")),
        Relation(notes=("The commits between the two snapshots are not known: too many",)),
    ),
}


@pytest.mark.parametrize(("old", "new", "told"), PAIRS.values(), ids=PAIRS)
def test_the_histories_that_there_are_tell_how_two_commits_lie(
    old: Snapshot, new: Snapshot, told: Relation
) -> None:
    """Each pairing of sources gives the relation of its row, whichever of the two knows the history."""
    assert relate(old, new) == told


def test_one_hub_is_asked_once() -> None:
    """Two snapshots of one hub share its history: what the one does not know, the other does not either."""
    old, new = at(COMMIT_A, "hub", UNKNOWN), at(COMMIT_B, "hub", UNKNOWN)

    relate(old, new)

    assert isinstance(old.reader, Told)
    assert isinstance(new.reader, Told)
    assert (old.reader.asked, new.reader.asked) == ([], [(COMMIT_A, COMMIT_B)])


def test_a_relation_can_be_turned() -> None:
    """What was ahead is behind, twice turned is the same, and only an older new commit is backwards."""
    forwards, backwards = Relation(lineage=AHEAD), Relation(lineage=BEHIND)
    both = Relation(lineage=Lineage(ahead=AHEAD.ahead, behind=BEHIND.behind))

    assert [each.is_backwards for each in (forwards, backwards, both, Relation())] == [
        False,
        True,
        False,
        False,
    ]
    assert backwards.turned() == Relation(lineage=Lineage(ahead=BEHIND.behind))
    assert all(each.turned().turned() == each for each in (forwards, backwards, both, Relation()))
