"""Holds the reader of torch's tar files against torch, which still reads them, on files made by hand."""

import contextlib
import io
import pickle
import tarfile
from pathlib import Path
from struct import pack
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.view import ByteView, view_of
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


def archive(pax_headers: dict[str, str] | None = None, **members: bytes) -> bytes:
    """A tar checkpoint; `members` replace its parts, `pax_headers` are added to the extension of each."""
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
            entry.size, entry.mtime, entry.pax_headers = len(data), 1.5, pax_headers or {}
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def resized(size: bytes) -> bytes:
    """A tar checkpoint whose first header has another size field."""
    data = archive()
    return data[:124] + size.ljust(12, b"\0") + data[136:]


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
    "view of no numbers": (
        archive(storages=STORAGES[: -len(dumps([(3, 1, 2, 4)]))] + dumps([(3, 1, 2, "x")])),
        "view of a storage is not described",
    ),
    "view of no storage": (
        archive(storages=STORAGES[: -len(dumps([(3, 1, 2, 4)]))] + dumps([(3, 9, 2, 4)])),
        "view of a storage is not described",
    ),
    "two members of one name": (archive()[: -1024 * 2] + archive(), "two members 'storages'"),
    "cut short in a member": (archive()[: 512 * 5], "is cut short"),
    "an extension that renames": (archive({"path": "pickle"}), "renames or resizes"),
    "an extension of 5 KB": (archive({"comment": "x" * 5000}), "renames or resizes"),
    "size with a digit that is not octal": (resized(b"00000000900"), "has no size"),
    "a link": (archive()[:156] + b"2" + archive()[157:], "is not a plain file"),
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


_MEANINGFUL = [at for at, byte in enumerate(archive()) if byte]


@settings(max_examples=200, deadline=None)
@given(edits=st.lists(st.tuples(st.sampled_from(_MEANINGFUL), st.integers(0, 255)), min_size=1, max_size=3))
def test_damaged_archives_never_crash_the_reader(edits: list[tuple[int, int]]) -> None:
    """Changed headers, pickles and numbers give a checkpoint whose spans lie in the file, or an error."""
    data = bytearray(archive())
    for position, byte in edits:
        data[position] = byte

    with contextlib.suppress(FormatError, LimitError):
        spans = [(info.start, info.stop) for info in read(bytes(data)).tensors.values()]
        assert all(0 <= start <= stop <= len(data) for start, stop in spans)


def test_every_pickle_of_the_archive_is_judged() -> None:
    """A name in any of the members is a reason."""
    checkpoint = read(archive(tensors=b"\x80\x02cos\nsystem\n0" + TENSORS[2:]))

    assert any("os.system" in reason for reason in checkpoint.pickle.reasons)


@pytest.mark.filterwarnings("ignore")
def test_references_by_text_and_long_members_are_read(tmp_path: Path) -> None:
    """References as text, as python 2 wrote, and members longer than a step of reading."""
    count = 60
    storages = [
        dumps((key, "cpu", torch.FloatStorage)) + pack("<q300f", 300, *range(300)) for key in range(count)
    ]
    tensors = [tensor(100 + key, key, (3, 100 - key), (100, 1), key) for key in range(count)]
    data = archive(
        storages=dumps(count) + b"".join(storages) + dumps([]),
        tensors=dumps(count) + b"".join(tensors),
        pickle=dumps({f"w{key}": Reference(str(100 + key)) for key in range(count)}),
    )
    path = tmp_path / "old.pt"
    path.write_bytes(data)
    expected = torch.load(path, weights_only=False)

    checkpoint = read(data)

    assert list(checkpoint.tensors) == list(expected)
    for name, info in checkpoint.tensors.items():
        memory = torch.frombuffer(bytearray(data[info.start : info.stop]), dtype=torch.float32)
        assert torch.equal(memory.as_strided(info.shape, info.stride), expected[name])


def test_large_storages_take_a_request_each_over_a_network() -> None:
    """Where reads bring 64 KiB along, each storage takes one request for what stands before it."""
    count, n_elements = 10, 50_000
    storages = [
        dumps((key, "cpu", torch.FloatStorage)) + pack("<q", n_elements) + bytes(4 * n_elements)
        for key in range(count)
    ]
    data = archive(
        storages=dumps(count) + b"".join(storages) + dumps([]),
        tensors=dumps(count) + b"".join(tensor(100 + key, key, (2,), (1,), 0) for key in range(count)),
        pickle=dumps({f"w{key}": Reference(100 + key) for key in range(count)}),
    )
    requests: list[tuple[int, int]] = []

    def fetch(start: int, stop: int) -> bytes:
        if not any(first <= start and stop <= last for first, last in requests):
            requests.append((start, max(stop, start + 65536)))
        return data[start:stop]

    checkpoint = parse_checkpoint(ByteView("model.bin", len(data), fetch, list, infers=True))

    assert checkpoint == read(data)
    assert len(requests) <= count + 2


def test_references_to_nothing_are_reasons() -> None:
    """An id that no tensor has, or that none could have, is told."""
    value = {"a": Reference(99), "b": Reference(11), "c": Reference((1, 2))}

    checkpoint = read(archive(pickle=dumps(value)))

    assert list(checkpoint.tensors) == ["b"]
    assert sum("not one of its tensors" in reason for reason in checkpoint.pickle.reasons) == 2


def test_a_bare_tensor_is_called_tensor() -> None:
    """A tensor that is the whole checkpoint is listed under the name that stands for none."""
    assert list(read(archive(pickle=dumps(Reference(11)))).tensors) == ["tensor"]


@pytest.mark.filterwarnings("ignore")
def test_a_member_behind_many_others_does_not_hide(tmp_path: Path) -> None:
    """Torch reads the last member of a name; an archive too long to be followed to its end is refused."""
    many = archive(**{f"x{number}": b"" for number in range(70)})
    data = many[: many.index(b"x69\0")] + archive(pickle=dumps({"other": Reference(11)}))
    path = tmp_path / "old.pt"
    path.write_bytes(data)

    assert list(torch.load(path, weights_only=False)) == ["other"]
    with pytest.raises(FormatError, match="more than 64 headers"):
        read(data)


def test_too_many_tensors_are_a_limit() -> None:
    """The number of tensors is checked before any is read."""
    with pytest.raises(LimitError) as caught:
        read(archive(tensors=dumps(10**9)))

    assert caught.value.limit == "tensors"
