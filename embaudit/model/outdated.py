"""Which models that somebody locked or downloaded have moved on since, and whether that matters to anybody.

Knows the answers; refuses to know how they are found, and how they are shown.
"""

import enum
from collections.abc import Mapping

import attrs

from embaudit.model.files import CommitInfo
from embaudit.model.frozen import FrozenMapping, frozen_mapping
from embaudit.model.prediction import Outcome
from embaudit.model.record import Cost

OUTDATED_SCHEMA_VERSION = "1.0"
"""Version of the JSON form. The first number changes when a reader of the older form would be misled."""


class Movement(str, enum.Enum):
    """Whether what is upstream is still what somebody has, the worst first."""

    MATTERS = "moved-matters"
    """It moved, and what changed can change a vector, or what somebody has cannot be had there any more."""
    UNKNOWN = "unknown"
    """It could not be looked up, or what changed could not be read; the reasons say why."""
    HARMLESS = "moved-harmless"
    """It moved, and nothing of what changed matters to the loaders."""
    CURRENT = "current"
    """It is the same commit."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class LoaderMove:
    """What a move upstream means to one loader.

    Attributes:
        loader: As asked about: `tei==1.5.0`.
        before: What it makes of the commit that somebody has; None where nothing changed that it could read.
        after: What it makes of the commit upstream; None likewise.
        why: How the change matters to it, one clause each; empty if it does not.
    """

    loader: str
    before: Outcome | None = None
    after: Outcome | None = None
    why: tuple[str, ...] = ()

    @property
    def matters(self) -> bool:
        """Whether the change can change what the loader gives."""
        return bool(self.why)


@attrs.frozen(kw_only=True)
class ModelState:
    """One repository that somebody locked or downloaded, held against what is upstream now.

    Attributes:
        origin: The lock file that names it, or `cache`.
        repo_id: `org/name`; None if nothing says which repository it is.
        needed_by: For a repository whose code another one runs, the file and field that ask for it; else
            empty.
        branch: The branch, tag or `refs/pr/1` that was asked upstream.
        commit: The commit that somebody has: 40 hex digits, or None if nothing says which it is.
        upstream: The commit of the branch now; None if it could not be looked up.
        n_commits: Commits that upstream has and somebody has not; None if that is not known.
        n_lost: Commits that somebody has and upstream has not (any more): a history that was rewritten, or a
            branch that was set back.
        no_count: Why the number of commits is not known; empty if it is.
        commits: The newest of these commits, oldest first.
        changed: Kind of file to the paths that were added, removed, changed or moved; of many the first.
        n_changed: Paths that were added, removed, changed or moved; a file that moved has two.
        loaders: What that means to each loader that was asked about.
        movement: The verdict.
        reasons: Why, one clause each, the weightiest first.
    """

    origin: str
    repo_id: str | None
    needed_by: str = ""
    branch: str
    commit: str | None
    upstream: str | None = None
    n_commits: int | None = None
    n_lost: int | None = None
    no_count: str = ""
    commits: tuple[CommitInfo, ...] = ()
    changed: Mapping[str, tuple[str, ...]] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    n_changed: int = 0
    loaders: tuple[LoaderMove, ...] = ()
    movement: Movement
    reasons: tuple[str, ...] = ()


def _worst_first(models: tuple[ModelState, ...]) -> tuple[ModelState, ...]:
    """Models by verdict; of one verdict in the order in which they came."""
    ranks = list(Movement)
    return tuple(sorted(models, key=lambda each: ranks.index(each.movement)))


@attrs.frozen(kw_only=True)
class Outdated:
    """Every locked or cached model that was asked about.

    Attributes:
        schema_version: Version of the JSON form.
        tool_version: The embaudit that asked.
        created: When, ISO 8601 in UTC.
        models: The worst first.
        cost: What the repositories that could be opened took.
    """

    schema_version: str = OUTDATED_SCHEMA_VERSION
    tool_version: str
    created: str
    models: tuple[ModelState, ...] = attrs.field(converter=_worst_first)
    cost: Cost

    @property
    def matters(self) -> bool:
        """Whether any model moved in a way that matters."""
        return bool(self.of(Movement.MATTERS))

    @property
    def is_complete(self) -> bool:
        """Whether of every model it is known."""
        return not self.of(Movement.UNKNOWN)

    def of(self, movement: Movement) -> tuple[ModelState, ...]:
        """The models of one verdict."""
        return tuple(each for each in self.models if each.movement is movement)
