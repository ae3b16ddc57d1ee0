"""A prediction is held against a load: none of its mistakes goes unnoticed, and a right one is not blamed."""

import hashlib
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from embaudit.model.prediction import MismatchedKey, Outcome, PredictedLoad
from embaudit.testing.damage import write_damaged
from embaudit.testing.damaged_tensors import tiny_model
from embaudit.testing.observed_loads import (
    ObservedLoad,
    ObservedParameter,
    contradictions,
    parse_observed_load,
)

QUERY = "encoder.layer.0.attention.self.query.weight"
RIGHT = PredictedLoad(
    loader="transformers",
    outcome=Outcome.FAITHFUL,
    files=("model.safetensors",),
    ignored_files=("pytorch_model.bin",),
    dtype="float32",
)


def held(tensor: torch.Tensor) -> dict[str, Any]:
    """What a loader's script writes of a parameter."""
    digest = hashlib.sha256(tensor.contiguous().numpy()).hexdigest()
    return {"dtype": "float32", "shape": [*tensor.shape], "sha256": digest}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository in which both containers lie, with different values."""
    write_damaged("safetensors-and-other-bin", tiny_model("bert"), tmp_path)
    return tmp_path


@pytest.fixture
def observed() -> ObservedLoad:
    """The safetensors file loaded as it is."""
    parameters = {name: held(tensor) for name, tensor in tiny_model("bert").tensors.items()}
    return parse_observed_load(
        {"error": None, "class_name": "BertModel", "dtype": "float32", "parameters": parameters, "more": 1}
    )


def fields(predicted: PredictedLoad, observed: ObservedLoad, folder: Path) -> set[str]:
    """What the contradictions are about."""
    return {line.partition(":")[0].partition(",")[0] for line in contradictions(predicted, observed, folder)}


def test_a_right_prediction_is_not_contradicted(observed: ObservedLoad, folder: Path) -> None:
    """Where everything came as predicted there is nothing to say."""
    assert fields(RIGHT, observed, folder) == set()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"files": ("pytorch_model.bin",)}, "values"),
        ({"files": ()}, "outcome"),
        ({"files": (), "ignored_files": ()}, "files"),
        ({"ignored_files": ("model.safetensors", "pytorch_model.bin")}, "files"),
        ({"files": ("model.safetensors", "pytorch_model.bin"), "ignored_files": ()}, "files"),
        ({"renamed_keys": {QUERY: QUERY.replace("query", "key")}}, "values"),
        ({"missing_keys": (QUERY,)}, "missing_keys"),
        ({"renamed_keys": {QUERY: f"{QUERY}2"}}, "outcome"),
        ({"unexpected_keys": ("x",)}, "unexpected_keys"),
        (
            {"mismatched_keys": (MismatchedKey(name="x", stored_shape=(), expected_shape=()),)},
            "mismatched_keys",
        ),
        ({"dtype": "float16"}, "dtype"),
        ({"outcome": Outcome.INCOMPLETE}, "outcome"),
        ({"outcome": Outcome.REFUSED}, "outcome"),
        ({"outcome": Outcome.UNKNOWN}, "outcome"),
    ],
    ids=str,
)
def test_a_wrong_prediction_is_contradicted(
    change: dict[str, Any], field: str, observed: ObservedLoad, folder: Path
) -> None:
    """Each field that says something else is named."""
    assert field in fields(attrs.evolve(RIGHT, **change), observed, folder)


def test_a_random_tensor_must_be_predicted(observed: ObservedLoad, folder: Path) -> None:
    """A parameter that holds nothing of the file contradicts a faithful load, even if nothing was told."""
    lost = ObservedParameter(**held(torch.zeros(16, 16)))
    load = attrs.evolve(observed, parameters={**observed.parameters, QUERY: lost})

    assert fields(RIGHT, load, folder) == {"values", "outcome", "silent"}


def test_what_holds_no_values_must_be_predicted(observed: ObservedLoad, folder: Path) -> None:
    """A parameter that a loader leaves without values, and does not report, contradicts a faithful load."""
    lost = ObservedParameter(dtype="float32", shape=(16, 16), sha256=None)
    parameters = {**observed.parameters, QUERY: lost}
    load = attrs.evolve(observed, parameters=parameters, unexpected_keys=(QUERY,))
    right = attrs.evolve(RIGHT, outcome=Outcome.INCOMPLETE, unexpected_keys=(QUERY,), silent=True)

    assert fields(attrs.evolve(RIGHT, unexpected_keys=(QUERY,)), load, folder) == {"outcome", "silent"}
    assert fields(right, load, folder) == set()


def test_a_pooler_at_random_values_is_no_harm(observed: ObservedLoad, folder: Path) -> None:
    """A missing tensor on which no embedding depends leaves a load faithful."""
    name = "pooler.dense.bias"
    lost = held(torch.zeros(16))
    parameters = {**observed.parameters, name: ObservedParameter(**lost)}
    load = attrs.evolve(observed, parameters=parameters, missing_keys=(name,))

    assert fields(attrs.evolve(RIGHT, missing_keys=(name,)), load, folder) == set()


def test_a_refusal_must_be_predicted(folder: Path) -> None:
    """An error contradicts every outcome but one."""
    refused = ObservedLoad(error="OSError: nothing there")

    assert fields(RIGHT, refused, folder) == {"outcome"}
    assert fields(attrs.evolve(RIGHT, outcome=Outcome.REFUSED), refused, folder) == set()


def test_sizes_are_held_where_they_were_ignored(folder: Path) -> None:
    """What is refused for its sizes is known by name from a second load that ignores them."""
    again = {"error": None, "mismatched_keys": [QUERY]}
    refused = parse_observed_load({"error": "RuntimeError: sizes", "ignoring_sizes": again})
    mismatched = MismatchedKey(name=QUERY, stored_shape=(16, 17), expected_shape=(16, 16))
    predicted = attrs.evolve(RIGHT, outcome=Outcome.REFUSED)

    assert fields(predicted, refused, folder) == {"mismatched_keys"}
    assert fields(attrs.evolve(predicted, mismatched_keys=(mismatched,)), refused, folder) == set()
