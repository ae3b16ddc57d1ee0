"""Which commits a clone knows: its branches and tags, what a revision means, what came after."""

import re
from collections.abc import Iterable, Mapping
from datetime import timezone
from pathlib import Path

from embaudit.errors import SourceError, TargetError, UnknownCommitError
from embaudit.model.files import CommitInfo
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.moments import moment
from embaudit.sources.base import shown
from embaudit.sources.git import Git, find_git
from embaudit.sources.near import near_names

_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REVISION = re.compile(r"[^\x00-\x20\x7f:\\-][^\x00-\x20\x7f:\\]{0,254}")
"""What is handed to git as a revision: no option, no path inside a commit, no search through messages."""
_BRANCHES, _TAGS, _REMOTES = "refs/heads/", "refs/tags/", "refs/remotes/"
_UPSTREAM = "refs/remotes/origin/"
_POINTER_BYTES = 4096
"""More than a `.git` file, which holds one path, ever takes."""
_MOST_COMMITS = 1000
"""Newer commits that are listed; the oldest are left out."""
_FORMAT = "--format=%H%x00%cI%x00%s"


def open_clone(folder: Path, limits: Limits = DEFAULT_LIMITS) -> Git:
    """The clone in a folder: with a working tree, a linked working tree, a submodule or a bare one.

    Raises:
        TargetError: If the folder is none of these, or there is no git program.
        SourceError: If the folder cannot be read.
    """
    try:
        git_folder = _git_folder(folder)
    except OSError as error:
        raise SourceError(f"'{shown(str(folder))}' cannot be read: {error.strerror}") from error
    if git_folder is None:
        raise TargetError(f"'{shown(str(folder))}' is not a git clone, so there is no revision of it")
    return Git(program=find_git(), folder=git_folder, limits=limits)


def _git_folder(folder: Path) -> Path | None:
    inner = folder / ".git"
    if inner.is_file():
        # A linked working tree or a submodule: `gitdir: <path>` (gitrepository-layout(5)).
        with inner.open("rb") as file:
            text = file.read(_POINTER_BYTES).decode("utf-8", "surrogateescape")
        label, _, place = text.rstrip("\r\n").partition(": ")
        inner = folder / place if label == "gitdir" and place else inner
    for candidate in (inner, folder):
        has_objects = (candidate / "objects").is_dir() or (candidate / "commondir").is_file()
        if has_objects and (candidate / "HEAD").is_file():
            return candidate.resolve()
    return None


def read_refs(git: Git) -> dict[str, str]:
    """Branches and tags by their short names, and the commits that they lead to; a tag wins over a branch.

    Raises:
        SourceError: If the clone cannot be read.
        LimitError: If there are too many.
    """
    printed = git.demand(
        "for-each-ref",
        "--format=%(refname) %(objecttype) %(objectname) %(*objecttype) %(*objectname)",
        _BRANCHES,
        _TAGS,
    )
    refs: dict[str, str] = {}
    for line in printed.decode("utf-8", "surrogateescape").split("\n"):
        name, *kinds_and_ids = line.split(" ")
        # The second pair is that of the object that an annotated tag is for.
        commits = dict(zip(kinds_and_ids[::2], kinds_and_ids[1::2], strict=False))
        if "commit" in commits:
            refs[name.removeprefix(_BRANCHES).removeprefix(_TAGS)] = commits["commit"]
    return dict(sorted(refs.items()))


def find_commit(git: Git, revision: str, refs: Mapping[str, str]) -> str:
    """The full hash of the commit that a revision means.

    Raises:
        TargetError: If there is none; names the refs that look alike.
        SourceError: If the clone cannot be read.
    """
    if _REVISION.fullmatch(revision):
        found = _rev_parse(git, f"{revision}^{{commit}}")
        if found is not None:
            return found
    raise TargetError(f"{git} has no commit '{shown(revision)}'{near_names(revision, refs)}")


def _rev_parse(git: Git, expression: str) -> str | None:
    """The object that an expression means; None if there is no such object."""
    answer = git.ask("rev-parse", "--verify", "--quiet", "--end-of-options", expression)
    found = answer.output.decode("ascii", "replace").strip()
    return found if answer.code == 0 and _HASH.fullmatch(found) else None


def newer_commits(git: Git, commit: str, revision: str | None) -> tuple[CommitInfo, ...]:
    """The commits that come after a commit, oldest first, as far as the clone knows.

    They are the descendants of the commit on the branch that was asked for (if a branch was, else on what is
    checked out) and on the branch of the same name that was last fetched from `origin`.
    A commit that is on neither has no newer ones.

    Raises:
        SourceError: If the clone cannot be read.
        LimitError: If there are too many.
    """
    # As a whole name: `main~1` is not a branch, though git finds a commit under refs/heads/main~1.
    is_branch = git.ask("show-ref", "--verify", "--quiet", f"{_BRANCHES}{revision}").code == 0
    branch = revision if is_branch else None
    if branch is None:
        checked_out = git.ask("symbolic-ref", "--quiet", "HEAD").output.decode("utf-8", "surrogateescape")
        branch = checked_out.strip().removeprefix(_BRANCHES) or None
    names = ["HEAD", f"{_UPSTREAM}HEAD"] if branch is None else [_BRANCHES + branch, _UPSTREAM + branch]
    tips = [_rev_parse(git, f"{name}^{{commit}}") for name in names]
    later = [tip for tip in tips if tip is not None and tip != commit]
    return (
        _rev_list(git, "--ancestry-path", f"--max-count={_MOST_COMMITS}", *later, f"^{commit}")
        if later
        else ()
    )


def commits_between(git: Git, old: str, new: str) -> tuple[CommitInfo, ...]:
    """The commits that `new` has and `old` has not, oldest first; both are full hashes.

    Raises:
        UnknownCommitError: If the clone does not hold one of them.
        SourceError: If one of them is not a full hash.
        LimitError: If there are too many.
    """
    for commit in (old, new):
        if not _HASH.fullmatch(commit):
            raise SourceError(f"'{shown(commit)}' is not a full commit hash")
        if _rev_parse(git, f"{commit}^{{commit}}") is None:
            raise UnknownCommitError(f"{git} does not hold commit {commit}", commit)
    return _rev_list(git, new, f"^{old}")


def last_commits(git: Git, commit: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """The commit that last changed each path, as of a commit; paths that no commit changed are left out.

    Raises:
        SourceError: If the clone cannot be read.
        LimitError: If git prints too much.
    """
    found: dict[str, CommitInfo] = {}
    for path in paths:
        # A pathspec could hold magic and patterns: `:(literal)` takes the path as it stands.
        changed = _rev_list(git, "--max-count=1", commit, paths=(f":(literal){path}",))
        if changed:
            found[path] = changed[0]
    return found


def _rev_list(git: Git, *arguments: str, paths: Iterable[str] = ()) -> tuple[CommitInfo, ...]:
    printed = git.demand(
        "rev-list", "--topo-order", "--reverse", "--encoding=UTF-8", _FORMAT, *arguments, "--", *paths
    )
    # Before each formatted line rev-list prints `commit <hash>`.
    lines = printed.decode("utf-8", "replace").split("\n")[1::2]
    return tuple(_commit_info(line) for line in lines)


def _commit_info(line: str) -> CommitInfo:
    commit, _, date_and_title = line.partition("\0")
    date, _, title = date_and_title.partition("\0")
    return CommitInfo(commit=commit, title=title, date=_in_utc(date))


def _in_utc(date: str) -> str:
    """A date as the hub's commits have it: committers' offsets differ, and so does git's way to write UTC."""
    when = moment(date)
    return date if when is None else when.astimezone(timezone.utc).isoformat(timespec="seconds")
