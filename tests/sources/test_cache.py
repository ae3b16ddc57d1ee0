"""The local Hugging Face cache, held against what huggingface_hub itself finds in the same cache."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from huggingface_hub import constants, scan_cache_dir, try_to_load_from_cache

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.files import FileState, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.sources import open_snapshot

OLD, NEW, THIRD = "a" * 40, "b" * 40, "c" * 40
WEIGHTS = bytes(range(256)) * 8
FILES = {
    "config.json": b'{"hidden_size": 32}',
    "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
    "model.safetensors": WEIGHTS,
}


def fill(cache: Any, commit: str, layout: str, files: Mapping[str, bytes] = FILES) -> dict[str, str]:
    """Cache all files of a commit; gives each one's ETag."""
    return {
        path: cache.add(commit, path, content, layout=layout, lfs=path.endswith(".safetensors"))
        for path, content in files.items()
    }


def opened(cache: Any, target: str = "cache:org/name", **options: Any) -> Snapshot:
    """A snapshot out of the cache under test."""
    return open_snapshot(target, cache_dir=cache.folder, **options)


def set_time(cache: Any, commit: str, seconds: int) -> None:
    """Say when a snapshot was last written to."""
    os.utime(cache.repo / "snapshots" / commit, (seconds, seconds))


@pytest.mark.parametrize("layout", ["links", "shared", "copies"])
def test_every_layout_agrees_with_huggingface_hub(hub_cache: Any, layout: str) -> None:
    """Commits, refs, files and sizes are those that huggingface_hub finds, in every layout."""
    fill(hub_cache, OLD, layout, {"config.json": b"{}", "pytorch_model.bin": WEIGHTS})
    fill(hub_cache, NEW, layout)
    hub_cache.add_ref("main", NEW)
    hub_cache.add_ref("refs/pr/1", OLD)

    (repo,) = scan_cache_dir(hub_cache.folder).repos

    for revision in repo.revisions:
        snapshot = opened(hub_cache, f"cache:org/name@{revision.commit_hash}")
        assert snapshot.repo_id == repo.repo_id
        assert snapshot.commit == revision.commit_hash
        sizes = {str(f.file_path.relative_to(revision.snapshot_path)): f.size_on_disk for f in revision.files}
        assert {path: entry.size for path, entry in snapshot.files.items()} == sizes
        assert {name for name, commit in snapshot.refs.items() if commit == snapshot.commit} == revision.refs
        others = {info.commit for info in snapshot.cache.other_commits}
        assert others == {other.commit_hash for other in repo.revisions} - {snapshot.commit}


@pytest.mark.parametrize("revision", ["main", "refs/pr/1", "v1.0", NEW])
def test_a_revision_leads_to_the_files_that_huggingface_hub_loads(hub_cache: Any, revision: str) -> None:
    """A branch, a pull request, a tag or a hash gives the bytes that huggingface_hub would open."""
    fill(hub_cache, OLD, "links", {"config.json": b"old"})
    fill(hub_cache, NEW, "links", {"config.json": b"new"})
    for name, commit in {"main": OLD, "refs/pr/1": NEW, "v1.0": NEW}.items():
        hub_cache.add_ref(name, commit)
    oracle = try_to_load_from_cache("org/name", "config.json", hub_cache.folder, revision)

    snapshot = opened(hub_cache, f"cache:org/name@{revision}")

    assert snapshot.reader.read("config.json", 0, 3) == Path(oracle).read_bytes()
    assert snapshot.commit == Path(oracle).parent.name
    assert snapshot.revision == revision


@pytest.mark.parametrize("layout", ["links", "shared"])
def test_digests_come_from_the_first_link(hub_cache: Any, layout: str) -> None:
    """The blob that a snapshot's link names gives the digest; the name in the shared store does not."""
    etags = fill(hub_cache, NEW, layout)

    files = opened(hub_cache, f"cache:org/name@{NEW}").files

    assert files["model.safetensors"].sha256 == etags["model.safetensors"]
    assert files["model.safetensors"].git_sha1 is None
    assert files["1_Pooling/config.json"].git_sha1 == etags["1_Pooling/config.json"]
    assert files["1_Pooling/config.json"].sha256 is None


def test_a_link_into_the_shared_store_claims_no_digest(hub_cache: Any) -> None:
    """A link that skips the repository's blobs ends in a Xet hash, which is no SHA-256."""
    fill(hub_cache, NEW, "shared")
    place = hub_cache.repo / "snapshots" / NEW / "model.safetensors"
    stored = place.resolve()
    place.unlink()
    place.symlink_to(os.path.relpath(stored, place.parent))

    entry = opened(hub_cache, f"cache:org/name@{NEW}").files["model.safetensors"]

    assert (entry.state, entry.size, entry.identity) == (FileState.PRESENT, len(WEIGHTS), None)


def test_without_links_digests_come_from_the_listing(hub_cache: Any) -> None:
    """Where files are copies, the commit's own listing says which contents they should be."""
    fill(hub_cache, NEW, "copies")
    hub_cache.add_tree(
        NEW,
        {
            "config.json": {"size": 19, "blob_id": "1" * 40},
            "model.safetensors": {
                "size": 134,
                "blob_id": "2" * 40,
                "lfs_sha256": "3" * 64,
                "lfs_size": len(WEIGHTS),
            },
        },
    )

    files = opened(hub_cache, f"cache:org/name@{NEW}").files

    assert (files["config.json"].git_sha1, files["config.json"].sha256) == ("1" * 40, None)
    assert (files["model.safetensors"].git_sha1, files["model.safetensors"].sha256) == (None, "3" * 64)
    assert files["1_Pooling/config.json"].identity is None


def test_files_that_were_not_downloaded_are_absent(hub_cache: Any) -> None:
    """What the commit's listing names and the snapshot lacks is absent, with size and digest."""
    from huggingface_hub._tree_cache import TreeCacheEntry, write_tree_cache

    fill(hub_cache, NEW, "links", {"config.json": b"{}"})
    write_tree_cache(
        str(hub_cache.repo),
        NEW,
        {
            "config.json": TreeCacheEntry(size=2, blob_id="1" * 40),
            "model.safetensors": TreeCacheEntry(
                size=90868376, blob_id="2" * 40, lfs_sha256="3" * 64, lfs_size=90868376, xet_hash="4" * 64
            ),
            "README.md": TreeCacheEntry(size=7, blob_id="5" * 40),
        },
    )

    absent = opened(hub_cache, f"cache:org/name@{NEW}").cache.absent

    assert [(one.path, one.size, one.sha256, one.git_sha1) for one in absent] == [
        ("README.md", 7, None, "5" * 40),
        ("model.safetensors", 90868376, "3" * 64, None),
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut"),
        pytest.param("[" * 100_000, id="nested"),
        pytest.param("[]", id="no-object"),
        pytest.param('{"format_version": 2, "files": {"a": {"size": 1, "blob_id": "x"}}}', id="version-2"),
        pytest.param('{"format_version": 1, "files": []}', id="files-no-object"),
        pytest.param(
            '{"format_version": 1, "files": {"a": 1, "../b": {}, "/c": {}, "": {}}}', id="no-entries"
        ),
        pytest.param('{"format_version": ' + "9" * 5000 + "}", id="a-number-too-long"),
        pytest.param("\udcff", id="not-utf-8"),
    ],
)
def test_a_damaged_listing_is_none(hub_cache: Any, text: str) -> None:
    """A listing that huggingface_hub would not use either gives nothing, and no error."""
    fill(hub_cache, NEW, "links")
    hub_cache.add_tree(NEW, {})
    (hub_cache.repo / "trees" / f"{NEW}.json").write_bytes(os.fsencode(text))

    assert opened(hub_cache, f"cache:org/name@{NEW}").cache.absent == ()


@pytest.mark.parametrize(
    "size", [-1, 1.5, True, "7", None, [1]], ids=["negative", "float", "bool", "text", "null", "array"]
)
def test_a_size_that_is_none_is_unknown(hub_cache: Any, size: object) -> None:
    """A listing's size that is no number of bytes is not taken over."""
    fill(hub_cache, NEW, "links")
    hub_cache.add_tree(NEW, {"absent.bin": {"size": size, "blob_id": "not hex"}})

    (entry,) = opened(hub_cache, f"cache:org/name@{NEW}").cache.absent

    assert (entry.size, entry.identity) == (None, None)


@pytest.mark.parametrize(
    ("limit", "most"), [("json_bytes", 10), ("files", 4)], ids=["listing-bytes", "listing-files"]
)
def test_limits_hold(hub_cache: Any, limit: str, most: int) -> None:
    """A listing beyond a limit is refused, and the error says which limit."""
    hub_cache.add(NEW, "config.json", b"{}")
    hub_cache.add_tree(NEW, {f"{n}.json": {"size": 1, "blob_id": "1" * 40} for n in range(5)})

    with pytest.raises(LimitError) as caught:
        opened(hub_cache, f"cache:org/name@{NEW}", limits=attrs.evolve(DEFAULT_LIMITS, **{limit: most}))

    assert caught.value.limit == limit


def test_interrupted_downloads_are_told(hub_cache: Any) -> None:
    """Partial downloads are named as huggingface_hub finds them."""
    fill(hub_cache, NEW, "links")
    for name in ("1" * 64 + ".0f1e2d3c.incomplete", "2" * 40 + ".incomplete"):
        (hub_cache.repo / "blobs" / name).write_bytes(b"part")
    oracle = {found.file_path.name for found in scan_cache_dir(hub_cache.folder).incomplete_files}

    incomplete = opened(hub_cache, f"cache:org/name@{NEW}").cache.incomplete

    assert set(incomplete) == oracle
    assert list(incomplete) == sorted(oracle)


def test_a_missing_blob_is_a_broken_link(hub_cache: Any) -> None:
    """A link to a blob that is gone says so, and still says which content it was."""
    etags = fill(hub_cache, NEW, "links")
    (hub_cache.repo / "blobs" / etags["model.safetensors"]).unlink()

    snapshot = opened(hub_cache, f"cache:org/name@{NEW}")

    entry = snapshot.files["model.safetensors"]
    assert (entry.state, entry.sha256) == (FileState.BROKEN_LINK, etags["model.safetensors"])
    with pytest.raises(SourceError, match=r"model\.safetensors.*broken-link"):
        snapshot.reader.read("model.safetensors", 0, 0)


def test_a_shared_blob_that_is_gone_is_a_broken_link(hub_cache: Any) -> None:
    """The second of two hops may be broken, too."""
    fill(hub_cache, NEW, "shared")
    (hub_cache.repo / "snapshots" / NEW / "model.safetensors").resolve().unlink()

    assert (
        opened(hub_cache, f"cache:org/name@{NEW}").files["model.safetensors"].state is FileState.BROKEN_LINK
    )


def test_a_link_out_of_the_cache_is_not_followed(hub_cache: Any, tmp_path: Path) -> None:
    """A link to another repository's blob stays in the cache, a link beyond the cache is not followed."""
    (tmp_path / "secret").write_bytes(b"secret")
    other = attrs.evolve(hub_cache, repo_id="org/other")
    etag = other.add(OLD, "config.json", b"{}")
    folder = hub_cache.repo / "snapshots" / NEW
    folder.mkdir(parents=True)
    (folder / "escaping").symlink_to("../../../../secret")
    (folder / "absolute").symlink_to(tmp_path / "secret")
    (folder / "neighbour").symlink_to(f"../../../models--org--other/blobs/{etag}")

    files = opened(hub_cache, f"cache:org/name@{NEW}").files

    assert files["escaping"].state is files["absolute"].state is FileState.ESCAPING_LINK
    assert (files["neighbour"].state, files["neighbour"].git_sha1) == (FileState.PRESENT, None)


def test_a_repository_moved_to_another_disk_is_read(hub_cache: Any, tmp_path: Path) -> None:
    """The user may have put a link in place of the repository's folder, or of the whole cache."""
    etags = fill(hub_cache, NEW, "links")
    hub_cache.add_ref("main", NEW)
    hub_cache.repo.rename(tmp_path / "moved")
    hub_cache.repo.symlink_to(tmp_path / "moved")
    (tmp_path / "alias").symlink_to("cache")

    for cache in (hub_cache, attrs.evolve(hub_cache, folder=tmp_path / "alias")):
        files = opened(cache).files

        assert files["model.safetensors"].state is FileState.PRESENT
        assert files["model.safetensors"].sha256 == etags["model.safetensors"]


def newer(snapshot: Snapshot) -> list[str]:
    """The commits known to be newer."""
    return [info.commit for info in snapshot.newer]


def test_what_the_ref_points_at_is_newer(hub_cache: Any) -> None:
    """A pinned old commit is told of the commit that `main` points at, cached or not."""
    fill(hub_cache, OLD, "links")
    hub_cache.add_ref("main", NEW)
    hub_cache.add_ref("v1", OLD)

    assert newer(opened(hub_cache, f"cache:org/name@{OLD}")) == [NEW]
    assert newer(opened(hub_cache, "cache:org/name@v1")) == []
    fill(hub_cache, NEW, "links")
    assert newer(opened(hub_cache, f"cache:org/name@{OLD}")) == [NEW]
    assert newer(opened(hub_cache)) == []


def test_without_a_ref_later_snapshots_are_newer(hub_cache: Any) -> None:
    """Where no `main` is known, the time that snapshots were written at orders them."""
    for commit, seconds in {NEW: 3000, THIRD: 1000, OLD: 2000}.items():
        fill(hub_cache, commit, "links", {"config.json": b"{}"})
        set_time(hub_cache, commit, seconds)

    snapshot = opened(hub_cache, f"cache:org/name@{OLD}")

    assert newer(snapshot) == [NEW]
    assert [(info.commit, info.date) for info in snapshot.cache.other_commits] == [
        (THIRD, "1970-01-01T00:16:40+00:00"),
        (NEW, "1970-01-01T00:50:00+00:00"),
    ]


def test_what_is_not_a_ref_is_passed_over(hub_cache: Any) -> None:
    """Files of the system, cut refs and links out of the cache are no refs."""
    fill(hub_cache, NEW, "links")
    for name, text in {".DS_Store": "\0" * 6148, "cut": "ab", "upper": "B" * 40, "main": NEW}.items():
        hub_cache.add_ref(name, text)
    (hub_cache.folder.parent / "outside").write_text(OLD)
    (hub_cache.repo / "refs" / "linked").symlink_to("../../../outside")
    os.mkfifo(hub_cache.repo / "refs" / "pipe")
    (hub_cache.repo / "snapshots" / ".DS_Store").write_bytes(b"")

    assert dict(opened(hub_cache).refs) == {"main": NEW}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param("cache:org/other", "org/other is not in the cache at", id="repository"),
        pytest.param(f"cache:org/name@{THIRD}", f"no cached revision '{THIRD}'", id="hash"),
        pytest.param("cache:org/name@v9", f"no cached revision 'v9'; cached commits: {OLD}", id="tag"),
        pytest.param(
            "cache:org/name@dev", f"'dev' of org/name is {NEW}, and no file of that", id="not-downloaded"
        ),
        pytest.param("cache:org/name", "refs: dev, refs/pr/1", id="no-main"),
        pytest.param("cache:org/name@../../x", r"no cached revision '../../x'", id="a-path"),
    ],
)
def test_what_is_not_cached_is_told_with_what_is(hub_cache: Any, target: str, message: str) -> None:
    """An unknown repository or revision is an error that lists what the cache holds."""
    fill(hub_cache, OLD, "links")
    hub_cache.add_ref("dev", NEW)
    hub_cache.add_ref("refs/pr/1", OLD)

    with pytest.raises(TargetError) as caught:
        opened(hub_cache, target)

    assert message in str(caught.value)


def test_a_long_list_of_commits_is_cut_short(hub_cache: Any) -> None:
    """An error lists some of many commits, and says how many more there are."""
    for n in range(12):
        hub_cache.add(f"{n:040x}", "config.json", b"{}")

    with pytest.raises(TargetError, match="and 2 more; refs: none"):
        opened(hub_cache)


@pytest.mark.parametrize("layout", ["links", "shared", "copies"])
def test_a_snapshot_given_as_a_path_is_that_cached_commit(
    hub_cache: Any, tmp_path: Path, layout: str
) -> None:
    """The folder of a cached snapshot is opened with its commit and repository, links and all."""
    fill(hub_cache, NEW, layout)
    hub_cache.add_ref("main", NEW)
    folder = hub_cache.repo / "snapshots" / NEW
    (tmp_path / "alias").symlink_to(folder)
    expected = attrs.evolve(opened(hub_cache), revision=NEW)

    assert open_snapshot(folder) == open_snapshot(str(folder) + "/") == expected
    assert open_snapshot(tmp_path / "alias") == expected
    assert open_snapshot(folder, revision=NEW).commit == NEW
    assert open_snapshot(f"{folder}@main").revision == "main"
    with pytest.raises(TargetError, match=f"this is commit {NEW}, not '{OLD}'"):
        open_snapshot(folder, revision=OLD)


def test_a_snapshot_folder_that_is_a_link_is_refused(hub_cache: Any, tmp_path: Path) -> None:
    """A link in place of a snapshot's folder is not a cached commit."""
    (tmp_path / "elsewhere").mkdir()
    (hub_cache.repo / "snapshots").mkdir(parents=True)
    (hub_cache.repo / "snapshots" / NEW).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(TargetError, match="is a link"):
        open_snapshot(hub_cache.repo / "snapshots" / NEW)


def test_the_repository_folder_is_not_a_target(hub_cache: Any) -> None:
    """The folder of a cached repository holds several commits, so the error says how to name one."""
    fill(hub_cache, NEW, "links")

    with pytest.raises(TargetError, match="write cache:org/name, or cache:org/name@revision"):
        open_snapshot(hub_cache.repo)


def test_the_cache_is_where_huggingface_hub_has_it(hub_cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder given, the cache is huggingface_hub's, looked up at each call."""
    fill(hub_cache, NEW, "links")
    hub_cache.add_ref("main", NEW)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub_cache.folder))

    assert open_snapshot("cache:org/name").commit == NEW


def test_a_repository_without_an_organisation_is_cached_too(hub_cache: Any) -> None:
    """A bare name such as `gpt2` has a cache folder of its own."""
    cache = attrs.evolve(hub_cache, repo_id="gpt2")
    cache.add(NEW, "config.json", b"{}")
    cache.add_ref("main", NEW)

    snapshot = opened(cache, "cache:gpt2")

    assert snapshot.repo_id == "gpt2"
    assert open_snapshot(cache.repo / "snapshots" / NEW).repo_id == "gpt2"


def test_no_exist_markers_are_not_files(hub_cache: Any) -> None:
    """Markers of files that do not exist on the hub, and locks, add nothing to the listing."""
    fill(hub_cache, NEW, "links")
    marker = hub_cache.repo / ".no_exist" / NEW / "adapter_config.json"
    marker.parent.mkdir(parents=True)
    marker.touch()

    assert set(opened(hub_cache, f"cache:org/name@{NEW}").files) == set(FILES)


def test_a_hostile_listing_stays_out_of_the_way(hub_cache: Any) -> None:
    """Paths in a listing that lead out of a repository are not taken over."""
    fill(hub_cache, NEW, "links")
    entry = {"size": 1, "blob_id": "1" * 40}
    hub_cache.add_tree(NEW, {"../x": entry, "/etc/passwd": entry, "a//b": entry, "a/./b": entry, "ok": entry})

    assert [one.path for one in opened(hub_cache, f"cache:org/name@{NEW}").cache.absent] == ["ok"]
