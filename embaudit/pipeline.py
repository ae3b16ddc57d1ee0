"""The conductor: the one module that knows the order of the stages."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import TypeVar

import attrs

from embaudit.collecting import Collector
from embaudit.loaders import parse_loader
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration
from embaudit.model.diff import SnapshotDiff
from embaudit.model.files import FarReader, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.policy import Policy
from embaudit.model.prediction import LoadPrediction
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth, TensorMap
from embaudit.policies import judge, read_policy
from embaudit.report import AuditReport
from embaudit.rules import Rule, without
from embaudit.sources import open_snapshot
from embaudit.sources.interrupts import interrupting_reads
from embaudit.sources.metered import Meter, metered
from embaudit.version import VERSION

Target = str | os.PathLike[str] | Snapshot


def audit(  # noqa: PLR0913 - the public contract names them
    target: Target,
    *,
    revision: str | None = None,
    against: Target | None = None,
    loaders: str | Iterable[str] | None = None,
    depth: Depth | str = Depth.HEADERS,
    policy: Policy | str | os.PathLike[str] | None = None,
    ignore: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Audit one snapshot of a model repository, alone or against another one.

    Args:
        target: What to audit: `org/name@revision` on the hub, `cache:org/name@revision`, a folder,
            `PATH@revision` of a clone, or a snapshot, which costs what this audit adds.
        revision: The revision, where the target does not name it.
        against: Another snapshot of the same model. What changed is told from the older to the newer one
            where the sources know the order, otherwise from `against` to the target; of equal contents only
            one is read.
        loaders: Loaders whose behaviour is predicted, each with its versions: `transformers`, `tei==1.5.0`,
            `sentence-transformers>=5`; `embaudit.predict_load` has the whole grammar. None asks about none.
        depth: `headers` reads no tensor data, `sampled` a few KiB of each tensor, `full` all of it.
        policy: What the snapshot has to comply with: a policy, or the path of a TOML file with one. Its
            loaders are asked about besides `loaders`, and what it ignores is ignored besides `ignore`.
        ignore: Codes of rules that are not asked, or the beginning of codes: `EMB101`, `EMB1`.
        limits: Resource limits.
        progress: Called with the number of bytes of tensor data that were just done with, from any thread.

    Returns:
        The report. Faults of the repository are findings in it.

    Raises:
        UsageError: An argument is none of the values allowed, or a policy is faulty.
        TargetError: A target is not understood or not found.
        SourceError: A target is there and cannot be listed.
        LimitError: A listing exceeds a limit.
    """
    began, now = time.perf_counter(), datetime.now(timezone.utc)
    policy = policy if policy is None or isinstance(policy, Policy) else read_policy(policy)
    depth, rules = Depth.parse(depth), _rules(policy, ignore)
    asked = (*_several(loaders), *(() if policy is None else policy.loaders))
    requests = tuple(parse_loader(loader) for loader in dict.fromkeys(asked))
    opened = _Opened.of(target, revision, limits)
    others = () if against is None else (_Opened.of(against, None, limits, beside=opened.snapshot),)
    snapshot = opened.snapshot
    collector = Collector(depth=depth, loaders=requests, policy=policy, limits=limits, progress=progress)
    with ExitStack() as reading:
        for each in (opened, *others):
            reading.enter_context(interrupting_reads(each.snapshot.reader))
        facts = collector.collect(snapshot, others[0].snapshot if others else None)
    judgement = judge(rules, facts, policy, now.date())
    return AuditReport(
        target=name_of(target, revision),
        source=snapshot.source,
        repo_id=snapshot.repo_id,
        revision=snapshot.revision,
        commit=snapshot.commit,
        against=None if against is None else name_of(against, None),
        depth=depth,
        created=now.isoformat(timespec="seconds"),
        tool_version=VERSION,
        files=snapshot.files,
        declaration=facts.one(Declaration) or Declaration(),
        checkpoints={each.name: _detached(each) for each in facts.every(Checkpoint)},
        mappings=facts.every(TensorMap),
        loads=facts.every(LoadPrediction),
        diff=_detached_diff(facts.one(SnapshotDiff)),
        policy=policy,
        findings=judgement.findings,
        waived=judgement.waived,
        skipped=judgement.skipped,
        asked=judgement.asked,
        cost=_cost((opened, *others), time.perf_counter() - began),
    )


def _rules(policy: Policy | None, ignore: Iterable[str]) -> tuple[Rule, ...]:
    """The rules to ask: those that neither the caller nor the policy leaves out."""
    return without((*_several(ignore), *(() if policy is None else policy.ignore)))


def _several(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


@attrs.frozen
class _Opened:
    """A snapshot, and its meter with what it had counted when this audit got it."""

    snapshot: Snapshot
    meter: Meter
    requests_before: int
    bytes_before: int

    @classmethod
    def of(
        cls, target: Target, revision: str | None, limits: Limits, beside: Snapshot | None = None
    ) -> "_Opened":
        """The snapshot of a target; what opening it costs counts, unless somebody else has opened it."""
        opened = open_snapshot(target, revision=revision, limits=limits, beside=beside)
        snapshot, meter = metered(opened)
        if isinstance(target, Snapshot):
            return cls(snapshot, meter, meter.requests, meter.bytes_read)
        return cls(snapshot, meter, 0, 0)


Read = TypeVar("Read", Checkpoint, Snapshot)


def _detached(value: Read) -> Read:
    """The same without its reader: a report is kept, sent to other processes, and holds nothing open."""
    return attrs.evolve(value, reader=None)


def _detached_diff(diff: SnapshotDiff | None) -> SnapshotDiff | None:
    return diff and attrs.evolve(diff, old=_detached(diff.old), new=_detached(diff.new))


def _cost(every: Sequence[_Opened], seconds: float) -> Cost:
    """What this audit added to the meters; two snapshots of one source may share one.

    Reads of a disk are not added to requests over a network.
    """
    far = [each for each in every if isinstance(each.snapshot.reader, FarReader)]
    meters = {id(each.meter): each for each in reversed(far or every)}.values()
    return Cost(
        requests=sum(each.meter.requests - each.requests_before for each in meters),
        bytes_read=sum(each.meter.bytes_read - each.bytes_before for each in meters),
        seconds=seconds,
    )


def name_of(target: Target, revision: str | None) -> str:
    """What a report calls a target."""
    if isinstance(target, Snapshot):
        parts = (target.repo_id or f"a {target.source} snapshot", target.commit or target.revision)
        return "@".join(part for part in parts if part is not None)
    text = os.fspath(target)
    return text if revision is None or text.endswith(f"@{revision}") else f"{text}@{revision}"
