"""A repository to a lock: its files' digests, its tensors' digests, and what is declared of it.

What is listed with a digest is a claim. At depth full, bytes on this disk are always read; those of a hub are
not where its listing names the digest that a lock knows, since it computes its digests itself.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from embaudit.errors import EmbauditError, SourceError
from embaudit.loaders import LoaderRequest, ask_loader, declared_pipeline
from embaudit.locks.code import remote_code
from embaudit.locks.sameness import is_same
from embaudit.locks.settings import kept_settings
from embaudit.locks.tokenizers import tokenizer_digest
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import FarReader, FileEntry, FileKind, FileState, HoldingReader, Snapshot
from embaudit.model.frozen import FrozenMapping
from embaudit.model.limits import MIB, Limits
from embaudit.model.lock import Lock, LockedCheckpoint, LockedFile, LockedTensor
from embaudit.model.prediction import LoadPrediction
from embaudit.model.repository import Repository
from embaudit.model.tensor_map import Depth
from embaudit.reading.files import fetch_whole
from embaudit.values import FileDigests, FileJob, TensorJob, digest_many

MOST_GIT_BYTES = 10 * MIB
"""Files up to this size get their git id, too. The hub takes no larger ones without Git LFS, by whose SHA-256
they are known then: https://huggingface.co/docs/hub/repositories-getting-started, "10MB"."""

_BULK = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS, FileKind.TRAINING}
"""What depth headers never reads whole."""
_LEFT_TO_CLAIMS = {FileKind.FOREIGN_WEIGHTS, FileKind.TRAINING}
"""What is not fetched over a network only to be hashed, where the listing has its digest."""


@attrs.frozen(kw_only=True)
class Measurement:
    """How a repository is measured.

    Attributes:
        depth: `full` reads every byte; `headers` no tensor data.
        loaders: The loaders whose outcomes are taken down.
        commit_of: The newest commit of another repository, by its id, or None.
        limits: Resource limits.
        progress: Called from any thread with the bytes digested since the last call.
        known: A lock whose tensor digests are taken over for files of the same content.
    """

    depth: Depth
    loaders: tuple[LoaderRequest, ...] = ()
    commit_of: Callable[[str], str | None]
    limits: Limits
    progress: Callable[[int], None] | None = None
    known: Lock | None = None

    @property
    def is_full(self) -> bool:
        """Whether bytes of tensors are read."""
        return self.depth is Depth.FULL


@attrs.frozen(kw_only=True)
class Measured:
    """A lock, and what else its measuring learned.

    Attributes:
        lock: The lock, without target, policy and probe.
        loads: What the loaders that were asked about would do.
        false_claims: Path to what is wrong with a digest that the source lists.
    """

    lock: Lock
    loads: tuple[LoadPrediction, ...]
    false_claims: Mapping[str, str]


def have_at_hand(snapshot: Snapshot, measurement: Measurement) -> bool:
    """Over a network, fetch what a measurement is going to read: small files together, at depth full all.

    Returns:
        Whether values of tensors are going to be read.
    """
    wanted = {entry.path: entry for entry in _wanted(snapshot, measurement)}
    if measurement.is_full and isinstance(snapshot.reader, HoldingReader):
        snapshot.reader.hold(wanted)
    else:
        fetch_whole(snapshot, wanted, measurement.limits.settings_bytes)
    return measurement.is_full and any(entry.kind is FileKind.WEIGHTS for entry in wanted.values())


def measure(repository: Repository, measurement: Measurement, *, created: str, tool_version: str) -> Measured:
    """What a repository is.

    Raises:
        UnavailableError: If a source does not answer; `BudgetError` and `RefusedError` likewise.
    """
    digests = _digest(repository, measurement)
    loads = tuple(ask_loader(repository, request) for request in measurement.loaders)
    snapshot = repository.snapshot
    lock = Lock(
        tool_version=tool_version,
        created=created,
        target="",
        source=snapshot.source,
        repo_id=snapshot.repo_id,
        revision=snapshot.revision,
        commit=snapshot.commit,
        depth=measurement.depth,
        files=digests.files,
        checkpoints=digests.checkpoints,
        settings=kept_settings(
            snapshot, repository.declaration, measurement.limits, reads_vocabularies=measurement.is_full
        ),
        pipeline=declared_pipeline(repository),
        tokenizer=tokenizer_digest(digests.files),
        remote_code=remote_code(repository.declaration, measurement.commit_of),
        loads={load.asked: load.outcome for load in loads},
        problems={**dict(_unread(repository)), **digests.problems},
    )
    return Measured(lock=lock, loads=loads, false_claims=digests.false_claims)


def _unread(repository: Repository) -> Iterator[tuple[str, str]]:
    """What is not at hand, or no file of its format."""
    for path, entry in repository.snapshot.files.items():
        if entry.state is not FileState.PRESENT:
            yield path, f"is not at hand: {entry.state}"
    for name, unreadable in repository.unreadable.items():
        yield name, unreadable.problem


@attrs.frozen(kw_only=True)
class _Digests:
    """What all digests together tell."""

    files: Mapping[str, LockedFile]
    checkpoints: Mapping[str, LockedCheckpoint]
    problems: Mapping[str, str]
    false_claims: Mapping[str, str]


def _digest(repository: Repository, measurement: Measurement) -> _Digests:
    """Every digest: in one go, or where a lock is known those of the files first, then of what changed."""
    snapshot = repository.snapshot
    jobs = tuple(_file_jobs(snapshot, _wanted(snapshot, measurement)))
    every = tuple(repository.checkpoints.values())
    at_once = every if measurement.is_full and measurement.known is None else ()
    results, tensors = _run(jobs, at_once, measurement)
    computed = {job.path: result for job, result in zip(jobs, results, strict=True)}
    files = {
        path: _locked_file(entry, computed.get(path), measurement.known)
        for path, entry in snapshot.files.items()
    }
    kept = {each.name: _kept_digests(each, files, measurement.known) for each in every}
    if measurement.is_full and measurement.known is not None:
        _, tensors = _run((), every, measurement, kept)
    problems = {path: str(fault) for path, fault in computed.items() if isinstance(fault, EmbauditError)}
    problems |= {name: str(fault) for name, found in tensors.items() for fault in _faults(found)[:1]}
    return _Digests(
        files=files,
        checkpoints={
            each.name: _locked_checkpoint(each, {**tensors.get(each.name, {}), **kept[each.name]})
            for each in every
        },
        problems=problems,
        false_claims=dict(_false_claims(snapshot, computed)),
    )


_TensorResults = Mapping[str, str | EmbauditError]


def _run(
    jobs: Sequence[FileJob],
    checkpoints: Sequence[Checkpoint],
    measurement: Measurement,
    kept: Mapping[str, Mapping[str, str | None]] = FrozenMapping(),
) -> tuple[tuple[FileDigests | EmbauditError, ...], dict[str, _TensorResults]]:
    """The digests of files, and by checkpoint and name those of tensors that are not `kept`."""
    places = [
        (each, name)
        for each in checkpoints
        if each.reader is not None
        for name in each.tensors
        if name not in kept.get(each.name, {})
    ]
    tensor_jobs = [
        TensorJob(tensor=each.tensors[name], reader=each.reader)
        for each, name in places
        if each.reader is not None
    ]
    files, tensors = digest_many(jobs, tensor_jobs, limits=measurement.limits, progress=measurement.progress)
    by_checkpoint: dict[str, dict[str, str | EmbauditError]] = {each.name: {} for each in checkpoints}
    for (each, name), result in zip(places, tensors, strict=True):
        by_checkpoint[each.name][name] = result
    return files, dict(by_checkpoint)


def _faults(results: _TensorResults) -> list[EmbauditError]:
    return [result for result in results.values() if isinstance(result, EmbauditError)]


def _wanted(snapshot: Snapshot, measurement: Measurement) -> Iterator[FileEntry]:
    """The files that are read to be digested."""
    far = isinstance(snapshot.reader, FarReader)
    most_bytes = measurement.limits.json_bytes
    for entry in snapshot.files.values():
        if entry.state is not FileState.PRESENT or entry.size is None:
            continue
        if measurement.is_full and not far:
            yield entry
        elif measurement.is_full:
            left = entry.kind in _LEFT_TO_CLAIMS and entry.identity is not None
            if not left and not _is_known(entry, measurement.known):
                yield entry
        elif entry.identity is None and entry.kind not in _BULK and entry.size <= most_bytes:
            yield entry


def _is_known(entry: FileEntry, known: Lock | None) -> bool:
    """Whether the listing names a digest that the lock has for the path."""
    locked = None if known is None else known.files.get(entry.path)
    if locked is None or entry.identity is None:
        return False
    return entry.identity in {locked.sha256, locked.git_sha1} and entry.size in {None, locked.size}


def _file_jobs(snapshot: Snapshot, wanted: Iterable[FileEntry]) -> Iterator[FileJob]:
    reader = snapshot.reader
    if reader is None:
        raise SourceError("this snapshot comes out of a report: its files cannot be read, open it anew")
    for entry in wanted:
        size = entry.size or 0
        with_git = size <= MOST_GIT_BYTES or entry.git_sha1 is not None
        yield FileJob(path=entry.path, size=size, reader=reader, with_git=with_git)


def _locked_file(
    entry: FileEntry, digests: FileDigests | EmbauditError | None, known: Lock | None
) -> LockedFile:
    """What was computed, or else what is listed; of a file that could not be read neither is known."""
    if isinstance(digests, EmbauditError):
        return LockedFile(size=entry.size, sha256=None, kind=entry.kind)
    if digests is not None:
        return LockedFile(size=entry.size, sha256=digests.sha256, git_sha1=digests.git_sha1, kind=entry.kind)
    if known is not None and _is_known(entry, known):
        return known.files[entry.path]
    return LockedFile(size=entry.size, sha256=entry.sha256, git_sha1=entry.git_sha1, kind=entry.kind)


def _kept_digests(
    checkpoint: Checkpoint, files: Mapping[str, LockedFile], known: Lock | None
) -> dict[str, str | None]:
    """The digests that a lock has, or has not, of tensors in files that did not change.

    There are none if an index changed: it may take a tensor from another of its shards now.
    """
    locked = None if known is None else known.checkpoints.get(checkpoint.name)
    if known is None or locked is None or not _is_kept(checkpoint.name, files, known):
        return {}
    whole = {path: _is_kept(path, files, known) for path in checkpoint.files}
    return {
        name: before.sha256
        for name, tensor in checkpoint.tensors.items()
        if whole.get(tensor.file)
        and (before := locked.tensors.get(name)) is not None
        and (before.dtype, before.shape) == (tensor.dtype, tensor.shape)
    }


def _is_kept(path: str, files: Mapping[str, LockedFile], known: Lock) -> bool:
    """Whether a file is proven to be what it was."""
    return path in files and path in known.files and is_same(known.files[path], files[path]) is True


def _locked_checkpoint(
    checkpoint: Checkpoint, digests: Mapping[str, str | EmbauditError | None]
) -> LockedCheckpoint:
    return LockedCheckpoint(
        format=checkpoint.format,
        files=checkpoint.files,
        tensors={
            name: LockedTensor(dtype=tensor.dtype, shape=tensor.shape, sha256=_or_none(digests.get(name)))
            for name, tensor in checkpoint.tensors.items()
        },
        tied=tuple(sorted(checkpoint.tied, key=sorted)),
    )


def _or_none(result: str | EmbauditError | None) -> str | None:
    return result if isinstance(result, str) else None


def _false_claims(
    snapshot: Snapshot, computed: Mapping[str, FileDigests | EmbauditError]
) -> Iterator[tuple[str, str]]:
    """Files whose bytes are not those that the source lists."""
    for path, digests in computed.items():
        entry = snapshot.files[path]
        if isinstance(digests, EmbauditError):
            continue
        for claimed, found in ((entry.sha256, digests.sha256), (entry.git_sha1, digests.git_sha1)):
            if claimed is not None and found is not None and claimed != found:
                yield path, f"is listed with the digest {claimed}, and its bytes have {found}"
