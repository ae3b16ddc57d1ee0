"""What the hub says of a repository: read as its own client reads it, and nothing unsound is taken."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FileEntry, FileState, FlaggedFile, kind_of
from embaudit.model.limits import Limits
from embaudit.sources.hub.documents import Field, parse_answer
from embaudit.sources.hub.listing import by_path, parse_information, parse_tree_page
from embaudit.testing.loopback_hub import LoopbackHub, Repository

SHA1, OTHER_SHA1, SHA256 = "a" * 40, "b" * 40, "c" * 64
LFS = {"sha256": SHA256, "size": 440, "pointerSize": 134}
INFORMATION: dict[str, Any] = {
    "_id": "621ffdc136468d709f17adb4",
    "id": "org/name",
    "sha": SHA1,
    "private": False,
    "gated": "manual",
    "disabled": False,
    "createdAt": "2022-03-02T23:29:04.000Z",
    "securityRepoStatus": {"scansDone": True, "filesWithIssues": [{"path": "a.bin", "level": "unsafe"}]},
    "siblings": [
        {"rfilename": "config.json", "size": 7, "blobId": OTHER_SHA1},
        {"rfilename": "a.bin", "size": 440, "blobId": SHA1, "lfs": LFS},
    ],
}
PAGE: list[dict[str, Any]] = [
    {"type": "directory", "oid": SHA1, "size": 0, "path": "onnx"},
    {"type": "file", "oid": OTHER_SHA1, "size": 7, "path": "config.json"},
    {"type": "file", "oid": SHA1, "size": 440, "path": "a.bin", "lfs": {"oid": SHA256, "size": 440}},
    {"type": "commit", "oid": SHA1, "size": 0, "path": "submodule"},
]
MISSING = object()


def changed(document: Any, way: tuple[Any, ...], value: Any) -> Any:
    """The document with another value at a place, or without it."""
    result = copy.deepcopy(document)
    holder = result
    for step in way[:-1]:
        holder = holder[step]
    if value is MISSING:
        del holder[way[-1]]
    else:
        holder[way[-1]] = value
    return result


def information(document: Any) -> Any:
    """The parsed document."""
    return parse_information(Field(document, "the listing"), "org/asked", redirected=False)


def test_the_information_is_taken_over() -> None:
    """Commit, files and state are those of the document; an LFS file has no blob of its own."""
    found = information(INFORMATION)

    config, weights = found.files
    assert found.commit == SHA1
    assert config == FileEntry(path="config.json", size=7, git_sha1=OTHER_SHA1, kind=kind_of("config.json"))
    assert weights == FileEntry(path="a.bin", size=440, sha256=SHA256, kind=kind_of("a.bin"))
    assert (found.state.key, found.state.repo_id, found.state.asked_id) == (
        "621ffdc136468d709f17adb4",
        "org/name",
        "org/asked",
    )
    assert found.state.created == "2022-03-02T23:29:04+00:00"
    assert (found.state.gated, found.state.scans_done) == ("manual", True)
    assert found.state.flagged == (FlaggedFile(path="a.bin", level="unsafe"),)


@pytest.mark.parametrize(
    "key", ["_id", "id", "gated", "disabled", "private", "createdAt", "securityRepoStatus"]
)
@pytest.mark.parametrize("value", [pytest.param(None, id="null"), pytest.param(MISSING, id="absent")])
def test_what_the_hub_need_not_say_may_be_left_out(key: str, value: object) -> None:
    """A mirror that says less than the hub still gives a listing."""
    found = information(changed(INFORMATION, (key,), value))

    assert len(found.files) == 2
    assert found.state.repo_id == ("org/asked" if key == "id" else "org/name")


BAD_PATHS = ["", "/a", "a/", "a//b", "..", "a/../b", ".", "./a", "a\0b", "a\ud800"]


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("sha",), MISSING),
        (("sha",), SHA1.upper()),
        (("sha",), SHA1[:39]),
        (("sha",), 7),
        (("_id",), ["x"]),
        (("_id",), "x" * 1000),
        (("id",), "../../etc"),
        (("gated",), 7),
        (("private",), "yes"),
        (("disabled",), 1),
        (("createdAt",), "yesterday"),
        (("createdAt",), "2022-13-02T23:29:04.000Z"),
        (("siblings",), {}),
        (("siblings",), "x"),
        (("siblings", 0), None),
        (("siblings", 0), "config.json"),
        (("siblings", 0, "rfilename"), MISSING),
        *((("siblings", 0, "rfilename"), path) for path in BAD_PATHS),
        (("siblings", 0, "size"), -1),
        (("siblings", 0, "size"), 7.0),
        (("siblings", 0, "size"), True),
        (("siblings", 0, "size"), "7"),
        (("siblings", 0, "size"), 2**63),
        (("siblings", 0, "blobId"), "x" * 40),
        (("siblings", 1, "lfs"), [1]),
        (("siblings", 1, "lfs", "sha256"), SHA1),
        (("siblings", 1, "lfs", "sha256"), MISSING),
        (("siblings", 1, "lfs", "size"), None),
        (("securityRepoStatus",), []),
        (("securityRepoStatus", "scansDone"), "done"),
        (("securityRepoStatus", "filesWithIssues"), {}),
        (("securityRepoStatus", "filesWithIssues", 0, "path"), "../x"),
        (("securityRepoStatus", "filesWithIssues", 0, "level"), 1),
    ],
)
def test_a_field_of_the_wrong_form_is_named(way: tuple[Any, ...], value: object) -> None:
    """Whatever is not what it should be is a `SourceError` that says where it is."""
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way).lstrip(".")

    with pytest.raises(SourceError) as caught:
        information(changed(INFORMATION, way, value))

    assert f"the listing: {place}" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("way", "value"),
    [
        ((2, "lfs", "oid"), SHA1),
        ((1, "oid"), "x"),
        ((1, "size"), MISSING),
        ((1, "type"), 7),
        ((1, "path"), "/x"),
        ((3, "path"), ".."),
    ],
)
def test_a_tree_entry_of_the_wrong_form_is_named(way: tuple[Any, ...], value: object) -> None:
    """The same holds for the pages of the tree."""
    with pytest.raises(SourceError, match=rf"the tree: \[{way[0]}\]\.{way[1]}"):
        parse_tree_page(Field(changed(PAGE, way, value), "the tree"))


def test_a_tree_page_lists_files_and_what_is_none() -> None:
    """Folders are left out; what is neither file nor folder is listed and cannot be read."""
    folder, config, weights, submodule = parse_tree_page(Field(PAGE, "the tree"))

    assert folder is None
    assert (config, weights) == information(INFORMATION).files
    assert submodule is not None
    assert (submodule.path, submodule.state) == ("submodule", FileState.SPECIAL)


def test_a_disabled_repository_lists_files_that_nobody_gets() -> None:
    """Every file is listed as refused, also where sizes are not told."""
    document = changed(INFORMATION, ("disabled",), True)

    found = information(changed(document, ("siblings", 0, "size"), MISSING))

    assert {entry.state for entry in found.files} == {FileState.REFUSED}


@pytest.mark.parametrize("way", [("siblings",), ("siblings", 0, "size")])
def test_a_list_without_sizes_is_not_relied_on(way: tuple[Any, ...]) -> None:
    """Without siblings, or without their sizes, there is no list of files."""
    assert information(changed(INFORMATION, way, MISSING)).files is None


def test_limits_of_a_listing() -> None:
    """Too many files and too deep folders exceed a limit, which is named; one path twice is unsound."""
    entries = [FileEntry(path=path, size=0, kind=kind_of(path)) for path in ("b", "a/b/c", "a/c")]

    assert list(by_path(entries, "x", Limits(files=3, folder_depth=2))) == ["a/b/c", "a/c", "b"]
    with pytest.raises(LimitError) as caught:
        by_path(entries, "x", Limits(files=2))
    assert caught.value.limit == "files"
    with pytest.raises(LimitError) as caught:
        by_path(entries, "x", Limits(folder_depth=1))
    assert caught.value.limit == "folder_depth"
    with pytest.raises(SourceError, match="'b' is there twice"):
        by_path([*entries, entries[0]], "x", Limits())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ways = st.sampled_from(
    [
        *((key,) for key in INFORMATION),
        *(("siblings", i, key) for i in (0, 1) for key in ("rfilename", "size", "blobId", "lfs")),
        *(("securityRepoStatus", key) for key in ("scansDone", "filesWithIssues")),
    ]
)


@given(way=ways, value=json_values)
def test_no_document_escapes(way: tuple[Any, ...], value: Any) -> None:
    """Whatever stands in a field, the outcome is a listing of sane paths or a `SourceError`."""
    body = json.dumps(changed(INFORMATION, way, value)).encode()

    try:
        found = parse_information(parse_answer(body, "x"), "org/name", redirected=False)
    except SourceError:
        return

    assert all(".." not in entry.path.split("/") for entry in found.files or ())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"sha": "',
        b"\xff\xfe",
        b"<html>",
        b'{"a": 1, "a": 1}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b"[" * 200_000,
        b"1" * 10_000,
        b'{"a": 1} x',
    ],
)
def test_what_is_no_json_is_unsound(body: bytes) -> None:
    """Broken, cut, repeated or absurd: one error, which does not repeat the body."""
    with pytest.raises(SourceError, match="the answer is no sound answer") as caught:
        parse_answer(body, "the answer")

    assert len(str(caught.value)) < 100


def test_the_client_reads_the_same(hub: LoopbackHub, repository: Repository) -> None:
    """Sizes and digests are those that huggingface_hub's own client finds in the same answer."""
    from huggingface_hub import HfApi

    from embaudit.sources.hub import open_hub

    repository.commit({"config.json": b"{}", "onnx/model.onnx": b"12", "model.safetensors": b"123", "e": b""})

    theirs = HfApi(endpoint=hub.endpoint).model_info("org/name", files_metadata=True)
    ours = open_hub("org/name")

    assert ours.commit == theirs.sha
    assert {
        sibling.rfilename: (sibling.size, sibling.lfs["sha256"] if sibling.lfs else sibling.blob_id)
        for sibling in theirs.siblings or []
    } == {path: (entry.size, entry.identity) for path, entry in ours.files.items()}
