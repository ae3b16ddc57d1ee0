"""A real incident, rebuilt offline in a temporary folder and audited.

A server keeps an old commit of a model in its cache, which has only a `pytorch_model.bin` whose tensors are
views into one flat storage. A later commit adds `model.safetensors`. candle, as text-embeddings-inference up
to 1.6.1 contains it, reads the old file without an error and gets other weights.
"""

import hashlib
import struct
import tempfile
from pathlib import Path

import attrs

from embaudit.model.tensors import TensorInfo
from embaudit.pipeline import audit
from embaudit.reading import read_checkpoint
from embaudit.report import AuditReport
from embaudit.sources import open_snapshot
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    flat,
    save_safetensors,
    save_torch,
)

_REPO_ID = "demo/tiny-bert"
_N_SHOWN = 4
"""Values of a tensor that the explanation prints."""


@attrs.frozen(kw_only=True)
class Demo:
    """What the demonstration shows.

    Attributes:
        story: What was built.
        report: The audit of the old commit against the new one, at depth full.
        explanation: What a loader makes of the old file, with the values that it reads.
    """

    story: str
    report: AuditReport
    explanation: str


def run_demo() -> Demo:
    """Build the repository in a temporary folder, audit the old commit against the new one, and explain."""
    with tempfile.TemporaryDirectory(prefix="embaudit-demo-") as folder:
        old, new = _build(Path(folder))
        report = audit(old, against=new, depth="full")
        return Demo(story=_story(old, new), report=report, explanation=_explanation(old))


def _build(folder: Path) -> tuple[Path, Path]:
    tensors = bert_tensors()
    save_torch(flat(tensors), folder / "pytorch_model.bin")
    save_safetensors(tensors, folder / "model.safetensors")
    before = bert_settings() | {"pytorch_model.bin": (folder / "pytorch_model.bin").read_bytes()}
    after = before | {"model.safetensors": (folder / "model.safetensors").read_bytes()}
    cache = folder / "hub"
    old = cache_commit(cache, _REPO_ID, _commit("first"), before)
    new = cache_commit(cache, _REPO_ID, _commit("second"), after, ref="main")
    return old, new


def _commit(title: str) -> str:
    return hashlib.sha1(title.encode(), usedforsecurity=False).hexdigest()


def _story(old: Path, new: Path) -> str:
    return (
        f"A cache holds two commits of {_REPO_ID}:\n"
        f"  {old.name[:12]}  on the server: pytorch_model.bin, its tensors views into one flat storage\n"
        f"  {new.name[:12]}  on the hub now: model.safetensors was added, with the same tensors"
    )


def _explanation(old: Path) -> str:
    """The first values of one tensor, as torch reads them and as candle 0.4.0 to 0.8.4 does."""
    snapshot = open_snapshot(old)
    checkpoint = read_checkpoint(snapshot, "pytorch_model.bin")
    tensor = next(each for each in checkpoint.tensors.values() if each.storage_offset)
    storage_start = tensor.start - tensor.storage_offset * tensor.dtype.item_bytes
    right = _values(old, tensor, tensor.start)
    wrong = _values(old, tensor, storage_start + tensor.storage_offset)
    return (
        f"Take {tensor.name}. Its storage_offset is {tensor.storage_offset:,} elements.\n"
        f"  torch skips {tensor.start - storage_start:,} bytes of the storage and reads {right}\n"
        f"  candle 0.4.0 to 0.8.4 skips {tensor.storage_offset:,} bytes and reads       {wrong}\n"
        "Both load without a message. Every tensor but the first is wrong, so the embeddings of a server\n"
        "with that candle have nothing to do with those of sentence-transformers, until it serves the\n"
        "new commit."
    )


def _values(old: Path, tensor: TensorInfo, start: int) -> str:
    data = (old / tensor.file).read_bytes()[start:]
    return " ".join(f"{value:+.3f}" for value in struct.unpack_from(f"<{_N_SHOWN}f", data))
