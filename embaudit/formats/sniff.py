"""Tells the container of a weight file by its first bytes, never by its name."""

import enum

from embaudit.formats.view import ByteView
from embaudit.model.limits import KIB


class Container(str, enum.Enum):
    """What a file begins like, in words for a message."""

    EMPTY = "an empty file"
    SAFETENSORS = "safetensors"
    ZIP = "a zip archive"
    PICKLE = "a pickle"
    TAR = "a tar archive"
    LFS_POINTER = "a Git LFS pointer whose object was never fetched"
    GGUF = "GGUF"
    HDF5 = "HDF5 (Keras)"
    SEVEN_ZIP = "a 7z archive"
    GZIP = "gzip-compressed"
    BZIP2 = "bzip2-compressed"
    XZ = "xz-compressed"
    ZSTD = "zstd-compressed"
    LZ4 = "lz4-compressed"
    NUMPY = "a numpy array"
    HTML = "a web page"
    UNKNOWN = "nothing that embaudit knows"

    def __str__(self) -> str:
        return self.value


_FIRST_BYTES = 16
"""Enough for all but tar, and too few to reach the tensor data of any file."""
_TAR_BYTES = 262
_TAR_MARK_AT = 257
_LENGTH_BYTES = 8
_HEADER_BYTES = 64 * KIB
"""Looked through for the brace of a header that begins with white space."""
_WHITE_SPACE = b" \t\r\n"
_HIGHEST_PROTOCOL = 5

_SIGNATURES = (
    (b"PK\x03\x04", Container.ZIP),
    (b"GGUF", Container.GGUF),
    (b"\x89HDF\r\n\x1a\n", Container.HDF5),
    (b"7z\xbc\xaf\x27\x1c", Container.SEVEN_ZIP),
    (b"\x1f\x8b", Container.GZIP),
    (b"BZh", Container.BZIP2),
    (b"\xfd7zXZ\0", Container.XZ),
    (b"\x28\xb5\x2f\xfd", Container.ZSTD),
    (b"\x04\x22\x4d\x18", Container.LZ4),
    (b"\x93NUMPY", Container.NUMPY),
    (b"version https://", Container.LFS_POINTER),
    (b"<!DOCTYPE", Container.HTML),
    (b"<!doctype", Container.HTML),
    (b"<html", Container.HTML),
)


def sniff(view: ByteView) -> Container:
    """The container of a file, from at most its first 262 bytes, or more if they are a header's white space.

    A zip is what has a zip's signature at byte 0, as for torch: one with something before it is not. A pickle
    is what declares a protocol; those of protocol 0 and 1 declare none and are `UNKNOWN`.
    """
    head = view.read(0, _FIRST_BYTES)
    if not head:
        return Container.EMPTY
    for signature, container in _SIGNATURES:
        if head.startswith(signature):
            return container
    opens_object = head[_LENGTH_BYTES:].lstrip(_WHITE_SPACE).startswith(b"{")
    # A length may begin like a pickle, with 80 02, but then a pickle it is not: 00 is no opcode.
    if _begins_with_header(view, head):
        return Container.SAFETENSORS
    if head[0] == 0x80 and len(head) > 1 and head[1] <= _HIGHEST_PROTOCOL:  # noqa: PLR2004 - the PROTO opcode
        return Container.PICKLE
    if opens_object:
        return Container.SAFETENSORS
    if view.read(0, _TAR_BYTES)[_TAR_MARK_AT:] == b"ustar":
        return Container.TAR
    return Container.UNKNOWN


def _begins_with_header(view: ByteView, head: bytes) -> bool:
    """Whether a length that the file has room for comes first, then an object, maybe behind white space.

    safetensors puts its brace at byte 8, and takes any white space of JSON before it.
    """
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if length > view.size - _LENGTH_BYTES:
        return False
    text = head[_LENGTH_BYTES:]
    if not text.strip(_WHITE_SPACE):
        text = view.read(len(head), min(_LENGTH_BYTES + length, _HEADER_BYTES))
    return text.lstrip(_WHITE_SPACE).startswith(b"{")
