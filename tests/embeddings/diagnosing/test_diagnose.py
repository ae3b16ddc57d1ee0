"""Diagnoses of a tiny BERT, held against vectors that transformers makes of its files."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, BertConfig

from embaudit import open_snapshot
from embaudit.embeddings.diagnosing import MOST_TEXTS, diagnose
from embaudit.embeddings.diagnosing.native import build_model
from embaudit.errors import FormatError, LimitError, TargetError, UsageError
from embaudit.model.diagnosis import Diagnosis, Verdict
from embaudit.report.codec import from_jsonable
from embaudit.report.diagnosis import render_diagnosis, render_diagnosis_html, render_diagnosis_json
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


def halved(folder: Path, dtype: torch.dtype) -> Path:
    """The repository with its weights in another type, which `config.json` names."""
    save_safetensors({name: each.to(dtype) for name, each in TENSORS.items()}, folder / "model.safetensors")
    changed("config.json", dtype=str(dtype).removeprefix("torch."))(folder)
    return folder


def batched(folder: Path, dtype: str) -> np.ndarray:
    """Means of the texts as one batch, computed in a type and rounded to it."""
    model = AutoModel.from_pretrained(folder, dtype=dtype).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    order = sorted(range(len(TEXTS)), key=lambda place: -len(TEXTS[place]))
    given = tokenizer.encode_batch([TEXTS[place] for place in order])
    mask = torch.tensor([each.attention_mask for each in given])
    with torch.no_grad():
        found = model(torch.tensor([each.ids for each in given]), mask).last_hidden_state
    total = (found * mask[..., None].to(found)).sum(1, dtype=torch.float32)
    means = (total / mask.sum(1, keepdim=True)).to(found)
    return means.float()[torch.tensor(order).argsort()].numpy()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_type_of_the_repository_is_followed(dtype: torch.dtype, folder: Path) -> None:
    """Where `config.json` names one, as transformers does; computing in float32 is otherwise then."""
    halved(folder, dtype)
    rows = {name: batched(folder, name) for name in ("auto", "float32")}

    honest = diagnose(folder, rows["auto"], texts=TEXTS)
    otherwise = diagnose(folder, rows["float32"], texts=TEXTS)

    assert honest.verdict is Verdict.AGREES
    assert honest.declared.distance is not None
    assert honest.declared.distance < 1e-5
    assert causes(otherwise) == {"computed-in:float32"}


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


@pytest.mark.parametrize("factor", [1.01, 0.999])
def test_a_factor_is_no_rounding(factor: float, folder: Path) -> None:
    """However near the vectors are: none of them points elsewhere, and all are longer alike."""
    diagnosis = diagnose(folder, vectors(folder) * factor, texts=TEXTS)

    assert diagnosis.verdict is Verdict.UNEXPLAINED
    assert diagnosis.cause is None
    assert f"{factor:g} times" in " ".join(diagnosis.notes)


def test_another_dimension_is_told_at_once(folder: Path) -> None:
    """Where nothing that is tried gives as many components, nothing is searched for."""
    diagnosis = diagnose(folder, np.ones((len(TEXTS), 1600)), texts=TEXTS)

    assert diagnosis.verdict is Verdict.UNEXPLAINED
    assert diagnosis.n_passes < 5
    assert "1,600 components, those declared 32" in " ".join(diagnosis.notes)


def test_a_tokenizer_is_built_as_transformers_does(folder: Path) -> None:
    """BERT's obeys `tokenizer_config.json`; whoever takes `tokenizer.json` as it stands does otherwise."""
    changed("tokenizer_config.json", strip_accents=False)(folder)
    texts = (*TEXTS, "h\N{LATIN SMALL LETTER E WITH ACUTE}llo")
    model, made = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        observed = torch.stack(
            [model(**made(text, return_tensors="pt")).last_hidden_state[0].mean(0) for text in texts]
        )
    by_file = torch.stack([rows.mean(0) for rows in states(folder, texts)])

    assert diagnose(folder, observed, texts=texts).verdict is Verdict.AGREES
    assert causes(diagnose(folder, by_file, texts=texts)) == {"tokenized-by:tokenizer.json"}


DOUBTFUL = {
    "code": {"auto_map": {"AutoTokenizer": ["tokenization.Own", None]}},
    "files": {"fast_tokenizer_files": ["tokenizer.4.0.json"]},
    "numbers": {"extra_ids": 10**9},
    "no tokenizer": {"tokenizer_class": "AutoModel"},
    "no class": {"tokenizer_class": ["BertTokenizer"]},
}


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_tokenizer_that_is_not_known_is_a_doubt(name: str, folder: Path) -> None:
    """Vectors that nothing gives are then not called others than those declared."""
    changed("tokenizer_config.json", **DOUBTFUL[name])(folder)
    observed = np.random.default_rng(0).normal(size=(len(TEXTS), 32))

    diagnosis = diagnose(folder, observed, texts=TEXTS, most_passes=1)

    assert len(diagnosis.doubts) == 1
    assert diagnosis.cause is None
    told = " ".join(render_diagnosis(diagnosis).split())
    assert "is not known" in told
    assert "are not those" not in told
    assert diagnose(folder, vectors(folder), texts=TEXTS, most_passes=1).verdict is Verdict.AGREES


def test_what_an_unknown_tokenizer_may_do_is_no_cause(folder: Path, tmp_path: Path) -> None:
    """Vectors of texts that were not lowercased, while code that is not run may leave their case alone."""
    other = repository(tmp_path / "other")
    document = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    write(other / "tokenizer.json", document | {"normalizer": document["normalizer"] | {"lowercase": False}})
    observed = vectors(other)
    known = diagnose(folder, observed, texts=TEXTS)
    changed("tokenizer_config.json", **DOUBTFUL["code"])(folder)

    diagnosis = diagnose(folder, observed, texts=TEXTS)

    assert causes(known) == {"not-lowercased"}
    assert (diagnosis.verdict, diagnosis.cause) == (Verdict.UNEXPLAINED, None)
    assert "`not-lowercased` gives the vectors" in diagnosis.notes[0]


def test_settings_of_a_tokenizer_open_no_file(folder: Path, tmp_path: Path) -> None:
    """Texts among them that could be paths do not reach transformers."""
    words = tmp_path / "words.txt"
    words.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nother\n", encoding="utf-8")
    named = {
        "init_inputs": [str(words)],
        "vocab": str(words),
        "vocab_file": str(words),
        "gguf_file": str(words),
    }
    changed("tokenizer_config.json", **named)(folder)

    diagnosis = diagnose(folder, vectors(folder), texts=TEXTS, most_passes=1)

    assert (diagnosis.verdict, diagnosis.doubts) == (Verdict.AGREES, ())


def test_labels_are_not_counted(folder: Path) -> None:
    """Heads are not built, and however many labels they have takes no time."""
    observed = vectors(folder)
    changed("config.json", num_labels=10**8)(folder)

    assert diagnose(folder, observed, texts=TEXTS, most_passes=1).verdict is Verdict.AGREES


@pytest.mark.parametrize(
    "fields",
    [{"num_hidden_layers": 10**8}, {"vocab_size": 10**9}, {"hidden_size": 10**6, "num_attention_heads": 10}],
    ids=["layers", "words", "width"],
)
def test_a_model_larger_than_its_weights_is_not_built(fields: dict[str, int]) -> None:
    """Before anything of it is allocated."""
    config = BertConfig(vocab_size=120, hidden_size=32, num_hidden_layers=2, num_attention_heads=4).to_dict()

    with pytest.raises(LimitError):
        build_model(config | fields, TENSORS, "float32")


def a_pipe(path: Path) -> None:
    """Nobody writes into it."""
    os.mkfifo(path)


def a_link(path: Path) -> None:
    """To another place."""
    path.symlink_to(Path(__file__).resolve())


def no_object(path: Path) -> None:
    """JSON, but not settings."""
    path.write_text("[]", encoding="utf-8")


@pytest.mark.parametrize("put", [a_pipe, a_link, no_object, Path.mkdir])
def test_what_is_wrong_with_the_configuration_is_told(put: Callable[[Path], None], folder: Path) -> None:
    """And not that it names no model."""
    (folder / "config.json").unlink()
    put(folder / "config.json")

    with pytest.raises(TargetError, match=r"config\.json") as raised:
        diagnose(folder, np.ones((len(TEXTS), 32)), texts=TEXTS)

    assert "of the type" not in str(raised.value)


def test_a_page_has_a_picture_of_the_distances(folder: Path) -> None:
    """Of what is declared, its far texts red, and of the cause; texts are not markup."""
    texts = (*TEXTS[:-1], "<b>word1</b>")
    observed = torch.stack([rows[0] for rows in states(folder, texts)]).numpy()

    shown = render_diagnosis_html(diagnose(folder, observed, texts=texts), texts)

    assert shown.startswith("<!doctype html>")
    assert shown.count("<svg") == 2
    assert "#d33" in shown.partition("</svg>")[0]
    assert "#d33" not in shown.partition("</svg>")[2]
    assert "pooling:cls" in shown
    assert "<b>" not in shown
