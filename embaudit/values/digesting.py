"""Digests of many files and tensors at once, at the speed of the hash: one thread a processor, longest first.

A file and its tensors are digested as separate jobs, so that a single large file keeps two processors busy;
the second of them finds the bytes in the page cache. One pass for both would read less and take as long as
both hashes one after the other.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Any

import attrs

from embaudit.errors import WITHHELD, EmbauditError, LimitError, SourceError
from embaudit.model.files import Reader
from embaudit.model.limits import KIB, Limits
from embaudit.model.tensors import TensorInfo
from embaudit.values.layout import check_repetition

MOST_WORKERS = 8
"""Threads at most, unless the caller names a number: beyond it no disk keeps up with the hashes."""

_BLOCK_BYTES = 512 * KIB
"""As in a comparison: large enough that calls cost nothing, small enough for an L2 cache."""

_LOOK_SECONDS = 0.25
"""How often whoever waits looks whether it should go on: an endless wait may sleep through a signal."""

Progress = Callable[[int], None]


@attrs.frozen(kw_only=True)
class FileJob:
    """A file to be digested.

    Attributes:
        path: Path inside the repository.
        size: Bytes.
        reader: What reads it.
        with_git: Whether its id as a git blob is wanted as well.
    """

    path: str
    size: int
    reader: Reader = attrs.field(eq=id)
    with_git: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes that the job reads."""
        return self.size


@attrs.frozen(kw_only=True)
class FileDigests:
    """The digests of a file, both of the same pass over its bytes.

    Attributes:
        sha256: Hex digest of the content.
        git_sha1: Hex id as a git blob, if that was wanted.
    """

    sha256: str
    git_sha1: str | None = None


@attrs.frozen(kw_only=True)
class TensorJob:
    """A tensor to be digested.

    Attributes:
        tensor: The tensor.
        reader: What reads it.
    """

    tensor: TensorInfo
    reader: Reader = attrs.field(eq=id)

    @property
    def n_bytes(self) -> int:
        """Bytes that the job reads, as if they lay side by side."""
        return self.tensor.n_bytes


@attrs.frozen
class _Run:
    """What the jobs of one call share."""

    limits: Limits
    stopped: Event
    progress: Progress | None

    def file(self, job: FileJob) -> FileDigests | EmbauditError:
        """The digests of a file, or why there are none."""
        sha256 = hashlib.sha256()
        git = hashlib.sha1(f"blob {job.size}\0".encode("ascii"), usedforsecurity=False)
        buffer = memoryview(bytearray(min(job.size, _BLOCK_BYTES)))
        try:
            for start in range(0, job.size, _BLOCK_BYTES):
                self._check()
                block = buffer[: min(job.size - start, _BLOCK_BYTES)]
                job.reader.read_into(job.path, start, block)
                sha256.update(block)
                if job.with_git:
                    git.update(block)
                self._advance(len(block))
        except WITHHELD:
            raise
        except EmbauditError as error:
            return error
        return FileDigests(sha256=sha256.hexdigest(), git_sha1=git.hexdigest() if job.with_git else None)

    def tensor(self, job: TensorJob) -> str | EmbauditError:
        """The digest of a tensor, or why there is none."""
        from embaudit.values.tensor_digests import digest_tensor  # noqa: PLC0415 - numpy on demand only

        try:
            return digest_tensor(job.tensor, job.reader, self.limits, self._check_and_advance)
        except WITHHELD:
            raise
        except EmbauditError as error:
            return error

    def _check_and_advance(self, n_bytes: int) -> None:
        self._check()
        self._advance(n_bytes)

    def _check(self) -> None:
        if self.stopped.is_set():
            raise SourceError("the digests were given up")

    def _advance(self, n_bytes: int) -> None:
        if self.progress is not None:
            self.progress(n_bytes)


def digest_jobs(
    files: Sequence[FileJob],
    tensors: Sequence[TensorJob],
    limits: Limits,
    workers: int | None,
    progress: Progress | None,
) -> tuple[tuple[FileDigests | EmbauditError, ...], tuple[str | EmbauditError, ...]]:
    """See `embaudit.values.digest_many`."""
    distinct = {_bytes_of(job): job for job in reversed(tensors)}
    refusal = _repetition(tuple(distinct.values()), limits)
    run = _Run(limits, Event(), progress)
    n_threads = max(1, min(os.cpu_count() or 1, MOST_WORKERS) if workers is None else workers)
    of_files: dict[FileJob, Future[FileDigests | EmbauditError]] = {}
    of_tensors: dict[object, Future[str | EmbauditError]] = {}
    with ThreadPoolExecutor(n_threads, thread_name_prefix="embaudit-digests") as pool:
        try:
            for job in sorted(
                (*files, *(() if refusal else distinct.values())), key=lambda job: -job.n_bytes
            ):
                if isinstance(job, FileJob):
                    of_files[job] = pool.submit(run.file, job)
                else:
                    of_tensors[_bytes_of(job)] = pool.submit(run.tensor, job)
            _wait_for([*of_files.values(), *of_tensors.values()])
        except BaseException:
            # An interrupt, too: without this the pool would read all files to their end first.
            run.stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    digests = tuple(refusal or of_tensors[_bytes_of(job)].result() for job in tensors)
    return tuple(of_files[job].result() for job in files), digests


def _wait_for(futures: Sequence[Future[Any]]) -> None:
    """Wait for all of them, and raise what the first of them raised."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_LOOK_SECONDS, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()


def _repetition(tensors: Sequence[TensorJob], limits: Limits) -> LimitError | None:
    """Why none of these tensors is digested: together they hold far more values than bytes."""
    try:
        check_repetition(limits, [(job.tensor, job.reader) for job in tensors])
    except LimitError as error:
        return error
    return None


def _bytes_of(job: TensorJob) -> tuple[object, ...]:
    """What decides a tensor's digest: tied names are digested once."""
    tensor = job.tensor
    place = tensor.file, tensor.start, tensor.stop, tensor.byte_order
    return (id(job.reader), *place, tensor.dtype, tensor.shape, tensor.stride)
