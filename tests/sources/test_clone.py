"""A local git clone, held against what the real git says of it; nothing a clone configures ever runs."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.files import FileState, History, Lineage, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.sources import git as git_module
from embaudit.sources import open_snapshot
from embaudit.sources.clone_tree import parse_tree
from embaudit.sources.git import Git, find_git
from embaudit.sources.metered import metered

WEIGHTS = bytes(range(256)) * 64


def opened(clone: Any, revision: str = "HEAD", **options: Any) -> Snapshot:
    """A commit of the clone under test."""
    return open_snapshot(clone.folder, revision=revision, **options)


def test_the_listing_is_that_of_git(clone: Any) -> None:
    """Paths, sizes and blob ids are those that git prints, whatever is checked out."""
    commit = clone.commit({"config.json": b"{}", "onnx/model.onnx": WEIGHTS, "a b\tc.txt": b"x", "é": b""})
    (clone.folder / "config.json").write_bytes(b"edited since")
    oracle = {
        row.split("\t", 1)[1]: tuple(row.split("\t")[0].split()[2:])
        for row in clone.git("ls-tree", "-rlz", "HEAD").split("\0")[:-1]
    }

    snapshot = opened(clone, commit)

    listed = {path: (entry.git_sha1, str(entry.size)) for path, entry in snapshot.files.items()}
    assert listed == oracle
    assert snapshot.reader.read("config.json", 0, 2) == b"{}"
    assert (snapshot.source, snapshot.commit, snapshot.revision) == ("git", commit, commit)


@pytest.mark.parametrize(
    "revision",
    ["HEAD", "main", "v1", "annotated", "HEAD~1", "HEAD~1^{commit}", "origin/main", "HEAD@{0}", "short"],
)
def test_a_revision_means_what_it_means_to_git(clone: Any, revision: str) -> None:
    """Branches, tags, ancestors, the reflog and short hashes lead to the commit that git says."""
    first = clone.commit({"a": b"1"})
    clone.git("tag", "v1")
    clone.git("tag", "-a", "-m", "note", "annotated")
    clone.git("update-ref", "refs/remotes/origin/main", first)
    clone.commit({"a": b"2"})
    asked = first[:9] if revision == "short" else revision

    snapshot = open_snapshot(f"{clone.folder}@{asked}")

    assert snapshot.commit == clone.git("rev-parse", f"{asked}^{{commit}}")
    assert snapshot == open_snapshot(f"git+file://{clone.folder}@{asked}") == opened(clone, asked)


def test_an_address_without_a_revision_is_the_head(clone: Any) -> None:
    """`git+file://` without a revision is what is checked out, and says that none was asked for."""
    commit = clone.commit({"a": b"1"})

    snapshot = open_snapshot(f"git+file://{clone.folder}")

    assert (snapshot.commit, snapshot.revision) == (commit, None)


@pytest.mark.parametrize(
    "revision",
    [
        pytest.param("mian", id="a-typo"),
        pytest.param("f" * 40, id="an-unknown-hash"),
        pytest.param("--help", id="an-option"),
        pytest.param("--output=trap", id="an-option-that-writes"),
        pytest.param("-c", id="a-short-option"),
        pytest.param("HEAD:a", id="a-blob"),
        pytest.param("HEAD^{tree}", id="a-tree"),
        pytest.param("main..main", id="a-range"),
        pytest.param("^main", id="an-exclusion"),
        pytest.param(":/a commit", id="a-search"),
        pytest.param("main\nmain", id="two-lines"),
        pytest.param("", id="empty"),
        pytest.param("x" * 5000, id="very-long"),
    ],
)
def test_what_is_no_commit_is_refused(clone: Any, revision: str) -> None:
    """A revision that is no commit is an error that names the refs there are, and never an option to git."""
    clone.commit({"a": b"1"})

    with pytest.raises(TargetError, match=r"has no commit .*; its branches and tags include main"):
        opened(clone, revision)

    assert not (clone.folder / "trap").exists()


def test_an_empty_clone_has_no_commit(clone: Any) -> None:
    """A clone before its first commit says that it has none."""
    with pytest.raises(TargetError, match="has no commit 'HEAD'; it has no branches or tags"):
        opened(clone)


def test_refs_are_branches_and_peeled_tags(clone: Any) -> None:
    """Branches and tags lead to commits; a tag of anything else is no ref."""
    first = clone.commit({"a": b"1"})
    clone.git("tag", "-a", "-m", "note", "annotated")
    clone.git("tag", "blob", clone.git("rev-parse", "HEAD:a"))
    second = clone.commit({"a": b"2"})
    clone.git("branch", "topic/x", first)
    clone.git("update-ref", "refs/remotes/origin/main", first)

    assert dict(opened(clone).refs) == {"annotated": first, "main": second, "topic/x": first}


def test_newer_commits_are_those_that_come_after(clone: Any) -> None:
    """Newer are the descendants on the branch asked for or checked out, and on the same branch of origin."""
    first = clone.commit({"a": b"1"}, "one")
    second = clone.commit({"a": b"2"}, "two")
    clone.git("tag", "v2")
    third = clone.commit({"a": b"3"}, "three")
    clone.git("update-ref", "refs/remotes/origin/main", third)
    clone.git("reset", "-q", "--hard", second)
    clone.git("checkout", "-q", "-b", "topic", first)
    topic = clone.commit({"b": b"1"}, "aside")
    clone.git("checkout", "-q", "main")

    def newer(revision: str) -> list[str]:
        return [info.commit for info in opened(clone, revision).newer]

    assert newer(first) == [second, third]
    assert newer("main") == newer("v2") == [third]
    assert newer("main~1") == newer("HEAD~1") == [second, third]
    assert newer(third) == newer("topic") == newer(topic) == []
    clone.git("checkout", "-q", "topic")
    assert newer(first) == [topic]
    assert newer("main") == [third]
    clone.git("checkout", "-q", "--detach", second)
    assert newer(first) == [second]


def test_lineage_is_that_of_git_log(clone: Any) -> None:
    """The commits that one has and the other has not, oldest first, with title and date as git logs them."""
    first = clone.commit({"a": b"1"}, "one")
    clone.commit({"a": b"2"}, "two: tücke\n\nand a body")
    last = clone.commit({"a": b"3"}, "x" * 300)
    snapshot, _ = metered(opened(clone, last))
    oracle = clone.git("log", "--reverse", "--format=%H\t%s\t%cI", f"{first}..{last}").split("\n")

    history = snapshot.reader

    assert isinstance(history, History)
    between = history.lineage(first, last).ahead
    assert [f"{info.commit}\t{info.title}\t{info.date}" for info in between] == oracle
    assert history.lineage(last, first) == Lineage(behind=between)
    assert history.lineage(last, last) == Lineage()


@pytest.mark.parametrize("commit", ["main", "f" * 40, "--all", "F" * 40], ids=str)
def test_lineage_takes_known_hashes_only(clone: Any, commit: str) -> None:
    """What is not a full hash that the clone holds is an error."""
    head = clone.commit({"a": b"1"})
    reader = opened(clone).reader

    for pair in ((head, commit), (commit, head)):
        with pytest.raises(SourceError, match=r"not a full commit hash|does not hold commit"):
            reader.lineage(*pair)


def test_lfs_pointers_are_resolved_from_the_store(clone: Any) -> None:
    """A pointer whose object was downloaded is that object, with its digest and without a git blob's."""
    clone.commit({"model.safetensors": clone.store_lfs(WEIGHTS)})

    snapshot = opened(clone)

    entry = snapshot.files["model.safetensors"]
    assert (entry.state, entry.size, entry.git_sha1) == (FileState.PRESENT, len(WEIGHTS), None)
    assert entry.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert snapshot.reader.read("model.safetensors", 100, 300) == WEIGHTS[100:300]


def damage_by_cutting(place: Path) -> None:
    """Leave half of the object."""
    os.truncate(place, len(WEIGHTS) // 2)


def damage_by_linking(place: Path) -> None:
    """Put a link to a file outside the clone in the object's place."""
    outside = place.parents[6] / "outside"
    outside.write_bytes(WEIGHTS)
    place.unlink()
    place.symlink_to(outside)


def damage_by_pipe(place: Path) -> None:
    """Put a pipe in the object's place."""
    place.unlink()
    os.mkfifo(place)


@pytest.mark.parametrize(
    ("damage", "detail"),
    [
        pytest.param(Path.unlink, "not in the clone's LFS store", id="missing"),
        pytest.param(damage_by_cutting, "Git LFS object of 8192 bytes, its pointer says 16384", id="cut"),
        pytest.param(damage_by_linking, "not in the clone's LFS store", id="link-to-the-outside"),
        pytest.param(damage_by_pipe, "not in the clone's LFS store", id="pipe"),
    ],
)
def test_a_pointer_without_its_object_is_a_pointer(clone: Any, damage: Any, detail: str) -> None:
    """A pointer whose object is missing, cut or no file stays a pointer, with what it says of its content."""
    clone.commit({"model.safetensors": clone.store_lfs(WEIGHTS)})
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    damage(clone.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest)

    entry = opened(clone).files["model.safetensors"]

    assert (entry.state, entry.size, entry.sha256) == (FileState.POINTER, len(WEIGHTS), digest)
    assert detail in entry.detail


def test_every_shape_of_clone_is_read(clone: Any, tmp_path: Path) -> None:
    """A bare clone, a linked working tree and a packed clone give the same commit as the clone itself."""
    clone.commit({"config.json": b"{}", "model.safetensors": clone.store_lfs(WEIGHTS)})
    expected = opened(clone)
    clone.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
    clone.git("clone", "-q", "--bare", str(clone.folder), str(tmp_path / "bare.git"))
    shutil.copytree(clone.folder / ".git" / "lfs", tmp_path / "bare.git" / "lfs")
    clone.git("gc", "-q")

    for folder in (clone.folder, tmp_path / "tree", tmp_path / "bare.git"):
        snapshot = open_snapshot(folder, revision="HEAD")

        assert (snapshot.files, snapshot.commit) == (expected.files, expected.commit)
        assert snapshot.reader.read("model.safetensors", 0, 9) == WEIGHTS[:9]


def test_a_clone_that_names_objects_by_sha256_is_read(tmp_path: Path, clone: Any) -> None:
    """Objects named by SHA-256 are read, but their ids are no hashes that anyone else knows."""
    other = attrs.evolve(clone, folder=tmp_path / "sha256")
    other.folder.mkdir()
    other.git("init", "-q", "--object-format=sha256", "-b", "main")
    other.commit({"config.json": b"{}"})

    snapshot = opened(other, "main")

    assert (snapshot.commit, snapshot.files["config.json"].identity) == (None, None)
    assert snapshot.reader.read("config.json", 0, 2) == b"{}"


def test_links_in_the_tree_are_followed_inside_the_tree(clone: Any) -> None:
    """A link is the file in the same commit that it leads to, or tells why there is none."""
    links = {
        "absolute": "/etc/passwd",
        "broken": "nowhere",
        "escaping": "../outside",
        "escaping-deep": "sub/../../outside",
        "folder": "sub",
        "loop": "loop",
        "sub/up": "../config.json",
        "through-a-file": "config.json/x",
        "to-file": "config.json",
        "to-link": "sub/up",
        "to-lfs": "model.bin",
        "via-folder": "folder/deep.json",
    }
    for path, target in links.items():
        (clone.folder / path).parent.mkdir(exist_ok=True)
        (clone.folder / path).symlink_to(target)
    clone.commit({"config.json": b"{}", "sub/deep.json": b"[]", "model.bin": clone.store_lfs(WEIGHTS)})

    snapshot = opened(clone)

    states = {path: str(snapshot.files[path].state) for path in links}
    assert states == {
        "absolute": "escaping-link",
        "broken": "broken-link",
        "escaping": "escaping-link",
        "escaping-deep": "escaping-link",
        "folder": "special",
        "loop": "looping-link",
        "sub/up": "present",
        "through-a-file": "broken-link",
        "to-file": "present",
        "to-link": "present",
        "to-lfs": "present",
        "via-folder": "present",
    }
    for path in (path for path, state in states.items() if state == "present"):
        size = snapshot.files[path].size
        content = WEIGHTS if path == "to-lfs" else (clone.folder / path).read_bytes()
        assert snapshot.reader.read(path, 0, size) == content
    assert snapshot.files["escaping"].detail == "-> ../outside"
    assert snapshot.files["to-lfs"].path == "to-lfs"


def test_a_submodule_is_special(clone: Any) -> None:
    """A submodule is listed with the commit that it stands at, and cannot be read."""
    clone.commit({"a": b"1"})
    clone.git("update-index", "--add", "--cacheinfo", f"160000,{'d' * 40},vendor/lib")
    clone.git("commit", "-q", "-m", "submodule")

    entry = opened(clone).files["vendor/lib"]

    assert (entry.state, entry.size, entry.detail) == (FileState.SPECIAL, None, f"submodule at {'d' * 40}")


def test_replaced_and_grafted_objects_are_not_believed(clone: Any) -> None:
    """Replace refs and grafts change neither a file's content nor the history."""
    first = clone.commit({"a": b"honest"}, "one")
    last = clone.commit({"b": b"2"}, "two")
    honest = clone.git("rev-parse", "HEAD:a")
    forged = clone.git("hash-object", "-w", "--stdin", stdin=b"forged")
    clone.git("replace", honest, forged)
    (clone.folder / ".git" / "info" / "grafts").write_text(f"{last}\n")

    snapshot = opened(clone)

    assert clone.git("cat-file", "blob", honest) == "forged"
    assert snapshot.reader.read("a", 0, 6) == b"honest"
    assert [info.commit for info in snapshot.reader.lineage(first, last).ahead] == [last]
    assert [info.commit for info in opened(clone, first).newer] == [last]


def set_traps(clone: Any, tmp_path: Path) -> Path:
    """Name a program wherever a clone's configuration can; gives the file that the program would make."""
    sprung, trap = tmp_path / "sprung", tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\necho \"$0 $@\" >> '{sprung}'\nexit 1\n")
    trap.chmod(0o755)
    hooks = clone.folder / ".git" / "evil-hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        shutil.copy(trap, hooks / name)
    settings = {
        "alias.cat-file": f"!{trap}",
        "alias.ls-tree": f"!{trap}",
        "alias.rev-list": f"!{trap}",
        "alias.rev-parse": f"!{trap}",
        "core.alternateRefsCommand": str(trap),
        "core.askPass": str(trap),
        "core.editor": str(trap),
        "core.fsmonitor": str(trap),
        "core.gitProxy": str(trap),
        "core.hooksPath": str(hooks),
        "core.pager": str(trap),
        "core.sshCommand": str(trap),
        "credential.helper": f"!{trap}",
        "diff.external": str(trap),
        "diff.evil.textconv": str(trap),
        "diff.evil.command": str(trap),
        "extensions.partialClone": "origin",
        "filter.evil.clean": str(trap),
        "filter.evil.process": str(trap),
        "filter.evil.smudge": str(trap),
        "gc.auto": "1",
        "gpg.program": str(trap),
        "log.showSignature": "true",
        "merge.evil.driver": str(trap),
        "pager.cat-file": str(trap),
        "pager.ls-tree": str(trap),
        "pager.rev-list": str(trap),
        "protocol.ext.allow": "always",
        "remote.origin.partialclonefilter": "blob:none",
        "remote.origin.promisor": "true",
        "remote.origin.proxy": str(trap),
        "remote.origin.uploadpack": str(trap),
        "remote.origin.url": f"ext::{trap} %S",
        "trace2.normalTarget": str(sprung),
    }
    for name, value in settings.items():
        clone.git("config", name, value)
    (clone.folder / ".git" / "info" / "attributes").write_text("* diff=evil filter=evil merge=evil\n")
    return sprung


def test_no_program_that_a_clone_names_ever_runs(clone: Any, tmp_path: Path) -> None:
    """Hooks, monitors, filters, conversions, pagers, checkers and transports of a clone are never started."""
    first = clone.commit({"a": b"1", "gone": b"missing", "small": b"x"}, "one")
    clone.commit({"a": b"2", "model.bin": WEIGHTS}, "two")
    missing = clone.git("rev-parse", "HEAD:gone")
    (clone.folder / ".git" / "objects" / missing[:2] / missing[2:]).unlink()
    sprung = set_traps(clone, tmp_path)

    snapshot = opened(clone)
    for path in ("a", "model.bin", "small"):
        snapshot.reader.read(path, 0, 1)
    snapshot.reader.lineage(first, snapshot.commit)
    opened(clone, first)
    with pytest.raises(TargetError):
        opened(clone, "nothing")
    with pytest.raises(SourceError):
        snapshot.reader.lineage(first, "f" * 40)

    assert not sprung.exists()
    assert snapshot.files["gone"].state is FileState.UNREADABLE
    assert missing in snapshot.files["gone"].detail


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["status"], id="monitor"),
        pytest.param(["diff", "HEAD~1", "HEAD"], id="conversion"),
        pytest.param(["checkout", "-f", "HEAD~1"], id="filter-and-hook"),
        pytest.param(["fetch", "origin"], id="transport"),
    ],
)
def test_the_traps_are_real(clone: Any, tmp_path: Path, command: list[str]) -> None:
    """The same clone does run its programs when git is used on it without care."""
    clone.commit({"a": b"1"}, "one")
    clone.commit({"a": b"2"}, "two")
    sprung = set_traps(clone, tmp_path)

    subprocess.run(["git", "-C", str(clone.folder), *command], capture_output=True, check=False, timeout=60)

    assert sprung.exists()


def test_git_variables_of_this_process_are_not_passed_on(
    clone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An environment set up for another clone, or for tracing, does not reach git."""
    commit = clone.commit({"a": b"1"})
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")

    assert opened(clone).commit == commit
    assert not (tmp_path / "trace").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a clone to another user")
def test_another_users_clone_is_read(clone: Any) -> None:
    """A clone that git distrusts because another user owns it is read, and stays distrusted by git."""
    commit = clone.commit({"a": b"1"})
    for place in (clone.folder, *clone.folder.rglob("*")):
        os.chown(place, 12345, 12345, follow_symlinks=False)

    snapshot = opened(clone)

    assert snapshot.commit == commit
    with pytest.raises(subprocess.CalledProcessError) as caught:
        clone.git("status")
    assert b"dubious ownership" in caught.value.stderr


def test_a_folder_in_a_clone_is_not_the_clone(clone: Any) -> None:
    """A clone further up is never searched for, as git itself would."""
    clone.commit({"sub/a": b"1"})

    with pytest.raises(TargetError, match="is not a git clone"):
        open_snapshot(clone.folder / "sub", revision="HEAD")


@pytest.mark.parametrize(
    "text",
    [b"gitdir: nowhere\n", b"gitdir: ", b"\xff\xfe", b"", b"gitdir: a\0b\n", b"x" * 100_000],
    ids=["nowhere", "empty-path", "bytes", "empty", "nul", "long"],
)
def test_a_damaged_git_file_is_no_clone(tmp_path: Path, text: bytes) -> None:
    """A `.git` file that leads to no git directory makes no clone."""
    (tmp_path / ".git").write_bytes(text)

    with pytest.raises(TargetError, match="is not a git clone"):
        open_snapshot(tmp_path, revision="HEAD")


def test_a_damaged_clone_is_an_error(clone: Any) -> None:
    """A clone whose tree is lost, or whose configuration git cannot read, is told as such."""
    clone.commit({"a": b"1"})
    tree = clone.git("rev-parse", "HEAD^{tree}")
    (clone.folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()

    with pytest.raises(SourceError, match=r"could not be read: git ls-tree: .*not a tree object"):
        opened(clone)

    (clone.folder / ".git" / "config").write_text("[broken")
    with pytest.raises(SourceError, match=r"could not be read: git for-each-ref: .*bad config"):
        opened(clone)


def test_a_blob_that_lies_about_its_content_is_an_error(clone: Any) -> None:
    """An object cut short after it was listed gives an error that names the file, not fewer bytes."""
    clone.commit({"model.bin": WEIGHTS})
    snapshot = opened(clone)
    blob = clone.git("rev-parse", "HEAD:model.bin")
    place = clone.folder / ".git" / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    os.truncate(place, 30)

    with pytest.raises(SourceError, match="could not be read: git cat-file"):
        snapshot.reader.read("model.bin", 0, 1)


@pytest.mark.parametrize(
    ("limit", "most"),
    [("files", 2), ("folder_depth", 1), ("git_output_bytes", 100)],
)
def test_listing_limits_hold(clone: Any, limit: str, most: int) -> None:
    """A tree beyond a limit is refused, and the error says which limit."""
    clone.commit({"a": b"1", "b": b"2", "deep/er/c": b"3"})

    with pytest.raises(LimitError) as caught:
        opened(clone, limits=attrs.evolve(DEFAULT_LIMITS, **{limit: most}))

    assert caught.value.limit == limit


def test_a_tree_that_multiplies_is_stopped_early(clone: Any) -> None:
    """Eight trees of ten entries each list 10 ** 8 files; they are counted while git lists them."""
    object_id = clone.git("hash-object", "-w", "--stdin", stdin=b"1")
    kind, mode = "blob", "100644"
    for _ in range(8):
        rows = "".join(f"{mode} {kind} {object_id}\t{number}\n" for number in range(10))
        object_id = clone.git("mktree", stdin=rows.encode())
        kind, mode = "tree", "040000"
    commit = clone.git("commit-tree", "-m", "bomb", object_id)

    with pytest.raises(LimitError, match="more than 100000 files") as caught:
        opened(clone, commit)

    assert caught.value.limit == "files"


def test_a_blob_beyond_the_limit_is_not_unpacked(clone: Any) -> None:
    """A blob larger than may be unpacked is refused when it is read, before git is asked for it."""
    clone.commit({"model.bin": WEIGHTS, "config.json": b"{}"})
    snapshot = opened(clone, limits=attrs.evolve(DEFAULT_LIMITS, git_blob_bytes=1000))

    assert snapshot.reader.read("config.json", 0, 2) == b"{}"
    with pytest.raises(LimitError) as caught:
        snapshot.reader.read("model.bin", 0, 1)

    assert caught.value.limit == "git_blob_bytes"


def count_unpacked(clone: Any, monkeypatch: pytest.MonkeyPatch, paths: list[str], most: int) -> int:
    """How often git unpacks a blob while files are read one after the other."""
    snapshot = opened(clone, limits=attrs.evolve(DEFAULT_LIMITS, git_blob_bytes=most))
    asked = []
    spool = Git.spool

    def counted(self: Git, *arguments: str, size: int) -> int:
        asked.append(arguments)
        return spool(self, *arguments, size=size)

    with monkeypatch.context() as patch:
        patch.setattr(Git, "spool", counted)
        for path in paths:
            snapshot.reader.read(path, 0, 100)
    return len(asked)


def test_a_blob_is_unpacked_once_while_there_is_room(clone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading on in a file does not ask git again; without room, the blob used longest ago makes way."""
    clone.commit({"a": b"a" * 600, "b": b"b" * 600, "again": b"a" * 600})

    assert count_unpacked(clone, monkeypatch, ["a", "b", "a", "again", "b"], 1200) == 2
    assert count_unpacked(clone, monkeypatch, ["a", "b", "a"], 1199) == 3


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        pytest.param(b"100644 blob " + b"a" * 40 + b" 1\t../x\0", "is damaged", id="parent"),
        pytest.param(b"100644 blob " + b"a" * 40 + b" 1\ta/./x\0", "is damaged", id="dot"),
        pytest.param(b"100644 blob " + b"a" * 40 + b" 1\t/x\0", "is damaged", id="absolute"),
        pytest.param((b"100644 blob " + b"a" * 40 + b" 1\tx\0") * 2, "is damaged", id="twice"),
        pytest.param(b"nonsense\0", "row of a tree that is none", id="nonsense"),
    ],
)
def test_a_tree_that_git_would_not_write_is_refused(printed: bytes, message: str) -> None:
    """Paths that lead out of a repository, or stand in it twice, are an error and never a file."""
    with pytest.raises(SourceError, match=message):
        parse_tree(printed, DEFAULT_LIMITS)


def test_a_hand_made_hostile_tree_is_refused(clone: Any) -> None:
    """A tree object that names a file `..` is refused when the clone is opened."""
    clone.commit({"a": b"1"})
    blob = bytes.fromhex(clone.git("rev-parse", "HEAD:a"))
    tree = clone.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=b"100644 ..\0" + blob)
    commit = clone.git("commit-tree", "-m", "evil", tree)

    with pytest.raises(SourceError, match=r"the tree is damaged: it holds '\.\.'"):
        opened(clone, commit)


def fake_git(tmp_path: Path, script: str) -> Git:
    """A program in place of git."""
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Git(
        program=str(program), folder=tmp_path, limits=attrs.evolve(DEFAULT_LIMITS, git_output_bytes=1000)
    )


def test_a_git_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes too long is ended together with all that it started."""
    monkeypatch.setattr(git_module, "_SECONDS", 0.2)
    git = fake_git(tmp_path, "sleep 600 & sleep 600")

    with pytest.raises(SourceError, match=r"git ls-tree on .* took more than"):
        git.ask("ls-tree")


@pytest.mark.parametrize("stream", ["1", "2"], ids=["output", "errors"])
def test_a_git_that_prints_without_end_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """Endless output is a `LimitError`; endless error messages do not block, and end with the time."""
    monkeypatch.setattr(git_module, "_SECONDS", 0.5)
    git = fake_git(tmp_path, f"yes >&{stream}")

    with pytest.raises((LimitError, SourceError)) as caught:
        git.ask("ls-tree")

    assert type(caught.value) is (LimitError if stream == "1" else SourceError)


def test_a_git_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    """A program that cannot be started is told with the system's reason."""
    git = Git(program=str(tmp_path / "no-git"), folder=tmp_path, limits=DEFAULT_LIMITS)

    with pytest.raises(SourceError, match=r"git ls-tree on .*: No such file"):
        git.ask("ls-tree")


@pytest.mark.parametrize("answer", ["echo nonsense", "printf 'abc blob 9'"], ids=["a-line", "no-line"])
def test_an_answer_that_is_none_is_an_error(
    clone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """What git prints is checked, not believed."""
    clone.commit({"a": b"1"})
    real = find_git()
    script = f'case "$*" in *--batch*) {answer};; *) exec {real} "$@";; esac'
    fake_git(tmp_path, script)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(SourceError, match="gave an answer that is none"):
        opened(clone)


def test_without_git_there_is_an_error_that_says_so(clone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git is not installed a clone's commits cannot be read; its folder as it is still can."""
    clone.commit({"a": b"1"})
    monkeypatch.setenv("PATH", str(clone.folder))

    with pytest.raises(TargetError, match="where the program git is installed"):
        opened(clone)

    assert list(open_snapshot(clone.folder).files) == ["a"]


def test_a_git_in_the_current_folder_is_not_run(
    clone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder on the search path could be one under audit, and is not looked into."""
    commit = clone.commit({"a": b"1"})
    fake_git(tmp_path, f"touch {tmp_path}/sprung")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}{os.environ['PATH']}")

    assert opened(clone).commit == commit
    assert not (tmp_path / "sprung").exists()
