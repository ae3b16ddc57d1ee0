"""Sharded checkpoints: the `*.index.json` that names a tensor's file, and the files taken together.

Knows the layout that transformers and huggingface_hub write (`{"metadata": {"total_size": ...},
"weight_map": {tensor: file}}`, huggingface_hub 2.4.0, `serialization/_base.py` and `_torch.py`) and that file
names count from the index's own folder. Refuses to know whether those files exist or agree with the index.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.documents import parse_json
from embaudit.formats.fields import (
    OBJECT,
    TEXT,
    examples,
    expect,
    inside,
    quoted,
    take_as,
    take_optional,
)
from embaudit.model.checkpoint import (
    Checkpoint,
    CheckpointFormat,
    Oddity,
    PickleGlobal,
    PickleSummary,
    ShardIndex,
)
from embaudit.model.frozen import JSON
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.tensors import TensorInfo

INDEX_MARK = ".index."
"""Follows, in the name of an index, that of the file in whose place it stands:
`model.safetensors.index.json`, `model.safetensors.index.fp16.json`."""


def parse_shard_index(data: bytes, path: str, limits: Limits = DEFAULT_LIMITS) -> ShardIndex:
    """The index at `path` inside its repository, with shard paths counted from the repository's root.

    Nothing enforces `total_size` when a checkpoint is loaded, so a value that is not a whole number of bytes
    is no error: `ShardIndex.total_size` is then None, and `metadata` still holds it.

    Raises:
        FormatError: If it is not a JSON object of this layout, repeats a key, or names a file outside its
            folder.
        LimitError: If it is too large or too deep, or names more tensors or shards than allowed.
    """
    with inside(path):
        document = expect(parse_json(data, limits=limits), OBJECT)
        stated = take_optional(document, "metadata", OBJECT)
        metadata = stated or {}
        folder = str(PurePosixPath(path).parent)

        def resolve(weight_map: Mapping[str, JSON]) -> dict[str, str]:
            _check_counts(weight_map, limits)
            return _resolve_all(weight_map, folder)

        return ShardIndex(
            path=path,
            weight_map=take_as(document, "weight_map", OBJECT, resolve),
            total_size=_whole(metadata.get("total_size")),
            metadata=metadata,
            has_metadata=stated is not None,
        )


def join_shards(index: ShardIndex, shards: Sequence[Checkpoint], missing: Sequence[str] = ()) -> Checkpoint:
    """The checkpoint that the shards of an index make up.

    All tensors of all shards are in it, whether the index names them or not. Of a tensor that several shards
    hold, the one in the shard that the index names is kept, else the last: transformers loads the shards in
    the order of their paths, and a later tensor replaces an earlier one. The others are told as an oddity.
    `metadata` and `state_dict` are those of the first shard that has them.

    Args:
        index: The index that names the shards.
        shards: One checkpoint a file, in the order of their paths.
        missing: Files that the index names and the repository lacks.

    Raises:
        FormatError: If the shards are of different formats.
    """
    tensors, repeated = _join_tensors(index, shards)
    return Checkpoint(
        name=index.path,
        format=_format_of(index, shards),
        files=tuple(sorted(shard.name for shard in shards)),
        tensors=tensors,
        metadata=dict(chain.from_iterable(shard.metadata.items() for shard in reversed(shards))),
        tied=tuple(_tied_groups(shards, tensors)),
        pickle=_join_pickles(shards),
        state_dict=next((shard.state_dict for shard in shards if shard.state_dict), ""),
        index=index,
        missing_files=tuple(missing),
        oddities=(
            *chain.from_iterable(shard.oddities for shard in shards),
            *_join_oddities(shards, repeated),
        ),
        inferred=sum(shard.inferred for shard in shards),
    )


def _check_counts(weight_map: Mapping[str, JSON], limits: Limits) -> None:
    if len(weight_map) > limits.tensors:
        problem = f"names {len(weight_map)} tensors, the limit is {limits.tensors}"
        raise LimitError(problem, limit="tensors")
    n_shards = len({shard for shard in weight_map.values() if isinstance(shard, str)})
    if n_shards > limits.shards:
        raise LimitError(f"names {n_shards} files, the limit is {limits.shards}", limit="shards")


def _resolve_all(weight_map: Mapping[str, JSON], folder: str) -> dict[str, str]:
    resolved: dict[str, str] = {}
    result = {}
    for tensor, value in weight_map.items():
        path = resolved.get(value) if isinstance(value, str) else None
        if path is None:
            with inside(quoted(tensor)):
                shard = expect(value, TEXT)
                path = resolved[shard] = _resolve(shard, folder)
        result[tensor] = path
    return result


def _resolve(shard: str, folder: str) -> str:
    """The shard's path from the repository's root.

    Raises:
        FormatError: If it is absolute, an address, climbs with `..`, or holds a backslash or a NUL.
    """
    parts = shard.split("/")
    if "\\" in shard or "\0" in shard or ":" in parts[0]:
        raise FormatError(f"{quoted(shard)} is not a plain relative path")
    if "" in parts or ".." in parts or parts[-1] == ".":
        raise FormatError(f"{quoted(shard)} does not name a file inside the index's folder")
    return str(PurePosixPath(folder, shard))


def _whole(value: JSON) -> int | None:
    """A number of bytes; writers that divide leave it a float, which counts if it is whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        return None
    return int(value) if value == int(value) else None


def _format_of(index: ShardIndex, shards: Sequence[Checkpoint]) -> CheckpointFormat:
    """The format of all shards; where none is there, what the index's name says."""
    if not shards:
        is_safetensors = index.path.rpartition(INDEX_MARK)[0].endswith(".safetensors")
        return CheckpointFormat.SAFETENSORS if is_safetensors else CheckpointFormat.TORCH_ZIP
    first = shards[0]
    for shard in shards:
        if shard.format is not first.format:
            problem = f"{first.name} is {first.format}, but {shard.name} is {shard.format}"
            raise FormatError(problem, index.path)
    return first.format


def _join_tensors(
    index: ShardIndex, shards: Iterable[Checkpoint]
) -> tuple[dict[str, TensorInfo], dict[str, list[str]]]:
    """All tensors by name, and by shard the names that an earlier shard holds too."""
    tensors: dict[str, TensorInfo] = {}
    repeated: dict[str, list[str]] = {}
    for shard in shards:
        for name, tensor in shard.tensors.items():
            earlier = tensors.get(name)
            if earlier is not None:
                repeated.setdefault(shard.name, []).append(name)
            if earlier is None or index.weight_map.get(name) != earlier.file:
                tensors[name] = tensor
    return tensors, repeated


def _tied_groups(shards: Iterable[Checkpoint], tensors: Mapping[str, TensorInfo]) -> Iterable[frozenset[str]]:
    """The groups of each shard, without the names that another shard's tensor stands for."""
    for shard in shards:
        for group in shard.tied:
            kept = frozenset(name for name in group if tensors[name].file == shard.name)
            if len(kept) > 1:
                yield kept


def _join_pickles(shards: Sequence[Checkpoint]) -> PickleSummary | None:
    pickles = [(shard.name, shard.pickle) for shard in shards if shard.pickle is not None]
    if not pickles:
        return None
    found: dict[tuple[str, str], PickleGlobal] = {}
    for _, pickle in pickles:
        for item in pickle.globals:
            known = found.setdefault((item.module, item.name), item)
            found[item.module, item.name] = attrs.evolve(known, called=known.called or item.called)
    return PickleSummary(
        protocol=max(pickle.protocol for _, pickle in pickles),
        globals=tuple(found.values()),
        tensor_only=all(pickle.tensor_only for _, pickle in pickles),
        reasons=tuple(f"{name}: {reason}" for name, pickle in pickles for reason in pickle.reasons),
    )


def _join_oddities(shards: Iterable[Checkpoint], repeated: Mapping[str, Sequence[str]]) -> Iterable[Oddity]:
    for file, names in repeated.items():
        yield Oddity(file=file, problem=f"holds {examples(names)} that an earlier shard holds too")
    wrappers = sorted({shard.state_dict for shard in shards})
    for shard in shards if len(wrappers) > 1 else ():
        yield Oddity(
            file=shard.name, problem=f"keeps its tensors under {quoted(shard.state_dict)}, unlike others"
        )
