"""What changed between two snapshots."""

import attrs

from embaudit.model.files import CommitInfo, FileEntry, FileKind, Snapshot
from embaudit.model.frozen import JSON, freeze
from embaudit.model.shown import Shown
from embaudit.model.tensor_map import TensorMap


@attrs.frozen(kw_only=True)
class FileChange:
    """A file that both snapshots hold with other contents.

    Attributes:
        path: Path in both.
        kind: What the file is for.
        old: The entry before.
        new: The entry after.
    """

    path: str
    kind: FileKind
    old: FileEntry
    new: FileEntry


@attrs.frozen(kw_only=True)
class FileRename:
    """A file that moved: the same content under another path.

    Attributes:
        old_path: Path before.
        new_path: Path after.
        kind: What the file is for, judged by the new path.
    """

    old_path: str
    new_path: str
    kind: FileKind


@attrs.frozen(kw_only=True)
class FieldChange:
    """One field of a JSON file that was added, removed or changed.

    Attributes:
        file: Path in both snapshots.
        field: Dotted path of the field; positions in arrays are numbers: `0.type`.
        old: The value before; None if `old_present` is false.
        new: The value after; None if `new_present` is false.
        old_present: Whether the field was there before.
        new_present: Whether it is there now.
        affects_embeddings: Whether a change of this field can change an embedding.
        why: One sentence that says how, or why not.
    """

    file: str
    field: str
    old: JSON = attrs.field(default=None, converter=freeze)
    new: JSON = attrs.field(default=None, converter=freeze)
    old_present: bool = True
    new_present: bool = True
    affects_embeddings: bool
    why: str


@attrs.frozen(kw_only=True)
class SnapshotDiff(Shown):
    """What changed from one snapshot to another.

    Attributes:
        old: The snapshot before.
        new: The snapshot after.
        added: Files that only `new` holds, renamed ones left out, sorted by path.
        removed: Files that only `old` holds, renamed ones left out, sorted by path.
        modified: Files whose contents differ, sorted by path.
        renamed: Files that moved with the same content.
        uncompared: Paths in both whose equality this depth could not establish (weights without a digest).
        not_at_hand: Paths that one snapshot lists and the other one, which may have been downloaded in part,
            does not: whether its commit holds them is not known.
        commits: The commits that `new` has and `old` has not, oldest first, where a source knows them.
        lost_commits: The commits that `old` has and `new` has not, oldest first: the history was rewritten,
            or the two are on different branches.
        unknown_commit: The commit of one snapshot that the history of the other does not know (any more).
        field_changes: Changes of JSON files, field by field.
        tensors: One map for each weight file that can be compared between the two.
        notes: What could not be compared, and why, one sentence each.
    """

    old: Snapshot
    new: Snapshot
    added: tuple[FileEntry, ...] = ()
    removed: tuple[FileEntry, ...] = ()
    modified: tuple[FileChange, ...] = ()
    renamed: tuple[FileRename, ...] = ()
    uncompared: tuple[str, ...] = ()
    not_at_hand: tuple[str, ...] = ()
    commits: tuple[CommitInfo, ...] = ()
    lost_commits: tuple[CommitInfo, ...] = ()
    unknown_commit: str | None = None
    field_changes: tuple[FieldChange, ...] = ()
    tensors: tuple[TensorMap, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything is known to differ; what could not be compared is in `uncompared` and `notes`."""
        return bool(self.added or self.removed or self.modified or self.renamed)
