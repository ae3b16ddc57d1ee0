"""The repositories upstream, each opened once, and what asking for them cost.

Knows that a hub which answers nobody need not be asked for every model anew.
"""

from embaudit.errors import EmbauditError, SourceError, UnavailableError
from embaudit.model.files import Snapshot
from embaudit.model.limits import Limits
from embaudit.model.record import Cost
from embaudit.sources import Meter, metered, open_snapshot

MOST_UNANSWERED = 3
"""Repositories in a row that the hub gives no answer for before it is asked for no more. Each takes all the
patience that one request is worth, so that a cache of a hundred models would wait for an hour."""


class Upstreams:
    """The hub, asked for one repository after the other.

    Args:
        limits: Resource limits, of each repository.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._opened: dict[tuple[str, str], Snapshot | EmbauditError] = {}
        self._meters: dict[int, Meter] = {}
        self._unanswered = 0

    def tip(self, repo_id: str, branch: str) -> Snapshot:
        """A repository at the end of a branch, asked for once however often it is wanted.

        Raises:
            TargetError: If there is no such repository or branch, or if it may not be had.
            SourceError: If the hub does not answer soundly.
            LimitError: If a limit is exceeded.
        """
        known = self._opened.get((repo_id, branch))
        if known is None:
            known = self._opened[repo_id, branch] = self._asked(repo_id, branch)
        if isinstance(known, EmbauditError):
            raise known
        return known

    def before(self, upstream: Snapshot, commit: str) -> Snapshot:
        """Another commit of a repository that was opened; what both list with one digest is read once.

        Raises:
            TargetError: If the hub does not have it (any more).
            SourceError: If the hub does not answer soundly.
            LimitError: If a limit is exceeded.
        """
        named = upstream.hub.repo_id if upstream.hub is not None else upstream.repo_id
        return self._open(named or "", commit, beside=upstream)

    def cost(self, seconds: float) -> Cost:
        """What was asked of the repositories that could be opened."""
        meters = self._meters.values()
        return Cost(
            requests=sum(meter.requests for meter in meters),
            bytes_read=sum(meter.bytes_read for meter in meters),
            seconds=seconds,
        )

    def _asked(self, repo_id: str, branch: str) -> Snapshot | EmbauditError:
        if self._unanswered >= MOST_UNANSWERED:
            return SourceError(f"not asked: the hub gave no answer for {MOST_UNANSWERED} models before it")
        try:
            opened = self._open(repo_id, branch)
        except UnavailableError as error:
            self._unanswered += 1
            return error
        except EmbauditError as error:
            self._unanswered = 0
            return error
        self._unanswered = 0
        return opened

    def _open(self, repo_id: str, revision: str, *, beside: Snapshot | None = None) -> Snapshot:
        opened = open_snapshot(repo_id, revision=revision, limits=self._limits, beside=beside)
        snapshot, meter = metered(opened)
        self._meters[id(meter)] = meter
        return snapshot
