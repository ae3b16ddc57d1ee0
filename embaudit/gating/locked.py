"""An audit and a verification of one snapshot, as one report."""

from collections.abc import Callable, Iterable

import attrs

from embaudit.locking import verify
from embaudit.model.files import Snapshot
from embaudit.model.limits import Limits
from embaudit.model.lock import Lock
from embaudit.model.policy import Policy
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth
from embaudit.pipeline import Target, audit, name_of
from embaudit.report import AuditReport
from embaudit.rules import worst_first
from embaudit.sources import metered, open_snapshot


def audit_with_lock(  # noqa: PLR0913 - what `audit` takes
    target: Target,
    locked: Lock | None,
    *,
    revision: str | None,
    against: Target | None,
    depth: Depth,
    policy: Policy,
    ignore: Iterable[str],
    limits: Limits,
    progress: Callable[[int], None] | None,
) -> AuditReport:
    """The audit of a target by a policy and, with a lock, what it drifted from that, by the same policy.

    Both are of one snapshot, so that a branch that moves between them does not matter.

    Raises:
        As `embaudit.audit` and `embaudit.verify`.
    """
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore)

    def audited(of: Target, named: str | None) -> AuditReport:
        return audit(
            of,
            revision=named,
            against=against,
            depth=depth,
            policy=policy,
            ignore=ignored,
            limits=limits,
            progress=progress,
        )

    if locked is None:
        return audited(target, revision)
    opened = (
        target if isinstance(target, Snapshot) else open_snapshot(target, revision=revision, limits=limits)
    )
    snapshot, meter = metered(opened)
    report = audited(snapshot, None)
    judged = attrs.evolve(locked, policy=attrs.evolve(policy, ignore=(*policy.ignore, *ignored)))
    drift = verify(
        judged,
        snapshot,
        depth=Depth.FULL if depth is Depth.FULL else Depth.HEADERS,
        limits=limits,
        progress=progress,
    )
    seconds = report.cost.seconds + drift.cost.seconds
    return attrs.evolve(
        _joined(report, drift),
        target=report.target if isinstance(target, Snapshot) else name_of(target, revision),
        revision=report.revision if revision is None else revision,
        cost=Cost(requests=meter.requests, bytes_read=meter.bytes_read, seconds=seconds),
    )


def _joined(report: AuditReport, drift: AuditReport) -> AuditReport:
    return attrs.evolve(
        report,
        findings=worst_first((*report.findings, *drift.findings)),
        waived=(*report.waived, *drift.waived),
        skipped=(*report.skipped, *drift.skipped),
        asked=tuple(sorted({*report.asked, *drift.asked})),
    )
