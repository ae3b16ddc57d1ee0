"""Digests of whole files, as hubs and git name them, a block at a time."""

import hashlib
from typing import Protocol

from embaudit.model.files import Reader
from embaudit.model.limits import MIB

_BLOCK_BYTES = MIB


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...


def sha256_of(reader: Reader, path: str, size: int) -> str:
    """See `embaudit.values.file_digest`."""
    digest = hashlib.sha256()
    _feed(digest, reader, path, size)
    return digest.hexdigest()


def git_sha1_of(reader: Reader, path: str, size: int) -> str:
    """See `embaudit.values.git_blob_sha1`."""
    digest = hashlib.sha1(f"blob {size}\0".encode("ascii"), usedforsecurity=False)
    _feed(digest, reader, path, size)
    return digest.hexdigest()


def _feed(digest: _Digest, reader: Reader, path: str, size: int) -> None:
    buffer = memoryview(bytearray(min(size, _BLOCK_BYTES)))
    for start in range(0, size, _BLOCK_BYTES):
        block = buffer[: min(size - start, _BLOCK_BYTES)]
        reader.read_into(path, start, block)
        digest.update(block)
