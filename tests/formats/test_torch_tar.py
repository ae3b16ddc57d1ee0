"""Holds the reader of torch's tar files against torch, which still reads them, on files made by hand."""

import io
import pickle
import tarfile
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import torch

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.view import view_of
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.limits import Limits


class Reference:
    """What a pickle refers to by its key."""

    def __init__(self, key: object) -> None:
        self.key = key


class Pickler(pickle.Pickler):
    """Writes references as persistent ids."""

    def persistent_id(self, value: object) -> object:
        """The key of a reference."""
        return value.key if isinstance(value, Reference) else None


def dumps(value: object) -> bytes:
    """A pickle of protocol 2, as torch wrote it."""
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def tensor(key: int, storage: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int) -> bytes:
    """The description of one tensor in the member `tensors`."""
    numbers = pack(f"<i4x{2 * len(size) + 1}q", len(size), *size, *stride, offset)
    return dumps((key, storage, torch.FloatTensor)) + numbers


STORAGES = (
    dumps(2)
    + (dumps((1, "cpu", torch.FloatStorage)) + pack("<q6f", 6, *range(6)))
    + (dumps((2, "cpu", torch.LongStorage)) + pack("<q2q", 2, 7, 8))
    + dumps([(3, 1, 2, 4)])
)
TENSORS = (
    dumps(4)
    + tensor(11, 1, (2, 3), (3, 1), 0)
    + tensor(12, 1, (3, 2), (1, 3), 0)
    + tensor(13, 2, (2,), (1,), 0)
    + tensor(14, 3, (2,), (1,), 1)
)
VALUE = {"a": Reference(11), "t": Reference(12), "n": [Reference(13)], "v": Reference(14), "epoch": 3}


def archive(**members: bytes) -> bytes:
    """A tar checkpoint; `members` replace its parts."""
    parts = {
        "storages": STORAGES,
        "tensors": TENSORS,
        "pickle": dumps(VALUE),
        "sys_info": dumps({}),
    } | members
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1.5
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def read(data: bytes, limits: Limits | None = None) -> Checkpoint:
    """The checkpoint in `data`."""
    return parse_checkpoint(view_of(data, "model.bin"), limits or Limits())


@pytest.mark.filterwarnings("ignore")
def test_the_old_format_is_read_as_torch_reads_it(tmp_path: Path, torch_files: Any) -> None:
    """Names, layouts and values are those that torch gives; the format is told as obsolete."""
    path = tmp_path / "old.pt"
    path.write_bytes(archive())
    expected = dict(torch_files.named(torch.load(path, weights_only=False)))

    checkpoint = read(archive())

    assert checkpoint.format is CheckpointFormat.TORCH_TAR
    assert list(checkpoint.tensors) == list(expected) == ["a", "t", "n.0", "v"]
    for name, info in checkpoint.tensors.items():
        want = expected[name]
        assert (info.shape, info.stride) == (tuple(want.shape), want.stride())
        memory = torch.frombuffer(bytearray(archive()[info.start : info.stop]), dtype=want.dtype)
        assert torch.equal(memory.as_strided(info.shape, info.stride), want)
    assert checkpoint.metadata == {"epoch": 3}
    assert checkpoint.pickle.tensor_only
    assert "tar format" in checkpoint.oddities[0].problem


DAMAGED = {
    "no pickle": (archive(pickle=b""), "no STOP"),
    "storage cut short": (archive(storages=STORAGES[:-40]), "at byte"),
    "count of no number": (archive(storages=dumps("x")), "not a number of storages"),
    "negative count": (archive(tensors=dumps(-1)), "not a number of storages"),
    "storage of no tuple": (archive(storages=dumps(1) + dumps(5)), "not described"),
    "storage of no class": (
        archive(storages=dumps(1) + dumps((1, "cpu", dict)) + pack("<q", 0)),
        "no class or key",
    ),
    "negative storage": (
        archive(storages=dumps(1) + dumps((1, "cpu", torch.FloatStorage)) + pack("<q", -5)),
        "negative size",
    ),
    "view beyond its root": (
        archive(storages=STORAGES[: -len(dumps([(3, 1, 2, 4)]))] + dumps([(3, 1, 2, 5)])),
        "does not lie in",
    ),
    "tensor of no storage": (
        archive(tensors=dumps(1) + tensor(11, 9, (2,), (1,), 0)),
        "no key or no storage",
    ),
    "tensor beyond its storage": (archive(tensors=dumps(1) + tensor(11, 1, (7,), (1,), 0)), "bytes 0 to 28"),
    "tensor of many dimensions": (
        archive(tensors=dumps(1) + dumps((1, 1, torch.FloatTensor)) + pack("<i4x", 2**30)),
        "1073741824 dimensions",
    ),
    "another archive": (
        archive()[:512] + archive()[512:].replace(b"tensors\0", b"tensorz\0"),
        "without a member 'tensors'",
    ),
    "size of no number": (archive()[:124] + b"zz" + archive()[126:], "not a plain file"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_files_are_refused(damage: str) -> None:
    """What does not follow the format is an error that names the file."""
    data, expected = DAMAGED[damage]

    with pytest.raises(FormatError, match=r"^model\.bin: ") as caught:
        read(data)

    assert expected in str(caught.value)


def test_every_pickle_of_the_archive_is_judged() -> None:
    """A name in any of the members is a reason."""
    checkpoint = read(archive(tensors=b"\x80\x02cos\nsystem\n0" + TENSORS[2:]))

    assert any("os.system" in reason for reason in checkpoint.pickle.reasons)


def test_references_to_nothing_are_reasons() -> None:
    """An id that no tensor has is told."""
    checkpoint = read(archive(pickle=dumps({"a": Reference(99), "b": Reference(11)})))

    assert list(checkpoint.tensors) == ["b"]
    assert any("not one of its tensors" in reason for reason in checkpoint.pickle.reasons)


def test_a_bare_tensor_is_called_tensor() -> None:
    """A tensor that is the whole checkpoint is listed under the name that stands for none."""
    assert list(read(archive(pickle=dumps(Reference(11)))).tensors) == ["tensor"]


def test_too_many_tensors_are_a_limit() -> None:
    """The number of tensors is checked before any is read."""
    with pytest.raises(LimitError) as caught:
        read(archive(tensors=dumps(10**9)))

    assert caught.value.limit == "tensors"
