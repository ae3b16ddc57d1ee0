"""A revision of a repository on the hub: which commit it is, what the hub says of it, and its files."""

from collections.abc import Mapping

from embaudit.model.files import FileEntry
from embaudit.model.refs import is_commit
from embaudit.sources.hub.api import HubApi
from embaudit.sources.hub.listing import Information, by_path, parse_information, parse_tree_page


def read_information(api: HubApi, revision: str) -> Information:
    """What one request tells of a revision.

    Raises:
        NoRevisionError: If the repository has no such revision.
        TargetError: If the hub refuses otherwise.
        SourceError: If there is no sound answer, or if it is about another commit than the one asked for.
        LimitError: If it takes more than a limit allows.
    """
    repo_id = api.addresses.repo_id
    what = f"the listing of {repo_id}"
    answer = api.get(api.addresses.info(revision), what)
    document = api.sound(answer, what)
    information = parse_information(document, repo_id, redirected=answer.redirected)
    if is_commit(revision) and information.commit != revision:
        raise document["sha"].wrong(f"the commit asked for, {revision}")
    return information


def read_files(api: HubApi, information: Information) -> Mapping[str, FileEntry]:
    """The files of a commit, by path: those told with it, or page by page if they were too many.

    Raises:
        As `read_information` does.
    """
    what = f"the listing of {api.addresses.repo_id}"
    if information.files is not None:
        return by_path(information.files, what, api.limits)
    pages = api.pages(api.addresses.tree(information.commit), what)
    entries = (entry for page in pages for entry in parse_tree_page(page))
    return by_path((entry for entry in entries if entry is not None), what, api.limits)
