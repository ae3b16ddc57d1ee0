"""Files of vectors: numpy's `.npy` and `.npz`, `.safetensors`, and JSON.

Nothing is unpickled. What can be mapped into memory is mapped, so that a file of millions of rows is read a
block at a time; what must be unpacked is bounded, by the size that its header announces.

The formats of numpy: https://github.com/numpy/numpy/blob/v2.2.0/numpy/lib/format.py.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from embaudit.embeddings.documents import parse_vectors, read_lines
from embaudit.embeddings.measuring import Matrix
from embaudit.errors import FormatError, LimitError, TargetError, UsageError
from embaudit.formats.fields import examples, inside
from embaudit.formats.safetensors import parse_safetensors
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import GIB, KIB, Limits
from embaudit.model.tensors import TensorInfo
from embaudit.sources.base import shown
from embaudit.values.encodings import Kind, encoding_of
from embaudit.values.rounding import decode

UNPACKED_BYTES = 2 * GIB
"""Bytes of one array that cannot be mapped into memory, as it is unpacked or decoded."""

HEADER_BYTES = 10 * KIB
"""Bytes of the header of a `.npy`, as numpy itself has it: a header is a dtype and a shape."""

_HEADERS: Mapping[tuple[int, int], Callable[..., Any]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_ENCRYPTED = 0x1


def read_vectors(path: str, limits: Limits) -> Matrix:
    """The array that a file holds.

    Raises:
        UsageError: If the suffix is none of those known.
        TargetError: If there is no such file.
        FormatError: If the file does not follow its format, or holds none or several arrays.
        LimitError: If it is larger than its limit.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None or "\0" in path:
        raise UsageError(f"{shown(path)}: vectors are read from {', '.join(_READERS)} files")
    with inside(path), _readable(file):
        return reader(file, limits)


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise TargetError(f"{file}: there is no such file") from None
    except OSError as error:
        raise TargetError(f"{file}: cannot be read: {error.strerror or error}") from error


def _read_npy(file: Path, _limits: Limits) -> Matrix:
    with file.open("rb") as stream:
        shape, fortran, dtype = _header_of(stream)
        start = stream.tell()
    n_bytes = prod(shape) * dtype.itemsize
    if n_bytes > file.stat().st_size - start:
        raise FormatError(f"announces {n_bytes} bytes of data, and has {file.stat().st_size - start}")
    if n_bytes == 0:
        return np.empty(shape, dtype)
    return np.memmap(file, dtype=dtype, mode="r", offset=start, shape=shape, order="F" if fortran else "C")


def _header_of(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and element type of a `.npy`; the stream is at its data then."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise FormatError(f"is of version {version} of the format, which no array of numbers needs")
        shape, fortran, dtype = _HEADERS[version](stream, max_header_size=HEADER_BYTES)
    except (ValueError, EOFError) as error:
        raise FormatError(f"is no .npy file: {str(error).partition(chr(10))[0]}") from error
    if dtype.hasobject:
        raise FormatError("holds python objects, which are pickles; nothing is unpickled here")
    return shape, fortran, dtype


def _read_npz(file: Path, _limits: Limits) -> Matrix:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) != 1:
                names = [member.filename for member in members]
                raise FormatError(f"holds {examples(names, 'array')}; it must be one")
            with inside(members[0].filename):
                return _unpacked(archive, members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise FormatError(f"is no readable .npz file: {error}") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Matrix:
    if member.flag_bits & _ENCRYPTED:
        raise FormatError("is encrypted")
    if member.file_size > UNPACKED_BYTES:
        raise LimitError(
            f"takes {member.file_size} bytes, the limit is {UNPACKED_BYTES}", limit="UNPACKED_BYTES"
        )
    with archive.open(member) as stream:
        shape, fortran, dtype = _header_of(stream)
        n_bytes = prod(shape) * dtype.itemsize
        if n_bytes > member.file_size:
            raise FormatError(f"announces {n_bytes} bytes of data, and has {member.file_size}")
        data = stream.read(n_bytes)
    if len(data) != n_bytes:
        raise FormatError(f"announces {n_bytes} bytes of data, and has {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _read_safetensors(file: Path, limits: Limits) -> Matrix:
    tensors = open_safetensors(file, limits).tensors
    if len(tensors) != 1:
        raise FormatError(f"holds {examples(tuple(tensors))}; it must be one")
    (tensor,) = tensors.values()
    with inside(f"tensor '{tensor.name}'"):
        return read_tensor(file, tensor)


def open_safetensors(file: Path, limits: Limits) -> Checkpoint:
    """The tensor table of a `.safetensors` file.

    Raises:
        TargetError: If the file cannot be read.
        FormatError: If it does not follow its format.
        LimitError: If its header is larger than the limits allow.
    """
    with _readable(file), file.open("rb") as stream:

        def fetch(start: int, stop: int) -> bytes:
            stream.seek(start)
            return stream.read(stop - start)

        return parse_safetensors(ByteView(str(file), file.stat().st_size, fetch), limits)


def read_tensor(file: Path, tensor: TensorInfo) -> Matrix:
    """The numbers of a tensor of a `.safetensors` file: mapped if numpy has the type, else decoded.

    Raises:
        FormatError: If the type holds no real numbers by itself.
        LimitError: If it must be decoded, and is larger than `UNPACKED_BYTES` then.
    """
    encoding = encoding_of(tensor.dtype)
    if encoding.kind not in {Kind.FLOATING, Kind.INTEGER} or tensor.dtype.is_complex:
        raise FormatError(f"holds {tensor.dtype}, not real numbers")
    if 0 in tensor.shape:
        return np.empty(tensor.shape, np.float32)
    try:
        native = np.dtype(str(tensor.dtype)).newbyteorder("<")
    except TypeError:
        return _decoded(file, tensor, encoding.word_bytes)
    return np.memmap(file, dtype=native, mode="r", offset=tensor.start, shape=tensor.shape)


def _decoded(file: Path, tensor: TensorInfo, word_bytes: int) -> Matrix:
    words = np.memmap(file, dtype=f"<u{word_bytes}", mode="r", offset=tensor.start, shape=tensor.shape)
    n_bytes = words.size * np.dtype(np.float32).itemsize
    if n_bytes > UNPACKED_BYTES:
        raise LimitError(f"takes {n_bytes} bytes, the limit is {UNPACKED_BYTES}", limit="UNPACKED_BYTES")
    return decode(words.astype(f"u{word_bytes}"), tensor.dtype)


def _read_json(file: Path, limits: Limits) -> Matrix:
    with file.open("rb") as stream:
        # One byte more than is allowed shows that there is more, whatever the listing says.
        return parse_vectors(stream.read(limits.json_bytes + 1), limits)


def _read_jsonl(file: Path, _limits: Limits) -> Matrix:
    with file.open("rb") as stream:
        return read_lines(stream)


_READERS: Mapping[str, Callable[[Path, Limits], Matrix]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}
