"""The local Hugging Face cache, read as it lies on disk. Never the network.

Layout, as huggingface_hub 2.4.0 writes it (`file_download.py`, `_tree_cache.py`, `utils/_shared_blobs.py`):

    models--org--name/
      refs/<name>                what a branch, tag or `refs/pr/1` pointed at when it was last asked for
      snapshots/<commit>/<path>  a link to ../../blobs/<etag>; the file itself where links cannot be made
      blobs/<etag>               the file, or a link to the store shared by all repositories
      blobs/*.incomplete         downloads that were interrupted
      trees/<commit>.json        the listing of the commit, if a whole snapshot was downloaded
    blobs/<2 hex>/<xet hash>     the shared store

The ETag of a file is read from the *first* link: 64 hex digits are the SHA-256 of its content, 40 the id of
its git blob. The name at the end of two links is a Xet hash, which is neither. Without links the digests are
those of `trees/<commit>.json`. All of them are claims about the content, not proofs. `.no_exist` is not read.
"""

import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from huggingface_hub import constants

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.model.files import CacheState, CommitInfo, FileEntry, FileState, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources.base import ListedSource, shown
from embaudit.sources.links import Boundary, absolute, is_folder
from embaudit.sources.local import LocalFiles
from embaudit.sources.tree_listing import TreeEntry, read_tree_listing
from embaudit.sources.walk import Found, describe, walk

_PREFIX = "models--"
_SNAPSHOTS, _BLOBS, _REFS = "snapshots", "blobs", "refs"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REF_BYTES = 64
"""A ref file holds 40 bytes; anything longer is none."""
_MOST_SHOWN = 10
"""Commits and refs that an error message lists."""
DEFAULT_REVISION = "main"


def default_cache_folder() -> Path:
    """Where huggingface_hub keeps its cache in this process, by `HF_HUB_CACHE`, `HF_HOME` and so on."""
    return Path(constants.HF_HUB_CACHE)


@attrs.frozen(kw_only=True)
class CachedRepo:
    """One repository's folder in the cache.

    Attributes:
        folder: Path of `models--org--name`.
        repo_id: `org/name`.
        refs: Branch, tag or `refs/pr/1` to the commit that it pointed at when last asked for.
        commits: The cached snapshots with the time that their folder was last written to, oldest first.
    """

    folder: Path
    repo_id: str
    refs: Mapping[str, str]
    commits: tuple[CommitInfo, ...]

    def has(self, commit: str) -> bool:
        """Whether any file of a commit is cached."""
        return any(cached.commit == commit for cached in self.commits)


def list_cached(
    cache_folder: str | os.PathLike[str] | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Path, ...]:
    """The folders of the model repositories in a cache, by name; `read_cached_repo` tells what each holds.

    Args:
        cache_folder: The cache, huggingface_hub's own if None.
        limits: `files` bounds the listing.

    Raises:
        TargetError: If there is no such cache.
        SourceError: If it cannot be listed.
        LimitError: If a limit is exceeded.
    """
    cache = Path(cache_folder or default_cache_folder())
    if not is_folder(cache):
        raise TargetError(f"there is no cache at '{shown(str(cache))}'")
    names = (name for name, _ in _listed(cache, limits) if name.startswith(_PREFIX))
    return tuple(cache / name for name in names if is_folder(cache / name))


def repo_id_of(folder: Path) -> str | None:
    """The repository that a cache folder of this name is for, or None if the name is no such name."""
    name = folder.name
    return name.removeprefix(_PREFIX).replace("--", "/") if name.startswith(_PREFIX) else None


def cached_snapshot_above(path: Path) -> tuple[Path, str, str] | None:
    """Whether a path is, or lies in, a snapshot of a cache.

    Args:
        path: An absolute path without `..`.

    Returns:
        The repository's folder, the commit, and the path inside the snapshot (empty for the snapshot itself),
        or None.
    """
    for place in (path, *path.parents):
        repo = place.parent.parent
        named = place.parent.name == _SNAPSHOTS and repo_id_of(repo) is not None
        if named and _COMMIT.fullmatch(place.name):
            inside = path.relative_to(place)
            return repo, place.name, inside.as_posix() if inside.parts else ""
    return None


def open_cached(
    repo_id: str,
    revision: str | None = None,
    *,
    cache_folder: str | os.PathLike[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Snapshot:
    """A snapshot of a cached repository.

    Args:
        repo_id: `org/name`.
        revision: A full commit hash, or the name of a branch, tag or `refs/pr/1` that was once downloaded;
            `main` if None.
        cache_folder: The cache, huggingface_hub's own if None.
        limits: `files` and `folder_depth` bound the listing, `json_bytes` the file in `trees/`.

    Raises:
        TargetError: If the repository or the revision is not in the cache; says what is.
        SourceError: If the cache cannot be read.
        LimitError: If a limit is exceeded.
    """
    cache = Path(cache_folder or default_cache_folder())
    folder = cache / (_PREFIX + repo_id.replace("/", "--"))
    if not is_folder(folder):
        raise TargetError(f"{repo_id} is not in the cache at '{shown(str(cache))}'")
    repo = read_cached_repo(folder, limits)
    asked = DEFAULT_REVISION if revision is None else revision
    commit = asked if repo.has(asked) else repo.refs.get(asked)
    if commit is None or not repo.has(commit):
        raise TargetError(_not_cached(repo, asked, commit))
    return CacheSource(repo, commit, revision=revision, limits=limits).snapshot()


def describe_cached(
    repo_id: str,
    cache_folder: str | os.PathLike[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> str | None:
    """What the cache holds of a repository and how to name it, in words; None if it holds no commit of it."""
    folder = Path(cache_folder or default_cache_folder()) / (_PREFIX + repo_id.replace("/", "--"))
    try:
        repo = read_cached_repo(folder, limits) if is_folder(folder) else None
    except (SourceError, LimitError):
        return None
    if repo is None or not repo.commits:
        return None
    commits = _some(info.commit for info in reversed(repo.commits))
    refs = [name for name, commit in repo.refs.items() if repo.has(commit)]
    example = refs[0] if refs else repo.commits[-1].commit
    held = f"the cache holds commits {commits} of it (refs: {_some(refs)})"
    return f"{held}; write cache:{repo_id}@{shown(example)} for what is cached"


def _not_cached(repo: CachedRepo, asked: str, commit: str | None) -> str:
    if commit is None:
        problem = f"{repo.repo_id} has no cached revision '{shown(asked)}'"
    else:
        problem = f"'{shown(asked)}' of {repo.repo_id} is {commit}, and no file of that commit is cached"
    commits = [info.commit for info in reversed(repo.commits)]
    write = f"; write cache:{repo.repo_id}@{commits[0]}" if commits else ""
    return f"{problem}; cached commits: {_some(commits)}; refs: {_some(repo.refs)}{write}"


def _some(names: Iterable[str]) -> str:
    all_names = [shown(name) for name in names]
    more = f" and {len(all_names) - _MOST_SHOWN} more" if len(all_names) > _MOST_SHOWN else ""
    return (", ".join(all_names[:_MOST_SHOWN]) or "none") + more


def read_cached_repo(folder: Path, limits: Limits = DEFAULT_LIMITS) -> CachedRepo:
    """The refs and snapshots of a repository's folder, `models--org--name`, in a cache.

    Raises:
        SourceError: If the folder cannot be read.
        LimitError: If it holds more than `limits.files` refs or snapshots.
    """
    repo_id = repo_id_of(folder) or ""
    return CachedRepo(
        folder=folder, repo_id=repo_id, refs=_refs(folder, limits), commits=_commits(folder, limits)
    )


def _listed(folder: Path, limits: Limits) -> list[tuple[str, os.stat_result]]:
    """The entries of a folder by name, links not followed; none if there is no such folder."""
    listed: list[tuple[str, os.stat_result]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                listed.append((entry.name, entry.stat(follow_symlinks=False)))
                if len(listed) > limits.files:
                    raise LimitError(
                        f"more than {limits.files} directory entries", shown(str(folder)), "files"
                    )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SourceError(f"'{shown(str(folder))}' cannot be listed: {error.strerror}") from error
    return sorted(listed)


def _commits(folder: Path, limits: Limits) -> tuple[CommitInfo, ...]:
    snapshots = [
        (status.st_mtime, name)
        for name, status in _listed(folder / _SNAPSHOTS, limits)
        if _COMMIT.fullmatch(name) and stat.S_ISDIR(status.st_mode)
    ]
    return tuple(CommitInfo(commit=name, date=_iso(written)) for written, name in sorted(snapshots))


def _iso(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return ""


def _refs(folder: Path, limits: Limits) -> dict[str, str]:
    root = Path(os.path.realpath(folder / _REFS))
    if not is_folder(root):
        return {}
    boundary = Boundary(root)
    files = sorted(walk(root, boundary, limits), key=lambda found: found.path)
    refs = {found.path: _ref(found) for found in files}
    return {name: commit for name, commit in refs.items() if commit is not None}


def _ref(found: Found) -> str | None:
    """The commit in a ref file; None for what is no ref, such as a file that the system put there."""
    entry, file = describe(found)
    if file is None or entry.size is None or entry.size > _REF_BYTES:
        return None
    content = bytearray(entry.size)
    LocalFiles({found.path: file}).fill(found.path, 0, memoryview(content))
    text = content.decode("ascii", "replace").strip()
    return text if _COMMIT.fullmatch(text) else None


class CacheSource(ListedSource):
    """One cached commit of a repository.

    `Snapshot.newer` is what the ref that was asked for (`main` if none was, or if a hash was) points at, if
    that is another commit: it is what loaders get that do not pin a revision. The cache does not hold the
    order of commits, so a commit pinned by hash that is younger than a `main` downloaded long ago is told of
    that `main`, too. Where there is no such ref, it is the snapshots whose folders were written to later than
    this one's.

    Args:
        repo: The repository's folder in the cache.
        commit: One of its cached commits.
        revision: What was asked for, for the snapshot to say.
        limits: As for `open_cached`.

    Raises:
        SourceError: If the snapshot's folder cannot be listed.
        LimitError: If it holds more than the limits allow.
    """

    def __init__(
        self, repo: CachedRepo, commit: str, *, revision: str | None = None, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        folder = Path(os.path.realpath(repo.folder))
        # The repository's own folder may itself be a link, to another disk; the cache around it, too.
        boundary = Boundary(absolute(repo.folder).parent, repo.folder)
        tree = read_tree_listing(folder / "trees" / f"{commit}.json", limits)
        found = walk(Path(os.path.realpath(folder / _SNAPSHOTS / commit)), boundary, limits)
        described = sorted(((one, *describe(one)) for one in found), key=lambda triple: triple[0].path)
        entries = {
            one.path: _with_claims(entry, _etag(one, folder), tree.get(one.path))
            for one, entry, _ in described
        }
        super().__init__(
            Snapshot(
                source="cache",
                repo_id=repo.repo_id,
                revision=revision,
                commit=commit,
                files=entries,
                refs=repo.refs,
                newer=_newer(repo, commit, revision),
                cache=_state(repo, commit, entries, tree, limits),
            )
        )
        self._local = LocalFiles({one.path: file for one, _, file in described if file is not None})

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        self._local.fill(path, start, buffer)


def _etag(found: Found, repo_folder: Path) -> str | None:
    """The name of the blob in this repository that a snapshot's link names; None if it names none."""
    try:
        target = found.place.readlink()
    except OSError:
        return None
    blob = Path(os.path.normpath(found.place.parent / target))
    return blob.name if blob.parent == repo_folder / _BLOBS else None


def _with_claims(entry: FileEntry, etag: str | None, listed: TreeEntry | None) -> FileEntry:
    """The entry with the digests that its blob's name claims, or else the commit's listing."""
    size = entry.size
    if size is None and listed is not None:
        size = listed.size
    if etag is not None and _SHA256.fullmatch(etag):
        return attrs.evolve(entry, size=size, sha256=etag)
    if etag is not None and _COMMIT.fullmatch(etag):
        return attrs.evolve(entry, size=size, git_sha1=etag)
    if etag is None and listed is not None and entry.state is not FileState.POINTER:
        return attrs.evolve(entry, size=size, sha256=listed.sha256, git_sha1=listed.git_sha1)
    return attrs.evolve(entry, size=size)


def _newer(repo: CachedRepo, commit: str, revision: str | None) -> tuple[CommitInfo, ...]:
    name = revision if revision is not None and revision in repo.refs else DEFAULT_REVISION
    head = repo.refs.get(name)
    cached = {info.commit: info for info in repo.commits}
    if head is not None:
        return () if head == commit else (cached.get(head, CommitInfo(commit=head)),)
    order = list(cached)
    return repo.commits[order.index(commit) + 1 :]


def _state(
    repo: CachedRepo,
    commit: str,
    entries: Mapping[str, FileEntry],
    tree: Mapping[str, TreeEntry],
    limits: Limits,
) -> CacheState:
    blobs = _listed(repo.folder / _BLOBS, limits)
    return CacheState(
        other_commits=tuple(info for info in repo.commits if info.commit != commit),
        incomplete=tuple(name for name, _ in blobs if name.endswith(".incomplete")),
        listed=bool(tree),
        absent=tuple(tree[path].as_entry(path) for path in sorted(tree) if path not in entries),
        written=next((info.date for info in repo.commits if info.commit == commit), ""),
    )
