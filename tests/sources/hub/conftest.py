"""What the tests of the hub source share: a loopback hub, and a patience that loses no time."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from embaudit.sources.hub.patience import Patience
from embaudit.testing.loopback_hub import LoopbackHub, Repository

HASTY = Patience(attempts=3, first_wait=0.001, longest_wait=0.002, ceiling=10.0, margin=0.0)
"""Asks as often as there are faults in these tests, and hardly waits."""


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub at which huggingface_hub, as this process has it, points."""
    with LoopbackHub() as hub, hub.in_process():
        yield hub


@pytest.fixture
def repository(hub: LoopbackHub) -> Repository:
    """An empty repository `org/name`."""
    return hub.create("org/name")


@pytest.fixture
def hasty() -> Patience:
    """A patience for tests with faults."""
    return HASTY


def noise(n_bytes: int, seed: int = 0) -> bytes:
    """Bytes of which no two spans are alike, the same for the same seed."""
    blocks = (hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(n_bytes // 32 + 1))
    return b"".join(blocks)[:n_bytes]


@pytest.fixture(name="noise")
def _noise() -> Any:
    return noise
