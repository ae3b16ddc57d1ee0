"""Compares ways to list the tensors of a BERT-large-size `.bin`: embaudit's header reading against torch's.

What people do today is `torch.load`, which reads or maps every byte and builds every tensor to say what is in
the file. embaudit reads the zip directory and the pickle. The three run in one process on one file, best of
several, and the ratios are what matters: they hold on other machines. The file has the 391 tensors of
BERT-large (1.3 GB), with zeros for weights, most of them never written to the disk (a sparse file).

Run: python benchmarks/header_listing.py
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.view import ByteView
from embaudit.model.architecture import Role

BERT_LARGE = {
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
}
N_RUNS = 30
N_SLOW_RUNS = 3


def bert_large_shapes() -> dict[str, tuple[int, ...]]:
    """The 391 tensors of `BertModel` with the configuration of BERT-large, name to shape."""
    tensors = expected_model(BERT, BERT_LARGE).tensors.values()
    return {tensor.name: tensor.shape for tensor in tensors if tensor.role is not Role.BUFFER}


def write_checkpoint(path: Path) -> None:
    """Write the file; `skip_data` leaves out the bytes of the tensors, which then read as zeros."""
    state_dict = {name: torch.empty(shape) for name, shape in bert_large_shapes().items()}
    with torch.serialization.skip_data():
        torch.save(state_dict, path)


def list_with_embaudit(path: Path) -> int:
    """The number of tensors, by headers alone."""
    file = os.open(path, os.O_RDONLY)
    try:
        view = ByteView(
            path.name, path.stat().st_size, lambda start, stop: os.pread(file, stop - start, start)
        )
        return len(parse_checkpoint(view).tensors)
    finally:
        os.close(file)


def list_with_mapped_torch(path: Path) -> int:
    """The number of tensors, with the file mapped into memory."""
    return len(torch.load(path, mmap=True, weights_only=True))


def list_with_torch(path: Path) -> int:
    """The number of tensors, all of them loaded."""
    return len(torch.load(path, weights_only=True))


def best_seconds(action: Callable[[Path], int], path: Path, n_runs: int) -> float:
    """The shortest of several runs, in seconds."""
    best = float("inf")
    for _ in range(n_runs):
        start = time.perf_counter()
        n_tensors = action(path)
        best = min(best, time.perf_counter() - start)
        assert n_tensors == len(bert_large_shapes())
    return best


def main() -> None:
    """Write the file, time the three ways, print milliseconds and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pytorch_model.bin"
        write_checkpoint(path)
        ours = best_seconds(list_with_embaudit, path, N_RUNS)
        mapped = best_seconds(list_with_mapped_torch, path, N_RUNS)
        loaded = best_seconds(list_with_torch, path, N_SLOW_RUNS)
    print(f"list the header of a BERT-large .bin ({len(bert_large_shapes())} tensors; target: 5 ms)")
    print(f"  embaudit                                  {1e3 * ours:8.2f} ms")
    print(
        f"  torch.load(mmap=True, weights_only=True)  {1e3 * mapped:8.2f} ms  {mapped / ours:6.1f} x embaudit"
    )
    print(
        f"  torch.load(weights_only=True)             {1e3 * loaded:8.2f} ms  {loaded / ours:6.1f} x embaudit"
    )


if __name__ == "__main__":
    main()
