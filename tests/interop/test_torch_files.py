"""EMB112, EMB113, EMB115 and EMB117 held against the loaders: what candle and transformers make of a file."""

import hashlib
import io
import signal
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embaudit import audit

pytestmark = pytest.mark.interop

Weights = Mapping[str, Tensor]
Save = Callable[[Path], object]
Embed = Callable[[Path], np.ndarray]
ATTENTION = "encoder.layer.0.attention.self"
QUERY = f"{ATTENTION}.query.weight"
NOT_CONTIGUOUS = "cannot retrieve non-contiguous tensors"


def save(weights: object, folder: Path, *, new_format: bool = True) -> None:
    """Write `pytorch_model.bin`."""
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=new_format)


def save_legacy(weights: Weights, folder: Path) -> None:
    """The format of torch before 1.6."""
    save(weights, folder, new_format=False)


def save_wrapped(weights: Weights, folder: Path) -> None:
    """The layout of a training checkpoint."""
    save({"state_dict": weights, "epoch": 3}, folder)


def save_expanded(weights: Weights, folder: Path) -> None:
    """A bias whose elements are all the same one, at stride 0."""
    save({**weights, f"{ATTENTION}.query.bias": torch.zeros(1).expand(384)}, folder)


def save_with_gaps(weights: Weights, folder: Path) -> None:
    """A weight that takes every other element of its storage."""
    save({**weights, QUERY: weights[QUERY].repeat_interleave(2, dim=1)[:, ::2]}, folder)


def save_column_chunks(weights: Weights, folder: Path) -> None:
    """Query, key and value as chunks of the columns of one tensor, so with gaps and offsets."""
    names = [f"{ATTENTION}.{part}.weight" for part in ("query", "key", "value")]
    chunks = torch.cat([weights[name] for name in names], dim=1).chunk(3, dim=1)
    save({**weights, **dict(zip(names, chunks, strict=True))}, folder)


def save_transposed(weights: Weights, folder: Path) -> None:
    """A weight in column order."""
    save({**weights, QUERY: weights[QUERY].t().contiguous().t()}, folder)


def save_big_endian(weights: Weights, folder: Path) -> None:
    """A file from a big-endian machine: its storages swapped, and a record that says so."""
    written = io.BytesIO()
    torch.save(dict(weights), written)
    path = folder / "pytorch_model.bin"
    with zipfile.ZipFile(written) as little, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as big:
        for name in little.namelist():
            content = little.read(name)
            if "/data/" in name:
                content = np.frombuffer(content, np.float32).byteswap().tobytes()
            big.writestr(name, b"big" if name.endswith("/byteorder") else content)


REFUSED = [
    pytest.param(save_legacy, "EMB113", "invalid Zip archive", id="legacy format"),
    pytest.param(
        save_wrapped, "EMB115", "cannot find tensor embeddings.word_embeddings.weight", id="wrapper"
    ),
    pytest.param(save_expanded, "EMB112", NOT_CONTIGUOUS, id="stride 0"),
    pytest.param(save_with_gaps, "EMB112", NOT_CONTIGUOUS, id="gaps"),
    pytest.param(save_column_chunks, "EMB112", NOT_CONTIGUOUS, id="gaps and offsets"),
]


def codes(folder: Path) -> set[str]:
    """The codes of all findings."""
    return {finding.code for finding in audit(folder).findings}


def digests(weights: Weights) -> dict[str, str]:
    """The SHA-256 of each tensor's elements in row order."""
    return {name: hashlib.sha256(tensor.contiguous().numpy()).hexdigest() for name, tensor in weights.items()}


@pytest.mark.parametrize("loader", ["candle_before", "candle_after"])
@pytest.mark.parametrize(("write", "code", "message"), REFUSED)
def test_candle_refuses(
    write: Callable[[Weights, Path], None],
    code: str,
    message: str,
    loader: str,
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    request: pytest.FixtureRequest,
) -> None:
    """What EMB112, EMB113 and EMB115 say candle refuses, it refuses, before its fix as after it."""
    folder = new_snapshot(lambda folder: write(weights, folder))

    assert code in codes(folder)
    with pytest.raises(RuntimeError, match=message):
        request.getfixturevalue(loader)(folder)


def test_candle_reads_column_order(
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    candle_before: Embed,
    candle_after: Embed,
    sentence_transformers: Embed,
) -> None:
    """Transposed tensors, which EMB112 names too, candle reads right."""
    folder = new_snapshot(lambda folder: save_transposed(weights, folder))
    reference = sentence_transformers(folder)

    assert "EMB112" in codes(folder)
    assert np.linalg.norm(candle_before(folder) - reference, axis=1).max() < 1e-5
    assert np.linalg.norm(candle_after(folder) - reference, axis=1).max() < 1e-5


@pytest.mark.parametrize("loader", ["candle_before", "candle_after"])
def test_candle_ignores_the_byte_order(
    loader: str,
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    request: pytest.FixtureRequest,
) -> None:
    """From the file that EMB117 names, candle takes garbage without an error: the vectors are no numbers."""
    folder = new_snapshot(lambda folder: save_big_endian(weights, folder))
    vectors = request.getfixturevalue(loader)(folder)

    assert "EMB117" in codes(folder)
    assert np.isnan(vectors).all()


def test_torch_swaps_the_bytes(weights: Weights, new_snapshot: Callable[[Save], Path]) -> None:
    """From a big-endian file, torch.load takes the right values, as EMB117 says."""
    folder = new_snapshot(lambda folder: save_big_endian(weights, folder))
    loaded = torch.load(folder / "pytorch_model.bin", weights_only=True)

    assert digests(loaded) == digests(weights)


@pytest.mark.parametrize("loader", ["transformers_4", "transformers_5"])
def test_transformers_crashes_on_the_byte_order(
    loader: str,
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    request: pytest.FixtureRequest,
) -> None:
    """Transformers loads to the meta device first, where torch swaps bytes that do not exist: a crash."""
    folder = new_snapshot(lambda folder: save_big_endian(weights, folder))

    with pytest.raises(RuntimeError, match=f"exit code -{signal.SIGSEGV:d}"):
        request.getfixturevalue(loader)(folder)


@pytest.mark.parametrize("write", [save_legacy, save_column_chunks])
def test_transformers_reads_what_torch_reads(
    write: Callable[[Weights, Path], None],
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    transformers_5: Callable[[Path], Any],
) -> None:
    """From legacy files and from tensors with gaps and offsets, transformers takes the right values."""
    loaded = transformers_5(new_snapshot(lambda folder: write(weights, folder)))

    assert loaded["parameters"] == digests(weights)


def test_transformers_4_starts_at_random_values(
    weights: Weights, new_snapshot: Callable[[Save], Path], transformers_4: Callable[[Path], Any]
) -> None:
    """From a wrapper transformers 4 takes nothing: its keys are unexpected, every parameter is missing."""
    folder = new_snapshot(lambda folder: save_wrapped(weights, folder))
    loaded = transformers_4(folder)

    assert "EMB115" in codes(folder)
    assert loaded["unexpected_keys"] == ["epoch", "state_dict"]
    assert loaded["missing_keys"] == sorted(weights)


def test_transformers_5_refuses_a_wrapper(
    weights: Weights, new_snapshot: Callable[[Save], Path], transformers_5: Callable[[Path], Any]
) -> None:
    """Unlike transformers 4, transformers 5 takes the wrapper's dictionary for a tensor, and fails."""
    folder = new_snapshot(lambda folder: save_wrapped(weights, folder))

    assert "EMB115" in codes(folder)
    with pytest.raises(RuntimeError, match="'dict' object has no attribute 'is_floating_point'"):
        transformers_5(folder)
