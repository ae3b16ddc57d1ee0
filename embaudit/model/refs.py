"""What a target names, told from its text alone; whether it exists is for `embaudit.sources` to find out."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

import attrs

from embaudit.errors import TargetError

_REPO_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)
_REPO_ID_MAX = 96
"""Characters, as huggingface_hub's `validate_repo_id` has it (2.4.0)."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_commit(revision: str | None) -> bool:
    """Whether a revision is a full commit hash, which never moves, unlike a branch or a tag."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None


@attrs.frozen
class HubTarget:
    """A repository on the hub: `org/name`, `org/name@revision` or `hf://org/name@revision`."""

    repo_id: str
    revision: str | None = None


@attrs.frozen
class CacheTarget:
    """A repository in the local Hugging Face cache: `cache:org/name@revision`."""

    repo_id: str
    revision: str | None = None


@attrs.frozen
class PathTarget:
    """Something on this disk, as written: a folder, a file, or `PATH@revision` of a clone."""

    text: str


@attrs.frozen
class GitTarget:
    """A local git clone at a revision: `git+file:///path@revision`."""

    path: str
    revision: str | None = None


Target = HubTarget | CacheTarget | PathTarget | GitTarget


def is_repo_id(text: str) -> bool:
    """Whether a text has the form of a repository's id, `org/name` or, for a few old ones, `name`."""
    faulty = len(text) > _REPO_ID_MAX or "--" in text or ".." in text or text.endswith(".git")
    return not faulty and _REPO_ID.fullmatch(text) is not None


def _repo_and_revision(text: str, whole: str) -> tuple[str, str | None]:
    repo_id, at, revision = text.partition("@")
    if not is_repo_id(repo_id):
        raise TargetError(
            f"{whole!r} is not a target: expected org/name, cache:org/name, or a path like ./folder"
        )
    if at and not revision:
        raise TargetError(f"{whole!r} ends in '@' without a revision")
    return repo_id, revision or None


def parse_target(target: str | os.PathLike[str]) -> Target:
    """What `target` names. A bare name is always a repository, never a folder of that name.

    Raises:
        TargetError: If the text is none of the forms above.
    """
    if not isinstance(target, str):
        return PathTarget(str(Path(os.fspath(target))))
    if "\0" in target or not target.strip():
        raise TargetError(f"{target!r} is not a target: it is empty or holds a NUL character")
    if target.startswith("cache:"):
        return CacheTarget(*_repo_and_revision(target.removeprefix("cache:"), target))
    if target.startswith("hf://"):
        return HubTarget(*_repo_and_revision(target.removeprefix("hf://"), target))
    if target.startswith("git+file://"):
        return _parse_git(target)
    if "://" in target:
        raise TargetError(f"{target!r} is not a target: only hf:// and git+file:// addresses are")
    starts = ("./", "../", "~", ".\\", "..\\")
    here = target.partition("@")[0] in {".", ".."}
    if target.startswith(starts) or here or Path(target).is_absolute():
        return PathTarget(target)
    return HubTarget(*_repo_and_revision(target, target))


def _parse_git(target: str) -> GitTarget:
    # By hand: `urlsplit` would take `#` and `?` out of a path or revision, and raises ValueError on `[`.
    host, slash, rest = target.removeprefix("git+file://").partition("/")
    if host not in {"", "localhost"} or not slash:
        raise TargetError(f"{target!r} is not a local clone: expected git+file:///absolute/path@revision")
    whole = unquote(slash + rest)
    path, at, revision = whole.rpartition("@")
    if not at:
        return GitTarget(whole, None)
    if not revision:
        raise TargetError(f"{target!r} ends in '@' without a revision")
    return GitTarget(path, revision)
