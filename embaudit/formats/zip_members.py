"""Finds where the payloads of a zip archive's members lie, from their local headers, and reads small ones.

The local headers are read because they alone say where a payload begins. Small members that lie side by side
are read together with their headers; of a large member nothing but its header is read.

Over a network, where each header is a request, the payload of a large member may be inferred instead: torch
pads the header so that the payload begins at a multiple of an alignment, and writes the next member right
behind. Where what torch would have written ends exactly at the next member, nothing is left that its local
header could tell of a file written by torch; any other member is looked up.
Source: `getPadding` in https://github.com/pytorch/pytorch/blob/v2.13.0/caffe2/serialize/inline_container.cc,
and `_get_offset` in `torch/serialization.py` there.
"""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from struct import Struct

import attrs

from embaudit.errors import FormatError
from embaudit.formats.view import ByteView
from embaudit.formats.zip_directory import (
    DESCRIPTOR_FLAG,
    STORED,
    UTF8_FLAG,
    ZipDirectory,
    ZipEntry,
)
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
_DEFAULT_ALIGNMENT = 64
"""What payloads are aligned to where no member says so: `kFieldAlignment`, fixed before torch 2.7."""
_ALIGNMENT_DIGITS = 5
"""Digits of an alignment that is believed."""
_PADDING_TAG_BYTES = 4
"""Tag and length of the extra field `FB` that pads a local header; torch writes one in every header."""
_MAX_EXTRA = 0xFFFF
_NUMBER64_BYTES = 8

Members = Sequence[tuple[ZipEntry, int]]
"""Entries in the order of their headers, each with the byte where the next member or the directory begins."""


@attrs.frozen(eq=False)
class Archive:
    """An archive whose members have been located.

    Attributes:
        view: The file.
        entries: Name to entry, in the order of the central directory.
        starts: Name to the byte of the file where the payload begins.
        oddities: What torch never writes.
        chunks: What has been read of small members: first byte, and bytes.
        inferred: Names of the members whose local headers were not read.
    """

    view: ByteView
    entries: Mapping[str, ZipEntry]
    starts: Mapping[str, int]
    oddities: tuple[Oddity, ...]
    chunks: tuple[tuple[int, bytes], ...]
    inferred: frozenset[str] = frozenset()

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


def locate_members(
    view: ByteView, directory: ZipDirectory, small: Collection[str], alignment_record: str
) -> Archive:
    """Find the payloads of all members.

    Args:
        view: The file. Where it says that places may be inferred, they are, of members that are not small.
        directory: Its directory.
        small: Names of members that may be read whole while their headers are read.
        alignment_record: Name of the member that tells the alignment of payloads, if there is one.

    Raises:
        FormatError: If a local header is missing, contradicts the directory, or members overlap.
    """
    entries = sorted(directory.entries, key=lambda entry: entry.header)
    members = list(zip(entries, [*(entry.header for entry in entries[1:]), directory.start], strict=True))
    oddities = list(directory.oddities)
    if entries[0].header:
        problem = f"{entries[0].header} bytes come before the first zip member"
        oddities.append(Oddity(file=view.path, problem=problem, position=0))
    by_name = {entry.name: entry for entry in directory.entries}
    search = _Search(view, by_name, _small_runs(members, small))
    if view.infers:
        search.look_up([member for member in members if member[0].name in small])
        others = [member for member in members if member[0].name not in small]
        search.look_up(search.infer(others, alignment_record))
    else:
        search.look_up(members)
    odd = sorted(search.problems)[: max(0, _MAX_ODDITIES - len(oddities))]
    oddities += [Oddity(file=view.path, problem=problem, position=header) for header, problem in odd]
    return search.archive(tuple(oddities))


@attrs.define
class _Search:
    """The finding of payloads.

    Attributes:
        view: The file.
        entries: Name to entry.
        runs: The first byte of each run of small members that are read together, and the byte after it.
        starts: Name to the byte where the payload begins, so far.
        problems: Byte of a header, and what is odd about the member, so far.
        chunks: What has been read of small members: first byte, and bytes.
        inferred: Names of the members whose local headers were not read.
    """

    view: ByteView
    entries: Mapping[str, ZipEntry]
    runs: Mapping[int, int]
    starts: dict[str, int] = attrs.field(factory=dict)
    problems: list[tuple[int, str]] = attrs.field(factory=list)
    chunks: list[tuple[int, bytes]] = attrs.field(factory=list)
    inferred: set[str] = attrs.field(factory=set)

    def look_up(self, members: Members) -> None:
        """Read the local headers of some members; those of small ones together with what lies beside."""
        self.view.announce(self._spans(members))
        starts, n_problems = self.starts, 0
        first = end = 0
        data = b""
        for entry, stop in members:
            header = entry.header
            if header >= end:
                first, end = header, self.runs.get(header) or header + _LOCAL_BYTES + len(entry.raw_name)
                data = self.view.read(header, end)
                if header in self.runs:
                    self.chunks.append((header, data))
            starts[entry.name], problem = _payload_start(entry, data, header - first, stop)
            if problem and n_problems < _MAX_ODDITIES:
                n_problems += 1
                self.problems.append((header, problem))

    def infer(self, members: Members, alignment_record: str) -> list[tuple[ZipEntry, int]]:
        """Note where payloads begin of which the directory leaves no doubt; gives the other members."""
        alignment = self._alignment(alignment_record)
        doubtful: list[tuple[ZipEntry, int]] = []
        for entry, stop in members:
            start = _aligned_start(entry, alignment) if alignment and _is_torch_entry(entry) else None
            if start is not None and start + entry.n_bytes + _descriptor_bytes(entry) == stop:
                self.starts[entry.name] = start
                self.inferred.add(entry.name)
            else:
                doubtful.append((entry, stop))
        return doubtful

    def archive(self, oddities: tuple[Oddity, ...] = ()) -> Archive:
        """What has been found."""
        chunks, inferred = tuple(self.chunks), frozenset(self.inferred)
        return Archive(self.view, self.entries, self.starts, oddities, chunks, inferred)

    def _spans(self, members: Members) -> Iterator[tuple[int, int]]:
        """All reads that looking members up takes."""
        end = 0
        for entry, _ in members:
            if entry.header >= end:
                end = self.runs.get(entry.header) or entry.header + _LOCAL_BYTES + len(entry.raw_name)
                yield entry.header, end

    def _alignment(self, record: str) -> int:
        """What payloads are aligned to; 0 if a member speaks of it in other words than torch's."""
        entry = self.entries.get(record)
        if entry is None:
            return _DEFAULT_ALIGNMENT
        if record not in self.starts or entry.method != STORED or entry.n_bytes > _ALIGNMENT_DIGITS:
            return 0
        digits = self.archive().payload(record)
        return int(digits) if digits.isdigit() else 0


def _small_runs(members: Members, small: Collection[str]) -> dict[int, int]:
    """The first byte of each run of small members that lie side by side, and the byte after it.

    A run ends after the header of the member that follows it.
    """
    runs: dict[int, int] = {}
    start = end = -1
    for entry, stop in members:
        if start >= 0:
            runs[start] = end + _LOCAL_BYTES + len(entry.raw_name)
        beside = stop - entry.header - entry.n_bytes
        if entry.name not in small or beside > _MAX_PADDING:
            start = -1
            continue
        start, end = (entry.header if start < 0 else start), stop
        runs[start] = end
    return runs


def _is_torch_entry(entry: ZipEntry) -> bool:
    """Whether flags and method are what torch writes; what a local header says of others has to be seen."""
    described = DESCRIPTOR_FLAG if entry.n_bytes else 0
    return entry.method == STORED and entry.flags == UTF8_FLAG | described


def _aligned_start(entry: ZipEntry, alignment: int) -> int | None:
    """Where torch would have begun the payload behind a member's header; None if no header is so long."""
    name_stop = entry.header + _LOCAL_BYTES + len(entry.raw_name)
    start = name_stop + _PADDING_TAG_BYTES
    large = 2 * (entry.n_bytes >= _FULL32) + (entry.header >= _FULL32)
    if large:
        # The zip64 field: both sizes if they are large, the header's position if that is.
        start += _PADDING_TAG_BYTES + large * _NUMBER64_BYTES
    start += -start % alignment
    return start if start - name_stop <= _MAX_EXTRA else None


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
    expected = _descriptor_bytes(entry)
    return "" if left == expected else f"{left} bytes, not {expected}, follow zip member {entry.name!r}"


def _descriptor_bytes(entry: ZipEntry) -> int:
    """What the sizes behind a member's payload take."""
    if not entry.flags & DESCRIPTOR_FLAG:
        return 0
    large = entry.n_bytes >= _FULL32 or entry.header >= _FULL32
    return _DESCRIPTOR64_BYTES if large else _DESCRIPTOR_BYTES
