"""What the tests of torch's formats share: files written by torch, and their tensors as torch reads them."""

import io
import itertools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.view import view_of
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.tensors import TensorInfo


class TorchFiles:
    """Torch as writer and as oracle."""

    def __init__(self) -> None:
        import torch

        self.torch = torch

    def saved(self, value: object, *, legacy: bool = False, protocol: int = 2) -> bytes:
        """The file that `torch.save` writes."""
        buffer = io.BytesIO()
        zipped = not legacy
        self.torch.save(value, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
        return buffer.getvalue()

    def loaded(self, data: bytes, *, weights_only: bool = False) -> object:
        """The value that `torch.load` gives."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.torch.load(io.BytesIO(data), weights_only=weights_only)

    def named(self, value: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
        """Every tensor of a value that torch loaded, under its dotted path."""
        if isinstance(value, self.torch.Tensor):
            yield prefix or "tensor", value
        elif isinstance(value, Mapping):
            for key, item in value.items():
                yield from self.named(item, f"{prefix}.{key}" if prefix else str(key))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for index, item in enumerate(value):
                yield from self.named(item, f"{prefix}.{index}" if prefix else str(index))

    def assert_agrees(self, data: bytes, *, weights_only: bool = False) -> Checkpoint:
        """Fail unless embaudit lists exactly the tensors that torch loads, with equal layouts and values."""
        checkpoint = parse_checkpoint(view_of(data, "model.bin"))
        expected = dict(self.named(self.loaded(data, weights_only=weights_only)))
        assert list(checkpoint.tensors) == list(expected)
        for name, tensor in expected.items():
            info = checkpoint.tensors[name]
            layout = (str(tensor.dtype), tuple(tensor.shape), tensor.stride(), tensor.storage_offset())
            assert (f"torch.{info.dtype}", info.shape, info.stride, info.storage_offset) == layout, name
            assert elements_in_file(data, info) == elements_of_torch(tensor), name
        return checkpoint


@pytest.fixture(scope="session")
def torch_files() -> TorchFiles:
    """The writer and oracle."""
    return TorchFiles()


def elements(
    memory: bytes, start: int, shape: Sequence[int], stride: Sequence[int], n_bytes: int
) -> list[bytes]:
    """The bytes of each element, in C order, of a tensor whose first element begins at byte `start`."""
    found = []
    for index in itertools.product(*map(range, shape)):
        at = start + n_bytes * sum(i * step for i, step in zip(index, stride, strict=True))
        found.append(memory[at : at + n_bytes])
    return found


def elements_of_torch(tensor: Any) -> list[bytes]:
    """The bytes of each element of a torch tensor, in C order."""
    n_bytes = tensor.element_size()
    memory = bytes(tensor.untyped_storage())
    return elements(memory, tensor.storage_offset() * n_bytes, tensor.shape, tensor.stride(), n_bytes)


def elements_in_file(data: bytes, info: TensorInfo) -> list[bytes]:
    """The bytes of each element of a listed tensor, in C order, from its span and strides alone."""
    return elements(data[info.start : info.stop], 0, info.shape, info.stride, info.dtype.item_bytes)
