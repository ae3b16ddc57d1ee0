"""Whole files of the hub, held on this disk: each had once, and nothing of a file that could not be had."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embaudit.errors import NoContentError, UnavailableError
from embaudit.model.files import FileEntry, HoldingReader
from embaudit.sources.hub import held as held_module
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.held import HeldFiles
from embaudit.testing.facts import make_entry
from embaudit.testing.loopback_hub import LoopbackHub, Repository, Status

PATHS = ("a.bin", "b.bin", "empty")


def entries(noise: Callable[..., bytes]) -> tuple[dict[str, bytes], list[FileEntry]]:
    """Three files and their listing."""
    contents = {"a.bin": noise(1000, 1), "b.bin": noise(501, 2), "empty": b""}
    return contents, [make_entry(path, size=len(content)) for path, content in contents.items()]


def unneeded() -> None:
    """An interrupt that no test here sends."""


def test_held_files_are_read_without_asking(noise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte is asked for once, in pieces, and every span of a held file is the file's own."""
    monkeypatch.setattr(held_module, "PIECE_BYTES", 64)
    contents, listed = entries(noise)
    asked: list[tuple[str, int, int]] = []

    def ask(entry: FileEntry, start: int, stop: int) -> bytes:
        asked.append((entry.path, start, stop))
        return contents[entry.path][start:stop]

    held = HeldFiles(ask, unneeded)
    held.hold(listed)
    held.hold(listed)

    assert sum(stop - start for _, start, stop in asked) == 1501
    for path in ("a.bin", "b.bin"):
        for start, stop in ((0, len(contents[path])), (63, 65), (500, 501)):
            buffer = bytearray(stop - start)
            assert held.fill(path, start, memoryview(buffer))
            assert bytes(buffer) == contents[path][start:stop]
    assert [held.has(path) for path in PATHS] == [True, True, False]


def test_a_file_that_cannot_be_had_is_not_held(noise: Any) -> None:
    """The failure of one file leaves it to its reads, and the others as they are."""
    contents, listed = entries(noise)

    def ask(entry: FileEntry, start: int, stop: int) -> bytes:
        if entry.path == "a.bin":
            raise NoContentError("gone")
        return contents[entry.path][start:stop]

    held = HeldFiles(ask, unneeded)
    held.hold(listed)

    assert [held.has(path) for path in PATHS] == [False, True, False]
    assert not held.fill("a.bin", 0, memoryview(bytearray(1)))


def test_a_hub_that_does_not_answer_is_not_asked_for_every_file(noise: Any) -> None:
    """What ends an audit ends the holding: the read that comes next says why."""
    _, listed = entries(noise)
    asked: list[str] = []

    def ask(entry: FileEntry, _start: int, _stop: int) -> bytes:
        asked.append(entry.path)
        raise UnavailableError("no answer")

    held = HeldFiles(ask, unneeded)
    held.hold(listed)

    assert asked == ["a.bin"]
    assert not any(held.has(path) for path in PATHS)


def test_without_a_temporary_folder_files_are_left_to_their_reads(
    noise: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be held the bytes travel more than once; nothing is lost but time."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    contents, listed = entries(noise)

    held = HeldFiles(lambda entry, start, stop: contents[entry.path][start:stop], unneeded)
    held.hold(listed)

    assert not any(held.has(path) for path in PATHS)


def test_a_file_that_the_disk_has_no_room_for_is_left_to_its_read(
    noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of which a part could not be written is not held, and none that follows is asked for."""
    contents, listed = entries(noise)
    asked: list[str] = []

    def ask(entry: FileEntry, start: int, stop: int) -> bytes:
        asked.append(entry.path)
        return contents[entry.path][start:stop]

    def write(_descriptor: int, _data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    held = HeldFiles(ask, unneeded)
    held.hold(listed)

    assert asked == ["a.bin"]
    assert not any(held.has(path) for path in PATHS)


def test_a_held_file_leaves_no_trace(
    hub: LoopbackHub, repository: Repository, hasty: Any, noise: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    """A hub source holds what it is told to, reads it without a request, and leaves no file behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    repository.commit({"model.safetensors": noise(200_000), "config.json": b"{}"})
    snapshot = open_hub("org/name", patience=hasty)
    reader = snapshot.reader
    assert isinstance(reader, HoldingReader)

    reader.hold([*snapshot.files, "not listed"])
    hub.forget()
    hub.inject(Status(status=503, times=None))

    buffer = bytearray(100)
    reader.read_into("model.safetensors", 150_000, memoryview(buffer))
    assert bytes(buffer) == noise(200_000)[150_000:150_100]
    assert reader.read("model.safetensors", 0, 200_000) == noise(200_000)
    assert (hub.requests, list(tmp_path.iterdir())) == ((), [])
