"""Where bytes come from: a folder, the local Hugging Face cache, a local git clone, the hub, memory.

`open_snapshot` turns what a user wrote into a `Snapshot`: one commit, or one folder as it is, with the list
of its files and a reader for their bytes. Nothing here knows what is in a file, and nothing here uses the
network but `embaudit.sources.hub`, which is imported when a repository on the hub is opened.
"""

import os
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import constants

from embaudit.errors import SourceError, TargetError
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.refs import CacheTarget, GitTarget, HubTarget, PathTarget, parse_target
from embaudit.sources.base import Source, shown
from embaudit.sources.cache import (
    CacheSource,
    cached_snapshot_above,
    describe_cached,
    open_cached,
    read_cached_repo,
    repo_id_of,
)
from embaudit.sources.clone import CloneSource
from embaudit.sources.folder import FolderSource
from embaudit.sources.history import open_clone
from embaudit.sources.links import absolute, is_folder
from embaudit.sources.memory import MemorySource
from embaudit.sources.metered import Meter, metered

__all__ = [
    "CacheSource",
    "CloneSource",
    "FolderSource",
    "MemorySource",
    "Meter",
    "Source",
    "metered",
    "open_file",
    "open_snapshot",
    "shown",
]


def open_snapshot(
    target: str | os.PathLike[str] | Snapshot,
    *,
    revision: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    cache_dir: Path | None = None,
    beside: Snapshot | None = None,
) -> Snapshot:
    """The snapshot that a target names.

    A folder is listed as it is; a folder that is a snapshot of a Hugging Face cache is opened as that cached
    commit. A revision, written `PATH@revision` or given, takes the commit out of a git clone, whatever is
    checked out.

    Args:
        target: `org/name@revision` on the hub, `cache:org/name@revision`, a path, `PATH@revision`,
            `git+file:///path@revision`, or a snapshot, which is given back.
        revision: The revision, if the target does not name one.
        limits: How much to list, unpack and read.
        cache_dir: The Hugging Face cache; by default huggingface_hub's own.
        beside: A snapshot opened before: for a repository on the hub, a content that both list with the same
            digest is read there instead of being asked for.

    Raises:
        TargetError: If the target is not understood, not there, or not to be had; says what is.
        SourceError: If it is there and cannot be read, or if the hub cannot be reached.
        LimitError: If it exceeds a limit.
    """
    if isinstance(target, Snapshot):
        return _only(target, revision)
    match parse_target(_readable(target)):
        case HubTarget(repo_id=repo_id, revision=named):
            asked = _one_revision(named, revision)
            return _open_on_hub(repo_id, asked, limits=limits, cache_dir=cache_dir, beside=beside)
        case CacheTarget(repo_id=repo_id, revision=named):
            asked = _one_revision(named, revision)
            return open_cached(repo_id, asked, cache_folder=cache_dir, limits=limits)
        case GitTarget(path=path, revision=named):
            whole = path if named is None else f"{path}@{named}"
            place, named = _place_and_revision(Path, whole)
            return _open_commit(place, _one_revision(named, revision), limits)
        case PathTarget(text=text):
            place, named = _place_and_revision(_expanded, text)
            return _open_existing(place, _one_revision(named, revision), limits)


def open_file(path: str | os.PathLike[str], *, limits: Limits = DEFAULT_LIMITS) -> tuple[Snapshot, str]:
    """A single file on disk: a snapshot of the folder that it lies in, and its path in that snapshot.

    The folder is listed without the folders inside it, so that a shard index finds its shards. A file in a
    snapshot of a Hugging Face cache gives that whole cached commit. A link is followed wherever it leads,
    since the user named it; the other links of the folder are not.

    Raises:
        TargetError: If there is no such file.
        SourceError: If its folder cannot be listed.
        LimitError: If its folder exceeds a limit.
    """
    place = _expanded(str(_readable(path)))
    if not _is_there(place) or is_folder(place):
        raise TargetError(f"'{shown(str(place))}' is not a file")
    in_folder = Path(os.path.realpath(place.parent)) / place.name
    cached = cached_snapshot_above(absolute(place)) or cached_snapshot_above(in_folder)
    if cached is not None:
        repo, commit, inside = cached
        return _open_cached_folder(repo, commit, None, limits), inside
    real = Path(os.path.realpath(place))
    source = FolderSource(place.parent, limits=limits, recursive=False, following=(real,))
    return source.snapshot(), place.name


def _readable(target: str | os.PathLike[str]) -> str | Path:
    """The target as a text or a path that the system can be asked about."""
    if not isinstance(target, (str, os.PathLike)):
        raise TargetError(f"a target is a text, a path or a snapshot, not {type(target).__name__}")
    text = target if isinstance(target, str) else os.fsdecode(target)
    try:
        os.fsencode(text)
    except UnicodeEncodeError as error:
        raise TargetError(f"'{shown(text)}' cannot be the name of anything") from error
    if "\0" in text:
        raise TargetError(f"'{shown(text)}' cannot be the name of anything: it holds a NUL character")
    return target if isinstance(target, str) else Path(text)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise TargetError(f"'{shown(text)}' names the home folder of nobody known here") from error


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError as error:
        raise TargetError(f"'{shown(str(place))}' cannot be reached: {error.strerror}") from error


def _one_revision(named: str | None, given: str | None) -> str | None:
    """The revision, named in the target or given beside it."""
    if given is not None:
        _readable(given)
    if named is not None and given is not None and named != given:
        raise TargetError(f"the target names revision '{shown(named)}', and '{shown(given)}' is given")
    return given if named is None else named


def _only(snapshot: Snapshot, revision: str | None) -> Snapshot:
    if revision is not None and revision not in {snapshot.revision, snapshot.commit}:
        has = snapshot.commit or snapshot.revision or "unknown"
        raise TargetError(f"the snapshot's revision is {shown(has)}, and '{shown(revision)}' is given")
    return snapshot


def _open_on_hub(
    repo_id: str, revision: str | None, *, limits: Limits, cache_dir: Path | None, beside: Snapshot | None
) -> Snapshot:
    # Here, and not above: huggingface_hub's session takes longer to import than all of embaudit.
    from embaudit.sources.hub import open_hub  # noqa: PLC0415

    try:
        _check_online(repo_id, cache_dir, limits)
        return open_hub(repo_id, revision, limits=limits, beside=beside)
    except TargetError as error:
        if not is_folder(Path(repo_id)):
            raise
        raise TargetError(f"{error}; for the folder of that name write ./{repo_id}") from None
    except SourceError as error:
        cached = describe_cached(repo_id, cache_dir, limits)
        if cached is None:
            raise
        raise type(error)(f"{error}; {cached}") from None


def _check_online(repo_id: str, cache_dir: Path | None, limits: Limits) -> None:
    # As huggingface_hub has it in this process: it reads the variable once, when it is imported.
    if constants.HF_HUB_OFFLINE:
        cached = describe_cached(repo_id, cache_dir, limits) or "the cache holds nothing of it"
        raise TargetError(f"{repo_id} is on the hub, and we are offline (HF_HUB_OFFLINE=1); {cached}")


def _place_and_revision(path_of: Callable[[str], Path], text: str) -> tuple[Path, str | None]:
    """What is there, and the revision after it: split at the last `@` before which there is something.

    A path that is there as a whole wins, so that an `@` in the name of a folder is no trouble.
    """
    if _is_there(path_of(text)):
        return path_of(text), None
    for at in (i for i in range(len(text) - 1, 0, -1) if text[i] == "@"):
        place, revision = path_of(text[:at]), text[at + 1 :]
        if _is_there(place) and not revision:
            raise TargetError(f"'{shown(text)}' ends in '@' without a revision")
        if _is_there(place):
            return place, revision
    raise TargetError(f"there is nothing at '{shown(text)}'")


def _open_existing(place: Path, revision: str | None, limits: Limits) -> Snapshot:
    if not is_folder(place):
        raise TargetError(
            f"'{shown(str(place))}' is a file; a single file is for open_checkpoint() or `embaudit inspect`"
        )
    real = Path(os.path.realpath(place))
    # The path as written first: a snapshot's folder may be reached through links that are part of the cache.
    cached = cached_snapshot_above(absolute(place)) or cached_snapshot_above(real)
    if cached is not None and not cached[2]:
        return _open_cached_folder(cached[0], cached[1], revision, limits)
    if revision is not None:
        return _open_commit(place, revision, limits)
    repo_id = repo_id_of(real)
    if repo_id is not None and is_folder(real / "snapshots"):
        raise TargetError(
            f"'{shown(str(place))}' is the cache's folder for {repo_id}, with all its commits; "
            f"write cache:{repo_id}, or cache:{repo_id}@revision for one of them"
        )
    return FolderSource(place, limits=limits).snapshot()


def _open_cached_folder(folder: Path, commit: str, revision: str | None, limits: Limits) -> Snapshot:
    repo = read_cached_repo(folder, limits)
    if not repo.has(commit):
        raise TargetError(
            f"'{shown(str(folder))}': the snapshot {commit} is a link, not a folder of the cache"
        )
    if revision is not None and repo.refs.get(revision, revision) != commit:
        raise TargetError(f"'{shown(str(folder))}': this is commit {commit}, not '{shown(revision)}'")
    # A path into the cache names the commit by its hash, which is as pinned as a revision can be.
    return CacheSource(repo, commit, revision=revision or commit, limits=limits).snapshot()


def _open_commit(place: Path, revision: str | None, limits: Limits) -> Snapshot:
    return CloneSource(open_clone(place, limits), revision, limits=limits).snapshot()
