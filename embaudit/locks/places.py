"""Where what was locked can be had again."""

from embaudit.model.lock import Lock

_HUB, _CACHE, _GIT = "hub", "cache", "git"


def locked_place(lock: Lock) -> str:
    """The target that names what was locked, at its commit if one was known."""
    if lock.commit is None:
        return lock.target
    if lock.source == _HUB and lock.repo_id:
        return f"{lock.repo_id}@{lock.commit}"
    if lock.source == _CACHE and lock.repo_id:
        return f"cache:{lock.repo_id}@{lock.commit}"
    if lock.source == _GIT and lock.revision:
        return f"{lock.target.removesuffix(f'@{lock.revision}')}@{lock.commit}"
    return lock.target
