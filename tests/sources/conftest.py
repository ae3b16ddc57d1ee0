"""What the tests of sources build with: real clones, and caches laid out as huggingface_hub lays them out."""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest


def git_sha1(content: bytes) -> str:
    """The id of a git blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@attrs.frozen
class Clone:
    """A real clone under test, driven by the real git with a fixed author and clock."""

    folder: Path

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git in the clone, and give what it prints."""
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=stdin,
            check=True,
            capture_output=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder.parent),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_AUTHOR_NAME": "a",
                "GIT_AUTHOR_EMAIL": "a@example.org",
                "GIT_AUTHOR_DATE": "2024-01-02T03:04:05+00:00",
                "GIT_COMMITTER_NAME": "a",
                "GIT_COMMITTER_EMAIL": "a@example.org",
                "GIT_COMMITTER_DATE": "2024-01-02T03:04:05+00:00",
            },
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, bytes], title: str = "a commit") -> str:
        """Write files, commit everything, and give the new commit's hash."""
        for path, content in files.items():
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", title)
        return self.git("rev-parse", "HEAD")

    def store_lfs(self, content: bytes) -> bytes:
        """Put an object into the LFS store, and give its pointer."""
        digest = hashlib.sha256(content).hexdigest()
        place = self.folder / ".git" / "lfs" / "objects" / digest[:2] / digest[2:4] / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return pointer_to(content)


def pointer_to(content: bytes) -> bytes:
    """The LFS pointer to a content."""
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


@attrs.frozen
class HubCache:
    """A cache on disk, laid out by hand as huggingface_hub 2.4.0 does."""

    folder: Path
    repo_id: str = "org/name"

    @property
    def repo(self) -> Path:
        """The repository's folder."""
        return self.folder / f"models--{self.repo_id.replace('/', '--')}"

    def add_ref(self, name: str, commit: str) -> None:
        """Point a ref at a commit."""
        place = self.repo / "refs" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(commit)

    def add(self, commit: str, path: str, content: bytes, *, layout: str = "links", lfs: bool = False) -> str:
        """Add one file of a snapshot in a layout (`links`, `shared`, `copies`); gives its ETag."""
        etag = hashlib.sha256(content).hexdigest() if lfs else git_sha1(content)
        place = self.repo / "snapshots" / commit / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if layout == "copies":
            place.write_bytes(content)
            return etag
        blob = self.repo / "blobs" / etag
        blob.parent.mkdir(parents=True, exist_ok=True)
        if layout == "shared":
            # The Xet hash is some hash of 64 digits that is not the SHA-256 of the content.
            xet = hashlib.sha256(b"xet" + content).hexdigest()
            stored = self.folder / "blobs" / xet[:2] / xet
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_bytes(content)
            (self.folder / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
            if not blob.is_symlink():
                blob.symlink_to(os.path.relpath(stored, blob.parent))
        else:
            blob.write_bytes(content)
        place.symlink_to(os.path.relpath(blob, place.parent))
        return etag

    def add_tree(self, commit: str, files: Mapping[str, Mapping[str, object]]) -> None:
        """Add the listing of a commit."""
        place = self.repo / "trees" / f"{commit}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({"format_version": 1, "files": files}))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """An empty clone on branch `main`."""
    made = Clone(tmp_path / "clone")
    made.folder.mkdir()
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def hub_cache(tmp_path: Path) -> HubCache:
    """An empty cache."""
    made = HubCache(tmp_path / "cache")
    made.folder.mkdir()
    return made
