"""The tree of a commit, as `git ls-tree` prints it, and where the symbolic links in it lead."""

import re
from collections.abc import Mapping, Sequence

import attrs

from embaudit.errors import LimitError, SourceError
from embaudit.model.files import FileState
from embaudit.model.limits import Limits
from embaudit.sources.base import shown

LINK_MODE = "120000"
SUBMODULE_MODE = "160000"
_ROW = re.compile(rb"([0-7]{6}) ([a-z]+) ([0-9a-f]{40}|[0-9a-f]{64}) +([0-9]{1,18}|-|BAD)\t(.+)", re.DOTALL)
_MOST_LINKS = 40
"""As for links on disk, see `embaudit.sources.links`."""


@attrs.frozen(kw_only=True)
class TreeRow:
    """One row of a tree.

    Attributes:
        path: Full path in the tree.
        mode: Six octal digits: 100644 and 100755 are files, 120000 is a link, 160000 a submodule.
        object_id: Hex id of the blob, or of the submodule's commit.
        size: Bytes of the blob; None for a submodule, and for a blob that the clone does not hold.
    """

    path: str
    mode: str
    object_id: str
    size: int | None


def parse_tree(output: bytes, limits: Limits) -> dict[str, TreeRow]:
    """The rows that `git ls-tree -r -z -l --full-tree` prints, by path.

    Raises:
        SourceError: If a row is not as git prints it, or a path is one that no real tree holds: with empty
            components, `.` or `..`, or twice.
        LimitError: If there are more than `limits.files` rows, or paths deeper than `limits.folder_depth`.
    """
    printed = output.split(b"\0")[:-1]
    if len(printed) > limits.files:
        raise LimitError(f"a tree of {len(printed)} files", limit="files")
    rows: dict[str, TreeRow] = {}
    for line in printed:
        row = _parse_row(line)
        components = row.path.split("/")
        if row.path in rows or {"", ".", ".."} & set(components):
            raise SourceError(f"the tree is damaged: it holds '{shown(row.path)}', or holds it twice")
        if len(components) - 1 > limits.folder_depth:
            raise LimitError(
                f"more than {limits.folder_depth} folders inside one another", shown(row.path), "folder_depth"
            )
        rows[row.path] = row
    return rows


def _parse_row(line: bytes) -> TreeRow:
    match = _ROW.fullmatch(line)
    if match is None:
        raise SourceError(f"git printed a row of a tree that is none: {line[:200]!r}")
    mode, _, object_id, size, path = match.groups()
    return TreeRow(
        path=path.decode("utf-8", "surrogateescape"),
        mode=mode.decode("ascii"),
        object_id=object_id.decode("ascii"),
        size=int(size) if size.isdigit() else None,
    )


@attrs.frozen(kw_only=True)
class TreeLinks:
    """The links of a tree, and what they may lead to.

    Attributes:
        targets: Path of a link to its text.
        files: Paths of everything else.
        folders: Paths of all folders.
    """

    targets: Mapping[str, str]
    files: frozenset[str]
    folders: frozenset[str]

    def follow(self, path: str) -> tuple[FileState, str]:
        """Where the link at `path` leads: present and the path of a file, or why nowhere and the link's text.

        A link to a folder is `special`: the files of that folder are listed where they are.
        """
        text = self.targets[path]
        here: list[str] = []
        pending = list(reversed(path.split("/")))
        n_links = 0
        while pending:
            part = pending.pop()
            if part == "..":
                if not here:
                    return FileState.ESCAPING_LINK, text
                here.pop()
                continue
            position = "/".join((*here, part))
            target = self.targets.get(position)
            if target is None:
                if not self._leads_on(position, pending):
                    return FileState.BROKEN_LINK, text
                here.append(part)
                continue
            n_links += 1
            if n_links > _MOST_LINKS:
                return FileState.LOOPING_LINK, text
            if target.startswith("/"):
                return FileState.ESCAPING_LINK, text
            pending.extend(name for name in reversed(target.split("/")) if name not in {"", "."})
        arrived = "/".join(here)
        return (FileState.PRESENT, arrived) if arrived in self.files else (FileState.SPECIAL, text)

    def _leads_on(self, position: str, pending: Sequence[str]) -> bool:
        return position in self.folders or (not pending and position in self.files)


def tree_links(rows: Mapping[str, TreeRow], targets: Mapping[str, str]) -> TreeLinks:
    """The links of a tree with the texts read from their blobs."""
    folders: set[str] = set()
    for path in rows:
        components = path.split("/")
        folders.update("/".join(components[:depth]) for depth in range(1, len(components)))
    return TreeLinks(
        targets=targets,
        files=frozenset(path for path in rows if path not in targets),
        folders=frozenset(folders),
    )
