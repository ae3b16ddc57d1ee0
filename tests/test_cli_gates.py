"""`embaudit gate`: what it prints where, and the exit codes that pipelines rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import embaudit
from embaudit.cli import FINDINGS, NOT_AUDITED, PASSED, USAGE, cli
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
)

LOADER = "sentence-transformers==6.2.0"


@pytest.fixture
def hub(weights: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub with a sound model, `org/good`, and one that is misread, `org/bad`; an empty folder to be in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with LoopbackHub() as running, running.in_process():
        good = bert_settings() | {"model.safetensors": weights["model.safetensors"]}
        running.create("org/good").commit(good)
        bad = bert_settings() | {"pytorch_model.bin": weights["pytorch_model.bin"]}
        running.create("org/bad").commit(bad)
        yield running


def run(*arguments: object) -> Result:
    """One call of the command line in this process."""
    return CliRunner().invoke(cli, ["gate", *(str(argument) for argument in arguments)])


@pytest.mark.usefixtures("hub")
def test_what_passes() -> None:
    """Exit code 0, one line that says so with the commit, and the report on standard output."""
    result = run("org/good", "--loader", LOADER)

    assert result.exit_code == PASSED
    assert result.stderr.startswith("embaudit: org/good passes at commit ")
    assert result.stderr.endswith(", by the default policy\n")
    assert result.stdout.startswith("embaudit ")


@pytest.mark.usefixtures("hub")
def test_what_does_not_pass() -> None:
    """Exit code 1, and before the report one line with the reason that matters first and what to do."""
    result = run("org/bad")

    assert result.exit_code == FINDINGS
    first, _, rest = result.output.partition("\n")
    assert first.startswith("embaudit: org/bad does not pass: EMB110: ")
    assert "Serve a revision with model.safetensors" in first
    assert rest.startswith("embaudit ")
    assert "EMB110" in rest


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), USAGE, "name a TARGET"),
        (("org/good", "--local-dir", "x"), USAGE, "nothing is to be downloaded"),
        (("org/good", "--loader", "nothing"), USAGE, "not a loader"),
        (("org/good", "--policy", "nothing.toml"), USAGE, "nothing.toml"),
        (("org/good", "--depth", "deep"), USAGE, "deep"),
        (("org/nothing",), NOT_AUDITED, "org/nothing"),
        (("org/good@nothing",), NOT_AUDITED, "nothing"),
        (("./nothing", "--download"), NOT_AUDITED, "nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_neither_passed_nor_judged(arguments: tuple[str, ...], code: int, words: str) -> None:
    """Exit code 2 for what is not understood, 3 for what cannot be audited; nothing on standard output."""
    result = run(*arguments)

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


@pytest.mark.usefixtures("hub")
def test_a_download_prints_its_folder_alone() -> None:
    """Standard output is the folder and nothing else; what there is to say goes to standard error."""
    result = run("org/good", "--loader", LOADER, "--download", "--cache-dir", "cache")

    folder = Path(result.stdout.removesuffix("\n"))
    assert result.exit_code == PASSED
    assert (folder / "model.safetensors").is_file()
    assert folder.is_relative_to(Path.cwd() / "cache")
    assert result.stderr.startswith("embaudit: org/good passes")
    assert "Weights" in result.stderr


@pytest.mark.usefixtures("hub")
def test_a_download_that_does_not_pass_prints_no_folder() -> None:
    """Standard output stays empty, so that nobody loads what was refused."""
    result = run("org/bad", "--download", "--local-dir", "here")

    assert result.exit_code == FINDINGS
    assert result.stdout == ""
    assert not Path("here").exists()


@pytest.mark.usefixtures("hub")
def test_quiet_says_only_why_not() -> None:
    """With --quiet nothing is printed of what passes, and the reason alone of what doesn't."""
    good, bad = run("org/good", "--quiet"), run("org/bad", "-q")

    assert good.output == ""
    assert bad.stdout == ""
    assert bad.stderr.count("\n") == 1
    folder = run("org/good", "--quiet", "--download", "--local-dir", "here")
    assert folder.output == f"{Path('here').resolve()}\n"


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("target", ["org/good", "org/bad"])
def test_the_report_in_other_forms(target: str) -> None:
    """--format json is the report and nothing else on standard output; --output writes it, passed or not."""
    shown = run(target, "--format", "json")
    written = run(target, "--format", "json", "--output", "report.json")

    assert embaudit.AuditReport.from_json(shown.stdout).target == target
    assert json.loads(Path("report.json").read_text())["target"] == target
    assert written.stdout == ""
    assert written.exit_code == shown.exit_code


@pytest.mark.usefixtures("hub")
def test_a_policy_is_found_or_named() -> None:
    """The policy of the working directory counts, or one that is named; the line says which."""
    Path("embaudit.toml").write_text('fail-on = "info"\n')
    Path("mild.toml").write_text('ignore = ["EMB110"]\n')

    assert run("org/good").exit_code == FINDINGS
    mild = run("org/bad", "--policy", "mild.toml")
    assert mild.exit_code == PASSED
    assert mild.stderr.rstrip().endswith("by mild.toml")


@pytest.mark.usefixtures("hub")
def test_a_policy_that_is_none_does_not_pass() -> None:
    """A policy that is found and malformed is an error of usage: nothing is taken instead of it."""
    Path("embaudit.toml").write_text("fail-on = \n")

    result = run("org/good")

    assert result.exit_code == USAGE
    assert "embaudit.toml" in result.stderr


def test_a_shell_gets_the_folder_or_an_error(hub: LoopbackHub, tmp_path: Path) -> None:
    """`MODEL=$(embaudit gate ... --download)` in a script that stops on errors: the folder, or the end."""
    gated = 'MODEL=$("$PYTHON" -m embaudit gate "$1" --download)'
    script = f'set -eu\n{gated}\ntest -f "$MODEL/config.json"\necho used'
    environment = {**os.environ, **hub.environment(tmp_path / "home"), "PYTHON": sys.executable}

    ran = [
        subprocess.run(
            ["bash", "-c", script, "script", target],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for target in ("org/good", "org/bad", "org/nothing")
    ]

    assert [(each.returncode, each.stdout) for each in ran] == [(0, "used\n"), (1, ""), (3, "")]
