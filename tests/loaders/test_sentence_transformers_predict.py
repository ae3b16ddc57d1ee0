"""What sentence-transformers does with repositories made of headers alone, hostile ones among them."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.loaders import ask_loader, parse_loader
from embaudit.loaders.sentence_transformers import ERAS, SENTENCE_TRANSFORMERS
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.declaration import Declaration
from embaudit.model.facts import UnreadableFile
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.repository import Repository
from embaudit.reading import read_repository
from embaudit.sources import open_snapshot
from embaudit.testing.facts import make_checkpoint, make_snapshot, make_tensor
from embaudit.testing.module_repositories import build_repository
from embaudit.testing.repositories import HIDDEN, bert_settings, bert_shapes

NEWEST = "sentence-transformers==6.2.0"
FORMER = "sentence_transformers.models"
BERT_CONFIG = "config.json"
DENSE = {
    "in_features": HIDDEN,
    "out_features": 8,
    "activation_function": "torch.nn.modules.activation.Tanh",
}
DENSE_SHAPES = {"linear.weight": (8, HIDDEN), "linear.bias": (8,)}


def safetensors(name: str, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> Checkpoint:
    """A safetensors file of these tensors."""
    return make_checkpoint(
        [make_tensor(each, shape, file=name) for each, shape in shapes],
        name=name,
        files=(name,),
        format=CheckpointFormat.SAFETENSORS,
        metadata={"format": "pt"},
        pickle=None,
    )


def module(kind: str, path: str, **fields: Any) -> dict[str, Any]:
    """One entry of `modules.json`; a kind with a dot is a path of its own."""
    return {
        "idx": 0,
        "name": path or kind,
        "path": path,
        "type": kind if "." in kind else f"{FORMER}.{kind}",
    } | fields


def repository(
    documents: Mapping[str, Any],
    checkpoints: Iterable[Checkpoint] = (),
    *more: str,
    unreadable: Iterable[str] = (),
) -> Repository:
    """A repository of these settings, weight files and other files."""
    every = {each.name: each for each in checkpoints}
    broken = {path: UnreadableFile(path=path, problem="broken") for path in unreadable}
    return Repository(
        snapshot=make_snapshot([*documents, *every, *broken, *more]),
        declaration=Declaration(documents=documents),
        checkpoints=every,
        unreadable=broken,
    )


def bert_config() -> dict[str, Any]:
    """The configuration of the small BERT."""
    return dict(json.loads(bert_settings()[BERT_CONFIG]))


def bert(*modules: Mapping[str, Any], **documents: Any) -> tuple[dict[str, Any], list[Checkpoint]]:
    """Settings and weights of a small BERT followed by modules; `__` in a name of a document is a slash."""
    named = {name.replace("__", "/") + ".json": document for name, document in documents.items()}
    listed = (module("Transformer", ""), *modules)
    settings = {BERT_CONFIG: bert_config(), "sentence_bert_config.json": {}, "modules.json": listed}
    return {**settings, **named}, [safetensors("model.safetensors", bert_shapes())]


def ask(asked: Repository, request: str = NEWEST) -> LoadPrediction:
    """The prediction."""
    return ask_loader(asked, parse_loader(request))


def test_registered() -> None:
    """The loader is found under each of its names."""
    for name in ("sentence-transformers", "sentence_transformers", "st"):
        assert parse_loader(name).loader is SENTENCE_TRANSFORMERS


@pytest.mark.parametrize("release", SENTENCE_TRANSFORMERS.releases, ids=str)
def test_each_release_lies_in_one_era(release: Any) -> None:
    """Eras neither overlap nor leave a gap."""
    assert sum(era.versions.contains(release) for era in ERAS) == 1


def test_tensors_are_named_by_folder() -> None:
    """What a module misses is named with its folder, and the files of modules before it are listed."""
    settings, weights = bert(module("Dense", "2_Dense"), **{"2_Dense__config": DENSE})
    dense = safetensors("2_Dense/model.safetensors", [("linear.weight", (8, HIDDEN)), ("other", (1,))])

    load = ask(repository(settings, [*weights, dense]))

    assert load.outcome is Outcome.REFUSED
    assert load.missing_keys == ("2_Dense.linear.bias",)
    assert load.unexpected_keys == ("2_Dense.other",)
    assert load.files == ("2_Dense/model.safetensors", "model.safetensors")
    assert not load.silent


def test_what_is_not_opened_is_ignored() -> None:
    """Weights of a folder that no module has, of other formats and other names are left alone."""
    settings, weights = bert()
    others = ("2_Dense/model.safetensors", "onnx/model.onnx", "pytorch_model.bin", "tf_model.h5")

    load = ask(repository(settings, weights, *others))

    assert load.outcome is Outcome.FAITHFUL
    assert load.ignored_files == others


def test_the_file_depends_on_the_version() -> None:
    """Up to 3.0.0 a Dense is read from the torch file, from 3.0.1 on from safetensors."""
    settings, weights = bert(module("Dense", "2_Dense"), **{"2_Dense__config": DENSE})
    safe = safetensors("2_Dense/model.safetensors", DENSE_SHAPES.items())
    tensors = [make_tensor(name, shape) for name, shape in DENSE_SHAPES.items()]
    torch = make_checkpoint(tensors, name="2_Dense/pytorch_model.bin", files=("2_Dense/pytorch_model.bin",))

    eras = ask(repository(settings, [*weights, safe, torch]), "sentence-transformers").eras

    assert [(load.versions, load.files[0]) for load in eras] == [
        (">=2.0.0,<=3.0.0", "2_Dense/pytorch_model.bin"),
        (">=3.0.1,<=6.2.0", "2_Dense/model.safetensors"),
    ]


def test_transformers_beneath() -> None:
    """Where transformers decides, there is one behaviour for each range of it; where it is told, one."""
    settings, weights = bert()
    settings[BERT_CONFIG]["torch_dtype"] = "float16"
    asked = repository(settings, weights)

    every = ask(asked, "sentence-transformers==5.3.0").eras
    old = ask(asked, "sentence-transformers==5.3.0 with transformers==4.57.1").eras
    new = ask(asked, "sentence-transformers==5.3.0 with transformers>=5").eras

    assert [(load.dtype, load.beneath[:15]) for load in every] == [
        ("float32", "transformers>=4"),
        ("float16", "transformers>=5"),
    ]
    assert [(load.dtype, load.beneath) for load in (*old, *new)] == [("float32", ""), ("float16", "")]


def test_transformers_that_is_not_allowed() -> None:
    """A transformers that the release does not work with is not predicted."""
    load = ask(repository(*bert()), "sentence-transformers==4.1.0 with transformers==5.0.0")

    assert load.outcome is Outcome.UNKNOWN
    assert "<5.0.0" in load.reasons[0]


def test_an_adapter_needs_peft() -> None:
    """With an adapter the load is refused without peft; with it the base model lies elsewhere."""
    settings, weights = bert(adapter_config={"base_model_name_or_path": "org/base"})
    asked = repository(settings, weights)

    assert ask(asked).outcome is Outcome.REFUSED
    load = ask(asked, f"{NEWEST} with peft")
    assert load.outcome is Outcome.UNKNOWN
    assert "'org/base'" in load.reasons[0]


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("3.0.1", Outcome.REFUSED), ("3.1.0", Outcome.UNKNOWN), ("6.2.0", Outcome.UNKNOWN)],
)
def test_code_of_the_repository(version: str, outcome: Outcome) -> None:
    """Code is never run here: its load is unknown, and refused where it is not even looked at."""
    settings, weights = bert(module("custom_st.Custom", "2_Custom"))

    load = ask(repository(settings, weights, "custom_st.py"), f"sentence-transformers=={version}")

    assert load.outcome is outcome


def unknown_modules() -> Mapping[str, tuple[dict[str, Any], Mapping[str, Any]]]:
    """Modules of which embaudit cannot tell what they load, with the settings of their folders."""
    return {
        "another package": (module("pylate.models.Dense", "2_Dense"), {}),
        "another model": (module("sentence_transformers.sparse_encoder.models.SpladePooling", "2_X"), {}),
        "outside": (module("Dense", "../2_Dense"), {}),
        "clip": (module("CLIPModel", "2_CLIP"), {}),
        "layer weights": (
            module("WeightedLayerPooling", "2_W"),
            {"2_W/config.json": {"word_embedding_dimension": 4, "layer_weights": [1.0]}},
        ),
    }


@pytest.mark.parametrize("name", unknown_modules())
def test_what_cannot_be_told(name: str) -> None:
    """A module that embaudit does not follow makes the load unknown, with a reason."""
    entry, documents = unknown_modules()[name]
    settings, weights = bert(entry)

    load = ask(repository({**settings, **documents}, weights))

    assert load.outcome is Outcome.UNKNOWN
    assert load.reasons


@pytest.mark.parametrize(
    "settings",
    [
        {"transformer_task": "fill-mask"},
        {"model_args": {"variant": "fp16"}},
        {"config_args": {"num_hidden_layers": 1}},
        {"model_args": {"torch_dtype": "float12"}},
    ],
    ids=["task", "variant", "config", "dtype"],
)
def test_arguments_that_change_the_load(settings: Mapping[str, Any]) -> None:
    """Settings that pass further arguments to transformers are not predicted."""
    documents, weights = bert(sentence_bert_config=settings)

    assert ask(repository(documents, weights)).outcome is Outcome.UNKNOWN


def test_the_worst_module_decides() -> None:
    """An error ends everything, whatever embaudit cannot tell before it; after it nothing is reached."""
    settings, weights = bert(
        module("CLIPModel", "1_X"), module("Pooling", "2_Pooling"), module("CLIPModel", "3_X")
    )

    load = ask(repository(settings, weights))

    assert load.outcome is Outcome.REFUSED
    assert len(load.reasons) == 2


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_an_unreadable_file(file: str) -> None:
    """A broken safetensors file is refused; of a torch file embaudit may know less than torch."""
    settings, weights = bert(module("Dense", "2_Dense"), **{"2_Dense__config": DENSE})

    load = ask(repository(settings, weights, unreadable=[f"2_Dense/{file}"]))

    assert load.outcome is (Outcome.REFUSED if file == "model.safetensors" else Outcome.UNKNOWN)


def test_requirements() -> None:
    """From 6.0 on requirements that are not met refuse; of packages but transformers embaudit cannot tell."""
    asked = {
        "transformers": {"transformers": "<5"},
        "transformers too": {"transformers": {"specifier": ">=5"}},
        "peft": {"peft": ">=0.18"},
        "not understood": {"peft": "newer", "torch": 3},
    }
    outcomes = {}
    for name, requirements in asked.items():
        settings, weights = bert(config_sentence_transformers={"requirements": requirements})
        outcomes[name] = ask(repository(settings, weights)).outcome

    assert outcomes == {
        "transformers": Outcome.REFUSED,
        "transformers too": Outcome.FAITHFUL,
        "peft": Outcome.UNKNOWN,
        "not understood": Outcome.FAITHFUL,
    }


def test_silent_only_where_something_is_lost(tmp_path: Path) -> None:
    """A model2vec table used without its mapping is wrong without a word, until 6.2 applies it."""
    build_repository("static-with-a-mapping", tmp_path / "model")
    asked = read_repository(open_snapshot(tmp_path / "model"))

    before, after = ask(asked, "sentence-transformers==6.1.0"), ask(asked)

    assert (before.outcome, before.silent) == (Outcome.CORRUPT, True)
    assert (after.outcome, after.silent) == (Outcome.FAITHFUL, False)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, -1, "12", "", "Dense", "torch.nn.Tanh", "..", "/"])
    | st.floats(allow_nan=False)
)
JSONS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS = sorted({kind.name for era in ERAS for kind in era.classes.values()})
KEYS = sorted(
    {
        key
        for era in ERAS
        for kind in era.classes.values()
        for key in (*kind.required, *kind.optional, "types", "structure", "parameters")
    }
)
FIELDS = st.dictionaries(st.sampled_from(KEYS), JSONS, max_size=5)


@given(
    kind=st.sampled_from(KINDS),
    fields=FIELDS,
    transformer=FIELDS,
    package=st.dictionaries(
        st.sampled_from(["prompts", "default_prompt_name", "requirements", "model_type"]), JSONS
    ),
    version=st.sampled_from(SENTENCE_TRANSFORMERS.releases),
)
def test_hostile_settings(
    kind: str,
    fields: Mapping[str, Any],
    transformer: Mapping[str, Any],
    package: Mapping[str, Any],
    version: Any,
) -> None:
    """Whatever settings hold, the prediction is one outcome with a reason, and never an exception."""
    names = {f"2_X/{name}" for era in ERAS for each in era.classes.values() for name in each.settings}
    settings, weights = bert(
        module(kind, "2_X"), sentence_bert_config=transformer, config_sentence_transformers=package
    )
    documents = {**settings, **dict.fromkeys(names, fields)}

    load = ask(repository(documents, weights, "2_X/tokenizer.json"), f"sentence-transformers=={version}")

    assert load.outcome is Outcome.FAITHFUL or load.reasons


@given(
    modules=JSONS
    | st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "path", "name"), JSONS)))
)
def test_hostile_modules(modules: Any) -> None:
    """Whatever `modules.json` holds, the prediction is one outcome, and never an exception."""
    settings, weights = bert()

    load = ask(repository({**settings, "modules.json": modules}, weights), NEWEST)

    assert load.outcome in (Outcome.REFUSED, Outcome.UNKNOWN)
    assert load.reasons
