"""The command `audit` under a policy: its options, what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embaudit.cli import FINDINGS, PASSED, USAGE, cli
from embaudit.testing.repositories import bert_settings, bert_tensors, flat, save_safetensors, save_torch


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A repository with safetensors, and a torch file of one storage: a warning, EMB110."""
    folder = tmp_path / "model"
    for path, content in bert_settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    save_safetensors(bert_tensors(), folder / "model.safetensors")
    save_torch(flat(bert_tensors()), folder / "pytorch_model.bin")
    return folder


def run(*arguments: object) -> Result:
    """One call of the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    ("policy", "arguments", "code"),
    [
        (None, (), PASSED),
        (None, ("--fail-on", "warning"), FINDINGS),
        ('fail-on = "warning"', (), FINDINGS),
        ('fail-on = "warning"', ("--fail-on", "error"), PASSED),
        ('fail-on = "warning"\nignore = ["EMB110", "EMB001"]', (), PASSED),
        ('loaders = ["infinity"]', (), FINDINGS),
        ('loaders = ["tei==1.8.3"]', (), PASSED),
        ('formats = ["safetensors"]', (), FINDINGS),
        ('formats = ["safetensors"]', ("--ignore", "EMB601"), PASSED),
        ("fail_on = 3", (), USAGE),
    ],
    ids=str,
)
def test_the_policy_decides_the_exit_code(
    model: Path, tmp_path: Path, policy: str | None, arguments: tuple[str, ...], code: int
) -> None:
    """The threshold is the policy's, unless `--fail-on` is given; a policy that is wrong is wrong usage."""
    options: tuple[object, ...] = ()
    if policy is not None:
        (tmp_path / "embaudit.toml").write_text(policy)
        options = ("--policy", tmp_path / "embaudit.toml")

    assert run("audit", model, *options, *arguments).exit_code == code


def test_a_faulty_policy_is_told_in_one_line(model: Path, tmp_path: Path) -> None:
    """File, line, key and the right name are on standard error, and nothing on standard output."""
    (tmp_path / "embaudit.toml").write_text('\nformats = ["safetensor"]\n')

    result = run("audit", model, "--policy", tmp_path / "embaudit.toml")

    place = f"embaudit: {tmp_path}/embaudit.toml, line 2: `formats[0]` expected one of "
    assert result.stderr.startswith(place)
    assert result.stderr.endswith('did you mean "safetensors"?\n')
    assert result.stdout == ""


@pytest.mark.parametrize("name", [".", "nothing.toml"])
def test_a_policy_that_is_not_there_is_wrong_usage(model: Path, tmp_path: Path, name: str) -> None:
    """A folder, or nothing, is no policy: exit code 2, and no audit."""
    assert run("audit", model, "--policy", tmp_path / name).exit_code == USAGE


def test_the_report_of_the_command_holds_the_policy(model: Path, tmp_path: Path) -> None:
    """The JSON says what was asked for, and what was waived and why, with its date."""
    (tmp_path / "embaudit.toml").write_text(
        'formats = ["safetensors"]\nwaivers = [{code = "EMB601", reason = "known", expires = 9999-12-31}]\n'
    )

    result = run("audit", model, "--policy", tmp_path / "embaudit.toml", "--format", "json")

    document = json.loads(result.stdout)
    assert result.exit_code == PASSED
    assert document["policy"]["formats"] == ["safetensors"]
    assert document["waived"][0]["waiver"]["expires"] == "9999-12-31"
    assert document["waived"][0]["finding"]["code"] == "EMB601"
