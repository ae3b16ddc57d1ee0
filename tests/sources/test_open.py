"""What a target becomes: a snapshot of the right source, or an error that says what would work."""

import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from embaudit.errors import SourceError, TargetError
from embaudit.model.files import FileState
from embaudit.sources import MemorySource, open_file, open_snapshot

COMMIT, OTHER = "a" * 40, "b" * 40


@pytest.fixture
def place(tmp_path: Path, clone: Any, hub_cache: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a bit of everything: `plain`, `clone`, `org/name`, a cache; and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("plain", "org/name", "at@home", "clone@main"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_bytes(b"{}")
    clone.commit({"config.json": b"{}"})
    clone.git("branch", "feature#1")
    hub_cache.add(COMMIT, "config.json", b"{}")
    hub_cache.add_ref("main", COMMIT)
    return tmp_path


@pytest.mark.parametrize(
    ("target", "source", "revision"),
    [
        pytest.param("./plain", "folder", None, id="relative"),
        pytest.param("{place}/plain", "folder", None, id="absolute"),
        pytest.param("{place}/plain/", "folder", None, id="slash-at-the-end"),
        pytest.param("~/plain", "folder", None, id="home"),
        pytest.param("./plain/../plain", "folder", None, id="up-and-down"),
        pytest.param("./at@home", "folder", None, id="at-in-the-name"),
        pytest.param("./clone@main", "folder", None, id="an-existing-path-wins"),
        pytest.param("./clone", "folder", None, id="a-clone-as-it-is"),
        pytest.param("./clone@HEAD", "git", "HEAD", id="a-clone-at-a-revision"),
        pytest.param("./clone@feature#1", "git", "feature#1", id="a-branch-with-a-hash-sign"),
        pytest.param("~/clone@HEAD", "git", "HEAD", id="home-clone"),
        pytest.param("git+file://{place}/clone", "git", None, id="address"),
        pytest.param("git+file://{place}/clone@feature#1", "git", "feature#1", id="address-at-a-revision"),
        pytest.param("git+file://localhost{place}/clone@HEAD", "git", "HEAD", id="address-with-host"),
        pytest.param("git+file://{place}/cl%6Fne@HEAD", "git", "HEAD", id="address-escaped"),
        pytest.param("cache:org/name", "cache", None, id="cache"),
        pytest.param("cache:org/name@main", "cache", "main", id="cache-at-a-branch"),
        pytest.param("cache:org/name@" + COMMIT, "cache", COMMIT, id="cache-at-a-hash"),
        pytest.param(
            "{place}/cache/models--org--name/snapshots/" + COMMIT, "cache", COMMIT, id="cached-folder"
        ),
    ],
)
def test_targets_that_are_there(
    place: Path, hub_cache: Any, target: str, source: str, revision: str | None
) -> None:
    """Each form of target opens the source that it stands for, with the revision that it names."""
    snapshot = open_snapshot(target.format(place=place), cache_dir=hub_cache.folder)

    assert (snapshot.source, snapshot.revision) == (source, revision)
    assert snapshot.reader.read("config.json", 0, 2) == b"{}"


@pytest.mark.parametrize(
    ("target", "revision", "message"),
    [
        pytest.param("org/name", None, "is on the hub, and we are offline", id="hub"),
        pytest.param("org/name", None, "for the folder of that name write ./org/name", id="hub-or-folder"),
        pytest.param("org/name@dev", None, "write cache:org/name@main", id="hub-or-cache"),
        pytest.param("org/other", None, "the cache holds nothing of it", id="hub-other"),
        pytest.param("plain", None, "write ./plain", id="a-bare-name-is-no-folder"),
        pytest.param("hf://org/name@main", None, "is on the hub", id="hub-address"),
        pytest.param("org/name@main", "dev", "names revision 'main'", id="two-hub-revisions"),
        pytest.param("https://example.org/x", None, "only hf:// and git+file://", id="other-address"),
        pytest.param("", None, "it is empty", id="empty"),
        pytest.param("a\0b", None, "NUL", id="nul"),
        pytest.param(Path("a\0b"), None, "NUL", id="nul-in-a-path"),
        pytest.param("./\ud800", None, r"'./\ud800' cannot be the name", id="no-name-at-all"),
        pytest.param("git+file:///x%00y", None, "there is nothing at", id="nul-escaped"),
        pytest.param("git+file://[x/y@z", None, "is not a local clone", id="bracket"),
        pytest.param("git+file://example.org/x", None, "is not a local clone", id="another-host"),
        pytest.param(7, None, "not int", id="a-number"),
        pytest.param("./nothing", None, "there is nothing at './nothing'", id="nothing"),
        pytest.param(Path("nothing"), None, "there is nothing at 'nothing'", id="nothing-as-a-path"),
        pytest.param("./nothing@main", None, "there is nothing at", id="nothing-at-a-revision"),
        pytest.param("./clone@", None, "ends in '@'", id="no-revision"),
        pytest.param("~nobody-of-this-name/x", None, "home folder of nobody", id="unknown-home"),
        pytest.param("./" + "x" * 300, None, "", id="a-name-too-long"),
        pytest.param(
            "./plain/config.json", None, "is a file; a single file is for open_checkpoint", id="file"
        ),
        pytest.param("./plain", "main", "is not a git clone", id="folder-has-no-revision"),
        pytest.param("./plain@main", None, "is not a git clone", id="folder-at-a-revision"),
        pytest.param(
            "./clone@HEAD", "main", "names revision 'HEAD', and 'main' is given", id="two-revisions"
        ),
        pytest.param("cache:org/name@main", "dev", "names revision 'main'", id="two-cached-revisions"),
        pytest.param("git+file://{place}/clone@HEAD", "main", "names revision", id="two-address-revisions"),
        pytest.param("git+file://{place}/plain@HEAD", None, "is not a git clone", id="address-of-a-folder"),
        pytest.param("git+file://{place}/nothing@x", None, "there is nothing at", id="address-of-nothing"),
        pytest.param("cache:org/none", None, "org/none is not in the cache", id="not-cached"),
        pytest.param("cache:../../etc", None, "is not a target", id="cache-path"),
        pytest.param("./cache/models--org--name", None, "write cache:org/name", id="cached-repository"),
    ],
)
def test_targets_that_are_refused(
    place: Path, hub_cache: Any, target: Any, revision: str | None, message: str
) -> None:
    """Whatever is not there or not understood is a `TargetError` that says why."""
    target = target.format(place=place) if isinstance(target, str) else target

    with pytest.raises(TargetError) as caught:
        open_snapshot(target, revision=revision, cache_dir=hub_cache.folder)

    assert message in str(caught.value)


@pytest.mark.parametrize("target", ["./clone@HEAD", "cache:org/name@main", "git+file://{place}/clone@HEAD"])
def test_the_same_revision_twice_is_no_conflict(place: Path, hub_cache: Any, target: str) -> None:
    """A revision that is named and given alike is that revision."""
    target = target.format(place=place)
    revision = target.rpartition("@")[2]

    snapshot = open_snapshot(target, revision=revision, cache_dir=hub_cache.folder)

    assert snapshot.revision == revision


def test_a_path_object_is_always_a_path(place: Path) -> None:
    """A `Path` without a dot in front is a path, where the same text would be a repository."""
    assert open_snapshot(Path("org/name")).source == "folder"
    assert open_snapshot(place / "clone@HEAD").source == "git"


def test_a_snapshot_is_given_back() -> None:
    """A snapshot opens as itself, if the revision given is its own."""
    snapshot = MemorySource({"a": b""}, commit=COMMIT, revision="main").snapshot()

    assert open_snapshot(snapshot) is snapshot
    assert open_snapshot(snapshot, revision="main") is open_snapshot(snapshot, revision=COMMIT) is snapshot
    with pytest.raises(TargetError, match=f"revision is {COMMIT}, and '{OTHER}' is given"):
        open_snapshot(snapshot, revision=OTHER)


def test_a_file_is_opened_in_its_folder(place: Path) -> None:
    """A file is found in a listing of its own folder, without the folders inside."""
    (place / "plain" / "model.bin").write_bytes(b"12345")
    (place / "plain" / "sub").mkdir()
    (place / "plain" / "sub" / "deep.bin").write_bytes(b"")

    for path in ("plain/model.bin", place / "plain" / "model.bin", "~/plain/model.bin"):
        snapshot, name = open_file(path)

        assert (name, list(snapshot.files)) == ("model.bin", ["config.json", "model.bin"])
        assert snapshot.reader.read(name, 0, 5) == b"12345"


def test_a_link_that_the_user_names_is_followed(place: Path, tmp_path: Path) -> None:
    """A file given as a link is what it leads to; other links out of its folder stay unfollowed."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "weights").write_bytes(b"12345")
    (tmp_path / "store" / "secret").write_bytes(b"secret")
    (place / "plain" / "model.bin").symlink_to("../store/weights")
    (place / "plain" / "other.bin").symlink_to("../store/secret")

    snapshot, name = open_file("plain/model.bin")

    assert name == "model.bin"
    assert snapshot.reader.read(name, 0, 5) == b"12345"
    assert snapshot.files["other.bin"].state is FileState.ESCAPING_LINK


@pytest.mark.parametrize("path", ["onnx/model.onnx", "config.json"])
def test_a_file_of_a_cached_snapshot_knows_its_commit(hub_cache: Any, tmp_path: Path, path: str) -> None:
    """A file in a cache is opened with its whole commit, through whatever link the cache is reached."""
    for cached in ("onnx/model.onnx", "config.json"):
        hub_cache.add(COMMIT, cached, b"{}")
    folder = hub_cache.repo / "snapshots" / COMMIT
    (tmp_path / "alias").symlink_to(folder)

    for start in (folder, tmp_path / "alias"):
        snapshot, name = open_file(start / path)

        assert (snapshot.source, snapshot.commit, name) == ("cache", COMMIT, path)
        assert snapshot.reader.read(name, 0, 2) == b"{}"


@pytest.mark.parametrize(
    "path", ["plain", "nothing.bin", "plain/config.json/x", "a\0b", "broken", 7, "x" * 300]
)
def test_what_is_no_file_is_refused(place: Path, path: Any) -> None:
    """A folder, nothing, a broken link: a `TargetError`."""
    (place / "broken").symlink_to("nowhere")

    with pytest.raises(TargetError):
        open_file(path)


def test_a_pipe_given_as_a_file_does_not_hang(place: Path) -> None:
    """A pipe is listed as special, and reading it is refused without opening it."""
    os.mkfifo(place / "plain" / "model.bin")

    snapshot, name = open_file("plain/model.bin")

    with pytest.raises(SourceError, match="a pipe"):
        snapshot.reader.read(name, 0, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_place_that_may_not_be_looked_at_is_an_error(place: Path, hub_cache: Any) -> None:
    """A folder that the system does not let us enter gives our errors, with the system's reason."""
    for closed in (place / "plain", hub_cache.folder):
        closed.chmod(0)

    with pytest.raises(SourceError, match="Permission denied"):
        open_snapshot("./plain")
    with pytest.raises(TargetError, match="Permission denied"):
        open_snapshot("./plain/config.json")
    with pytest.raises((SourceError, TargetError), match=r"Permission denied|is not in the cache"):
        open_snapshot("cache:org/name", cache_dir=hub_cache.folder)
    for closed in (place / "plain", hub_cache.folder):
        closed.chmod(0o755)
