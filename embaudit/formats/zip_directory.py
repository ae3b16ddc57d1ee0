"""Reads the directory of a zip archive strictly: one reading only, or an error.

Zip readers disagree about damaged and crafted archives. torch reads with miniz, by the central directory;
others adjust offsets, believe local headers, or take the last of two equal names. What could be read in two
ways is a `FormatError`; what has one reading but is never written by torch is an `Oddity`.

Formats: APPNOTE 6.3.10 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), sections 4.3.7, 4.3.12,
4.3.14 to 4.3.16; torch's writer is the miniz inside https://github.com/pytorch/pytorch/tree/v2.13.0/third_party.
Nothing here inflates anything.
"""

import re
from struct import Struct
from typing import NoReturn

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Oddity
from embaudit.model.limits import Limits

STORED = 0
"""The method of a member that is not compressed."""
DESCRIPTOR_FLAG = 0x0008
"""The sizes are repeated in a data descriptor behind the payload."""
UTF8_FLAG = 0x0800
"""The name is UTF-8."""

_TORCH_FLAGS = DESCRIPTOR_FLAG | UTF8_FLAG
_END = Struct("<4s4H2IH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = Struct("<4sIQI")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = Struct("<4sQ2H2I4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_END64_SIZE = 44
"""The size field of a zip64 end record without extensions: its 56 bytes without the first 12."""
_CENTRAL = Struct("<4s4x2H4x3I4H2x2I")
"""Signature, flags, method, CRC, sizes, lengths of name, extra and comment, disk, attributes, position."""
_CENTRAL_SIGNATURE = b"PK\x01\x02"
_TAIL_BYTES = _END64.size + _LOCATOR.size + _END.size
_MAX_COMMENT = 0xFFFF
_FULL16 = 0xFFFF
_FULL32 = 0xFFFFFFFF
_ZIP64_TAG = 1
_MAX_ODDITIES = 20
"""Oddities of one archive that are told one by one."""
_BEFORE_BYTES = 1024
"""Asked for before a directory over a network: torch writes two small records there, of at most 200 bytes."""
_EXTRA = Struct("<2H")
_NUMBER64_BYTES = 8
_DIRECTORY_ATTRIBUTE = 0x10
_BAD_NAME = re.compile(rb"\A(?:/|\Z)|[\0\\]|(?<![^/])\.\.(?![^/])")


@attrs.define(eq=False, weakref_slot=False)
class ZipEntry:
    """One member, as the central directory lists it.

    Attributes:
        name: The name as text.
        raw_name: The name as stored.
        flags: General purpose bits.
        method: 0 for stored.
        crc: CRC-32 of the payload as listed; 0 where the writer left it out.
        n_bytes: Bytes of the payload in the file.
        full_bytes: Bytes of the payload after inflating.
        header: Byte of the file where the local header begins.
    """

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    n_bytes: int
    full_bytes: int
    header: int


@attrs.frozen
class ZipDirectory:
    """All members of an archive.

    Attributes:
        entries: The members, in the order of the central directory.
        start: Byte of the file where the central directory begins; members end before it.
        oddities: What torch never writes.
    """

    entries: tuple[ZipEntry, ...]
    start: int
    oddities: tuple[Oddity, ...]


@attrs.frozen
class _End:
    """Where the central directory is, as the end records agree: its start and stop, and its entries."""

    start: int
    stop: int
    n_entries: int


def read_directory(view: ByteView, limits: Limits) -> ZipDirectory:
    """The members of the zip archive that `view` is, from its tail and its central directory.

    Raises:
        FormatError: If it isn't a zip, or one that two readers would read differently.
        LimitError: If the directory is larger than `zip_directory_bytes`.
    """
    oddities: list[Oddity] = []
    end = _find_end(view, oddities)
    if end.stop - end.start > limits.zip_directory_bytes:
        raise LimitError(
            f"a zip directory of {end.stop - end.start} bytes is more than {limits.zip_directory_bytes}",
            "",
            "zip_directory_bytes",
        )
    view.announce([(max(0, end.start - _BEFORE_BYTES), end.stop)])
    entries = _read_entries(view.read(end.start, end.stop), end)
    _check_names(entries)
    oddities += [
        Oddity(
            file=view.path,
            problem=f"zip member {entry.name!r} has flags {entry.flags:#06x}",
            position=entry.header,
        )
        for entry in entries
        if entry.flags & ~_TORCH_FLAGS
    ][:_MAX_ODDITIES]
    return ZipDirectory(tuple(entries), end.start, tuple(oddities))


def _find_end(view: ByteView, oddities: list[Oddity]) -> _End:
    """Where the central directory is."""
    tail_start = max(0, view.size - _TAIL_BYTES)
    tail = view.read(tail_start, view.size)
    if tail[-_END.size :][:4] != _END_SIGNATURE or tail[-2:] != b"\0\0":
        tail_start, tail = _tail_with_comment(view, oddities)
    at = tail_start + len(tail) - _END.size
    fields = _END.unpack_from(tail, len(tail) - _END.size)
    _signature, disk, directory_disk, n_here, n_entries, size, start, _comment = fields
    if disk not in {0, _FULL16} or directory_disk not in {0, _FULL16} or n_here != n_entries:
        _fail("the zip spans several disks", at)
    end64 = _read_end64(tail, tail_start, at)
    if end64 is None:
        end = _End(start, start + size, n_entries)
    else:
        end, at = end64
        _check_same_end(end, start, size, n_entries, at)
    if end.stop != at:
        _fail(f"the zip directory ends at {end.stop}, where its end record does not begin: two readings", at)
    return end


def _tail_with_comment(view: ByteView, oddities: list[Oddity]) -> tuple[int, bytes]:
    """The tail of an archive with a comment or with bytes behind it, up to its end record (included)."""
    start = max(0, view.size - _TAIL_BYTES - _MAX_COMMENT)
    tail = view.read(start, view.size)
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise FormatError("the zip has no end record: it is cut short, or not a zip")
    if tail.count(_END_SIGNATURE, max(0, at - _MAX_COMMENT)) > 1:
        _fail("the zip has two end records: two readings", start + at)
    n_behind = len(tail) - at - _END.size
    oddities.append(
        Oddity(file=view.path, problem=f"{n_behind} bytes follow the zip's end record", position=start + at)
    )
    return start, tail[: at + _END.size]


def _read_end64(tail: bytes, tail_start: int, at: int) -> tuple[_End, int] | None:
    """The zip64 end record before the end record at byte `at`, with its position, if there is one."""
    here = at - tail_start - _LOCATOR.size
    if here < 0 or tail[here : here + 4] != _LOCATOR_SIGNATURE:
        return None
    _signature, disk, position, n_disks = _LOCATOR.unpack_from(tail, here)
    if disk != 0 or n_disks > 1:
        _fail("the zip spans several disks", at)
    if position != tail_start + here - _END64.size or here < _END64.size:
        _fail(f"the zip64 locator points to {position}, not to the record before it: two readings", at)
    fields = _END64.unpack_from(tail, here - _END64.size)
    signature, record_size, _made, _needed, disk, directory_disk, n_here, n_entries, size, start = fields
    if signature != _END64_SIGNATURE or record_size != _END64_SIZE:
        _fail("the zip64 end record is not the plain one of 56 bytes", position)
    if disk or directory_disk or n_here != n_entries:
        _fail("the zip spans several disks", position)
    return _End(start, start + size, n_entries), position


def _check_same_end(end: _End, start: int, size: int, n_entries: int, at: int) -> None:
    """Hold the classic end record against the zip64 one: equal, or full where it says nothing."""
    said = (
        (start, end.start, _FULL32),
        (size, end.stop - end.start, _FULL32),
        (n_entries, end.n_entries, _FULL16),
    )
    if any(classic not in {value, full} for classic, value, full in said):
        _fail("the zip's two end records contradict one another: two readings", at)


def _read_entries(directory: bytes, end: _End) -> list[ZipEntry]:
    entries: list[ZipEntry] = []
    at, size = 0, len(directory)
    while at < size:
        if at + _CENTRAL.size > size:
            _fail("the zip directory holds something other than entries", end.start + at)
        entry, at = _read_entry(directory, at, end.start)
        entries.append(entry)
    if len(entries) != end.n_entries:
        _fail(f"the zip has {len(entries)} members and its end record counts {end.n_entries}", end.stop)
    if not entries:
        _fail("the zip is empty", end.stop)
    return entries


def _read_entry(directory: bytes, at: int, base: int) -> tuple[ZipEntry, int]:
    """The entry at index `at`, and the index after it."""
    fields = _CENTRAL.unpack_from(directory, at)
    signature, flags, method, crc, n_bytes, full_bytes, *lengths, disk, attributes, header = fields
    if signature != _CENTRAL_SIGNATURE:
        _fail("the zip directory holds something other than entries", base + at)
    n_name, n_extra, n_comment = lengths
    name_stop = at + _CENTRAL.size + n_name
    stop = name_stop + n_extra + n_comment
    if stop > len(directory):
        _fail("the zip directory is cut short in an entry", base + at)
    if _FULL32 in (n_bytes, full_bytes, header):
        extra = directory[name_stop : name_stop + n_extra]
        full_bytes, n_bytes, header = _zip64_sizes(extra, (full_bytes, n_bytes, header), base + at)
    if disk not in {0, _FULL16}:
        _fail("the zip spans several disks", base + at)
    if header + n_bytes >= base:
        _fail("a zip member lies in the directory or beyond", base + at)
    if method == STORED and n_bytes != full_bytes:
        _fail("a stored zip member has two sizes: two readings", base + at)
    raw = directory[at + _CENTRAL.size : name_stop]
    if full_bytes and (attributes & _DIRECTORY_ATTRIBUTE or raw.endswith(b"/")):
        # miniz reads nothing of what it takes for a folder, and torch then loads memory as it finds it.
        _fail("a zip member with content is marked as a folder: two readings", base + at)
    name = raw.decode("utf-8", "backslashreplace")
    return ZipEntry(name, raw, flags, method, crc, n_bytes, full_bytes, header), stop


def _zip64_sizes(extra: bytes, values: tuple[int, int, int], at: int) -> list[int]:
    """Both sizes and the header's position, with the zip64 field's values where `values` are full."""
    field = _zip64_field(extra)
    sizes: list[int] = []
    for value in values:
        if value != _FULL32:
            sizes.append(value)
        elif len(field) < _NUMBER64_BYTES:
            _fail("a zip member's large sizes are missing", at)
        else:
            sizes.append(int.from_bytes(field[:_NUMBER64_BYTES], "little"))
            field = field[_NUMBER64_BYTES:]
    return sizes


def _zip64_field(extra: bytes) -> bytes:
    """The zip64 extended information among the extra fields, or nothing."""
    while len(extra) >= _EXTRA.size:
        tag, n_bytes = _EXTRA.unpack_from(extra)
        if tag == _ZIP64_TAG:
            return extra[_EXTRA.size : _EXTRA.size + n_bytes]
        extra = extra[_EXTRA.size + n_bytes :]
    return b""


def _check_names(entries: list[ZipEntry]) -> None:
    # One look at all names together is enough for all that torch writes.
    together = b"\n/".join(entry.raw_name for entry in entries)
    if any(mark in together for mark in (b"\0", b"\\", b"..", b"//")) or together.startswith(b"/"):
        for entry in entries:
            if _BAD_NAME.search(entry.raw_name) is not None:
                _fail(f"zip member {entry.name!r} has a name that no file can have", entry.header)
    if len({entry.raw_name.lower() for entry in entries}) != len(entries):
        _fail("two zip members have one name, if case does not count: two readings", entries[0].header)


def _fail(problem: str, position: int) -> NoReturn:
    raise FormatError(f"{problem}, at byte {position}")
