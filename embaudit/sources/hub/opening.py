"""Opening a repository on the hub at a revision: what it is, whether its files may be had, and their list."""

import attrs
from huggingface_hub import constants

from embaudit.errors import EmbauditError, TargetError
from embaudit.model.files import HubState, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.refs import is_repo_id
from embaudit.sources.base import shown
from embaudit.sources.hub.api import Addresses, HubApi, NoRevisionError
from embaudit.sources.hub.exchange import Exchange
from embaudit.sources.hub.history import read_ref_names
from embaudit.sources.hub.listing import Information
from embaudit.sources.hub.patience import PATIENCE, Patience
from embaudit.sources.hub.resolving import read_files, read_information
from embaudit.sources.hub.source import HubSource
from embaudit.sources.metered import Meter
from embaudit.sources.near import near_names

DEFAULT_REVISION = "main"
_FORBIDDEN = {401, 403}


def open_hub(
    repo_id: str,
    revision: str | None = None,
    *,
    endpoint: str | None = None,
    token: str | bool | None = None,
    limits: Limits = DEFAULT_LIMITS,
    beside: Snapshot | None = None,
    patience: Patience = PATIENCE,
) -> Snapshot:
    """A repository on the hub at a revision, with one request; with more if it is gated, or very large.

    The revision is resolved to a commit once, and all that follows is asked for at that commit.

    Args:
        repo_id: `org/name`.
        revision: A branch, tag, `refs/pr/1` or full commit hash; `main` if None.
        endpoint: The hub, by default the one at `HF_ENDPOINT`.
        token: As huggingface_hub takes it: a token, whether to use the stored one, or None for as it is set.
        limits: `files` and `folder_depth` bound the list, `json_bytes` each answer of the hub, `requests`
            and `received_bytes` all that is asked, `kept_bytes` what is kept of files.
        beside: A snapshot opened before; a content that both list with the same digest is read there.
        patience: How long to wait, and how often to try again.

    Raises:
        TargetError: If there is no such repository or revision, or if its files may not be had.
        SourceError: If the hub cannot be reached, or its answer is not sound.
        LimitError: If a limit is exceeded.
    """
    if not is_repo_id(repo_id):
        raise TargetError(f"'{shown(repo_id)}' is not the id of a repository")
    exchange = Exchange(
        endpoint=constants.ENDPOINT if endpoint is None else endpoint,
        token=token,
        limits=limits,
        meter=Meter(),
        patience=patience,
    )
    addresses = Addresses(endpoint=exchange.endpoint, repo_id=repo_id)
    asked = HubApi(exchange=exchange, addresses=addresses, limits=limits)
    information = _information(asked, DEFAULT_REVISION if revision is None else revision)
    api = _at_its_name(asked, information.state)
    if information.state.gated and not information.state.disabled:
        _check_access(api)
    listed = Snapshot(
        source="hub",
        repo_id=repo_id,
        revision=revision,
        commit=information.commit,
        files=read_files(api, information),
        hub=information.state,
    )
    return HubSource(listed, api, beside=beside).snapshot()


def _information(api: HubApi, revision: str) -> Information:
    try:
        return read_information(api, revision)
    except NoRevisionError:
        repo_id, hint = api.addresses.repo_id, _near(api, revision)
        raise TargetError(f"{repo_id} has no revision '{shown(revision)}' on the hub{hint}") from None


def _near(api: HubApi, revision: str) -> str:
    try:
        return near_names(revision, read_ref_names(api))
    except EmbauditError:
        return ""


def _at_its_name(api: HubApi, state: HubState) -> HubApi:
    """The same hub, asked from now on by the name that the repository has now: each redirect is a request."""
    if not state.redirected:
        return api
    return attrs.evolve(api, addresses=attrs.evolve(api.addresses, repo_id=state.repo_id))


def _check_access(api: HubApi) -> None:
    """Ask whether the files of a gated repository may be had.

    Raises:
        TargetError: If they may not.
        SourceError: If there is no answer.
    """
    what = f"the files of {api.addresses.repo_id}"
    answer = api.get(api.addresses.auth_check(), what)
    if answer.status in _FORBIDDEN:
        raise api.refusal(answer, what)
