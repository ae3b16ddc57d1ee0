"""Which weight file text-embeddings-inference opens, and what has to be at hand for that.

Knows two orders. What is downloaded under a model's name: `model.safetensors`, else the shards of
`model.safetensors.index.json`, else `pytorch_model.bin`. What is loaded from the folder that this gives, or
from one that the server is pointed at: `model.safetensors`, else `pytorch_model.bin`, else the shards. So a
folder with shards and `pytorch_model.bin` is loaded from the one, and the same repository under its name from
the other.

Source: `download_safetensors` and `init_backend` of `backends/src/lib.rs`, and `CandleBackend::new` of
`backends/candle/src/lib.rs`, in https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3.
"""

import enum

import attrs

from embaudit.loaders.listing import exists, is_unseen
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import UnreadableFile
from embaudit.model.files import Snapshot
from embaudit.model.repository import Repository

SAFETENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TORCH = "pytorch_model.bin"
ONNX = ("model.onnx", "onnx/model.onnx")
"""In the order of preference."""


class Served(str, enum.Enum):
    """How the server is told which model to serve."""

    AS_FOLDER = "folder"
    """By a path, or by a name of which the cache holds every file: the order of loading decides."""
    BY_NAME = "name"
    """By a name of which the cache holds nothing: the order of downloading decides."""


@attrs.frozen(kw_only=True)
class Weights:
    """The weight file that is opened, or why there is none.

    Attributes:
        checkpoint: The file or the shards; None if it is not known or there is none.
        path: Path of the file or the index; empty if there is none.
        refusal: Why the server does not start, one sentence; empty if it opens the file.
        doubt: Why embaudit cannot tell, one sentence; empty if it can.
    """

    # Of one repository, the path tells which; comparing every tensor would take long.
    checkpoint: Checkpoint | None = attrs.field(default=None, eq=False)
    path: str = ""
    refusal: str = ""
    doubt: str = ""


def choose_weights(repository: Repository, served: Served, *, torch: bool, shards: bool) -> Weights:
    """The weight file of the transformer.

    Args:
        repository: The repository.
        served: How it is served.
        torch: Whether this version knows `pytorch_model.bin`.
        shards: Whether it knows sharded safetensors.
    """
    known = [SAFETENSORS, *([TORCH] if torch else []), *([INDEX] if shards else [])]
    if served is Served.BY_NAME:
        known.sort(key=(SAFETENSORS, INDEX, TORCH).index)
    for path in known:
        if exists(repository.snapshot, path) and not (
            served is Served.BY_NAME and _has_gaps(repository, path)
        ):
            return weights_at(repository, path)
    listed = ", ".join(f"`{path}`" for path in known)
    return Weights(refusal=f"There is no weight file that it knows: {listed}.")


def weights_at(repository: Repository, path: str) -> Weights:
    """The weight file at a path where there is one."""
    checkpoint = repository.checkpoints.get(path)
    if checkpoint is not None:
        return Weights(checkpoint=checkpoint, path=path)
    unreadable = repository.unreadable.get(path)
    if unreadable is None:
        return Weights(path=path, doubt=why_unread(repository.snapshot, path))
    if unreadable.limit or path.endswith(".bin"):
        return Weights(path=path, doubt=_cannot_be_read(unreadable))
    return Weights(path=path, refusal=_cannot_be_read(unreadable))


def why_unread(snapshot: Snapshot, path: str) -> str:
    """Why embaudit does not know what is in a file that the server opens, one sentence."""
    if not is_unseen(snapshot, path):
        return f"`{path}` was not read, so what comes of it is not known."
    state = f"what is in it is not at hand ({snapshot.files[path].state})"
    return f"`{path}` is opened, and {state}: what comes of it is not known."


def _cannot_be_read(unreadable: UnreadableFile) -> str:
    return f"`{unreadable.path}` cannot be read: {unreadable.problem}."


def _has_gaps(repository: Repository, path: str) -> bool:
    """Whether shards are named that do not exist: the download of safetensors fails as a whole."""
    checkpoint = repository.checkpoints.get(path)
    return checkpoint is not None and bool(checkpoint.missing_files)


def choose_onnx(snapshot: Snapshot) -> str | None:
    """The ONNX file that ONNX Runtime takes, or None."""
    return next((path for path in ONNX if exists(snapshot, path)), None)


def files_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The files that a checkpoint is read from, the index of its shards included."""
    return tuple(sorted({checkpoint.name, *checkpoint.files}))
