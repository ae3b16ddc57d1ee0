"""Holds the choice of a reader to the content of files, and all readers to their promise never to crash."""

import gzip
import io
import tarfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from embaudit.errors import FormatError, LimitError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.sniff import Container, sniff
from embaudit.formats.view import ByteView, view_of
from embaudit.model.checkpoint import CheckpointFormat

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3).T, "a.bias": torch.ones(3), "step": torch.tensor(4)}


def _saved(**options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE, "epoch": 3}, buffer, **options)
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("storages"))
    return buffer.getvalue()


FILES = {
    "zip": (_saved(), CheckpointFormat.TORCH_ZIP),
    "legacy": (_saved(_use_new_zipfile_serialization=False), CheckpointFormat.TORCH_LEGACY),
    "protocol 4": (_saved(pickle_protocol=4), CheckpointFormat.TORCH_ZIP),
    "safetensors": (save({"a": torch.ones(2)}), CheckpointFormat.SAFETENSORS),
}


@pytest.mark.parametrize("case", FILES)
def test_the_format_is_told_by_content(case: str) -> None:
    """The reader is chosen by the first bytes, whatever the file is called."""
    data, expected = FILES[case]

    assert parse_checkpoint(view_of(data, "model.any")).format is expected


def _padded(space: bytes) -> bytes:
    """A safetensors file whose header begins with white space."""
    data, _format = FILES["safetensors"]
    n_bytes = int.from_bytes(data[:8], "little") + len(space)
    return n_bytes.to_bytes(8, "little") + space + data[8:]


CONTAINERS = {
    "empty": (b"", Container.EMPTY),
    "safetensors": (FILES["safetensors"][0], Container.SAFETENSORS),
    "safetensors with a header as long as a PROTO opcode": (
        (0x0280).to_bytes(8, "little") + b"{" + b" " * 0x0280,
        Container.SAFETENSORS,
    ),
    "safetensors behind white space": (_padded(b" " * 9), Container.SAFETENSORS),
    "safetensors behind lines": (_padded(b" \t\r\n" * 2), Container.SAFETENSORS),
    "safetensors behind very much white space": (_padded(b" " * 65_000), Container.SAFETENSORS),
    "white space without an object": ((32).to_bytes(8, "little") + b" " * 32, Container.UNKNOWN),
    "white space that the length does not span": (
        (8).to_bytes(8, "little") + b" " * 8 + b"{",
        Container.UNKNOWN,
    ),
    "safetensors cut short": (FILES["safetensors"][0][:20], Container.SAFETENSORS),
    "zip": (FILES["zip"][0], Container.ZIP),
    "legacy": (FILES["legacy"][0], Container.PICKLE),
    "pickle of protocol 5": (b"\x80\x05N.", Container.PICKLE),
    "pickle with a brace where safetensors has one": (b"\x80\x02X\x01\0\0\0{0N.", Container.PICKLE),
    "tar": (_tar(), Container.TAR),
    "GGUF": (b"GGUF\x03\0\0\0", Container.GGUF),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0", Container.HDF5),
    "Z18 7z": (b"7z\xbc\xaf\x27\x1c\0\x04", Container.SEVEN_ZIP),
    "Z18 gzip": (gzip.compress(FILES["zip"][0]), Container.GZIP),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", Container.LFS_POINTER),
    "web page": (b"<!DOCTYPE html><html></html>", Container.HTML),
    "numpy": (b"\x93NUMPY\x01\0", Container.NUMPY),
    "one byte": (b"\x80", Container.UNKNOWN),
    "text": (b"hello world, this is text", Container.UNKNOWN),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_containers_are_told_by_their_first_bytes(case: str) -> None:
    """Each container is known by its signature."""
    data, expected = CONTAINERS[case]

    assert sniff(view_of(data)) is expected


@pytest.mark.parametrize(
    "case", ["empty", "GGUF", "HDF5", "Z18 7z", "Z18 gzip", "LFS pointer", "web page", "numpy"]
)
def test_other_containers_are_named(case: str) -> None:
    """A file of another kind is an error that names the file and what it is instead."""
    data, container = CONTAINERS[case]

    with pytest.raises(
        FormatError, match=rf"^model\.bin: is {container.value.replace('(', '.').replace(')', '.')}"
    ):
        parse_checkpoint(view_of(data, "model.bin"))


@pytest.mark.parametrize("n_spaces", [8, 9, 40_000])
def test_a_header_behind_white_space_is_read(n_spaces: int) -> None:
    """What the reference reader takes, a header with white space before its brace, is taken here."""
    data = _padded(b" " * n_spaces)

    assert list(parse_checkpoint(view_of(data)).tensors) == list(load(data))


def test_only_white_space_costs_more_than_the_first_bytes() -> None:
    """Where a brace is near 16 bytes tell the format; of white space no more than 64 KiB are read."""
    read: list[tuple[int, int]] = []
    for data in (FILES["safetensors"][0], _padded(b" " * 100_000)):
        view = view_of(data)
        sniff(ByteView("a", len(data), lambda *span, view=view: read.append(span) or view.read(*span)))

    assert read[:3] == [(0, 16), (0, 16), (16, 64 * 1024)]


UNKNOWN = {
    "text": (
        b"hello world, this is text",
        r"begins with b'hello world, thi'\.\.\.: not a torch or safetensors file",
    ),
    "short": (b"\xff\0", r"begins with b'\\xff\\x00': not a torch or safetensors file"),
    "quoted": (b"it's", r"begins with b\"it's\": not a torch or safetensors file"),
    "another pickle": (b"(dp0\n.", "the file is a pickle, not a torch checkpoint"),
    "a pickle that imports": (b"cos\nsystem\n.", "the file is a pickle that imports os.system"),
    "a pickle that imports and breaks off": (b"cos\nsystem\n\xff", r".*os\.system"),
    "a legacy file cut short": (
        _saved(_use_new_zipfile_serialization=False, pickle_protocol=0)[:40],
        ".*byte 40",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_content_without_a_mark_is_told(case: str) -> None:
    """What is no pickle is told by its first bytes; what is one, by what it would do or where it breaks."""
    data, expected = UNKNOWN[case]

    with pytest.raises(FormatError, match=rf"^model\.bin: {expected}"):
        parse_checkpoint(view_of(data, "model.bin"))


def _survives(data: bytes) -> None:
    """Fail unless `data` gives a checkpoint or one of the two errors that bad bytes may give."""
    try:
        checkpoint = parse_checkpoint(view_of(data, "model.bin"))
    except (FormatError, LimitError) as error:
        where, spans = error.where, []
    else:
        where, spans = checkpoint.name, [(info.start, info.stop) for info in checkpoint.tensors.values()]
    assert where.startswith("model.bin")
    assert all(0 <= start <= stop <= len(data) for start, stop in spans)


@pytest.mark.parametrize("case", FILES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash_a_reader(case: str, data: st.DataObject) -> None:
    """Flipped, removed and inserted bytes give a checkpoint whose spans lie in the file, or an error."""
    original, _format = FILES[case]
    damaged = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert", "drop"])):
            case "flip":
                damaged[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del damaged[max(1, at) :]
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=8))
            case "drop":
                del damaged[max(1, at) : at + 4]

    _survives(bytes(damaged))


@pytest.mark.parametrize("case", FILES)
def test_every_truncation_is_survived(case: str) -> None:
    """A file cut anywhere gives an error or, behind the last byte that matters, the checkpoint."""
    data, _format = FILES[case]

    for stop in range(0, len(data), 7):
        _survives(data[:stop])
