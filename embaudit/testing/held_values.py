"""Which weight files the parameters of a loaded sentence-transformers model came from, told by their values.

torch comes in on demand, where stored values are cast; nothing is unpickled, the files are read by embaudit.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from embaudit.model.tensors import TensorInfo
from embaudit.reading import read_repository
from embaudit.sources import open_snapshot


@attrs.frozen(kw_only=True)
class HeldValues:
    """Where the values of a loaded model were found.

    Attributes:
        files: Paths of the weight files that hold them.
        elsewhere: Names of parameters whose values are in none.
    """

    files: frozenset[str]
    elsewhere: frozenset[str]


_MADE_FROM_SETTINGS = ("WordWeights",)
"""Modules whose parameters are written into their settings."""


def held_values(folder: Path, loaded: Iterable[Mapping[str, Any]]) -> HeldValues:
    """The files that hold the values of a model's parameters, whatever was predicted.

    Args:
        folder: The repository.
        loaded: Its modules in order, as `tests/interop/load_many_with_sentence_transformers.py` tells them.
    """
    checkpoints = read_repository(open_snapshot(folder)).checkpoints
    files, elsewhere = set(), set()
    for path, module in zip(_paths(folder), loaded, strict=False):
        if module["class"] in _MADE_FROM_SETTINGS:
            continue
        stored = [
            tensor
            for name, checkpoint in checkpoints.items()
            if _lies_in(name, path)
            for tensor in checkpoint.tensors.values()
        ]
        for name, parameter in module["parameters"].items():
            found = {tensor.file for tensor in stored if _is_it(folder, tensor, name, parameter)}
            files |= found
            elsewhere |= set() if found else {name}
    return HeldValues(files=frozenset(files), elsewhere=frozenset(elsewhere))


def _paths(folder: Path) -> Iterator[str]:
    """The folder of each module; the root alone where nothing names any."""
    file = folder / "modules.json"
    entries = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    yield from (entry.get("path", "") for entry in entries or [{}])


def _lies_in(name: str, path: str) -> bool:
    """Whether a weight file lies somewhere in a module's folder; in the root none deeper counts."""
    return name.startswith(f"{path}/") if path else "/" not in name


def _is_it(folder: Path, tensor: TensorInfo, name: str, parameter: Mapping[str, Any]) -> bool:
    """Whether a parameter has the name and, cast to its type, the values of a stored tensor."""
    import torch  # noqa: PLC0415 - on demand

    if tensor.name not in (name, "embeddings") and not name.endswith(f".{tensor.name}"):
        return False
    content = bytearray((folder / tensor.file).read_bytes()[tensor.start : tensor.stop])
    flat = torch.frombuffer(content, dtype=getattr(torch, str(tensor.dtype)))
    cast = flat.as_strided(tensor.shape, tensor.stride).to(getattr(torch, parameter["dtype"]))
    raw = cast.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(raw).hexdigest() == str(parameter["sha256"])
