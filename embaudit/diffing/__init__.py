"""Two snapshots to what changed between them: files, settings field by field, tensors, commits."""

from embaudit.diffing.snapshots import diff_snapshots

__all__ = ["diff_snapshots"]
