"""The commands that look at vectors: what they print, and their exit codes."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
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


def repository(folder: Path, commit: str, files: Mapping[str, bytes]) -> str:
    """A commit in a cache, as a target."""
    return str(cache_commit(folder / "hub", "org/name", commit * 40, files))


def pooled_by(pooling: str, **info: object) -> EmbeddingServer:
    """A server that says how it pools."""
    kind = {"model_type": {"embedding": {"pooling": pooling}}}
    return EmbeddingServer(model_id="org/name", model_sha="a" * 40, info={**kind, **info})


@pytest.mark.parametrize(
    ("commit", "pooling", "length", "code", "field"),
    [
        pytest.param("a", "mean", 48, PASSED, None, id="the same"),
        pytest.param("b", "mean", 48, FINDINGS, "model_sha", id="another commit"),
        pytest.param("a", "cls", 48, FINDINGS, "pooling", id="another pooling"),
        pytest.param("a", "splade", 48, FINDINGS, "pooling", id="no dense vectors"),
        pytest.param("a", "hyper", 48, PASSED, None, id="an unknown pooling"),
        pytest.param("a", "mean", 512, FINDINGS, "max_input_length", id="another length"),
    ],
)
@pytest.mark.parametrize("is_golden", [False, True], ids=["alone", "with a golden probe"])
def test_a_server_is_held_against_its_target(
    commit: str,
    pooling: str,
    length: int,
    code: int,
    field: str | None,
    tmp_path: Path,
    *,
    is_golden: bool,
) -> None:
    """What it says otherwise is a finding, beside a golden probe as well, and what is not known is told."""
    target = repository(tmp_path, commit, bert_settings())
    golden = tmp_path / "golden.safetensors"
    with pooled_by(pooling, max_input_length=length) as server:
        run("probe", server.tei, "--save", golden, "--quick")
        more = ("--golden", golden) if is_golden else ()
        asked = ("probe", server.tei, "--target", target, "--quick", *more)
        result, document = run(*asked), run(*asked, "--format", "json")

    assert result.exit_code == document.exit_code == code, result.output
    assert ("The server says otherwise than its target" in result.stdout) is (field is not None)
    assert ("embaudit does not know 'hyper'" in result.stdout) is (pooling == "hyper")
    check = json.loads(document.stdout)["check"]
    assert [each["field"] for each in check["mismatches"]] == ([] if field is None else [field])
    assert ("pooling" in check["not_compared"]) is (pooling == "hyper")


def test_the_declared_pipeline_is_the_measure_without_weights(tmp_path: Path) -> None:
    """A repository that no loader would load still declares its pooling, which a server is held against."""
    folder = tmp_path / "model"
    for name in ("config.json", "modules.json", "1_Pooling/config.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bert_settings()[name])

    with pooled_by("cls") as server:
        result = run("probe", server.tei, "--target", folder, "--quick")

    assert result.exit_code == FINDINGS
    assert "pooling" in result.stdout.partition("otherwise than its target")[2]


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
def test_a_target_that_nothing_was_compared_with_does_not_pass(tmp_path: Path, *, broken: bool) -> None:
    """A server that says nothing of itself could not be audited, unless it is broken anyway."""
    target = repository(tmp_path, "a", bert_settings())

    def embed(texts: list[str]) -> Any:
        return hashed_vectors(["x"] * len(texts) if broken else texts)

    with EmbeddingServer(embed, model_id="m") as server:
        result = run("probe", server.openai, "--target", target)

    assert result.exit_code == (FINDINGS if broken else NOT_AUDITED)
    assert "Nothing that the server says of itself" in " ".join(result.stdout.split())
    assert broken or "nothing that the server says could be held against the target" in result.stderr


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_a_fault_beside_golden_vectors_is_told(served: EmbeddingServer, tmp_path: Path, form: str) -> None:
    """A server that breaks after a quick golden probe ends with 1, and the reason is in every form."""
    golden = tmp_path / "golden.safetensors"
    run("probe", served.tei, "--save", golden, "--quick")
    with EmbeddingServer(lambda texts: hashed_vectors(texts) * (1 + (len(texts) == 1))) as broken:
        result = run("probe", broken.tei, "--golden", golden, "--format", form)

    assert result.exit_code == FINDINGS
    assert "batches" in result.stdout.partition("aults")[2]


def test_the_type_of_a_server_can_be_stated(tmp_path: Path) -> None:
    """What bfloat16 explains passes with and without its name, and is a fault of what is said to be finer."""
    texts = tmp_path / "texts.json"
    texts.write_text('["a", "bb", "ccc"]')
    with EmbeddingServer(lambda asked: hashed_vectors(asked) * (1 + 0.006 * (len(asked) == 1))) as server:
        unknown, wide, fine = (
            run("probe", server.openai, "--texts", texts, *more)
            for more in ((), ("--dtype", "bfloat16"), ("--dtype", "float16"))
        )

    assert [each.exit_code for each in (unknown, wide, fine)] == [PASSED, PASSED, FINDINGS]
    assert "say the dtype" in unknown.stdout
    assert "say the dtype" not in wide.stdout


def test_a_tolerance_needs_a_golden_probe(served: EmbeddingServer) -> None:
    """A tolerance for nothing is wrong usage, and nothing is asked."""
    result = run("probe", served.tei, "--tolerance", "0.1")

    assert result.exit_code == USAGE
    assert "--golden" in result.stderr
    assert served.requests == []


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
    pictured = run(*asked, tmp_path / "declared.npy", "--most-passes", 1, "--format", "html")

    assert agree.exit_code == PASSED, agree.output
    assert differ.exit_code == FINDINGS
    assert json.loads(differ.stdout)["verdict"] == "explained"
    assert '"normalized"' in differ.stdout
    assert pictured.stdout.startswith("<!doctype html>")
    assert "<svg" in pictured.stdout


def test_texts_out_of_a_pipe_are_refused(tmp_path: Path, vectors: dict[str, Path]) -> None:
    """One into which nobody writes would be waited for without end."""
    os.mkfifo(tmp_path / "texts.txt")
    texts = ("--texts", tmp_path / "texts.txt")

    for asked in (("diagnose", tmp_path, vectors["plain"]), ("compare", vectors["plain"], vectors["plain"])):
        result = run(*asked, *texts)

        assert result.exit_code == NOT_AUDITED
        assert "no regular file" in result.stderr


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
