"""What somebody has: the repositories that a lock names, and those in the Hugging Face cache.

Knows which branch of the hub each is held against; refuses to know what is there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from embaudit.errors import EmbauditError
from embaudit.locking import load_lock
from embaudit.model.limits import Limits
from embaudit.model.lock import Lock, LockedCode
from embaudit.model.refs import is_commit, is_repo_id
from embaudit.sources.base import shown
from embaudit.sources.cache import list_cached, read_cached_repo, repo_id_of

DEFAULT_BRANCH = "main"
CACHE = "cache"
_FEWEST_DIGITS = 7
"""Hex digits of an abbreviated commit, as the hub takes them."""


@attrs.frozen(kw_only=True)
class Watched:
    """One repository that somebody has.

    Attributes:
        origin: The lock file that names it, or `cache`.
        repo_id: `org/name`; None if nothing says which repository it is.
        branch: What it is held against.
        commit: The commit that somebody has; None if nothing says which it is.
        is_pinned: Whether the commit was chosen by its hash, not as the end of `branch`.
        needed_by: The file and field of another repository that have its code run; else empty.
        loaders: The loaders to ask about.
        problem: Why it cannot be looked up; empty if it can.
    """

    origin: str
    repo_id: str | None = None
    branch: str = DEFAULT_BRANCH
    commit: str | None = None
    is_pinned: bool = False
    needed_by: str = ""
    loaders: tuple[str, ...] = ()
    problem: str = ""


def watched_in_lock(place: Lock | str | os.PathLike[str], limits: Limits) -> Iterator[Watched]:
    """What a lock names: the model, and each repository whose code it has run."""
    if isinstance(place, Lock):
        yield from _locked(place, place.target)
        return
    origin = os.fspath(place)
    try:
        lock = load_lock(place, limits=limits)
    except EmbauditError as error:
        yield Watched(origin=origin, problem=str(error))
        return
    yield from _locked(lock, origin)


def _locked(lock: Lock, origin: str) -> Iterator[Watched]:
    revision = lock.revision or DEFAULT_BRANCH
    is_pinned = _is_part_of(revision, lock.commit)
    loaders = dict.fromkeys((*lock.loads, *(() if lock.policy is None else lock.policy.loaders)))
    yield _checked(
        Watched(
            origin=origin,
            repo_id=lock.repo_id,
            branch=DEFAULT_BRANCH if is_pinned else revision,
            commit=lock.commit,
            is_pinned=is_pinned,
            loaders=tuple(loaders),
        )
    )
    for code in {each.repo_id: each for each in reversed(lock.remote_code)}.values():
        if code.repo_id != lock.repo_id:
            yield _checked(_code(code, origin))


def _is_part_of(revision: str, commit: str | None) -> bool:
    """Whether a revision is a hash: of a whole commit, or the beginning of the one that was locked."""
    abbreviated = commit is not None and len(revision) >= _FEWEST_DIGITS and commit.startswith(revision)
    return is_commit(revision) or abbreviated


def _code(code: LockedCode, origin: str) -> Watched:
    return Watched(origin=origin, repo_id=code.repo_id, commit=code.commit, needed_by=code.where)


def watched_in_cache(cache: Path | None, limits: Limits) -> Iterator[Watched]:
    """Every branch and tag of every model in a cache; of one without any its newest commit.

    Raises:
        TargetError: If there is no such cache.
        SourceError: If it cannot be listed.
        LimitError: If it holds too much.
    """
    for folder in list_cached(cache, limits):
        repo_id = repo_id_of(folder)
        try:
            repo = read_cached_repo(folder, limits)
        except EmbauditError as error:
            yield Watched(origin=CACHE, repo_id=repo_id, problem=str(error))
            continue
        for branch, commit in repo.refs.items():
            yield _checked(Watched(origin=CACHE, repo_id=repo_id, branch=branch, commit=commit))
        if not repo.refs and repo.commits:
            newest = repo.commits[-1].commit
            yield _checked(Watched(origin=CACHE, repo_id=repo_id, commit=newest, is_pinned=True))


def _checked(watched: Watched) -> Watched:
    """The same, with the reason why it cannot be looked up: a lock is a file that anybody may edit."""
    if watched.repo_id is None:
        return attrs.evolve(watched, problem="nothing says which repository of the hub it comes from")
    if not is_repo_id(watched.repo_id):
        problem = f"'{shown(watched.repo_id)}' is not the id of a repository"
        return attrs.evolve(watched, problem=problem)
    if watched.commit is None:
        return attrs.evolve(watched, problem="nothing says which commit it is")
    if not is_commit(watched.commit):
        return attrs.evolve(watched, problem=f"'{shown(watched.commit)}' is not a full commit hash")
    return watched
