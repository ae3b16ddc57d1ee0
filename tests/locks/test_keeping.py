"""How locks are written: whole, whoever interrupts, and whoever writes at the same time."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from embaudit.errors import EmbauditError, TargetError
from embaudit.locking import load_lock, lock, save_lock
from embaudit.locks import write_whole
from embaudit.model.lock import Lock
from embaudit.report.locks import render_lock
from embaudit.testing.repositories import bert_settings


@pytest.fixture
def locked(tmp_path: Path) -> Lock:
    """The lock of a folder of settings."""
    folder = tmp_path / "repository"
    for path, content in bert_settings().items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return lock(folder)


def test_a_lock_that_says_the_same_leaves_its_file_alone(locked: Lock, tmp_path: Path) -> None:
    """Locking again later, or with another embaudit, changes no byte unless something else changed."""
    place = tmp_path / "embaudit.lock"
    save_lock(locked, place)
    before = place.read_bytes()

    save_lock(attrs.evolve(locked, created="2030-01-01T00:00:00+00:00", tool_version="9.0.0"), place)
    assert place.read_bytes() == before

    other = attrs.evolve(locked, created="2030-01-01T00:00:00+00:00", commit="a" * 40)
    save_lock(other, place)
    assert load_lock(place) == other


def test_what_is_no_lock_is_replaced(locked: Lock, tmp_path: Path) -> None:
    """A damaged file does not stand in the way of a new lock."""
    place = tmp_path / "embaudit.lock"
    place.write_text("<<<<<<< HEAD\n")

    save_lock(locked, place)

    assert load_lock(place) == locked


def test_nothing_but_a_file_is_replaced(locked: Lock, tmp_path: Path) -> None:
    """A pipe or a folder where the lock should be stays what it is; what cannot be a path is an error."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "no\0path"):
        with pytest.raises(TargetError):
            save_lock(locked, place)
        with pytest.raises(EmbauditError):
            load_lock(place)
    assert (tmp_path / "pipe").is_fifo()


def test_an_interrupt_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted before the new file has the name, the old one stays, and nothing else does."""
    place = tmp_path / "embaudit.lock"
    place.write_text("before")

    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(place, "after")

    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    """Where nothing can be written, the error names the file."""
    with pytest.raises(TargetError, match="missing"):
        write_whole(tmp_path / "missing" / "embaudit.lock", "text")


_WRITE_MANY = """
import sys
from pathlib import Path
from embaudit.locks import write_whole
for _ in range(50):
    write_whole(Path(sys.argv[1]), sys.argv[2] * 200_000)
"""


def test_two_writers_at_once_never_mix(tmp_path: Path) -> None:
    """Whoever reads meanwhile, and in the end, finds the whole text of one of them; no other file is left."""
    place = tmp_path / "embaudit.lock"
    write_whole(place, "a" * 200_000)
    writers = [subprocess.Popen([sys.executable, "-c", _WRITE_MANY, place, letter]) for letter in "ab"]

    seen = []
    while any(writer.poll() is None for writer in writers):
        seen.append(place.read_text())
        time.sleep(0.001)

    wholes = {"a" * 200_000, "b" * 200_000}
    assert [writer.wait() for writer in writers] == [0, 0]
    assert {*seen, place.read_text()} <= wholes
    assert list(tmp_path.iterdir()) == [place]


_SLOW = """
import sys
from pathlib import Path
from embaudit.locking import lock, save_lock
print("ready", flush=True)
save_lock(lock(sys.argv[1]), sys.argv[2])
"""


def test_an_interrupted_lock_leaves_no_file_and_ends_at_once(tmp_path: Path) -> None:
    """Interrupted while it digests a file that would take minutes, it ends within seconds without a trace."""
    folder = tmp_path / "repository"
    folder.mkdir()
    with (folder / "huge.onnx").open("wb") as file:
        file.truncate(1 << 40)
    place = tmp_path / "embaudit.lock"
    child = subprocess.Popen(
        [sys.executable, "-c", _SLOW, str(folder), str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        child.wait(timeout=60)

    assert child.returncode != 0
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]


def test_the_text_of_a_lock_is_stable_and_one_item_a_line(locked: Lock, tmp_path: Path) -> None:
    """The same folder gives the same text but for the time, each file on a line of its own, sorted."""
    again = attrs.evolve(lock(tmp_path / "repository"), created=locked.created)

    text = render_lock(locked)

    assert text == render_lock(again)
    assert text.endswith("}\n")
    assert text.isascii()
    lines = text.splitlines()
    paths = [path for path in locked.files for line in lines if line.startswith(f'  "{path}": {{"size"')]
    assert paths == sorted(locked.files)
