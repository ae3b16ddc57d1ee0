"""What servers and libraries other than sentence-transformers make of a text with the same files."""

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from embaudit.loaders import LOADERS, ask_loader, declared_pipeline, parse_loader
from embaudit.loaders.servers import SERVERS
from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.declaration import Declaration
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.repository import Repository
from embaudit.report.codec import from_jsonable, render_json
from embaudit.testing.facts import make_checkpoint, make_snapshot, make_tensor
from embaudit.testing.repositories import HIDDEN, POSITIONS, bert_settings, bert_shapes

CLS, MEAN, LAST = PoolingMode.CLS, PoolingMode.MEAN, PoolingMode.LAST_TOKEN
POOLING, MODULES = "1_Pooling/config.json", "modules.json"
CONFIG, LENGTHS = "config_sentence_transformers.json", "sentence_bert_config.json"
TANH = "torch.nn.modules.activation.Tanh"
BASE: Mapping[str, Any] = {path: json.loads(content) for path, content in bert_settings().items()}
DENSE_SETTINGS = {"in_features": HIDDEN, "out_features": 8, "bias": True}
DENSE = DenseLayer(path="2_Dense", in_features=HIDDEN, out_features=8, bias=True, activation="")


def flags(**true: bool) -> Mapping[str, Any]:
    """Settings of Pooling in the older format."""
    return {**BASE[POOLING], "pooling_mode_mean_tokens": False, **true}


def listed(*names: str, prefix: str = "sentence_transformers.models") -> tuple[Mapping[str, Any], ...]:
    """Entries of `modules.json` after the Transformer."""
    every = ("Transformer", *names)
    return tuple(
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{name}" if index else "",
            "type": f"{prefix}.{name}",
        }
        for index, name in enumerate(every)
    )


def repository(changed: Mapping[str, Any] | None = None, **fields: Any) -> Repository:
    """The small BERT, some of its settings changed; None takes a file out."""
    changes = {path: json.loads(json.dumps(each)) for path, each in (changed or {}).items()}
    documents = {path: each for path, each in {**BASE, **changes}.items() if each is not None}
    shapes = {"model.safetensors": dict(bert_shapes())}
    if "2_Dense/config.json" in documents:
        shapes["2_Dense/model.safetensors"] = {"linear.weight": (8, HIDDEN), "linear.bias": (8,)}
    checkpoints = {
        path: make_checkpoint(
            [make_tensor(name, shape, file=path) for name, shape in tensors.items()],
            name=path,
            files=(path,),
            format=CheckpointFormat.SAFETENSORS,
            metadata={"format": "pt"},
            pickle=None,
        )
        for path, tensors in shapes.items()
    }
    return Repository(
        snapshot=make_snapshot([*documents, *checkpoints, "onnx/model_O4.onnx"], **fields),
        declaration=Declaration(documents=documents),
        checkpoints=checkpoints,
    )


def ask(loader: str, changed: Mapping[str, Any] | None = None, **fields: Any) -> LoadPrediction:
    """What a loader would do with the small BERT."""
    return ask_loader(repository(changed, **fields), parse_loader(loader))


def pipeline(loader: str, changed: Mapping[str, Any] | None = None, **fields: Any) -> EmbeddingPipeline:
    """What a loader makes of a text with the small BERT."""
    found = ask(loader, changed, **fields).pipeline
    assert found is not None
    return found


WITH_DENSE = {MODULES: listed("Pooling", "Dense"), "2_Dense/config.json": DENSE_SETTINGS}
NEW_TYPES = listed("Pooling", prefix="sentence_transformers.sentence_transformer.modules")
LONGER = {LENGTHS: {"max_seq_length": 20_000}}


@pytest.mark.parametrize(
    ("loader", "changed", "expected"),
    [
        pytest.param("tei[cuda]==1.9.3", {}, {"pooling": (MEAN,), "normalize": True}, id="tei"),
        pytest.param(
            "tei[cuda]==1.9.3",
            {POOLING: flags(pooling_mode_cls_token=True, pooling_mode_mean_tokens=True)},
            {"pooling": (CLS,), "dimension": HIDDEN},
            id="tei, two modes",
        ),
        pytest.param("tei[cuda]==1.9.3", {POOLING: None}, {"pooling": (CLS,)}, id="tei, no pooling file"),
        pytest.param(
            "tei[cuda]==1.9.3", LONGER, {"max_seq_length": 16_384, "truncates": True}, id="tei, cut"
        ),
        pytest.param(
            "tei[cuda]==1.8.3", LONGER, {"max_seq_length": 20_000, "truncates": False}, id="tei, refused"
        ),
        pytest.param("tei[cuda]==0.2.0", {}, {"max_seq_length": POSITIONS}, id="tei without a length file"),
        pytest.param("tei[cuda]==1.7.0", WITH_DENSE, {"dense": (), "dimension": HIDDEN}, id="tei, no Dense"),
        pytest.param(
            "tei[cuda]==1.8.3", WITH_DENSE, {"dense": (DENSE,), "dimension": 8}, id="tei, Dense without tanh"
        ),
        pytest.param(
            "tei[cuda]==1.9.3",
            {CONFIG: {"prompts": {"q": "query: "}, "default_prompt_name": "q"}},
            {"prompts": {"q": "query: "}, "default_prompt": None},
            id="tei, prompts by name only",
        ),
        pytest.param(
            "tei[cuda]==1.9.3",
            {POOLING: flags(pooling_mode_mean_tokens=True, include_prompt=False)},
            {"include_prompt": True},
            id="tei, include_prompt",
        ),
        pytest.param(
            "embed_anything==0.7.1",
            {POOLING: flags(pooling_mode_cls_token=True), LENGTHS: {"max_seq_length": 9}},
            {"pooling": (MEAN,), "normalize": True, "max_seq_length": POSITIONS},
            id="embed_anything",
        ),
        pytest.param(
            "candle==0.9.2", {}, {"pooling": (), "normalize": False, "lowercase": None}, id="candle"
        ),
        pytest.param("transformers==5.23.0", {}, {"pooling": (), "dimension": HIDDEN}, id="transformers"),
        pytest.param(
            "infinity[torch]",
            {CONFIG: {"prompts": {"q": "query: "}, "default_prompt_name": "q", "truncate_dim": 3}},
            {"pooling": (MEAN,), "normalize": True, "default_prompt": None, "truncate_dim": None},
            id="infinity",
        ),
        pytest.param("infinity[torch]", WITH_DENSE, {"dimension": 8}, id="infinity, Dense"),
        pytest.param(
            "infinity[optimum]", WITH_DENSE, {"pooling": (CLS,), "dense": ()}, id="infinity with ONNX"
        ),
        pytest.param("vllm==0.11.0", {}, {"pooling": (MEAN,), "normalize": False}, id="vllm"),
        pytest.param(
            "vllm==0.11.0", {MODULES: None}, {"pooling": (CLS,), "normalize": True}, id="vllm, no modules"
        ),
        pytest.param(
            "vllm==0.11.0", {MODULES: NEW_TYPES}, {"pooling": (CLS,), "normalize": True}, id="vllm, new types"
        ),
        pytest.param("vllm==0.33.0", {MODULES: NEW_TYPES}, {"pooling": (MEAN,)}, id="newer vllm, new types"),
        pytest.param(
            "vllm==0.11.0",
            {POOLING: {"include_prompt": True, "pooling_mode_mean_tokens": True}},
            {"pooling": (CLS,)},
            id="vllm, another truth first",
        ),
        pytest.param(
            "vllm==0.33.0",
            {POOLING: flags(pooling_mode_mean_tokens=True, pooling_mode_lasttoken=True)},
            {"pooling": (LAST,)},
            id="newer vllm, the last of two",
        ),
        pytest.param("vllm==0.11.0", WITH_DENSE, {"dense": (), "dimension": HIDDEN}, id="vllm, no Dense"),
        pytest.param("vllm==0.33.0", WITH_DENSE, {"dense": (DENSE,), "dimension": 8}, id="newer vllm, Dense"),
        pytest.param("transformers.js", {}, {"pooling": (), "truncates": True}, id="transformers.js"),
        pytest.param(
            "llama.cpp",
            {POOLING: {**flags(pooling_mode_cls_token=True), "pooling_mode_mean_tokens": True}},
            {"pooling": (MEAN,), "normalize": True},
            id="llama.cpp, the mean first",
        ),
        pytest.param("llama.cpp", {MODULES: NEW_TYPES}, {"pooling": None}, id="llama.cpp, new types"),
    ],
)
def test_what_a_loader_makes_of_a_text(
    loader: str, changed: Mapping[str, Any], expected: Mapping[str, Any]
) -> None:
    """Each loader has its own reading of the files that sentence-transformers writes."""
    found = pipeline(loader, changed)

    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.5.1", ((CLS,), True)), ("0.7.4", ((MEAN,), False)), ("0.9.1", ((MEAN,), False))],
)
def test_fastembed_goes_by_the_name(version: str, expected: tuple[Any, Any]) -> None:
    """A class is bound to the name of a model, whatever its files declare, and another one since 0.6."""
    found = pipeline(f"fastembed=={version}", repo_id="intfloat/multilingual-e5-large")

    assert (found.pooling, found.normalize) == expected


@pytest.mark.parametrize("repo_id", [None, "org/other"])
def test_fastembed_without_a_known_name(repo_id: str | None) -> None:
    """Of a model without a name, or of another name, nothing is known, and a reason says so."""
    prediction = ask("fastembed", repo_id=repo_id)

    assert (prediction.outcome, prediction.pipeline) == (Outcome.UNKNOWN, None)
    assert prediction.reasons


@pytest.mark.parametrize("loader", SERVERS, ids=lambda loader: str(loader.name))
def test_a_server_is_never_faithful(loader: Any) -> None:
    """Where weights are not predicted, the outcome is unknown and says why."""
    prediction = ask(loader.name)

    assert prediction.outcome is Outcome.UNKNOWN
    assert all("embaudit" in load.reasons[0] or "name" in load.reasons[0] for load in prediction.eras)


def test_llama_cpp_refuses_what_it_does_not_know() -> None:
    """The converter ends in an error where a Pooling of the older type has none of its modes."""
    prediction = ask(
        "llama.cpp", {POOLING: flags(pooling_mode_max_tokens=True, pooling_mode_lasttoken=False)}
    )

    assert (prediction.outcome, prediction.pipeline) == (Outcome.REFUSED, None)


def test_a_refused_load_has_no_pipeline() -> None:
    """Where nothing is served, nothing is made of a text."""
    refused = ask("tei[cpu]==1.5.0")

    assert (refused.outcome, refused.pipeline) == (Outcome.REFUSED, None)


def test_infinity_refuses_to_run_a_graph_that_is_not_there() -> None:
    """The engine for ONNX files ends in an error where the repository has none."""
    files = repository()
    without = make_snapshot([path for path in files.snapshot.files if not path.endswith(".onnx")])
    prediction = ask_loader(attrs.evolve(files, snapshot=without), parse_loader("infinity[optimum]"))

    assert (prediction.outcome, prediction.pipeline) == (Outcome.REFUSED, None)


def test_an_onnx_graph_may_pool_by_itself() -> None:
    """What ONNX Runtime gives is normalised, and how it is pooled is not known."""
    files = repository()
    with_graph = attrs.evolve(files, snapshot=make_snapshot([*files.snapshot.files, "model.onnx"]))
    prediction = ask_loader(with_graph, parse_loader("tei[cpu]==1.9.3"))

    assert prediction.pipeline is not None
    assert (prediction.pipeline.pooling, prediction.pipeline.normalize) == (None, True)


def test_positions_of_roberta_begin_after_the_padding() -> None:
    """text-embeddings-inference leaves out the positions that RoBERTa does not use."""
    config = {**BASE["config.json"], "model_type": "roberta", "pad_token_id": 1}
    found = pipeline("tei[cuda]==1.9.3", {"config.json": config, LENGTHS: None})

    assert found.max_seq_length == POSITIONS - 2


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: str(loader.name))
def test_predictions_with_pipelines_go_through_json(loader: Any) -> None:
    """A prediction that is written and read again is equal to itself, its pipeline included."""
    prediction = ask(loader.name, WITH_DENSE, repo_id="thenlper/gte-base")
    read = from_jsonable(LoadPrediction, json.loads(render_json(prediction)))

    assert read == prediction


def test_the_measure_is_the_newest_sentence_transformers() -> None:
    """What is declared is what sentence-transformers 6.2.0 is predicted to make of it."""
    assert declared_pipeline(repository()) == pipeline("sentence-transformers==6.2.0")
