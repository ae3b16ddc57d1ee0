"""What is predicted for transformers 4.57, held against it: every damage, every value, in one process."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from embaudit import predict_load
from embaudit.architectures import ARCHITECTURES
from embaudit.testing.damage import DAMAGES, write_damaged
from embaudit.testing.damaged_tensors import tiny_model
from embaudit.testing.observed_loads import ObservedLoad, contradictions, parse_observed_load
from embaudit.testing.tiny_models import TINY_CONFIGS

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venvs" / "transformers-4"
NATIVE = [name for name, architecture in ARCHITECTURES.items() if not architecture.remote_code]
"""Architectures that some transformers has itself; one that 4.57 lacks is refused, as predicted."""
FEW = ("intact", "first-dropped", "biases-dropped")
"""Kinds for configurations after the first, whose options change the tensors."""

Case = tuple[str, int, str]
"""Architecture, place of the configuration, kind of damage."""


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, tuple[Path, ObservedLoad]]:
    """Every case with its folder, in whose path no model type stands, and with what came of it."""
    base = tmp_path_factory.mktemp("r")
    folders = {}
    for name in NATIVE:
        for place, config in enumerate(TINY_CONFIGS[name]):
            model = tiny_model(name, config)
            for kind in FEW if place else DAMAGES:
                folder = base / str(len(folders))
                if write_damaged(kind, model, folder):
                    folders[name, place, kind] = folder
    ran = subprocess.run(
        [ENVIRONMENT / "bin" / "python", HERE / "load_many_with_transformers.py"],
        input="".join(f"{folder}\n" for folder in folders.values()),
        env={"PATH": os.environ["PATH"], "HOME": str(base), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    loads = (parse_observed_load(json.loads(line)) for line in ran.stdout.splitlines())
    return {case: (folder, load) for (case, folder), load in zip(folders.items(), loads, strict=True)}


@pytest.mark.parametrize("name", NATIVE)
def test_predictions_are_what_transformers_4_does(
    name: str, observed: dict[Case, tuple[Path, ObservedLoad]]
) -> None:
    """Keys, files, values, types and refusals come out as predicted, for every kind of damage."""
    lines = [
        f"{case}: {line}"
        for case, (folder, load) in observed.items()
        if case[0] == name
        for line in contradictions(predict_load(folder, "transformers==4.57.1"), load, folder)
    ]

    assert not lines, "\n".join(lines)
