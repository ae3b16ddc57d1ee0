"""Diagnoses of a tiny BERT, held against vectors that transformers makes of its files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, BertConfig

from embaudit import open_snapshot
from embaudit.embeddings.diagnosing import MOST_TEXTS, diagnose
from embaudit.embeddings.diagnosing.native import build_model
from embaudit.errors import FormatError, TargetError, UsageError
from embaudit.model.diagnosis import Diagnosis, Verdict
from embaudit.report.codec import from_jsonable
from embaudit.report.diagnosis import render_diagnosis, render_diagnosis_json
from embaudit.testing.module_repositories import changed, dense, write, write_modules
from embaudit.testing.repositories import bert_settings, bert_tensors, flat, save_safetensors, save_torch

TEXTS = ("hello world", "Hello", "word1 word2 word3 word4 word5 word6 word7 hello word9", "word1 WORLD")
TENSORS = {name: tensor / 5 for name, tensor in bert_tensors().items()}
"""Weights so small that a model of them is no more sensitive than a real one."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with safetensors."""
    return repository(tmp_path / "model")


def repository(folder: Path, **fields: object) -> Path:
    """A tiny BERT, whose vectors are means that nobody normalises."""
    for path, content in bert_settings().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    changed("config.json", **fields)(folder)
    save_safetensors(TENSORS, folder / "model.safetensors")
    return folder


def states(folder: Path, texts: tuple[str, ...] = TEXTS) -> list[torch.Tensor]:
    """The states of the tokens of each text, by transformers' own way to load a folder."""
    model = AutoModel.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with torch.no_grad():
        return [
            model(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0] for text in texts
        ]


def vectors(
    folder: Path, pool: Callable[[torch.Tensor], torch.Tensor] = lambda rows: rows.mean(0)
) -> np.ndarray:
    """One vector for each text."""
    return torch.stack([pool(rows) for rows in states(folder)]).numpy()


def causes(diagnosis: Diagnosis) -> set[str]:
    """Their names."""
    return set(diagnosis.cause.names) if diagnosis.cause is not None else set()


def test_vectors_as_declared_agree(folder: Path) -> None:
    """No cause, and the repository's own vectors are near; a snapshot is diagnosed like a folder."""
    observed = vectors(folder)

    diagnosis = diagnose(folder, observed, texts=TEXTS)

    assert diagnosis.verdict is Verdict.AGREES
    assert diagnosis.cause is None
    assert diagnosis.declared.distance is not None
    assert diagnosis.declared.distance < 1e-5
    assert diagnose(open_snapshot(folder), observed.tolist(), texts=list(TEXTS)).verdict is Verdict.AGREES


def test_one_fault_is_named(folder: Path) -> None:
    """The vector of the first token in place of the mean."""
    diagnosis = diagnose(folder, vectors(folder, lambda rows: rows[0]), texts=TEXTS)

    assert diagnosis.verdict is Verdict.EXPLAINED
    assert causes(diagnosis) == {"pooling:cls"}
    assert diagnosis.ranked[0].cosine == pytest.approx(1)


def test_two_faults_are_named(folder: Path) -> None:
    """The vector of the first token, and its length 1."""
    observed = vectors(folder, lambda rows: torch.nn.functional.normalize(rows[0], dim=0))

    assert causes(diagnose(folder, observed, texts=TEXTS)) == {"normalized + pooling:cls"}


def test_two_faults_that_cost_a_run_each_are_named(folder: Path, tmp_path: Path) -> None:
    """Another activation, and positions that are not added."""
    other = repository(tmp_path / "other", hidden_act="relu")
    save_safetensors(
        {name: each * 0 if "position" in name else each for name, each in TENSORS.items()},
        other / "model.safetensors",
    )

    diagnosis = diagnose(folder, vectors(other), texts=TEXTS)

    assert causes(diagnosis) == {"activation:relu + unread:positions"}


def test_what_the_texts_do_not_tell_apart_is_told_together(folder: Path) -> None:
    """Texts shorter than every length that is tried do not say at which of them they would be cut."""
    changed("1_Pooling/config.json", pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True)(folder)
    changed("sentence_bert_config.json", max_seq_length=3)(folder)
    diagnosis = diagnose(folder, vectors(folder, lambda rows: rows.max(0).values), texts=TEXTS)

    assert causes(diagnosis) == {"cut-at:128", "cut-at:256", "cut-at:512", "not-cut"}
    assert "One of these" in " ".join(render_diagnosis(diagnosis).split())


def test_storage_offsets_in_bytes_are_named(tmp_path: Path) -> None:
    """Tensors of a flat file, each from the byte whose number is that of its first element.

    They are named where the file is that of an older commit too.
    """
    folder = repository(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    views = flat(TENSORS)
    save_torch(views, folder / "pytorch_model.bin")
    whole = torch.cat([each.reshape(-1) for each in TENSORS.values()]).numpy().tobytes()
    wrong = {
        name: torch.frombuffer(
            bytearray(whole[view.storage_offset() :][: 4 * view.numel()]), dtype=torch.float32
        ).reshape(view.shape)
        for name, view in views.items()
    }
    other = repository(tmp_path / "other")
    save_safetensors(wrong, other / "model.safetensors")

    diagnosis = diagnose(folder, vectors(other), texts=TEXTS, loader="candle==0.8.4")

    assert causes(diagnosis) == {"storage-offset-in-bytes"}
    assert "corrupt" in " ".join(diagnosis.notes)

    current = repository(tmp_path / "current")
    (name,) = causes(diagnose(current, vectors(other), texts=TEXTS, against=folder))
    assert name.startswith("storage-offset-in-bytes:commit:")


def test_another_commit_is_named(folder: Path, tmp_path: Path) -> None:
    """Its weights, under its own settings."""
    other = repository(tmp_path / "other")
    save_safetensors({name: each * 1.5 for name, each in TENSORS.items()}, other / "model.safetensors")

    diagnosis = diagnose(folder, vectors(other), texts=TEXTS, against=other)

    (name,) = causes(diagnosis)
    assert name.startswith("commit:")


def test_rows_in_another_order_are_named(folder: Path) -> None:
    """And which row is which."""
    diagnosis = diagnose(folder, vectors(folder)[[2, 0, 1, 3]], texts=TEXTS)

    assert causes(diagnosis) == {"rows-permuted"}
    assert diagnosis.cause is not None
    assert diagnosis.cause.hypotheses[0].rows == (1, 2, 0, 3)


def test_a_skipped_dense_is_named(folder: Path) -> None:
    """Though its vectors have another dimension."""
    write_modules(folder, "Transformer", "1_Pooling", "2_Dense")
    fields = {"in_features": 32, "out_features": 8, "bias": True}
    write(
        folder / "2_Dense/config.json", fields | {"activation_function": "torch.nn.modules.activation.Tanh"}
    )
    save_safetensors(dense(), folder / "2_Dense/model.safetensors")

    diagnosis = diagnose(folder, vectors(folder), texts=TEXTS)

    assert causes(diagnosis) == {"dense-skipped"}
    assert diagnosis.declared.dimension == 8
    assert diagnosis.declared.distance is None


def test_what_no_hypothesis_gives_is_blamed_on_nothing(folder: Path) -> None:
    """Random vectors; and what a loader leaves at random values is told where one is asked about."""
    observed = np.random.default_rng(0).normal(size=(len(TEXTS), 32))

    diagnosis = diagnose(folder, observed, texts=TEXTS, most_passes=30)

    assert diagnosis.verdict is Verdict.UNEXPLAINED
    assert diagnosis.cause is None
    assert "would have taken more runs" in diagnosis.untested[-1]
    assert "no hypothesis gives them" in " ".join(render_diagnosis(diagnosis).split())


def test_a_diagnosis_is_the_same_after_json(folder: Path) -> None:
    """Every field is in the JSON form."""
    diagnosis = diagnose(folder, vectors(folder)[[1, 0, 2, 3]], texts=TEXTS)

    assert from_jsonable(Diagnosis, json.loads(render_diagnosis_json(diagnosis))) == diagnosis


@pytest.mark.parametrize(
    ("texts", "observed"),
    [
        ((), []),
        ("hello", [[1.0]]),
        (("hello",) * (MOST_TEXTS + 1), np.ones((MOST_TEXTS + 1, 32))),
        (("hello",), np.ones((2, 32))),
        (("hello",), [[float("nan")] * 32]),
        (("hello",), [[1e300] * 32]),
        ((1,), [[1.0]]),
    ],
    ids=["no texts", "one text", "too many texts", "more vectors", "NaN", "too large", "no text"],
)
def test_what_cannot_be_asked_is_refused(texts: tuple[str, ...], observed: object, folder: Path) -> None:
    """Before anything is read."""
    with pytest.raises(UsageError):
        diagnose(folder, observed, texts=texts)


def test_a_missing_transformers_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    for name in [name for name in sys.modules if name.startswith("embaudit.embeddings.diagnosing.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(UsageError, match=r"embaudit\[transformers\]"):
        diagnose(folder, np.ones((1, 32)), texts=("hello",))


def code_of_its_own(folder: Path) -> None:
    """A model that only code of its own can build."""
    changed("config.json", auto_map={"AutoModel": "modeling.Model"})(folder)


def no_tokenizer(folder: Path) -> None:
    """No `tokenizer.json`."""
    (folder / "tokenizer.json").unlink()


def lacking(folder: Path) -> None:
    """A tensor that would stay at random values."""
    save_safetensors(dict(list(TENSORS.items())[5:]), folder / "model.safetensors")


def unknown_module(folder: Path) -> None:
    """A module that is not built here."""
    write_modules(folder, "Transformer", "1_Pooling", "2_LSTM")


def quantised(folder: Path) -> None:
    """Weights that a quantiser would have to unpack."""
    changed("config.json", quantization_config={"quant_method": "bitsandbytes"})(folder)


def too_many_tokens(folder: Path) -> None:
    """A tokenizer that has more tokens than the table of words has rows."""
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    document["model"]["vocab"]["hello"] = 999
    write(folder / "tokenizer.json", document)


DAMAGES = (code_of_its_own, no_tokenizer, lacking, unknown_module, quantised, too_many_tokens)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_repository_that_cannot_be_run_is_refused(damage: Callable[[Path], None], folder: Path) -> None:
    """Nothing of its own is executed, and no reference is made up."""
    damage(folder)

    with pytest.raises(TargetError):
        diagnose(folder, np.ones((len(TEXTS), 32)), texts=TEXTS)


def test_a_tokenizer_that_the_library_refuses_is_told(folder: Path) -> None:
    """As an error of the format."""
    write(folder / "tokenizer.json", {"version": "1.0", "model": {"type": "Nonsense"}})

    with pytest.raises(FormatError, match=r"tokenizer\.json"):
        diagnose(folder, np.ones((len(TEXTS), 32)), texts=TEXTS)


def test_a_repository_has_no_say_in_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of attention kernels, which may be those of code on a hub, do not reach transformers."""
    config = BertConfig(vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=4).to_dict()
    config |= {"intermediate_size": 64, "max_position_embeddings": 48}
    named = {"_attn_implementation": "org/kernel", "attn_implementation": "org/kernel", "use_kernels": True}
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    model = build_model(config | named, TENSORS, "float32")

    assert model.config._attn_implementation in {"sdpa", "eager"}


def test_what_a_loader_does_otherwise_is_tried_at_once(folder: Path) -> None:
    """Three things that text-embeddings-inference 1.5.0 does otherwise are more than a pair of hypotheses."""
    write_modules(folder, "Transformer", "1_Pooling", "2_Dense")
    write(folder / "2_Dense/config.json", {"in_features": 32, "out_features": 32, "bias": True})
    save_safetensors(dense(n_out=32), folder / "2_Dense/model.safetensors")
    prompts = {"prompts": {"query": "word1 word2 "}, "default_prompt_name": "query"}
    write(folder / "config_sentence_transformers.json", prompts)
    observed = vectors(folder, lambda rows: torch.nn.functional.normalize(rows.mean(0), dim=0))

    alone = diagnose(folder, observed, texts=TEXTS)
    asked = diagnose(folder, observed, texts=TEXTS, loader="tei[cuda]==1.5.0")

    assert alone.cause is None
    assert causes(asked) == {"as-predicted:tei[cuda]==1.5.0"}
