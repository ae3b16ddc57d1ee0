"""Single files of a snapshot: views of their bytes, and the JSON documents among them.

Refuses to know any byte layout, and what a document means.
"""

from collections.abc import Iterable, Iterator
from functools import partial

from embaudit.errors import LimitError, SourceError, TargetError
from embaudit.formats.documents import parse_json
from embaudit.formats.fields import inside, quoted
from embaudit.formats.view import ByteView
from embaudit.model.files import FarReader, FileState, Snapshot, Span
from embaudit.model.frozen import JSON
from embaudit.model.limits import DEFAULT_LIMITS, Limits

_REMEDIES = {
    FileState.POINTER: "is a Git LFS pointer whose content is not here; fetch it with `git lfs pull`",
    FileState.BROKEN_LINK: "is a symbolic link to nothing; download it again",
    FileState.LOOPING_LINK: "is a symbolic link that leads back to itself; put the file in its place",
    FileState.ESCAPING_LINK: "is a symbolic link out of the repository; put a copy in its place",
    FileState.UNREADABLE: "could not be opened; check its permissions",
    FileState.SPECIAL: "is not a regular file; put one in its place",
    FileState.ABSENT: "is a file of the commit that was not downloaded; download it",
    FileState.REFUSED: "is given to nobody by the hub; ask the hub why the repository is closed",
}


def view_file(snapshot: Snapshot, path: str, *, infers: bool = False) -> ByteView:
    """A listed file, readable in spans.

    Args:
        snapshot: Where it is listed.
        path: Its path.
        infers: Whether, over a network, what follows from a directory may be inferred instead of read.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If the file is listed but cannot be read; the message says why and what to do.
    """
    entry = snapshot.files.get(path)
    if entry is None:
        raise TargetError(_absence(snapshot, path))
    if entry.state is not FileState.PRESENT:
        detail = f" ({entry.detail})" if entry.detail else ""
        raise SourceError(f"{quoted(path)} {_REMEDIES[entry.state]}{detail}")
    if entry.size is None:
        raise SourceError(f"the size of {quoted(path)} is unknown to its source")
    if snapshot.reader is None:
        raise SourceError("this snapshot comes out of a report: its files cannot be read, open it anew")
    read = partial(snapshot.reader.read, path)
    if not isinstance(snapshot.reader, FarReader):
        return ByteView(path, entry.size, read)
    return ByteView(path, entry.size, read, partial(_expect, snapshot.reader, path), infers=infers)


def _expect(reader: FarReader, path: str, spans: Iterable[tuple[int, int]]) -> None:
    reader.fetch(Span(path, start, stop) for start, stop in spans)


def whole_files(snapshot: Snapshot, paths: Iterable[str], most_bytes: int) -> Iterator[Span]:
    """The files among these that can be read and have at most so many bytes, whole."""
    for path in paths:
        entry = snapshot.files.get(path)
        if entry is None or entry.state is not FileState.PRESENT or not entry.size:
            continue
        if entry.size <= most_bytes:
            yield Span(path, 0, entry.size)


def fetch_whole(snapshot: Snapshot, paths: Iterable[str], most_bytes: int) -> None:
    """Have files of at most so many bytes at hand, side by side, where each read is a request."""
    if isinstance(snapshot.reader, FarReader):
        snapshot.reader.fetch(whole_files(snapshot, paths, most_bytes))


def _absence(snapshot: Snapshot, path: str) -> str:
    not_fetched = snapshot.cache.absent if snapshot.cache is not None else ()
    if any(entry.path == path for entry in not_fetched):
        what = f"{quoted(path)} belongs to the commit but was not downloaded"
        return f"{what}; fetch it with `hf download {snapshot.repo_id} {path}`"
    return f"{quoted(path)} is not among the {len(snapshot.files)} files of the snapshot"


def read_small(snapshot: Snapshot, path: str, limits: Limits, limit: str = "json_bytes") -> bytes:
    """A whole file that is meant to be one JSON document, if it keeps to the limit of that name."""
    view = view_file(snapshot, path)
    allowed: int = getattr(limits, limit)
    if view.size > allowed:
        raise LimitError(f"the file has {view.size} bytes, {limit} allows {allowed}", path, limit)
    return view.read(0, view.size)


def read_document(snapshot: Snapshot, path: str, limits: Limits = DEFAULT_LIMITS) -> JSON:
    """The JSON document at `path`, frozen; `NaN` and the infinities, which python's json writes, are texts.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If the file cannot be read.
        FormatError: If it is not strict JSON otherwise.
        LimitError: If it is too large or nests too deep.
    """
    with inside(path):
        return parse_json(read_small(snapshot, path, limits), limits=limits, on_constant=lambda _text: None)
