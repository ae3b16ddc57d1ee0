"""Finds where the payloads of a zip archive's members lie, from their local headers, and reads small ones.

The local headers are read because they alone say where a payload begins. Small members that lie side by side
are read together with their headers; of a large member nothing but its header is read.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from struct import Struct

import attrs

from embaudit.errors import FormatError
from embaudit.formats.view import ByteView
from embaudit.formats.zip_directory import DESCRIPTOR_FLAG, ZipDirectory, ZipEntry
from embaudit.model.checkpoint import Oddity

_LOCAL = Struct("<4s2x2H16x2H")
"""Signature, flags, method, lengths of name and extra field; the rest is left to the directory."""
_LOCAL_BYTES = _LOCAL.size
_LOCAL_SIGNATURE = b"PK\x03\x04"
_FULL32 = 0xFFFFFFFF
_DESCRIPTOR_BYTES = 16
_DESCRIPTOR64_BYTES = 24
_MAX_PADDING = 65536
"""Bytes beside the payload of a small member that are read with it; torch pads to an alignment of 64."""
_MAX_ODDITIES = 20
"""Oddities of one archive that are told one by one."""


@attrs.frozen(eq=False)
class Archive:
    """An archive whose members have been located.

    Attributes:
        view: The file.
        entries: Name to entry, in the order of the central directory.
        starts: Name to the byte of the file where the payload begins.
        oddities: What torch never writes.
        chunks: What has been read of small members: first byte, and bytes.
    """

    view: ByteView
    entries: Mapping[str, ZipEntry]
    starts: Mapping[str, int]
    oddities: tuple[Oddity, ...]
    chunks: tuple[tuple[int, bytes], ...]

    def payload(self, name: str) -> bytes:
        """The payload of a member, as it lies in the file."""
        start = self.starts[name]
        stop = start + self.entries[name].n_bytes
        for first, data in self.chunks:
            if first <= start and stop <= first + len(data):
                return data[start - first : stop - first]
        return self.view.read(start, stop)

    def crc_oddity(self, name: str) -> Oddity | None:
        """What is odd about a member's checksum; one of 0 was left out by the writer, which isn't odd."""
        entry = self.entries[name]
        if entry.crc in {0, zlib.crc32(self.payload(name))}:
            return None
        problem = f"zip member {name!r} has another CRC-32 than its directory entry says"
        return Oddity(file=self.view.path, problem=problem, position=self.starts[name])


def locate_members(view: ByteView, directory: ZipDirectory, small: Collection[str]) -> Archive:
    """Find the payloads of all members.

    Args:
        view: The file.
        directory: Its directory.
        small: Names of members that may be read whole while their headers are read.

    Raises:
        FormatError: If a local header is missing, contradicts the directory, or members overlap.
    """
    entries = sorted(directory.entries, key=lambda entry: entry.header)
    stops = [*(entry.header for entry in entries[1:]), directory.start]
    oddities = list(directory.oddities)
    if entries[0].header:
        problem = f"{entries[0].header} bytes come before the first zip member"
        oddities.append(Oddity(file=view.path, problem=problem, position=0))
    runs = _small_runs(entries, stops, small)
    chunks: list[tuple[int, bytes]] = []
    starts: dict[str, int] = {}
    first = end = 0
    data = b""
    for entry, stop in zip(entries, stops, strict=True):
        header = entry.header
        if header >= end:
            first, end = header, runs.get(header, 0) or header + _LOCAL_BYTES + len(entry.raw_name)
            data = view.read(header, end)
            if header in runs:
                chunks.append((header, data))
        starts[entry.name], problem = _payload_start(entry, data, header - first, stop)
        if problem and len(oddities) < _MAX_ODDITIES:
            oddities.append(Oddity(file=view.path, problem=problem, position=header))
    by_name = {entry.name: entry for entry in directory.entries}
    return Archive(view, by_name, starts, tuple(oddities), tuple(chunks))


def _small_runs(entries: Sequence[ZipEntry], stops: Sequence[int], small: Collection[str]) -> dict[int, int]:
    """The first byte of each run of small members that lie side by side, and the byte after it.

    A run ends after the header of the member that follows it.
    """
    runs: dict[int, int] = {}
    start = end = -1
    for entry, stop in zip(entries, stops, strict=True):
        if start >= 0:
            runs[start] = end + _LOCAL_BYTES + len(entry.raw_name)
        beside = stop - entry.header - entry.n_bytes
        if entry.name not in small or beside > _MAX_PADDING:
            start = -1
            continue
        start, end = (entry.header if start < 0 else start), stop
        runs[start] = end
    return runs


def _payload_start(entry: ZipEntry, data: bytes, at: int, stop: int) -> tuple[int, str]:
    """The byte where a member's payload begins, and what is odd about the member.

    Args:
        entry: The member.
        data: Bytes that hold its local header and the name.
        at: Index of the local header in them.
        stop: Byte of the file where the next member, or the directory, begins.
    """
    if at + _LOCAL_BYTES > len(data):
        raise FormatError(f"zip member {entry.name!r} is cut short at byte {entry.header}")
    signature, flags, method, n_name, n_extra = _LOCAL.unpack_from(data, at)
    if signature != _LOCAL_SIGNATURE:
        raise FormatError(f"zip member {entry.name!r} has no local header at byte {entry.header}")
    name_at = at + _LOCAL_BYTES
    start = entry.header + _LOCAL_BYTES + n_name + n_extra
    left = stop - start - entry.n_bytes
    if left < 0:
        raise FormatError(f"zip member {entry.name!r} overlaps the next, at byte {entry.header}")
    if n_name != len(entry.raw_name) or data[name_at : name_at + n_name] != entry.raw_name:
        return start, f"zip member {entry.name!r} is called otherwise in its local header"
    if flags != entry.flags or method != entry.method:
        return start, f"zip member {entry.name!r} has other flags or another method in its local header"
    if left != _DESCRIPTOR_BYTES or not flags & DESCRIPTOR_FLAG:
        return start, _gap(entry, left)
    return start, ""


def _gap(entry: ZipEntry, left: int) -> str:
    """What is odd about the `left` bytes between a member's payload and what comes next."""
    expected = 0
    if entry.flags & DESCRIPTOR_FLAG:
        large = entry.n_bytes >= _FULL32 or entry.header >= _FULL32
        expected = _DESCRIPTOR64_BYTES if large else _DESCRIPTOR_BYTES
    return "" if left == expected else f"{left} bytes, not {expected}, follow zip member {entry.name!r}"
