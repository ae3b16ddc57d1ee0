"""A plain folder: what is listed, what is never followed or opened, and which commit it may claim to be."""

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import pytest

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FileState
from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.sources import FolderSource, shown
from embaudit.sources import local as local_module

COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
SHA256 = "5" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside which there is something that must not be reached."""
    inside = tmp_path / "folder"
    (inside / "sub").mkdir(parents=True)
    (inside / "config.json").write_bytes(b"{}")
    (inside / "sub" / "deep.json").write_bytes(b"[]")
    (tmp_path / "outside.json").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.json").write_bytes(b"secret")
    return inside


def states(folder: Path) -> dict[str, FileState]:
    """Path to state, for the whole listing."""
    return {path: entry.state for path, entry in FolderSource(folder).snapshot().files.items()}


@pytest.mark.parametrize(
    ("target", "state"),
    [
        pytest.param("config.json", FileState.PRESENT, id="beside"),
        pytest.param("./sub/../config.json", FileState.PRESENT, id="down-and-up"),
        pytest.param("sub/deep.json", FileState.PRESENT, id="in-a-folder"),
        pytest.param("../folder/config.json", FileState.PRESENT, id="out-and-back-in"),
        pytest.param("{folder}/config.json", FileState.PRESENT, id="absolute-inside"),
        pytest.param("nowhere", FileState.BROKEN_LINK, id="broken"),
        pytest.param("config.json/below", FileState.BROKEN_LINK, id="through-a-file"),
        pytest.param("linked", FileState.LOOPING_LINK, id="itself"),
        pytest.param("../outside.json", FileState.ESCAPING_LINK, id="outside"),
        pytest.param("../nowhere", FileState.ESCAPING_LINK, id="outside-and-broken"),
        pytest.param("../folder/../outside.json", FileState.ESCAPING_LINK, id="out-in-out"),
        pytest.param("..", FileState.ESCAPING_LINK, id="the-folder-above"),
        pytest.param("/", FileState.ESCAPING_LINK, id="root"),
        pytest.param("//etc/passwd", FileState.ESCAPING_LINK, id="two-slashes"),
        pytest.param("/etc/passwd", FileState.ESCAPING_LINK, id="absolute-outside"),
        pytest.param("../outside", FileState.ESCAPING_LINK, id="a-folder-outside"),
    ],
)
def test_a_link_is_followed_only_inside(folder: Path, target: str, state: FileState) -> None:
    """A link is what it leads to if that is inside, and otherwise tells why it is not followed."""
    (folder / "linked").symlink_to(target.format(folder=folder))

    source = FolderSource(folder)

    entry = source.snapshot().files["linked"]
    assert entry.state is state
    if state is FileState.PRESENT:
        assert source.read("linked", 0, entry.size) == (folder / "linked").read_bytes()
    else:
        assert entry.size is None
        assert entry.detail == f"-> {target.format(folder=folder)}"
        with pytest.raises(SourceError, match=f"linked.*{state}"):
            source.read("linked", 0, 0)


def test_links_lead_on_to_links(folder: Path) -> None:
    """A chain of links counts as what stands at its end, inside or out."""
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("sub/three")
    (folder / "sub" / "three").symlink_to("../config.json")
    (folder / "out").symlink_to("far")
    (folder / "far").symlink_to("../outside.json")
    (folder / "ping").symlink_to("pong")
    (folder / "pong").symlink_to("ping")

    found = states(folder)

    assert found["one"] is found["two"] is found["sub/three"] is FileState.PRESENT
    assert found["out"] is found["far"] is FileState.ESCAPING_LINK
    assert found["ping"] is found["pong"] is FileState.LOOPING_LINK


def test_forty_links_are_followed_as_the_system_does(folder: Path) -> None:
    """The longest chain that the system follows is followed, one more is a loop."""
    (folder / "link01").symlink_to("config.json")
    for n in range(2, 42):
        (folder / f"link{n:02}").symlink_to(f"link{n - 1:02}")

    found = states(folder)

    system_follows = {path for path in found if path.startswith("link") and os.access(folder / path, os.R_OK)}
    assert system_follows == {path for path, state in found.items() if state is FileState.PRESENT} - {
        "config.json",
        "sub/deep.json",
    }
    assert found["link41"] is FileState.LOOPING_LINK


def test_a_linked_folder_is_walked_only_inside_and_once(folder: Path) -> None:
    """Files of a linked folder are listed under the link; a link to a folder above is a loop."""
    (folder / "alias").symlink_to("sub")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "away").symlink_to("../outside")

    found = states(folder)

    assert found == {
        "alias/deep.json": FileState.PRESENT,
        "alias/up": FileState.LOOPING_LINK,
        "away": FileState.ESCAPING_LINK,
        "config.json": FileState.PRESENT,
        "sub/deep.json": FileState.PRESENT,
        "sub/up": FileState.LOOPING_LINK,
    }


def test_folders_that_link_to_each_other_come_to_an_end(folder: Path) -> None:
    """Folders that double with every link are stopped by the limit on entries, not by patience."""
    for n in range(40):
        (folder / f"level{n}").mkdir()
        (folder / f"level{n}" / "left").symlink_to(f"../level{n + 1}")
        (folder / f"level{n}" / "right").symlink_to(f"../level{n + 1}")
    (folder / "level40").mkdir()

    with pytest.raises(LimitError) as caught:
        FolderSource(folder, limits=attrs.evolve(DEFAULT_LIMITS, files=1000))

    assert caught.value.limit == "files"


def test_a_folder_reached_through_a_link_is_the_folder(folder: Path, tmp_path: Path) -> None:
    """The user's own path may be a link, and absolute links that are spelled through it stay inside."""
    (tmp_path / "alias").symlink_to("folder")
    (folder / "linked").symlink_to(tmp_path / "alias" / "config.json")

    found = states(tmp_path / "alias")

    assert found["linked"] is FileState.PRESENT


def test_what_is_not_a_file_is_never_opened(folder: Path) -> None:
    """A pipe, a socket and a link to either are special, and opening the folder does not wait for them."""
    os.mkfifo(folder / "pipe.bin")
    (folder / "linked.bin").symlink_to("pipe.bin")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str((folder / "s").resolve()))

        files = FolderSource(folder).snapshot().files

    assert {path: files[path].detail for path in ("pipe.bin", "linked.bin", "s")} == {
        "pipe.bin": "a pipe",
        "linked.bin": "a pipe",
        "s": "a socket",
    }
    assert {files[path].state for path in ("pipe.bin", "linked.bin", "s")} == {FileState.SPECIAL}


def test_a_pipe_in_place_of_a_file_does_not_hang(folder: Path) -> None:
    """A file that becomes a pipe after it was listed is refused at once."""
    source = FolderSource(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")

    with pytest.raises(SourceError, match=r"config\.json"):
        source.read("config.json", 0, 2)


@pytest.mark.parametrize("opened_before", [False, True], ids=["first-read", "later-read"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_bytes(b"longer than it was"), id="written"),
        pytest.param(lambda path: os.truncate(path, 1), id="cut"),
        pytest.param(lambda path: os.utime(path, ns=(1, 1)), id="touched"),
    ],
)
def test_a_file_changed_after_listing_is_refused(
    folder: Path, change: Callable[[Path], object], opened_before: bool
) -> None:
    """Bytes are those that were listed, or there is an error that says so."""
    source = FolderSource(folder)
    if opened_before:
        source.read("config.json", 0, 1)
    change(folder / "config.json")

    with pytest.raises(SourceError, match=r"'config\.json' has changed since it was listed"):
        source.read("config.json", 0, 1)


def test_a_file_replaced_after_listing_is_refused(folder: Path) -> None:
    """Another file of the same size and time under the same name is not the file that was listed."""
    source = FolderSource(folder)
    status = (folder / "config.json").stat()
    (folder / "new").write_bytes(b"[]")
    os.utime(folder / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "new").replace(folder / "config.json")

    with pytest.raises(SourceError, match="has changed"):
        source.read("config.json", 0, 2)


def test_a_file_that_vanished_is_refused_with_its_byte(folder: Path) -> None:
    """The error of a file that cannot be opened names the file, the byte and the system's reason."""
    source = FolderSource(folder)
    (folder / "config.json").unlink()

    with pytest.raises(SourceError, match=r"'config\.json' .* at byte 1: No such file"):
        source.read("config.json", 1, 2)


def test_a_link_that_moves_out_after_listing_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """A folder swapped for a link to the outside after listing does not let the outside be read."""
    source = FolderSource(folder)
    (tmp_path / "outside" / "deep.json").write_bytes(b"no")
    (folder / "sub").rename(folder / "was")
    (folder / "sub").symlink_to("../outside")

    with pytest.raises(SourceError, match="has changed"):
        source.read("sub/deep.json", 0, 2)


def n_open() -> int:
    """Descriptors that this process has open."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_few_files_stay_open(folder: Path) -> None:
    """However many files are read, the number kept open is bounded."""
    for n in range(100):
        (folder / f"{n}.json").write_bytes(b"{}")
    source = FolderSource(folder)
    before = n_open()

    for n in range(100):
        source.read(f"{n}.json", 0, 2)

    assert n_open() - before <= local_module._MOST_OPEN
    del source
    assert n_open() <= before


def test_tools_bookkeeping_is_left_out(folder: Path) -> None:
    """`.git` and `.cache/huggingface` at the top are left out, the same names elsewhere are not."""
    for path in (".git/HEAD", ".cache/huggingface/.gitignore", ".cache/own.json", "sub/.git/HEAD"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")

    assert list(states(folder)) == [".cache/own.json", "config.json", "sub/.git/HEAD", "sub/deep.json"]


NAMES = [
    pytest.param(b"caf\xe9.bin", r"caf\udce9.bin", id="not-utf-8"),
    pytest.param(b"two\nlines.bin", r"two\nlines.bin", id="newline"),
    pytest.param(b"\x1b[31mred.bin", r"\x1b[31mred.bin", id="terminal-escape"),
    pytest.param("\u202enib.bin".encode(), r"\u202enib.bin", id="right-to-left"),
    pytest.param("模型.bin".encode(), "模型.bin", id="letters-of-any-script"),
    pytest.param(b'it\'s "x" <b>.bin', 'it\'s "x" <b>.bin', id="quotes-and-markup"),
    pytest.param(rb"a\nb.bin", r"a\\nb.bin", id="backslash"),
]


@pytest.mark.parametrize(("name", "text"), NAMES)
def test_strange_names_are_kept_and_safe_to_print(folder: Path, name: bytes, text: str) -> None:
    """A name is kept byte by byte, and shown as one line of printable text that no other name shows as."""
    (folder / os.fsdecode(name)).write_bytes(b"12")

    source = FolderSource(folder)

    path = os.fsdecode(name)
    assert os.fsencode(path) == name
    assert source.read(path, 0, 2) == b"12"
    assert shown(path) == text
    with pytest.raises(SourceError) as caught:
        source.read(path, 0, 3)
    assert f"'{text}' has 2 bytes" in str(caught.value)


def test_names_that_differ_in_case_are_two_files(folder: Path) -> None:
    """Two names that some file systems take for one are two entries here."""
    (folder / "Config.json").write_bytes(b"{ }")
    if (folder / "config.json").read_bytes() == b"{ }":
        pytest.skip("this file system takes both names for one")

    assert {"Config.json", "config.json"} <= set(states(folder))


def test_an_lfs_pointer_is_told_as_such(folder: Path) -> None:
    """A pointer has the size and digest of what it stands for, and cannot be read."""
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize 90868376\n"
    (folder / "model.safetensors").write_text(pointer)

    source = FolderSource(folder)

    entry = source.snapshot().files["model.safetensors"]
    assert (entry.state, entry.size, entry.sha256) == (FileState.POINTER, 90868376, SHA256)
    with pytest.raises(SourceError, match=r"model\.safetensors.*pointer"):
        source.read("model.safetensors", 0, 8)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("version https://git-lfs.github.com/spec/v1\n", id="no-digest"),
        pytest.param(f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\n", id="no-size"),
        pytest.param(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize -1\n", id="negative-size"
        ),
        pytest.param(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256[:-1]}\nsize 1\n",
            id="short-digest",
        ),
        pytest.param(
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize 1\n" + "x" * 1024,
            id="too-long",
        ),
        pytest.param(f"x\nversion https://git-lfs\noid sha256:{SHA256}\nsize 1\n", id="not-at-the-start"),
    ],
)
def test_what_only_looks_like_a_pointer_is_a_file(folder: Path, text: str) -> None:
    """A text that is no whole pointer is an ordinary file of its own size."""
    (folder / "model.bin").write_text(text)

    entry = FolderSource(folder).snapshot().files["model.bin"]

    assert (entry.state, entry.size, entry.sha256) == (FileState.PRESENT, len(text), None)


def test_a_folder_that_cannot_be_listed_is_an_entry(folder: Path) -> None:
    """A folder inside that the system does not list is told as unreadable, with the system's reason."""
    # Longer than a path may be, so that not even root can list it: made piece by piece from inside.
    deepest = os.open(folder, os.O_RDONLY)
    n_levels = 24
    for _ in range(n_levels):
        os.mkdir("d" * 200, dir_fd=deepest)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = inner
    os.close(deepest)

    found = FolderSource(folder).snapshot().files

    unreadable = [entry for entry in found.values() if entry.state is FileState.UNREADABLE]
    assert [entry.detail for entry in unreadable] == ["File name too long"]
    assert {"config.json", "sub/deep.json"} < set(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_entry(folder: Path) -> None:
    """A file that may not be read is told as unreadable, with the system's reason."""
    (folder / "config.json").chmod(0)

    entry = FolderSource(folder).snapshot().files["config.json"]

    assert (entry.state, entry.detail) == (FileState.UNREADABLE, "Permission denied")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The folder itself must be there to be listed."""
    with pytest.raises(SourceError, match="cannot be listed: No such file"):
        FolderSource(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("limits", "name"),
    [({"files": 2}, "files"), ({"folder_depth": 2}, "folder_depth")],
    ids=["files", "depth"],
)
def test_limits_hold(folder: Path, limits: dict[str, int], name: str) -> None:
    """A listing beyond a limit is refused, and the error says which limit."""
    (folder / "sub" / "a" / "b").mkdir(parents=True)
    exactly = {"files": 5, "folder_depth": 3}

    FolderSource(folder, limits=attrs.evolve(DEFAULT_LIMITS, **exactly))
    with pytest.raises(LimitError) as caught:
        FolderSource(folder, limits=attrs.evolve(DEFAULT_LIMITS, **limits))

    assert caught.value.limit == name


def write_note(folder: Path, path: str, commit: str, etag: str, written: float | str) -> None:
    """The metadata that huggingface_hub leaves for a file downloaded with `local_dir=`."""
    note = folder / ".cache" / "huggingface" / "download" / f"{path}.metadata"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{commit}\n{etag}\n{written}\n")


def test_a_downloaded_folder_knows_its_commit(folder: Path) -> None:
    """Where huggingface_hub's own notes agree, they give the commit and each file's digest."""
    from huggingface_hub._local_folder import read_download_metadata, write_download_metadata

    write_download_metadata(folder, "config.json", COMMIT, "1" * 40)
    write_download_metadata(folder, "sub/deep.json", COMMIT, SHA256)
    oracle = read_download_metadata(folder, "config.json")

    snapshot = FolderSource(folder).snapshot()

    assert snapshot.commit == oracle.commit_hash == COMMIT
    assert snapshot.files["config.json"].git_sha1 == oracle.etag
    assert snapshot.files["sub/deep.json"].sha256 == SHA256
    assert snapshot.revision is None


NOW = 1_700_000_000.0
"""When the files of these tests were written, in seconds."""


def set_times(folder: Path) -> None:
    """Let both files of the folder be written at a known time."""
    for path in ("config.json", "sub/deep.json"):
        os.utime(folder / path, (NOW, NOW))


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param({"config.json": (COMMIT, NOW + 9)}, id="a-file-without-a-note"),
        pytest.param(
            {"config.json": (COMMIT, NOW + 9), "sub/deep.json": (OTHER_COMMIT, NOW + 9)}, id="two-commits"
        ),
        pytest.param(
            {"config.json": (COMMIT, NOW + 9), "sub/deep.json": (COMMIT, NOW - 99)}, id="a-file-edited-since"
        ),
        pytest.param(
            {"config.json": (COMMIT, NOW + 9), "sub/deep.json": (COMMIT, "nan")}, id="a-time-that-is-none"
        ),
        pytest.param(
            {"config.json": (COMMIT, NOW + 9), "sub/deep.json": ("main", NOW + 9)}, id="a-commit-that-is-none"
        ),
    ],
)
def test_notes_that_do_not_hold_for_all_give_no_commit(
    folder: Path, notes: Mapping[str, tuple[str, float | str]]
) -> None:
    """A folder that is not wholly one downloaded commit claims none."""
    set_times(folder)
    for path, (commit, written) in notes.items():
        write_note(folder, path, commit, SHA256, written)

    snapshot = FolderSource(folder).snapshot()

    assert snapshot.commit is None
    assert snapshot.files["config.json"].sha256 == SHA256


@pytest.mark.parametrize(("late", "commit"), [(0.9, COMMIT), (1.1, None)], ids=["within", "beyond"])
def test_a_file_may_be_a_second_newer_than_its_note(folder: Path, late: float, commit: str | None) -> None:
    """A note holds for as long as huggingface_hub itself takes it to hold."""
    from huggingface_hub._local_folder import read_download_metadata

    set_times(folder)
    for path in ("config.json", "sub/deep.json"):
        write_note(folder, path, COMMIT, SHA256, NOW - late)

    snapshot = FolderSource(folder).snapshot()

    assert snapshot.commit == commit
    assert (read_download_metadata(folder, "config.json") is None) == (commit is None)


def test_notes_outside_the_folder_are_not_read(folder: Path, tmp_path: Path) -> None:
    """Notes reached through a link out of the folder are no notes."""
    set_times(folder)
    elsewhere = tmp_path / "elsewhere"
    for path in ("config.json", "sub/deep.json"):
        write_note(elsewhere, path, COMMIT, SHA256, NOW + 9)
    (folder / ".cache").symlink_to("../elsewhere/.cache")

    snapshot = FolderSource(folder).snapshot()

    assert snapshot.commit is None
    assert snapshot.files["config.json"].sha256 is None


def test_notes_survive_json(folder: Path) -> None:
    """A listing with names that are not UTF-8 can be written as JSON and read back the same."""
    (folder / os.fsdecode(b"\xff")).write_bytes(b"")

    paths = list(FolderSource(folder).snapshot().files)

    assert json.loads(json.dumps(paths)) == paths
