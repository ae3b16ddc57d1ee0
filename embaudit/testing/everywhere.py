"""One repository at every place that embaudit reads from, with the same commits at each.

Knows how a repository of the loopback hub looks in a git clone, in the Hugging Face cache and in folders;
refuses to know what is asked of it there. Neither git nor the network is needed to write any of them.
"""

from collections.abc import Mapping
from pathlib import Path

from embaudit.model.files import Snapshot
from embaudit.sources.memory import MemorySource
from embaudit.testing.git_objects import GitObject, commit_object, tree_objects, write_loose
from embaudit.testing.loopback_hub.contents import File, Sparse, StoredFile, lfs_pointer
from embaudit.testing.loopback_hub.hub import LoopbackHub
from embaudit.testing.loopback_hub.repositories import Commit, Repository
from embaudit.testing.repositories import cache_commit

Content = bytes | File | Sparse | None


class Everywhere:
    """A repository on a loopback hub that is also in a clone, in a cache, in plain folders and in memory.

        with LoopbackHub() as hub, hub.in_process():
            everywhere = Everywhere(hub, folder)
            commit = everywhere.commit({"config.json": b"{}"})
            for place, target in everywhere.targets(commit).items():
                report = embaudit.audit(target)

    Args:
        hub: The hub, on which the repository is made.
        folder: Where everything else is written; made if it is not there.
        repo_id: `org/name`.

    Attributes:
        repository: The repository on the hub, for what commits alone do not do: branches, tags, scans.
        cache: The Hugging Face cache; what `HF_HUB_CACHE` is to be for `cache:org/name@revision`.
        clone: The git clone, with a store of Git LFS.
    """

    def __init__(self, hub: LoopbackHub, folder: Path, repo_id: str = "org/name") -> None:
        # A target that is a text names a clone by an absolute path, or it would name a repository on the hub.
        root = folder.absolute()
        self.repository = hub.create(repo_id)
        self.cache = root / "cache"
        self.clone = root / "clone"
        self._folders = root / "folders"

    def commit(self, files: Mapping[str, Content], *, title: str = "", date: str = "") -> str:
        """Commit files to `main` everywhere; a file whose content is None is removed.

        Unlike on the hub alone, sparse contents are written out in full.

        Returns:
            The id of the commit, 40 hex digits.
        """
        made = self.repository.commit(files, title=title, date=date)
        write_clone(self.repository, self.clone)
        commit = self.repository.commits[made]
        contents = contents_at(commit)
        cache_commit(self.cache, self.repository.repo_id, made, contents)
        for path, content in contents.items():
            place = self.folder(made) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        return made

    def folder(self, commit: str) -> Path:
        """The plain folder with the files of a commit and nothing of its history."""
        return self._folders / commit

    def snapshot_folder(self, commit: str) -> Path:
        """The folder of a commit inside the cache."""
        name = self.repository.repo_id.replace("/", "--")
        return self.cache / f"models--{name}" / "snapshots" / commit

    def targets(self, commit: str) -> Mapping[str, str | Path | Snapshot]:
        """Place (`hub`, `cache`, `folder`, `clone`, `memory`) to what names a commit there."""
        return {
            "hub": f"{self.repository.repo_id}@{commit}",
            "cache": self.snapshot_folder(commit),
            "folder": self.folder(commit),
            "clone": f"{self.clone}@{commit}",
            "memory": MemorySource(contents_at(self.repository.commits[commit])).snapshot(),
        }


def contents_at(commit: Commit) -> Mapping[str, bytes]:
    """Path to content of every file of a commit, those in LFS included."""
    return {path: file.contents.read(0, file.size) for path, file in commit.files.items()}


def write_clone(repository: Repository, folder: Path) -> None:
    """Write a repository of the loopback hub as a git clone, with every object of Git LFS in its store.

    Branches, tags and other references are those of the repository; nothing is checked out. A clone that was
    written before is brought up to date, and keeps the commits that the repository has lost since.

    Args:
        repository: The repository.
        folder: The clone's folder, made if it is not there; its `.git` is written.
    """
    git_folder = folder / ".git"
    for commit in repository.commits.values():
        trees = list(tree_objects({path: file.oid for path, file in commit.files.items()}))
        made = commit_object(trees[-1].id, commit.parents, commit.title, commit.date)
        write_loose(git_folder, *trees, made)
        for file in commit.files.values():
            _write_file(git_folder, file)
    (git_folder / "HEAD").write_text("ref: refs/heads/main\n")
    # Git takes a folder for a clone only if it has refs/, be it empty.
    for name, tip in {"refs/heads/main": "", **repository.refs}.items():
        place = git_folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if tip:
            place.write_text(f"{tip}\n")


def _write_file(git_folder: Path, file: StoredFile) -> None:
    content = file.contents.read(0, file.size)
    if file.sha256 is None:
        write_loose(git_folder, GitObject("blob", content))
        return
    write_loose(git_folder, GitObject("blob", lfs_pointer(file.sha256, file.size)))
    place = git_folder / "lfs" / "objects" / file.sha256[:2] / file.sha256[2:4] / file.sha256
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
