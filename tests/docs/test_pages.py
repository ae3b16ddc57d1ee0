"""The README and every page of the documentation: code and commands run, links lead somewhere."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from huggingface_hub import constants
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

import embaudit
from embaudit import cli
from embaudit.embeddings import probe, save_probe
from embaudit.model.limits import Limits
from embaudit.testing.embedding_server import EmbeddingServer, hashed_vectors
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    cache_commit,
    save_safetensors,
    save_torch,
)

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with what the pages talk about: a model, its weight files, a clone, a cache, and a hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    tensors = bert_tensors()
    save_torch(tensors, tmp_path / "pytorch_model.bin")
    save_safetensors(tensors, tmp_path / "model.safetensors")
    before = bert_settings() | {"pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes()}
    after = before | {"model.safetensors": (tmp_path / "model.safetensors").read_bytes()}
    _write(tmp_path / "my-model", after)
    _vectors(tmp_path)
    _clone(tmp_path / "clone", before, after)
    with LoopbackHub() as hub, hub.in_process():
        repository = hub.create("org/name")
        first = repository.commit(before, title="First")
        repository.tag("v1", first)
        second = repository.commit(after, title="Add safetensors")
        cache_commit(tmp_path / "cache", "org/name", first, before, ref="v1")
        cache_commit(tmp_path / "cache", "org/name", second, after, ref="main")
        yield tmp_path


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _vectors(folder: Path) -> None:
    """Vectors of three texts, as expected and as observed: the same, normalised."""
    expected = hashed_vectors(["one", "two", "three"]) * 2
    np.save(folder / "expected.npy", expected)
    np.save(folder / "observed.npy", expected / np.linalg.norm(expected, axis=1, keepdims=True))
    (folder / "texts.txt").write_text("one\ntwo\nthree\n")


def _clone(folder: Path, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    folder.mkdir()
    _git(folder, "init", "--quiet")
    for tag, title, files in (("v1", "First", before), ("v2", "Add safetensors", after)):
        _write(folder, files)
        _git(folder, "add", ".")
        _git(folder, *who, "commit", "--quiet", "-m", title)
        _git(folder, "tag", tag)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
@pytest.mark.usefixtures("workplace")
def test_the_python_of_a_page_runs(page: Path) -> None:
    """Every Python block of the page runs, in order, in one namespace."""
    document = Sybil(parsers=[PythonCodeBlockParser()]).parse(page)

    for example in document.examples():
        example.evaluate()


def _commands(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("embaudit ")]


@pytest.mark.parametrize(
    ("page", "command"),
    [
        pytest.param(page, command, id=f"{page.name}: {command}")
        for command, page in {command: page for page in PAGES for command in _commands(page)}.items()
    ],
)
@pytest.mark.usefixtures("workplace")
def test_the_commands_of_a_page_run(page: Path, command: str) -> None:
    """Every embaudit command of the page ends with 0 or 1: it was understood, and its target was audited."""
    command = command.replace("COMMIT", "v1")
    with EmbeddingServer() as server:
        if "--golden" in command:
            save_probe(probe(server.tei), "golden.safetensors")
        if "--policy" in command:
            Path("embaudit.toml").write_text('loaders = ["sentence-transformers>=5"]\n')
        if any(word in command for word in ("verify", "--lock", "outdated")):
            embaudit.save_lock(embaudit.lock("org/name@v1"), "embaudit.lock")
        command = command.replace("http://localhost:8080", server.base)
        result = CliRunner().invoke(cli.cli, shlex.split(command)[1:])

    assert isinstance(result.exception, SystemExit | None), page
    assert result.exit_code in {0, 1}, (page, result.output)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Every relative link of the page names a file that is there."""
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_every_page_can_be_reached() -> None:
    """Following links from the README reaches every page of the documentation."""
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting += [
            page.parent / link for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        ]

    assert set(PAGES) - reached == set()


def _signature_page(held: Any, path: str, lines: list[str]) -> None:
    held.check(path, "\n".join(lines) + "\n")


def test_every_public_name_is_in_the_reference(held_page: Any) -> None:
    """The API page lists every name of `embaudit.__all__` with the first line of its docstring."""
    lines = [
        "# The Python API",
        "",
        "Everything here is importable from `embaudit`; `help(name)` has the whole text.",
        "",
    ]
    lines += ["| name | |", "|---|---|"]
    for name in sorted(embaudit.__all__, key=str.lower):
        documented = type(getattr(embaudit, name)) if name.isupper() else getattr(embaudit, name)
        summary = (documented.__doc__ or "").strip().partition("\n")[0].replace("|", "\\|")
        assert summary, name
        lines.append(f"| `{name}` | {summary} |")

    _signature_page(held_page, "reference/api.md", lines)


def test_every_limit_is_in_the_reference(held_page: Any) -> None:
    """The page of limits lists every field of `Limits` with its value and its reason."""
    text = re.sub(r"\n {12,}", " ", Limits.__doc__ or "")
    reasons = dict(re.findall(r"^ {8}(\w+): (.+)$", text, re.MULTILINE))
    lines = [
        "# The limits",
        "",
        "Each is a field of `embaudit.Limits`, which `audit()` and its kin take as *limits*.",
        "",
    ]
    lines += ["| limit | value | what it bounds |", "|---|---|---|"]
    defaults = Limits()
    for name in Limits.__slots__:
        if name.startswith("__"):
            continue
        lines.append(f"| `{name}` | {getattr(defaults, name):,} | {reasons[name]} |")

    _signature_page(held_page, "reference/limits.md", lines)


def test_the_command_line_is_in_the_reference(held_page: Any) -> None:
    """The page of the command line is the help text of every command."""
    runner = CliRunner()
    lines = [
        "# The command line",
        "",
        "Exit codes: 0 passed, 1 findings or differences, 2 usage, 3 could not be audited.",
    ]
    for command in ("", *sorted(cli.cli.commands)):
        asked = [command, "--help"] if command else ["--help"]
        shown = runner.invoke(cli.cli, asked, prog_name="embaudit", terminal_width=100).output
        lines += ["", f"## embaudit {command}".rstrip(), "", "```", shown.strip(), "```"]

    _signature_page(held_page, "reference/cli.md", lines)
