"""EMB120 to EMB129: shard indexes, held against the shards."""

from collections.abc import Iterator

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.facts import WeightFiles
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.words import plural
from embaudit.rules.evidence import MAX_LISTED, be, listed, some
from embaudit.rules.registry import rule


@rule("EMB120", Severity.ERROR)
def shard_is_missing(checkpoint: Checkpoint) -> Iterator[Observation]:
    """A shard that the index names is not in the snapshot.

    Loaders refuse, or fall back to another weight file of the repository if there is one.
    """
    for path in checkpoint.missing_files:
        names = _mapped_to(checkpoint, path)
        yield Observation(
            message=f"`{path}` is not there; `{checkpoint.name}` maps {plural(len(names), 'tensor')} to it.",
            where=Where(path=path),
            evidence={"index": checkpoint.name, "tensors": listed(names)},
            remedy="Download or commit the shard.",
        )


def _mapped_to(checkpoint: Checkpoint, path: str) -> list[str]:
    if checkpoint.index is None:
        return []
    return [name for name, file in checkpoint.index.weight_map.items() if file == path]


@rule("EMB121", Severity.WARNING)
def shard_is_orphaned(files: WeightFiles) -> Iterator[Observation]:
    """A file is named like a shard, and no index claims it.

    It is left over from an earlier upload. Loaders that follow the index ignore it; vLLM without an index and
    llama.cpp's converter read every file of that pattern.
    """
    for path in files.orphan_shards:
        yield Observation(
            message=f"`{path}` belongs to no index.",
            where=Where(path=path),
            evidence={"path": path},
            remedy="Delete it, or restore the index that names it.",
        )


@rule("EMB122", Severity.ERROR)
def indexed_tensor_is_missing(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The index maps a tensor to a shard that does not hold it.

    transformers 5.23 reports the parameter as missing and starts it at random values; transformers 4.57 says
    nothing and leaves it without any memory behind it, so that the model gives other vectors on each call.
    """
    if checkpoint.index is None:
        return
    absent = [
        name
        for name, file in checkpoint.index.weight_map.items()
        if file not in checkpoint.missing_files
        and (name not in checkpoint.tensors or checkpoint.tensors[name].file != file)
    ]
    if absent:
        yield Observation(
            message=(
                f"{plural(len(absent), 'tensor')} {be(len(absent))} not in the shard that the index names:"
                f" {some(absent)}."
            ),
            where=Where(path=checkpoint.name, tensor=absent[0]),
            evidence={"tensors": {name: checkpoint.index.weight_map[name] for name in absent[:MAX_LISTED]}},
            remedy="Write the index again from the shards.",
        )


@rule("EMB123", Severity.WARNING)
def tensor_is_not_indexed(checkpoint: Checkpoint) -> Iterator[Observation]:
    """A shard holds a tensor that the index does not mention.

    transformers 5 loads every tensor of the shards that the index names, readers that follow the map do not
    see this one: the same repository gives two models.
    """
    if checkpoint.index is None:
        return
    extra = [name for name in checkpoint.tensors if name not in checkpoint.index.weight_map]
    if extra:
        yield Observation(
            message=(
                f"{plural(len(extra), 'tensor')} of the shards {be(len(extra))} not in the index:"
                f" {some(extra)}."
            ),
            where=Where(path=checkpoint.name, tensor=extra[0]),
            evidence={"tensors": {name: checkpoint.tensors[name].file for name in extra[:MAX_LISTED]}},
            remedy="Write the index again from the shards.",
        )


@rule("EMB124", Severity.INFO)
def total_size_is_wrong(checkpoint: Checkpoint) -> Iterator[Observation]:
    """The index declares another total size than the tensors have.

    Nothing enforces the number, so no loader fails; it shows that index and shards come from different runs.
    """
    index = checkpoint.index
    if index is None or index.total_size is None or checkpoint.missing_files:
        return
    if index.total_size != checkpoint.n_bytes:
        yield Observation(
            message=f"`total_size` is {index.total_size:,}; the tensors have {checkpoint.n_bytes:,} bytes.",
            where=Where(path=checkpoint.name, field="metadata.total_size"),
            evidence={"declared": index.total_size, "stored": checkpoint.n_bytes},
            remedy="Write the index again from the shards.",
        )
