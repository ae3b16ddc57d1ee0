"""Git's objects made without git: trees and commits, their ids, and how a clone keeps them.

Knows the bytes of objects and where loose ones lie; refuses to know repositories and what is in a file.
Formats: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects and git's own documentation, as of 2.47
(`gitformat-loose`, `gitrepository-layout`).
"""

import hashlib
import os
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from embaudit.model.moments import moment

_FILE_MODE, _TREE_MODE = b"100644", b"40000"
_AUTHOR = b"somebody <somebody@example.org>"


@attrs.frozen
class GitObject:
    """One object.

    Attributes:
        kind: `blob`, `tree` or `commit`.
        content: What it holds, without git's own beginning.
    """

    kind: str
    content: bytes = attrs.field(repr=False)

    @property
    def stored(self) -> bytes:
        """The kind, the length and the content: what is hashed, and what a clone keeps."""
        return b"%b %d\0%b" % (self.kind.encode(), len(self.content), self.content)

    @property
    def id(self) -> str:
        """40 hex digits."""
        return hashlib.sha1(self.stored, usedforsecurity=False).hexdigest()


def tree_objects(blobs: Mapping[str, str]) -> Iterator[GitObject]:
    """Every tree of a listing, those inside before those around them: the last one is the root.

    Args:
        blobs: Path to the id of its blob; all are plain files.
    """
    folders: dict[str, list[tuple[bytes, bytes, str]]] = defaultdict(list)
    for path, blob in blobs.items():
        folder, _, name = path.rpartition("/")
        folders[folder].append((_FILE_MODE, os.fsencode(name), blob))
    for path in list(folders):
        around = path
        while around:
            around = around.rpartition("/")[0]
            folders.setdefault(around, [])
    for path in sorted(filter(None, folders), key=lambda path: -path.count("/")):
        tree = _tree(folders[path])
        folder, _, name = path.rpartition("/")
        folders[folder].append((_TREE_MODE, os.fsencode(name), tree.id))
        yield tree
    yield _tree(folders[""])


def _tree(entries: Iterable[tuple[bytes, bytes, str]]) -> GitObject:
    # Git sorts a folder as if its name ended in a slash.
    order = sorted(entries, key=lambda entry: entry[1] + b"/" * (entry[0] == _TREE_MODE))
    return GitObject("tree", b"".join(b"%b %b\0%b" % (m, n, bytes.fromhex(oid)) for m, n, oid in order))


def commit_object(tree: str, parents: Iterable[str], title: str, date: str) -> GitObject:
    """A commit by nobody in particular.

    Args:
        tree: The id of its root tree.
        parents: The ids of the commits that it follows.
        title: Its message.
        date: ISO 8601; git keeps whole seconds of it. A text that is no date counts as the year 1970.
    """
    when = moment(date)
    seconds = 0 if when is None else int(when.timestamp())
    lines = [b"tree " + tree.encode(), *(b"parent " + parent.encode() for parent in parents)]
    lines += [b"%b %b %d +0000" % (who, _AUTHOR, seconds) for who in (b"author", b"committer")]
    return GitObject("commit", b"\n".join([*lines, b"", title.encode("utf-8", "surrogateescape"), b""]))


def write_loose(git_folder: Path, *objects: GitObject) -> None:
    """Put objects into a clone, each in a file of its own; those that are there already stay.

    Args:
        git_folder: The clone's `.git`, or a bare clone.
        objects: What to write.
    """
    for each in objects:
        place = git_folder / "objects" / each.id[:2] / each.id[2:]
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(zlib.compress(each.stored, level=1))
