"""EMB120, EMB122 and EMB123 held against transformers 4 and 5: shards that their index does not describe."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import Tensor

from embaudit import audit

pytestmark = pytest.mark.interop

Weights = Mapping[str, Tensor]
Save = Callable[[Path], object]
Load = Callable[[Path], Any]
INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
ODD_ONE = "encoder.layer.0.attention.self.query.weight"


def save_shards(
    weights: Weights, folder: Path, *, not_stored: str | None = None, not_indexed: str | None = None
) -> None:
    """Write two shards and their index, and leave one tensor out of either."""
    names = list(weights)
    half = len(names) // 2
    weight_map = dict.fromkeys(names[:half], SHARDS[0]) | dict.fromkeys(names[half:], SHARDS[1])
    for shard in SHARDS:
        held = {name: weights[name] for name in names if weight_map[name] == shard and name != not_stored}
        save_file(held, folder / shard, metadata={"format": "pt"})
    indexed = {name: shard for name, shard in weight_map.items() if name != not_indexed}
    index = {"metadata": {}, "weight_map": indexed}
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def found(folder: Path) -> dict[str, str | None]:
    """The tensor, or else the file, that each finding about the index is about."""
    findings = [finding for finding in audit(folder).findings if finding.code.startswith("EMB12")]
    return {finding.code: finding.where.tensor or finding.where.path for finding in findings}


def digests(weights: Weights) -> dict[str, str]:
    """The SHA-256 of each tensor's elements."""
    return {name: hashlib.sha256(tensor.numpy()).hexdigest() for name, tensor in weights.items()}


@pytest.fixture(scope="module")
def unindexed(new_snapshot: Callable[[Save], Path], weights: Weights) -> Path:
    """A shard holds a tensor that the index does not mention."""
    return new_snapshot(lambda folder: save_shards(weights, folder, not_indexed=ODD_ONE))


@pytest.fixture(scope="module")
def unstored(new_snapshot: Callable[[Save], Path], weights: Weights) -> Path:
    """The index maps a tensor to a shard that does not hold it."""
    return new_snapshot(lambda folder: save_shards(weights, folder, not_stored=ODD_ONE))


@pytest.mark.parametrize("loader", ["transformers_4", "transformers_5"])
def test_right_shards_load(
    loader: str,
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    request: pytest.FixtureRequest,
) -> None:
    """Shards that agree with their index load whole, and none of the rules finds anything."""
    folder = new_snapshot(lambda folder: save_shards(weights, folder))
    loaded = request.getfixturevalue(loader)(folder)

    assert found(folder) == {}
    assert loaded == {"missing_keys": [], "unexpected_keys": [], "parameters": digests(weights)}


def test_transformers_5_loads_an_unindexed_tensor(
    unindexed: Path, weights: Weights, transformers_5: Load
) -> None:
    """What EMB123 says of transformers 5: it loads every tensor of the shards, indexed or not."""
    loaded = transformers_5(unindexed)

    assert found(unindexed) == {"EMB123": ODD_ONE}
    assert loaded == {"missing_keys": [], "unexpected_keys": [], "parameters": digests(weights)}


def test_transformers_4_misses_an_unindexed_tensor(
    unindexed: Path, weights: Weights, transformers_4: Load
) -> None:
    """What EMB123 says of readers that follow the map: transformers 4 takes the tensor for missing."""
    loaded = transformers_4(unindexed)

    assert loaded["missing_keys"] == [ODD_ONE]
    assert loaded["parameters"].pop(ODD_ONE) != digests(weights)[ODD_ONE]
    assert loaded["parameters"].items() <= digests(weights).items()


def test_transformers_5_misses_an_indexed_tensor(
    unstored: Path, weights: Weights, transformers_5: Load
) -> None:
    """What EMB122 says of a parameter at random values: transformers 5 tells that it is missing."""
    loaded = transformers_5(unstored)

    assert found(unstored) == {"EMB122": ODD_ONE}
    assert loaded["missing_keys"] == [ODD_ONE]
    assert loaded["parameters"].pop(ODD_ONE) != digests(weights)[ODD_ONE]
    assert loaded["parameters"].items() <= digests(weights).items()


def test_transformers_4_leaves_an_indexed_tensor_without_values(unstored: Path, transformers_4: Load) -> None:
    """Of the tensor that EMB122 names, transformers 4 says nothing: it stays on the meta device."""
    loaded = transformers_4(unstored)

    assert loaded["missing_keys"] == []
    assert [name for name, digest in loaded["parameters"].items() if digest is None] == [ODD_ONE]


@pytest.mark.parametrize("loader", ["transformers_4", "transformers_5"])
def test_transformers_refuses_without_a_shard(
    loader: str,
    weights: Weights,
    new_snapshot: Callable[[Save], Path],
    request: pytest.FixtureRequest,
) -> None:
    """What EMB120 says: without a shard that the index names, transformers refuses."""
    folder = new_snapshot(lambda folder: save_shards(weights, folder))
    (folder / SHARDS[1]).unlink()

    assert found(folder) == {"EMB120": SHARDS[1]}
    with pytest.raises(RuntimeError, match=f"FileNotFoundError.*{SHARDS[1]}"):
        request.getfixturevalue(loader)(folder)
