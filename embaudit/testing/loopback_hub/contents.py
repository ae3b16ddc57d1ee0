"""What files hold: bytes of any number of which only some exist, and the names that git and LFS give them.

It knows digests and pointers; it does not know repositories, commits or requests.
"""

import hashlib
from collections.abc import Iterator, Mapping

import attrs

from embaudit.model.files import FileKind, kind_of
from embaudit.sources.memory import git_blob_sha1

HASHED_BYTES = 64 * 1024 * 1024
"""Sparse contents up to this size are hashed. A larger one gets a digest of what it is made of, not of its
bytes: to hash 700 GB of zeros takes half an hour."""
CHUNK_BYTES = 1024 * 1024
"""How much of a content is held at a time when it is sent."""
_AS_LFS = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS, FileKind.TRAINING}
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
"""Source: https://github.com/git-lfs/git-lfs/blob/v3.7.0/docs/spec.md (section "The Pointer")."""


def _exact_segments(segments: Mapping[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    return tuple((start, bytes(segments[start])) for start in sorted(segments))


@attrs.frozen(init=False)
class Sparse:
    """Contents of any size of which only some segments exist; everywhere else there are zeros.

        Sparse(700 * 10**9, {0: header, 8 * 10**9: tensor})

    Attributes:
        size: Bytes of the whole.
        segments: Pairs of a position and the bytes there, by position; they do not overlap.
        sha256: The digest that the hub is to claim, or None to have it computed (up to `HASHED_BYTES`) or
            made up.
    """

    size: int
    segments: tuple[tuple[int, bytes], ...] = attrs.field(repr=False)
    sha256: str | None

    def __init__(
        self, size: int, segments: Mapping[int, bytes] | None = None, *, sha256: str | None = None
    ) -> None:
        exact = _exact_segments(segments or {})
        _check_segments(size, exact)
        self.__attrs_init__(size=size, segments=exact, sha256=sha256)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` (included) to `stop` (not included), both within the contents."""
        if len(self.segments) == 1 and self.segments[0][0] == 0 and stop <= len(self.segments[0][1]):
            return self.segments[0][1][start:stop]
        buffer = bytearray(stop - start)
        for position, held in self.segments:
            first, last = max(start, position), min(stop, position + len(held))
            if first < last:
                buffer[first - start : last - start] = held[first - position : last - position]
        return bytes(buffer)

    def part(self, start: int, stop: int) -> "Sparse":
        """The contents from `start` (included) to `stop` (not included), as contents of their own."""
        if (start, stop) == (0, self.size):
            return self
        kept = {}
        for position, held in self.segments:
            first, last = max(start, position), min(stop, position + len(held))
            if first < last:
                kept[first - start] = held[first - position : last - position]
        return Sparse(stop - start, kept)

    def longer(self, n_bytes: int) -> "Sparse":
        """The contents with that many zeros behind them."""
        return Sparse(self.size + n_bytes, dict(self.segments))

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """All bytes in order, a chunk at a time."""
        for start in range(0, self.size, size):
            yield self.read(start, min(start + size, self.size))


def _check_segments(size: int, segments: tuple[tuple[int, bytes], ...]) -> None:
    end = 0
    for position, held in segments:
        if position < end:
            raise ValueError(f"a segment at {position} begins before byte {end}")
        end = position + len(held)
    if end > size:
        raise ValueError(f"segments reach to byte {end} of {size}")


def contents_of(data: bytes | Sparse) -> Sparse:
    """Plain bytes as contents; contents as they are."""
    return data if isinstance(data, Sparse) else Sparse(len(data), {0: bytes(data)} if data else {})


@attrs.frozen
class File:
    """A file to be committed, with a say in how git holds it.

    Attributes:
        contents: The bytes.
        lfs: Whether it goes to LFS; None decides by the name, as `MemorySource` does: weights and training
            state do, everything else doesn't.
    """

    contents: bytes | Sparse
    lfs: bool | None = None


@attrs.frozen(kw_only=True)
class StoredFile:
    """A committed file.

    Attributes:
        contents: The bytes.
        oid: The git blob: of the contents, or of the pointer for a file in LFS.
        sha256: For a file in LFS the digest that its pointer names, else None.
        pointer_size: For a file in LFS the bytes of its pointer, else 0.
    """

    contents: Sparse
    oid: str
    sha256: str | None
    pointer_size: int

    @property
    def size(self) -> int:
        """Bytes of the contents."""
        return self.contents.size

    @property
    def digest(self) -> str:
        """What the hub's own answers name the contents by: SHA-256 for LFS, else the git blob."""
        return self.sha256 or self.oid


def stored_file(path: str, file: File) -> StoredFile:
    """A file as git and LFS hold it."""
    contents = contents_of(file.contents)
    if not (kind_of(path) in _AS_LFS if file.lfs is None else file.lfs):
        return StoredFile(contents=contents, oid=_blob_sha1(contents), sha256=None, pointer_size=0)
    sha256 = contents.sha256 or _sha256(contents)
    pointer = lfs_pointer(sha256, contents.size)
    return StoredFile(contents=contents, oid=git_blob_sha1(pointer), sha256=sha256, pointer_size=len(pointer))


def lfs_pointer(sha256: str, size: int) -> bytes:
    """What git holds in place of a file in LFS."""
    return (_POINTER % (sha256, size)).encode()


def _sha256(contents: Sparse) -> str:
    return _digest(contents, hashlib.sha256())


def _blob_sha1(contents: Sparse) -> str:
    start = hashlib.sha1(b"blob %d\0" % contents.size, usedforsecurity=False)
    return _digest(contents, start)


def _digest(contents: Sparse, digest: "hashlib._Hash") -> str:
    if contents.size > HASHED_BYTES and sum(len(held) for _, held in contents.segments) < contents.size:
        digest.update(repr((contents.size, contents.segments)).encode())
    else:
        for chunk in contents.chunks():
            digest.update(chunk)
    return digest.hexdigest()
