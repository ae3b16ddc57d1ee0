"""Files of vectors: numpy's `.npy` and `.npz`, `.safetensors`, and JSON.

Nothing is unpickled, and nothing but regular files is opened. What can be mapped into memory is mapped, so
that a file of millions of rows is read a block at a time; what must be unpacked is bounded, by the size that
its header announces.

The formats of numpy: https://github.com/numpy/numpy/blob/v2.2.0/numpy/lib/format.py.
"""

import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from embaudit.embeddings.documents import parse_vectors, read_lines
from embaudit.embeddings.measuring import Matrix
from embaudit.embeddings.npy import ArrayHeader, read_header
from embaudit.errors import FormatError, LimitError, TargetError, UsageError
from embaudit.formats.fields import examples, inside
from embaudit.formats.safetensors import parse_safetensors
from embaudit.formats.view import ByteView
from embaudit.formats.zip_directory import read_directory
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import KIB, MIB, Limits
from embaudit.model.tensors import TensorInfo
from embaudit.sources.base import shown
from embaudit.sources.local import open_regular
from embaudit.values.encodings import Kind, encoding_of
from embaudit.values.rounding import decode

UNPACKED_BYTES = 512 * MIB
"""Bytes of one array that cannot be mapped into memory, as it is unpacked or decoded: 170,000 vectors of 768
numbers in float32."""

_ENCRYPTED = 0x1
_PART_BYTES = 64 * KIB
_PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""How numpy packs."""
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError)
"""What python's zipfile raises of bytes that are none."""


def read_vectors(path: str, limits: Limits) -> Matrix:
    """The array that a file holds.

    Raises:
        UsageError: If the suffix is none of those known.
        TargetError: If there is no such file, or it is no regular file.
        FormatError: If the file does not follow its format, or holds none or several arrays.
        LimitError: If it is larger than its limit.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None or "\0" in path:
        raise UsageError(f"{shown(path)}: vectors are read from {', '.join(_READERS)} files")
    with inside(path), _opened(file) as stream:
        return reader(stream, path, limits)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    """A regular file, open; a pipe would make us wait, and a device never end."""
    try:
        opened, _ = open_regular(Path(os.path.realpath(file, strict=True)))
        with os.fdopen(os.dup(opened.descriptor), "rb") as stream:
            yield stream
    except FileNotFoundError:
        raise TargetError(f"{shown(str(file))}: there is no such file") from None
    except OSError as error:
        raise TargetError(f"{shown(str(file))}: cannot be read: {error.strerror or error}") from error


def _size_of(stream: IO[bytes]) -> int:
    return os.fstat(stream.fileno()).st_size


def _read_npy(stream: BinaryIO, _path: str, _limits: Limits) -> Matrix:
    header = read_header(stream)
    start = stream.tell()
    _check_length(header, _size_of(stream) - start)
    return _mapped(stream, start, header)


def _check_length(header: ArrayHeader, n_bytes: int) -> None:
    if header.n_bytes > n_bytes:
        raise FormatError(f"announces {header.n_bytes} bytes of data, and has {n_bytes}")


def _mapped(stream: BinaryIO, start: int, header: ArrayHeader) -> Matrix:
    order: Any = "F" if header.is_fortran else "C"
    return np.memmap(stream, dtype=header.dtype, mode="r", offset=start, shape=header.shape, order=order)


def _read_npz(stream: BinaryIO, path: str, limits: Limits) -> Matrix:
    try:
        # Our own reader looks first: it bounds the directory, which python's takes as large as it is.
        read_directory(_view(stream, path), limits)
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if len(members) != 1:
                names = [member.filename for member in members]
                raise FormatError(f"holds {examples(names, 'array')}; it must be one")
            with inside(members[0].filename):
                return _unpacked(archive, members[0])
    except _BAD_ZIP as error:
        raise FormatError(f"is no readable .npz file: {error}") from error


def _view(stream: BinaryIO, path: str) -> ByteView:
    def fetch(start: int, stop: int) -> bytes:
        stream.seek(start)
        return stream.read(stop - start)

    return ByteView(path, _size_of(stream), fetch)


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Matrix:
    if member.flag_bits & _ENCRYPTED:
        raise FormatError("is encrypted")
    if member.compress_type not in _PACKINGS:
        raise FormatError(f"is packed by method {member.compress_type}, which numpy does not write")
    if member.file_size > UNPACKED_BYTES:
        raise LimitError(
            f"takes {member.file_size} bytes, the limit is {UNPACKED_BYTES}", limit="UNPACKED_BYTES"
        )
    with archive.open(member) as stream:
        header = read_header(stream)
        _check_length(header, member.file_size)
        numbers: Any = np.empty(header.n_bytes, np.uint8)
        _fill(stream, memoryview(numbers))
        stream.read(1)  # the end of the member, where zipfile checks its sum
    order: Any = "F" if header.is_fortran else "C"
    result: Matrix = numbers.view(header.dtype).reshape(header.shape, order=order)
    return result


def _fill(stream: IO[bytes], buffer: memoryview) -> None:
    done = 0
    while done < len(buffer):
        part = stream.read(min(_PART_BYTES, len(buffer) - done))
        if not part:
            raise FormatError(f"announces {len(buffer)} bytes of data, and has {done}")
        buffer[done : done + len(part)] = part
        done += len(part)


def _read_safetensors(stream: BinaryIO, path: str, limits: Limits) -> Matrix:
    tensors = parse_safetensors(_view(stream, path), limits).tensors
    if len(tensors) != 1:
        raise FormatError(f"holds {examples(tuple(tensors))}; it must be one")
    (tensor,) = tensors.values()
    with inside(f"tensor '{tensor.name}'"):
        return _numbers_of(stream, tensor)


def open_safetensors(file: Path, limits: Limits) -> Checkpoint:
    """The tensor table of a `.safetensors` file.

    Raises:
        TargetError: If the file cannot be read, or is no regular file.
        FormatError: If it does not follow its format.
        LimitError: If its header is larger than the limits allow.
    """
    with _opened(file) as stream:
        return parse_safetensors(_view(stream, str(file)), limits)


def read_tensor(file: Path, tensor: TensorInfo) -> Matrix:
    """The numbers of a tensor of a `.safetensors` file: mapped if numpy has the type, else decoded.

    Raises:
        TargetError: If the file cannot be read, or is no regular file.
        FormatError: If the type holds no real numbers by itself.
        LimitError: If it must be decoded, and is larger than `UNPACKED_BYTES` then.
    """
    with _opened(file) as stream:
        return _numbers_of(stream, tensor)


def _numbers_of(stream: BinaryIO, tensor: TensorInfo) -> Matrix:
    encoding = encoding_of(tensor.dtype)
    if encoding.kind not in {Kind.FLOATING, Kind.INTEGER} or tensor.dtype.is_complex:
        raise FormatError(f"holds {tensor.dtype}, not real numbers")
    if 0 in tensor.shape:
        raise FormatError(f"is empty: its shape is {tuple(tensor.shape)}")
    try:
        native = np.dtype(str(tensor.dtype)).newbyteorder("<")
    except TypeError:
        return _decoded(stream, tensor, encoding.word_bytes)
    return np.memmap(stream, dtype=native, mode="r", offset=tensor.start, shape=tensor.shape)


def _decoded(stream: BinaryIO, tensor: TensorInfo, word_bytes: int) -> Matrix:
    words = np.memmap(stream, dtype=f"<u{word_bytes}", mode="r", offset=tensor.start, shape=tensor.shape)
    n_bytes = words.size * np.dtype(np.float32).itemsize
    if n_bytes > UNPACKED_BYTES:
        raise LimitError(f"takes {n_bytes} bytes, the limit is {UNPACKED_BYTES}", limit="UNPACKED_BYTES")
    return decode(words.astype(f"u{word_bytes}"), tensor.dtype)


def _read_json(stream: BinaryIO, _path: str, limits: Limits) -> Matrix:
    # One byte more than is allowed shows that there is more, whatever the listing says.
    return parse_vectors(stream.read(min(limits.json_bytes, _size_of(stream)) + 1), limits)


def _read_jsonl(stream: BinaryIO, _path: str, _limits: Limits) -> Matrix:
    return read_lines(stream)


_READERS: Mapping[str, Callable[[BinaryIO, str, Limits], Matrix]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}
