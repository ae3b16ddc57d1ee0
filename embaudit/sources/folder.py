"""A plain folder, as it is: what lies in it now, with no history and no digests.

Links that stay inside the folder are followed, others never. `.git` and `.cache/huggingface` at the top are
the bookkeeping of tools, not files of the repository, and are left out.

Files downloaded with `hf download --local-dir` (or `local_dir=`) leave a note each of their commit and digest
(`embaudit.sources.notes`). A note holds only while the file is not newer than it, by more than the second
that huggingface_hub itself allows. A note that holds gives its file
the digest that the hub knows it by. The folder is taken for a commit only if *every* file in it has a note
that holds and all of them name the same commit: one file put beside the downloaded ones, edited, or left over
from another commit, and the folder no longer is that commit. Files of the commit that were not downloaded do
not matter here.
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs

from embaudit.model.files import FileEntry, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.sources.base import ListedSource
from embaudit.sources.links import Boundary
from embaudit.sources.local import LocalFile, LocalFiles
from embaudit.sources.notes import Note, place_of_note, read_note
from embaudit.sources.walk import describe, walk

_LEFT_OUT = frozenset({".git", ".cache/huggingface"})
_CLOCK_SLACK = 1.0
"""Seconds that a file may be newer than its note (huggingface_hub 2.4.0, `read_download_metadata`)."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class FolderSource(ListedSource):
    """A folder on this disk.

    Args:
        folder: Its path; a link here is followed, since the user named it.
        limits: `files` and `folder_depth` bound the listing.
        recursive: Whether folders inside are listed, too.
        following: Single files outside the folder that its links may lead to.

    Raises:
        SourceError: If the folder cannot be listed.
        LimitError: If it holds more than the limits allow.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        limits: Limits = DEFAULT_LIMITS,
        recursive: bool = True,
        following: Iterable[Path] = (),
    ) -> None:
        root = Path(os.path.realpath(folder))
        boundary = Boundary(Path(folder), *following)
        found = walk(root, boundary, limits, recursive=recursive, leave_out=_LEFT_OUT)
        described = sorted((describe(one) for one in found), key=lambda pair: pair[0].path)
        local = {entry.path: file for entry, file in described if file is not None}
        entries, commit = _with_notes(root, boundary, {entry.path: entry for entry, _ in described}, local)
        super().__init__(Snapshot(source="folder", commit=commit, files=entries))
        self._local = LocalFiles(local)

    def _fill(self, path: str, start: int, buffer: memoryview) -> None:
        self._local.fill(path, start, buffer)


def _with_notes(
    root: Path, boundary: Boundary, entries: Mapping[str, FileEntry], local: Mapping[str, LocalFile]
) -> tuple[dict[str, FileEntry], str | None]:
    """The entries with the digests that notes give them, and the commit if the notes agree on one."""
    commits: set[str | None] = set()
    described: dict[str, FileEntry] = {}
    for path, entry in entries.items():
        note = _note_of(root, boundary, path, local.get(path))
        commits.add(None if note is None else note.commit)
        described[path] = entry if note is None else _with_digest(entry, note.etag)
    return described, commits.pop() if len(commits) == 1 else None


def _with_digest(entry: FileEntry, etag: str) -> FileEntry:
    if _SHA256.fullmatch(etag):
        return attrs.evolve(entry, sha256=etag)
    if _COMMIT.fullmatch(etag):
        return attrs.evolve(entry, git_sha1=etag)
    return entry


def _note_of(root: Path, boundary: Boundary, path: str, file: LocalFile | None) -> Note | None:
    """The note on a file, if there is one and it still holds."""
    if file is None:
        return None
    leads_to = boundary.resolve(root, place_of_note(path))
    if leads_to.status is None or not stat.S_ISREG(leads_to.status.st_mode):
        return None
    try:
        note = read_note(leads_to.location)
    except OSError:
        return None
    holds = note is not None and file.modified / 1e9 - _CLOCK_SLACK <= note.time
    return note if holds else None
