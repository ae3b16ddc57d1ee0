"""Compares ways to learn what transformers would do with a BERT-base-size repository.

What people do today is `AutoModel.from_pretrained(..., output_loading_info=True)`, which imports torch and
transformers and loads every weight. embaudit asks one loader, with the headers in hand and from the folder.
The imports of transformers are not counted. Best of several, in one process; ratios hold on other machines.

Run: python benchmarks/prediction.py
"""

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from embaudit import open_snapshot, predict_load
from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.loaders import ask_loader, parse_loader
from embaudit.model.architecture import Role
from embaudit.reading import read_repository

LOADERS = ("transformers==5.23.0", "transformers", "sentence-transformers==6.2.0", "tei==1.9.3", "tei")
SERVED = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
"""Fields without which text-embeddings-inference refuses a configuration."""
N_RUNS = 30
N_SLOW_RUNS = 3
TARGET_MILLISECONDS = 20


def write_repository(folder: Path) -> None:
    """A BERT-base of zeros with its configuration."""
    config = {"model_type": "bert", "architectures": ["BertModel"], **BERT.defaults, **SERVED}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = expected_model(BERT, config).tensors.values()
    weights = {each.name: torch.zeros(each.shape) for each in tensors if each.role is not Role.BUFFER}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def best_milliseconds(action: Callable[[], object], n_runs: int) -> float:
    """The shortest of several runs."""
    return min(_milliseconds(action) for _ in range(n_runs))


def asking_milliseconds(folder: Path, loader: str) -> float:
    """The shortest time to ask one loader; the headers are read anew each time, which does not count."""
    snapshot, request = open_snapshot(folder), parse_loader(loader)
    repositories = [read_repository(snapshot) for _ in range(N_RUNS)]
    return min(_milliseconds(lambda each=each: ask_loader(each, request)) for each in repositories)


def _milliseconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def load_with_transformers(folder: Path) -> None:
    """What a user does otherwise."""
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    AutoModel.from_pretrained(folder, output_loading_info=True)


def main() -> None:
    """Write the repository, time the ways, print milliseconds and ratios."""
    os.environ.update(HF_HUB_OFFLINE="1", DISABLE_SAFETENSORS_CONVERSION="1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_repository(folder)
        print(f"predict the load of a BERT-base, headers in hand (target: {TARGET_MILLISECONDS} ms)")
        for loader in LOADERS:
            print(f"  {loader:30} {asking_milliseconds(folder, loader):8.2f} ms")
        whole = best_milliseconds(lambda: predict_load(folder, LOADERS[0]), N_RUNS)
        loaded = best_milliseconds(lambda: load_with_transformers(folder), N_SLOW_RUNS)
    print(f"  predict_load, from the folder  {whole:8.2f} ms")
    print(f"  AutoModel.from_pretrained      {loaded:8.2f} ms  {loaded / whole:6.1f} x predict_load")


if __name__ == "__main__":
    main()
