"""What the comparing of values costs: memory, and the import of numpy."""

import subprocess
import sys
import tracemalloc

import attrs
import pytest

from embaudit.model.dtypes import DType
from embaudit.model.limits import KIB, MIB, Limits
from embaudit.model.tensor_map import Agreement
from embaudit.model.tensors import TensorInfo, contiguous_stride
from embaudit.values import compare_many, scan_tensor, tensor_digest

OVERHEAD_BYTES = 512 * KIB
"""What threads, plans and results may take beside the data."""

SHAPE = (2048, 2048)


class PatternReader:
    """A file of any size whose bytes follow from their position, none of them in memory."""

    def __init__(self, *, scale: int = 1) -> None:
        self._pattern = bytes(place * scale % 251 for place in range(251)) * 40

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        buffer = bytearray(stop - start)
        self.read_into(path, start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill the buffer, a pattern at a time."""
        del path
        position, length = 0, len(buffer)
        while position < length:
            place = (start + position) % 251
            step = min(len(self._pattern) - place, length - position)
            buffer[position : position + step] = self._pattern[place : place + step]
            position += step


def pattern_tensor(dtype: DType, *, transposed: bool = False) -> TensorInfo:
    """A tensor of 4 million elements in a pattern file."""
    stride = (
        tuple(reversed(contiguous_stride(tuple(reversed(SHAPE))))) if transposed else contiguous_stride(SHAPE)
    )
    n_bytes = SHAPE[0] * SHAPE[1] * dtype.item_bytes
    return TensorInfo(
        name="tensor",
        dtype=dtype,
        shape=SHAPE,
        stride=stride,
        storage_offset=0,
        storage="tensor",
        file="model.bin",
        start=0,
        stop=n_bytes,
    )


PAIRS = [
    pytest.param(pattern_tensor(DType.FLOAT64), pattern_tensor(DType.FLOAT64), 1, id="identical"),
    pytest.param(pattern_tensor(DType.FLOAT32), pattern_tensor(DType.FLOAT32), 3, id="different"),
    pytest.param(pattern_tensor(DType.FLOAT32), pattern_tensor(DType.BFLOAT16), 1, id="two-types"),
    pytest.param(pattern_tensor(DType.COMPLEX64), pattern_tensor(DType.COMPLEX64), 3, id="complex"),
    pytest.param(
        pattern_tensor(DType.FLOAT32), pattern_tensor(DType.FLOAT32, transposed=True), 1, id="transposed"
    ),
]


def peak_bytes(work: object) -> int:
    """The most memory that a call holds at once beyond what was held before it."""
    assert callable(work)
    work()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("left", "right", "scale"), PAIRS)
def test_comparing_stays_within_its_limit(
    left: TensorInfo, right: TensorInfo, scale: int, workers: int
) -> None:
    """All threads together hold less than `work_bytes`, of tensors many times as large."""
    limits = Limits(work_bytes=4 * MIB)
    jobs = [(left, PatternReader(), right, PatternReader(scale=scale))]

    peak = peak_bytes(lambda: compare_many(jobs, limits=limits, workers=workers))

    assert peak < limits.work_bytes + OVERHEAD_BYTES
    assert peak > 2 * 128 * KIB


def test_scanning_and_digesting_stay_within_their_limit() -> None:
    """A scan and a digest hold no more than a comparison may."""
    limits = Limits(work_bytes=2 * MIB)
    tensor, reader = pattern_tensor(DType.FLOAT32), PatternReader()

    assert peak_bytes(lambda: scan_tensor(tensor, reader, limits=limits)) < 2 * MIB + OVERHEAD_BYTES
    assert peak_bytes(lambda: tensor_digest(tensor, reader, limits=limits)) < 2 * MIB + OVERHEAD_BYTES


def test_many_tensors_hold_no_memory_once_compared() -> None:
    """Thousands of tensors cost their results, not their plans."""
    small = attrs.evolve(pattern_tensor(DType.FLOAT32), shape=(8,), stride=(1,), stop=32)
    jobs = [
        (attrs.evolve(small, start=start, stop=start + 32), PatternReader(), small, PatternReader())
        for start in range(0, 251 * 1500, 251)
    ]

    peak = peak_bytes(lambda: compare_many(jobs, limits=Limits(work_bytes=64 * KIB)))

    assert peak < 1500 * 1500
    assert compare_many(jobs[:1])[0].values is Agreement.IDENTICAL


def test_numpy_and_torch_come_only_with_the_first_value() -> None:
    """Importing the package's values imports neither, and digesting a file needs neither."""
    program = (
        "import sys, embaudit.values as values\n"
        "class Reader:\n"
        "    def read_into(self, path, start, buffer): pass\n"
        "values.file_digest(Reader(), 'file', 10)\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)\n"
    )

    finished = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)

    assert finished.returncode == 0, finished.stderr
