"""What the hub says of a repository at a commit: its state and the list of its files.

Fields of the two listings, `siblings` of the information and the recursive tree, as huggingface_hub 2.4.0
reads them (`hf_api.py`: `ModelInfo`, `RepoSibling`, `RepoFile`, `RepoFolder`). They name one thing in two
ways: the digest of an LFS file is `lfs.sha256` there and `lfs.oid` here, the id of a blob `blobId` and `oid`.
The blob of an LFS file is its pointer, and its id says nothing direct of the content.
"""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FileEntry, FileState, FlaggedFile, HubState, kind_of
from embaudit.model.limits import Limits
from embaudit.model.refs import is_repo_id
from embaudit.sources.base import shown
from embaudit.sources.hub.documents import Field

MOST_SIBLINGS = 50_000
"""Files from which on the list inside the information is not relied on: huggingface_hub 2.4.0 does not
either, by its `VERY_LARGE_REPO_THRESHOLD` (`_snapshot_download.py`)."""
_FILE, _FOLDER = "file", "directory"
_DISABLED = "the hub has disabled this repository"


@attrs.frozen(kw_only=True)
class Information:
    """The answer to the first question about a repository at a revision.

    Attributes:
        commit: The commit that the revision leads to, 40 hex digits.
        state: What the hub says of the repository beside its files.
        files: The files in the hub's order; None if this list cannot be relied on.
    """

    commit: str
    state: HubState
    files: tuple[FileEntry, ...] | None


def parse_information(document: Field, asked_id: str, *, redirected: bool) -> Information:
    """The information about a repository at a revision.

    Args:
        document: The answer to `GET /api/models/{id}/revision/{revision}?blobs=true&securityStatus=true`.
        asked_id: The id that was asked for.
        redirected: Whether the answer came by a redirect.

    Raises:
        SourceError: If a field is not what it should be; names it.
    """
    commit = document["sha"].sha1()
    state = _state(document, asked_id, redirected)
    siblings = document["siblings"]
    if siblings.is_absent:
        return Information(commit=commit, state=state, files=None)
    entries = tuple(_sibling(item) for item in siblings)
    reliable = len(entries) < MOST_SIBLINGS and all(entry.size is not None for entry in entries)
    # A disabled repository is not asked anything more: its files cannot be had, sizes or not.
    if state.disabled:
        files = tuple(attrs.evolve(e, state=FileState.REFUSED, detail=_DISABLED) for e in entries)
        return Information(commit=commit, state=state, files=files)
    return Information(commit=commit, state=state, files=entries if reliable else None)


def parse_tree_page(page: Field) -> tuple[FileEntry | None, ...]:
    """The files of one page of the recursive tree, in the hub's order; None for a folder.

    What is neither file nor folder (a submodule, say) is listed as special.

    Raises:
        SourceError: If a field is not what it should be; names it.
    """
    return tuple(_tree_item(item) for item in page)


def by_path(entries: Iterable[FileEntry], what: str, limits: Limits) -> Mapping[str, FileEntry]:
    """The files of a listing by path, sorted.

    Raises:
        SourceError: If a path is listed twice.
        LimitError: If there are more than `limits.files`, or paths deeper than `limits.folder_depth`.
    """
    listed: dict[str, FileEntry] = {}
    for entry in entries:
        if entry.path in listed:
            raise SourceError(f"{what}: '{shown(entry.path)}' is there twice; the hub's answer is not sound")
        if len(listed) >= limits.files:
            raise LimitError(f"more than {limits.files} files", what, "files")
        if entry.path.count("/") > limits.folder_depth:
            problem = f"more than {limits.folder_depth} folders inside one another"
            raise LimitError(problem, shown(entry.path), "folder_depth")
        listed[entry.path] = entry
    return dict(sorted(listed.items()))


def _state(document: Field, asked_id: str, redirected: bool) -> HubState:
    key, created, security = document["_id"], document["createdAt"], document["securityRepoStatus"]
    scans = None if security.is_absent or security["scansDone"].is_absent else security["scansDone"].flag()
    return HubState(
        key=None if key.is_absent else key.word(),
        repo_id=_repo_id(document["id"], asked_id),
        asked_id=asked_id,
        redirected=redirected,
        gated=_gated(document["gated"]),
        disabled=document["disabled"].flag(),
        private=document["private"].flag(),
        created=created.date(),
        scans_done=scans,
        flagged=() if security.is_absent else _flagged(security["filesWithIssues"]),
    )


def _repo_id(field: Field, asked_id: str) -> str:
    if field.is_absent:
        return asked_id
    repo_id = field.word()
    if not is_repo_id(repo_id):
        raise field.wrong("the id of a repository")
    return repo_id


def _gated(field: Field) -> str:
    """`auto`, `manual`, or whatever new word the hub has for it; empty if it is not gated."""
    if field.is_absent or field.value is False:
        return ""
    return "manual" if field.value is True else field.word()


def _flagged(field: Field) -> tuple[FlaggedFile, ...]:
    if field.is_absent:
        return ()
    flagged = {FlaggedFile(path=item["path"].path(), level=item["level"].word()) for item in field}
    return tuple(sorted(flagged, key=lambda file: (file.path, file.level)))


def _sibling(item: Field) -> FileEntry:
    path, lfs, blob, size = item["rfilename"].path(), item["lfs"], item["blobId"], item["size"]
    if not lfs.is_absent:
        return _entry(path, lfs["size"].whole_number(), sha256=lfs["sha256"].sha256())
    return _entry(
        path,
        None if size.is_absent else size.whole_number(),
        git_sha1=None if blob.is_absent else blob.sha1(),
    )


def _tree_item(item: Field) -> FileEntry | None:
    kind = item["type"].word()
    if kind == _FOLDER:
        return None
    path, lfs = item["path"].path(), item["lfs"]
    if kind != _FILE:
        detail = f"the hub calls it '{shown(kind)}'"
        return attrs.evolve(_entry(path, None), state=FileState.SPECIAL, detail=detail)
    if not lfs.is_absent:
        return _entry(path, lfs["size"].whole_number(), sha256=lfs["oid"].sha256())
    return _entry(path, item["size"].whole_number(), git_sha1=item["oid"].sha1())


def _entry(
    path: str, size: int | None, *, sha256: str | None = None, git_sha1: str | None = None
) -> FileEntry:
    return FileEntry(path=path, size=size, sha256=sha256, git_sha1=git_sha1, kind=kind_of(path))
