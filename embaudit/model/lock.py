"""What a snapshot was when somebody locked it: every digest, and how a later one lies to it.

Knows nothing of files in which locks are kept, or of how digests are taken.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.files import FileKind
from embaudit.model.frozen import JSON, FrozenMapping, freeze_object
from embaudit.model.policy import Policy
from embaudit.model.prediction import Outcome
from embaudit.model.probe import Probe, ProbeDrift, ServerMismatch
from embaudit.model.tensor_map import Depth

LOCK_SCHEMA_VERSION = "1.0"
"""Version of the JSON form. The second number grows when members are added, which readers of the older form
ignore; the first when a reader of the older form would be misled."""


def sorted_mapping(items: Mapping[str, Any]) -> Mapping[str, Any]:
    """An immutable mapping in the order of its keys: the converter for what is listed in a lock."""
    return FrozenMapping({key: items[key] for key in sorted(items)})


@attrs.frozen(kw_only=True)
class LockedFile:
    """One file, as its bytes are.

    Attributes:
        size: Bytes, or None if the source cannot tell.
        sha256: Hex digest of the content; None where only the git id is known.
        git_sha1: Hex id of the content as a git blob, by which hubs and clones name the files that git itself
            holds; None for large files, which Git LFS holds, and where only the SHA-256 is known.
        kind: What the file is for.
    """

    size: int | None
    sha256: str | None
    git_sha1: str | None = None
    kind: FileKind


@attrs.frozen(kw_only=True)
class LockedTensor:
    """One tensor, whatever file holds it.

    Attributes:
        dtype: The element type as stored.
        shape: Sizes in elements, outermost first; `()` for a scalar.
        sha256: The digest of `embaudit.values.tensor_digest`, which sharding, format, stride and byte order
            leave as it is; None if no values were read.
    """

    dtype: DType
    shape: tuple[int, ...]
    sha256: str | None = None


@attrs.frozen(kw_only=True)
class LockedCheckpoint:
    """One model's weights: a single file, or the shards of an index.

    Attributes:
        format: The container.
        files: Paths of the files that hold the tensors, sorted.
        tensors: Name to tensor.
        tied: Groups of names whose tensors are the very same elements of the same storage.
    """

    format: CheckpointFormat
    files: tuple[str, ...]
    tensors: Mapping[str, LockedTensor] = attrs.field(converter=sorted_mapping)
    tied: tuple[frozenset[str], ...] = ()


@attrs.frozen(kw_only=True)
class LockedCode:
    """Code of another repository that this one asks its loaders to run.

    Attributes:
        where: File and field that ask for it: `config.json: auto_map.AutoModel`.
        reference: As it stands there: `org/code--modeling.Model`.
        repo_id: The other repository.
        commit: The newest commit of it, which loaders take: 40 hex digits, or None if nobody could tell.
    """

    where: str
    reference: str
    repo_id: str
    commit: str | None = None


@attrs.frozen(kw_only=True)
class LockedProbe:
    """A golden probe that is kept beside the lock.

    Attributes:
        path: Its `.safetensors` file, from the folder of the lock, with forward slashes.
        sha256: Hex digest of that file.
        backend: What was asked for the vectors.
        n_texts: Texts that it has vectors of.
        dimension: Numbers of one vector.
    """

    path: str
    sha256: str
    backend: str
    n_texts: int
    dimension: int


@attrs.frozen(kw_only=True)
class Lock:
    """What a snapshot is: its files, its tensors, and what is made of them.

    Attributes:
        schema_version: Version of the JSON form.
        tool_version: The embaudit that measured it.
        created: When, ISO 8601 in UTC.
        target: What was locked, as asked for.
        source: Where it came from: `hub`, `folder`, `cache`, `git` or `memory`.
        repo_id: `org/name`, where the source knows it.
        revision: The revision as asked for.
        commit: 40 hex digits, or None if nothing says which commit it is.
        depth: Whether values were read: `full`, or `headers`.
        files: Path to file.
        checkpoints: Name to weights, for every weight file that could be read.
        settings: Path to parsed JSON, for the files that declare settings and tokenizers; values that are
            large stand as an object of their SHA-256 and size.
        pipeline: What the repository declares of the way from tokens to vectors.
        tokenizer: Digest over the files of the tokenizer: SHA-256 of a line for each, sorted by path, that
            is the SHA-256 of the file, two spaces, its path, and a newline. None without such files, or where
            one has no SHA-256 here.
        remote_code: Code of other repositories that loaders are asked to run.
        loads: What each loader that was asked about makes of it, by the request: `tei==1.5.0`.
        policy: The policy that goes with it, or None.
        probe: The golden probe that goes with it, or None.
        problems: Path to reason, for what could not be measured.
    """

    schema_version: str = LOCK_SCHEMA_VERSION
    tool_version: str
    created: str
    target: str
    source: str
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    depth: Depth
    files: Mapping[str, LockedFile] = attrs.field(factory=FrozenMapping, converter=sorted_mapping)
    checkpoints: Mapping[str, LockedCheckpoint] = attrs.field(factory=FrozenMapping, converter=sorted_mapping)
    settings: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    pipeline: EmbeddingPipeline | None = None
    tokenizer: str | None = None
    remote_code: tuple[LockedCode, ...] = ()
    loads: Mapping[str, Outcome] = attrs.field(factory=FrozenMapping, converter=sorted_mapping)
    policy: Policy | None = None
    probe: LockedProbe | None = None
    problems: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=sorted_mapping)

    def __repr__(self) -> str:
        pinned = f"@{self.commit}" if self.commit else ""
        return (
            f"<Lock {self.target!r}{pinned}: {len(self.files)} files, {len(self.checkpoints)} checkpoints,"
            f" {self.depth}>"
        )


@attrs.frozen(kw_only=True)
class LockDrift:
    """A lock, and the same measures of what is there now.

    Attributes:
        locked: The lock.
        found: What is there.
    """

    locked: Lock
    found: Lock


@attrs.frozen(kw_only=True)
class ServedDrift:
    """A lock, and what a running server makes of texts now.

    Attributes:
        locked: The lock.
        current: What the server makes of them.
        drift: How that differs from the golden probe; None where there is none to compare with.
        mismatches: What the server says of itself, and is otherwise in the lock.
    """

    locked: Lock
    current: Probe
    drift: ProbeDrift | None = None
    mismatches: tuple[ServerMismatch, ...] = ()
