"""EMB020 to EMB023 and EMB027: what only the hub says of a repository, beside its files."""

from collections.abc import Iterator

from embaudit.model.facts import OnHub, UnreadableFile
from embaudit.model.files import FileKind, FileState, FlaggedFile, Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.words import plural
from embaudit.rules.evidence import MAX_LISTED, listed
from embaudit.rules.registry import rule

_WEIGHTS = {FileKind.WEIGHTS, FileKind.FOREIGN_WEIGHTS}

_UNSAFE = {"unsafe"}
"""The hub's words for files that its scanners are sure of; every other word leaves a doubt."""


@rule("EMB020", Severity.INFO)
def access_is_gated(on: OnHub) -> Iterator[Observation]:
    """Access to the repository has to be asked for.

    The hub shows its listing to everybody and gives its files to accounts that have asked, and that the
    owner or a form has let in. A service or a pipeline needs a token of such an account, and stops working
    when the owner withdraws the access.
    """
    if not on.hub.gated:
        return
    by_hand = on.hub.gated == "manual"
    yield Observation(
        message=(
            f"{_of(on)}Files are given to accounts with access only, which"
            f" {'the owner grants one by one' if by_hand else 'is granted to whoever asks'}."
        ),
        where=_where(on, "gated"),
        evidence={"gated": on.hub.gated, "repo_id": on.hub.repo_id},
        remedy="Give pipelines a token of an account that has access, or a copy of the files.",
    )


@rule("EMB021", Severity.ERROR)
def repository_is_disabled(on: OnHub) -> Iterator[Observation]:
    """The hub has closed the repository.

    It is still listed, and its files are given to nobody, with whatever token: nothing can be downloaded
    any more, and only what is in caches still works.
    """
    refused = [entry.path for entry in on.snapshot.files.values() if entry.state is FileState.REFUSED]
    if refused or on.hub.disabled:
        yield Observation(
            message=f"{_of(on)}The hub has closed the repository and gives its files to nobody.",
            where=_where(on, "disabled"),
            evidence={"refused": listed(refused)},
            remedy="Find out why it was closed before you go on using copies of it.",
        )


@rule("EMB022", Severity.WARNING)
def scanners_object(on: OnHub) -> Iterator[Observation]:
    """The hub's security scanners object to a file.

    Several scanners look at every commit on the hub: for malware, and for what a pickle imports. An error
    where the word is `unsafe`, a warning for any other (`suspicious`, `caution`), information as long as the
    scans of the commit are not finished. A scanner's word is no proof either way: what the file's own pickle
    names is told by EMB114, from its bytes.
    """
    flagged = sorted(on.hub.flagged, key=lambda each: not _is_weights(on.snapshot, each))
    yield from (_flagged(on, each) for each in flagged[:MAX_LISTED])
    if len(flagged) > MAX_LISTED:
        others = flagged[MAX_LISTED:]
        yield Observation(
            message=f"{_of(on)}The hub's scanners object to {plural(len(others), 'more file')}.",
            where=_where(on, "security"),
            evidence={"files": listed(each.path for each in others)},
            remedy=_SCAN_REMEDY,
            severity=max(map(_severity, others)),
        )
    if on.hub.scans_done is False:
        yield Observation(
            message=f"{_of(on)}The hub's security scans of this commit are not finished.",
            where=_where(on, "security"),
            evidence={"scans_done": False},
            remedy="Ask again later.",
            severity=Severity.INFO,
        )


_SCAN_REMEDY = "Read what the hub's page of the file says before you load it; prefer safetensors to pickles."


def _is_weights(snapshot: Snapshot, flagged: FlaggedFile) -> bool:
    entry = snapshot.files.get(flagged.path)
    return entry is not None and entry.kind in _WEIGHTS


def _severity(flagged: FlaggedFile) -> Severity:
    return Severity.ERROR if flagged.level.lower() in _UNSAFE else Severity.WARNING


def _flagged(on: OnHub, flagged: FlaggedFile) -> Observation:
    return Observation(
        message=f"{_of(on)}The hub's scanners call `{flagged.path}` {flagged.level or 'suspect'}.",
        where=Where(path=flagged.path),
        evidence={"level": flagged.level},
        remedy=_SCAN_REMEDY,
        severity=_severity(flagged),
    )


@rule("EMB023", Severity.WARNING)
def repository_was_renamed(on: OnHub) -> Iterator[Observation]:
    """The hub answers under another id than the one that was asked for.

    The repository was renamed or given to another owner, and the hub leads from the old name to the new
    one for as long as nobody takes the old name. Who registers it next decides what loads: that is how the
    names of deleted accounts were taken over to serve other models under trusted names
    (https://unit42.paloaltonetworks.com/model-namespace-reuse/). Information where only the case of letters
    differs.
    """
    hub = on.hub
    if hub.repo_id == hub.asked_id:
        return
    same_but_for_case = hub.repo_id.casefold() == hub.asked_id.casefold()
    yield Observation(
        message=f"`{hub.asked_id}` is the repository `{hub.repo_id}` today.",
        where=_where(on, "repo_id"),
        evidence={
            "asked_id": hub.asked_id,
            "repo_id": hub.repo_id,
            "owner_differs": _owner(hub.asked_id) != _owner(hub.repo_id),
            "redirected": hub.redirected,
        },
        remedy=f"Ask for `{hub.repo_id}`, and pin the commit: whoever takes the old name decides what loads.",
        severity=Severity.INFO if same_but_for_case else None,
    )


def _owner(repo_id: str) -> str:
    """The owner in an id; the hub's first models have none."""
    return repo_id.rpartition("/")[0].casefold()


def _of(on: OnHub) -> str:
    """Of which snapshot something is told, where there are two."""
    return "" if on.is_target else "Of the snapshot compared with: "


def _where(on: OnHub, field: str) -> Where:
    return Where(field=field if on.is_target else f"against.{field}")


@rule("EMB027", Severity.ERROR)
def weight_file_has_no_content(unreadable: UnreadableFile) -> Iterator[Observation]:
    """A weight file is listed, and the hub has no content for it.

    The commit holds a Git LFS pointer whose object was never uploaded, or is gone. Every download of it
    fails, and loaders refuse or take another file.
    """
    if unreadable.no_content:
        yield Observation(
            message=f"`{unreadable.path}` is listed, and the hub has no content for it.",
            where=Where(path=unreadable.path),
            evidence={"problem": unreadable.problem},
            remedy="Ask the owner to upload it (`git lfs push --all`), or take another commit.",
        )
