"""What an audit on the hub costs, held exactly: requests and bytes, as the server and the report count."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import embaudit
from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.testing.loopback_hub import LoopbackHub, Sparse
from embaudit.testing.repositories import bert_settings
from embaudit.testing.sparse_files import SparseFile, sparse_safetensors, sparse_torch

BERT_BASE = json.loads(bert_settings(n_layers=12)["config.json"]) | {
    "vocab_size": 30522,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
}
SETTINGS = bert_settings() | {"config.json": json.dumps(BERT_BASE, indent=2).encode()}
KB = 1000
MOST_BYTES = 256 * KB
JSON_REQUESTS = 2
"""A redirect and a body."""
N_SHARDS, N_TENSORS = 163, 60 * 256 * 3 * 2


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub on this machine, which this process takes for the real one."""
    with LoopbackHub() as running, running.in_process():
        yield running


def shapes() -> dict[str, tuple[int, ...]]:
    """The tensors of BERT-base, 440 MB of float32."""
    return {name: tensor.shape for name, tensor in expected_model(BERT, BERT_BASE).tensors.items()}


def served(file: SparseFile) -> Sparse:
    """A sparse file, as the loopback hub takes it."""
    return Sparse(file.size, file.segments)


def weights(*, legacy: bool | None = None) -> dict[str, Sparse]:
    """BERT-base as safetensors and, unless `legacy` is None, as what `torch.save` writes."""
    files = {"model.safetensors": served(sparse_safetensors((n, "F32", s) for n, s in shapes().items()))}
    if legacy is None:
        return files
    torch = pytest.importorskip("torch")
    zeros = {name: torch.zeros(shape) for name, shape in shapes().items()}
    return {**files, "pytorch_model.bin": served(sparse_torch(zeros, legacy=legacy))}


def n_small(hub: LoopbackHub) -> int:
    """The requests that the small JSON files took, redirects and bodies."""
    return sum(request.path.rpartition("/")[2].endswith(".json") for request in hub.requests)


@pytest.mark.parametrize(("legacy", "most"), [(False, 7), (True, 6)], ids=["zip", "legacy"])
def test_bert_base_takes_kilobytes(hub: LoopbackHub, legacy: bool, most: int) -> None:
    """Of 880 MB: listing and headers in so many requests and 256 KB, and two requests for each JSON file."""
    hub.create("org/name").commit({**SETTINGS, **weights(legacy=legacy)}, title="First")

    report = embaudit.audit("org/name", loaders=["transformers==5.23.0", "tei==1.9.3"])

    n_json = n_small(hub)
    assert report.cost.requests == len(hub.requests)
    assert n_json <= JSON_REQUESTS * len(SETTINGS)
    assert len(hub.requests) - n_json <= most
    n_bytes = sum(request.sent_bytes for request in hub.requests)
    assert report.cost.bytes_read == n_bytes
    assert n_bytes - sum(map(len, SETTINGS.values())) <= MOST_BYTES
    assert len(report.checkpoints) == 2
    assert not [finding for finding in report.findings if finding.severity > embaudit.Severity.WARNING]
    assert report.load("transformers").outcome == "faithful"


def test_samples_cost_nothing_where_there_is_nothing_to_compare(hub: LoopbackHub) -> None:
    """A `.bin` without a partner takes as many requests at depth sampled as from headers alone."""
    alone = {path: content for path, content in weights(legacy=False).items() if path.endswith(".bin")}
    hub.create("org/name").commit({**SETTINGS, **alone})

    costs = {depth: embaudit.audit("org/name", depth=depth).cost for depth in ("headers", "sampled")}

    assert costs["sampled"].requests == costs["headers"].requests
    assert costs["sampled"].bytes_read == costs["headers"].bytes_read


def test_an_older_commit_costs_its_listing_and_what_changed(hub: LoopbackHub) -> None:
    """Against an older commit, files of the same digest are not asked for again, loaders or not."""
    repo = hub.create("org/name")
    old = repo.commit({**SETTINGS, **weights()}, title="First")
    changed = json.dumps({**BERT_BASE, "hidden_dropout_prob": 0.2}).encode()
    new = repo.commit({"config.json": changed}, title="Second")

    alone = embaudit.audit(f"org/name@{new}", loaders=["transformers==5.23.0"])
    hub.forget()
    both = embaudit.audit(f"org/name@{new}", against=f"org/name@{old}", loaders=["transformers==5.23.0"])

    asked_at_old = [request.path for request in hub.requests if f"/resolve/{old}/" in request.path]
    assert [path.partition(f"/{old}/")[2] for path in asked_at_old] == ["config.json"]
    listing, history = 1, 1
    assert both.cost.requests <= alone.cost.requests + listing + history + JSON_REQUESTS
    assert [change.path for change in both.diff.modified] == ["config.json"]


def sharded() -> dict[str, Any]:
    """A mixture of experts of 60 layers: 92,160 tensors in 163 shards, and their index."""
    kinds = [("weight", "F8_E4M3", (2048, 7168)), ("weight_scale_inv", "F32", (16, 56))]
    tensors = [
        (f"model.layers.{layer}.mlp.experts.{expert}.{projection}.{name}", code, shape)
        for layer in range(60)
        for expert in range(256)
        for projection in ("gate_proj", "up_proj", "down_proj")
        for name, code, shape in kinds
    ]
    a_shard = -(-N_TENSORS // N_SHARDS)
    files: dict[str, Any] = {}
    weight_map: dict[str, str] = {}
    for place in range(N_SHARDS):
        path = f"model-{place + 1:05d}-of-{N_SHARDS:06d}.safetensors"
        held = tensors[place * a_shard : (place + 1) * a_shard]
        files[path] = served(sparse_safetensors(held))
        weight_map |= dict.fromkeys((name for name, _, _ in held), path)
    index = {"metadata": {}, "weight_map": weight_map}
    return {
        **files,
        "config.json": b'{"model_type": "deepseek_v3"}',
        "model.safetensors.index.json": json.dumps(index, indent=2).encode(),
    }


# Not `resource`: the peak that it gives begins with that of the parent process.
AUDIT = r"""
import json, re
from pathlib import Path
import embaudit
report = embaudit.audit("org/name")
(checkpoint,) = report.checkpoints.values()
print(json.dumps({
    "requests": report.cost.requests,
    "tensors": len(checkpoint.tensors),
    "peak": 1024 * int(re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())[1]),
    "errors": [finding.code for finding in report.findings if finding.severity == embaudit.Severity.ERROR],
}))
"""


def audited_elsewhere(hub: LoopbackHub, folder: Path) -> Mapping[str, Any]:
    """What an audit in a process of its own says, with its peak memory in bytes."""
    run = subprocess.run(
        [sys.executable, "-c", AUDIT],
        env=hub.environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    answer: Mapping[str, Any] = json.loads(run.stdout)
    return answer


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is what Linux says it was")
def test_many_shards_take_two_requests_each(hub: LoopbackHub, tmp_path: Path) -> None:
    """163 shards with 92,160 tensors, 670 GB: two requests a shard and three more (and a config), 400 MB."""
    hub.create("org/name").commit(sharded(), title="First")

    audited = audited_elsewhere(hub, tmp_path)

    assert audited["tensors"] == N_TENSORS
    assert audited["requests"] <= 2 * N_SHARDS + 3 + JSON_REQUESTS
    assert audited["peak"] < 400 * KB * KB
    assert audited["errors"] == []
