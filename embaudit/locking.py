"""What people do with an audit that must hold: lock what was looked at, and verify it later.

    target      --lock------> Lock          every digest, what is declared, what loaders make of it
    Lock        --save_lock-> embaudit.lock one file, for a pull request
    embaudit.lock, target --verify--> AuditReport   what drifted, as findings EMB5xx

A target may be anything that `embaudit.open_snapshot` takes; `verify` takes a running server as well.
"""

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path

import attrs

from embaudit.embeddings import PROBE_TEXTS, check_server, compare_probes, load_probe
from embaudit.embeddings import probe as ask_server
from embaudit.errors import EmbauditError, LimitError, SourceError, TargetError, UsageError
from embaudit.loaders import parse_loader
from embaudit.locks import Measured, Measurement, have_at_hand, locked_place, measure, write_whole
from embaudit.model.facts import Absent, Facts
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.lock import Lock, LockDrift, LockedProbe, ServedDrift
from embaudit.model.policy import Policy, RecordedAudit
from embaudit.model.probe import Probe
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Depth
from embaudit.pipeline import Target, name_of
from embaudit.policies import judge, judge_age, read_policy
from embaudit.reading import read_repository
from embaudit.report import AuditReport
from embaudit.report.locks import parse_lock, render_lock
from embaudit.rules import without
from embaudit.sources import Meter, metered, open_file, open_snapshot
from embaudit.sources.interrupts import interrupting_reads
from embaudit.sources.local import open_regular
from embaudit.values import file_digest
from embaudit.version import VERSION

_SERVERS = ("http://", "https://", "tei+http://", "tei+https://", "openai+http://", "openai+https://")
_CODES = "EMB5"
"""The beginning of the codes that a verification asks."""
_HUB = "hub"


def lock(  # noqa: PLR0913 - the public contract names them
    target: Target,
    *,
    revision: str | None = None,
    depth: Depth | str = Depth.FULL,
    loaders: str | Iterable[str] | None = None,
    policy: Policy | str | os.PathLike[str] | None = None,
    probe: str | os.PathLike[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> Lock:
    """Measure a snapshot, so that any later state of it can be held against what it is now.

    Args:
        target: What to lock: `org/name@revision` on the hub, `cache:org/name@revision`, a folder,
            `PATH@revision` of a clone, or a snapshot.
        revision: The revision, where the target does not name it.
        depth: `full` digests every file and the values of every tensor; of a hub, files of other programs
            (ONNX and the like) keep the digest that it lists. `headers` reads no tensor data, and takes
            listed digests for what they claim.
        loaders: Loaders whose outcomes are locked, as `embaudit.audit` takes them.
        policy: A policy that goes with the lock, or the path of a TOML file with one. Its loaders are locked
            besides `loaders`; what it waives or weighs, and its threshold, hold for verifications.
        probe: A golden probe that `embaudit.save_probe` kept. It belongs beside the lock, under its name.
        limits: Resource limits.
        progress: Called with the number of bytes that were just digested, from any thread.

    Raises:
        UsageError: An argument is none of the values allowed.
        TargetError: The target is not understood or not found.
        SourceError: It cannot be read, or a file is not what its source lists.
        FormatError: The probe is none.
        LimitError: Something exceeds a limit.
    """
    golden = None if probe is None else _locked_probe(Path(probe), limits)
    policy = policy if policy is None or isinstance(policy, Policy) else read_policy(policy)
    given = (loaders,) if isinstance(loaders, str) else tuple(loaders or ())
    asked = (*given, *(() if policy is None else policy.loaders))
    snapshot = open_snapshot(target, revision=revision, limits=limits)
    measured = _measured(snapshot, _whole_or_headers(depth), asked, None, limits, progress)
    for path, problem in measured.false_claims.items():
        raise SourceError(f"{path} {problem}: a lock of it would hold nothing")
    name = _name_of(target, snapshot, revision)
    return attrs.evolve(measured.lock, target=name, policy=policy, probe=golden)


def save_lock(lock: Lock, path: str | os.PathLike[str]) -> None:
    """Keep a lock in a file: one that says the same but for the time and embaudit's version stays as it is.

    Unless its policy limits the age of an audit: then the time is what changed. The file is there whole, or
    not at all, whoever interrupts or writes at the same time.

    Raises:
        TargetError: If the file cannot be written.
    """
    place = Path(path)
    try:
        before = load_lock(place)
    except EmbauditError:
        before = None  # there is none, or nothing that could be kept
    ages = lock.policy is not None and lock.policy.max_age_days is not None
    if before is None or ages or _as_if_written_with(before, lock) != lock:
        write_whole(place, render_lock(lock))


def _as_if_written_with(before: Lock, lock: Lock) -> Lock:
    """The lock before, with the time and version of the new one: equal to it if nothing else changed."""
    return attrs.evolve(before, created=lock.created, tool_version=lock.tool_version)


def load_lock(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> Lock:
    """The lock that `save_lock` kept.

    Raises:
        TargetError: If there is no such file.
        SourceError: If it cannot be read.
        FormatError: If it is no lock, or one of a newer schema than this embaudit reads.
        LimitError: If it has more than `limits.json_bytes`.
    """
    place = Path(path)
    if "\0" in str(place):
        raise TargetError(f"{str(place)!r} cannot be the name of a lock: it holds a NUL character")
    try:
        opened, listed = open_regular(Path(os.path.realpath(place)))
        if listed.size > limits.json_bytes:
            raise LimitError(f"has more than {limits.json_bytes:,} bytes", str(place), "json_bytes")
        text = bytearray(listed.size)
        text = text[: opened.fill(0, memoryview(text))]
    except FileNotFoundError:
        raise TargetError(f"{place}: there is no such lock; `embaudit lock TARGET` writes one") from None
    except OSError as error:
        raise SourceError(f"{place}: cannot be read: {error.strerror or error}") from error
    return parse_lock(bytes(text), str(place))


def verify(  # noqa: PLR0913 - the public contract names them
    lock: Lock | str | os.PathLike[str],
    target: Target | Probe | None = None,
    *,
    revision: str | None = None,
    depth: Depth | str = Depth.FULL,
    probe: str | os.PathLike[str] | None = None,
    api_key: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
) -> AuditReport:
    """Hold what is there now against a lock; what drifted is told in findings `EMB5xx`.

    Digests decide, whatever holds the bytes: shards, safetensors instead of a `.bin`, and files written anew
    pass as information if every tensor has the digest that was locked. What cannot be compared is an error,
    never passed over.

    Args:
        lock: The lock, or its file.
        target: What to verify, as for `lock`; or a running server: its address (`tei+http://host:port`), or a
            `Probe` of it. Without one what was locked, at the commit that was locked.
        revision: The revision, where the target does not name it.
        depth: `full` reads every file on this disk, and tensors of files that changed; over a network files
            are read only if the hub lists another digest than the locked one. `headers` reads no tensor data
            and takes listed digests for what they claim.
        probe: The golden probe that was locked, if it does not lie beside the lock under its name.
        api_key: Sent to a server as `Authorization: Bearer`. It appears in no message.
        limits: Resource limits.
        progress: Called with the number of bytes that were just digested, from any thread.

    Returns:
        A report whose rules are those of drift. It fails at the threshold of the locked policy, or at errors.

    Raises:
        UsageError: An argument is none of the values allowed.
        TargetError: The lock or the target is not understood or not found, or the golden probe is another.
        SourceError: Something cannot be read, or a server does not answer.
        FormatError: The lock or the probe is none.
        LimitError: Something exceeds a limit.
    """
    locked = lock if isinstance(lock, Lock) else load_lock(lock, limits=limits)
    folder = Path() if isinstance(lock, Lock) else Path(lock).parent
    began = time.perf_counter()
    if isinstance(target, Probe) or (isinstance(target, str) and target.startswith(_SERVERS)):
        golden = _golden(locked, folder if probe is None else Path(probe), limits)
        return _verify_server(locked, target, golden, api_key, began)
    named = locked_place(locked) if target is None else target
    snapshot, meter = metered(open_snapshot(named, revision=revision, limits=limits))
    depth = _whole_or_headers(depth)
    measured = _measured(snapshot, depth, tuple(locked.loads), locked, limits, progress)
    found = attrs.evolve(measured.lock, target=_name_of(named, snapshot, revision))
    # Without a golden probe nothing was promised of a server, so that nothing is left unasked.
    unserved = Absent(kind=ServedDrift, reason="no running server was held against the golden probe")
    facts = Facts(
        known=(LockDrift(locked=locked, found=found),), absent=(unserved,) if locked.probe is not None else ()
    )
    report = _report(locked, facts, found.target, depth, began)
    return attrs.evolve(
        report,
        source=snapshot.source,
        repo_id=snapshot.repo_id,
        revision=snapshot.revision,
        commit=snapshot.commit,
        files=snapshot.files,
        loads=measured.loads,
        cost=_cost(meter, began),
    )


def _measured(
    snapshot: Snapshot,
    depth: Depth,
    loaders: Iterable[str],
    known: Lock | None,
    limits: Limits,
    progress: Callable[[int], None] | None,
) -> Measured:
    measurement = Measurement(
        depth=depth,
        loaders=tuple(parse_loader(loader) for loader in dict.fromkeys(loaders)),
        commit_of=_newest_commit(snapshot, limits),
        limits=limits,
        progress=progress,
        known=known,
    )
    with interrupting_reads(snapshot.reader):
        # Where values are going to be read, places in torch files are looked up, not inferred.
        exact = have_at_hand(snapshot, measurement)
        repository = read_repository(snapshot, limits, exact=exact)
        return measure(repository, measurement, created=_now(), tool_version=VERSION)


def _whole_or_headers(depth: Depth | str) -> Depth:
    parsed = Depth.parse(depth)
    if parsed is Depth.SAMPLED:
        raise UsageError("a lock has digests of whole tensors or none: use depth full or headers")
    return parsed


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _newest_commit(snapshot: Snapshot, limits: Limits) -> Callable[[str], str | None]:
    """The newest commit of another repository: by the hub for a snapshot of it, else by the local cache.

    A folder or a clone says nothing of where its loaders will run, so that no network is asked for it.
    """
    on_hub = snapshot.source == _HUB

    def newest(repo_id: str) -> str | None:
        try:
            return open_snapshot(repo_id if on_hub else f"cache:{repo_id}", limits=limits).commit
        except (TargetError, SourceError, LimitError):
            return None

    return newest


def _name_of(target: Target, snapshot: Snapshot, revision: str | None) -> str:
    if isinstance(target, Snapshot):
        return snapshot.repo_id or f"a {snapshot.source} snapshot"
    return name_of(target, revision)


def _locked_probe(path: Path, limits: Limits) -> LockedProbe:
    golden = load_probe(path, limits=limits)
    return LockedProbe(
        path=path.name,
        sha256=_digest_of(path, limits),
        backend=golden.backend,
        n_texts=len(golden.texts),
        dimension=golden.dimension,
    )


def _digest_of(path: Path, limits: Limits) -> str:
    snapshot, name = open_file(path, limits=limits)
    if snapshot.reader is None:
        raise SourceError(f"{path} comes without a way to read it")
    return file_digest(snapshot.reader, name, snapshot.files[name].size or 0)


def _golden(locked: Lock, place: Path, limits: Limits) -> Probe | None:
    """The golden probe of a lock, at a path or in a folder; None if none was locked."""
    if locked.probe is None:
        return None
    path = place / locked.probe.path if place.is_dir() else place
    if not path.is_file():
        raise TargetError(f"{path}: the golden probe that was locked is not there")
    if _digest_of(path, limits) != locked.probe.sha256:
        raise TargetError(f"{path}: is not the golden probe that was locked; its digest is another one")
    return load_probe(path, limits=limits)


def _verify_server(
    locked: Lock, target: Target | Probe, golden: Probe | None, api_key: str | None, began: float
) -> AuditReport:
    if isinstance(target, Probe):
        current = target
    else:
        texts = PROBE_TEXTS if golden is None else golden.texts
        observe = golden is None or bool(golden.observations)
        current = ask_server(target, texts, observe=observe, api_key=api_key)
    # What a server says of itself is held against what was locked, which may not be at hand.
    promised = Snapshot(
        source=locked.source, repo_id=locked.repo_id, revision=locked.revision, commit=locked.commit, files={}
    )
    served = ServedDrift(
        locked=locked,
        current=current,
        drift=None if golden is None else compare_probes(golden, current),
        mismatches=check_server(current.server, promised, pipeline=locked.pipeline).mismatches,
    )
    absent = Absent(kind=LockDrift, reason="a running server shows no files")
    facts = Facts(known=(served,), absent=(absent,))
    return _report(locked, facts, current.backend, Depth.HEADERS, began)


def _report(locked: Lock, facts: Facts, target: str, depth: Depth, began: float) -> AuditReport:
    ignored = () if locked.policy is None else locked.policy.ignore
    rules = tuple(rule for rule in without(ignored) if rule.code.startswith(_CODES))
    now = datetime.now(timezone.utc)
    judgement = judge(rules, facts, locked.policy, now.date())
    if locked.policy is not None:
        age = judge_age(RecordedAudit(name="lock", created=locked.created, today=now.date()), locked.policy)
        judgement = judgement.joined(age)
    return AuditReport(
        target=target,
        source="server",
        against="@".join(filter(None, (locked.repo_id or locked.target, locked.commit))),
        depth=depth,
        created=now.isoformat(timespec="seconds"),
        tool_version=VERSION,
        policy=locked.policy,
        findings=judgement.findings,
        waived=judgement.waived,
        skipped=judgement.skipped,
        asked=judgement.asked,
        cost=_cost(None, began),
    )


def _cost(meter: Meter | None, began: float) -> Cost:
    seconds = time.perf_counter() - began
    if meter is None:
        return Cost(requests=0, bytes_read=0, seconds=seconds)
    return Cost(requests=meter.requests, bytes_read=meter.bytes_read, seconds=seconds)
