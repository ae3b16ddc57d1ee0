"""What a user names as a checkpoint: a weight file on this disk, or one of a repository."""

import os
from pathlib import Path

from embaudit.errors import TargetError
from embaudit.formats.fields import examples, quoted
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import FileKind, Snapshot, kind_of
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.refs import PathTarget, parse_target
from embaudit.model.weights import preferred_weights
from embaudit.reading.checkpoints import read_checkpoint
from embaudit.reading.weight_names import checkpoint_names
from embaudit.sources import open_file, open_snapshot


def open_checkpoint(
    target: str | os.PathLike[str] | Snapshot | Checkpoint,
    name: str | None = None,
    *,
    revision: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    exact: bool = False,
) -> Checkpoint:
    """The checkpoint at a target, from headers alone.

    Args:
        target: A weight file or index on this disk (here `model.safetensors` means the file), anything else
            that a target may be, a snapshot, or a checkpoint, which is given back as it is.
        name: The weight file or index inside the repository. Without it, the one that loaders open first
            (`WEIGHTS_IN_ORDER`), else the only one in the root, else the only one there is.
        revision: For a target that has revisions, as for `embaudit.sources.open_snapshot`.
        limits: Bounds on everything that is read.
        exact: As for `read_checkpoint`: whether values are going to be read.

    Raises:
        TargetError: If the target is not understood or not found, or holds no checkpoint, or several.
        SourceError: If bytes cannot be read.
        FormatError: If a file does not follow its format.
        LimitError: If a file exceeds a limit.
    """
    path = None if isinstance(target, Snapshot | Checkpoint) else _path_of_file(target)
    if isinstance(target, Checkpoint) or path is not None:
        _refuse("name", name)
        _refuse("revision", revision)
    if isinstance(target, Checkpoint):
        return target
    if path is not None:
        snapshot, name = open_file(path, limits=limits)
    else:
        snapshot = open_snapshot(target, revision=revision, limits=limits)
    if name is None:
        name = _first_name(snapshot, limits)
    return read_checkpoint(snapshot, name, limits, exact=exact)


def _path_of_file(target: str | os.PathLike[str]) -> Path | None:
    """The file on this disk that a target names, or None: what is wrong then is for `open_snapshot`.

    A name alone never means a folder, but one that ends like a weight file and is one means that file: no
    repository is called `model.safetensors`.
    """
    try:
        if kind_of(os.fspath(target)) in _WEIGHT_KINDS and Path(target).is_file():
            return Path(target)
        parsed = parse_target(target)
        path = Path(parsed.text).expanduser() if isinstance(parsed, PathTarget) else None
        return path if path is not None and path.is_file() else None
    except (OSError, RuntimeError, TypeError, ValueError):
        return None


_WEIGHT_KINDS = {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX}


def _refuse(argument: str, value: str | None) -> None:
    if value is not None:
        raise TargetError(f"the target is one file already, so {argument}={quoted(value)} has no meaning")


def _first_name(snapshot: Snapshot, limits: Limits) -> str:
    preferred = preferred_weights(snapshot.files)
    if preferred is not None:
        return preferred
    names = checkpoint_names(snapshot, limits=limits)
    if not names:
        raise TargetError(f"no weight file is among the {len(snapshot.files)} files of the snapshot")
    candidates = [name for name in names if "/" not in name] or names
    if len(candidates) > 1:
        raise TargetError(f"which one is meant? The snapshot holds {examples(candidates, 'checkpoint')}")
    return candidates[0]
