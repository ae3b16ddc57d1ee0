"""Dense modules behind text-embeddings-inference."""

from typing import Any

import attrs
import pytest

from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.facts import UnreadableFile
from embaudit.model.prediction import Outcome

SAFE = "model.safetensors"
TANH = "torch.nn.modules.activation.Tanh"
DENSE = {"in_features": 16, "out_features": 8, "bias": True, "activation_function": TANH}
SHAPES = {"linear.weight": (8, 16), "linear.bias": (8,)}
KEYS = ("2_Dense.linear.bias", "2_Dense.linear.weight")


def modules(*types: str, folder: str = "2_Dense") -> list[dict[str, Any]]:
    """A modules.json with these classes after the transformer and the pooling."""
    names = ("Transformer", "Pooling", *types)
    paths = ("", "1_Pooling", *(f"{number + 2}_{name}" for number, name in enumerate(types)))
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{name}"}
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    return [{**each, "path": folder} if each["path"] == "2_Dense" else each for each in listed]


def repository(tei: Any, folder: str = "2_Dense", **changes: Any) -> Any:
    """A tiny BERT with a Dense module; `changes` replace the list, the module's settings or its weights."""
    config, shapes = tei.bert()
    listed = changes.pop("listed", modules("Dense", folder=folder))
    dense = changes.pop("dense", DENSE)
    weights = changes.pop("weights", [tei.file(f"{folder}/{SAFE}", SHAPES)])
    others = {"modules.json": listed, f"{folder}/config.json": dense}
    return tei.repository(config, tei.file(SAFE, shapes), *weights, others=others, **changes)


@pytest.mark.parametrize(
    ("version", "named", "outcomes"),
    [
        ("1.7.4", False, [Outcome.INCOMPLETE]),
        ("1.7.4", True, [Outcome.INCOMPLETE]),
        ("1.8.0", True, [Outcome.FAITHFUL]),
        ("1.8.2", False, [Outcome.INCOMPLETE]),
        ("1.8.2", True, [Outcome.INCOMPLETE, Outcome.FAITHFUL]),
        ("1.8.3", False, [Outcome.FAITHFUL]),
        ("1.9.3", True, [Outcome.FAITHFUL]),
    ],
)
def test_since_when(tei: Any, version: str, named: Any, outcomes: Any) -> None:
    """Dense modules are applied from 1.8.0 on, in folders from 1.8.3 on; before, silently not."""
    loads = tei.loads(repository(tei, repo_id="org/name" if named else None), version)

    assert [load.outcome for load in loads] == outcomes
    for load in loads:
        dropped = load.outcome is Outcome.INCOMPLETE
        assert load.silent is dropped
        assert set(KEYS).isdisjoint(load.unexpected_keys) is not dropped
        assert ("2_Dense/model.safetensors" in load.files) is not dropped


def test_another_folder_in_1_8_0(tei: Any) -> None:
    """1.8.0 looks for `2_Dense` alone."""
    load = tei.load(repository(tei, folder="2_Dense_1024"), "1.8.0")

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)


def test_a_module_that_is_not_listed_in_1_8_0(tei: Any) -> None:
    """1.8.0 applies `2_Dense` though modules.json does not list it."""
    load = tei.load(repository(tei, listed=modules()), "1.8.0")

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert "does not list" in load.reasons[0]


@pytest.mark.parametrize(
    "listed",
    [
        modules("Dense", "LayerNorm"),
        [{key: each[key] for key in each if key != "idx"} for each in modules("Dense")],
        [*modules(), {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.base.Dense"}],
    ],
    ids=["a type that it does not know", "no idx", "class paths of 5.4"],
)
def test_lists_that_are_not_read(tei: Any, listed: Any) -> None:
    """A modules.json with anything strange is not used at all, with a warning: Dense is not applied."""
    load = tei.load(repository(tei, listed=listed))

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, False)
    assert set(KEYS) <= set(load.unexpected_keys)


@pytest.mark.parametrize(
    ("dense", "problem"),
    [
        ({**DENSE, "activation_function": "torch.nn.modules.activation.GELU"}, "not supported"),
        ({key: DENSE[key] for key in DENSE if key != "bias"}, "lacks `bias`"),
        ({**DENSE, "in_features": "16"}, "not a whole number"),
        ({**DENSE, "out_features": 9}, "shape mismatch"),
        ([], "holds no object"),
    ],
)
def test_settings_that_are_refused(tei: Any, dense: Any, problem: str) -> None:
    """The settings of a Dense module have to be complete, its activation one of two, its sizes right."""
    load = tei.load(repository(tei, dense=dense))

    assert load.outcome is Outcome.REFUSED
    assert problem in load.reasons[0]


def test_a_missing_tensor(tei: Any) -> None:
    """A Dense module without one of its tensors keeps the server from starting."""
    weights = tei.file(f"2_Dense/{SAFE}", {"linear.weight": (8, 16)})

    load = tei.load(repository(tei, weights=[weights]))

    assert (load.outcome, load.missing_keys) == (Outcome.REFUSED, ("2_Dense.linear.bias",))


def test_a_residual(tei: Any) -> None:
    """The residual of a Dense module of sentence-transformers 6 is dropped silently."""
    weights = tei.file(f"2_Dense/{SAFE}", {**SHAPES, "residual.weight": (8, 16)})

    load = tei.load(repository(tei, weights=[weights]))

    assert (load.outcome, load.silent) == (Outcome.INCOMPLETE, True)
    assert "2_Dense.residual.weight" in load.unexpected_keys


def test_no_weights(tei: Any) -> None:
    """A Dense module without weights is passed over in a folder with a warning, and an error under a name."""
    folder, name = tei.loads(repository(tei, weights=[], repo_id="org/name"))

    assert (folder.outcome, folder.silent) == (Outcome.INCOMPLETE, False)
    assert name.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("problem", "outcome"), [("", Outcome.REFUSED), ("tensors", Outcome.UNKNOWN)], ids=["broken", "too large"]
)
def test_weights_that_cannot_be_read(tei: Any, problem: str, outcome: Outcome) -> None:
    """A Dense module with broken weights is an error; with weights over a limit nobody knows."""
    path = f"2_Dense/{SAFE}"
    unreadable = UnreadableFile(path=path, problem="it ends early", limit=problem)
    found = attrs.evolve(repository(tei, weights=[], files=(path,)), unreadable={path: unreadable})

    load = tei.load(found)

    assert load.outcome is outcome
    assert "it ends early" in load.reasons[0]


def test_a_torch_file_that_candle_refuses(tei: Any) -> None:
    """What candle cannot open keeps the server from starting, though no tensor is missing."""
    old = tei.file("2_Dense/pytorch_model.bin", SHAPES, format=CheckpointFormat.TORCH_LEGACY)

    load = tei.load(repository(tei, weights=[old]))

    assert (load.outcome, load.missing_keys) == (Outcome.REFUSED, ())
    assert "torch-legacy" in load.reasons[0]


@pytest.mark.parametrize("listed", [["Dense"], {"0": "Dense"}, None])
def test_lists_of_nothing(tei: Any, listed: Any) -> None:
    """Where modules.json lists no modules there is no Dense to apply or to miss."""
    assert tei.load(repository(tei, listed=listed)).outcome is Outcome.FAITHFUL


def test_torch_weights_are_read_as_candle_reads_them(tei: Any) -> None:
    """Safetensors go before torch's file, which is read with every fault of candle's reader."""
    both = [tei.file(f"2_Dense/{name}", SHAPES) for name in (SAFE, "pytorch_model.bin")]

    assert "2_Dense/pytorch_model.bin" in tei.load(repository(tei, weights=both)).ignored_files
    assert "2_Dense/pytorch_model.bin" in tei.load(repository(tei, weights=both[1:])).files


@pytest.mark.parametrize("version", ["1.7.4", "1.8.0", "1.9.3"])
def test_more_modules_than_are_looked_at(tei: Any, version: str) -> None:
    """Of a list of thousands of modules nothing is known, and that is said."""
    load = tei.load(repository(tei, listed=modules(*["Dense"] * 3000)), version)

    assert load.outcome is Outcome.UNKNOWN
    assert "3,002 modules" in load.reasons[0]


def test_a_module_that_is_listed_twice(tei: Any) -> None:
    """A folder that is listed twice is told once."""
    listed = modules("Dense")
    load = tei.load(repository(tei, listed=[*listed, {**listed[-1], "idx": 3}]), "1.7.4")

    assert len([reason for reason in load.reasons if "2_Dense" in reason]) == 1


def test_folders_with_long_names(tei: Any) -> None:
    """A reason shows the beginning of a path that goes on and on."""
    load = tei.load(repository(tei, listed=modules("Dense", folder="x" * 10_000), folder="y"), "1.9.3")

    assert load.outcome is Outcome.INCOMPLETE
    assert max(map(len, load.reasons)) < 500
