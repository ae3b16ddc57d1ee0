"""Full comparison of two weight files: embaudit against loading both and comparing tensors.

The question is whether `pytorch_model.bin` and `model.safetensors` of one repository hold the same model.
What people do today is `torch.load` and `safetensors.torch.load_file`, then `torch.equal` for every name;
embaudit maps the two files and compares every value straight from them. Both see the same pair, of the size
of BERT-large (391 tensors, 1.34 GB a file) or, with `--small`, of BERT-tiny, in a temporary folder and warm
in the page cache.

Each run is a process of its own, the two kinds in turn, so that neither profits from the other. Printed are
the best time of the work (without the imports, on both sides), the best time of the whole process, the
largest memory of any run, and the ratios. The targets, from the design: three times as fast, at most 150 MB.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000
BERT_LARGE = {"vocabulary": 30522, "hidden": 1024, "layers": 24}
BERT_TINY = {"vocabulary": 30522, "hidden": 128, "layers": 2}


def main() -> None:
    """Write the pair, run both kinds in turn, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a pair of 18 MB a file instead of 1.34 GB")
    parser.add_argument("--runs", type=int, default=5, help="processes of each kind")
    parser.add_argument("--step", choices=sorted(_STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is not None:
        print(json.dumps(_STEPS[options.step](Path(options.folder), small=options.small)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare_kinds(folder, runs=options.runs, small=options.small)


def _compare_kinds(folder: str, *, runs: int, small: bool) -> None:
    # This process stays small: a child's peak memory, as Linux counts it, begins with its parent's.
    written = _run("write", folder, small=small)
    print(f"{written['n_tensors']} tensors, {written['n_bytes'] / MEGABYTE:.0f} MB a file, best of {runs}")
    results: dict[str, list[dict[str, Any]]] = {"torch": [], "embaudit": []}
    for _ in range(runs):
        for kind, outcomes in results.items():
            outcomes.append(_run(kind, folder, small=small))
    best = {kind: _best(outcomes) for kind, outcomes in results.items()}
    for kind, figures in best.items():
        print(
            f"{kind:9} work {figures['work']:.3f} s, process {figures['process']:.3f} s, "
            f"peak memory {figures['peak'] / MEGABYTE:.0f} MB"
        )
    for figure, meaning in (
        ("work", "time of the work"),
        ("process", "time of the process"),
        ("peak", "memory"),
    ):
        print(f"torch / embaudit, {meaning}: {best['torch'][figure] / best['embaudit'][figure]:.1f}")


def _run(step: str, folder: str, *, small: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--step", step, "--folder", folder, *(["--small"] if small else [])]
    began = time.perf_counter()
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    outcome: dict[str, Any] = json.loads(finished.stdout)
    return outcome | {"process": time.perf_counter() - began}


def _best(outcomes: list[dict[str, Any]]) -> dict[str, float]:
    return {
        "work": min(outcome["work"] for outcome in outcomes),
        "process": min(outcome["process"] for outcome in outcomes),
        "peak": max(outcome["peak"] for outcome in outcomes),
    }


def _write_pair(folder: Path, *, small: bool) -> dict[str, int]:
    """Random weights under BERT's names, as both formats."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    size = BERT_TINY if small else BERT_LARGE
    tensors = {name: torch.randn(shape) / 20 for name, shape in _shapes(**size)}
    torch.save(tensors, folder / "pytorch_model.bin")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return {"n_tensors": len(tensors), "n_bytes": (folder / "model.safetensors").stat().st_size}


def _shapes(vocabulary: int, hidden: int, layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of a BertModel."""
    yield "embeddings.word_embeddings.weight", (vocabulary, hidden)
    yield "embeddings.position_embeddings.weight", (512, hidden)
    yield "embeddings.token_type_embeddings.weight", (2, hidden)
    yield from _norm("embeddings.LayerNorm", hidden)
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            yield from _linear(f"{prefix}.attention.{part}", hidden, hidden)
        yield from _norm(f"{prefix}.attention.output.LayerNorm", hidden)
        yield from _linear(f"{prefix}.intermediate.dense", 4 * hidden, hidden)
        yield from _linear(f"{prefix}.output.dense", hidden, 4 * hidden)
        yield from _norm(f"{prefix}.output.LayerNorm", hidden)
    yield from _linear("pooler.dense", hidden, hidden)


def _linear(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _norm(name: str, hidden: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (hidden,)
    yield f"{name}.bias", (hidden,)


def _compare_with_torch(folder: Path, *, small: bool) -> dict[str, float]:
    """Load both files whole and compare name by name."""
    del small
    import torch
    from safetensors.torch import load_file

    began = time.perf_counter()
    left = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
    right = load_file(folder / "model.safetensors")
    same = left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
    return _outcome(began, same=same)


def _compare_with_embaudit(folder: Path, *, small: bool) -> dict[str, float]:
    """Map the two files and compare every value from the bytes."""
    del small
    from embaudit.mapping import map_tensors
    from embaudit.model.tensor_map import Agreement

    # Comes, with numpy, when the first value is compared.
    importlib.import_module("embaudit.values.engine")
    began = time.perf_counter()
    tensors = map_tensors(folder / "pytorch_model.bin", folder / "model.safetensors", depth="full")
    identical = all(pair.values is Agreement.IDENTICAL for pair in tensors.pairs)
    return _outcome(began, same=tensors.same_model and identical)


def _outcome(began: float, *, same: bool) -> dict[str, float]:
    seconds = time.perf_counter() - began
    if not same:
        raise SystemExit("the two files were found to differ; they hold the same values")
    unit = 1 if sys.platform == "darwin" else 1024
    return {"work": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}


_STEPS = {"write": _write_pair, "torch": _compare_with_torch, "embaudit": _compare_with_embaudit}


if __name__ == "__main__":
    main()
