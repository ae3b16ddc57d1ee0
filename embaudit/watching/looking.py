"""One repository that somebody has, held against what is upstream now.

Knows in which order things are asked, so that what did not move costs one request and no header of weights
is read where nothing changed that a loader might read. What of a change matters is known to
`embaudit.rules.mattering`, which judges audits, too.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import attrs

from embaudit.diffing.lineage import Relation
from embaudit.diffing.snapshots import diff_related
from embaudit.errors import EmbauditError, UnknownCommitError
from embaudit.loaders import LoaderRequest, ask_loader, parse_loader
from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import LoadChange
from embaudit.model.files import FileKind, History, Lineage, Snapshot, kind_of
from embaudit.model.limits import Limits
from embaudit.model.outdated import LoaderMove, ModelState, Movement
from embaudit.model.tensor_map import Depth
from embaudit.model.words import plural, short
from embaudit.reading import read_repository
from embaudit.rules.evidence import listed, some
from embaudit.rules.mattering import changed_settings, changed_weights, what_becomes
from embaudit.sources.interrupts import interrupting_reads
from embaudit.watching.upstreams import Upstreams
from embaudit.watching.watched import Watched

MAX_COMMITS = 20
"""Commits that are told one by one, the newest of them; their number is told whole."""

_READ_BY_NOBODY = {FileKind.DOCS, FileKind.TRAINING}
"""What no loader reads: a change of nothing else is told without asking them."""


def look(watched: Watched, upstreams: Upstreams, limits: Limits) -> ModelState:
    """What became upstream of something that somebody has; what cannot be known is `unknown`."""
    state = ModelState(
        origin=watched.origin,
        repo_id=watched.repo_id,
        needed_by=watched.needed_by,
        branch=watched.branch,
        commit=watched.commit,
        movement=Movement.UNKNOWN,
    )
    if watched.problem or watched.repo_id is None or watched.commit is None:
        return attrs.evolve(state, reasons=(watched.problem,))
    try:
        requests = tuple(parse_loader(loader) for loader in watched.loaders)
        upstream = upstreams.tip(watched.repo_id, watched.branch)
    except EmbauditError as error:
        return attrs.evolve(state, reasons=(str(error),))
    state = attrs.evolve(state, upstream=upstream.commit)
    if upstream.hub is not None and upstream.hub.disabled:
        return _told(
            state, Movement.MATTERS, "the hub has disabled the repository: nobody can have its files"
        )
    if upstream.commit == watched.commit:
        return _told(state, Movement.CURRENT, *_renamed(upstream))
    return _moved(_Move(watched.commit, upstream, requests, upstreams, limits), state, watched.is_pinned)


def _told(state: ModelState, movement: Movement, *reasons: str) -> ModelState:
    return attrs.evolve(state, movement=movement, reasons=reasons)


def _renamed(upstream: Snapshot) -> tuple[str, ...]:
    hub = upstream.hub
    return (f"the repository is called {hub.repo_id} now",) if hub is not None and hub.redirected else ()


@attrs.frozen
class _Move:
    """A repository that moved.

    Attributes:
        commit: The commit that somebody has.
        upstream: What is there now.
        requests: The loaders that are asked about.
        upstreams: How the older commit is opened.
        limits: What bounds the reading.
    """

    commit: str
    upstream: Snapshot
    requests: tuple[LoaderRequest, ...]
    upstreams: Upstreams
    limits: Limits

    def lineage(self) -> Lineage | None:
        """The commits between the two; None if the upstream does not know any history."""
        history: object = self.upstream.reader
        if not isinstance(history, History) or self.upstream.commit is None:
            return None
        with interrupting_reads(history):
            return history.lineage(self.commit, self.upstream.commit)


def _moved(move: _Move, state: ModelState, is_pinned: bool) -> ModelState:
    lineage: Lineage | None = None
    try:
        lineage = move.lineage()
    except UnknownCommitError as error:
        if error.commit != move.commit:
            return _told(state, Movement.UNKNOWN, f"the branch moved while it was read: {error}")
        state = attrs.evolve(state, no_count=str(error))
        gone = f"the hub does not have commit {short(move.commit)} any more: who pins it cannot have it"
        return _told(state, Movement.MATTERS, gone)
    except EmbauditError as error:
        state = attrs.evolve(state, no_count=f"the history could not be read: {error}")
    if lineage is not None:
        state = _counted(state, lineage)
        if is_pinned and not lineage.ahead:
            behind = f"{state.branch} is {plural(len(lineage.behind), 'commit')} behind what is pinned"
            return _told(state, Movement.CURRENT, behind, *_renamed(move.upstream))
    try:
        return _changed(move, state, lineage)
    except EmbauditError as error:
        return _told(state, Movement.UNKNOWN, f"what changed could not be read: {error}")


def _counted(state: ModelState, lineage: Lineage) -> ModelState:
    return attrs.evolve(
        state,
        n_commits=len(lineage.ahead),
        n_lost=len(lineage.behind),
        commits=lineage.ahead[-MAX_COMMITS:],
    )


def _changed(move: _Move, state: ModelState, lineage: Lineage | None) -> ModelState:
    """What changed between the two commits, and what of it matters.

    Raises:
        EmbauditError: If that cannot be read.
    """
    with ExitStack() as reading:
        reading.enter_context(interrupting_reads(move.upstream.reader))
        old = move.upstreams.before(move.upstream, move.commit)
        reading.enter_context(interrupting_reads(old.reader))
        diff = diff_related(
            old,
            move.upstream,
            Relation(lineage=lineage),
            depth=Depth.HEADERS,
            limits=move.limits,
            progress=None,
        )
        touched = _touched(diff)
        is_read = any(kind not in _READ_BY_NOBODY for _, kind in touched)
        changes = _load_changes(diff, move) if is_read else ()
    return _judged(_listed(state, touched), diff, changes, move)


def _listed(state: ModelState, touched: Sequence[tuple[str, FileKind]]) -> ModelState:
    """The state with the files that changed, by kind."""
    by_kind: dict[str, list[str]] = {}
    for path, kind in touched:
        by_kind.setdefault(str(kind), []).append(path)
    changed = {kind: listed(by_kind[kind]) for kind in sorted(by_kind)}
    return attrs.evolve(state, changed=changed, n_changed=len(touched))


def _touched(diff: SnapshotDiff) -> list[tuple[str, FileKind]]:
    """Every file that changed, or may have, with its kind, by path."""
    every = [(entry.path, entry.kind) for entry in (*diff.added, *diff.removed)]
    every += [(each.path, each.kind) for each in diff.modified]
    # Both paths: weights under the name of a card are no weights any more.
    every += [(path, kind_of(path)) for each in diff.renamed for path in (each.old_path, each.new_path)]
    every += [(path, diff.new.files[path].kind) for path in diff.uncompared]
    return sorted(every)


def _load_changes(diff: SnapshotDiff, move: _Move) -> tuple[LoadChange, ...]:
    if not move.requests:
        return ()
    before, after = (read_repository(side, move.limits) for side in (diff.old, diff.new))
    return tuple(
        LoadChange(before=ask_loader(before, request), after=ask_loader(after, request))
        for request in move.requests
    )


def _judged(state: ModelState, diff: SnapshotDiff, changes: Sequence[LoadChange], move: _Move) -> ModelState:
    settings, weights = changed_settings(diff), changed_weights(diff)
    of_settings = (f"settings, tokenizer or code changed in {some(settings)}",) if settings else ()
    of_weights = (f"weights changed in {some(weights)}",) if weights and not changes else ()
    becomes = [tuple(what_becomes(change, weights)) for change in changes]
    moves = tuple(
        LoaderMove(
            loader=change.after.asked,
            before=change.before.outcome,
            after=change.after.outcome,
            why=(*why, *of_settings),
        )
        for change, why in zip(changes, becomes, strict=True)
    )
    moves = moves or tuple(LoaderMove(loader=request.text) for request in move.requests)
    state = attrs.evolve(state, loaders=moves)
    reasons = tuple(dict.fromkeys((*(why for each in becomes for why in each), *of_settings, *of_weights)))
    if reasons:
        return _told(state, Movement.MATTERS, *reasons, *_renamed(move.upstream))
    whom = f" to {', '.join(each.loader for each in moves)}" if moves else ""
    nothing = f"nothing of what changed ({plural(state.n_changed, 'file')}) matters{whom}"
    return _told(state, Movement.HARMLESS, nothing, *_renamed(move.upstream))
