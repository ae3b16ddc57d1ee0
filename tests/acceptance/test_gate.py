"""What a gate in front of a hub costs, and that it lets nothing in when the hub fails, lies, or moves on."""

import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import pytest
from huggingface_hub import constants

import embaudit
from embaudit.architectures import expected_model
from embaudit.architectures.bert import BERT
from embaudit.model.policy import Policy
from embaudit.sources.hub import open_hub
from embaudit.sources.hub.patience import Patience
from embaudit.testing.loopback_hub import (
    BodyReplaced,
    Dropped,
    Fault,
    HeaderChanged,
    JsonCut,
    Late,
    LoopbackHub,
    Meanwhile,
    OtherCommit,
    Redirected,
    ShortBody,
    Sparse,
    Status,
    Trickle,
    WrongRange,
)
from embaudit.testing.repositories import bert_settings
from embaudit.testing.sparse_files import SparseFile, sparse_safetensors, sparse_torch

REPO = "org/name"
LOADERS = ("sentence-transformers==6.2.0", "tei==1.9.3")
KB = 1000
MOST_BYTES = 300 * KB
MOST_REQUESTS = 7
"""Beside the small files, of which each takes a redirect and a body."""
SMALL_REQUESTS = 2
BERT_BASE = json.loads(bert_settings(n_layers=12)["config.json"]) | {
    "vocab_size": 30522,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
}
CARD = b"---\nlicense: apache-2.0\n---\n" + b"A sentence about the model. " * 400
SETTINGS = bert_settings() | {"config.json": json.dumps(BERT_BASE, indent=2).encode(), "README.md": CARD}
HASTY = Patience(
    attempts=2,
    first_wait=0.001,
    longest_wait=0.002,
    ceiling=2.0,
    margin=0.0,
    read_seconds=0.2,
    grace_seconds=0.3,
    bytes_per_second=10_000_000.0,
)
"""Asks twice, hardly waits, and gives an answer up that takes longer than 0.3 seconds."""
CEILING_SECONDS = 30
"""Far more than anything here takes."""
MOST_ASKED = 100


def served(file: SparseFile) -> Sparse:
    """A sparse file, as the loopback hub takes it."""
    return Sparse(file.size, file.segments)


@cache
def safetensors() -> Sparse:
    """BERT-base, 440 MB of float32, of which nobody holds more than the header."""
    shapes = {name: tensor.shape for name, tensor in expected_model(BERT, BERT_BASE).tensors.items()}
    return served(sparse_safetensors((name, "F32", shape) for name, shape in shapes.items()))


def torch_file() -> Sparse:
    """The same as what `torch.save` writes."""
    torch = pytest.importorskip("torch")
    names = expected_model(BERT, BERT_BASE).tensors
    return served(sparse_torch({name: torch.zeros(each.shape) for name, each in names.items()}, legacy=False))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub on this machine, which this process takes for the real one, and waits for a short while only."""
    assert open_hub.__kwdefaults__ is not None
    monkeypatch.setitem(open_hub.__kwdefaults__, "patience", HASTY)
    with LoopbackHub() as running, running.in_process():
        yield running


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(), id="the default policy"),
        pytest.param(
            Policy(
                loaders=LOADERS,
                dimension=768,
                dtypes=("float32",),
                licences=("apache-2.0",),
                max_bytes=10**9,
                remote_code="forbidden",
            ),
            id="all that a policy asks for",
        ),
    ],
)
def test_a_gate_reads_kilobytes(hub: LoopbackHub, policy: Policy) -> None:
    """BERT-base in both forms, 880 MB: under 300 KB with settings, card and history, in so many requests."""
    hub.create(REPO).commit(
        {**SETTINGS, "model.safetensors": safetensors(), "pytorch_model.bin": torch_file()}
    )

    report = embaudit.gate(REPO, policy=policy)

    n_bytes = sum(request.sent_bytes for request in hub.requests)
    assert n_bytes == report.cost.bytes_read < MOST_BYTES
    n_small = sum(request.path.endswith((".json", ".md")) for request in hub.requests)
    assert n_small <= SMALL_REQUESTS * len(SETTINGS)
    assert len(hub.requests) == report.cost.requests <= MOST_REQUESTS + n_small


def refused(target: str = REPO, **options: Any) -> embaudit.EmbauditError:
    """How a gate ends that lets nothing in, within reasonable time and with nothing on this disk."""
    began = time.monotonic()
    with pytest.raises(embaudit.EmbauditError) as caught:
        embaudit.gate(target, download=True, **options)
    assert time.monotonic() - began < CEILING_SECONDS
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.*"))
    assert "Signature" not in str(caught.value)
    return caught.value


FAULTS: dict[str, Fault] = {
    "401": Status(status=401, times=None),
    "403": Status(status=403, times=None),
    "404": Status(status=404, times=None),
    "429": Status(status=429, rate_limit='"api";r=0;t=0', times=None),
    "500": Status(status=500, times=None),
    "503": Status(status=503, times=None),
    "504": Status(status=504, times=None),
    "dropped": Dropped(times=None),
    "dropped late": Dropped(after_headers=True, times=None),
    "late": Late(seconds=0.5, times=None),
    "in drops": Trickle(drop=1, pause=0.02, times=None),
    "short": ShortBody(missing=1, times=None),
    "nonsense": BodyReplaced(body=b"<html>", times=None),
    "round in circles": Redirected(times=None),
}
ANSWERS = FAULTS | {"cut": JsonCut(times=None), "no JSON": BodyReplaced(body=b"[]", times=None)}
CONTENTS = FAULTS | {
    "wrong range": WrongRange(start_by=1, times=None),
    "wrong length": WrongRange(total_by=1, times=None),
    "another commit": OtherCommit(times=None),
    "another file": HeaderChanged(headers={"X-Linked-ETag": '"' + "0" * 64 + '"'}, times=None),
}
CONFIG, REDIRECT, WEIGHTS = "config.json", "the redirect to the weights", "the weights"
PLACES = {
    CONFIG: {"where": "/config.json"},
    REDIRECT: {"where": "/model.safetensors"},
    WEIGHTS: {"origin": "cdn"},
}
HARMLESS = {
    # Of a redirect the headers alone are looked at, and it has no range.
    *((REDIRECT, name) for name in ("dropped late", "short", "nonsense", "wrong range", "wrong length")),
    # What the CDN says of a commit or a digest is neither there nor asked for.
    *((WEIGHTS, name) for name in ("another commit", "another file")),
}
"""What goes wrong where nobody looks."""


@pytest.mark.parametrize("fault", ANSWERS.values(), ids=ANSWERS)
def test_no_listing_no_pass(hub: LoopbackHub, fault: Fault) -> None:
    """Whatever the hub says instead of its listing: an error soon, and never a judgement."""
    hub.create(REPO).commit({**SETTINGS, "model.safetensors": safetensors()})
    hub.inject(attrs.evolve(fault, where="/api/models/"))

    error = refused()

    assert not isinstance(error, embaudit.GateError)
    assert len(hub.requests) < MOST_ASKED


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", CONTENTS)
def test_no_content_no_pass(hub: LoopbackHub, name: str, place: str) -> None:
    """Whatever comes instead of a file's bytes: nothing is let in; what does not matter changes nothing."""
    hub.create(REPO).commit({**SETTINGS, "model.safetensors": safetensors()})
    hub.inject(attrs.evolve(CONTENTS[name], **PLACES[place]))

    if (place, name) in HARMLESS:
        assert embaudit.gate(REPO, loaders=LOADERS[0]).load(LOADERS[0]).outcome == "faithful"
    else:
        refused(loaders=LOADERS[0])
    assert len(hub.requests) < MOST_ASKED


def test_a_hub_that_is_down(hub: LoopbackHub) -> None:
    """Nobody listens: a `SourceError`, although the cache may hold the very commit."""
    hub.close()

    assert isinstance(refused(), embaudit.SourceError)
    assert isinstance(refused(policy=Policy(fail_on="error", ignore=("EMB",))), embaudit.SourceError)


def test_offline_is_no_pass(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the network switched off nothing is asked and nothing passes."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    assert isinstance(refused(), embaudit.TargetError)
    assert hub.requests == ()


@pytest.mark.parametrize("kind", ["gated", "private", "disabled", "deleted"])
def test_what_is_closed_does_not_pass(hub: LoopbackHub, kind: str) -> None:
    """A repository that is gated, private, disabled or gone does not pass; the first two do with a token."""
    options = {"gated": {"gated": "manual"}, "deleted": {}}.get(kind, {kind: True})
    commit = hub.create(REPO, **options).commit({**SETTINGS, "model.safetensors": safetensors()})
    if kind == "deleted":
        hub.delete(REPO)

    assert isinstance(refused(), embaudit.TargetError | embaudit.GateError)
    if kind in {"gated", "private"}:
        with hub.in_process(token=hub.token(REPO)):
            assert embaudit.gate(REPO).commit == commit


def test_a_repository_that_is_closed_meanwhile(hub: LoopbackHub) -> None:
    """Deleted between the listing and the first file: an error, not a report without findings."""
    hub.create(REPO).commit({**SETTINGS, "model.safetensors": safetensors()})
    hub.inject(Meanwhile(action=lambda: hub.delete(REPO), where="/api/models/"))

    assert not isinstance(refused(), embaudit.GateError)
