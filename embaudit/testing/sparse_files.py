"""Weight files of any size without their weights: true headers, and zeros that nobody has to hold.

torch's own writer makes the torch files; what it writes is kept where it is not zeros. For tests and
benchmarks that serve large repositories from a loopback hub.
"""

import json
import struct
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import attrs

from embaudit.formats.safetensors import DTYPES, LENGTH_BYTES
from embaudit.model.limits import KIB

LEAST_HOLE = 4 * KIB
"""Zeros that are written in one piece of at least so many bytes are left out."""

_ITEM_BYTES = {code: dtype.bits // 8 for code, dtype in DTYPES.items() if dtype.bits % 8 == 0}


@attrs.frozen(kw_only=True)
class SparseFile:
    """A file of which only some segments are held; the rest is zeros.

    Attributes:
        size: Bytes of the whole file.
        segments: First byte to content.
    """

    size: int
    segments: Mapping[int, bytes]


def sparse_safetensors(
    tensors: Iterable[tuple[str, str, tuple[int, ...]]], *, metadata: Mapping[str, str] | None = None
) -> SparseFile:
    """A safetensors file whose values are all zero.

    Args:
        tensors: Name, dtype code of the format (`F32`), and shape of each tensor.
        metadata: The `__metadata__`; by default what transformers writes.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata or {"format": "pt"})}
    stop = 0
    for name, code, shape in tensors:
        start, stop = stop, stop + prod(shape) * _ITEM_BYTES[code]
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [start, stop]}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % LENGTH_BYTES)
    head = struct.pack("<Q", len(encoded)) + encoded
    return SparseFile(size=len(head) + stop, segments={0: head})


def sparse_torch(tensors: Mapping[str, Any], *, legacy: bool = False) -> SparseFile:
    """What `torch.save` writes of a state dict, with zeros left out.

    Args:
        tensors: Name to torch tensor; `torch.zeros` takes no memory until something is written to it.
        legacy: Whether to write the format from before torch 1.6.
    """
    import torch  # noqa: PLC0415 - on demand

    sink: Any = _Sink()
    torch.save(dict(tensors), sink, _use_new_zipfile_serialization=not legacy)
    file: SparseFile = sink.file()
    return file


class _Sink:
    """Takes what a writer writes, one piece after another, and keeps what is not zeros."""

    def __init__(self) -> None:
        self._size = 0
        self._pieces: list[tuple[int, bytes]] = []

    def write(self, data: Any) -> int:
        """Keep a piece; gives its length."""
        view = memoryview(data).cast("B")
        n_bytes = len(view)
        if n_bytes < LEAST_HOLE or bytes(view[:KIB]).strip(b"\0") or any(_nonzero_blocks(view)):
            self._pieces.append((self._size, bytes(view)))
        self._size += n_bytes
        return n_bytes

    def flush(self) -> None:
        """Nothing waits to be written."""

    def file(self) -> SparseFile:
        """What was written, neighbours put together."""
        segments: dict[int, bytearray] = {}
        start = stop = -1
        for position, piece in self._pieces:
            if position != stop:
                start = position
                segments[start] = bytearray()
            segments[start] += piece
            stop = position + len(piece)
        return SparseFile(
            size=self._size, segments={first: bytes(content) for first, content in segments.items()}
        )


def _nonzero_blocks(view: memoryview) -> Iterable[bool]:
    zeros = bytes(LEAST_HOLE)
    for start in range(0, len(view), LEAST_HOLE):
        block = view[start : start + LEAST_HOLE]
        yield block != zeros[: len(block)]
