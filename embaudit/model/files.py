"""One commit of a repository: its files, what its source says of each, and how their bytes are reached."""

import enum
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Protocol, runtime_checkable

import attrs

from embaudit.model.frozen import FrozenMapping, frozen_mapping


class FileKind(str, enum.Enum):
    """What a file is for, judged by its path."""

    WEIGHTS = "weights"
    WEIGHTS_INDEX = "weights-index"
    FOREIGN_WEIGHTS = "foreign-weights"
    TRAINING = "training"
    CONFIG = "config"
    TOKENIZER = "tokenizer"
    POOLING = "pooling"
    CODE = "code"
    DOCS = "docs"
    OTHER = "other"

    def __str__(self) -> str:
        return self.value


class FileState(str, enum.Enum):
    """Whether a listed file can be read, and if not, why."""

    PRESENT = "present"
    POINTER = "pointer"
    """A Git LFS pointer whose object is not at hand."""
    BROKEN_LINK = "broken-link"
    LOOPING_LINK = "looping-link"
    ESCAPING_LINK = "escaping-link"
    """A symbolic link that leaves the folder, clone or cache; it is never followed."""
    UNREADABLE = "unreadable"
    SPECIAL = "special"
    """A device, a socket, a pipe or a submodule: not a file."""
    REFUSED = "refused"
    """The hub lists it and gives it to nobody: the repository is disabled."""
    ABSENT = "absent"
    """A file of the commit that was not downloaded."""

    def __str__(self) -> str:
        return self.value


_WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"}
_FOREIGN_SUFFIXES = {".onnx", ".onnx_data", ".gguf", ".h5", ".msgpack", ".ot", ".tflite", ".mlmodel", ".pb"}
_FOREIGN_STEMS = ("openvino_", "ggml-")
"""OpenVINO (`openvino_model.bin`) and ggml have formats of their own under the suffix of torch's files."""
_TRAINING_STEMS = (
    "training_args",
    "optimizer",
    "scheduler",
    "rng_state",
    "random_states",
    "sampler",
    "scaler",
    "trainer_state",
)
_TOKENIZER_NAMES = {
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
}
_DOC_NAMES = {".gitattributes", ".gitignore", "license", "notice", "readme"}


_INDEX_NAME = re.compile(r"\.index(\.[a-z0-9_-]+)?\.json$")
"""`model.safetensors.index.json`; transformers names a variant's `model.safetensors.index.fp16.json`."""


def kind_of(path: str) -> FileKind:
    """What a file of a model repository is for, judged by its path alone."""
    pure = PurePosixPath(path)
    name, suffix = pure.name.lower(), pure.suffix.lower()
    if _INDEX_NAME.search(name):
        return FileKind.WEIGHTS_INDEX
    if name in _TOKENIZER_NAMES:
        return FileKind.TOKENIZER
    if name.startswith(_TRAINING_STEMS):
        return FileKind.TRAINING
    if suffix in _WEIGHT_SUFFIXES | _FOREIGN_SUFFIXES:
        return FileKind.FOREIGN_WEIGHTS if _is_foreign(pure) else FileKind.WEIGHTS
    if name in _DOC_NAMES or pure.stem.lower() in _DOC_NAMES or suffix in {".md", ".pdf", ".png", ".jpg"}:
        return FileKind.DOCS
    if suffix == ".py":
        return FileKind.CODE
    if suffix == ".json":
        pooled = any("pooling" in part.lower() for part in pure.parts[:-1])
        return FileKind.POOLING if pooled else FileKind.CONFIG
    return FileKind.OTHER


def _is_foreign(pure: PurePosixPath) -> bool:
    """Whether a file with the ending of weights belongs to another program than torch or safetensors."""
    in_package = any(
        part.endswith(".mlpackage") for part in pure.parts
    )  # Core ML calls its weights weight.bin
    return (
        in_package or pure.suffix.lower() in _FOREIGN_SUFFIXES or pure.name.lower().startswith(_FOREIGN_STEMS)
    )


@attrs.frozen(kw_only=True)
class FileEntry:
    """One file of a snapshot, as its source lists it. Digests are the source's claims, not yet proven.

    Attributes:
        path: Path inside the repository, with forward slashes.
        size: Bytes of the content (of an LFS object, not of its pointer), or None if the source cannot tell.
        sha256: Hex digest of the content, for LFS files, or None if the source does not know it.
        git_sha1: Hex id of the git blob, for files that git itself holds, or None.
        kind: What the file is for.
        state: Whether it can be read, and if not, why.
        detail: For a state other than present: the link target, the system's error.
    """

    path: str
    size: int | None
    sha256: str | None = None
    git_sha1: str | None = None
    kind: FileKind
    state: FileState = FileState.PRESENT
    detail: str = ""

    @property
    def identity(self) -> str | None:
        """A string that is equal for equal contents, if the source gave a digest."""
        return self.sha256 or self.git_sha1


@runtime_checkable
class Reader(Protocol):
    """How the bytes of a snapshot's files are reached. Safe to call from several threads.

    Both methods raise `SourceError` if the bytes cannot be had, a file shorter than asked included.
    """

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes of `path` from `start` (included) to `stop` (not included)."""
        ...

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill `buffer`, a writable view of bytes, with the bytes of `path` from `start` on."""
        ...


@attrs.frozen(kw_only=True)
class CommitInfo:
    """One commit, as a history or a cache knows it.

    Attributes:
        commit: 40 hex digits.
        title: First line of the message; empty if the source does not know it.
        date: ISO 8601 with offset; empty if the source does not know it.
    """

    commit: str
    title: str = ""
    date: str = ""


@attrs.frozen(kw_only=True)
class Lineage:
    """How two commits of one repository lie to one another.

    Attributes:
        ahead: The commits that the new one has and the old one has not, oldest first.
        behind: The commits that the old one has and the new one has not, oldest first; empty if the old one
            is an ancestor of the new one.
    """

    ahead: tuple[CommitInfo, ...] = ()
    behind: tuple[CommitInfo, ...] = ()


@runtime_checkable
class History(Protocol):
    """A reader that also knows the commits of its repository."""

    def at(self, commit: str) -> "Snapshot":
        """Another commit of the repository, by its full hash.

        Raises:
            UnknownCommitError: If the repository has no such commit (any more).
            TargetError: If it may not be opened.
            SourceError: If it cannot be listed.
            LimitError: If it is larger than a limit.
        """
        ...

    def lineage(self, old: str, new: str) -> Lineage:
        """How two commits, both 40 hex digits, lie to one another.

        Raises:
            UnknownCommitError: If the repository has no such commit (any more).
            SourceError: If the history cannot be read.
            LimitError: If it is longer than a limit.
        """
        ...

    def last_commits(self, paths: Iterable[str]) -> Mapping[str, CommitInfo]:
        """The commit that last changed each file, as of the snapshot; what is not known is left out.

        Raises:
            SourceError: If the history cannot be read.
            LimitError: If it is longer than a limit.
        """
        ...


@attrs.frozen
class Span:
    """Some bytes of a file.

    Attributes:
        path: Path inside the repository.
        start: First byte.
        stop: Byte after the last one; may lie beyond the end of the file.
    """

    path: str
    start: int
    stop: int


@runtime_checkable
class FarReader(Reader, Protocol):
    """A reader for which a read is a request over a network, so that it is told beforehand what is wanted.

    `read` is meant for headers: it asks for more than it was told to, ahead of the span or, for one that ends
    where the file ends, before it, and keeps what it has had, within bounds. `read_into` is meant for tensor
    data: it asks for exactly its bytes, unless they are kept already.
    """

    def fetch(self, spans: Iterable[Span]) -> None:
        """Have these bytes kept for the reads that follow: side by side, and neighbours in one request.

        Nothing is raised for a span that cannot be had: the read that wants it will say so. What is more than
        may be kept is left to the reads.
        """
        ...


@runtime_checkable
class HoldingReader(FarReader, Protocol):
    """A far reader that can have whole files at hand on this disk, for whoever reads them more than once."""

    def hold(self, paths: Iterable[str]) -> None:
        """Have these files whole for the reads that follow; what cannot be had is left to its read."""
        ...


@runtime_checkable
class Interruptible(Protocol):
    """A reader whose waits can be ended from another thread."""

    def interrupt(self) -> None:
        """Let every wait end, and read nothing any more: the program is to end."""
        ...


@attrs.frozen(kw_only=True)
class FlaggedFile:
    """A file that a security scanner of the hub objects to.

    Attributes:
        path: Path inside the repository.
        level: The hub's word: `unsafe`, `suspicious`, `caution`, ...
    """

    path: str
    level: str


@attrs.frozen(kw_only=True)
class HubState:
    """What the hub says of a repository beside its files.

    Attributes:
        key: The hub's own key of the repository (`_id`), which stays when a repository is renamed and differs
            when another one takes its name; None if it was not told.
        repo_id: The id under which the hub answers, which is not the one asked for after a rename.
        asked_id: The id that was asked for.
        redirected: Whether the hub redirected from the id that was asked for.
        gated: `auto` or `manual` if access has to be asked for, else empty.
        disabled: Whether the hub has closed the repository.
        private: Whether only some may see it.
        created: When the repository was made, ISO 8601; empty if it was not told.
        scans_done: Whether the security scans of this commit are finished; None if it was not told.
        flagged: The files that a scanner objects to, by path.
    """

    key: str | None = None
    repo_id: str
    asked_id: str
    redirected: bool = False
    gated: str = ""
    disabled: bool = False
    private: bool = False
    created: str = ""
    scans_done: bool | None = None
    flagged: tuple[FlaggedFile, ...] = ()


@attrs.frozen(kw_only=True)
class CacheState:
    """What the local cache holds of a repository beside the snapshot itself.

    Attributes:
        other_commits: Other cached snapshots, oldest first by the time they were written.
        incomplete: Names of downloads that were interrupted (`blobs/*.incomplete`).
        listed: Whether the cache has a listing of the whole commit: then what it lacks is `absent`, and else
            unknown.
        absent: Files of the commit that the cache's own listing names and that were not downloaded.
        written: When a file was last put into this snapshot, ISO 8601; empty if that is not known.
    """

    other_commits: tuple[CommitInfo, ...] = ()
    incomplete: tuple[str, ...] = ()
    listed: bool = False
    absent: tuple[FileEntry, ...] = ()
    written: str = ""


@attrs.frozen(kw_only=True)
class Snapshot:
    """One state of a repository: a commit, a cached commit, or a folder as it is.

    Attributes:
        source: Where it comes from: `hub`, `folder`, `cache`, `git` or `memory`.
        repo_id: `org/name`, where the source knows it.
        revision: The branch, tag or hash as asked for, or None if none was.
        commit: 40 hex digits, or None if nothing says which commit this is.
        files: Path to entry, sorted by path.
        refs: Branches and tags that the source knows, name to commit.
        newer: Commits that the source knows to come after this one, oldest first.
        cache: For a cached snapshot, what lies beside it.
        hub: For a snapshot of the hub, what the hub says beside the files.
        reader: How bytes are reached; None for a snapshot out of a report. Not part of equality.
    """

    source: str
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    files: Mapping[str, FileEntry] = attrs.field(converter=frozen_mapping)
    refs: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    newer: tuple[CommitInfo, ...] = ()
    cache: CacheState | None = None
    hub: HubState | None = None
    reader: Reader | None = attrs.field(default=None, eq=False, repr=False)

    @property
    def names(self) -> frozenset[str]:
        """Every id that the repository is known to go by, old and new; empty if none is."""
        told = (self.repo_id, *(() if self.hub is None else (self.hub.repo_id, self.hub.asked_id)))
        return frozenset(name for name in told if name)
