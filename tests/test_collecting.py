"""Collecting: the facts about two snapshots and about the history of one, from real clones and caches."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
import pytest

import embaudit
from embaudit.collecting import MAX_DATED_FILES
from embaudit.errors import SourceError
from embaudit.model.files import CommitInfo, Lineage, Snapshot
from embaudit.model.findings import Finding, Severity
from embaudit.sources import MemorySource, open_snapshot
from embaudit.testing.repositories import (
    bert_settings,
    cache_commit,
)

REPO = "org/name"
TEI = "tei==1.5.0"


@attrs.frozen
class Clone:
    """A real clone whose commits are a day apart."""

    folder: Path

    def git(self, *arguments: str, day: int = 1) -> str:
        """Run git on a day of 2024, and give what it prints."""
        date = f"2024-01-{day:02}T00:00:00+00:00"
        people = {
            f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = {"PATH": os.environ["PATH"], "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        done = subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**people, **environment, "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, bytes], title: str, day: int = 1) -> str:
        """Commit files, and give the commit's hash."""
        for path, content in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)
        self.git("add", "-A", day=day)
        self.git("commit", "-q", "--allow-empty", "-m", title, day=day)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """An empty clone on branch `main`."""
    made = Clone(tmp_path / "clone")
    made.folder.mkdir()
    made.git("init", "-q", "-b", "main")
    return made


@attrs.frozen
class History:
    """An old commit with the flat `.bin`, and three commits later one with safetensors and a document."""

    clone: Clone
    files: Mapping[str, bytes]
    old: str
    new: str


@pytest.fixture
def history(clone: Clone, weights: Mapping[str, bytes]) -> History:
    """Four commits, a day apart."""
    files = {**bert_settings(), "pytorch_model.bin": weights["pytorch_model.bin"]}
    old = clone.commit(files, "the model", day=1)
    clone.commit({"README.md": b"a model"}, "a card", day=2)
    clone.commit({"model.safetensors": weights["model.safetensors"]}, "add safetensors", day=3)
    new = clone.commit({"README.md": b"a good model"}, "a better card", day=4)
    return History(clone=clone, files=files, old=old, new=new)


def found(report: embaudit.AuditReport, code: str) -> list[Finding]:
    """The findings of one rule."""
    return [finding for finding in report.findings if finding.code == code]


def skipped(report: embaudit.AuditReport, code: str) -> list[str]:
    """Why a rule was not asked."""
    return [each.reason for each in report.skipped if each.code == code]


def test_a_cached_commit_behind_a_clone_is_told_with_what_it_means(tmp_path: Path, history: History) -> None:
    """How many commits, which ones, and what becomes of the loader: another file, and right for wrong."""
    cached = cache_commit(tmp_path / "hub", REPO, history.old, history.files, ref="main")

    report = embaudit.audit(cached, against=f"{history.clone.folder}@main", loaders=TEI)

    (behind,) = found(report, "EMB028")
    assert behind.severity is Severity.WARNING
    assert "is 3 commits behind" in behind.message
    assert "`model.safetensors` instead of `pytorch_model.bin`" in behind.message
    assert "faithful instead of corrupt" in behind.message
    assert [each["title"] for each in behind.evidence["commits"]] == [
        "a card",
        "add safetensors",
        "a better card",
    ]
    assert report.diff is not None
    assert (report.diff.old.commit, report.diff.new.commit) == (history.old, history.new)
    assert embaudit.AuditReport.from_json(report.to_json()) == report


def test_nothing_matters_if_only_a_document_changed(history: History) -> None:
    """Commits behind that change no weight and no setting are information, with or without loaders."""
    before = history.clone.git("rev-parse", "HEAD~1")

    for loaders in ([], [TEI]):
        report = embaudit.audit(
            f"{history.clone.folder}@{before}", against=f"{history.clone.folder}@main", loaders=loaders
        )

        (behind,) = found(report, "EMB028")
        assert behind.severity is Severity.INFO
        assert "1 commit behind" in behind.message


@pytest.mark.parametrize("target_is_old", [True, False], ids=["the target is older", "the target is newer"])
def test_the_history_decides_which_snapshot_is_the_older_one(
    history: History, *, target_is_old: bool
) -> None:
    """Whichever is audited, the diff runs from the ancestor to the descendant, and so do the loads."""
    ends = [f"{history.clone.folder}@{commit}" for commit in (history.old, history.new)]
    target, against = ends if target_is_old else ends[::-1]

    report = embaudit.audit(target, against=against, loaders=TEI)

    assert report.diff is not None
    assert (report.diff.old.commit, report.diff.new.commit) == (history.old, history.new)
    assert (len(report.diff.commits), report.diff.lost_commits) == (3, ())
    assert len(found(report, "EMB028")) == 1
    assert found(report, "EMB025") == []


def test_what_a_branch_knows_is_not_told_twice(history: History) -> None:
    """EMB003 tells of later commits in an audit alone, EMB028 in an audit against the last of them."""
    target = f"{history.clone.folder}@{history.old}"

    alone = embaudit.audit(target)
    compared = embaudit.audit(target, against=f"{history.clone.folder}@main")

    assert [len(found(alone, code)) for code in ("EMB003", "EMB028")] == [1, 0]
    assert [len(found(compared, code)) for code in ("EMB003", "EMB028")] == [0, 1]


def test_two_branches_that_have_diverged_are_told_with_both_sides(history: History) -> None:
    """Of one branch in two clones, what the other has lost is a warning; of two branches it is none."""
    clone = history.clone
    clone.git("branch", "side", history.old)
    clone.git("checkout", "-q", "side")
    other = clone.commit({"README.md": b"another"}, "on the side", day=5)

    report = embaudit.audit(f"{clone.folder}@side", against=f"{clone.folder}@main")

    assert report.diff is not None
    assert [each.commit for each in report.diff.commits] == [other]
    assert len(report.diff.lost_commits) == 3
    assert (found(report, "EMB025"), found(report, "EMB028")) == ([], [])
    assert "lost commit" in report.render("text")


def test_a_rewritten_branch_is_told(tmp_path: Path, history: History) -> None:
    """A branch of one clone that holds another commit than that of the other clone in its place."""
    copy = Clone(tmp_path / "copy")
    history.clone.git("clone", "-q", str(history.clone.folder), str(copy.folder))
    history.clone.git("reset", "-q", "--hard", history.old)
    history.clone.commit({"README.md": b"rewritten"}, "another history", day=5)
    copy.git("fetch", "-q")

    report = embaudit.audit(f"{history.clone.folder}@main", against=f"{copy.folder}@main")

    (rewritten,) = found(report, "EMB025")
    assert rewritten.severity is Severity.WARNING
    assert len(rewritten.evidence["commits"]) == 3


def test_weights_that_came_after_their_export_are_told(history: History) -> None:
    """The commits of the files tell that the export is older than all forms of the weights."""
    tensors = history.files["pytorch_model.bin"]
    clone = history.clone
    clone.commit({"onnx/model.onnx": b"an export"}, "export", day=5)
    before = embaudit.audit(f"{clone.folder}@main")
    clone.commit({"pytorch_model.bin": tensors + b" ", "model.safetensors": b"x"}, "train again", day=6)
    after = embaudit.audit(f"{clone.folder}@main")

    assert [one.where.path for one in found(before, "EMB026")] == ["pytorch_model.bin"]
    assert [(one.severity, one.where.path) for one in found(after, "EMB026")] == [
        (Severity.WARNING, "onnx/model.onnx")
    ]


def test_a_conversion_whose_values_were_compared_is_not_told(history: History) -> None:
    """At depth full the two files are proven to hold the same values, so their dates do not matter."""
    target = f"{history.clone.folder}@main"

    assert len(found(embaudit.audit(target), "EMB026")) == 1
    assert found(embaudit.audit(target, depth="full"), "EMB026") == []


def test_why_the_history_of_the_files_was_not_asked_is_told(tmp_path: Path, history: History) -> None:
    """One form of weights needs no dates, and a cache has none."""
    both = cache_commit(tmp_path, REPO, "1" * 40, {**history.files, "model.safetensors": b""})

    alone = embaudit.audit(f"{history.clone.folder}@{history.old}")
    cached = embaudit.audit(both)

    assert skipped(alone, "EMB026") == ["the snapshot holds its weights in one form"]
    assert skipped(cached, "EMB026") == ["a cache does not know the history of its files"]


class BrokenHistory(MemorySource):
    """Files in memory whose history cannot be read."""

    def at(self, commit: str) -> Snapshot:
        """No other commit can be opened."""
        raise SourceError(f"no commit {commit}")

    def lineage(self, old: str, new: str) -> Lineage:
        """The history of these two is not there."""
        raise SourceError(f"{old} to {new}: no history")

    def last_commits(self, paths: Iterable[str]) -> Mapping[str, CommitInfo]:
        """The history of these files is not there."""
        raise SourceError(f"no history of {len(tuple(paths))} files")


@pytest.mark.parametrize(
    ("n_exports", "reason"),
    [
        (1, "the history of the files is not known: no history of 2 files"),
        (MAX_DATED_FILES, f"the weights are in {MAX_DATED_FILES + 1} files, too many to ask about"),
    ],
    ids=["a broken history", "too many files"],
)
def test_a_history_that_does_not_answer_stops_nothing(n_exports: int, reason: str) -> None:
    """The rule says why it was not asked, and the audit goes on."""
    exports = {f"onnx/{number}.onnx": b"" for number in range(n_exports)}

    report = embaudit.audit(BrokenHistory({"model.safetensors": b"", **exports}).snapshot())

    assert skipped(report, "EMB026") == [reason]


def test_a_cache_tells_when_a_snapshot_was_written(tmp_path: Path, history: History) -> None:
    """The time is that of the snapshot's folder, which a download writes to."""
    folder = cache_commit(tmp_path, REPO, history.old, history.files)
    os.utime(folder, (1_700_000_000, 1_700_000_000))

    cache = open_snapshot(folder).cache

    assert cache is not None
    assert cache.written == "2023-11-14T22:13:20+00:00"


def test_reports_bound_the_commits_that_they_show(history: History) -> None:
    """Of more commits than a table has rows the text shows the newest, and counts the others."""
    for number in range(60):
        history.clone.git("commit", "-q", "--allow-empty", "-m", f"number {number} \x1b[2J")

    report = embaudit.audit(f"{history.clone.folder}@{history.old}", against=f"{history.clone.folder}@main")

    text = report.render("text")
    assert "23 older commits" in text
    assert "number 59" in text
    assert "number 5 " not in text
    assert "\x1b" not in text + report.render("html")
