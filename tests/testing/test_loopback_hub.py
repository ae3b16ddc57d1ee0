"""The loopback hub: the real client takes it for the hub, and what goes wrong goes wrong on the wire."""

import gzip
import hashlib
import http.client
import inspect
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import huggingface_hub
import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from hypothesis import given
from hypothesis import strategies as st

from embaudit.sources.memory import MemorySource
from embaudit.testing import loopback_hub
from embaudit.testing.loopback_hub import (
    BodyReplaced,
    Dropped,
    Fault,
    File,
    Gzipped,
    HeaderChanged,
    JsonCut,
    JsonEdited,
    Late,
    LinkElsewhere,
    LongBody,
    LoopbackHub,
    Meanwhile,
    OtherCommit,
    RangeIgnored,
    Redirected,
    Repository,
    ShortBody,
    Sparse,
    Status,
    Trickle,
    UrlExpired,
    WrongRange,
)

WEIGHTS = bytes(range(256)) * 8
FILES = {
    "config.json": b'{"model_type": "bert"}',
    "empty.txt": b"",
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": WEIGHTS[::-1],
}


@attrs.frozen
class Answer:
    """What came over the wire: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub that this process uses."""
    with LoopbackHub() as made, made.in_process():
        yield made


@pytest.fixture
def repository(hub: LoopbackHub) -> Repository:
    """A repository with two commits."""
    made = hub.create("org/name")
    made.commit({"config.json": b"{}"}, title="First")
    made.commit(FILES, title="Second")
    return made


def ask(url: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One request with the standard library: no redirects are followed, nothing is unpacked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, sent)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, answer.read())
    finally:
        connection.close()


def signed(hub: LoopbackHub, path: str = "model.safetensors") -> str:
    """The signed URL of an LFS file."""
    return ask(f"{hub.endpoint}/org/name/resolve/main/{path}").headers["location"]


def safetensors(n_bytes: int) -> Sparse:
    """A safetensors file with one tensor of zeros."""
    header = {"weight": {"dtype": "U8", "shape": [n_bytes], "data_offsets": [0, n_bytes]}}
    packed = json.dumps(header).encode()
    return Sparse(8 + len(packed) + n_bytes, {0: struct.pack("<Q", len(packed)) + packed})


def git_blob(content: bytes) -> str:
    """The id that git itself gives to contents."""
    shown = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    return shown.stdout.decode().strip()


SEGMENTS = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=9)), max_size=6)


@given(SEGMENTS, st.integers(0, 9), st.data())
def test_sparse_reads_as_the_bytes_it_stands_for(
    laid: list[tuple[int, bytes]], tail: int, data: st.DataObject
) -> None:
    """Any span, part and chunking of sparse contents is what plain bytes would give."""
    whole, segments = bytearray(), {}
    for gap, held in laid:
        whole += bytes(gap)
        if held:
            segments[len(whole)] = held
        whole += held
    whole += bytes(tail)
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))

    sparse = Sparse(len(whole), segments)

    assert sparse.read(start, stop) == whole[start:stop]
    assert b"".join(sparse.part(start, stop).chunks(3)) == whole[start:stop]
    assert b"".join(sparse.longer(2).chunks()) == whole + bytes(2)


@pytest.mark.parametrize(
    "segments",
    [pytest.param({8: b"abc"}, id="over-the-end"), pytest.param({0: b"ab", 1: b"c"}, id="overlap")],
)
def test_impossible_segments_are_refused(segments: dict[int, bytes]) -> None:
    """Segments lie within the contents and not over one another."""
    with pytest.raises(ValueError, match="segment"):
        Sparse(10, segments)


@pytest.mark.usefixtures("repository")
def test_digests_are_those_of_git_and_lfs() -> None:
    """The client sees sizes and digests as `MemorySource` has them, and git's ids of blobs and pointers."""
    info = HfApi().model_info("org/name", files_metadata=True)
    held = MemorySource(FILES).snapshot().files

    assert {sibling.rfilename: sibling.size for sibling in info.siblings} == {
        path: len(content) for path, content in FILES.items()
    }
    for sibling in info.siblings:
        entry = held[sibling.rfilename]
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        assert sha256 == entry.sha256
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {sibling.size}\n"
        stored = text.encode() if sha256 else FILES[sibling.rfilename]
        assert sibling.blob_id == git_blob(stored)
        assert not sha256 or sibling.lfs.pointer_size == len(text)


def test_a_file_goes_where_it_is_told_to(hub: LoopbackHub) -> None:
    """`File(lfs=...)` overrules the name, and a declared digest is not computed."""
    repository = hub.create("org/name")
    declared = "ab" * 32
    repository.commit(
        {
            "tokenizer.json": File(b"{}", lfs=True),
            "tiny.bin": File(b"x", lfs=False),
            "huge.bin": Sparse(700 * 10**9, {0: b"x"}, sha256=declared),
        }
    )

    found = {
        each.rfilename: each.lfs for each in HfApi().model_info("org/name", files_metadata=True).siblings
    }

    assert found["tokenizer.json"].sha256 == hashlib.sha256(b"{}").hexdigest()
    assert found["tiny.bin"] is None
    assert (found["huge.bin"].sha256, found["huge.bin"].size) == (declared, 700 * 10**9)


@pytest.mark.usefixtures("repository")
def test_info_tells_what_is_asked_for(hub: LoopbackHub) -> None:
    """Siblings have no sizes unless asked for, `expand` gives what it names, and states are told."""
    api = HfApi()

    plain = api.model_info("org/name")
    few = api.model_info("org/name", expand=["sha", "gated"])

    assert {sibling.size for sibling in plain.siblings} == {None}
    assert (plain.id, plain.gated, plain.private, plain.disabled) == ("org/name", False, False, False)
    assert (few.sha, few.gated, few.siblings) == (plain.sha, False, None)
    asked = ask(f"{hub.endpoint}/api/models/org/name?expand[]=sha&expand=gated")
    assert set(json.loads(asked.body)) == {"_id", "id", "sha", "gated"}
    assert ask(f"{hub.endpoint}/api/models/org/name?expand=nonsense").status == 400


def test_flagged_files_are_told(repository: Repository) -> None:
    """The scanner's word on a file is in the security status of the info and of the file."""
    repository.flag("onnx/model.onnx", "unsafe")
    repository.flag("not-there.bin", "unsafe")
    api = HfApi()

    info = api.model_info("org/name", securityStatus=True)
    entries = api.get_paths_info("org/name", ["onnx/model.onnx", "config.json"], expand=True)

    assert info.security_repo_status == {
        "scansDone": True,
        "filesWithIssues": [{"path": "onnx/model.onnx", "level": "unsafe"}],
    }
    assert {entry.path: entry.security.safe for entry in entries} == {
        "onnx/model.onnx": False,
        "config.json": True,
    }


def test_every_revision_is_found(repository: Repository) -> None:
    """Branches, tags, pull requests, full references and hashes, whole or shortened, give their commit."""
    first = HfApi().list_repo_commits("org/name")[-1].commit_id
    repository.branch("old/branch", first)
    repository.branch("refs/pr/1", first)
    repository.tag("v1", first)
    api = HfApi()

    for revision in (
        "old/branch",
        "refs/heads/old/branch",
        "refs/pr/1",
        "v1",
        "refs/tags/v1",
        first,
        first[:9],
    ):
        info = api.model_info("org/name", revision=revision)
        assert (info.sha, len(info.siblings)) == (first, 1), revision


def test_references_are_listed(repository: Repository) -> None:
    """The client gets branches, tags, converts and, if it asks for them, pull requests."""
    commit = repository.refs["refs/heads/main"]
    repository.branch("refs/pr/1", commit)
    repository.branch("refs/convert/parquet", commit)
    repository.tag("v1", commit)
    repository.tag("gone", commit)
    repository.remove("gone")

    refs = HfApi().list_repo_refs("org/name", include_pull_requests=True)

    assert [(ref.name, ref.ref, ref.target_commit) for ref in refs.branches] == [
        ("main", "refs/heads/main", commit)
    ]
    assert [ref.name for ref in refs.tags] == ["v1"]
    assert [ref.name for ref in refs.converts] == ["parquet"]
    assert [ref.ref for ref in refs.pull_requests] == ["refs/pr/1"]
    assert HfApi().list_repo_refs("org/name").pull_requests is None


@pytest.mark.parametrize(("expand", "pages"), [(False, 2), (True, 25)], ids=["plain", "expanded"])
def test_a_long_tree_comes_in_pages(hub: LoopbackHub, expand: bool, pages: int) -> None:
    """The client walks all pages of a tree: 1,000 entries each, 50 with `expand`."""
    repository = hub.create("org/name")
    files = {f"folder {n % 7}/file{n}.txt": b"%d" % n for n in range(1200)}
    commit = repository.commit(files, title="All")

    tree = list(HfApi().list_repo_tree("org/name", recursive=True, expand=expand))

    found = {entry.path: entry for entry in tree if hasattr(entry, "size")}
    assert set(found) == set(files)
    assert len(tree) == 1207
    assert all(entry.last_commit.oid == commit for entry in tree) is expand if expand else True
    assert len(hub.requests) == pages


@pytest.mark.usefixtures("repository")
def test_a_folder_is_listed_alone() -> None:
    """A tree that is not recursive stops at folders, and a folder is a tree of its own."""
    api = HfApi()

    assert [entry.path for entry in api.list_repo_tree("org/name")] == [
        "config.json",
        "empty.txt",
        "model.safetensors",
        "onnx",
    ]
    assert [entry.path for entry in api.list_repo_tree("org/name", "onnx")] == ["onnx/model.onnx"]
    with pytest.raises(EntryNotFoundError):
        list(api.list_repo_tree("org/name", "nowhere"))


def test_commits_come_newest_first_in_pages() -> None:
    """The client walks all pages of a history, and each tells how many commits there are."""
    with LoopbackHub(commits_page=3) as hub, hub.in_process():
        repository = hub.create("org/name")
        made = [repository.commit({"n": b"%d" % n}, title=f"Title {n}") for n in range(8)]

        listed = HfApi().list_repo_commits("org/name", formatted=True)

        assert [commit.commit_id for commit in listed] == made[::-1]
        assert listed[0].title == listed[0].formatted_title == "Title 7"
        assert listed[0].created_at > listed[1].created_at
        assert len(hub.requests) == 3
        page = ask(f"{hub.endpoint}/api/models/org/name/commits/main?limit=5")
        assert (page.headers["x-total-count"], len(json.loads(page.body))) == ("8", 5)


def test_history_is_that_of_the_branch(hub: LoopbackHub) -> None:
    """A branch has its own commits, a merge those of both sides, and children come before parents."""
    repository = hub.create("org/name")
    root = repository.commit({"a": b"1"}, title="Root")
    main = repository.commit({"a": b"2"}, title="Main")
    side = repository.commit({"b": b"1"}, title="Side", parent=root, branch="refs/pr/1")
    merge = repository.commit({"b": b"1"}, title="Merge", parent=(main, side))
    api = HfApi()

    def log(revision: str) -> list[str]:
        return [commit.commit_id for commit in api.list_repo_commits("org/name", revision=revision)]

    assert log("refs/pr/1") == [side, root]
    assert log("main") == [merge, side, main, root]
    touched = {e.path: e.last_commit["oid"] for e in api.get_paths_info("org/name", ["a", "b"], expand=True)}
    assert touched == {"a": main, "b": side}


def test_a_rewritten_history_forgets(repository: Repository) -> None:
    """After a rewrite the branch has one commit with the same files, and old commits are gone."""
    old = repository.refs["refs/heads/main"]
    new = repository.rewrite()
    api = HfApi()

    assert [commit.commit_id for commit in api.list_repo_commits("org/name")] == [new]
    assert {sibling.rfilename for sibling in api.model_info("org/name").siblings} == set(FILES)
    with pytest.raises(RevisionNotFoundError):
        api.model_info("org/name", revision=old)


def test_commits_follow_from_what_they_hold() -> None:
    """The same commits give the same ids in every hub, others give others."""
    ids = []
    for content in (b"1", b"1", b"2"):
        with LoopbackHub() as hub:
            repository = hub.create("org/name")
            ids.append((repository.commit({"a": content}), repository.commit({"a": None})))

    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


@pytest.mark.usefixtures("repository")
def test_a_renamed_repository_is_found_by_its_old_name(hub: LoopbackHub) -> None:
    """Every call of the client follows the redirects of two renames, a POST with its body."""
    hub.rename("org/name", "org/between")
    hub.rename("org/between", "neworg/name")
    api = HfApi()

    assert api.model_info("org/name").id == "neworg/name"
    assert len(list(api.list_repo_tree("org/name"))) == 4
    assert [entry.path for entry in api.get_paths_info("org/name", ["config.json"])] == ["config.json"]
    moved = ask(f"{hub.endpoint}/api/models/org/name/tree/main?recursive=true")
    assert (moved.status, moved.headers["location"]) == (
        307,
        "/api/models/neworg/name/tree/main?recursive=true",
    )


def test_a_name_comes_back(hub: LoopbackHub, repository: Repository) -> None:
    """A repository that takes its first name again is there, and once it is deleted nothing leads to it."""
    hub.rename("org/name", "org/other")
    hub.rename("org/other", "org/name")

    assert hub.find("org/name") is repository
    assert hub.moved_to("org/other") == "org/name"
    hub.delete("org/name")
    assert ask(f"{hub.endpoint}/api/models/org/name").status == 401


@pytest.mark.usefixtures("repository")
def test_a_name_that_is_taken_cannot_be_given(hub: LoopbackHub) -> None:
    """Neither a new repository nor a rename drives out one that is there."""
    hub.create("org/other")

    with pytest.raises(ValueError, match="already"):
        hub.rename("org/other", "org/name")
    with pytest.raises(ValueError, match="already"):
        hub.create("org/name")


def test_a_name_that_is_taken_over_has_another_key(hub: LoopbackHub, repository: Repository) -> None:
    """A name that was left, by a rename or a deletion, may be taken, and `_id` tells."""
    hub.rename("org/name", "org/kept")
    second = hub.create("org/name")
    second.commit({"config.json": b"other"})
    hub.delete("org/name")
    third = hub.create("org/name")
    third.commit({"config.json": b"other"})

    told = json.loads(ask(f"{hub.endpoint}/api/models/org/name").body)

    assert len({repository.key, second.key, third.key}) == 3
    assert (told["_id"], told["id"]) == (third.key, "org/name")


def test_a_name_without_an_owner_is_a_name(hub: LoopbackHub, tmp_path: Path) -> None:
    """Ids have one segment or two."""
    hub.create("gpt2").commit({"config.json": b"{}"})

    assert HfApi().model_info("gpt2", revision="main").id == "gpt2"
    assert Path(hf_hub_download("gpt2", "config.json", cache_dir=tmp_path)).read_bytes() == b"{}"


@pytest.mark.usefixtures("repository")
def test_downloads_are_the_files(hub: LoopbackHub, tmp_path: Path) -> None:
    """Both ways to download give the bytes that were committed, and ask the CDN for contents only."""
    folder = Path(snapshot_download("org/name", cache_dir=tmp_path / "whole"))
    alone = Path(hf_hub_download("org/name", "onnx/model.onnx", cache_dir=tmp_path / "alone"))

    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert {path: place.read_bytes() for path, place in found.items()} == FILES
    assert alone.read_bytes() == FILES["onnx/model.onnx"]
    assert {(request.method, request.status) for request in hub.requests if request.origin == "cdn"} == {
        ("GET", 200)
    }


@pytest.mark.parametrize(
    "size", [pytest.param(1000, id="small"), pytest.param(700 * 10**9, id="700-GB-of-nothing")]
)
def test_headers_of_any_size_of_file_are_read(hub: LoopbackHub, size: int) -> None:
    """`get_safetensors_metadata` reads the header of a file whose bytes no disk would hold."""
    hub.create("org/name").commit({"model.safetensors": safetensors(size)})

    found = HfApi().get_safetensors_metadata("org/name")

    assert found.files_metadata["model.safetensors"].tensors["weight"].shape == [size]


@pytest.mark.usefixtures("repository")
def test_credentials_stay_at_the_hub(hub: LoopbackHub, tmp_path: Path) -> None:
    """The log tells where a token arrived: at the hub and not at the CDN."""
    token = hub.token("org/name")

    hf_hub_download("org/name", "model.safetensors", token=token, cache_dir=tmp_path)
    ask(signed(hub), authorization=f"Bearer {token}")

    assert [request.had_credentials for request in hub.requests if request.origin == "cdn"] == [False, True]
    assert hub.requests[0].had_credentials


def refused(hub: LoopbackHub, state: str) -> None:
    """Make the repository of a state."""
    settings: dict[str, dict[str, Any]] = {
        "gated": {"gated": "auto"},
        "private": {"private": True},
        "disabled": {"disabled": True},
        "missing": {},
    }
    hub.create("org/missing" if state == "missing" else "org/name", **settings[state]).commit(FILES)


@pytest.mark.parametrize(
    ("state", "error", "status", "code"),
    [
        ("gated", GatedRepoError, 403, "GatedRepo"),
        ("private", RepositoryNotFoundError, 404, "RepoNotFound"),
        ("missing", RepositoryNotFoundError, 404, "RepoNotFound"),
        ("disabled", DisabledRepoError, 403, None),
    ],
)
def test_the_client_knows_each_refusal(
    hub: LoopbackHub, state: str, error: type[Exception], status: int, code: str | None
) -> None:
    """Without rights, files, commits and the access check end in the client's own classes."""
    refused(hub, state)
    token = hub.token()
    api = HfApi(token=token)
    calls: list[Callable[[], object]] = [
        lambda: list(api.list_repo_tree("org/name")),
        lambda: api.list_repo_commits("org/name"),
        lambda: api.get_paths_info("org/name", ["config.json"]),
        lambda: api.auth_check("org/name"),
        lambda: huggingface_hub.get_hf_file_metadata(
            f"{hub.endpoint}/org/name/resolve/main/config.json", token=token
        ),
    ]

    for call in calls:
        with pytest.raises(error):
            call()
    file = ask(f"{hub.endpoint}/org/name/resolve/main/config.json", authorization=f"Bearer {token}")
    assert (file.status, file.headers.get("x-error-code")) == (status, code)


@pytest.mark.parametrize(
    ("state", "info", "file", "code"),
    [
        ("gated", 200, 401, "GatedRepo"),
        ("private", 401, 401, None),
        ("missing", 401, 401, None),
        ("disabled", 200, 403, None),
    ],
)
def test_nobody_is_told_less(hub: LoopbackHub, state: str, info: int, file: int, code: str | None) -> None:
    """Without a token, missing and private look the same, and info is told of what is merely closed."""
    refused(hub, state)

    told = ask(f"{hub.endpoint}/api/models/org/name")
    content = ask(f"{hub.endpoint}/org/name/resolve/main/config.json")

    assert (told.status, content.status, content.headers.get("x-error-code")) == (info, file, code)
    assert content.headers["x-error-message"] == json.loads(content.body)["error"]


def test_disabled_is_told_in_the_info(hub: LoopbackHub) -> None:
    """The info of a disabled repository says so, and is all that it gives."""
    refused(hub, "disabled")

    assert HfApi().model_info("org/name").disabled is True
    with pytest.raises(DisabledRepoError):
        HfApi().list_repo_refs("org/name")


@pytest.mark.parametrize("state", ["gated", "private"])
def test_access_opens(hub: LoopbackHub, state: str, tmp_path: Path) -> None:
    """A token that was granted access sees what others don't; one that nobody made is refused everywhere."""
    refused(hub, state)
    token = hub.token("org/name")
    api = HfApi(token=token)

    api.auth_check("org/name")
    path = hf_hub_download("org/name", "model.safetensors", token=token, cache_dir=tmp_path)

    assert Path(path).read_bytes() == WEIGHTS
    assert len(list(api.list_repo_tree("org/name"))) == 4
    wrong = ask(f"{hub.endpoint}/api/models/org/name", authorization="Bearer hf_wrong")
    assert (wrong.status, wrong.headers.get("x-error-code")) == (401, None)


@pytest.mark.usefixtures("repository")
def test_what_is_not_there_is_told(hub: LoopbackHub, tmp_path: Path) -> None:
    """Unknown revisions and paths end in the client's classes, and the commit is told with the latter."""
    with pytest.raises(RevisionNotFoundError):
        HfApi().model_info("org/name", revision="nowhere")
    with pytest.raises(EntryNotFoundError):
        hf_hub_download("org/name", "nothing.json", cache_dir=tmp_path)
    missing = ask(f"{hub.endpoint}/org/name/resolve/main/nothing.json")
    assert (missing.status, missing.body) == (404, b"Entry not found")
    assert len(missing.headers["x-repo-commit"]) == 40
    assert HfApi().file_exists("org/name", "nothing.json") is False
    assert HfApi().get_paths_info("org/name", ["nothing.json"]) == []


def test_identity_stands_on_the_redirect(hub: LoopbackHub, repository: Repository) -> None:
    """An LFS file is a 302 to the CDN's host, a regular one a 307 to a relative place; both are pinned."""
    commit = repository.refs["refs/heads/main"]

    weights = ask(f"{hub.endpoint}/org/name/resolve/main/model.safetensors")
    config = ask(f"{hub.endpoint}/org/name/resolve/main/onnx%2F..%2Fconfig.json")
    config = ask(f"{hub.endpoint}/org/name/resolve/main/config.json")

    assert (weights.status, config.status) == (302, 307)
    assert weights.headers["x-repo-commit"] == config.headers["x-repo-commit"] == commit
    assert weights.headers["x-linked-etag"] == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
    assert weights.headers["x-linked-size"] == str(len(WEIGHTS))
    assert urlsplit(weights.headers["location"]).hostname == "localhost"
    assert urlsplit(hub.endpoint).hostname == "127.0.0.1"
    assert config.headers["location"].startswith(f"/api/resolve-cache/models/org/name/{commit}/config.json?")


@pytest.mark.usefixtures("repository")
def test_the_cdn_says_nothing_of_identity(hub: LoopbackHub) -> None:
    """The CDN names no commit, and its ETag is not the digest of the contents."""
    answer = ask(signed(hub))

    assert answer.body == WEIGHTS
    assert not [name for name in answer.headers if name.startswith("x-")]
    assert len(answer.headers["etag"]) == 66
    assert hashlib.sha256(WEIGHTS).hexdigest() not in answer.headers["etag"]


SIZE = len(WEIGHTS)
RANGES = [
    pytest.param("bytes=0-0", 206, (0, 1), id="first-byte"),
    pytest.param("bytes=10-19", 206, (10, 20), id="middle"),
    pytest.param("bytes=10-", 206, (10, SIZE), id="open"),
    pytest.param(f"bytes=5-{SIZE * 2}", 206, (5, SIZE), id="past-the-end"),
    pytest.param("bytes=-7", 206, (SIZE - 7, SIZE), id="suffix"),
    pytest.param(f"bytes=-{SIZE * 2}", 206, (0, SIZE), id="suffix-longer-than-the-file"),
    pytest.param(f"bytes={SIZE}-", 416, None, id="beyond"),
    pytest.param("bytes=-0", 416, None, id="no-bytes"),
    pytest.param("bytes=0-1,5-6", 200, (0, SIZE), id="several"),
    pytest.param("bytes=9-3", 200, (0, SIZE), id="backwards"),
    pytest.param("lines=1-2", 200, (0, SIZE), id="other-unit"),
]


@pytest.mark.parametrize(("asked", "status", "span"), RANGES)
@pytest.mark.parametrize("path", ["model.safetensors", "numbers.dat"], ids=["cdn", "hub"])
def test_ranges_are_those_of_the_standard(
    hub: LoopbackHub, repository: Repository, path: str, asked: str, status: int, span: tuple[int, int] | None
) -> None:
    """One range is given exactly, several or strange ones give the whole, an impossible one 416."""
    repository.commit({"numbers.dat": WEIGHTS})
    place = ask(f"{hub.endpoint}/org/name/resolve/main/{path}").headers["location"]

    answer = ask(place if place.startswith("http") else hub.endpoint + place, range=asked)

    assert answer.status == status
    if span is None:
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
    else:
        assert answer.body == WEIGHTS[slice(*span)]
        said = f"bytes {span[0]}-{span[1] - 1}/{SIZE}" if status == 206 else None
        assert answer.headers.get("content-range") == said


@pytest.mark.usefixtures("repository")
def test_what_may_be_compressed_is_unless_identity_is_asked_for(hub: LoopbackHub) -> None:
    """A client that accepts gzip gets a settings file whole and compressed, whatever range it asked for."""
    place = hub.endpoint + ask(f"{hub.endpoint}/org/name/resolve/main/config.json").headers["location"]

    packed = ask(place, range="bytes=0-1", accept_encoding="gzip, deflate")
    plain = ask(place, range="bytes=0-1", accept_encoding="identity")

    assert (packed.status, gzip.decompress(packed.body)) == (200, FILES["config.json"])
    assert (plain.status, plain.body) == (206, FILES["config.json"][:2])


@pytest.mark.usefixtures("repository")
def test_connections_are_kept_and_every_body_is_measured(hub: LoopbackHub) -> None:
    """One connection serves many requests; a HEAD has the length of the GET and no body."""
    address = urlsplit(hub.endpoint).netloc
    connection = http.client.HTTPConnection(address, timeout=20)
    lengths = []
    for method in ("GET", "HEAD") * 20:
        connection.request(method, "/api/models/org/name")
        answer = connection.getresponse()
        lengths.append((method, answer.getheader("Content-Length"), len(answer.read())))
        held = connection.sock
        assert held is not None
    connection.close()

    size = lengths[0][2]
    assert set(lengths) == {("GET", str(size), size), ("HEAD", str(size), 0)}


@pytest.mark.usefixtures("repository")
def test_many_clients_at_once_are_served(hub: LoopbackHub) -> None:
    """A hundred connections at once are all answered."""
    gate = threading.Barrier(100)

    def one(_: int) -> int:
        gate.wait(20)
        return ask(f"{hub.endpoint}/api/models/org/name").status

    with ThreadPoolExecutor(100) as threads:
        assert set(threads.map(one, range(100))) == {200}
    assert len(hub.requests) == 100


def test_paths_are_split_before_they_are_unquoted(hub: LoopbackHub, repository: Repository) -> None:
    """A quoted slash stays inside its segment: of a revision, and of a folder."""
    repository.branch("refs/pr/1", repository.refs["refs/heads/main"])
    repository.commit({"a b/c#d%.txt": b"odd"})

    tree = ask(f"{hub.endpoint}/api/models/org/name/tree/refs%2Fpr%2F1/onnx")
    first = ask(f"{hub.endpoint}/org/name/resolve/main/a%20b/c%23d%25.txt")
    second = ask(hub.endpoint + first.headers["location"])

    assert [entry["path"] for entry in json.loads(tree.body)] == ["onnx/model.onnx"]
    assert second.body == b"odd"


@pytest.mark.parametrize("value", ["true", "True"])
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "form"])
@pytest.mark.usefixtures("repository")
def test_both_spellings_of_truth_and_of_a_body(hub: LoopbackHub, value: str, as_json: bool) -> None:
    """Booleans are written differently by httpx and requests; bodies are forms or JSON."""
    info = ask(f"{hub.endpoint}/api/models/org/name?blobs={value}")
    form = f"paths=config.json&paths=onnx&expand={value}".encode()
    sent = json.dumps({"paths": ["config.json", "onnx"], "expand": True}).encode() if as_json else form
    kind = "application/json" if as_json else "application/x-www-form-urlencoded"

    paths = ask(
        f"{hub.endpoint}/api/models/org/name/paths-info/main", method="POST", body=sent, content_type=kind
    )

    assert "size" in json.loads(info.body)["siblings"][0]
    assert [(e["path"], e["type"], "lastCommit" in e) for e in json.loads(paths.body)] == [
        ("config.json", "file", True),
        ("onnx", "directory", True),
    ]


@pytest.mark.usefixtures("repository")
def test_what_the_hub_does_not_know_is_refused(hub: LoopbackHub) -> None:
    """Bodies that are no JSON, unknown routes and empty repositories are answered, not survived."""
    place = f"{hub.endpoint}/api/models/org/name/paths-info/main"
    hub.create("org/empty")

    assert ask(place, method="POST", body=b"{", content_type="application/json").status == 400
    assert ask(f"{hub.endpoint}/api/models/org/name/nonsense").status == 404
    assert ask(f"{hub.endpoint}/nonsense").status == 404
    assert ask(f"{hub.endpoint}/api/models/org/empty").headers["x-error-code"] == "RevisionNotFound"
    assert ask(f"{hub.endpoint}/api/models/org/name/tree").headers["x-error-code"] == "RevisionNotFound"
    assert json.loads(ask(f"{hub.endpoint}/api/agent-harnesses").body) == {
        "standardEnvVars": [],
        "harnesses": {},
    }


def test_quotas_are_told_and_held() -> None:
    """Every answer tells what is left of its kind of requests; then it is 429, until the window ends."""
    with LoopbackHub(quota=2, window=0.3) as hub:
        repository = hub.create("org/name")
        repository.commit(FILES)
        place = f"{hub.endpoint}/org/name/resolve/main/config.json"

        answers = [ask(place) for _ in range(3)]
        other = ask(f"{hub.endpoint}/api/models/org/name")
        time.sleep(0.35)
        again = ask(place)

    assert [answer.status for answer in answers] == [307, 307, 429]
    assert [answer.headers["ratelimit"] for answer in answers] == [
        f'"resolvers";r={left};t=0' for left in (1, 0, 0)
    ]
    assert answers[0].headers["ratelimit-policy"] == '"fixed window";"resolvers";q=2;w=1'
    assert (other.status, again.status) == (200, 307)


@pytest.mark.usefixtures("repository")
def test_signed_urls_end(hub: LoopbackHub) -> None:
    """A URL that was made up, tampered with or expired is refused, and a fresh one is good."""
    old = signed(hub)
    assert ask(old).status == 200

    hub.expire_urls()

    assert ask(old).status == 403
    assert ask(signed(hub)).status == 200
    assert ask(signed(hub).partition("?")[0]).status == 403
    assert ask(signed(hub).replace("Expires=", "Expires=9")).status == 403


def test_signed_urls_end_by_themselves() -> None:
    """A URL is good for as long as the hub says."""
    with LoopbackHub(url_seconds=0.2) as hub:
        hub.create("org/name").commit(FILES)
        place = signed(hub)
        first = ask(place).status
        time.sleep(0.25)

        assert (first, ask(place).status) == (200, 403)


@pytest.mark.usefixtures("repository")
def test_a_lost_object_is_listed_and_denied(hub: LoopbackHub, tmp_path: Path) -> None:
    """A lost LFS object is listed and redirected to as before; the CDN denies it, however freshly signed."""
    hub.lose(hashlib.sha256(WEIGHTS).hexdigest())

    assert HfApi().model_info("org/name", files_metadata=True).siblings[2].size == len(WEIGHTS)
    assert ask(signed(hub)).status == 403
    with pytest.raises(HfHubHTTPError):
        hf_hub_download("org/name", "model.safetensors", cache_dir=tmp_path)


@pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
@pytest.mark.usefixtures("repository")
def test_other_contents_under_the_same_listing(hub: LoopbackHub, path: str) -> None:
    """Contents can be exchanged below a digest that the listing goes on to claim."""
    entry = MemorySource(FILES).snapshot().files[path]
    before = HfApi().model_info("org/name", files_metadata=True).siblings

    hub.replace(entry.identity or "", b"other")

    place = ask(f"{hub.endpoint}/org/name/resolve/main/{path}").headers["location"]
    assert ask(place if place.startswith("http") else hub.endpoint + place).body == b"other"
    assert HfApi().model_info("org/name", files_metadata=True).siblings == before


@pytest.mark.usefixtures("repository")
def test_the_log_tells_what_happened(hub: LoopbackHub) -> None:
    """The log has method, place, range, status and bytes of each request, and can be emptied."""
    place = signed(hub)
    hub.forget()

    ask(place, range="bytes=5-9")
    ask(f"{hub.endpoint}/api/models/org/name?blobs=true", method="HEAD")
    first, second = hub.requests

    assert (first.method, first.origin, first.range, first.status) == ("GET", "cdn", "bytes=5-9", 206)
    assert (first.sent_bytes, second.sent_bytes) == (5, 0)
    assert (second.method, second.path, second.query) == ("HEAD", "/api/models/org/name", "blobs=true")


def test_latency_is_of_each_origin() -> None:
    """Each origin waits as long as it is told to before it answers."""
    with LoopbackHub(latency=0.2, cdn_latency=0.1) as hub:
        hub.create("org/name").commit(FILES)
        began = time.monotonic()
        place = signed(hub)
        resolved = time.monotonic()
        ask(place)
        read = time.monotonic()

    assert resolved - began >= 0.2
    assert read - resolved >= 0.1


@pytest.mark.parametrize("after_headers", [True, False])
@pytest.mark.usefixtures("repository")
def test_a_dropped_connection(hub: LoopbackHub, after_headers: bool) -> None:
    """The connection ends before an answer, or where the body would begin; then all is well again."""
    hub.inject(Dropped(where="/api/models", after_headers=after_headers))

    with pytest.raises((http.client.RemoteDisconnected, http.client.IncompleteRead)) as caught:
        ask(f"{hub.endpoint}/api/models/org/name")

    assert isinstance(caught.value, http.client.IncompleteRead) is after_headers
    assert ask(f"{hub.endpoint}/api/models/org/name").status == 200
    assert [request.status for request in hub.requests] == [200 if after_headers else 0, 200]
    assert hub.requests[0].sent_bytes == 0


@pytest.mark.usefixtures("repository")
def test_a_status_is_what_was_asked_for(hub: LoopbackHub) -> None:
    """A refusal has the status, the codes and the waiting times that it was given, and no others."""
    fault = Status(
        status=429, message="Slow", code="Odd", retry_after="7", rate_limit='"api";r=0;t=3', where="org%2Fx"
    )
    hub.inject(fault, Status(status=503, where="/tree/", times=2))

    answers = [ask(f"{hub.endpoint}/api/models/org/name/tree/main?x={n}") for n in range(3)]
    limited = ask(f"{hub.endpoint}/api/models/org%2Fx")

    assert [answer.status for answer in answers] == [503, 503, 200]
    assert "ratelimit" not in answers[0].headers
    assert limited.status == 429
    told = [limited.headers[name] for name in ("retry-after", "ratelimit", "x-error-code", "x-error-message")]
    assert told == ["7", '"api";r=0;t=3', "Odd", "Slow"]


CDN_FAULTS: list[Any] = [
    pytest.param(RangeIgnored(), 200, f"{SIZE}", WEIGHTS, {"content-range": None}, id="range-ignored"),
    pytest.param(LongBody(extra=3), 206, "13", WEIGHTS[10:20] + bytes(3), {}, id="long"),
    pytest.param(ShortBody(missing=4, honest=True), 206, "6", WEIGHTS[10:16], {}, id="short"),
    pytest.param(
        WrongRange(start_by=1),
        206,
        "10",
        WEIGHTS[10:20],
        {"content-range": f"bytes 11-20/{SIZE}"},
        id="wrong-start",
    ),
    pytest.param(
        WrongRange(total_by=5),
        206,
        "10",
        WEIGHTS[10:20],
        {"content-range": f"bytes 10-19/{SIZE + 5}"},
        id="wrong-total",
    ),
    pytest.param(
        HeaderChanged(headers={"Content-Range": None, "ETag": "x"}),
        206,
        "10",
        WEIGHTS[10:20],
        {"content-range": None, "etag": "x"},
        id="headers",
    ),
    pytest.param(BodyReplaced(body=b"<html>"), 206, "6", b"<html>", {}, id="replaced"),
]


@pytest.mark.parametrize(("fault", "status", "length", "body", "headers"), CDN_FAULTS)
@pytest.mark.usefixtures("repository")
def test_a_range_goes_wrong(
    hub: LoopbackHub,
    fault: Fault,
    status: int,
    length: str,
    body: bytes,
    headers: dict[str, str | None],
) -> None:
    """Each fault of a range is on the wire as it says, once."""
    place = signed(hub)
    hub.inject(attrs.evolve(fault, origin="cdn"))

    answer = ask(place, range="bytes=10-19")
    after = ask(place, range="bytes=10-19")

    assert (answer.status, answer.headers["content-length"], answer.body) == (status, length, body)
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert (after.status, after.body) == (206, WEIGHTS[10:20])


@pytest.mark.usefixtures("repository")
def test_a_body_that_ends_early(hub: LoopbackHub) -> None:
    """A body shorter than its `Content-Length` ends with its connection, and the log has what was sent."""
    place = signed(hub)
    hub.inject(ShortBody(missing=4, origin="cdn"))

    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(place, range="bytes=10-19")

    assert caught.value.partial == WEIGHTS[10:16]
    assert hub.requests[-1].sent_bytes == 6


@pytest.mark.parametrize(("whole", "status", "size"), [(True, 200, SIZE), (False, 206, 10)])
@pytest.mark.usefixtures("repository")
def test_gzip_despite_identity(hub: LoopbackHub, whole: bool, status: int, size: int) -> None:
    """The body is compressed although identity was asked for: the whole, or the range."""
    place = signed(hub)
    hub.inject(Gzipped(whole=whole, origin="cdn"))

    answer = ask(place, range="bytes=0-9", accept_encoding="identity")

    assert (answer.status, answer.headers["content-encoding"]) == (status, "gzip")
    assert gzip.decompress(answer.body) == WEIGHTS[:size]


def test_a_commit_that_moves(hub: LoopbackHub, repository: Repository) -> None:
    """A branch moves right after it was listed, and `X-Repo-Commit` can tell of another commit."""
    first = repository.refs["refs/heads/main"]
    hub.inject(
        Meanwhile(action=lambda: repository.commit({"config.json": b"new"}), where="/api/models/org/name"),
        OtherCommit(where="/resolve/"),
    )

    listed = json.loads(ask(f"{hub.endpoint}/api/models/org/name").body)["sha"]
    told = [
        ask(f"{hub.endpoint}/org/name/resolve/main/config.json").headers["x-repo-commit"] for _ in range(2)
    ]

    assert listed == first
    assert told[0] not in repository.commits
    assert told[1] == repository.refs["refs/heads/main"] != first


@pytest.mark.parametrize(
    ("fault", "header", "expected"),
    [
        (Redirected(times=None), "location", "{place}"),
        (Redirected(location="http://elsewhere.invalid/x"), "location", "http://elsewhere.invalid/x"),
        (LinkElsewhere(location=""), "link", '<{place}>; rel="next"'),
        (LinkElsewhere(), "link", '<http://elsewhere.invalid/api/models>; rel="next"'),
    ],
    ids=["loop", "off-origin", "same-page", "off-origin-page"],
)
@pytest.mark.usefixtures("repository")
def test_a_way_that_leads_nowhere(hub: LoopbackHub, fault: Fault, header: str, expected: str) -> None:
    """Redirects and next pages lead to where they were asked from, or off the hub."""
    place = f"{hub.endpoint}/api/models/org/name/tree/main?recursive=true"
    hub.inject(fault)

    assert ask(place).headers[header] == expected.format(place=place)


@pytest.mark.usefixtures("repository")
def test_a_url_that_the_cdn_calls_expired(hub: LoopbackHub) -> None:
    """The CDN refuses once; the hub is not struck."""
    hub.inject(UrlExpired())
    place = signed(hub)

    assert [ask(place).status for _ in range(2)] == [403, 200]


@pytest.mark.usefixtures("repository")
def test_documents_that_are_none(hub: LoopbackHub) -> None:
    """JSON is cut, replaced or edited, with a length that agrees."""
    place = f"{hub.endpoint}/api/models/org/name"
    hub.inject(JsonCut(), JsonEdited(edit=lambda told: told | {"siblings": 3}), BodyReplaced(body=b"[]"))

    cut, edited, replaced = (ask(place).body for _ in range(3))

    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)
    assert json.loads(edited)["siblings"] == 3
    assert replaced == b"[]"


@pytest.mark.parametrize("of", ["headers", "body"])
@pytest.mark.usefixtures("repository")
def test_a_trickle_ends(hub: LoopbackHub, of: Any) -> None:
    """An answer in drops gives so many bytes of its headers or of its body, and ends with the connection."""
    hub.inject(Trickle(of=of, pause=0.001, drops=20))
    received = b""

    with socket.create_connection(("127.0.0.1", urlsplit(hub.endpoint).port or 0), timeout=20) as connection:
        connection.sendall(b"GET /api/models/org/name HTTP/1.1\r\nHost: x\r\n\r\n")
        while piece := connection.recv(4096):
            received += piece

    head, _, body = received.partition(b"\r\n\r\n")
    assert (len(head), len(body)) == (20, 0) if of == "headers" else len(body) == 20


@pytest.mark.usefixtures("repository")
def test_a_late_answer_is_a_right_one(hub: LoopbackHub) -> None:
    """A late answer comes after its time."""
    hub.inject(Late(seconds=0.2))
    began = time.monotonic()

    assert ask(f"{hub.endpoint}/api/models/org/name").status == 200
    assert time.monotonic() - began >= 0.2


@pytest.mark.usefixtures("repository")
def test_where_and_when_a_fault_strikes(hub: LoopbackHub) -> None:
    """A fault strikes by path, predicate, method or origin; after so many requests; so often; or not."""
    place = f"{hub.endpoint}/api/models/org/name"
    hub.inject(
        Status(status=500, where=lambda request: request.flag("blobs"), after=1, times=1),
        Status(status=501, method="HEAD", times=None),
        Status(status=502, origin="cdn", times=None),
    )

    assert [ask(f"{place}?blobs=true").status for _ in range(3)] == [200, 500, 200]
    assert [ask(place, method="HEAD").status for _ in range(3)] == [501] * 3
    assert ask(signed(hub)).status == 502
    hub.heal()
    assert ask(place, method="HEAD").status == 200


def test_every_fault_is_exported_and_tested() -> None:
    """Every kind of fault is in `__all__`, and this file uses it."""
    kinds = {name for name, kind in vars(loopback_hub.faults).items() if inspect.isclass(kind)}
    faults = {name for name in kinds if issubclass(getattr(loopback_hub.faults, name), Fault)}

    assert faults <= set(loopback_hub.__all__)
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in faults if f"{name}(" not in text and name != "Fault"] == []


def test_closing_ends_everything() -> None:
    """Closing cuts connections that are idle, trickling, late or endless; threads end and ports are free."""
    before = set(threading.enumerate())
    hub = LoopbackHub()
    hub.create("org/name").commit(FILES | {"big.bin": Sparse(10**12)})
    hub.inject(Trickle(where="/tree/", pause=30), Late(where="/refs", seconds=600))
    places = [
        "/api/models/org/name",
        "/api/models/org/name/tree/main",
        "/api/models/org/name/refs",
        urlsplit(signed(hub, "big.bin")).path + "?" + urlsplit(signed(hub, "big.bin")).query,
    ]
    ports = [urlsplit(hub.endpoint).port, urlsplit(hub.cdn_url).port]
    open_connections = []
    for place in places:
        connection = socket.create_connection(("127.0.0.1", ports["/loopback/" in place] or 0), timeout=20)
        connection.sendall(f"GET {place} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-\r\n\r\n".encode())
        open_connections.append(connection)
    while len(hub.requests) < 2 + len(places):
        time.sleep(0.01)

    began = time.monotonic()
    hub.close()
    took = time.monotonic() - began

    assert took < 10  # the pauses are 30 and 600 seconds
    assert set(threading.enumerate()) <= before
    for connection in open_connections:
        connection.close()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=20)


def test_the_process_is_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pointing this process at a hub changes its constants, tokens and switches for a while, then not."""
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    monkeypatch.delenv("NO_PROXY", raising=False)
    watched = (constants, huggingface_hub.file_download, huggingface_hub.hf_api.api)
    before = [dict(vars(each)) for each in watched]

    with LoopbackHub() as hub:
        with hub.in_process():
            assert constants.ENDPOINT == huggingface_hub.hf_api.api.endpoint == hub.endpoint
            assert huggingface_hub.hf_hub_url("a/b", "c").startswith(hub.endpoint)
            assert huggingface_hub.get_token() is None
            assert "127.0.0.1" in os.environ["NO_PROXY"]
        with hub.in_process(token="hf_other"):
            assert huggingface_hub.get_token() == "hf_other"

    assert [dict(vars(each)) for each in watched] == before
    assert os.environ["HF_TOKEN"] == "hf_mine"
    assert "NO_PROXY" not in os.environ


def test_another_process_uses_the_hub(tmp_path: Path) -> None:
    """With its variables, a new process downloads from the hub, without a token, and asks nothing else."""
    script = "import huggingface_hub as h; print(h.snapshot_download('org/name')); print(h.get_token())"
    with LoopbackHub() as hub:
        hub.create("org/name").commit(FILES)
        shown = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"HF_TOKEN": "hf_mine"} | hub.environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )

    folder, token = shown.stdout.split()
    assert Path(folder).is_relative_to(tmp_path)
    assert (Path(folder) / "model.safetensors").read_bytes() == WEIGHTS
    assert token == "None"
    assert not [request for request in hub.requests if request.had_credentials or "agent" in request.path]


def test_it_is_light_to_import() -> None:
    """Importing the hub imports neither huggingface_hub's client nor numpy nor torch."""
    script = (
        "import sys, embaudit.testing.loopback_hub; "
        "print({'huggingface_hub.hf_api', 'numpy', 'torch', 'requests', 'httpx2'} & set(sys.modules))"
    )

    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "set()"


def test_mistakes_of_the_caller_are_told() -> None:
    """A name that is taken, a commit that isn't there and an unknown reference are errors at once."""
    with LoopbackHub() as hub:
        repository = hub.create("org/name")
        with pytest.raises(ValueError, match="already"):
            hub.create("org/name")
        with pytest.raises(LookupError, match="no commit"):
            repository.tag("v1", "0" * 40)
        with pytest.raises(LookupError, match="no branch"):
            repository.remove("v1")
        with pytest.raises(LookupError):
            hub.token("org/nobody")


def test_a_dead_hub_is_a_dead_hub() -> None:
    """After it closed, nobody answers in its place."""
    with LoopbackHub() as hub:
        hub.create("org/name").commit(FILES)
    with hub.in_process(), pytest.raises(Exception, match="onnect"):
        HfApi().model_info("org/name")
