"""Digests of a folder of weights: locking and verifying with embaudit against model_signing hashing the same.

model_signing (https://pypi.org/project/model-signing/) takes the SHA-256 of every file. A lock takes that and
a digest of every tensor, which are twice the bytes; a verification without a change takes each byte once, as
model_signing does. `sha256` is the one thread of hashlib that nobody with one file can beat.

The folder holds a `pytorch_model.bin` and a `model.safetensors` of the size of BERT-large (1.34 GB each) or,
with `--small`, of BERT-tiny. Each run is a process of its own, the kinds in turn, warm in the page cache. An
interpreter that has model_signing is named with `--peer`; without one it is left out, and what is printed is
the ratio to hashlib alone.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

MEGABYTE = 1_000_000
BLOCK = 1024 * 1024
WORDS = 30522
SIZES = {False: (1024, 24), True: (128, 2)}
"""Hidden size and layers, without and with `--small`."""

PEER = """
import sys, time
import model_signing.hashing
began = time.perf_counter()
model_signing.hashing.Config().use_file_serialization().hash(sys.argv[1])
print(time.perf_counter() - began)
"""


def main() -> None:
    """Write the folder, run every kind in turn, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="files of 18 MB instead of 1.34 GB")
    parser.add_argument("--runs", type=int, default=3, help="processes of each kind")
    parser.add_argument("--peer", help="a python that has model_signing")
    parser.add_argument("--step", choices=sorted(_STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        print(json.dumps(_STEPS[options.step](options.folder, small=options.small)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder) / "model", runs=options.runs, small=options.small, peer=options.peer)


def _compare(folder: Path, *, runs: int, small: bool, peer: str | None) -> None:
    folder.mkdir()
    n_bytes = _run("write", folder, small=small)
    kinds = ["sha256", "lock", "verify", *(["model_signing"] if peer else [])]
    best = dict.fromkeys(kinds, float("inf"))
    for _ in range(runs):
        for kind in kinds:
            taken = (
                _peer(peer, folder) if kind == "model_signing" and peer else _run(kind, folder, small=small)
            )
            best[kind] = min(best[kind], taken)
    print(f"{n_bytes / MEGABYTE:.0f} MB in two files, best of {runs}")
    for kind, seconds in best.items():
        print(f"{kind:14} {seconds:.3f} s, {n_bytes / seconds / MEGABYTE:.0f} MB/s")
    for kind in ("lock", "verify"):
        for other in (kind for kind in ("model_signing", "sha256") if kind in best):
            print(f"{kind} / {other}: {best[kind] / best[other]:.2f}")


def _peer(python: str, folder: Path) -> float:
    finished = subprocess.run(
        [python, "-c", PEER, str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(finished.stdout)


def _run(step: str, folder: Path, *, small: bool) -> float:
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    finished = subprocess.run(
        [*command, *(["--small"] if small else [])], check=True, stdout=subprocess.PIPE, text=True
    )
    return float(json.loads(finished.stdout))


def _write(folder: Path, *, small: bool) -> float:
    """Random weights under names like BERT's, in both formats, and the lock that is verified."""
    import torch
    from safetensors.torch import save_file

    from embaudit.locking import lock, save_lock

    torch.manual_seed(0)
    hidden, layers = SIZES[small]
    shapes = {"embeddings.word_embeddings.weight": (WORDS, hidden)}
    for layer in range(layers):
        shapes |= {f"encoder.layer.{layer}.attention.{part}.weight": (hidden, hidden) for part in "qkvo"}
        shapes |= {f"encoder.layer.{layer}.{part}.weight": (4 * hidden, hidden) for part in ("up", "down")}
        shapes |= {f"encoder.layer.{layer}.{part}.bias": (hidden,) for part in ("q", "k", "v", "o", "norm")}
    tensors = {name: torch.randn(shape) / 20 for name, shape in shapes.items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    save_lock(lock(folder), _lock_of(folder))
    return sum(file.stat().st_size for file in folder.iterdir())


def _lock_of(folder: Path) -> Path:
    return folder.with_name("embaudit.lock")


def _sha256(folder: Path, *, small: bool) -> float:
    del small
    began = time.perf_counter()
    buffer = memoryview(bytearray(BLOCK))
    for path in sorted(folder.iterdir()):
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while n_read := file.readinto(buffer):
                digest.update(buffer[:n_read])
    return time.perf_counter() - began


def _lock(folder: Path, *, small: bool) -> float:
    del small
    import numpy as np

    from embaudit.locking import lock

    assert np.__version__  # imported before the clock starts, as the other side's packages are
    began = time.perf_counter()
    lock(folder)
    return time.perf_counter() - began


def _verify(folder: Path, *, small: bool) -> float:
    del small
    from embaudit.locking import verify

    began = time.perf_counter()
    assert verify(_lock_of(folder), folder).passed()
    return time.perf_counter() - began


_STEPS: Mapping[str, Callable[..., float]] = {
    "write": _write,
    "sha256": _sha256,
    "lock": _lock,
    "verify": _verify,
}

if __name__ == "__main__":
    main()
