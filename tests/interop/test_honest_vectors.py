"""Vectors that nobody made a mistake with, of repositories whose settings are easily misunderstood.

All are made by `embed_each_with_sentence_transformers.py`, in an environment without embaudit, of MiniLM with
something of its settings changed, or of a tiny Llama.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaModel

from embaudit.embeddings.diagnosing import diagnose
from embaudit.model.diagnosis import Verdict

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / ".venvs/sentence-transformers/bin/python"
SCRIPT = "embed_each_with_sentence_transformers.py"
TEXTS = (
    "hello world",
    "The Quick Brown Fox jumps over the lazy dog.",
    "ünïcödé Café",
    "東京 is the Capital of 日本, and nobody says otherwise.",
    "A",
    "Vectors came out wrong, and nothing said so: the loader skipped bytes where it should skip elements.",
)


def edit(path: str, **fields: object) -> Callable[[Path], None]:
    """Changes fields of a JSON file, which may not be there yet."""

    def change(folder: Path) -> None:
        file = folder / path
        document = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(json.dumps(document | fields), encoding="utf-8")

    return change


def edit_within(field: str, **fields: object) -> Callable[[Path], None]:
    """Changes fields of one part of `tokenizer.json`."""

    def change(folder: Path) -> None:
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        edit("tokenizer.json", **{field: document[field] | fields})(folder)

    return change


def stored_in(dtype: torch.dtype) -> Callable[[Path], None]:
    """Rounds the weights, and says so in `config.json`."""

    def change(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        rounded = {
            name: each.to(dtype) if each.is_floating_point() else each for name, each in weights.items()
        }
        save_file(rounded, folder / "model.safetensors", {"format": "pt"})
        edit("config.json", dtype=str(dtype).removeprefix("torch."))(folder)

    return change


def both(*steps: Callable[[Path], None]) -> Callable[[Path], None]:
    """One after the other."""

    def change(folder: Path) -> None:
        for step in steps:
            step(folder)

    return change


def nothing(_folder: Path) -> None:
    """MiniLM as it is."""


def pooled_by(mode: str) -> Callable[[Path], None]:
    """Other pooling."""
    return lambda folder: (folder / "1_Pooling/config.json").write_text(
        json.dumps({"word_embedding_dimension": 384, "pooling_mode": mode}), encoding="utf-8"
    )


SETTINGS = "tokenizer_config.json"
HONEST: Mapping[str, Callable[[Path], None]] = {
    "stored-in-bf16": stored_in(torch.bfloat16),
    "stored-in-fp16": stored_in(torch.float16),
    "accents-are-kept": both(
        edit(SETTINGS, do_lower_case=False), edit("sentence_bert_config.json", do_lower_case=True)
    ),
    "case-is-kept": edit(SETTINGS, do_lower_case=False),
    "case-is-kept-in-the-file": edit_within("normalizer", lowercase=False),
    "chinese-in-the-file": edit_within("normalizer", handle_chinese_chars=False),
    "chinese-in-the-settings": edit(SETTINGS, tokenize_chinese_chars=False),
    "accents-in-the-file": edit_within("normalizer", strip_accents=False),
    "accents-in-the-settings": edit(SETTINGS, strip_accents=False),
    "no-normalizer": edit("tokenizer.json", normalizer=None),
    "no-post-processor": edit("tokenizer.json", post_processor=None),
    "short-words": edit_within("model", max_input_chars_per_word=3),
    "as-the-file-says": both(
        edit_within("normalizer", lowercase=False), edit(SETTINGS, tokenizer_class="PreTrainedTokenizerFast")
    ),
    "accents-as-the-file-says": both(
        edit_within("normalizer", strip_accents=False),
        edit(SETTINGS, tokenizer_class="PreTrainedTokenizerFast"),
    ),
    "options": edit("sentence_bert_config.json", tokenizer_args={"do_lower_case": False}),
    "cut-left": both(
        edit(SETTINGS, truncation_side="left"), edit("sentence_bert_config.json", max_seq_length=8)
    ),
    "padded-left": edit(SETTINGS, padding_side="left"),
    "weighted-padded-left": both(edit(SETTINGS, padding_side="left"), pooled_by("weightedmean")),
    "first-padded-left": both(edit(SETTINGS, padding_side="left"), pooled_by("cls")),
}
"""What is changed of MiniLM, whose vectors sentence-transformers makes as always."""


def llama(folder: Path) -> None:
    """A tiny Llama in bfloat16 that takes the last token, padded on the left."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30522,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
    )
    LlamaModel(config).to(torch.bfloat16).save_pretrained(folder)
    edit(SETTINGS, tokenizer_class="PreTrainedTokenizerFast", padding_side="left")(folder)
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"word_embedding_dimension": 64, "pooling_mode": "lasttoken"}), encoding="utf-8"
    )


OTHERS: Mapping[str, Callable[[Path], None]] = {
    "llama": llama,
    "bf16-float32": stored_in(torch.bfloat16),
    "plain-eager": nothing,
    "plain-bfloat16eager": nothing,
}


@pytest.fixture(scope="module")
def folders(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Name to repository."""
    home = tmp_path_factory.mktemp("honest")
    made = {}
    for name, change in (HONEST | OTHERS).items():
        made[name] = home / name
        shutil.copytree(minilm, made[name], ignore=shutil.ignore_patterns(".*"))
        change(made[name])
    yield made
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def vectors(folders: Mapping[str, Path]) -> Mapping[str, Any]:
    """Name to vectors."""
    home = next(iter(folders.values())).parent
    subprocess.run(
        [str(PYTHON), str(HERE / SCRIPT), str(home / "vectors.npz"), *map(str, folders.values())],
        input=json.dumps(TEXTS),
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return dict(np.load(home / "vectors.npz"))


@pytest.mark.parametrize("name", [*HONEST, "llama", "plain-eager"])
def test_honest_vectors_agree(name: str, folders: Mapping[str, Path], vectors: Mapping[str, Any]) -> None:
    """Whatever type, casing, side or step of the tokenizer the repository declares."""
    diagnosis = diagnose(folders[name], vectors[name], texts=TEXTS, most_passes=1)

    assert diagnosis.verdict is Verdict.AGREES, (diagnosis.declared, diagnosis.doubts)
    assert diagnosis.declared.distance is not None
    assert diagnosis.declared.distance < 1e-5


@pytest.mark.parametrize(
    ("repository", "made_of", "cause"),
    [
        ("stored-in-bf16", "bf16-float32", {"computed-in:float32"}),
        ("accents-in-the-file", "accents-as-the-file-says", {"tokenized-by:tokenizer.json"}),
        ("padded-left", "plain-eager", {"padded-right"}),
    ],
    ids=["type", "tokenizer", "side"],
)
def test_what_was_not_followed_is_named(
    repository: str, made_of: str, cause: set[str], folders: Mapping[str, Path], vectors: Mapping[str, Any]
) -> None:
    """The type, the tokenizer and the side of padding are causes where somebody does otherwise."""
    diagnosis = diagnose(folders[repository], vectors[made_of], texts=TEXTS)

    assert diagnosis.verdict is Verdict.EXPLAINED
    assert diagnosis.cause is not None
    assert set(diagnosis.cause.names) == cause


def test_half_precision_is_not_called_foreign(
    folders: Mapping[str, Path], vectors: Mapping[str, Any]
) -> None:
    """Vectors of another kernel in bfloat16 are as near as bfloat16 comes: nothing is blamed."""
    diagnosis = diagnose(folders["plain-eager"], vectors["plain-bfloat16eager"], texts=TEXTS)

    assert diagnosis.verdict in {Verdict.AGREES, Verdict.AMBIGUOUS}
    assert diagnosis.cause is None
    assert "computing in bfloat16" in " ".join(diagnosis.notes)
