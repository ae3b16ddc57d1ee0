"""Predictions for sentence-transformers held against the real one: 6.2 over transformers 5.23, all values."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from safetensors.torch import load_file

from embaudit import LoadPrediction, predict_load
from embaudit.loaders.sentence_transformers import ERAS
from embaudit.model.prediction import Outcome
from embaudit.testing.held_values import held_values
from embaudit.testing.module_repositories import REPOSITORIES, build_repository

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / ".venvs" / "sentence-transformers"
LOADER = "sentence-transformers==6.2.0 with transformers==5.23.0"
FOLDED = "static-with-a-mapping"
"""The one repository whose values are computed from the stored ones."""
NO_SUCH_PATHS = (
    "sentence_transformers.models.Denser",
    "sentence_transformers.base.modules.Pooling",
    "sentence_transformers.sentence_transformer.modules.dense.Dense",
)


@attrs.frozen
class Seen:
    """A repository, what was predicted for it, and what the real loader did."""

    folder: Path
    predicted: LoadPrediction
    observed: Mapping[str, Any]


def run(script: str, lines: list[str], home: Path) -> str:
    """What a script writes, in the environment of sentence-transformers and without a network."""
    if not (ENVIRONMENT / "made-from.txt").is_file():
        pytest.fail("no environment; run: python tests/interop/make_environments.py")
    ran = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), "-W", "ignore", str(HERE / script)],
        input="".join(f"{line}\n" for line in lines),
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Seen]]:
    """Every repository, loaded."""
    home = tmp_path_factory.mktemp("modules")
    folders = {name: home / name for name in REPOSITORIES}
    for name, folder in folders.items():
        build_repository(name, folder)
    told = run("load_many_with_sentence_transformers.py", [*map(str, folders.values())], home)
    yield {
        name: Seen(folder, predict_load(folder, LOADER), json.loads(line))
        for (name, folder), line in zip(folders.items(), told.splitlines(), strict=True)
    }
    shutil.rmtree(home)


each_repository = pytest.mark.parametrize("name", REPOSITORIES)


@each_repository
def test_refused_is_what_ends_in_an_error(name: str, seen: Mapping[str, Seen]) -> None:
    """A load is predicted to be refused exactly where the real one ends in an error, and never unknown."""
    predicted, observed = seen[name].predicted, seen[name].observed

    assert predicted.outcome is not Outcome.UNKNOWN, predicted.reasons
    assert (predicted.outcome is Outcome.REFUSED) is (observed["error"] is not None), observed["error"]


@each_repository
def test_values_come_from_the_predicted_files(name: str, seen: Mapping[str, Seen]) -> None:
    """What is loaded holds the values of the predicted files, all of them exactly where that is predicted."""
    case = seen[name]
    if case.observed["error"] is not None or name == FOLDED:
        return
    held = held_values(case.folder, case.observed["modules"])

    assert held.files == {file for file in case.predicted.files if not file.endswith(".json")}
    random = held.elsewhere - set(case.predicted.harmless_keys)
    assert random <= set(case.predicted.missing_keys)
    assert (case.predicted.outcome is Outcome.FAITHFUL) is (not random)


@each_repository
def test_type_and_messages(name: str, seen: Mapping[str, Seen]) -> None:
    """The model computes in the predicted type; it says nothing where silence is predicted."""
    case = seen[name]
    if case.observed["error"] is not None:
        return
    parameters = [each for module in case.observed["modules"] for each in module["parameters"].values()]

    assert case.predicted.dtype == parameters[0]["dtype"]
    assert not (case.predicted.silent and case.observed["messages"])
    assert case.predicted.outcome is Outcome.FAITHFUL or case.predicted.silent or case.observed["messages"]


def test_a_smaller_vocabulary_is_multiplied_out(seen: Mapping[str, Seen]) -> None:
    """A model2vec table with a mapping and weights is loaded as one row for each token."""
    case = seen[FOLDED]
    stored = load_file(case.folder / case.predicted.files[0])
    folded = stored["embeddings"][stored["mapping"]] * stored["weights"][:, None]
    (parameter,) = case.observed["modules"][0]["parameters"].values()

    assert parameter["sha256"] == hashlib.sha256(folded.contiguous().numpy().tobytes()).hexdigest()
    assert case.predicted.outcome is Outcome.FAITHFUL


def test_class_paths(tmp_path: Path) -> None:
    """Every path that names a class here names the same one there, and what names none here names none."""
    known = ERAS[-1].classes
    told = json.loads(run("resolve_module_classes.py", [*known, *NO_SUCH_PATHS], tmp_path))

    assert told == {
        **{path: "Router" if kind.name == "Asym" else kind.name for path, kind in known.items()},
        **dict.fromkeys(NO_SUCH_PATHS),
    }
