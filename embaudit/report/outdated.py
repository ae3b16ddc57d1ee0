"""What moved upstream, as text for a terminal or a mail, as JSON, and as Markdown for an issue or a comment.

The worst stands first. No name of a repository, and no title of a commit, can move a cursor or be markup.
"""

from collections.abc import Iterator

from embaudit.model.files import CommitInfo
from embaudit.model.outdated import LoaderMove, ModelState, Movement, Outdated
from embaudit.model.words import plural, short
from embaudit.report.codec import render_json
from embaudit.report.columns import left_out, table, wrapped
from embaudit.report.spans import as_code, as_row, as_words
from embaudit.report.wording import plain, size

OUTDATED_FORMATS = ("text", "json", "markdown")
"""What `render_outdated` can write."""

MAX_DETAILED = 40
"""Models that the Markdown form tells of: at a kilobyte or so each they fit into one comment."""

MAX_TITLE = 100
"""Characters of a commit's title."""

_COLUMNS = ("verdict", "model", "from", "branch", "had", "upstream", "commits")
_WORDS = {
    Movement.MATTERS: "moved in a way that matters",
    Movement.UNKNOWN: "could not be told",
    Movement.HARMLESS: "moved harmlessly",
    Movement.CURRENT: "did not move",
}


def render_outdated(outdated: Outdated, form: str = "text") -> str:
    """Everything that was found, in one of `OUTDATED_FORMATS`; the forms for people tell the worst first."""
    if form == "json":
        return f"{render_json(outdated)}\n"
    lines = _markdown(outdated) if form == "markdown" else _text(outdated)
    return "\n".join(lines) + "\n"


def _text(outdated: Outdated) -> Iterator[str]:
    yield _summary(outdated)
    if outdated.models:
        yield ""
        yield from table(_COLUMNS, [tuple(map(plain, _row(each))) for each in outdated.models])
    for each in outdated.models:
        if each.reasons:
            yield ""
            yield f"{plain(_name(each))}: {each.movement}"
            yield from _details(each)
    yield ""
    yield f"{plural(outdated.cost.requests, 'request')}, {size(outdated.cost.bytes_read)}"


def _details(state: ModelState) -> Iterator[str]:
    for reason in state.reasons:
        yield from wrapped(reason, 2)
    for each in state.loaders:
        yield f"  {plain(each.loader)}: {_outcomes(each)}"
    for kind, paths in state.changed.items():
        yield from wrapped(f"{kind}: {', '.join(paths)}", 2)
    if state.no_count:
        yield from wrapped(f"commits: {state.no_count}", 2)
    for commit in state.commits:
        yield f"  {plain(_commit(commit))}"
    yield from (f"  {line}" for line in left_out(state.n_commits or 0, len(state.commits)))


def _summary(outdated: Outdated) -> str:
    """How many models there are of each verdict, the worst first."""
    counts = [(len(outdated.of(movement)), words) for movement, words in _WORDS.items()]
    told = ", ".join(f"{number:,} {words}" for number, words in counts if number)
    return f"{plural(len(outdated.models), 'model')}: {told or 'nothing to look up'}"


def _name(state: ModelState) -> str:
    needed = f", code for {state.needed_by}" if state.needed_by else ""
    return f"{state.repo_id or 'an unknown model'} ({state.origin}{needed})"


def _row(state: ModelState) -> tuple[str, ...]:
    """The cells of a model under `_COLUMNS`."""
    lost = f", {state.n_lost:,} lost" if state.n_lost else ""
    counted = "?" if state.n_commits is None else f"{state.n_commits:,}{lost}"
    return (
        str(state.movement),
        state.repo_id or "?",
        f"{state.origin}, code" if state.needed_by else state.origin,
        state.branch,
        "?" if state.commit is None else short(state.commit),
        "?" if state.upstream is None else short(state.upstream),
        "0" if state.upstream is not None and state.upstream == state.commit else counted,
    )


def _outcomes(move: LoaderMove) -> str:
    """What a loader made of the one and makes of the other."""
    if move.before is None or move.after is None:
        return "nothing that it reads changed"
    same = move.before is move.after
    told = f"{move.after} before and after" if same else f"{move.before} before, {move.after} now"
    return f"{told}; it matters" if move.matters else f"{told}; it does not matter"


def _commit(commit: CommitInfo) -> str:
    return f"{short(commit.commit)} {commit.date[:10]} {commit.title[:MAX_TITLE]}".rstrip()


def _markdown(outdated: Outdated) -> Iterator[str]:
    shown = outdated.models[:MAX_DETAILED]
    yield f"## embaudit: {_summary(outdated)}"
    if shown:
        yield ""
        yield as_row((*_COLUMNS, "why"))
        yield as_row("---" for _ in (*_COLUMNS, "why"))
    for each in shown:
        movement, *cells = _row(each)
        verdict = f"**{movement}**" if each.movement in {Movement.MATTERS, Movement.UNKNOWN} else movement
        yield as_row((verdict, *map(as_code, cells), as_words("; ".join(each.reasons))))
    rest = left_out(len(outdated.models), len(shown))
    yield from ("", f"{rest[0]}; the JSON form has all.") if rest else ()
