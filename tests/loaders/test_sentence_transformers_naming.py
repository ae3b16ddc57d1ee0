"""What names in `modules.json` do to a load, and that hostile names and sizes stay short in what is said."""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from embaudit import LoadPrediction, predict_load
from embaudit.loaders.sentence_transformers import SENTENCE_TRANSFORMERS
from embaudit.loaders.transformers import TRANSFORMERS
from embaudit.model.prediction import Outcome
from embaudit.testing.module_repositories import build_repository

NEWEST = "sentence-transformers==6.2.0"
DENSE_TENSORS = ("2_Dense.linear.bias", "2_Dense.linear.weight")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small BERT with Pooling, Dense and Normalize."""
    build_repository("whole", tmp_path / "model")
    return tmp_path / "model"


def name_modules(folder: Path, names: Sequence[Any], *extra: int) -> None:
    """Give the modules these names; `extra` are numbers of modules that are listed once more at the end."""
    path = folder / "modules.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    entries.extend([dict(entries[number]) for number in extra])
    for entry, name in zip(entries, names, strict=True):
        entry["name"] = name
    path.write_text(json.dumps(entries), encoding="utf-8")


def change(path: Path, change: Callable[[Any], Any]) -> None:
    """Write what becomes of a JSON document; an absent one is empty."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(change(document)), encoding="utf-8")


@pytest.mark.parametrize("version", SENTENCE_TRANSFORMERS.releases, ids=str)
def test_a_replaced_dense_is_not_applied(folder: Path, version: object) -> None:
    """In every release the last module of a name stands alone, and the tensors of the others are lost."""
    name_modules(folder, ["0", "1", "2", "2"])

    load = predict_load(folder, f"sentence-transformers=={version}")

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert load.unexpected_keys == DENSE_TENSORS
    assert "2_Dense/pytorch_model.bin" in load.files
    assert any("Normalize takes the place of Dense" in reason for reason in load.reasons)


@pytest.mark.parametrize(
    ("names", "extra", "encodes"),
    [
        pytest.param(["0", "1", "1", "3"], (), False, id="pooling"),
        pytest.param(["0", "0", "2", "3"], (), False, id="transformer"),
        pytest.param(["0", "0", "0", "0"], (), False, id="all"),
        pytest.param(["0", "1", "2", "0"], (), False, id="first-by-last"),
        pytest.param(["0", "1", "2", "3", "3"], (1,), True, id="normalize-by-pooling"),
        pytest.param(["0", "1", "2", "3", "2"], (2,), True, id="the-same-dense"),
    ],
)
def test_other_modules_replaced(
    folder: Path, names: Sequence[str], extra: tuple[int, ...], *, encodes: bool
) -> None:
    """A lost module makes the load incomplete; without its Transformer or Pooling a model encodes nothing."""
    name_modules(folder, names, *extra)

    load = predict_load(folder, NEWEST)

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert any("ends in an error" in reason for reason in load.reasons) is not encodes


def test_lost_tensors_of_a_transformer(folder: Path) -> None:
    """A replaced Transformer leaves every stored tensor unused; what is listed again is used."""
    name_modules(folder, ["0", "0", "2", "3"])
    lost = predict_load(folder, NEWEST)
    assert "embeddings.word_embeddings.weight" in lost.unexpected_keys
    assert lost.missing_keys == ()
    assert lost.dtype is None

    name_modules(folder, ["0", "1", "2", "3", "2"], 2)
    assert predict_load(folder, NEWEST).unexpected_keys == ()


def test_one_normalize_is_as_good_as_two(folder: Path) -> None:
    """Two Normalize of one name, one after the other, lose nothing."""
    name_modules(folder, ["0", "1", "2", "3", "3"], 3)

    assert predict_load(folder, NEWEST).outcome is Outcome.FAITHFUL


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training", "to", "0", "dense", 2, None, True])
def test_names_as_torch_takes_them(folder: Path, name: Any) -> None:
    """A name that torch refuses ends the load, and one that torch takes does not."""
    name_modules(folder, [name, "b", "c", "d"])
    load = predict_load(folder, NEWEST)

    try:
        nn.Sequential(OrderedDict([(name, nn.Identity())]))
    except (KeyError, TypeError):
        assert load.outcome is Outcome.REFUSED
        assert "modules.json: name" in load.reasons[0]
    else:
        assert load.outcome is Outcome.FAITHFUL


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("encode", Outcome.REFUSED),
        ("tokenizer", Outcome.REFUSED),
        ("fit", Outcome.REFUSED),
        ("truncate_embeddings", Outcome.UNKNOWN),
        ("dtype", Outcome.UNKNOWN),
        ("_modules", Outcome.UNKNOWN),
        (["x"], Outcome.REFUSED),
        ({"x": []}, Outcome.REFUSED),
    ],
    ids=str,
)
def test_names_that_the_model_has(folder: Path, name: Any, outcome: Outcome) -> None:
    """A name that the model has before its modules is refused, and unknown where versions differ."""
    name_modules(folder, ["0", "1", name, "3"])

    assert predict_load(folder, NEWEST).outcome is outcome


def test_the_newest_transformers_comes_last(folder: Path) -> None:
    """Behaviours that depend on transformers come oldest first."""
    change(folder / "config.json", lambda config: {**config, "torch_dtype": "float16"})

    beneath = [load.beneath for load in predict_load(folder, "sentence-transformers==5.3.0").eras]

    assert len(beneath) > 1
    assert beneath[0].startswith("transformers>=4.")
    assert beneath[-1].endswith(f"<={TRANSFORMERS.releases[-1]}")


MANY = {f"key{number}": "x" for number in range(20_000)}
LONG = "x\x1b" * 20_000


def rewritten(path: str, change_: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A document of the repository, changed."""
    return lambda folder: change(folder / path, change_)


HOSTILE = {
    "many settings": (rewritten("1_Pooling/config.json", lambda old: {**old, **MANY}), Outcome.REFUSED),
    "many arguments": (
        rewritten("sentence_bert_config.json", lambda _: {"model_args": MANY}),
        Outcome.UNKNOWN,
    ),
    "many requirements": (
        rewritten("config_sentence_transformers.json", lambda _: {"requirements": MANY}),
        Outcome.UNKNOWN,
    ),
    "long requirement": (
        rewritten(
            "config_sentence_transformers.json",
            lambda _: {"requirements": {"transformers": ">=5," * 20_000 + ">=5"}},
        ),
        Outcome.UNKNOWN,
    ),
    "long prompt name": (
        rewritten("config_sentence_transformers.json", lambda _: {"default_prompt_name": LONG}),
        Outcome.REFUSED,
    ),
    "long name": (
        rewritten("modules.json", lambda old: [{**each, "name": f"{LONG}."} for each in old]),
        Outcome.REFUSED,
    ),
    "long path": (
        rewritten("modules.json", lambda old: [*old, {**old[1], "name": "4", "path": LONG}]),
        Outcome.REFUSED,
    ),
    "long path outside": (
        rewritten("modules.json", lambda old: [*old, {**old[1], "name": "4", "path": f"../{LONG}"}]),
        Outcome.UNKNOWN,
    ),
    "long type": (
        rewritten("modules.json", lambda old: [*old, {**old[1], "name": "4", "type": LONG}]),
        Outcome.REFUSED,
    ),
    "long mode": (
        rewritten("1_Pooling/config.json", lambda old: {**old, "pooling_mode": LONG}),
        Outcome.REFUSED,
    ),
    "long activation": (
        rewritten("2_Dense/config.json", lambda old: {**old, "activation_function": f"torch.{LONG}"}),
        Outcome.UNKNOWN,
    ),
    "long size": (
        rewritten("2_Dense/config.json", lambda old: {**old, "in_features": LONG}),
        Outcome.REFUSED,
    ),
    "long task": (
        rewritten("sentence_bert_config.json", lambda _: {"transformer_task": LONG}),
        Outcome.UNKNOWN,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_said_stays_short(folder: Path, name: str) -> None:
    """However much a repository writes, a reason is a sentence that can be printed."""
    do, outcome = HOSTILE[name]
    do(folder)

    load = predict_load(folder, NEWEST)

    assert load.outcome is outcome, [reason[:200] for reason in load.reasons]
    check_reasons(load)


def check_reasons(load: LoadPrediction) -> None:
    """Every reason is short and prints."""
    assert load.reasons
    for reason in load.reasons:
        assert len(reason) < 400
        assert reason.isprintable()
