"""How the commits of two snapshots lie to one another, asked of whichever source knows its history.

Knows whom to ask and in which order. What an unknown commit proves depends on who does not know it, and is
for the rules to say.
"""

from collections.abc import Iterator

import attrs

from embaudit.errors import EmbauditError, UnknownCommitError
from embaudit.model.files import History, Lineage, Snapshot

_HUB = "hub"


@attrs.frozen(kw_only=True)
class Relation:
    """What histories tell of two snapshots.

    Attributes:
        lineage: How the two commits lie to one another; None if no history tells.
        unknown_commit: The commit of one snapshot that the history of the other does not know.
        notes: Histories that could not be asked, one sentence each.
    """

    lineage: Lineage | None = None
    unknown_commit: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_backwards(self) -> bool:
        """Whether the new commit is an ancestor of the old one."""
        return self.lineage is not None and not self.lineage.ahead and bool(self.lineage.behind)

    def turned(self) -> "Relation":
        """The same, with old for new and new for old."""
        if self.lineage is None:
            return self
        return attrs.evolve(self, lineage=Lineage(ahead=self.lineage.behind, behind=self.lineage.ahead))


def relate(old: Snapshot, new: Snapshot) -> Relation:
    """How the commits of two snapshots lie to one another.

    The history of the new one is asked first; the other one only if that one does not tell: a clone need not
    hold the newest commits of the hub, nor the hub those of a clone. Nothing is asked where a snapshot has
    no commit, or where the two are not of one repository.
    """
    if old.commit is None or new.commit is None or not of_one_repository(old, new):
        return Relation()
    if old.commit == new.commit:
        return Relation(lineage=Lineage())
    unknown: dict[str, str] = {}
    notes: list[str] = []
    for asked, history, stranger in _histories(old, new):
        try:
            return Relation(lineage=history.lineage(old.commit, new.commit))
        except UnknownCommitError as error:
            unknown.setdefault(asked.source, error.commit or stranger)
        except EmbauditError as error:
            notes.append(f"The commits between the two snapshots are not known: {error}")
    # That the hub does not know a commit says more than that a clone was not brought up to date.
    told = unknown.get(_HUB) or next(iter(unknown.values()), None)
    return Relation(unknown_commit=told, notes=tuple(notes))


def of_one_repository(old: Snapshot, new: Snapshot) -> bool:
    """Whether the two may be of one repository: the hub's keys decide, else the names that both have."""
    if old.hub is not None and new.hub is not None and old.hub.key and new.hub.key:
        return old.hub.key == new.hub.key
    return not old.names or not new.names or not old.names.isdisjoint(new.names)


def _histories(old: Snapshot, new: Snapshot) -> Iterator[tuple[Snapshot, History, str]]:
    """The snapshots that know a history, and the commit of the other one that it may not know."""
    for asked, other in ((new, old), (old, new)):
        if asked is old and old.source == new.source == _HUB:
            return  # The same hub gives the same answer.
        history: object = asked.reader
        if isinstance(history, History) and other.commit is not None:
            yield asked, history, other.commit
