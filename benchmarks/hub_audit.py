"""Compares an audit on the hub with the client's own ways, over a hub on this machine with simulated latency.

What people do today is `HfApi.get_safetensors_metadata`, which tells names, dtypes and shapes of safetensors
files and nothing of a `.bin`, or to download the repository. Each way runs in a process of its own with an
empty cache; imports are not counted, the server's own time is. Every hub answer takes 60 ms and every CDN
answer 30 ms. Ratios hold on other machines; the loopback has no bandwidth to speak of, which flatters the
download.

Run: python benchmarks/hub_audit.py
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.testing.loopback_hub import LoopbackHub, Sparse
from embaudit.testing.sparse_files import SparseFile, sparse_safetensors, sparse_torch

HUB_SECONDS, CDN_SECONDS = 0.060, 0.030
N_RUNS = 3
N_SHARDS, N_TENSORS_A_SHARD = 163, 564
CONFIG = {"model_type": "bert", "architectures": ["BertModel"], **BERT.defaults}
TIMED = """
import json, time
import embaudit, huggingface_hub
api = huggingface_hub.HfApi()
api.whoami  # what is imported on demand is imported now
embaudit.open_snapshot, embaudit.audit
import embaudit.sources.hub
began = time.perf_counter()
result = {call}
print(json.dumps(time.perf_counter() - began))
"""
DOWNLOADED = 'embaudit.audit(huggingface_hub.snapshot_download("{repo}"))'


def served(file: SparseFile) -> Sparse:
    """A sparse file, as the loopback hub takes it."""
    return Sparse(file.size, file.segments)


def bert_base() -> dict[str, Any]:
    """BERT-base of zeros as `model.safetensors` and as `pytorch_model.bin`, 440 MB each."""
    shapes = {name: tensor.shape for name, tensor in expected_model(BERT, CONFIG).tensors.items()}
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors": served(
            sparse_safetensors((name, "F32", shape) for name, shape in shapes.items())
        ),
        "pytorch_model.bin": served(
            sparse_torch({name: torch.zeros(shape) for name, shape in shapes.items()})
        ),
    }


def many_shards() -> dict[str, Any]:
    """163 shards of 564 tensors with long names, and their index of 9 MB."""
    files: dict[str, Any] = {}
    weight_map: dict[str, str] = {}
    for place in range(N_SHARDS):
        path = f"model-{place + 1:05d}-of-{N_SHARDS:06d}.safetensors"
        prefix = f"model.layers.{place}.mlp.experts"
        names = [f"{prefix}.{expert}.down_proj.weight_scale_inv" for expert in range(N_TENSORS_A_SHARD)]
        files[path] = served(sparse_safetensors((name, "F8_E4M3", (2048, 7168)) for name in names))
        weight_map |= dict.fromkeys(names, path)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    return {**files, "model.safetensors.index.json": json.dumps(index, indent=2).encode()}


def measured(hub: LoopbackHub, call: str) -> Mapping[str, float]:
    """Seconds (the median of several runs), requests and bytes of one call, each run with an empty cache."""
    seconds: list[float] = []
    for _ in range(N_RUNS):
        with tempfile.TemporaryDirectory() as home:
            hub.forget()
            run = subprocess.run(
                [sys.executable, "-c", TIMED.format(call=call)],
                env=hub.environment(Path(home)),
                capture_output=True,
                text=True,
                check=True,
            )
            seconds.append(json.loads(run.stdout))
    return {
        "seconds": statistics.median(seconds),
        "requests": len(hub.requests),
        "bytes": sum(request.sent_bytes for request in hub.requests),
    }


def compare(hub: LoopbackHub, title: str, calls: Mapping[str, str]) -> None:
    """Print a table of several ways; the first one is what the others are held against."""
    print(f"\n{title}")
    first: Mapping[str, float] | None = None
    for name, call in calls.items():
        took = measured(hub, call)
        first = first or took
        ratio = took["seconds"] / first["seconds"]
        print(
            f"  {name:<58} {took['seconds']:7.2f} s {ratio:6.1f} x"
            f" {took['requests']:5.0f} requests {took['bytes'] / 1e6:9.2f} MB"
        )


def main() -> None:
    """Serve both repositories and print the tables."""
    with LoopbackHub(latency=HUB_SECONDS, cdn_latency=CDN_SECONDS) as hub:
        hub.create("org/bert").commit(bert_base(), title="First")
        hub.create("org/shards").commit(many_shards(), title="First")
        compare(
            hub,
            "BERT-base with both weight files, 880 MB",
            {
                "embaudit.audit": 'embaudit.audit("org/bert")',
                "get_safetensors_metadata (nothing of the .bin)": 'api.get_safetensors_metadata("org/bert")',
                "snapshot_download, then embaudit.audit": DOWNLOADED.format(repo="org/bert"),
            },
        )
        compare(
            hub,
            f"{N_SHARDS} shards, {N_SHARDS * N_TENSORS_A_SHARD} tensors",
            {
                "embaudit.open_checkpoint": 'embaudit.open_checkpoint("org/shards")',
                "get_safetensors_metadata": 'api.get_safetensors_metadata("org/shards")',
            },
        )


if __name__ == "__main__":
    main()
