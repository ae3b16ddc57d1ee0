"""Tensors of torch, stored as a checkpoint file would store them, behind a reader that counts."""

import sys
from collections.abc import Callable
from threading import Lock

import pytest
import torch

from embaudit.errors import SourceError
from embaudit.model.dtypes import DType
from embaudit.model.tensors import TensorInfo, contiguous_stride


class CountingReader:
    """A reader over bytes in memory that remembers every read, and fails on request."""

    def __init__(self, content: bytes, *, broken: bool = False) -> None:
        self.content = content
        self.reads: list[tuple[int, int]] = []
        self._broken = broken
        self._lock = Lock()

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        buffer = bytearray(stop - start)
        self.read_into(path, start, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill the buffer; bytes beyond the end are an error, as they are for every source."""
        with self._lock:
            self.reads.append((start, start + len(buffer)))
        if self._broken or start < 0 or start + len(buffer) > len(self.content):
            raise SourceError(f"{path}: bytes {start} to {start + len(buffer)} are not there")
        buffer[:] = self.content[start : start + len(buffer)]

    @property
    def n_bytes(self) -> int:
        """Bytes read so far."""
        return sum(stop - start for start, stop in self.reads)


Stored = tuple[TensorInfo, CountingReader]


def store_tensor(
    tensor: torch.Tensor, name: str = "tensor", *, byte_order: str = "little", lead: int = 3
) -> Stored:
    """A tensor as its writer stores it: the whole storage, with stride and offset, after `lead` odd bytes."""
    dtype = DType(str(tensor.dtype).removeprefix("torch."))
    storage = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy().tobytes()
    if byte_order != sys.byteorder:
        word = dtype.item_bytes // 2 if dtype.is_complex else dtype.item_bytes
        storage = b"".join(storage[at : at + word][::-1] for at in range(0, len(storage), word))
    offset = lead + tensor.storage_offset() * dtype.item_bytes
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    extent = (last + 1) * dtype.item_bytes if tensor.numel() else 0
    info = TensorInfo(
        name=name,
        dtype=dtype,
        shape=tuple(tensor.shape),
        stride=tuple(tensor.stride()),
        storage_offset=tensor.storage_offset(),
        storage=name,
        file="model.bin",
        start=offset,
        stop=offset + extent,
        byte_order=byte_order,
    )
    return info, CountingReader(b"\xa5" * lead + storage)


def store_bytes(content: bytes, dtype: DType, shape: tuple[int, ...]) -> Stored:
    """Contiguous raw bytes under a type that torch cannot build a tensor of."""
    info = TensorInfo(
        name="tensor",
        dtype=dtype,
        shape=shape,
        stride=contiguous_stride(shape),
        storage_offset=0,
        storage="tensor",
        file="model.bin",
        start=0,
        stop=len(content),
    )
    return info, CountingReader(content)


@pytest.fixture(scope="session")
def store() -> Callable[..., Stored]:
    """See `store_tensor`."""
    return store_tensor


@pytest.fixture(scope="session")
def store_raw() -> Callable[..., Stored]:
    """See `store_bytes`."""
    return store_bytes
