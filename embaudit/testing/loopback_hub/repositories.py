"""A repository: commits, branches and tags, and what the hub knows of it beside its files.

It knows git's shape of a history; it does not know requests.
"""

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone

import attrs

from embaudit.model.frozen import frozen_mapping
from embaudit.testing.git_objects import commit_object, tree_objects
from embaudit.testing.loopback_hub.contents import File, Sparse, StoredFile, stored_file

Content = bytes | Sparse | File | None
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
_SHORTEST_COMMIT = 7
_FULL_COMMIT = 40


def sha1_of(*words: str) -> str:
    """40 hex digits that follow from the words alone."""
    return hashlib.sha1("\0".join(words).encode(), usedforsecurity=False).hexdigest()


@attrs.frozen(kw_only=True)
class Commit:
    """One commit.

    Attributes:
        id: 40 hex digits, as git makes them of the files, title, date and parents.
        parents: The commits that it follows; more than one for a merge.
        title: First line of the message.
        date: ISO 8601 in UTC.
        files: Path to file.
        touched: Path to the commit that last changed the file.
    """

    id: str
    parents: tuple[str, ...]
    title: str
    date: str
    files: Mapping[str, StoredFile] = attrs.field(converter=frozen_mapping, repr=False)
    touched: Mapping[str, str] = attrs.field(converter=frozen_mapping, repr=False)


class Repository:
    """A model repository of the loopback hub. `LoopbackHub.create` makes one.

    Attributes:
        repo_id: `org/name`; changes when the hub renames it.
        key: What the hub calls `_id`: 24 hex digits, never changes.
        gated: `auto` or `manual` if access has to be granted, else empty.
        private: Whether only tokens with access see it.
        disabled: Whether its files are given to nobody.
        created: When it was made, ISO 8601 in UTC.
        scans_done: Whether the security scans are finished.
        flagged: Path to the scanner's word (`unsafe`, `suspicious`, ...), at every commit.
    """

    def __init__(self, repo_id: str, key: str, *, gated: str, private: bool, disabled: bool) -> None:
        self.repo_id = repo_id
        self.key = key
        self.gated = gated
        self.private = private
        self.disabled = disabled
        self.created = _written(_FIRST_DAY)
        self.scans_done = True
        self.flagged: dict[str, str] = {}
        self._commits: dict[str, Commit] = {}
        self._refs: dict[str, str] = {}
        self._contents: dict[str, Sparse] = {}

    def __repr__(self) -> str:
        return f"Repository({self.repo_id!r}, key={self.key!r})"

    @property
    def refs(self) -> Mapping[str, str]:
        """Full names of branches, tags and the rest (`refs/heads/main`, `refs/pr/1`), to commit."""
        return frozen_mapping(self._refs)

    @property
    def commits(self) -> Mapping[str, Commit]:
        """Every commit that is there, by its id."""
        return frozen_mapping(self._commits)

    def commit(
        self,
        files: Mapping[str, Content],
        *,
        title: str = "",
        date: str = "",
        parent: str | tuple[str, ...] | None = None,
        branch: str = "main",
    ) -> str:
        """Commit files to a branch.

        Args:
            files: Path to contents; None removes the file. All other files stay as they are in the parent.
            title: First line of the message.
            date: ISO 8601; if it isn't given, commits are a day apart.
            parent: The commit that it follows instead of the tip of the branch; several for a merge, the
                files being those of the first; none at all (`()`) for a history of its own.
            branch: The branch that moves to the new commit, made if it isn't there.

        Returns:
            The id of the commit, 40 hex digits.
        """
        parents = self._parents(parent, branch)
        kept = dict(self._commits[parents[0]].files) if parents else {}
        for path, content in files.items():
            if content is None:
                del kept[path]
            else:
                kept[path] = stored_file(path, content if isinstance(content, File) else File(content))
        number = len(self._commits)
        made = self._made(
            parents,
            title or f"Commit {number + 1}",
            date or _written(_FIRST_DAY + timedelta(days=number)),
            {path: kept[path] for path in sorted(kept)},
        )
        self._contents |= {file.digest: file.contents for file in kept.values()}
        self._commits = self._commits | {made.id: made}
        return self.branch(branch, made.id)

    def _parents(self, parent: str | tuple[str, ...] | None, branch: str) -> tuple[str, ...]:
        if isinstance(parent, tuple):
            return parent
        tip = parent or self._refs.get(_full_name(branch))
        return (tip,) if tip else ()

    def _made(
        self, parents: tuple[str, ...], title: str, date: str, files: Mapping[str, StoredFile]
    ) -> Commit:
        *_, root = tree_objects({path: file.oid for path, file in files.items()})
        made = commit_object(root.id, parents, title, date).id
        touched = {path: self._toucher(path, file, parents) or made for path, file in files.items()}
        return Commit(id=made, parents=parents, title=title, date=date, files=files, touched=touched)

    def _toucher(self, path: str, file: StoredFile, parents: tuple[str, ...]) -> str | None:
        """The commit that gave a file its contents, if one of the parents has it with the same."""
        for parent in parents:
            held = self._commits[parent].files.get(path)
            if held is not None and held.oid == file.oid:
                return self._commits[parent].touched[path]
        return None

    def contents(self, digest: str) -> Sparse | None:
        """What was committed under a SHA-256 (LFS) or a git blob's id, also by commits that vanished."""
        return self._contents.get(digest)

    def branch(self, name: str, commit: str) -> str:
        """Make a branch, or move it: `main`, or a full name such as `refs/pr/1` or `refs/convert/onnx`."""
        return self._point(_full_name(name), commit)

    def tag(self, name: str, commit: str) -> str:
        """Make a tag, or move it."""
        return self._point(f"refs/tags/{name}", commit)

    def _point(self, name: str, commit: str) -> str:
        if commit not in self._commits:
            raise LookupError(f"{self.repo_id} has no commit {commit}")
        self._refs = self._refs | {name: commit}
        return commit

    def remove(self, name: str) -> None:
        """Remove a branch or a tag; its commits stay."""
        gone = {_full_name(name), f"refs/tags/{name}"}
        if not gone & set(self._refs):
            raise LookupError(f"{self.repo_id} has no branch or tag {name}")
        self._refs = {ref: commit for ref, commit in self._refs.items() if ref not in gone}

    def rewrite(self, *, title: str = "Super-squash branch", date: str = "", branch: str = "main") -> str:
        """Rewrite the history of a branch to one commit with the files that it has.

        Commits that no branch or tag leads to any more vanish.

        Returns:
            The id of the commit that is left.
        """
        tip = self._commits[self._refs[_full_name(branch)]]
        files = {path: File(held.contents, lfs=held.sha256 is not None) for path, held in tip.files.items()}
        made = self.commit(files, title=title, date=date, parent=(), branch=branch)
        reached = {commit.id for ref in self._refs.values() for commit in self.log(ref)}
        self._commits = {key: commit for key, commit in self._commits.items() if key in reached}
        return made

    def flag(self, path: str, level: str) -> None:
        """Have the security scanner object to a file: `unsafe`, `suspicious`, `caution`, ..."""
        self.flagged = self.flagged | {path: level}

    def find(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag, a full reference, or at least 7 digits of a hash stand for."""
        for name in (revision, f"refs/heads/{revision}", f"refs/tags/{revision}"):
            if name in self._refs:
                return self._commits[self._refs[name]]
        if not _SHORTEST_COMMIT <= len(revision) <= _FULL_COMMIT:
            return None
        found = [commit for key, commit in self._commits.items() if key.startswith(revision)]
        return found[0] if len(found) == 1 else None

    def log(self, commit: str) -> Iterable[Commit]:
        """The commit and all before it, the one made last first, so that children precede parents."""
        order = {key: number for number, key in enumerate(self._commits)}

        def place(key: str) -> tuple[int, str]:
            return -order[key], key

        waiting, seen = [place(commit)], {commit}
        while waiting:
            _, key = heapq.heappop(waiting)
            yield self._commits[key]
            for parent in self._commits[key].parents:
                if parent not in seen:
                    seen.add(parent)
                    heapq.heappush(waiting, place(parent))


def _full_name(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"refs/heads/{branch}"


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
