"""The command line: what each command prints, and the exit codes that pipelines rely on."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import embaudit
from embaudit.cli import FINDINGS, NOT_AUDITED, PASSED, USAGE, cli
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    flat,
    save_safetensors,
    save_torch,
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small repository with both weight formats."""
    folder = tmp_path / "model"
    for path, content in bert_settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    save_torch(bert_tensors(), folder / "pytorch_model.bin")
    save_safetensors(bert_tensors(), folder / "model.safetensors")
    return folder


def run(*arguments: object) -> Result:
    """One call of the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_audit_passes_a_sound_repository(model: Path) -> None:
    """A repository without errors ends with 0 and the report on standard output."""
    result = run("audit", model)

    assert result.exit_code == PASSED
    assert result.stdout.startswith("embaudit ")
    assert result.stderr == ""


def test_audit_fails_at_the_threshold(model: Path) -> None:
    """The exit code is 1 if a finding is at or above --fail-on, and 0 if all are below."""
    assert run("audit", model, "--fail-on", "info").exit_code == FINDINGS
    assert run("audit", model, "--fail-on", "warning").exit_code == PASSED
    save_torch(flat(bert_tensors()), model / "pytorch_model.bin")
    assert run("audit", model, "--fail-on", "warning").exit_code == FINDINGS
    assert run("audit", model, "--fail-on", "warning", "--ignore", "EMB110").exit_code == PASSED


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("audit",), USAGE, "Missing argument"),
        (("audit", "{model}", "--depth", "deep"), USAGE, "deep"),
        (("audit", "{model}", "--ignore", "EMB9"), USAGE, "no rule has a code"),
        (("audit", "{model}", "--output", "{model}/no/such/folder"), USAGE, "cannot write"),
        (("frobnicate",), USAGE, "No such command"),
        (("audit", "./nothing/here"), NOT_AUDITED, "nothing"),
        (("audit", "cache:org/name"), NOT_AUDITED, "org/name"),
        (("audit", "org/name"), NOT_AUDITED, "hub"),
        (("diff", "{model}", "./nothing/here"), NOT_AUDITED, "nothing"),
        (("map", "{model}/config.json", "{model}"), NOT_AUDITED, "config.json"),
        (("inspect", "{model}", "other.bin"), NOT_AUDITED, "other.bin"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_says_why(model: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """A command that is not understood ends with 2, a target that cannot be audited with 3; both say why."""
    result = run(*(argument.format(model=model) for argument in arguments))

    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


def test_audit_writes_json_that_is_the_report(model: Path, tmp_path: Path) -> None:
    """--format json --output writes the report that `from_json` reads, and prints nothing."""
    result = run("audit", model, "--format", "json", "--output", tmp_path / "report.json")

    report = embaudit.AuditReport.from_json((tmp_path / "report.json").read_text())
    assert result.stdout == ""
    assert report.target == str(model)
    assert set(report.checkpoints) == {"model.safetensors", "pytorch_model.bin"}


def test_diff_tells_a_difference_by_its_exit_code(model: Path, tmp_path: Path) -> None:
    """Equal snapshots end with 0; an added file is shown and ends with 1."""
    settings = bert_settings()
    old = cache_commit(tmp_path, "org/name", "1" * 40, settings)
    new = cache_commit(tmp_path, "org/name", "2" * 40, settings | {"vocab.txt": b"word\n"})

    assert run("diff", old, old).exit_code == PASSED
    result = run("diff", old, new)
    assert result.exit_code == FINDINGS
    assert "+  vocab.txt" in result.stdout
    assert json.loads(run("diff", old, new, "--format", "json").stdout)["added"][0]["path"] == "vocab.txt"
    assert run("diff", old, model).exit_code == FINDINGS


def test_map_tells_another_model_by_its_exit_code(model: Path, tmp_path: Path) -> None:
    """The same tensors end with 0, other values at depth full with 1."""
    save_torch(bert_tensors(seed=1), tmp_path / "other.bin")

    assert (
        run("map", model / "pytorch_model.bin", model / "model.safetensors", "--depth", "full").exit_code
        == PASSED
    )
    result = run("map", model, tmp_path / "other.bin", "--depth", "full", "--format", "json")
    assert result.exit_code == FINDINGS
    assert {pair["values"] for pair in json.loads(result.stdout)["pairs"]} == {"different"}


def test_inspect_lists_tensors(model: Path) -> None:
    """Every tensor with --all, the same ones as JSON."""
    result = run("inspect", model, "pytorch_model.bin", "--all")
    document = json.loads(run("inspect", model / "pytorch_model.bin", "--format", "json").stdout)

    assert result.exit_code == PASSED
    assert set(document["tensors"]) == set(bert_tensors())
    assert all(name in result.stdout for name in document["tensors"])


def test_demo_shows_the_incident() -> None:
    """The demonstration ends with 0 and names the fault, the byte and the values that either reader gets."""
    result = run("demo")

    assert result.exit_code == PASSED
    assert "EMB110" in result.stdout
    assert "EMB202" in result.stdout
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert any(line.startswith("text-embeddings-inference[cuda] 1.5.0 corrupt, silently") for line in lines)
    assert "sentence-transformers 6.2.0 faithful" in lines
    report = embaudit.AuditReport.from_json(run("demo", "--format", "json").stdout)
    assert {"EMB003", "EMB010", "EMB110"} <= {finding.code for finding in report.findings}


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("audit", "-h")], ids=" ".join)
def test_the_module_runs(arguments: tuple[str, ...]) -> None:
    """`python -m embaudit` is the command line."""
    done = subprocess.run(
        [sys.executable, "-m", "embaudit", *arguments], capture_output=True, text=True, check=False
    )

    assert done.returncode == PASSED
    assert "embaudit" in done.stdout


def _on_a_terminal(model: Path, **environment: str) -> tuple[str, str]:
    """Standard output and error of an audit at depth full, each a terminal of its own."""
    outputs, errors = pty.openpty(), pty.openpty()
    fcntl.ioctl(errors[1], termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "embaudit", "audit", str(model), "--depth", "full"]
    settings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        command, stdout=outputs[1], stderr=errors[1], env={**settings, "TERM": "xterm", **environment}
    )
    os.close(outputs[1])
    os.close(errors[1])
    with ThreadPoolExecutor(2) as pool:  # a terminal holds few bytes: both are emptied while the command runs
        shown = tuple(pool.map(_everything, (outputs[0], errors[0])))
    process.wait(60)
    os.close(outputs[0])
    os.close(errors[0])
    return shown[0], shown[1]


def _everything(terminal: int) -> str:
    data = b""
    while True:
        try:
            read = os.read(terminal, 1 << 16)
        except OSError:  # the other end is closed and all is read
            return data.decode()
        if not read:
            return data.decode()
        data += read


def test_a_terminal_gets_colour_and_a_progress_bar(model: Path) -> None:
    """On a terminal severities are coloured and reading shows a bar; NO_COLOR takes the colour away."""
    stdout, stderr = _on_a_terminal(model)
    plain, _ = _on_a_terminal(model, NO_COLOR="1")

    assert "\x1b[36mINFO" in stdout
    assert "B/s" in stderr
    assert "\x1b[36m" not in plain


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_report_that_cannot_be_written_is_not_findings(model: Path) -> None:
    """Where the output takes no more bytes the exit code is 3: nobody has seen the report."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "embaudit", "audit", str(model)],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert done.returncode == NOT_AUDITED
    assert b"not finished" in done.stderr


def test_an_interrupted_audit_is_not_findings(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit that its user ends leaves with 3."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("embaudit.cli.audits.audit", interrupted)

    assert run("audit", model).exit_code == NOT_AUDITED


def test_a_reader_that_has_seen_enough_is_no_trouble(model: Path) -> None:
    """Piped into a program that closes early, a long listing ends without a word on standard error."""
    command = f"{sys.executable} -m embaudit inspect {model} --all --format json | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)

    assert done.stdout == "{\n"
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_a_terminal_need_not_know_every_character(tmp_path: Path, encoding: str) -> None:
    """What the encoding of the output lacks is told by its number, and the exit code is that of the audit."""
    folder = tmp_path / "мо́дель"
    folder.mkdir()

    run = subprocess.run(
        [sys.executable, "-m", "embaudit", "audit", str(folder)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, b"")
    assert rb"\u043c" in run.stdout
