"""Kinds of damage to the files of a repository: containers, shards and their indexes, names, settings.

Each writes tensors into a folder in one way. torch comes in on demand.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from embaudit.testing.damaged_tensors import Tensors

Writer = Callable[[Tensors, Path], None]
"""A way to put tensors into the files of a folder."""

SAFETENSORS, TORCH = "model.safetensors", "pytorch_model.bin"
"""The names under which transformers looks for a single file."""
SAFETENSORS_INDEX, TORCH_INDEX = "model.safetensors.index.json", "pytorch_model.bin.index.json"
"""The names under which transformers looks for the index of shards."""


def in_safetensors(name: str = SAFETENSORS, metadata: Mapping[str, str] | None = None) -> Writer:
    """One safetensors file, by default with the metadata that transformers writes; `{}` is for none."""
    chosen = {"format": "pt"} if metadata is None else dict(metadata)

    def write(tensors: Tensors, folder: Path) -> None:
        from safetensors.torch import save_file  # noqa: PLC0415 - imports torch

        whole = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        save_file(whole, folder / name, metadata=chosen or None)

    return write


def in_torch(name: str = TORCH, *, wrapped: str = "", **how: Any) -> Writer:
    """One file of `torch.save`, whose keyword arguments `how` are.

    Args:
        name: The file's name.
        wrapped: The key under which the state dict lies in another dict; empty where it is the whole.
        how: For `torch.save`.
    """

    def write(tensors: Tensors, folder: Path) -> None:
        import torch  # noqa: PLC0415 - on demand

        torch.save({wrapped: dict(tensors)} if wrapped else dict(tensors), folder / name, **how)

    return write


def in_torch_with(**entries: Any) -> Writer:
    """One file of `torch.save` with further entries beside the tensors."""

    def write(tensors: Tensors, folder: Path) -> None:
        in_torch()({**tensors, **entries}, folder)

    return write


def in_safetensors_shards(*, metadata: Mapping[str, Any] | None = None, n_shards: int = 2) -> Writer:
    """Safetensors shards, the first names in the first, and their index with this metadata."""

    def write(tensors: Tensors, folder: Path) -> None:
        shards = {f"model-0000{n + 1}-of-0000{n_shards}.safetensors": n for n in range(n_shards)}
        _write_shards(tensors, folder, shards, in_safetensors, SAFETENSORS_INDEX, metadata or {})

    return write


def in_torch_shards(*, n_shards: int = 2) -> Writer:
    """Shards of `torch.save` and their index."""

    def write(tensors: Tensors, folder: Path) -> None:
        shards = {f"pytorch_model-0000{n + 1}-of-0000{n_shards}.bin": n for n in range(n_shards)}
        _write_shards(tensors, folder, shards, in_torch, TORCH_INDEX, {})

    return write


def _write_shards(
    tensors: Tensors,
    folder: Path,
    shards: Mapping[str, int],
    writer: Callable[[str], Writer],
    index: str,
    metadata: Mapping[str, Any],
) -> None:
    names = list(tensors)
    size = -(-len(names) // len(shards))
    weight_map = {}
    for shard, place in shards.items():
        held = names[place * size : (place + 1) * size]
        weight_map.update(dict.fromkeys(held, shard))
        writer(shard)({name: tensors[name] for name in held}, folder)
    write_json(folder / index, {"metadata": dict(metadata), "weight_map": weight_map})


def both(first: Writer, second: Writer) -> Writer:
    """Two ways beside each other, the second with other values: every element is larger by one."""

    def write(tensors: Tensors, folder: Path) -> None:
        first(tensors, folder)
        second({name: tensor + 1 for name, tensor in tensors.items()}, folder)

    return write


def then(write: Writer, *changes: Callable[[Path], object]) -> Writer:
    """A way to write, and what happens to the folder afterwards."""

    def write_and_change(tensors: Tensors, folder: Path) -> None:
        write(tensors, folder)
        for change in changes:
            change(folder)

    return write_and_change


def no_weights(_tensors: Tensors, _folder: Path) -> None:
    """No weight file at all."""


def instead(name: str, content: bytes) -> Writer:
    """These bytes in place of the tensors."""

    def write(_tensors: Tensors, folder: Path) -> None:
        (folder / name).write_bytes(content)

    return write


def without_file(name: str) -> Callable[[Path], object]:
    """Deletes a file."""
    return lambda folder: (folder / name).unlink()


def cut(name: str, *, share: float) -> Callable[[Path], object]:
    """Keeps only the first part of a file: `share` of its bytes, from 0 to 1."""

    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return change


def with_file(name: str, content: str | bytes) -> Callable[[Path], object]:
    """Writes a file, over the one of that name."""
    written = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(written)


def index_changed(index: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Changes the parsed index in place and writes it back."""

    def change_file(folder: Path) -> None:
        document = json.loads((folder / index).read_text(encoding="utf-8"))
        change(document)
        write_json(folder / index, document)

    return change_file


def last_unmapped(index: dict[str, Any]) -> None:
    """Takes the last name out of an index; its shard keeps the tensor."""
    index["weight_map"].popitem()


def all_unmapped(index: dict[str, Any]) -> None:
    """Leaves an index that maps nothing."""
    index["weight_map"] = {}


def without_metadata(index: dict[str, Any]) -> None:
    """Takes the metadata out of an index."""
    del index["metadata"]


def index_moved(index: str, new: str) -> Callable[[Path], object]:
    """Gives an index the name of one over files of another format."""
    return lambda folder: (folder / index).rename(folder / new)


def unstored_mapped(index: dict[str, Any]) -> None:
    """Adds to an index a name that no shard holds."""
    index["weight_map"]["encoder.stranger.weight"] = next(iter(index["weight_map"].values()))


def shard_without_first(folder: Path) -> None:
    """Takes the first tensor out of the first safetensors shard; the index keeps its name."""
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    shard = min(folder.glob("model-*.safetensors"))
    tensors = load_file(shard)
    in_safetensors(shard.name)(dict(sorted(tensors.items())[1:]), folder)


def first_in_both_shards(folder: Path) -> None:
    """Stores the first tensor of the first safetensors shard in the second too, with other values."""
    from safetensors.torch import load_file  # noqa: PLC0415 - imports torch

    one, two = sorted(folder.glob("model-*.safetensors"))
    name, tensor = min(load_file(one).items())
    in_safetensors(two.name)({**load_file(two), name: tensor + 1}, folder)


def write_json(path: Path, document: Any) -> None:
    """Write a document as the repositories have it."""
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
