"""What is predicted for transformers, held against the one that is installed: every damage, every value."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from embaudit import predict_load
from embaudit.architectures import ARCHITECTURES
from embaudit.testing.damage import FILE_DAMAGES, NAME_DAMAGES, write_damaged
from embaudit.testing.damaged_tensors import tiny_model
from embaudit.testing.observed_loads import ObservedLoad, contradictions, parse_observed_load
from embaudit.testing.tiny_models import TINY_CONFIGS

pytestmark = pytest.mark.exhaustive

SCRIPT = Path(__file__).resolve().parents[1] / "interop" / "load_many_with_transformers.py"
NATIVE = [name for name, architecture in ARCHITECTURES.items() if not architecture.remote_code]
"""Architectures that transformers has itself."""
EVERY_FILE = ("bert", "t5", "modernbert", "llama")
"""Architectures that are held to every kind of damage to files; the interop tests hold all of them to it."""
SOME_FILES = (
    *("intact", "bin", "sharded", "sharded-bin", "safetensors-and-other-bin", "index-lacks-a-tensor"),
    *("float16", "bfloat16", "first-float16", "all-but-first-float16", "config-says-float16"),
)
"""What the other architectures are held to."""
OPTIONS = [(name, config) for name in NATIVE for config in TINY_CONFIGS[name][1:]]
"""Further configurations, whose options change the tensors."""

Load = Callable[[Path], ObservedLoad]


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """Loads a folder with the transformers that is installed, in a process of its own without a network."""
    home = tmp_path_factory.mktemp("home")
    with (
        (home / "stderr").open("wb") as errors,
        subprocess.Popen(
            [sys.executable, SCRIPT],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "HF_HUB_OFFLINE": "1",
                "DISABLE_SAFETENSORS_CONVERSION": "1",
                "OMP_NUM_THREADS": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
        ) as process,
    ):
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None

        def load_folder(folder: Path) -> ObservedLoad:
            asked.write(f"{folder}\n")
            asked.flush()
            answer = answered.readline()
            assert answer, (home / "stderr").read_text(encoding="utf-8", errors="replace")
            return parse_observed_load(json.loads(answer))

        yield load_folder
        asked.close()


@pytest.fixture
def neutral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in whose path no model type stands: without `model_type`, transformers 4 guesses from it."""
    return tmp_path_factory.mktemp("r")


def disagreements(
    name: str, config: Mapping[str, Any], kinds: Iterable[str], folder: Path, load: Load
) -> Iterator[str]:
    """A line for everything in which a prediction differs from what transformers does."""
    model = tiny_model(name, config)
    for number, kind in enumerate(kinds):
        repository = folder / str(number)
        if write_damaged(kind, model, repository):
            predicted = predict_load(repository, f"transformers=={version('transformers')}")
            for line in contradictions(predicted, load(repository), repository):
                yield f"{name}, {kind}: {line}"


@pytest.mark.parametrize("name", NATIVE)
def test_predictions_are_what_transformers_does(name: str, neutral: Path, load: Load) -> None:
    """Keys, files, values, types and refusals come out as predicted, for every kind of damage."""
    files = FILE_DAMAGES if name in EVERY_FILE else SOME_FILES
    lines = list(disagreements(name, TINY_CONFIGS[name][0], (*files, *NAME_DAMAGES), neutral, load))

    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(("name", "config"), OPTIONS)
def test_options_that_change_the_tensors_are_predicted(
    name: str, config: Mapping[str, Any], neutral: Path, load: Load
) -> None:
    """A configuration with other options is predicted as it loads."""
    kinds = ("intact", "first-dropped", "biases-dropped")
    lines = list(disagreements(name, config, kinds, neutral, load))

    assert not lines, "\n".join(lines)
