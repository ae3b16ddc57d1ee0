"""Predictions held against what 22 releases of sentence-transformers were seen to do, from 2.0.0 to 6.2.0.

`observed_sentence_transformers.json` was written down from runs of the real packages over the transformers
that it names: whether each of `REPOSITORIES` loaded, which files held the values, how many parameters had
values that are in no file, and the type. `tests/interop` runs the newest of them again.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from embaudit.loaders import ask_loader, parse_loader
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.repository import Repository
from embaudit.reading import read_repository
from embaudit.sources import open_snapshot
from embaudit.testing.module_repositories import REPOSITORIES, build_repository

RECORD = json.loads(
    (Path(__file__).parent / "observed_sentence_transformers.json").read_text(encoding="utf-8")
)
UNKNOWN = {"dense-foreign-activation", "no-modules-listed"}
"""Where embaudit says that it cannot tell, in some versions."""
COMPUTED = {"static-with-a-mapping", "word-weights"}
"""Where values are made of stored ones or of settings, or should be."""


def predicted(repository: Repository, version: str) -> LoadPrediction:
    """What is predicted for a version over the transformers that it ran with."""
    beneath = RECORD["transformers"][version]
    request = f"sentence-transformers=={version} with transformers=={beneath}"
    return ask_loader(repository, parse_loader(request))


def test_every_repository_is_on_record() -> None:
    """The record has every repository, and every version for each of them."""
    assert set(RECORD["repositories"]) == set(REPOSITORIES)
    for name, runs in RECORD["repositories"].items():
        assert [version for run in runs for version in run["versions"]] == list(RECORD["transformers"]), name


@pytest.mark.parametrize("name", REPOSITORIES)
def test_as_observed(name: str, tmp_path: Path) -> None:
    """Each version is predicted to refuse what it refused, and to load from the files that it loaded from."""
    build_repository(name, tmp_path / name)
    repository = read_repository(open_snapshot(tmp_path / name))

    for run in RECORD["repositories"][name]:
        for version in run["versions"]:
            load = predicted(repository, version)
            assert len(load.eras) == 1
            told = f"{version}: {load.outcome}, {load.reasons}"
            if load.outcome is Outcome.UNKNOWN:
                assert name in UNKNOWN, told
            else:
                assert (load.outcome is not Outcome.REFUSED) is run["loads"], told
                check_values(name, load, run)


def check_values(name: str, load: LoadPrediction, run: Mapping[str, Any]) -> None:
    """Where it loaded: the files, the type, and whether every value was a stored one."""
    if not run["loads"]:
        return
    assert load.dtype == run["dtype"]
    if name not in COMPUTED:
        random = run["elsewhere"] > len(load.harmless_keys)
        assert (load.outcome is Outcome.FAITHFUL) is not random
        assert {file for file in load.files if not file.endswith(".json")} == set(run["files"])
