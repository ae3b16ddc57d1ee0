"""Digests of many files and tensors at once: the same as one by one, bounded in memory, ended in time."""

import hashlib
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest
import torch
from safetensors.torch import save_file

from embaudit.errors import LimitError, SourceError, UnavailableError
from embaudit.model.limits import KIB, Limits
from embaudit.model.tensors import TensorInfo
from embaudit.reading import open_checkpoint
from embaudit.sources import MemorySource
from embaudit.values import (
    FileDigests,
    FileJob,
    TensorJob,
    digest_many,
    file_digest,
    git_blob_sha1,
    tensor_digest,
)

FILES = {"a.bin": b"a" * (3 * 2**20 + 5), "empty": b"", "small.json": b"{}"}


@pytest.fixture
def tensor_jobs(tmp_path: Path) -> list[TensorJob]:
    """Tensors of a file, two of them the same bytes under two names."""
    words = torch.randn(500, 300)
    torch.save(
        {"words": words, "tied": words, "turned": words.t(), "half": words.half()}, tmp_path / "model.bin"
    )
    checkpoint = open_checkpoint(tmp_path / "model.bin")
    assert checkpoint.reader is not None
    return [TensorJob(tensor=tensor, reader=checkpoint.reader) for tensor in checkpoint.tensors.values()]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_many_digests_are_those_of_each(workers: int, tensor_jobs: list[TensorJob]) -> None:
    """In any number of threads, every file and tensor has the digest that it has alone, in order."""
    reader = MemorySource(FILES)
    jobs = [FileJob(path=path, size=len(data), reader=reader, with_git=True) for path, data in FILES.items()]

    files, tensors = digest_many(jobs, tensor_jobs, workers=workers)

    assert files == tuple(
        FileDigests(
            sha256=file_digest(reader, job.path, job.size), git_sha1=git_blob_sha1(reader, job.path, job.size)
        )
        for job in jobs
    )
    assert tensors == tuple(tensor_digest(job.tensor, job.reader) for job in tensor_jobs)


def test_progress_adds_up_and_tied_tensors_count_once(tensor_jobs: list[TensorJob]) -> None:
    """What is reported as done is what was digested: each file, and each tensor's own bytes once."""
    reader = MemorySource(FILES)
    jobs = [FileJob(path=path, size=len(data), reader=reader) for path, data in FILES.items()]
    done: list[int] = []

    digest_many(jobs, tensor_jobs, progress=done.append)

    distinct = {job.tensor.name: job.n_bytes for job in tensor_jobs if job.tensor.name != "tied"}
    assert sum(done) == sum(map(len, FILES.values())) + sum(distinct.values())


def test_one_file_that_cannot_be_read_spoils_no_other() -> None:
    """A file shorter than listed is an error in its place."""
    reader = MemorySource(FILES)
    jobs = [
        FileJob(path="a.bin", size=2**30, reader=reader),
        FileJob(path="small.json", size=2, reader=reader),
    ]

    (fault, digests), _ = digest_many(jobs, ())

    assert isinstance(fault, SourceError)
    assert digests == FileDigests(sha256=hashlib.sha256(b"{}").hexdigest())


def test_tensors_that_repeat_without_end_are_refused_together(tensor_jobs: list[TensorJob]) -> None:
    """Tensors that together hold far more values than bytes are not read, small as each of them may be."""
    first = tensor_jobs[0]
    several = [
        TensorJob(
            tensor=TensorInfo(
                **{**_fields(first.tensor), "name": str(n), "shape": (n, 500, 300), "stride": (0, 300, 1)}
            ),
            reader=first.reader,
        )
        for n in range(2, 6)
    ]

    _, results = digest_many((), several, limits=Limits(repeated_bytes=64 * KIB))

    assert all(isinstance(result, LimitError) for result in results)


def _fields(tensor: TensorInfo) -> dict[str, object]:
    return {name: getattr(tensor, name) for name in TensorInfo.__slots__ if name != "__weakref__"}


class Silent:
    """A source that does not answer for one file, and never ends answering for the other."""

    def __init__(self) -> None:
        self.asked = Event()
        self.n_reads = 0

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Not used."""
        raise NotImplementedError

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Wait for the endless file to be begun, then fail."""
        del start, buffer
        if path == "endless":
            self.n_reads += 1
            self.asked.set()
            return
        assert self.asked.wait(30)
        raise UnavailableError("the hub does not answer")


def test_a_source_that_does_not_answer_ends_all_threads_at_once() -> None:
    """The error comes through, and a file that would take years is given up within a block."""
    reader = Silent()
    jobs = [FileJob(path="endless", size=2**60, reader=reader), FileJob(path="silent", size=1, reader=reader)]

    with pytest.raises(UnavailableError):
        digest_many(jobs, (), workers=2)

    assert reader.n_reads >= 1


_MEASURE = """
import resource, sys
from embaudit.locking import lock
lock(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
locked = lock(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(locked.files))
"""


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    """Locking 400 MB of sparse files, one of them a tensor, takes less than 20 MB beyond a small folder."""
    small, large = tmp_path / "small", tmp_path / "large"
    for folder in (small, large):
        folder.mkdir()
        save_file({"a": torch.zeros(1000, 64)}, folder / "model.safetensors")
    with (large / "model.onnx").open("wb") as file:
        file.truncate(200 * 2**20)
    header = b'{"a":{"dtype":"F32","shape":[52428800],"data_offsets":[0,209715200]}}'
    with (large / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 209715200)

    finished = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(small), str(large)], check=True, capture_output=True, text=True
    )

    kilobytes, n_files = map(int, finished.stdout.split())
    assert n_files == 2
    assert kilobytes < 20_000
