"""Tensors as torch has them, held against torch's own readers."""

from pathlib import Path

import attrs
import pytest
import torch

from embaudit import open_checkpoint
from embaudit.embeddings.diagnosing.tensors import misreadings, read_tensors
from embaudit.errors import TargetError
from embaudit.model.limits import DEFAULT_LIMITS
from embaudit.testing.repositories import bert_tensors, flat, save_safetensors, save_torch

TENSORS = bert_tensors()


@pytest.mark.parametrize(
    "dtype",
    [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.uint8],
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_every_type_is_read_to_the_bit(dtype: torch.dtype, tmp_path: Path, *, legacy: bool) -> None:
    """Views, transposed ones, scalars and empty ones come out as torch loads them."""
    stored = (torch.arange(24).reshape(4, 6) % 7).to(dtype)
    tensors = {"a": stored, "b": stored.t(), "c": stored[1, 2], "d": stored[:0], "e": stored[2:, 1:4]}
    save_torch(tensors, tmp_path / "pytorch_model.bin", legacy=legacy)

    found = read_tensors(open_checkpoint(tmp_path, exact=True), DEFAULT_LIMITS)

    assert found.keys() == tensors.keys()
    assert all(found[name].dtype is dtype and torch.equal(found[name], tensors[name]) for name in tensors)


def test_safetensors_and_nested_state_dicts_are_read(tmp_path: Path) -> None:
    """Names are those of the state dict, whatever it lies in."""
    save_safetensors(TENSORS, tmp_path / "model.safetensors")
    torch.save({"state_dict": dict(TENSORS)}, tmp_path / "pytorch_model.bin")

    for name in ("model.safetensors", "pytorch_model.bin"):
        found = read_tensors(open_checkpoint(tmp_path / name, exact=True), DEFAULT_LIMITS)
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[key], TENSORS[key]) for key in TENSORS)


def test_a_misread_tensor_is_the_storage_at_an_offset_of_bytes(tmp_path: Path) -> None:
    """A tensor at element n of its storage is read from byte n on: from element n / 4 of the same storage."""
    views = flat(TENSORS)
    save_torch(views, tmp_path / "pytorch_model.bin")
    whole = torch.cat([tensor.reshape(-1) for tensor in TENSORS.values()])

    found = read_tensors(open_checkpoint(tmp_path, exact=True), DEFAULT_LIMITS, misread=True)

    aligned = {name: view for name, view in views.items() if view.storage_offset() % 4 == 0}
    assert len(aligned) > 1
    for name, view in aligned.items():
        start = view.storage_offset() // 4
        assert torch.equal(found[name].reshape(-1), whole[start : start + view.numel()])


def test_a_file_without_offsets_is_misread_by_nobody(tmp_path: Path) -> None:
    """There is no such hypothesis for a plain file."""
    save_torch(TENSORS, tmp_path / "pytorch_model.bin")

    assert misreadings(open_checkpoint(tmp_path, exact=True)) == {}


def test_a_checkpoint_out_of_a_report_cannot_be_read(tmp_path: Path) -> None:
    """It has headers only, and that is said."""
    save_torch(TENSORS, tmp_path / "pytorch_model.bin")
    checkpoint = attrs.evolve(open_checkpoint(tmp_path), reader=None)

    with pytest.raises(TargetError, match="comes out of a report"):
        read_tensors(checkpoint, DEFAULT_LIMITS)
