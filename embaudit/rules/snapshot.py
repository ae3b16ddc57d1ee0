"""EMB00x: the snapshot itself, its revision, its completeness and its files."""

from collections import defaultdict
from collections.abc import Iterator

from embaudit.model.declaration import Declaration
from embaudit.model.diff import SnapshotDiff
from embaudit.model.facts import ContentCheck
from embaudit.model.files import FileEntry, FileKind, FileState, Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.refs import is_commit
from embaudit.model.words import plural, short
from embaudit.rules.evidence import be, listed
from embaudit.rules.registry import rule


@rule("EMB001", Severity.WARNING)
def revision_floats(snapshot: Snapshot) -> Iterator[Observation]:
    """The revision is a branch or a tag, not a commit.

    A branch moves, and so can a tag: the same name may stand for other weights tomorrow, on another machine
    or in another cache, and nothing will say so. Only a full commit hash of 40 hex digits names one state
    of the repository for good. Asked of repositories on the hub, in the cache and in clones.
    """
    if snapshot.commit is None or is_commit(snapshot.revision):
        return
    named = "The default branch" if snapshot.revision is None else f"The revision {snapshot.revision!r}"
    yield Observation(
        message=f"{named} can move. Today it means commit {short(snapshot.commit)}.",
        where=Where(field="revision"),
        evidence={"revision": snapshot.revision, "commit": snapshot.commit},
        remedy=f"Pin the commit: revision={snapshot.commit!r}.",
    )


@rule("EMB002", Severity.INFO)
def commit_unknown(snapshot: Snapshot) -> Iterator[Observation]:
    """Nothing says which commit this is.

    A plain folder carries no history: its files may come from any commit, or from several. The audit holds
    for the bytes as they are now, and cannot be tied to a state of the repository.
    """
    if snapshot.commit is None:
        yield Observation(
            message=f"A {snapshot.source} does not say which commit its files come from.",
            where=Where(field="commit"),
            evidence={"source": snapshot.source},
            remedy=(
                "Audit the repository on the hub (org/name@commit), the cached snapshot"
                " (cache:org/name@commit) or a git clone (PATH@commit) instead."
            ),
        )


@rule("EMB003", Severity.WARNING)
def snapshot_is_stale(snapshot: Snapshot, diff: SnapshotDiff | None) -> Iterator[Observation]:
    """The branch has moved on: another commit is cached or known.

    Loaders that find an old snapshot in the cache go on using it without asking the hub:
    text-embeddings-inference's downloader returns whatever `refs/<revision>` points at
    (https://github.com/huggingface/hf-hub, `get`, read at 0.3.2), so the first downloaded commit can serve
    for ever. In a clone the history proves that the other commits come later; in a cache the branch points at
    the other commit, and which of the two is older the cache does not say. Where the audit is against that
    commit and a history tells what lies between, EMB028 tells it with what it means.
    """
    if not snapshot.newer or _is_told(snapshot, diff):
        return
    latest = short(snapshot.newer[-1].commit)
    # Only a history proves the order.
    is_proven = snapshot.source in {"git", "hub"}
    later = f"{plural(len(snapshot.newer), 'commit')} later" if is_proven else "another commit"
    yield Observation(
        message=f"The branch is at {latest} now, {later} than this one.",
        where=Where(field="commit"),
        evidence={
            "commit": snapshot.commit,
            "newer": [
                {"commit": known.commit, "title": known.title, "date": known.date} for known in snapshot.newer
            ],
        },
        remedy="Compare the two with `embaudit diff`, then move the pin or keep it on purpose.",
    )


def _is_told(snapshot: Snapshot, diff: SnapshotDiff | None) -> bool:
    """Whether the comparison is with the commit at which the branch is, and says how many lie between."""
    return (
        diff is not None
        and bool(diff.commits)
        and diff.old.commit == snapshot.commit
        and diff.new.commit == snapshot.newer[-1].commit
    )


@rule("EMB004", Severity.ERROR)
def content_differs_from_digest(check: ContentCheck) -> Iterator[Observation]:
    """A file's content does not match the digest that it is stored under.

    The cache names blobs by their digest (sha256 for large files, the git blob id for others) and trusts
    the name ever after; LFS pointers, git blobs and the hub's listing name theirs as well. A mismatch means
    that the bytes were changed or damaged since, on this disk or on their way. Asked at depth full.
    """
    if check.claimed != check.computed:
        yield Observation(
            message=f"The bytes have another {check.algorithm} than the one they are stored under.",
            where=Where(path=check.path),
            evidence={"algorithm": check.algorithm, "claimed": check.claimed, "computed": check.computed},
            remedy=(
                "Do not use these bytes. Delete a cached or cloned file with its blob and download it again;"
                " from the hub, ask again, and tell its owner if it stays so."
            ),
        )


@rule("EMB005", Severity.WARNING)
def download_is_partial(snapshot: Snapshot) -> Iterator[Observation]:
    """The cache holds only a part of the commit.

    Files of the commit that were never downloaded make loaders fall back in silence: without
    `modules.json` sentence-transformers assumes mean pooling, without `model.safetensors` loaders read the
    `.bin`. Files left out on purpose (other formats, documentation) are reported as information.
    """
    if snapshot.cache is None:
        return
    if snapshot.cache.incomplete:
        yield Observation(
            message=f"{_interrupted(len(snapshot.cache.incomplete))} interrupted.",
            where=Where(field="blobs"),
            evidence={"incomplete": listed(snapshot.cache.incomplete)},
            remedy="Run the download again; it resumes.",
        )
    if snapshot.cache.absent:
        yield _absent(snapshot.cache.absent)


def _interrupted(number: int) -> str:
    return f"{plural(number, 'download')} of this repository {'was' if number == 1 else 'were'}"


def _absent(files: tuple[FileEntry, ...]) -> Observation:
    decisive = {FileKind.CONFIG, FileKind.POOLING, FileKind.TOKENIZER, FileKind.CODE}
    matters = any(entry.kind in decisive for entry in files)
    return Observation(
        message=f"{plural(len(files), 'file')} of the commit {be(len(files))} not in the cache.",
        where=Where(field="snapshot"),
        evidence={"absent": listed(entry.path for entry in files)},
        remedy="Download them if your loader reads them: it treats what is missing as if it did not exist.",
        severity=None if matters else Severity.INFO,
    )


_UNREADABLE = {
    FileState.BROKEN_LINK: "is a link to nothing",
    FileState.LOOPING_LINK: "is a link that leads back to itself",
    FileState.ESCAPING_LINK: "is a link that leaves the repository; it was not followed",
    FileState.UNREADABLE: "cannot be read",
    FileState.SPECIAL: "is not a regular file",
}


@rule("EMB006", Severity.ERROR)
def file_cannot_be_read(snapshot: Snapshot) -> Iterator[Observation]:
    """A listed file cannot be read.

    Broken, looping or escaping links, missing permissions, devices: loaders fail on them or take the file
    for absent and fall back to something else. embaudit never follows a link out of the repository. What the
    hub refuses to give is EMB021.
    """
    for entry in snapshot.files.values():
        if entry.state in _UNREADABLE:
            yield Observation(
                message=f"`{entry.path}` {_UNREADABLE[entry.state]}.",
                where=Where(path=entry.path),
                evidence={"state": str(entry.state), "detail": entry.detail},
                remedy="Download or check out the file again.",
                severity=None if entry.kind is not FileKind.DOCS else Severity.WARNING,
            )


@rule("EMB007", Severity.ERROR)
def pointer_without_object(snapshot: Snapshot) -> Iterator[Observation]:
    """A Git LFS pointer stands where a file should be.

    A clone was made without its large files, or somebody uploaded pointers in their place: loaders see 130
    bytes of text where they expect weights, and some then read another file. What the hub lists without
    having it is EMB027.
    """
    for entry in snapshot.files.values():
        if entry.state is FileState.POINTER:
            yield Observation(
                message=f"`{entry.path}` is a Git LFS pointer; the object itself is not at hand.",
                where=Where(path=entry.path),
                evidence={"sha256": entry.sha256, "size": entry.size, "detail": entry.detail},
                remedy=_FETCH.get(snapshot.source, "Fetch it: `git lfs pull`."),
                severity=None if entry.kind is not FileKind.DOCS else Severity.WARNING,
            )


_FETCH = {
    "cache": "Download the file again, or take another commit if the hub gives the same.",
    "hub": "Take another commit, or ask the owner to upload the object.",
}
"""What helps against a pointer where there is no clone to fetch into."""


@rule("EMB008", Severity.WARNING)
def names_differ_in_case_only(snapshot: Snapshot) -> Iterator[Observation]:
    """Two files differ only in upper and lower case.

    On Windows and macOS one of them replaces the other, so the same commit is another model there.
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    for path in snapshot.files:
        spellings[path.casefold()].append(path)
    for paths in spellings.values():
        if len(paths) > 1:
            together = " and ".join(f"`{path}`" for path in paths)
            yield Observation(
                message=f"{together} are one file where case does not count.",
                where=Where(path=paths[0]),
                evidence={"paths": paths},
                remedy="Rename one of them.",
            )


@rule("EMB009", Severity.ERROR)
def settings_file_is_malformed(declaration: Declaration, snapshot: Snapshot | None) -> Iterator[Observation]:
    """A settings file cannot be parsed.

    A loader that cannot read a settings file refuses, or silently goes on with its defaults: other pooling,
    other length, other casing. A warning for what lenient readers take and strict ones refuse: a repeated
    key, `NaN`, `Infinity`. A file that is not at hand at all is EMB006, EMB007 or EMB021.
    """
    files = {} if snapshot is None else snapshot.files
    for bad in declaration.bad:
        if bad.path in files and files[bad.path].state is not FileState.PRESENT:
            continue
        yield Observation(
            message=f"`{bad.path}` {'is not quite JSON' if bad.usable else 'cannot be used'}: {bad.problem}.",
            where=Where(path=bad.path),
            evidence={"problem": bad.problem},
            remedy="Restore the file from the repository's history.",
            severity=Severity.WARNING if bad.usable else None,
        )
