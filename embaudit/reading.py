"""Reads what a snapshot holds: its files, its declared settings, its checkpoints.

Joins `embaudit.sources`, which knows where bytes come from, with `embaudit.formats`, which knows what they
mean, and is the only module to do so. Knows which files of a repository are weights of their own, and how
shards come together. Refuses to know any byte layout, and what a loader would make of it all.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs

from embaudit.errors import FormatError, LimitError, SourceError, TargetError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.declared import MODULES, check_declared, declared_paths, parse_declared
from embaudit.formats.documents import parse_json
from embaudit.formats.fields import examples, inside, quoted
from embaudit.formats.shard_index import INDEX_MARK, join_shards, parse_shard_index
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint, ShardIndex
from embaudit.model.declaration import BadDocument, Declaration
from embaudit.model.files import FileKind, FileState, Snapshot, kind_of
from embaudit.model.frozen import JSON
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.refs import PathTarget, parse_target
from embaudit.model.weights import WEIGHTS_IN_ORDER, preferred_weights
from embaudit.sources import open_file, open_snapshot

SHARD_READERS = 8
"""Shards read at once: enough to hide the latency of a network, few enough for a disk."""

SHARD_GROUP = 4 * SHARD_READERS
"""Shards that are asked for before their tensors are counted."""

# model-00001-of-00003.safetensors; a variant's model.fp16-00001-... or model-00001-of-00003.fp16....
_SHARD = re.compile(r"-[0-9]{5,}-of-[0-9]{5,}(\.\w+)+$", re.ASCII)
_REMEDIES = {
    FileState.POINTER: "is a Git LFS pointer whose content is not here; fetch it with `git lfs pull`",
    FileState.BROKEN_LINK: "is a symbolic link to nothing; download it again",
    FileState.LOOPING_LINK: "is a symbolic link that leads back to itself; put the file in its place",
    FileState.ESCAPING_LINK: "is a symbolic link out of the repository; put a copy in its place",
    FileState.UNREADABLE: "could not be opened; check its permissions",
    FileState.SPECIAL: "is not a regular file; put one in its place",
}


def view_file(snapshot: Snapshot, path: str) -> ByteView:
    """A listed file, readable in spans.

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
    return ByteView(path, entry.size, partial(snapshot.reader.read, path))


def _absence(snapshot: Snapshot, path: str) -> str:
    not_fetched = snapshot.cache.absent if snapshot.cache is not None else ()
    if any(entry.path == path for entry in not_fetched):
        what = f"{quoted(path)} belongs to the commit but was not downloaded"
        return f"{what}; fetch it with `hf download {snapshot.repo_id} {path}`"
    return f"{quoted(path)} is not among the {len(snapshot.files)} files of the snapshot"


def _read_small(snapshot: Snapshot, path: str, limits: Limits, limit: str = "json_bytes") -> bytes:
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
        return parse_json(_read_small(snapshot, path, limits), limits=limits, on_constant=lambda _text: None)


def read_declaration(snapshot: Snapshot, limits: Limits = DEFAULT_LIMITS) -> Declaration:
    """The settings that a repository declares; never an error, for a file that cannot be used is in `bad`.

    Some files are in both. One that repeats a key is in `documents` with the last value, as python's readers
    have it, and one with `NaN` or an infinity with its text; both are in `bad` as usable, because other
    readers refuse them. One whose top level is of the wrong JSON type is in `documents` as it is, and in
    `bad` as not usable.
    """
    first = declared_paths(snapshot.files)
    documents, bad = _read_declared(snapshot, first, limits)
    listed = declared_paths(snapshot.files, documents.get(MODULES))
    more_documents, more_bad = _read_declared(snapshot, sorted(set(listed) - set(first)), limits)
    return Declaration(documents=documents | more_documents, bad=(*bad, *more_bad))


def _read_declared(
    snapshot: Snapshot, paths: Iterable[str], limits: Limits
) -> tuple[dict[str, JSON], list[BadDocument]]:
    documents: dict[str, JSON] = {}
    bad = []
    for path in paths:
        repeated: list[str] = []
        constants: list[str] = []
        try:
            data = _read_small(snapshot, path, limits, "settings_bytes")
            documents[path] = parse_declared(data, path, limits, repeated.append, constants.append)
            check_declared(documents[path], path)
        except (SourceError, FormatError, LimitError) as error:
            bad.append(BadDocument(path=path, problem=str(error)))
            continue
        problems = _leniencies(repeated, constants)
        bad += (BadDocument(path=path, problem=problem, usable=True) for problem in problems)
    return documents, bad


def _leniencies(repeated: Sequence[str], constants: Sequence[str]) -> Iterator[str]:
    """What a document asks of its readers beyond strict JSON."""
    if repeated:
        yield f"repeats {examples(repeated, 'key')}; the last value is taken, and some readers refuse"
    if constants:
        found = examples(constants, "number")
        yield f"holds {found} that JSON cannot write; python reads this, and some readers refuse"


def read_index(snapshot: Snapshot, path: str, limits: Limits = DEFAULT_LIMITS) -> ShardIndex:
    """The shard index at `path`.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If the file cannot be read.
        FormatError: If it is not a shard index.
        LimitError: If it is too large, or names too many tensors or shards.
    """
    return parse_shard_index(_read_small(snapshot, path, limits), path, limits)


def read_indexes(snapshot: Snapshot, limits: Limits = DEFAULT_LIMITS) -> tuple[ShardIndex, ...]:
    """Every index of a torch or safetensors checkpoint that can be used, by path; others are left out."""
    indexes = []
    for path in snapshot.files:
        if _is_index(path):
            with suppress(SourceError, FormatError, LimitError):
                indexes.append(read_index(snapshot, path, limits))
    return tuple(indexes)


def checkpoint_names(
    snapshot: Snapshot, indexes: Iterable[ShardIndex] | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[str, ...]:
    """The files that `read_checkpoint` takes, each a checkpoint of its own: indexes and single files.

    A file that an index claims counts only if loaders open it by its name all the same (`WEIGHTS_IN_ORDER`),
    and a file named like a shard never does (see `orphan_shards`). The root comes first, then folder by
    folder; in each, safetensors before the rest, and the names of `WEIGHTS_IN_ORDER` before others.

    Args:
        snapshot: Where to look.
        indexes: The usable indexes, if they are read already.
        limits: Bounds on the indexes read here otherwise.
    """
    claimed = _claimed(read_indexes(snapshot, limits) if indexes is None else indexes)
    singles = (path for path in _weights(snapshot) if _stands_alone(path, claimed))
    return tuple(sorted((*filter(_is_index, snapshot.files), *singles), key=_rank))


def orphan_shards(snapshot: Snapshot, indexes: Iterable[ShardIndex]) -> tuple[str, ...]:
    """Weight files named like a shard (`-00001-of-00003`) that none of the indexes claims, by path."""
    claimed = _claimed(indexes)
    return tuple(path for path in _weights(snapshot) if _SHARD.search(path) and path not in claimed)


def _is_index(path: str) -> bool:
    """Whether a path is that of an index over files of a format that embaudit reads."""
    return kind_of(path) is FileKind.WEIGHTS_INDEX and kind_of(_indexed(path)) is FileKind.WEIGHTS


def _indexed(path: str) -> str:
    """The single file in whose place an index stands: `a/model.bin` for `a/model.bin.index.json`."""
    return path.rpartition(INDEX_MARK)[0] or path


def _weights(snapshot: Snapshot) -> Iterator[str]:
    return (path for path, entry in snapshot.files.items() if entry.kind is FileKind.WEIGHTS)


def _claimed(indexes: Iterable[ShardIndex]) -> set[str]:
    return {shard for index in indexes for shard in index.weight_map.values()}


def _stands_alone(path: str, claimed: Collection[str]) -> bool:
    if path.rpartition("/")[2] in WEIGHTS_IN_ORDER:
        return True
    return path not in claimed and _SHARD.search(path) is None


def _rank(path: str) -> tuple[str, bool, int, str]:
    folder, _, name = path.rpartition("/")
    order = WEIGHTS_IN_ORDER.index(name) if name in WEIGHTS_IN_ORDER else len(WEIGHTS_IN_ORDER)
    is_safetensors = _indexed(name).endswith(".safetensors")
    return folder, not is_safetensors, order, path


def read_checkpoint(snapshot: Snapshot, name: str, limits: Limits = DEFAULT_LIMITS) -> Checkpoint:
    """The checkpoint of this name, from headers alone: a weight file, or an index with its shards.

    Raises:
        TargetError: If the snapshot lists no such file.
        SourceError: If a file cannot be read; a shard that is not listed is in `missing_files` instead.
        FormatError: If a file does not follow its format, or shards are of different formats.
        LimitError: If a file, or the shards together, exceed a limit.
    """
    if not name.endswith(".json"):
        return attrs.evolve(_read_file(snapshot, limits, name), reader=snapshot.reader)
    index = read_index(snapshot, name, limits)
    named = sorted(set(index.weight_map.values()))
    shards = _read_shards(snapshot, [path for path in named if path in snapshot.files], index, limits)
    missing = [path for path in named if path not in snapshot.files]
    return attrs.evolve(join_shards(index, shards, missing), reader=snapshot.reader)


def _read_file(snapshot: Snapshot, limits: Limits, path: str) -> Checkpoint:
    with inside(path):
        return parse_checkpoint(view_file(snapshot, path), limits)


def _read_shards(
    snapshot: Snapshot, paths: Sequence[str], index: ShardIndex, limits: Limits
) -> tuple[Checkpoint, ...]:
    """All shards, several at once; in groups, so that no more than a group is read beyond the limit."""
    shards: list[Checkpoint] = []
    n_tensors = 0
    with ThreadPoolExecutor(max_workers=SHARD_READERS) as pool:
        for start in range(0, len(paths), SHARD_GROUP):
            group = paths[start : start + SHARD_GROUP]
            shards.extend(pool.map(partial(_read_file, snapshot, limits), group))
            n_tensors += sum(len(shard.tensors) for shard in shards[start:])
            if n_tensors > limits.tensors:
                problem = f"the shards hold {n_tensors} tensors or more, the limit is {limits.tensors}"
                raise LimitError(problem, index.path, "tensors")
    return tuple(shards)


def open_checkpoint(
    target: str | os.PathLike[str] | Snapshot | Checkpoint,
    name: str | None = None,
    *,
    revision: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Checkpoint:
    """The checkpoint at a target, from headers alone.

    Args:
        target: A weight file or index on this disk (here `model.safetensors` means the file), anything else
            that a target may be, a snapshot, or a checkpoint, which is given back as it is.
        name: The weight file or index inside the repository. Without it, the one that loaders open first
            (`WEIGHTS_IN_ORDER`), else the only one in the root, else the only one there is.
        revision: For a target that has revisions, as for `embaudit.sources.open_snapshot`.
        limits: Bounds on everything that is read.

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
    return read_checkpoint(snapshot, name, limits)


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
