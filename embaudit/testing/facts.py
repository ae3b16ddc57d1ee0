"""Facts made by hand, with every field that does not matter filled in: for tests of rules and renderers."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, PickleSummary
from embaudit.model.dtypes import DType
from embaudit.model.files import FileEntry, FileState, Snapshot, kind_of
from embaudit.model.lock import Lock, LockedCheckpoint, LockedFile, LockedTensor
from embaudit.model.prediction import LoadPrediction, Outcome, PredictedLoad
from embaudit.model.tensor_map import Depth, TensorPair
from embaudit.model.tensors import TensorInfo, contiguous_stride

COMMIT_A, COMMIT_B = "a" * 40, "b" * 40
"""Two commits."""


def make_tensor(name: str, shape: Iterable[int] = (2, 3), **fields: Any) -> TensorInfo:
    """A tensor; contiguous float32 in a storage of its own unless `fields` say otherwise."""
    sizes = tuple(shape)
    offset = fields.get("storage_offset", 0)
    dtype = fields.get("dtype", DType.FLOAT32)
    start = fields.pop("start", 64 + offset * dtype.item_bytes)
    defaults = {
        "name": name,
        "dtype": dtype,
        "shape": sizes,
        "stride": contiguous_stride(sizes),
        "storage_offset": offset,
        "storage": name,
        "file": "pytorch_model.bin",
        "start": start,
    }
    tensor = TensorInfo(**{**defaults, "stop": start, **fields})
    return (
        tensor if "stop" in fields else TensorInfo(**{**defaults, **fields, "stop": start + tensor.n_bytes})
    )


def make_checkpoint(tensors: Iterable[TensorInfo | str] = ("weight",), **fields: Any) -> Checkpoint:
    """A checkpoint of these tensors (or of tensors with these names), a torch zip file by default."""
    made = [make_tensor(each) if isinstance(each, str) else each for each in tensors]
    defaults: dict[str, Any] = {
        "name": "pytorch_model.bin",
        "format": CheckpointFormat.TORCH_ZIP,
        "files": ("pytorch_model.bin",),
        "tensors": {tensor.name: tensor for tensor in made},
        "pickle": PickleSummary(protocol=2),
    }
    return Checkpoint(**{**defaults, **fields})


def make_entry(path: str, **fields: Any) -> FileEntry:
    """A file of a snapshot, present and of ten bytes by default."""
    return FileEntry(
        **{"path": path, "size": 10, "kind": kind_of(path), "state": FileState.PRESENT, **fields}
    )


def make_snapshot(files: Iterable[str | FileEntry] = (), **fields: Any) -> Snapshot:
    """A snapshot of these files, from a folder by default."""
    entries = [make_entry(each) if isinstance(each, str) else each for each in files]
    listing: Mapping[str, FileEntry] = {entry.path: entry for entry in entries}
    return Snapshot(**{"source": "folder", "files": listing, **fields})


def make_pair(left: str, right: str | None = None, **fields: Any) -> TensorPair:
    """A pair of equal float32 headers, not compared by value, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "left": left,
        "right": left if right is None else right,
        "left_dtype": DType.FLOAT32,
        "right_dtype": DType.FLOAT32,
        "left_shape": (2, 3),
        "right_shape": (2, 3),
    }
    return TensorPair(**{**defaults, **fields})


def make_load(outcome: Outcome = Outcome.FAITHFUL, **fields: Any) -> PredictedLoad:
    """What transformers 5 does with a `model.safetensors`, unless `fields` say otherwise."""
    defaults: dict[str, Any] = {
        "loader": "transformers",
        "versions": ">=5.0.0,<=5.23.0",
        "files": ("model.safetensors",),
        "dtype": "float32",
    }
    return PredictedLoad(**{**defaults, "outcome": outcome, **fields})


def make_prediction(*loads: PredictedLoad, version: str = "") -> LoadPrediction:
    """A prediction of these behaviours, oldest first; the most harmful of them on top."""
    worst = min(loads, key=lambda load: tuple(Outcome).index(load.outcome))
    fields = {field.name: getattr(worst, field.name) for field in attrs.fields(PredictedLoad)}
    return LoadPrediction(**fields, asked=f"{worst.loader}{version}", version=version, eras=loads)


def make_locked(digests: Mapping[str, str | None], *files: str, **fields: Any) -> LockedCheckpoint:
    """A locked checkpoint of float32 tensors of these digests, in one safetensors file by default."""
    defaults: dict[str, Any] = {
        "format": CheckpointFormat.SAFETENSORS,
        "files": files or ("model.safetensors",),
        "tensors": {
            name: LockedTensor(dtype=DType.FLOAT32, shape=(2, 3), sha256=digest)
            for name, digest in digests.items()
        },
    }
    return LockedCheckpoint(**{**defaults, **fields})


def make_lock(files: Mapping[str, str | None] | None = None, **fields: Any) -> Lock:
    """A lock of files of these SHA-256, ten bytes each, at depth full."""
    defaults: dict[str, Any] = {
        "tool_version": "1.0.0",
        "created": "2026-01-01T00:00:00+00:00",
        "target": "org/name",
        "source": "hub",
        "depth": Depth.FULL,
        "files": {
            path: LockedFile(size=10, sha256=digest, kind=kind_of(path))
            for path, digest in (files or {}).items()
        },
    }
    return Lock(**{**defaults, **fields})
