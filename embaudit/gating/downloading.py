"""Fetching what passed: exactly the audited commit, only the files that are used, held against the listing.

huggingface_hub downloads: it knows caches, locks, tokens, proxies, and how to go on after an interruption.
What it brings is not believed: every file in the folder that is returned is one that was audited, with its
size and digest. Refuses to know which files are used, and whether a model may pass.
"""

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import attrs

from embaudit.errors import EmbauditError, SourceError, UsageError, causes_of
from embaudit.gating.choosing import files_to_use
from embaudit.gating.leftovers import clear_leftovers
from embaudit.model.files import FileEntry, FileState, Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.refs import CacheTarget, HubTarget, PathTarget, parse_target
from embaudit.pipeline import Target
from embaudit.report import AuditReport
from embaudit.sources import open_snapshot, shown
from embaudit.sources.interrupts import done_by
from embaudit.values import file_digest, git_blob_sha1

HASHERS = 4
"""Files hashed at once: hashing leaves the interpreter free, and most models are one file or a few shards."""
_BLOBS = "blobs"
_LOCK = ".cache/huggingface/gate.lock"
"""Where huggingface_hub keeps its own locks of a folder, apart from the files of the repository."""
_HUB, _CACHE, _FOLDER = "hub", "cache", "folder"
_SPECIAL = {"*": "[*]", "?": "[?]", "[": "[[]"}


class DownloadError(SourceError):
    """What was downloaded is not what was audited.

    Attributes:
        path: The file, inside the repository.
    """

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


@attrs.frozen(kw_only=True)
class Place:
    """Where the files of a target are to be found in the end.

    Attributes:
        target: The target, as it was given.
        cache_dir: The Hugging Face cache to download to; None for huggingface_hub's own.
        local_dir: A folder to download to instead.
    """

    target: Target
    cache_dir: Path | None = None
    local_dir: Path | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        *,
        download: bool,
        cache_dir: str | os.PathLike[str] | None,
        local_dir: str | os.PathLike[str] | None,
    ) -> "Place | None":
        """The place that arguments mean, or None if nothing is to be downloaded.

        Raises:
            UsageError: If they contradict each other, or the target.
        """
        places = {
            "cache_dir": _path_of("cache_dir", cache_dir),
            "local_dir": _path_of("local_dir", local_dir),
        }
        given = [name for name, place in places.items() if place is not None]
        if not download:
            if given:
                raise UsageError(f"{given[0]} says where to download to, and nothing is to be downloaded")
            return None
        if given and not _is_on_hub(target):
            raise UsageError(f"{given[0]} is for targets on the hub; this one is on this disk already")
        if len(given) > 1:
            raise UsageError("cache_dir and local_dir exclude each other")
        return cls(target=target, **places)


def _path_of(name: str, value: object) -> Path | None:
    """A folder as it was given.

    Raises:
        UsageError: If it is none. An empty text would mean the working directory, which nobody named.
    """
    if value is None:
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise UsageError(f"{name} is a path, not {value!r}")
    if not text or "\0" in text:
        raise UsageError(f"{name} is {text!r}, which names no folder")
    return Path(text)


def _is_on_hub(target: Target) -> bool:
    if isinstance(target, Snapshot):
        return target.source == _HUB
    return isinstance(target, str) and isinstance(parse_target(target), HubTarget)


def fetch(report: AuditReport, place: Place, *, limits: Limits = DEFAULT_LIMITS) -> Path:
    """The folder with the files of an audited snapshot, downloaded if they are on the hub, and checked.

    Raises:
        DownloadError: If a file is not the one that was audited. A file that was to be downloaded is removed
            again, so that nobody takes it for the model's.
        UsageError: If the snapshot has no folder: a commit of a clone.
        SourceError: If the files cannot be had.
        LimitError: If the folder exceeds a limit.
    """
    if report.source == _FOLDER:
        return _folder_of(place.target)
    if report.source not in {_HUB, _CACHE}:
        what = "a commit of a clone" if report.source == "git" else f"a {report.source} snapshot"
        raise UsageError(f"{what} has no folder to give; check it out, and let the gate see that folder")
    wanted = files_to_use(report)
    if report.source == _CACHE:
        folder = _cached(report, place.target)
        _check(folder, wanted, report.files, limits, is_ours=False)
        return folder
    with _retold(f"{report.repo_id}@{report.commit}"), _alone_in(place.local_dir):
        if place.local_dir is not None:
            # Before the download, which may take long.
            placed = _listed(place.local_dir, limits)
            cleared = clear_leftovers(place.local_dir, placed, report.files)
            _check_strays(placed.files.keys() - cleared, report.files, place.local_dir)
        folder = _download(report, wanted, place)
        _check(folder, wanted, report.files, limits, is_ours=True)
    return folder


def _folder_of(target: Target) -> Path:
    parsed = None if isinstance(target, Snapshot) else parse_target(target)
    if not isinstance(parsed, PathTarget):
        raise UsageError("an opened snapshot does not tell its folder; give the gate the folder itself")
    return Path(parsed.text).expanduser()


def _cached(report: AuditReport, target: Target) -> Path:
    """The folder of a cached snapshot: as it was named, or as the cache of this process has it."""
    parsed = CacheTarget(report.repo_id or "") if isinstance(target, Snapshot) else parse_target(target)
    if isinstance(parsed, PathTarget):
        named = Path(parsed.text).expanduser()
        return named if named.is_dir() else Path(parsed.text.rpartition("@")[0]).expanduser()
    # Here, and not above: it takes longer to import than all of embaudit.
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.file_download import repo_folder_name  # noqa: PLC0415

    name = repo_folder_name(repo_id=report.repo_id or "", repo_type="model")
    return Path(constants.HF_HUB_CACHE, name, "snapshots", report.commit or "")


def _download(report: AuditReport, wanted: Sequence[str], place: Place) -> Path:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - as above

    folder = snapshot_download(
        report.repo_id or "",
        revision=report.commit,
        allow_patterns=[_exactly(path) for path in wanted],
        cache_dir=place.cache_dir,
        local_dir=place.local_dir,
    )
    return Path(folder)


def _exactly(path: str) -> str:
    """The shell pattern that fits this path and no other; `glob.escape` would take a drive out of it."""
    return "".join(_SPECIAL.get(letter, letter) for letter in path)


@contextmanager
def _alone_in(local_dir: Path | None) -> Generator[None, None, None]:
    """Keep other gates out of a folder: huggingface_hub replaces files there that it has just written.

    In a cache it never does, and many may look at one.
    """
    if local_dir is None:
        yield
        return
    # As above; public in every version, but loaded lazily.
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined] # noqa: PLC0415

    lock = local_dir / _LOCK
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        yield


@contextmanager
def _retold(what: str) -> Generator[None, None, None]:
    """Say in our own words why a download failed: those of the libraries hold addresses."""
    try:
        yield
    except EmbauditError:
        raise
    except Exception as error:  # noqa: BLE001 - three transport libraries, each with errors of its own
        raise SourceError(f"{what} passed, and could not be downloaded: {_reason(error)}") from None


def _reason(error: BaseException) -> str:
    causes = tuple(causes_of(error))
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if isinstance(status, int):
            return f"the hub answered with status {status}"
    # What the transport libraries raise are OSErrors too, without a number.
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno is not None and cause.strerror:
            return cause.strerror
    return f"the download broke off ({type(causes[-1]).__name__})"


def _check(
    folder: Path, wanted: Sequence[str], audited: Mapping[str, FileEntry], limits: Limits, *, is_ours: bool
) -> None:
    """Hold everything that lies in a folder against the audited listing.

    All of it, and not only what was wanted: a loader that is given the folder opens what it finds. A wrong
    file is removed only where `is_ours`: this gate has just downloaded it.

    Raises:
        DownloadError: If a file is missing, is none of the audited ones, or has another content.
        SourceError: If a file cannot be read.
        LimitError: If the folder exceeds a limit.
    """
    placed = _listed(folder, limits)
    for path in wanted:
        entry = placed.files.get(path)
        if entry is None:
            raise DownloadError(f"'{shown(path)}' was audited, and is not in {folder}", path)
        if entry.state is not FileState.PRESENT:
            what = f"'{shown(path)}' in {folder} cannot be read ({entry.state}); remove it"
            raise DownloadError(what, path)
    _check_strays(placed.files, audited, folder)
    found = [path for path in placed.files if path in audited]
    with ThreadPoolExecutor(HASHERS) as pool:
        problems = tuple(done_by(pool, partial(_difference, placed, audited), found))
    wrong = {path: problem for path, problem in zip(found, problems, strict=True) if problem}
    advice = {path: _discard(folder, path) if is_ours and path in wanted else "remove it" for path in wrong}
    for path, problem in wrong.items():
        more = f" (and {len(wrong) - 1} more files)" if len(wrong) > 1 else ""
        what = f"'{shown(path)}' in {folder} is not what was audited: {problem}; {advice[path]}{more}"
        raise DownloadError(what, path)


def _listed(folder: Path, limits: Limits) -> Snapshot:
    return open_snapshot(folder.absolute(), limits=limits)


def _check_strays(placed: Iterable[str], audited: Mapping[str, FileEntry], folder: Path) -> None:
    """Refuse a folder with a file that is none of the audited ones."""
    strays = (path for path in placed if path not in audited and not _is_hidden(path))
    stray = min(strays, default=None)
    if stray is not None:
        what = f"'{shown(stray)}' lies in {folder} and is no file of the audited commit"
        raise DownloadError(f"{what}; remove it, or take another folder", stray)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def _difference(placed: Snapshot, audited: Mapping[str, FileEntry], path: str) -> str:
    """What is otherwise in a file than in the audited listing; empty if nothing is."""
    here, listed = placed.files[path], audited[path]
    if here.state is not FileState.PRESENT or here.size is None or placed.reader is None:
        return f"it cannot be read ({here.state})"
    if here.size != listed.size:
        return f"it has {here.size:,} bytes instead of {listed.size or 0:,}"
    if listed.sha256 is not None:
        found = file_digest(placed.reader, path, here.size)
        return "" if found == listed.sha256 else f"its SHA-256 is {found} instead of {listed.sha256}"
    if listed.git_sha1 is not None:
        found = git_blob_sha1(placed.reader, path, here.size)
        return "" if found == listed.git_sha1 else f"its git id is {found} instead of {listed.git_sha1}"
    return ""


def _discard(folder: Path, path: str) -> str:
    """Take a wrong file away, with the blob of the cache that it is a link to; says what was done."""
    place = folder / path
    blob = place.parent / place.readlink() if place.is_symlink() else place
    # A blob may be a link itself, to the store that all repositories of a cache share; not further.
    content, cache = blob.resolve(), folder.resolve().parents[2]
    is_cached = blob.parent.name == _BLOBS and _BLOBS in content.parts and content.is_relative_to(cache)
    try:
        for each in (content, blob, place) if is_cached else (place,):
            each.unlink(missing_ok=True)
    except OSError as error:
        return f"remove it ({error.strerror})"
    return "it was removed, and the next gate downloads it anew"
