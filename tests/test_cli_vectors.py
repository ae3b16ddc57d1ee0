"""The commands that look at vectors: what they print, and their exit codes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from tokenizers import Tokenizer
from transformers import AutoModel

from embaudit.cli import FINDINGS, NOT_AUDITED, PASSED, USAGE, cli
from embaudit.cli.texts import read_texts
from embaudit.errors import FormatError, LimitError, TargetError
from embaudit.model.limits import Limits
from embaudit.testing.embedding_server import EmbeddingServer, hashed_vectors
from embaudit.testing.repositories import bert_settings, bert_tensors, cache_commit, save_safetensors


@pytest.fixture
def vectors(tmp_path: Path) -> dict[str, Path]:
    """Vectors of three texts, and the same normalised, in files."""
    rows = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    files = {"plain": rows, "normalised": rows / np.linalg.norm(rows, axis=1, keepdims=True)}
    for name, array in files.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: tmp_path / f"{name}.npy" for name in files}


def run(*arguments: object) -> Result:
    """One call of the command line in this process."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_vectors_that_agree_pass(vectors: dict[str, Path]) -> None:
    """The same vectors end with 0."""
    result = run("compare", vectors["plain"], vectors["plain"])

    assert (result.exit_code, result.stderr) == (PASSED, "")
    assert result.stdout.startswith("identical: 3 vectors")


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_vectors_that_differ_are_findings(vectors: dict[str, Path], tmp_path: Path, form: str) -> None:
    """Other lengths end with 1 and are told in each form, with the texts if they are given."""
    texts = tmp_path / "texts.txt"
    texts.write_text("a <text>\n另一個\n\n", encoding="utf-8")
    asked = ("compare", vectors["plain"], vectors["normalised"], "--texts", texts, "--format", form)

    result = run(*asked)
    written = run(*asked, "--output", tmp_path / "output")

    assert result.exit_code == written.exit_code == FINDINGS
    assert "scaled" in result.stdout
    assert (tmp_path / "output").read_text(encoding="utf-8") == result.stdout
    if form == "json":
        assert json.loads(result.stdout)["relation"] == "scaled"
        return
    assert "另一個" in result.stdout
    assert ("a <text>" in result.stdout) == (form == "text")


def test_vectors_that_cannot_be_compared_are_told(vectors: dict[str, Path], tmp_path: Path) -> None:
    """Texts of other vectors are wrong usage; a file that is none, or not there, could not be compared."""
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "none.npy").write_bytes(b"none")

    wrong = run("compare", vectors["plain"], vectors["plain"], "--texts", tmp_path / "two.txt")
    broken = run("compare", vectors["plain"], tmp_path / "none.npy")
    missing = run("compare", vectors["plain"], tmp_path / "missing.npy")

    assert (wrong.exit_code, broken.exit_code, missing.exit_code) == (USAGE, NOT_AUDITED, NOT_AUDITED)
    assert "two.txt has 2 texts for 3 vectors" in wrong.stderr
    assert "none.npy" in broken.stderr
    assert "there is no such file" in missing.stderr


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.txt", b"one\r\ntwo\n", ("one", "two")),
        ("a.txt", b"one\n\nthree", ("one", "", "three")),
        ("a.txt", "\ufeffmit Marke\n".encode(), ("mit Marke",)),
        ("a.txt", b"", ()),
        ("a.json", b'["one\\ntwo", ""]', ("one\ntwo", "")),
    ],
    ids=["two lines", "an empty line", "a byte order mark", "nothing", "json"],
)
def test_texts_are_read(tmp_path: Path, name: str, content: bytes, texts: tuple[str, ...]) -> None:
    """One a line, or a JSON array of strings."""
    (tmp_path / name).write_bytes(content)

    assert read_texts(tmp_path / name) == texts


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a.txt", b"good\n\xff\n", FormatError, "a.txt: is not UTF-8 at byte 5"),
        ("a.json", b'{"a": 1}', FormatError, "a.json"),
        ("a.json", b'["a", 1]', FormatError, "text 1"),
        ("a.txt", b"x" * 101, LimitError, "more than 100 bytes"),
        ("a.txt", None, TargetError, "cannot be read"),
    ],
    ids=["not UTF-8", "no array", "a number", "too large", "missing"],
)
def test_texts_that_are_none_are_told(
    tmp_path: Path, name: str, content: bytes | None, error: Any, says: str
) -> None:
    """The file is named, and the place in it."""
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(error, match=says):
        read_texts(tmp_path / name, Limits(json_bytes=100))


@pytest.fixture
def served() -> Iterator[EmbeddingServer]:
    """A server of embeddings that says which model it has."""
    with EmbeddingServer(model_id="org/name", model_sha="a" * 40) as server:
        yield server


def test_a_sound_server_passes(served: EmbeddingServer, tmp_path: Path) -> None:
    """It is told what it says of itself, and how it behaves; what is kept agrees with what comes later."""
    golden = tmp_path / "golden.safetensors"

    first = run("probe", served.tei, "--save", golden)
    later = run("probe", served.tei, "--golden", golden, "--quick", "--format", "json")

    assert (first.exit_code, later.exit_code) == (PASSED, PASSED), first.output + later.output
    assert "org/name" in first.stdout
    assert json.loads(later.stdout)["drifted"] == []


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_drift_is_a_finding(served: EmbeddingServer, tmp_path: Path, form: str) -> None:
    """A server that gives other vectors than it did ends with 1, and the texts are told."""
    golden = tmp_path / "golden.safetensors"
    run("probe", served.tei, "--save", golden, "--quick")
    with EmbeddingServer(lambda texts: hashed_vectors([text + "!" for text in texts])) as other:
        result = run("probe", other.tei, "--golden", golden, "--quick", "--format", form)

    assert result.exit_code == FINDINGS
    assert "drift" in result.stdout


def test_a_server_of_another_commit_is_a_finding(served: EmbeddingServer, tmp_path: Path) -> None:
    """What it says of itself is held against the repository that it should serve."""
    files = bert_settings()
    right = cache_commit(tmp_path / "hub", "org/name", "a" * 40, files)
    wrong = cache_commit(tmp_path / "hub", "org/name", "b" * 40, files)

    same = run("probe", served.tei, "--target", right, "--quick")
    other = run("probe", served.tei, "--target", wrong, "--quick")

    assert "model_sha" not in same.stdout
    assert other.exit_code == FINDINGS
    assert "model_sha" in other.stdout


def test_a_key_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key comes from the environment; without it the server's refusal is told."""
    with EmbeddingServer(api_key="a-secret-key") as server:
        refused = run("probe", server.tei, "--quick")
        monkeypatch.setenv("EMBAUDIT_API_KEY", "a-secret-key")
        taken = run("probe", server.tei, "--quick")

    assert (refused.exit_code, taken.exit_code) == (NOT_AUDITED, PASSED)
    assert "a-secret-key" not in refused.output + taken.output


def test_the_cause_of_other_vectors_is_told(tmp_path: Path) -> None:
    """Vectors as declared end with 0, the same normalised with 1 and the cause, in text and in JSON."""
    texts = ("hello world", "Hello", "word1 word2 word3 word4 hello", "word1 WORLD")
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    folder = tmp_path / "model"
    write_model(folder)
    declared = first_vectors(folder, texts)
    np.save(tmp_path / "declared.npy", declared)
    np.save(tmp_path / "unit.npy", declared / np.linalg.norm(declared, axis=1, keepdims=True))
    asked = ("diagnose", folder, "--texts", tmp_path / "texts.json")

    agree = run(*asked, tmp_path / "declared.npy")
    differ = run(*asked, tmp_path / "unit.npy", "--format", "json")

    assert agree.exit_code == PASSED, agree.output
    assert differ.exit_code == FINDINGS
    assert json.loads(differ.stdout)["verdict"] == "explained"
    assert '"normalized"' in differ.stdout


def write_model(folder: Path) -> None:
    """A tiny BERT, whose vectors are means that nobody normalises."""
    for path, content in bert_settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    save_safetensors(
        {name: tensor / 5 for name, tensor in bert_tensors().items()}, folder / "model.safetensors"
    )


def first_vectors(folder: Path, texts: Sequence[str]) -> Any:
    """The vectors that the folder promises, by transformers' own loader."""
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with torch.no_grad():
        ids = (torch.tensor([tokenizer.encode(text).ids]) for text in texts)
        return torch.stack([model(input_ids=each).last_hidden_state[0].mean(0) for each in ids]).numpy()
