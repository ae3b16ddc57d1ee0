"""Git LFS pointers: the few lines of text that git holds in place of a large file.

Format: https://github.com/git-lfs/git-lfs/blob/v3.4.0/docs/spec.md. A text that only looks like one is not
one, as for git-lfs itself, and is then an ordinary file.
"""

import re

import attrs

POINTER_BYTES = 1024
"""A pointer is smaller than this, in bytes (the specification's own bound)."""

_BEGINNING = b"version https://git-lfs"
_OBJECT = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(rb"^size ([0-9]{1,18})$", re.MULTILINE)


@attrs.frozen(kw_only=True)
class LfsPointer:
    """What a pointer says of the file it stands for.

    Attributes:
        sha256: Hex digest of the content.
        size: Bytes of the content.
    """

    sha256: str
    size: int

    @property
    def location(self) -> tuple[str, ...]:
        """Where the object lies inside a clone's common git directory, folder by folder."""
        return ("lfs", "objects", self.sha256[:2], self.sha256[2:4], self.sha256)


def parse_pointer(content: bytes) -> LfsPointer | None:
    """The pointer that a whole file is, or None if it is an ordinary file."""
    if len(content) >= POINTER_BYTES or not content.startswith(_BEGINNING):
        return None
    digest, size = _OBJECT.search(content), _SIZE.search(content)
    if digest is None or size is None:
        return None
    return LfsPointer(sha256=digest[1].decode("ascii"), size=int(size[1]))
