"""EMB028: how far one commit is behind another, and whether what changed between them matters to anybody.

Told from what each loader would do with both, from the settings that changed, and from the weight files: what
the commits say of themselves is shown, and proves nothing.
"""

from collections.abc import Iterator

from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import LoadChanges
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.words import plural, short
from embaudit.rules.evidence import listed, some
from embaudit.rules.history import commit_list
from embaudit.rules.mattering import changed_settings, changed_weights, what_becomes
from embaudit.rules.registry import rule

_MAX_NAMED = 3
"""Reasons that the message names; the evidence has all of them."""

_PLACES = {"hub": " on the hub", "cache": " in the cache", "git": " in the clone", "folder": " in the folder"}


@rule("EMB028", Severity.WARNING)
def commit_is_behind(diff: SnapshotDiff, loads: LoadChanges | None) -> Iterator[Observation]:
    """A commit is behind, and what changed since matters.

    A history tells that the older snapshot is an ancestor of the newer one, and the commits between. They
    matter to a loader if it would take another weight file, if what comes of its load or the type in which
    it computes is another one, or if a file that it takes changed; and they matter to all if a setting
    changed that can change an embedding, or a tokenizer or code. Where no loader is asked about, every change
    of a weight file counts. Information if nothing of what changed matters: documentation, other formats.
    """
    if not diff.commits or diff.lost_commits:
        return
    settings, weights = changed_settings(diff), changed_weights(diff)
    changes = () if loads is None else loads.changes
    by_loader = {change.after.asked: what_becomes(change, weights) for change in changes}
    reasons = [reason for each in by_loader.values() for reason in each]
    if settings:
        reasons.append(f"settings, tokenizer or code changed in {some(settings)}")
    if weights and not by_loader:
        reasons.append(f"weights changed in {some(weights)}")
    asked = tuple(by_loader)
    yield Observation(
        message=f"{_distance(diff)}, and {_verdict(diff, reasons, asked)}",
        where=Where(field="commit"),
        loader=asked[0] if len(asked) == 1 else None,
        evidence={
            "old_commit": diff.old.commit,
            "new_commit": diff.new.commit,
            "n_commits": len(diff.commits),
            "commits": commit_list(diff.commits),
            "loaders": {name: listed(each) for name, each in by_loader.items()},
            "settings": listed(settings),
            "weights": listed(weights),
        },
        remedy="Compare embeddings of the two, then move the pin or keep it on purpose." if reasons else "",
        severity=None if reasons else Severity.INFO,
    )


def _distance(diff: SnapshotDiff) -> str:
    differ = diff.old.source != diff.new.source
    old, new = (_PLACES.get(each.source, "") if differ else "" for each in (diff.old, diff.new))
    return (
        f"Commit {short(diff.old.commit)}{old} is {plural(len(diff.commits), 'commit')} behind"
        f" {short(diff.new.commit)}{new}"
    )


def _verdict(diff: SnapshotDiff, reasons: list[str], asked: tuple[str, ...]) -> str:
    if reasons:
        more = f"; and {len(reasons) - _MAX_NAMED} more" if len(reasons) > _MAX_NAMED else ""
        return f"what changed matters: {'; '.join(reasons[:_MAX_NAMED])}{more}."
    n_files = len(diff.added) + len(diff.removed) + len(diff.modified) + len(diff.renamed)
    whom = f" to {', '.join(asked)}" if asked else ""
    return f"nothing of what changed ({plural(n_files, 'file')}) matters{whom}."
