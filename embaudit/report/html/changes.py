"""What changed between two snapshots as HTML: commits, files, settings, tensors."""

from collections.abc import Sequence

from embaudit.model.diff import FieldChange, SnapshotDiff
from embaudit.model.files import CommitInfo
from embaudit.model.words import short
from embaudit.report.html.parts import Bounds, Column, bullets, code, paragraph, prose, table, text
from embaudit.report.html.weights import maps_part
from embaudit.report.wording import as_json


def diff_part(diff: SnapshotDiff, bounds: Bounds) -> str:
    """The inside of a section on what changed."""
    unknown = "" if diff.unknown_commit is None else code(short(diff.unknown_commit))
    nothing = "" if diff.differs else "Nothing is known to differ."
    known = diff.old.commit is not None or diff.new.commit is not None
    between = f"From {code(short(diff.old.commit))} to {code(short(diff.new.commit))}." if known else ""
    return "".join(
        (
            paragraph(f"{between} {nothing}".strip()),
            _commits("commit", diff.commits, bounds),
            _commits("lost commit", diff.lost_commits, bounds),
            paragraph(
                f"commit {unknown} is not known to the history of the other snapshot" if unknown else ""
            ),
            _files(diff, bounds),
            _fields(diff.field_changes, bounds),
            maps_part(diff.tensors, bounds),
            bullets(map(prose, diff.notes), len(diff.notes), bounds),
        )
    )


def _commits(what: str, commits: Sequence[CommitInfo], bounds: Bounds) -> str:
    """The newest commits, oldest first."""
    rows = (
        (code(short(commit.commit)), text(commit.date), text(commit.title))
        for commit in commits[-bounds.rows :]
    )
    columns = (Column(what), Column("date"), Column("title", "told"))
    return table(columns, rows, f"{what}s", most=bounds.rows, total=len(commits))


def _files(diff: SnapshotDiff, bounds: Bounds) -> str:
    rows = [("added", code(entry.path), str(entry.kind)) for entry in diff.added]
    rows += [("removed", code(entry.path), str(entry.kind)) for entry in diff.removed]
    rows += [("modified", code(each.path), str(each.kind)) for each in diff.modified]
    rows += [
        ("renamed", f"{code(each.old_path)} to {code(each.new_path)}", str(each.kind))
        for each in diff.renamed
    ]
    rows += [("not compared", code(path), "") for path in diff.uncompared]
    rows += [("not at hand on both sides", code(path), "") for path in diff.not_at_hand]
    columns = (Column("change"), Column("file", "name"), Column("kind"))
    return table(columns, rows, "changed files", most=bounds.rows, total=len(rows))


def _fields(changes: Sequence[FieldChange], bounds: Bounds) -> str:
    columns = (
        Column("file", "name"),
        Column("setting", "name"),
        Column("old", "name"),
        Column("new", "name"),
        Column("changes embeddings"),
        Column("why", "told"),
    )
    rows = (
        (
            code(change.file),
            code(change.field),
            code(as_json(change.old)) if change.old_present else "absent",
            code(as_json(change.new)) if change.new_present else "absent",
            "<strong>it can</strong>" if change.affects_embeddings else "no",
            prose(change.why),
        )
        for change in changes
    )
    return table(columns, rows, "changed settings", most=bounds.rows, total=len(changes))
