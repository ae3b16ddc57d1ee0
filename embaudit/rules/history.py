"""EMB024 to EMB026: what commits say: another repository under a name, rewritten history, stale pairs.

What a missing commit proves depends on who misses it. A cache holds what the hub once gave; a clone may hold
commits that were never pushed, and may lack those that were pushed since.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

import attrs

from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import LastCommits
from embaudit.model.files import CommitInfo, Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON
from embaudit.model.moments import moment
from embaudit.model.refs import is_commit
from embaudit.model.weight_forms import Export, Form, weight_forms
from embaudit.model.words import plural, short
from embaudit.rules.evidence import MAX_LISTED
from embaudit.rules.registry import rule

_HUB, _CLONE = "hub", "git"

_DEFAULT_BRANCH = "main"
"""What a target without a revision means on the hub and in the cache."""


@rule("EMB024", Severity.ERROR)
def another_repository_under_the_name(diff: SnapshotDiff) -> Iterator[Observation]:
    """The name stands for another repository than before.

    The hub gives every repository a key that stays when it is renamed. Two keys under one name, or a cached
    commit that the hub does not know and that was downloaded before the hub's repository was made: the old
    repository was deleted, and somebody has taken its name. Nothing about the old one holds for the new.
    """
    proof = _other_repository(diff)
    if proof:
        names = ", ".join(f"`{name}`" for name in sorted(diff.old.names & diff.new.names)) or "the name"
        yield Observation(
            message=f"Another repository has taken {names}: it is not the one that was there before.",
            where=Where(field="repo_id"),
            evidence=proof,
            remedy="Do not load it before you know whose it is; keep the copy of the old one that you have.",
        )


def _other_repository(diff: SnapshotDiff) -> dict[str, JSON]:
    """What proves that the two snapshots are of different repositories with one name; empty if nothing."""
    old, new = diff.old, diff.new
    if old.hub is not None and new.hub is not None and old.hub.key and new.hub.key:
        taken = old.hub.key != new.hub.key and not old.names.isdisjoint(new.names)
        return {"old_key": old.hub.key, "new_key": new.hub.key} if taken else {}
    stranger, teller = _stranger(diff)
    if stranger is None or stranger.cache is None or teller.hub is None:
        return {}
    written, made = moment(stranger.cache.written), moment(teller.hub.created)
    if written is None or made is None or made <= written:
        return {}
    return {
        "unknown_commit": diff.unknown_commit,
        "downloaded": stranger.cache.written,
        "repository_made": teller.hub.created,
    }


def _stranger(diff: SnapshotDiff) -> tuple[Snapshot | None, Snapshot]:
    """The snapshot whose commit is not known to the history of the other one, and that other one."""
    if diff.unknown_commit is None:
        return None, diff.new
    return (diff.old, diff.new) if diff.unknown_commit == diff.old.commit else (diff.new, diff.old)


@rule("EMB025", Severity.ERROR)
def commit_vanished(diff: SnapshotDiff) -> Iterator[Observation]:
    """A commit is not in the history that it should be in.

    An error where the hub does not know a commit that was downloaded from it: the history was rewritten, or
    the repository was deleted and made anew. A warning where a branch of the hub has left commits behind
    that it had, where two histories of one branch have diverged, and where the hub does not know a commit of
    a clone: it was never pushed, or was taken away since. Information where it is a clone that does not know
    a commit: it may only need a fetch. What proves that it is another repository is EMB024.
    """
    if _other_repository(diff):
        return
    if diff.unknown_commit is not None:
        yield _unknown(diff, diff.unknown_commit)
        return
    held, lacking, gone = _gone(diff)
    if gone:
        holder = _place(held) if held.source != lacking.source else "the other snapshot"
        has_clone = _CLONE in {held.source, lacking.source}
        or_not_pushed = ", or a clone has commits that were never pushed" if has_clone else ""
        yield Observation(
            message=(
                f"The history of {_place(lacking)} lacks {plural(len(gone), 'commit')} that {holder} has on"
                f" the same branch: it was rewritten{or_not_pushed}."
            ),
            where=Where(field="commit"),
            evidence={
                "commits": commit_list(gone),
                "old_commit": diff.old.commit,
                "new_commit": diff.new.commit,
            },
            remedy="Find out why the branch was rewritten; pin a commit, and keep a copy of what you use.",
            severity=Severity.WARNING,
        )


def _unknown(diff: SnapshotDiff, commit: str) -> Observation:
    stranger, teller = _stranger(diff)
    source = "" if stranger is None else stranger.source
    if teller.source != _HUB:
        severity, what = Severity.INFO, "it may only need a fetch, or the history was rewritten"
        remedy = "Fetch, and ask again."
    elif source == _CLONE:
        severity, what = Severity.WARNING, "it was never pushed, or was taken away since"
        remedy = "Push it, or find out why the history was rewritten."
    else:
        severity, what = Severity.ERROR, "the history was rewritten, or the repository was made anew"
        remedy = "Find out what happened to it; keep your copy until you know."
    return Observation(
        message=f"Commit {short(commit)} of {_place(stranger)} is not known to {_place(teller)}: {what}.",
        where=Where(field="commit"),
        evidence={"unknown_commit": commit, "held_by": source, "unknown_to": teller.source},
        remedy=remedy,
        severity=severity,
    )


_PLACES = {_HUB: "the hub", _CLONE: "the clone", "cache": "the cache", "folder": "the folder"}


def _place(snapshot: Snapshot | None) -> str:
    return _PLACES.get("" if snapshot is None else snapshot.source, "the other snapshot")


def _gone(diff: SnapshotDiff) -> tuple[Snapshot, Snapshot, tuple[CommitInfo, ...]]:
    """A snapshot, the other one, and the commits that the other one's history has lost on the same branch."""
    old, new = diff.old, diff.new
    # The hub's branch is where downloads came from, so that it is the hub that lacks commits.
    at_hub = old.source == _HUB and new.source != _HUB
    held, lacking, gone = (new, old, diff.commits) if at_hub else (old, new, diff.lost_commits)
    diverged = bool(diff.commits) and bool(diff.lost_commits)
    went_back = at_hub and new.source != _CLONE
    if branches(old).isdisjoint(branches(new)) or not (diverged or went_back):
        return held, lacking, ()
    return held, lacking, gone


def branches(snapshot: Snapshot) -> frozenset[str]:
    """The branches and tags that a snapshot's commit is known to have been at the tip of."""
    at_tip = {name for name, commit in snapshot.refs.items() if commit == snapshot.commit}
    asked = snapshot.revision or _DEFAULT_BRANCH
    return frozenset(at_tip if is_commit(asked) else {*at_tip, asked})


def commit_list(commits: Iterable[CommitInfo]) -> tuple[JSON, ...]:
    """Commits as evidence, the newest `MAX_LISTED` of them, oldest first."""
    return tuple(
        {"commit": each.commit, "title": each.title, "date": each.date}
        for each in tuple(commits)[-MAX_LISTED:]
    )


@attrs.frozen(kw_only=True)
class _Dated:
    """A form of a model, and the last commit that touched it."""

    name: str
    commit: CommitInfo
    date: datetime


@rule("EMB026", Severity.WARNING)
def weights_are_newer_than_their_export(snapshot: Snapshot, last: LastCommits) -> Iterator[Observation]:
    """Weights were committed after the file that was made from them.

    An ONNX, OpenVINO or GGUF export, or a safetensors conversion, that is older than the weights beside it
    may be one of older weights: services that load the export then embed with another model than those that
    load the weights. Judged by the commit that last changed each file, so for the hub and for clones only. An
    export counts as stale if all forms of the weights came after it, since one that came later may be a mere
    conversion; and a safetensors file that came after the `.bin` is information, since that is how
    conversions come. Not told where all values of the two were compared and are identical (depth full).
    """
    forms = weight_forms(snapshot.files)
    for other, preferred in forms.pairs:
        if not {(other.name, preferred.name), (preferred.name, other.name)} & {*last.same_values}:
            yield from _stale_pair(_dated(other, last), _dated(preferred, last))
    for export in forms.exports:
        yield from _stale_export(export, last)


def _dated(form: Form, last: LastCommits) -> _Dated | None:
    """The form with the last of its commits; None if one of them is not known."""
    commits = [last.commits.get(path) for path in form.files]
    dated = [(moment(commit.date), commit) for commit in commits if commit is not None]
    known = [(date, commit) for date, commit in dated if date is not None]
    if not known or len(known) < len(form.files):
        return None
    date, commit = max(known, key=lambda each: each[0])
    return _Dated(name=form.name, commit=commit, date=date)


def _stale_pair(other: _Dated | None, preferred: _Dated | None) -> Iterator[Observation]:
    if other is None or preferred is None or not _apart(other, preferred):
        return
    older, newer = sorted((other, preferred), key=lambda each: each.date)
    if newer is other:
        why = "loaders that prefer the older file embed with older weights, if the newer one is no mere copy"
        severity = Severity.WARNING
    else:
        why = "a conversion of it, or other weights; the commits do not tell"
        severity = Severity.INFO
    yield _stale(older, newer, why, severity)


def _stale_export(export: Export, last: LastCommits) -> Iterator[Observation]:
    made = _dated(Form(name=export.path, files=(export.path,)), last)
    sources = [_dated(form, last) for form in export.sources]
    known = [each for each in sources if each is not None]
    if made is None or not known or len(known) < len(sources):
        return
    first = min(known, key=lambda each: each.date)
    if first.date > made.date and _apart(first, made):
        yield _stale(made, first, "it is an export of older weights, if the weights themselves changed", None)


def _apart(left: _Dated, right: _Dated) -> bool:
    return left.commit.commit != right.commit.commit and left.date != right.date


def _stale(older: _Dated, newer: _Dated, why: str, severity: Severity | None) -> Observation:
    return Observation(
        message=(
            f"`{newer.name}` was committed {_later(newer.date, older.date)} after `{older.name}`: {why}."
        ),
        where=Where(path=older.name),
        evidence={
            each.name: {"commit": each.commit.commit, "title": each.commit.title, "date": each.commit.date}
            for each in (older, newer)
        },
        remedy="Compare the two (depth full for torch and safetensors), or make the older one again.",
        severity=severity,
    )


def _later(newer: datetime, older: datetime) -> str:
    days = (newer - older).days
    return plural(days, "day") if days else "less than a day"
