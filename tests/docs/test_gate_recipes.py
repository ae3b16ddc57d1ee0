"""The recipes that put a gate in front of something: each is taken from its page, and run."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import yaml

from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
)

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "gate-a-pipeline.md").read_text(encoding="utf-8")
SECONDS = 120
"""Far more than anything here takes; a test that hangs is ended."""


def recipe(heading: str, language: str) -> str:
    """The first block in a language below a heading of the page."""
    _, found, below = PAGE.partition(f"\n## {heading}\n")
    assert found, heading
    block = re.search(rf"^```{language}\n(.*?)^```", below.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    assert block, (heading, language)
    return block[1]


@attrs.frozen
class Place:
    """A hub with `org/name` at two commits, of which one passes, and a folder to run things in."""

    hub: LoopbackHub
    good: str
    bad: str
    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, commit: str) -> "subprocess.CompletedProcess[str]":
        """Run a command that names a commit as the pages do."""
        return subprocess.run(
            [part.replace("COMMIT", commit) for part in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


@pytest.fixture
def place(
    weights: dict[str, bytes], shell_environment: Callable[[LoopbackHub], dict[str, str]], tmp_path: Path
) -> Iterator[Place]:
    """The hub, and a shell that reads from it."""
    folder = tmp_path / "work"
    folder.mkdir()
    with LoopbackHub() as hub:
        repository = hub.create("org/name")
        bad = repository.commit(bert_settings() | {"pytorch_model.bin": weights["pytorch_model.bin"]})
        safe = {"pytorch_model.bin": None, "model.safetensors": weights["model.safetensors"]}
        good = repository.commit(safe)
        yield Place(hub, good, bad, folder, shell_environment(hub))


def in_shell(place: Place, commit: str) -> int:
    """The lines that take the folder from the command."""
    return place.run("bash", "-c", recipe("In a shell", "bash"), commit=commit).returncode


def in_actions(place: Place, commit: str) -> int:
    """Every `run` of the job, one after the other until one fails, as the runner does."""
    workflow = yaml.safe_load(recipe("As a GitHub Actions step", "yaml"))
    (job,) = workflow["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    assert len(scripts) == 2
    for script in scripts:
        ran = place.run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script, commit=commit)
        if ran.returncode:
            break
    return ran.returncode


def in_pre_commit(place: Place, commit: str) -> int:
    """The entry of the hook, as pre-commit splits it."""
    config = yaml.safe_load(recipe("As a pre-commit hook", "yaml"))
    (repository,) = config["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert hook["pass_filenames"] is False
    assert all(re.search(hook["files"], path) for path in (".pre-commit-config.yaml", "embaudit.toml"))
    return place.run(*shlex.split(hook["entry"]), commit=commit).returncode


def in_docker(place: Place, commit: str) -> int:
    """Every instruction of the first stage; what it copies is the policy of the page."""
    (place.folder / "embaudit.toml").unlink(missing_ok=True)
    first, _ = recipe("In a Dockerfile", "dockerfile").split("\n\n")
    for line in first.splitlines():
        instruction, _, rest = line.partition(" ")
        if instruction == "COPY":
            assert rest == "embaudit.toml ."
            (place.folder / "embaudit.toml").write_text(recipe("What may pass", "toml"))
        elif instruction == "RUN":
            command = rest.replace("/model", str(place.folder / "model"))
            ran = place.run("sh", "-c", command, commit=commit)
            if ran.returncode:
                return ran.returncode
    return ran.returncode


def in_pytest(place: Place, commit: str) -> int:
    """The fixture, in a conftest.py, and a test that asks for it."""
    conftest = recipe("In a pytest fixture", "py").replace("COMMIT", commit)
    (place.folder / "conftest.py").write_text(conftest)
    test = "def test_it(model_folder):\n    assert (model_folder / 'config.json').is_file()\n"
    (place.folder / "test_it.py").write_text(test)
    ran = place.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".", commit=commit)
    if ran.returncode:
        assert "does not pass" in ran.stdout or "SourceError" in ran.stdout
    return ran.returncode


RECIPES = [in_shell, in_actions, in_pre_commit, in_docker, in_pytest]


@pytest.mark.parametrize("run", RECIPES, ids=lambda run: run.__name__)
def test_a_recipe_lets_in_what_passes_and_nothing_else(
    place: Place, run: Callable[[Place, str], int]
) -> None:
    """It succeeds with a sound commit; with one that is misread it fails, and no weights are downloaded."""
    assert run(place, place.good) == 0
    place.hub.forget()

    assert run(place, place.bad) == 1
    assert not [each for each in place.hub.requests if each.origin == "cdn" and each.range is None]


def test_the_step_shows_the_report(place: Place) -> None:
    """The page of the run has the report of what was refused."""
    in_actions(place, place.bad)

    assert "EMB110" in Path(place.environment["GITHUB_STEP_SUMMARY"]).read_text()


def test_no_report_is_no_pass(place: Place) -> None:
    """A step whose gate has no report to show, since there is no such repository, fails too."""
    place.hub.delete("org/name")

    assert in_actions(place, place.good) != 0
    assert in_shell(place, place.good) != 0


def test_the_image_holds_what_passed(place: Place, weights: dict[str, bytes]) -> None:
    """The folder that the second stage copies has the audited files, and no other weights."""
    in_docker(place, place.good)

    found = {path.name for path in (place.folder / "model").glob("*.*") if path.is_file()}
    assert found == {path for path in bert_settings() if "/" not in path} | {"model.safetensors"}
    model = place.folder / "model" / "model.safetensors"
    assert model.read_bytes() == weights["model.safetensors"]
