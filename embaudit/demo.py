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

from embaudit.model.prediction import PredictedLoad
from embaudit.pipeline import audit
from embaudit.report import AuditReport
from embaudit.report.columns import wrapped
from embaudit.report.loads import loader_name
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    flat,
    save_safetensors,
    save_torch,
)

LOADERS = ("tei==1.5.0", "tei==1.9.3", "sentence-transformers==6.2.0", "transformers==5.23.0")
"""Whom the demonstration asks: a server of the time, a server of today, and the two that were right."""

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
        report = audit(old, against=new, loaders=LOADERS, depth="full")
        return Demo(story=_story(old, new), report=report, explanation=_explanation(old, report))


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


def _explanation(old: Path, report: AuditReport) -> str:
    """Who reads the old commit rightly and who does not, and the values that either takes for a tensor."""
    misread = next(prediction for prediction in report.loads if prediction.misread_keys)
    key = misread.misread_keys[0]
    tensor = report.checkpoints[misread.files[0]].tensors[key.name]
    right, wrong = (_values(old, key.file, byte) for byte in (key.byte_to_read, key.byte_read))
    lines = ["Who gets the old commit right:"]
    lines += [_verdict(load) for prediction in report.loads for load in prediction.eras]
    lines += [
        "",
        f"Take {key.name}. Its storage_offset is {tensor.storage_offset:,} elements.",
        f"  Its bytes begin at {key.byte_to_read:,} of the file and hold  {right}",
        f"  {misread.asked} begins at {key.byte_read:,} and takes      {wrong}",
    ]
    why = (
        f"Every tensor but the first is wrong there, because {key.reason}. The server says nothing, and its"
        " embeddings have nothing to do with those of sentence-transformers until it serves the new commit."
    )
    return "\n".join([*lines, *wrapped(why, indent=0)])


def _verdict(load: PredictedLoad) -> str:
    name = f"{loader_name(load)} {load.versions.removeprefix('==')}"
    outcome = f"{load.outcome}, silently" if load.silent else str(load.outcome)
    return f"  {name:38} {outcome:18} {load.reasons[0] if load.reasons else ''}".rstrip()


def _values(old: Path, file: str, start: int) -> str:
    data = (old / file).read_bytes()[start:]
    return " ".join(f"{value:+.3f}" for value in struct.unpack_from(f"<{_N_SHOWN}f", data))
