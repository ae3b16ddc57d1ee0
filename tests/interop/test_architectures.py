"""Architectures held against the classes of transformers 4.57, which differ a little from those of 5."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.model.architecture import Role
from embaudit.testing.tiny_models import TINY_CONFIGS

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venvs" / "transformers-4"

NATIVE = [name for name, architecture in ARCHITECTURES.items() if not architecture.remote_code]
ONLY_IN_5 = {"nomic_bert", "gte", "jina_embeddings_v3"}
ANOTHER_PREFIX = {"gemma3_text": ""}
"""Where `base_prefix`, which is that of transformers 5, is not that of 4.57."""
NO_SIZE = "rope_theta"
"""A field that has another spelling in ModernBERT of 4.57; no tensor depends on it."""
LEARN_DISTANCES = ("bert", "roberta", "xlm-roberta", "camembert", "albert", "electra")
"""Classes that read `position_embedding_type`, which those of transformers 5 don't."""

Model = tuple[str, Mapping[str, Any]]
"""An architecture's name and a configuration."""

MODELS: Mapping[str, Model] = {
    **{
        f"{name}-{place}": (name, config)
        for name in NATIVE
        for place, config in enumerate(TINY_CONFIGS[name])
    },
    **{f"{name}-defaults": (name, {"model_type": ARCHITECTURES[name].model_types[0]}) for name in NATIVE},
    **{
        f"{name}-distances": (name, {**TINY_CONFIGS[name][0], "position_embedding_type": "relative_key"})
        for name in LEARN_DISTANCES
    },
    "distilbert-two-spellings": ("distilbert", {**TINY_CONFIGS["distilbert"][0], "hidden_size": 18}),
}
each_model = pytest.mark.parametrize("model", [key for key in MODELS if MODELS[key][0] not in ONLY_IN_5])


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What transformers 4.57 has for each of the models."""
    if not (ENVIRONMENT / "made-from.txt").is_file():
        pytest.fail("no environment transformers-4; run: python tests/interop/make_environments.py")
    home = str(tmp_path_factory.mktemp("home"))
    asked = [
        {"class_name": ARCHITECTURES[name].class_name, "config": config} for name, config in MODELS.values()
    ]
    ran = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), str(HERE / "list_tensors_with_transformers.py")],
        input=json.dumps(asked),
        env={"PATH": os.environ["PATH"], "HOME": home, "HF_HOME": home, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if ran.returncode != 0:
        pytest.fail(f"exit code {ran.returncode}: {ran.stderr}")
    return dict(zip(MODELS, json.loads(ran.stdout.splitlines()[-1]), strict=True))


@each_model
def test_the_tensors_are_those_of_the_class(model: str, listed: Mapping[str, Any]) -> None:
    """Parameters have equal names and shapes; every buffer that is not about rotary positions is known."""
    name, config = MODELS[model]
    expected = expected_model(ARCHITECTURES[name], config).tensors.values()
    real = listed[model]

    parameters = {tensor.name: list(tensor.shape) for tensor in expected if tensor.role is not Role.BUFFER}
    buffers = {tensor.name: list(tensor.shape) for tensor in expected if tensor.role is Role.BUFFER}

    assert parameters == real["parameters"]
    assert _without_rotary(buffers) == _without_rotary({**real["stored"], **real["computed"]})


@each_model
def test_names_around_the_model_are_those_of_the_class(model: str, listed: Mapping[str, Any]) -> None:
    """The prefix, tied tensors, ignored names and other spellings of fields are equal, but for one prefix."""
    name, _config = MODELS[model]
    architecture, real = ARCHITECTURES[name], listed[model]

    assert real["base_prefix"] == ANOTHER_PREFIX.get(name, architecture.base_prefix)
    assert set(map(frozenset, real["tied"])) == set(map(frozenset, architecture.tied))
    assert set(real["ignored"]) == set(architecture.ignored)
    assert {key: real["aliases"][key] for key in real["aliases"] if key != NO_SIZE} == architecture.aliases


@pytest.mark.parametrize("model", [key for key in MODELS if MODELS[key][0] in ONLY_IN_5])
def test_some_classes_are_only_in_transformers_5(model: str, listed: Mapping[str, Any]) -> None:
    """There is no class that could load them."""
    assert "error" in listed[model]


def _without_rotary(buffers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Those of rotary positions come and go with the versions, and only the first ones stored them."""
    return {name: shape for name, shape in buffers.items() if "rotary_emb" not in name}
