"""The recipes that look upstream on a schedule: each is taken from its page, and run."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import yaml

import embaudit
from embaudit.testing.loopback_hub import LoopbackHub, Repository
from embaudit.testing.repositories import bert_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto" / "watch-for-drift.md").read_text(encoding="utf-8")
SECONDS = 120
"""Far more than anything here takes; a test that hangs is ended."""


def block(language: str) -> str:
    """The only block of the page in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@attrs.frozen
class Place:
    """A repository on a hub, and a home with a folder `models` that holds a lock of it."""

    repository: Repository
    home: Path
    environment: dict[str, str]

    def run(self, *command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
        """Run a command in a folder."""
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


@pytest.fixture
def place(shell_environment: Callable[[LoopbackHub], dict[str, str]], tmp_path: Path) -> Iterator[Place]:
    """The hub, and a shell that reads from it."""
    models = tmp_path / "models"
    models.mkdir()
    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create("org/name")
        repository.commit(bert_settings())
        embaudit.save_lock(embaudit.lock("org/name", depth="headers"), models / "embaudit.lock")
        yield Place(repository, tmp_path, shell_environment(hub))


def test_the_cron_job_is_silent_until_something_matters(place: Place) -> None:
    """Cron mails what is printed: nothing while nothing moved, and the whole table once something did."""
    *when, command = block("cron").strip().split(" ", 5)
    before = place.run("sh", "-c", command, folder=place.home)
    place.repository.commit({"1_Pooling/config.json": b'{"pooling_mode_cls_token": true}'})
    after = place.run("sh", "-c", command, folder=place.home)

    assert len(when) == 5
    assert (before.stdout, before.stderr, before.returncode) == ("", "", 0)
    assert "moved-matters" in after.stdout
    assert "org/name" in after.stdout


def test_the_scheduled_workflow_fails_once_something_matters(place: Place) -> None:
    """Every `run` of the job, as the runner does it; the table is on the page of the run either way."""
    workflow = yaml.safe_load(block("yaml"))
    (job,) = workflow["jobs"].values()
    scripts = [step["run"] for step in job["steps"] if "run" in step]
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
    folder = place.home / "models"

    before = [place.run(*shell, script, folder=folder).returncode for script in scripts]
    summary = (place.home / "summary.md").read_text()
    place.repository.commit({"config.json": b"{}"})
    after = [place.run(*shell, script, folder=folder).returncode for script in scripts]

    # YAML 1.1 takes the bare word `on` for a truth.
    assert workflow[True]["schedule"] == [{"cron": "17 5 * * *"}]
    assert (before, after) == ([0, 0], [0, 1])
    assert "1 did not move" in summary
    assert "moved-matters" in (place.home / "summary.md").read_text()
