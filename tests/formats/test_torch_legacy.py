"""Holds the reader of legacy torch files against damaged and hand-made ones."""

import pickle
from struct import pack
from typing import Any

import pytest
import torch

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.torch_legacy import MAGIC_NUMBER
from embaudit.formats.view import ByteView, view_of
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import Limits

MAGIC = pickle.dumps(MAGIC_NUMBER, 2)
VERSION = pickle.dumps(1001, 2)
MACHINE = pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 8}}, 2)
TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x007"
    b"X\x03\x00\x00\x00cpuK\x04NtQK\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"
)
OBJECT = b"\x80\x02}X\x01\x00\x00\x00w" + TENSOR + b"s."
KEYS = pickle.dumps(["7"], 2)
DATA = pack("<q4f", 4, 0, 1, 2, 3)


def legacy(**changes: bytes) -> bytes:
    """A legacy file of one float tensor `w`; `changes` replace its parts."""
    parts = {
        "magic": MAGIC,
        "version": VERSION,
        "machine": MACHINE,
        "object": OBJECT,
        "keys": KEYS,
        "data": DATA,
    }
    return b"".join((parts | changes).values())


def read(data: bytes, limits: Limits | None = None) -> Checkpoint:
    """The checkpoint in `data`."""
    return parse_checkpoint(view_of(data, "model.bin"), limits or Limits())


def test_the_hand_made_file_is_what_torch_reads(torch_files: Any) -> None:
    """The file that the tables below damage is itself read as torch reads it, without any oddity."""
    checkpoint = torch_files.assert_agrees(legacy(), weights_only=True)

    assert checkpoint.oddities == ()
    assert checkpoint.pickle.tensor_only


def test_views_of_old_files_count_from_their_root(torch_files: Any) -> None:
    """A storage that is a view of another: the bytes are torch's; the offset counts from the root storage."""
    data = legacy(
        object=OBJECT.replace(b"K\x04NtQK\x00K\x04", b"K\x04X\x01\x00\x00\x008K\x01K\x03\x87tQK\x01K\x02")
    )

    tensor = read(data).tensors["w"]

    assert data[tensor.start : tensor.stop] == pack("<2f", 2, 3)
    assert torch_files.loaded(data, weights_only=True)["w"].tolist() == [2, 3]
    assert (tensor.storage, tensor.storage_offset) == ("7", 2)


def test_python_2_files_are_read(torch_files: Any) -> None:
    """Byte strings for texts, as python 2 wrote them, are the same names, keys and locations."""
    old = OBJECT.replace(b"X\x01\x00\x00\x00", b"U\x01").replace(b"X\x03\x00\x00\x00", b"U\x03")
    old = old.replace(b"X\x07\x00\x00\x00", b"U\x07")
    data = legacy(object=old, keys=b"\x80\x02]U\x017a.")

    torch_files.assert_agrees(data)


DAMAGED = {
    "another magic number": (legacy(magic=pickle.dumps(5, 2)), "not a torch checkpoint"),
    "another version": (legacy(version=pickle.dumps(1002, 2)), "another protocol version"),
    "cut in the object": (legacy()[:150], "at byte"),
    "cut in the data": (legacy()[:-1], "and the file at byte"),
    "count of another storage": (legacy(data=pack("<q4f", 5, 0, 1, 2, 3)), "5 elements by the count"),
    "negative count": (legacy(data=pack("<q4f", -4, 0, 1, 2, 3)), "-4 elements by the count"),
    "key that nobody names": (legacy(keys=pickle.dumps(["8"], 2)), "is not one of the pickle's"),
    "key twice": (legacy(keys=pickle.dumps(["7", "7"], 2), data=DATA * 2), "listed twice"),
    "key missing": (legacy(keys=pickle.dumps([], 2), data=b""), "would be random"),
    "keys of no list": (legacy(keys=pickle.dumps("7", 2)), "not the list of storage keys"),
    "keys of numbers": (legacy(keys=pickle.dumps([7], 2)), "not the list of storage keys"),
    "view beyond its root": (
        legacy(object=OBJECT.replace(b"K\x04NtQ", b"K\x04X\x01\x00\x00\x008K\x02K\x03\x87tQ")),
        "does not lie in it",
    ),
    "view of no numbers": (
        legacy(object=OBJECT.replace(b"K\x04NtQ", b"K\x04X\x01\x00\x00\x008N\x86tQ")),
        "does not lie in it",
    ),
    "view of text": (
        legacy(object=OBJECT.replace(b"K\x04NtQ", b"K\x04X\x01\x00\x00\x008X\x01\x00\x00\x001K\x01\x87tQ")),
        "does not lie in it",
    ),
    "view before its root": (
        legacy(object=OBJECT.replace(b"K\x04NtQ", b"K\x04X\x01\x00\x00\x008J\xff\xff\xff\xffK\x01\x87tQ")),
        "does not lie in it",
    ),
    "size beyond the storage": (
        legacy(object=OBJECT.replace(b"K\x04\x85", b"K\x05\x85")),
        "of a storage of 16",
    ),
    "bare pickle": (pickle.dumps({"a": [1, 2]}, 2), "is a pickle, not a torch checkpoint"),
    "bare pickle of protocol 0": (pickle.dumps({"a": [1, 2]}, 0), "is a pickle, not a torch checkpoint"),
    "bare pickle that runs": (b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00idtR.", "imports os.system at byte 2"),
    "broken pickle that runs": (
        b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00idtR\xff",
        "after importing os.system",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_refused(damage: str) -> None:
    """What torch refuses, or would read random values for, is an error that names the file."""
    data, expected = DAMAGED[damage]

    with pytest.raises(FormatError, match=r"^model\.bin: ") as caught:
        read(data)

    assert expected in str(caught.value)


def test_a_computed_magic_number_is_seen_through() -> None:
    """A magic number that a call would give does not stop the scan: the call is a reason."""
    magic = b"\x80\x02cos\nsystem\n(X\x02\x00\x00\x00idtR."

    checkpoint = read(legacy(magic=magic))

    assert list(checkpoint.tensors) == ["w"]
    assert "the pickle imports os.system at byte 2, which no tensor needs" in checkpoint.pickle.reasons
    assert "the magic number of the file is computed by a call" in checkpoint.pickle.reasons


ODD = {
    "bytes behind": (legacy() + b"more", "4 bytes follow the last storage"),
    "big-endian writer": (legacy(machine=MACHINE.replace(b"\x88", b"\x89")), "big-endian machine"),
    "no facts of the machine": (legacy(machine=VERSION), "no facts of the writing machine"),
}


@pytest.mark.parametrize("oddity", ODD)
def test_what_torch_never_writes_is_told(torch_files: Any, oddity: str) -> None:
    """What torch reads and never writes is read as torch reads it, and told."""
    data, expected = ODD[oddity]

    checkpoint = torch_files.assert_agrees(data)

    assert expected in checkpoint.oddities[0].problem


def test_every_one_of_the_five_pickles_is_judged() -> None:
    """A name in any of the five is a reason."""
    for part, whole in {"version": VERSION, "machine": MACHINE, "keys": KEYS}.items():
        planted = whole[:2] + b"cos\nsystem\n0" + whole[2:]

        checkpoint = read(legacy(**{part: planted}))

        assert any("os.system" in reason for reason in checkpoint.pickle.reasons), part


def test_a_zip_file_s_reference_is_no_storage_here(torch_files: Any) -> None:
    """A reference without its sixth item, which torch refuses in this format, is told as no storage."""
    data = legacy(object=OBJECT.replace(b"K\x04NtQ", b"K\x04tQ"), keys=pickle.dumps([], 2), data=b"")

    checkpoint = read(data)

    with pytest.raises(ValueError, match="not enough values to unpack"):
        torch_files.loaded(data, weights_only=True)
    assert checkpoint.tensors == {}
    assert any("not a storage" in reason for reason in checkpoint.pickle.reasons)


def test_the_data_is_not_read(torch_files: Any) -> None:
    """Of 4 MB of tensors the first 64 KiB are read, since the pickles' length is unknown, and each count."""
    data = torch_files.saved({f"w{i}": torch.zeros(512, 512) for i in range(4)}, legacy=True)
    spans = []

    def fetch(start: int, stop: int) -> bytes:
        spans.append((start, stop))
        return data[start:stop]

    parse_checkpoint(ByteView("model.bin", len(data), fetch))

    assert spans[:2] == [(0, 16), (0, 65536)]
    assert [stop - start for start, stop in spans[2:]] == [8] * 4


def test_long_pickles_are_read_in_steps(torch_files: Any) -> None:
    """A header of more than the first step is read on, and each byte once."""
    data = torch_files.saved({"text": "x" * 300_000, "w": torch.ones(2)}, legacy=True)

    checkpoint = torch_files.assert_agrees(data)

    assert list(checkpoint.tensors) == ["w"]


def test_a_pickle_without_end_is_a_limit() -> None:
    """A pickle that goes on beyond the limit is not read to its end."""
    data = pickle.dumps("x" * 300_000, 2)

    with pytest.raises(LimitError) as caught:
        read(data, Limits(pickle_bytes=100_000))

    assert caught.value.limit == "pickle_bytes"
