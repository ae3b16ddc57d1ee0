"""Holds the zip reader against crafted and damaged archives; intact ones are held against torch elsewhere."""

import io
import pickle
import zipfile
import zlib
from collections.abc import Callable
from struct import pack
from typing import Any

import attrs
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.tensor_walk import slot_of
from embaudit.formats.view import ByteView, view_of
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import Limits

FLOATS = torch.arange(4.0)
EVIL = b"cos\nsystem\n(X\x02\x00\x00\x00idtR."


def data_pickle(**changes: bytes) -> bytes:
    """The data.pkl of one float tensor `w` of 4 elements; `changes` replace spelled-out parts of it."""
    parts = {
        "start": b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage",
        "storage": b"ctorch\nFloatStorage\n",
        "key": b"X\x01\x00\x00\x000",
        "location": b"X\x03\x00\x00\x00cpu",
        "numel": b"K\x04",
        "tail": b"tQ",
        "offset": b"K\x00",
        "size": b"K\x04\x85",
        "stride": b"K\x01\x85",
        "grad": b"\x89",
        "hooks": b"ccollections\nOrderedDict\n)R",
        "end": b"tRs.",
    } | changes
    return b"".join(parts.values())


def rebuilt(function: str, arguments: bytes, module: bytes = b"torch._utils") -> bytes:
    """The data.pkl of one value `w` that a function of torch's would rebuild from `arguments`."""
    return b"\x80\x02}X\1\0\0\0wc%s\n_rebuild_%s\n(%stRs." % (module, function.encode(), arguments)


@attrs.define
class Member:
    """A member of a hand-made archive; what is None is as torch writes it."""

    name: bytes
    payload: bytes
    local_name: bytes | None = None
    flags: int = 0x0808
    local_flags: int | None = None
    method: int = 0
    crc: int = 0
    n_bytes: int | None = None
    full_bytes: int | None = None
    disk: int = 0
    header: int | None = None
    local_signature: bytes = b"PK\x03\x04"
    behind: bytes = b""
    extra: bytes = b""
    attributes: int = 0

    def local(self) -> bytes:
        """The local header, the payload and the descriptor."""
        name = self.name if self.local_name is None else self.local_name
        flags = self.flags if self.local_flags is None else self.local_flags
        header = self.local_signature + pack("<5H3I2H", 0, flags, self.method, 0, 0, 0, 0, 0, len(name), 0)
        descriptor = b"PK\x07\x08" + bytes(12) if self.flags & 8 else b""
        return header + name + self.payload + descriptor + self.behind

    def central(self, at: int) -> bytes:
        """The directory's entry, for a local header at byte `at`."""
        n_bytes = len(self.payload) if self.n_bytes is None else self.n_bytes
        full = len(self.payload) if self.full_bytes is None else self.full_bytes
        header = at if self.header is None else self.header
        numbers = (
            0,
            0,
            self.flags,
            self.method,
            0,
            0,
            self.crc,
            n_bytes,
            full,
            len(self.name),
            len(self.extra),
            0,
            self.disk,
            0,
            self.attributes,
            header,
        )
        return b"PK\x01\x02" + pack("<6H3I5H2I", *numbers) + self.name + self.extra


def members(pickled: bytes | None = None, **extra: Member | None) -> list[Member]:
    """The members of a small checkpoint; `extra` replaces, adds or takes away some."""
    known = {
        "pickle": Member(b"a/data.pkl", data_pickle() if pickled is None else pickled),
        "byteorder": Member(b"a/byteorder", b"little"),
        "data": Member(b"a/data/0", FLOATS.numpy().tobytes()),
        "version": Member(b"a/version", b"3\n"),
    }
    return [member for member in (known | extra).values() if member is not None]


def archive(
    files: list[Member],
    *,
    prefix: bytes = b"",
    zip64: bool = True,
    behind: bytes = b"",
    edit: Callable[[bytes], bytes] = bytes,
    **tail: int,
) -> bytes:
    """The bytes of an archive with torch's tail; `edit` changes its directory, `tail` the tail's fields."""
    body = bytearray(prefix)
    directory = b""
    for member in files:
        directory += member.central(len(body))
        body += member.local()
    directory = edit(directory)
    fields = {
        "start": len(body),
        "size": len(directory),
        "n": len(files),
        "n_here": len(files),
        "disk": 0,
        "record": 44,
        "classic_start": len(body),
        "gap": 0,
        "comment": len(behind),
    } | tail
    body += directory + bytes(fields["gap"])
    if zip64:
        record = len(body)
        numbers = (fields["n_here"], fields["n"], fields["size"], fields["start"])
        disk = fields.get("record_disk", fields["disk"])
        body += b"PK\x06\x06" + pack("<Q2H2I4Q", fields["record"], 798, 45, disk, 0, *numbers)
        body += b"PK\x06\x07" + pack("<IQI", 0, fields.get("locator", record), fields.get("n_disks", 1))
    numbers = (fields["n_here"] & 0xFFFF, fields["n"] & 0xFFFF, fields["size"], fields["classic_start"])
    return (
        bytes(body) + b"PK\x05\x06" + pack("<4H2IH", fields["disk"], 0, *numbers, fields["comment"]) + behind
    )


def zip64_extra(*sizes: int) -> bytes:
    """The extra field of an entry that holds its large sizes, behind an extra field of another kind."""
    return b"FB" + pack("<H2x", 2) + pack(f"<2H{len(sizes)}Q", 1, 8 * len(sizes), *sizes)


FULL32 = 0xFFFFFFFF


def pickle_member(**changes: object) -> Member:
    """data.pkl with `changes`."""
    return Member(b"a/data.pkl", data_pickle(), **changes)


def read(data: bytes, limits: Limits | None = None) -> Checkpoint:
    """The checkpoint in `data`."""
    return parse_checkpoint(view_of(data, "model.bin"), limits or Limits())


@pytest.mark.parametrize("zip64", [True, False])
def test_the_hand_made_archive_is_what_torch_writes(torch_files: Any, zip64: bool) -> None:
    """The archive that the tables below damage is itself read as torch reads it, without any oddity."""
    data = archive(members(), zip64=zip64)

    checkpoint = torch_files.assert_agrees(data, weights_only=True)

    assert checkpoint.oddities == ()
    assert checkpoint.pickle.reasons == ()


DAMAGED = {
    "cut off": (archive(members())[:-30], "no end record"),
    "Z1 directory not before its end record": (archive(members(), zip64=False, gap=46), "two readings"),
    "Z1 the same with a zip64 record": (archive(members(), gap=46), "two readings"),
    "Z1 two directories": (
        archive(
            members(),
            edit=lambda entries: entries * 2,
            size=sum(46 + len(member.name) for member in members()),
        ),
        "two readings",
    ),
    "Z1 directory elsewhere": (archive(members(), zip64=False, classic_start=0), "two readings"),
    "Z2 locator to another record": (archive(members(), locator=3), "locator points to 3"),
    "Z2 extended zip64 record": (archive(members(), record=60), "not the plain one"),
    "Z2 end records disagree": (archive(members(), classic_start=7), "contradict one another"),
    "Z4 stored with two sizes": (archive(members(pickle=pickle_member(n_bytes=5))), "two sizes"),
    "Z7 two members of one name": (archive(members(again=Member(b"a/data/0", b""))), "one name"),
    "Z7 equal but for case": (archive(members(again=Member(b"A/DATA.pkl", b""))), "one name"),
    "Z9 two end records": (
        archive(members(), behind=archive(members(), zip64=False)[-22:]),
        "two readings",
    ),
    "Z9 two end records and a byte behind": (
        archive(members(), behind=archive(members(), zip64=False)[-22:] + b"x"),
        "two end records",
    ),
    "Z9 more bytes behind than a comment has": (
        archive(members(), behind=bytes(70_000), comment=0),
        "no end",
    ),
    "Z10 two entries of one header": (
        archive(members(again=Member(b"a/b", b"", header=0))),
        "overlaps the next",
    ),
    "Z10 payload over the next": (
        archive(members(pickle=pickle_member(n_bytes=300, full_bytes=300))),
        "overlaps the next",
    ),
    "Z10 member in the directory": (
        archive(members(again=Member(b"a/b", b"", header=10**6))),
        "in the directory",
    ),
    "Z10 header reaching into the directory": (
        archive(members(again=Member(b"a/b", b"", header=len(b"".join(map(Member.local, members()))) + 40))),
        "is cut short",
    ),
    "Z11 deflated pickle": (archive(members(pickle=pickle_member(method=8))), "compressed"),
    "Z11 deflated data": (archive(members(data=Member(b"a/data/0", bytes(16), method=8))), "compressed"),
    "Z11 deflated version": (archive(members(version=Member(b"a/version", b"3\n", method=8))), "compressed"),
    "Z11 data in bzip2": (archive(members(data=Member(b"a/data/0", bytes(16), method=12))), "compressed"),
    "Z12 NUL in a name": (archive(members(x=Member(b"a/x\0y", b""))), "no file can have"),
    "Z12 backslash": (archive(members(x=Member(b"a\\x", b""))), "no file can have"),
    "Z12 absolute": (archive(members(x=Member(b"/x", b""))), "no file can have"),
    "Z12 dot dot": (archive(members(x=Member(b"a/../x", b""))), "no file can have"),
    "Z13 too few counted": (archive(members(), n=3, n_here=3), "its end record counts 3"),
    "Z13 too many counted": (archive(members(), n=9, n_here=9), "its end record counts 9"),
    "Z15 a deflate bomb": (archive(members(pickle=pickle_member(method=8, full_bytes=2**31))), "compressed"),
    "Z17 4 billion entries counted": (archive(members(), n=FULL32, n_here=FULL32), "counts 4294967295"),
    "Z17 a directory of 2 GB": (archive(members(), size=2**31), "two readings"),
    "Z19 several disks": (archive(members(), disk=1), "several disks"),
    "Z19 a member on another disk": (archive(members(pickle=pickle_member(disk=1))), "several disks"),
    "Z19 several disks in the locator": (archive(members(), n_disks=3), "several disks"),
    "Z19 several disks in the zip64 record": (archive(members(), record_disk=1), "several disks"),
    "content in what is marked as a folder": (
        archive(members(data=Member(b"a/data/0", bytes(16), attributes=0x10))),
        "marked as a folder",
    ),
    "content in what is named like a folder": (
        archive(members(data_pickle(key=b"X\x02\x00\x00\x000/"), data=Member(b"a/data/0/", bytes(16)))),
        "marked as a folder",
    ),
    "large sizes missing": (
        archive(members(data=Member(b"a/data/0", bytes(16), n_bytes=FULL32, full_bytes=FULL32))),
        "large sizes are missing",
    ),
    "large sizes missing behind another extra field": (
        archive(members(data=Member(b"a/data/0", bytes(16), n_bytes=FULL32, extra=b"FB\x02\0\0\0"))),
        "large sizes are missing",
    ),
    "entries that are none": (archive(members(), edit=lambda entries: b"XX" + entries[2:]), "other than"),
    "half an entry behind": (archive(members(), edit=lambda entries: entries + entries[:20]), "other than"),
    "last entry cut short": (archive(members(), edit=lambda entries: entries[:-3]), "cut short in an entry"),
    "no entries": (archive([], prefix=Member(b"a/data.pkl", data_pickle()).local()), "the zip is empty"),
    "no local header": (
        archive(members(data=Member(b"a/data/0", bytes(16), local_signature=b"PK\x03\x05"))),
        "header",
    ),
    "empty": (archive([]), "not a torch or safetensors file"),
    "no folder": (archive([Member(b"data.pkl", data_pickle())]), "does not lie in"),
    "Z14 another folder": (archive(members(x=Member(b"b/data.pkl", EVIL))), "does not lie in 'a'"),
    "Z14 another folder first": (archive([Member(b"b/data.pkl", EVIL), *members()]), "does not lie in 'b'"),
    "no data.pkl": (archive(members(pickle=None)), "has no a/data.pkl"),
    "no version": (archive(members(version=None)), "torch refuses it"),
    "version 99": (archive(members(version=Member(b"a/version", b"99\n"))), "format version '99'"),
    "version of no number": (archive(members(version=Member(b"a/version", b"x"))), "format version 'x'"),
    "byteorder unknown": (archive(members(byteorder=Member(b"a/byteorder", b"middle"))), "'middle'"),
    "alignment of no number": (
        archive(members(x=Member(b"a/.storage_alignment", b"?"))),
        "not a plain number",
    ),
    "no record": (archive(members(data=None)), "storage '0', named at byte"),
    "record too short": (archive(members(data=Member(b"a/data/0", bytes(12)))), "16 bytes by the pickle"),
    "record too long": (archive(members(data=Member(b"a/data/0", bytes(20)))), "16 bytes by the pickle"),
    "numel too large": (archive(members(data_pickle(numel=b"K\x05"))), "20 bytes by the pickle"),
    "numel negative": (archive(members(data_pickle(numel=b"J\xff\xff\xff\xff"))), "has -1 elements"),
    "size beyond the storage": (
        archive(members(data_pickle(size=b"K\x05\x85"))),
        "bytes 0 to 20 of a storage of 16",
    ),
    "offset beyond the storage": (archive(members(data_pickle(offset=b"K\x01"))), "bytes 4 to 20"),
    "stride beyond the storage": (archive(members(data_pickle(stride=b"K\x02\x85"))), "bytes 0 to 28"),
    "offset negative": (archive(members(data_pickle(offset=b"J\xff\xff\xff\xff"))), "an offset or strides"),
    "size negative": (archive(members(data_pickle(size=b"J\xff\xff\xff\xff\x85"))), "not numbers from 0 on"),
    "stride negative": (
        archive(members(data_pickle(stride=b"J\xff\xff\xff\xff\x85"))),
        "not numbers from 0 on",
    ),
    "size of text": (archive(members(data_pickle(size=b"X\x01\x00\x00\x00a\x85"))), "not numbers from 0 on"),
    "size of no tuple": (archive(members(data_pickle(size=b"K\x04"))), "not numbers"),
    "size of booleans": (archive(members(data_pickle(size=b"\x88\x85"))), "not numbers from 0 on"),
    "fewer strides than sizes": (
        archive(members(data_pickle(size=b"K\x02K\x02\x86"))),
        "do not go with its sizes",
    ),
    "too few arguments": (archive(members(data_pickle(size=b""))), "called with other arguments"),
    "one storage of two types": (
        archive(
            members(
                data_pickle(
                    end=b"tRX\x01\x00\x00\x00v(X\x07\x00\x00\x00storagectorch\nLongStorage\n"
                    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQu."
                ).replace(b"}X", b"}(X", 1)
            )
        ),
        "bytes of float32 at byte",
    ),
    "storage key that cannot be printed": (archive(members(data_pickle(key=b"X\1\0\0\0\n"))), "printed"),
    "sparse with too few parts": (archive(members(rebuilt("sparse_tensor", b"NN\x85"))), "other arguments"),
    "subclass of no arguments": (
        archive(members(rebuilt("from_type_v2", b"NNN}", module=b"torch._tensor"))),
        "other arguments",
    ),
    "dict of what are no pairs": (
        archive(members(b"\x80\x02ccollections\nOrderedDict\n]K\x01a\x85R.")),
        "other than pairs",
    ),
    "unknown dtype": (
        archive(
            members(
                data_pickle()
                .replace(b"tensor_v2", b"tensor_v3")
                .replace(b")RtRs.", b")Rctorch\nfloat3\ntRs.")
            )
        ),
        "a dtype that is not torch's",
    ),
    "P1 payload, then a break": (archive(members(EVIL[:-1] + b"\xff")), "(after importing os.system at byte"),
    "P23 empty pickle": (archive(members(b"")), "no STOP"),
}


TORCH_REFUSES = [
    "no folder",
    "no data.pkl",
    "no version",
    "version 99",
    "byteorder unknown",
    "alignment of no number",
    "no record",
    "record too short",
    "record too long",
    "numel too large",
    "numel negative",
    "size beyond the storage",
    "offset beyond the storage",
    "stride beyond the storage",
    "offset negative",
    "size negative",
    "stride negative",
    "fewer strides than sizes",
    "too few arguments",
    "Z14 another folder",
    "Z14 another folder first",
    "unknown dtype",
    "storage key that cannot be printed",
    "sparse with too few parts",
    "subclass of no arguments",
    "dict of what are no pairs",
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_and_ambiguous_files_are_refused(damage: str) -> None:
    """A file that torch refuses, or that two readers could read differently, is an error naming the file."""
    data, expected = DAMAGED[damage]

    with pytest.raises(FormatError, match=r"^model\.bin: ") as caught:
        read(data)

    assert expected in str(caught.value)


@pytest.mark.parametrize("data", [data for data, _ in DAMAGED.values()], ids=DAMAGED)
def test_damaged_files_are_refused_over_a_network_too(data: bytes) -> None:
    """Where places may be inferred, what nothing follows from is looked up, and refused as on a disk."""
    with pytest.raises(FormatError) as near:
        read(data)
    with pytest.raises(FormatError) as far:
        parse_checkpoint(attrs.evolve(view_of(data, "model.bin"), expect=list, infers=True))

    assert str(far.value) == str(near.value)


@pytest.mark.parametrize("damage", TORCH_REFUSES)
def test_torch_refuses_them_too(torch_files: Any, damage: str) -> None:
    """What is called refused by torch, torch refuses."""
    data, _expected = DAMAGED[damage]

    with pytest.raises((RuntimeError, ValueError, AssertionError, TypeError, pickle.UnpicklingError)):
        torch_files.loaded(data, weights_only=True)


ODD = {
    "Z3 another local name": (members(pickle=pickle_member(local_name=b"a/data.pkx")), "called otherwise"),
    "Z3 no local name": (members(data=Member(b"a/data/0", bytes(16), local_name=b"")), "called otherwise"),
    "Z3 a longer local name": (
        members(data=Member(b"a/data/0", bytes(16), local_name=b"a/data/00")),
        "called otherwise",
    ),
    "Z5 encryption flag": (members(pickle=pickle_member(flags=0x0809)), "flags 0x0809"),
    "Z5 encryption flag in the local header": (
        members(pickle=pickle_member(local_flags=0x0809)),
        "other flags",
    ),
    "Z5 patch flag": (members(data=Member(b"a/data/0", bytes(16), flags=0x0828)), "flags 0x0828"),
    "Z6 wrong CRC": (members(pickle=pickle_member(crc=7)), "another CRC-32"),
    "Z10 stray bytes between": (members(data=Member(b"a/data/0", bytes(16), behind=EVIL)), "not 16, follow"),
    "Z10 70 KB behind the pickle": (
        members(pickle=pickle_member(behind=bytes(70_000))),
        "70016 bytes, not 16",
    ),
    "Z15 a deflate bomb that nothing inflates": (
        members(x=Member(b"a/x", zlib.compress(bytes(10**6)), method=8, full_bytes=2**31)),
        "'a/x'",
    ),
    "Z16 a zip inside": (members(x=Member(b"a/x.zip", archive(members()))), "'a/x.zip'"),
    "Z16 an extra pickle": (members(x=Member(b"a/extra.pkl", EVIL)), "'a/extra.pkl'"),
    "Z16 a storage nobody uses": (members(x=Member(b"a/data/7", bytes(4))), "'a/data/7'"),
    "a name with dots inside": (members(x=Member(b"a/x..y", b"")), "'a/x..y'"),
    "P2 bytes after the pickle": (members(data_pickle() + EVIL), "bytes follow the end of the pickle"),
}


@pytest.mark.parametrize("oddity", ODD)
def test_what_torch_never_writes_is_told(oddity: str) -> None:
    """A file that has one reading but not torch's habits is read, with an oddity that says what is odd."""
    files, expected = ODD[oddity]

    checkpoint = read(archive(files))

    assert list(checkpoint.tensors) == ["w"]
    assert any(expected in odd.problem for odd in checkpoint.oddities)
    assert all(odd.file == "model.bin" and odd.position is not None for odd in checkpoint.oddities)


@pytest.mark.parametrize("files", [files for files, _ in ODD.values()], ids=ODD)
def test_what_torch_never_writes_is_told_over_a_network_too(files: list[Member]) -> None:
    """Where places may be inferred, odd archives are read with the same tensors and the same oddities."""
    data = archive(files)

    far = parse_checkpoint(attrs.evolve(view_of(data, "model.bin"), expect=list, infers=True))

    assert far == read(data)


def test_a_comment_behind_the_archive_is_told() -> None:
    """Z9: bytes after the end record are read around, and told."""
    checkpoint = read(archive(members(), behind=b"hello"))

    assert list(checkpoint.tensors) == ["w"]
    assert "5 bytes follow the zip's end record" in checkpoint.oddities[0].problem


def test_bytes_between_signature_and_first_member_are_told() -> None:
    """Z8: what stands before the first member that the directory lists is told."""
    checkpoint = read(archive(members(), prefix=Member(b"a/hidden", EVIL).local()))

    assert list(checkpoint.tensors) == ["w"]
    assert "come before the first zip member" in checkpoint.oddities[0].problem


def test_a_prefix_before_the_archive_hides_it_from_torch(torch_files: Any) -> None:
    """Z8: torch goes by the first bytes, so a pickle before the archive is what is read, and refused."""
    data = archive(members(), prefix=b"\x80\x02" + EVIL)

    with pytest.raises(FormatError, match=r"imports os\.system at byte 2, not a torch checkpoint"):
        read(data)
    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        torch_files.loaded(data, weights_only=True)


def test_no_strides_are_contiguous_ones(torch_files: Any) -> None:
    """Torch takes an empty tuple of strides for contiguous ones, and so does the reader."""
    data = archive(members(data_pickle(size=b"K\x02K\x02\x86", stride=b")")))

    checkpoint = torch_files.assert_agrees(data, weights_only=True)

    assert checkpoint.tensors["w"].stride == (2, 1)


READ_AS_TORCH_DOES = {
    "version 1 of the function": members(
        data_pickle(grad=b"", hooks=b"").replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    ),
    "sizes and strides in lists": members(data_pickle(size=b"](K\x04e", stride=b"](K\x01e")),
    "sizes in a torch.Size": members(data_pickle(size=b"ctorch\nSize\nK\x04\x85\x85R")),
    "no hooks at all": members(data_pickle(hooks=b"N")),
    "metadata of nothing": members(data_pickle(end=b"NtRs.")),
    "metadata of an empty list": members(data_pickle(end=b"]tRs.")),
    "sizes in a zip64 field behind another": members(
        data=Member(b"a/data/0", bytes(16), n_bytes=FULL32, full_bytes=FULL32, extra=zip64_extra(16, 16))
    ),
    "folders with entries of their own": [
        Member(b"a/", b"", flags=0, attributes=0x10),
        Member(b"a/data/", b"", flags=0, attributes=0x10),
        *members(),
    ],
}


@pytest.mark.parametrize("case", READ_AS_TORCH_DOES)
def test_what_torch_reads_though_it_never_writes_it_is_read_alike(torch_files: Any, case: str) -> None:
    """Other spellings of one tensor, which torch accepts, give the tensor that it gives."""
    checkpoint = torch_files.assert_agrees(archive(READ_AS_TORCH_DOES[case]), weights_only=True)

    assert list(checkpoint.tensors) == ["w"]
    assert checkpoint.pickle.tensor_only


def test_big_endian_files_say_so() -> None:
    """The `byteorder` member becomes the byte order of every tensor."""
    checkpoint = read(archive(members(byteorder=Member(b"a/byteorder", b"big"))))

    assert checkpoint.tensors["w"].byte_order == "big"


REASONS = {
    "foreign global": (data_pickle(grad=b"cos\nsystem\n"), "imports os.system at byte"),
    "foreign class named like a storage": (
        data_pickle(end=b"tRs0cevil\nFloatStorage\n."),
        "imports evil.FloatStorage at byte",
    ),
    "dotted name of an allowed module": (
        data_pickle(grad=b"ctorch\nserialization.os.system\n"),
        "imports torch.serialization.os.system at byte",
    ),
    "python 2 name": (
        data_pickle(grad=b"c__builtin__\neval\n"),
        "__builtin__.eval (in python 3: builtins.eval)",
    ),
    "backward hooks": (data_pickle(hooks=b"}K\x01K\x02s"), "brings backward hooks"),
    "P7 computed name": (data_pickle(grad=b"K\x01K\x02\x93"), "a name that it computes"),
    "P11 extension": (data_pickle(grad=b"\x82\x01"), "extension registry"),
    "P12 module": (
        data_pickle(grad=b"(X\x06\x00\x00\x00moduleK\x01K\x02K\x03tQ"),
        "a module with its source code",
    ),
    "P12 a legacy file's reference": (data_pickle(tail=b"NtQ"), "something outside it that is not a storage"),
    "P12 stranger": (data_pickle(grad=b"K\x01Q"), "something outside it that is not a storage"),
    "P12 no storage to rebuild from": (
        data_pickle(storage=b"N", key=b"").replace(b"(X\7\0\0\0storageN", b"(N"),
        "has no storage in the file",
    ),
    "P19 nested torch file": (
        data_pickle(grad=b"ctorch.storage\n_load_from_bytes\nC\x00\x85R"),
        "imports torch.storage._load_from_bytes",
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_is_more_than_tensors_is_a_reason(case: str) -> None:
    """Whatever else a pickle holds is a reason, and its tensors are still listed."""
    data, expected = REASONS[case]

    checkpoint = read(archive(members(data)))

    assert not checkpoint.pickle.tensor_only
    assert any(expected in reason for reason in checkpoint.pickle.reasons)


# The tensor of `data_pickle` without the dict around it.
TENSOR = data_pickle().removeprefix(b"\x80\x02}X\x01\x00\x00\x00w").removesuffix(b"s.")
DOUBLED = b"q\x010h\x01h\x01\x86"
"""Puts a pair of twice the value on the stack in its place."""


@pytest.mark.parametrize("class_name", ["Tensor", "FloatTensor"])
@pytest.mark.parametrize("made", [b")R", b")\x81"], ids=["call", "instance"])
def test_tensors_made_by_their_class_are_listed(torch_files: Any, class_name: str, made: bytes) -> None:
    """Torch still reads an instance of a tensor class that is given its storage as state; so is it listed."""
    storage = TENSOR.split(b"_v2\n(")[1].split(b"K\x00K\x04")[0]
    tensor = b"ctorch\n%s\n%s(%sK\x00K\x04\x85K\x01\x85tb" % (class_name.encode(), made, storage)
    data = archive(members(b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."))

    checkpoint = torch_files.assert_agrees(data, weights_only=True)

    assert checkpoint.pickle.tensor_only


def test_a_flood_of_names_is_bounded() -> None:
    """Of very many foreign names a thousand are listed; that there are more is a reason."""
    names = b"".join(b"cm%d\nf\n0" % number for number in range(1500))

    checkpoint = read(archive(members(b"\x80\x02" + names + b"N.")))

    assert len(checkpoint.pickle.globals) == 1000
    assert checkpoint.pickle.reasons[-1] == "the pickle imports 1500 different names, too many to list"


def test_a_flood_of_strangers_is_bounded() -> None:
    """Of very many references to something else, a hundred are told."""
    checkpoint = read(archive(members(b"\x80\x02" + b"K\x01Q0" * 150 + b"N.")))

    assert len(checkpoint.pickle.reasons) == 100


def test_a_flood_of_tensors_without_storage_is_bounded() -> None:
    """Of very many tensors that the file holds no storage of, a hundred are told."""
    homeless = TENSOR.replace(TENSOR[TENSOR.index(b"(X") : TENSOR.index(b"tQ") + 2], b"N")

    checkpoint = read(archive(members(b"\x80\x02](" + homeless * 150 + b"e.")))

    assert len(checkpoint.pickle.reasons) == 100
    assert checkpoint.tensors == {}


def test_python_2_state_dicts_are_read() -> None:
    """An OrderedDict that python 2 wrote as a call with a list of pairs is the dict that it stands for."""
    data = b"\x80\x02ccollections\nOrderedDict\n]]U\x01wa" + TENSOR + b"aa\x85R."

    checkpoint = read(archive(members(data)))

    assert list(checkpoint.tensors) == ["w"]
    assert checkpoint.pickle.tensor_only


def test_shared_containers_do_not_multiply() -> None:
    """P17: pairs of pairs of one tuple, 2**50 items in all, are looked at once each."""
    laughs = b"X\x01\x00\x00\x00l)" + DOUBLED * 50
    data = b"\x80\x02}(" + laughs + b"X\x01\x00\x00\x00w" + TENSOR + b"u."

    checkpoint = read(archive(members(data)))

    assert list(checkpoint.tensors) == ["w"]


def test_shared_tensors_do_not_multiply() -> None:
    """A tensor in 2**40 places of a shared structure ends in a LimitError, whatever tensors are allowed."""
    data = archive(members(b"\x80\x02" + TENSOR + DOUBLED * 40 + b"."))

    with pytest.raises(LimitError, match="more tensors than 1000"):
        read(data, Limits(tensors=1000))
    with pytest.raises(LimitError, match="hold one another too often"):
        read(data, Limits(tensors=10**9))


LIMITS = {
    "zip_directory_bytes": Limits(zip_directory_bytes=100),
    "pickle_bytes": Limits(pickle_bytes=100),
    "pickle_opcodes": Limits(pickle_opcodes=10),
    "tensors": Limits(tensors=0),
    "name_bytes": Limits(name_bytes=0),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_is_named(limit: str) -> None:
    """What is over a limit is a LimitError that names the limit and the file."""
    with pytest.raises(LimitError, match=r"^model\.bin: ") as caught:
        read(archive(members()), LIMITS[limit])

    assert caught.value.limit == limit


PATHS = {
    "one name": {"a" * 100: {"b" * 100: torch.ones(1)}},
    "a storage key": archive(members(data_pickle(key=b"X\0\x08\0\0" + b"k" * 2048))),
}


@pytest.mark.parametrize("case", PATHS)
def test_names_too_long_are_a_limit(torch_files: Any, case: str) -> None:
    """A dotted path longer than the limit, and a storage key longer than any, are not kept."""
    value = PATHS[case]
    data = value if isinstance(value, bytes) else torch_files.saved(value)

    with pytest.raises(LimitError) as caught:
        read(data, Limits(name_bytes=150))

    assert caught.value.limit == "name_bytes"


def test_containers_too_deep_are_a_limit(torch_files: Any) -> None:
    """Containers deeper in one another than the limit are not followed."""
    value: object = torch.ones(1)
    for _ in range(70):
        value = [value]

    with pytest.raises(LimitError) as caught:
        read(torch_files.saved(value))

    assert caught.value.limit == "pickle_depth"


def test_a_container_that_holds_itself_is_told(torch_files: Any) -> None:
    """A cycle is an oddity, and what is beside it is listed."""
    value: dict[str, object] = {"w": torch.ones(1)}
    value["self"] = value

    checkpoint = read(torch_files.saved(value))

    assert list(checkpoint.tensors) == ["w"]
    assert "holds itself" in checkpoint.oddities[0].problem


def test_repeated_keys_keep_the_last_value() -> None:
    """As in python, the last value of a repeated key counts; that it is repeated is told."""
    body = data_pickle().removesuffix(b".")
    again = data_pickle(size=b"K\x02\x85").removeprefix(b"\x80\x02}")

    checkpoint = read(archive(members(body + again)))

    assert checkpoint.tensors["w"].shape == (2,)
    assert "sets 1 keys again" in checkpoint.oddities[0].problem


NUMBERS = st.integers(-3, 3) | st.integers(-(2**70), 2**70)
KEYS = (
    NUMBERS | NUMBERS.map(float) | st.floats() | st.booleans() | st.none() | st.text(max_size=2) | st.binary()
)


@given(first=KEYS, second=KEYS | st.none(), power=st.sampled_from([None, 59, 60, 61, 64, 1000]))
@example(first=1, second=True, power=None)
@example(first=0, second=-0.0, power=None)
def test_keys_are_one_where_python_says_so(first: object, second: object, power: int | None) -> None:
    """Two keys share a slot exactly if a dict of python's takes them for one: 1, 1.0 and True do."""
    if power is not None:
        first, second = 2**power, 2.0**power

    assert len({slot_of(first), slot_of(second)}) == len({first, second})


def test_large_keys_cannot_be_made_to_collide() -> None:
    """50,000 keys of one hash in python have 50,000 hashes here, and each of them is read."""
    keys = [number * (2**61 - 1) for number in range(1, 50_001)]
    items = b"".join(b"\x8a\x0b" + key.to_bytes(11, "little") + b"K\x01" for key in keys)
    pickled = data_pickle().removesuffix(b".") + b"(" + items + b"u."

    checkpoint = read(archive(members(pickled)))

    assert len(set(map(hash, keys))) == 1
    assert len(set(map(hash, map(slot_of, keys)))) == len(keys)
    assert list(checkpoint.tensors) == ["w"]
    assert [*checkpoint.metadata] == [str(key) for key in keys[: len(checkpoint.metadata)]]
    assert not any("again" in oddity.problem for oddity in checkpoint.oddities)


def test_only_headers_are_read(torch_files: Any) -> None:
    """Of 16 tensors of 1 MB not a byte is read: 20 reads and less than 6 KB give the table."""
    state = {f"layer.{i}.weight": torch.zeros(512, 512) for i in range(16)}
    data = torch_files.saved(state)
    spans = []

    def fetch(start: int, stop: int) -> bytes:
        spans.append((start, stop))
        return data[start:stop]

    checkpoint = parse_checkpoint(ByteView("model.bin", len(data), fetch))

    assert len(checkpoint.tensors) == 16
    for info in checkpoint.tensors.values():
        assert not any(start < info.stop and info.start < stop for start, stop in spans)
    assert len(spans) == 20
    assert sum(stop - start for start, stop in spans) < 6000


def test_archives_of_other_writers_are_read(torch_files: Any) -> None:
    """The same members, stored anew by python's zipfile, are read to the same tensors."""
    source = zipfile.ZipFile(io.BytesIO(torch_files.saved({"a": torch.arange(9.0)})))
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as out:
        for name in source.namelist():
            out.writestr(name, source.read(name))

    checkpoint = torch_files.assert_agrees(target.getvalue(), weights_only=True)

    assert checkpoint.oddities == ()
