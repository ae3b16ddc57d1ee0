"""The commits of a repository on the hub: how two lie to one another, and which one last changed a file.

Answers as huggingface_hub 2.4.0 reads them (`hf_api.py`: `list_repo_commits`, `get_paths_info`,
`list_repo_refs`). A history is a list, newest first, as the hub gives it; of merges it tells no more.
"""

from collections.abc import Iterable, Iterator, Mapping

from embaudit.errors import EmbauditError, LimitError, SourceError, UnknownCommitError
from embaudit.model.files import CommitInfo, Lineage
from embaudit.model.refs import is_commit
from embaudit.sources.base import shown
from embaudit.sources.hub.api import HubApi, NoRevisionError, as_source_error
from embaudit.sources.hub.documents import Field

TITLE_CHARACTERS = 200
"""Characters of a commit's title that are kept; the hub shows fewer."""


def read_lineage(api: HubApi, old: str, new: str) -> Lineage:
    """How two commits, both 40 hex digits, lie to one another.

    The commits that the hub lists before `old` in the history of `new` are taken to come after it. If `old`
    is not in that history its own is listed too, down to the first commit that both have.

    Raises:
        UnknownCommitError: If the repository has no such commit (any more).
        SourceError: If the history cannot be read.
        LimitError: If one history is longer than `limits.commits` before it comes to the other commit.
    """
    for commit in (old, new):
        if not is_commit(commit):
            raise SourceError(f"'{shown(commit)}' is not a full commit hash")
    if old == new:
        return Lineage()
    newer = _listed_until(api, new, {old})
    if old in newer:
        del newer[old]
        return Lineage(ahead=_oldest_first(newer))
    older = _listed_until(api, old, newer)
    shared = next((commit for commit in reversed(older) if commit in newer), None)
    order = list(newer)
    n_ahead = len(order) if shared is None else order.index(shared)
    older.pop(shared or "", None)
    return Lineage(
        ahead=_oldest_first({commit: newer[commit] for commit in order[:n_ahead]}),
        behind=_oldest_first(older),
    )


def _oldest_first(commits: Mapping[str, CommitInfo]) -> tuple[CommitInfo, ...]:
    return tuple(commits.values())[::-1]


def _listed_until(api: HubApi, commit: str, ends: Iterable[str]) -> dict[str, CommitInfo]:
    """The history of a commit, newest first, to its beginning or to one of `ends`, which is listed last."""
    what = f"the commits of {api.addresses.repo_id} before {commit}"
    ends = frozenset(ends)
    listed: dict[str, CommitInfo] = {}
    for item in _history(api, commit, what):
        info = _commit(item)
        if info.commit in listed or (not listed and info.commit != commit):
            raise item["id"].wrong("the next commit of the history")
        if len(listed) >= api.limits.commits:
            raise LimitError(f"more than {api.limits.commits} commits", what, "commits")
        listed[info.commit] = info
        if info.commit in ends:
            break
    return listed


def _history(api: HubApi, commit: str, what: str) -> Iterator[Field]:
    try:
        for page in api.pages(api.addresses.commits(commit), what):
            yield from page
    except NoRevisionError:
        problem = f"{api.addresses.repo_id} has no commit {commit} (any more)"
        raise UnknownCommitError(problem, commit) from None
    except EmbauditError as error:
        raise as_source_error(error) from None


def _commit(item: Field) -> CommitInfo:
    return CommitInfo(
        commit=item["id"].sha1(),
        title="" if item["title"].is_absent else item["title"].line(TITLE_CHARACTERS),
        date=item["date"].date(),
    )


def read_last_commits(api: HubApi, commit: str, paths: Iterable[str]) -> dict[str, CommitInfo]:
    """The commit that last changed each path, as of a commit; what the hub does not tell is left out.

    Raises:
        SourceError: If the history cannot be read.
        LimitError: If it takes more than a limit allows.
    """
    asked = sorted(set(paths))
    if not asked:
        return {}
    what = f"the last commits of {len(asked)} files of {api.addresses.repo_id}"
    fields = [*(("paths", path) for path in asked), ("expand", "true")]
    try:
        answer = api.post_form(api.addresses.paths_info(commit), what, fields)
        items = list(api.sound(answer, what))
    except EmbauditError as error:
        raise as_source_error(error) from None
    told = {item["path"].path(): item["lastCommit"] for item in items}
    return {path: _commit(told[path]) for path in asked if path in told and not told[path].is_absent}


def read_ref_names(api: HubApi) -> tuple[str, ...]:
    """The names that commits of the repository have: branches and tags first, then pull requests.

    Raises:
        EmbauditError: If they cannot be had.
    """
    what = f"the branches and tags of {api.addresses.repo_id}"
    document = api.document(api.addresses.refs(), what)
    kinds = (("branches", "name"), ("tags", "name"), ("converts", "ref"), ("pullRequests", "ref"))
    listed = [item[name].word() for kind, name in kinds for item in _items(document[kind])]
    return tuple(dict.fromkeys(listed))


def _items(field: Field) -> Iterable[Field]:
    return () if field.is_absent else field
