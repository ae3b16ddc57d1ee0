"""What sentence-transformers makes of a text, read from settings alone, release by release.

The newest release is held against the real program in
`tests/interop/test_sentence_transformers_pipelines.py`; here are the rows that differ between releases, and
what cannot be told.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit import predict_load
from embaudit.loaders import ask_loader, declared_pipeline, parse_loader
from embaudit.loaders.sentence_transformers import ERAS, SentenceTransformersEra
from embaudit.loaders.tokenizers import MaxLength, declared_tokenizer
from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.declaration import Declaration
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.facts import Facts, Loads
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.repository import Repository
from embaudit.rules import RULES, ask_rules
from embaudit.testing.facts import make_checkpoint, make_snapshot, make_tensor
from embaudit.testing.module_repositories import build_repository, write

FORMER = "sentence_transformers.models"
POOLING = "1_Pooling/config.json"
MODULES = "modules.json"
CONFIG = "config_sentence_transformers.json"
CLS, MEAN, LAST = PoolingMode.CLS, PoolingMode.MEAN, PoolingMode.LAST_TOKEN


def modules(*names: str) -> tuple[Mapping[str, Any], ...]:
    """Entries of `modules.json`; a bare class lies in the root, another in the folder that is named."""
    return tuple(
        {
            "idx": index,
            "name": str(index),
            "path": name if "_" in name else "",
            "type": f"{FORMER}.{name.rpartition('_')[2]}",
        }
        for index, name in enumerate(names)
    )


BASE: Mapping[str, Any] = {
    "config.json": {"model_type": "bert", "hidden_size": 4, "max_position_embeddings": 512},
    "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", "model_max_length": 512},
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    MODULES: modules("Transformer", "1_Pooling", "2_Normalize"),
    POOLING: {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": True},
    CONFIG: {},
}
PLAIN = EmbeddingPipeline(
    pooling=(MEAN,),
    normalize=True,
    max_seq_length=256,
    truncates=True,
    lowercase=True,
    dimension=4,
    similarity="cosine",
    padding_side="right",
    modules=("Transformer", "Pooling", "Normalize"),
)


def repository(changed: Mapping[str, Any], **fields: Any) -> Repository:
    """A repository of the usual settings, some of them changed; None takes a file out."""
    documents = {path: each for path, each in {**BASE, **changed}.items() if each is not None}
    return Repository(
        snapshot=make_snapshot([*documents, *fields.get("checkpoints", {}), *fields.pop("more", ())]),
        declaration=Declaration(documents=documents),
        **fields,
    )


def era_of(version: str) -> SentenceTransformersEra:
    """The era of a release."""
    return next(era for era in ERAS if era.versions.contains(version))


def read(changed: Mapping[str, Any], version: str = "6.2.0") -> EmbeddingPipeline:
    """The pipeline of a release."""
    return declared_pipeline(repository(changed), era_of(version))


@pytest.mark.parametrize("era", ERAS, ids=lambda era: str(era.versions))
def test_a_plain_repository_is_the_same_in_every_release(era: SentenceTransformersEra) -> None:
    """What a repository says in the older formats, every release understands in the same way."""
    assert declared_pipeline(repository({}), era) == PLAIN


CLS_ALONE = {POOLING: {"word_embedding_dimension": 4, "pooling_mode_cls_token": True}}
CAUSAL = {**BASE["config.json"], "architectures": ("BertForCausalLM",)}
BOTH_WAYS = {**CAUSAL, "is_causal": False}
PROMPTED = {CONFIG: {"prompts": {"q": "query: ", "none": ""}, "default_prompt_name": "q"}}
FOREIGN = {
    MODULES: modules("Transformer", "1_Pooling", "2_Dense"),
    "2_Dense/config.json": {"in_features": 4, "out_features": 2, "activation_function": "my.Activation"},
}
TOKENS_NORMALISED = {
    "2_Normalize/config.json": {"module_input_name": "token_embeddings"},
}


@pytest.mark.parametrize(
    ("changed", "version", "expected"),
    [
        pytest.param(CLS_ALONE, "5.3.0", {"pooling": (CLS, MEAN), "dimension": 8}, id="cls alone, before"),
        pytest.param(CLS_ALONE, "5.4.0", {"pooling": (CLS,), "dimension": 4}, id="cls alone, since"),
        pytest.param(
            {MODULES: None, "config.json": CAUSAL},
            "5.3.0",
            {"pooling": (MEAN,), "normalize": False, "max_seq_length": 512},
            id="causal without modules, before",
        ),
        pytest.param(
            {MODULES: None, "config.json": CAUSAL}, "5.4.0", {"pooling": (LAST,)}, id="causal, since"
        ),
        pytest.param(
            {MODULES: None, "config.json": BOTH_WAYS}, "5.4.0", {"pooling": (MEAN,)}, id="both ways"
        ),
        pytest.param(PROMPTED, "2.3.1", {"prompts": {}, "default_prompt": None}, id="prompts, before"),
        pytest.param(
            PROMPTED, "2.4.0", {"prompts": {"q": "query: "}, "default_prompt": "q"}, id="prompts, since"
        ),
        pytest.param({CONFIG: {"truncate_dim": 2}}, "5.3.0", {"dimension": 4}, id="cut, before"),
        pytest.param(
            {CONFIG: {"truncate_dim": 2}},
            "5.4.0",
            {"dimension": 2, "truncate_dim": 2, "normalize": False},
            id="cut, since",
        ),
        pytest.param(TOKENS_NORMALISED, "5.7.0", {"normalize": True}, id="settings of Normalize, before"),
        pytest.param(TOKENS_NORMALISED, "6.0.0", {"normalize": False}, id="settings of Normalize, since"),
        pytest.param(
            {"sentence_bert_config.json": {"max_seq_length": 9, "tokenizer_args": {"model_max_length": 7}}},
            "5.3.0",
            {"max_seq_length": 9},
            id="two lengths, before",
        ),
        pytest.param(
            {"sentence_bert_config.json": {"max_seq_length": 9, "tokenizer_args": {"model_max_length": 7}}},
            "5.4.0",
            {"max_seq_length": 7},
            id="two lengths, since",
        ),
    ],
)
def test_what_differs_between_releases(
    changed: Mapping[str, Any], version: str, expected: Mapping[str, Any]
) -> None:
    """The same files mean something else to releases on both sides of a change."""
    pipeline = read(changed, version)

    assert {name: getattr(pipeline, name) for name in expected} == expected


NO_MODE = {POOLING: {"word_embedding_dimension": 4, "pooling_mode_mean_tokens": False}}
NORMALIZE_FIRST = {MODULES: modules("Transformer", "2_Normalize", "1_Pooling")}
FLAG_OF_TEXT = {POOLING: {"word_embedding_dimension": 32, "pooling_mode_cls_token": "false"}}
NESTED = {POOLING: {"embedding_dimension": 32, "pooling_mode": [["mean"]]}}
SETTINGS = "sentence_bert_config.json"


@pytest.mark.parametrize(
    ("changed", "version", "fails"),
    [
        pytest.param(NO_MODE, "5.3.0", True, id="no mode, before"),
        pytest.param(NO_MODE, "5.4.0", False, id="no mode, since"),
        pytest.param(NORMALIZE_FIRST, "5.3.0", True, id="Normalize first, before"),
        pytest.param(NORMALIZE_FIRST, "5.4.0", False, id="Normalize first, since"),
        pytest.param({CONFIG: {"truncate_dim": "2"}}, "5.3.0", False, id="cut at a text, before"),
        pytest.param({CONFIG: {"truncate_dim": "2"}}, "5.4.0", True, id="cut at a text, since"),
        pytest.param({SETTINGS: {"max_seq_length": 1e30}}, "5.3.0", True, id="endless, before"),
        pytest.param({SETTINGS: {"max_seq_length": 1e30}}, "5.4.0", False, id="endless, since"),
        pytest.param({SETTINGS: {"max_seq_length": "9"}}, "2.2.2", True, id="length as a text"),
        pytest.param(
            {SETTINGS: {"max_seq_length": 9, "tokenizer_args": {"model_max_length": "7"}}},
            "5.3.0",
            False,
            id="another length as a text, before",
        ),
        pytest.param(
            {SETTINGS: {"max_seq_length": 9, "tokenizer_args": {"model_max_length": "7"}}},
            "5.4.0",
            True,
            id="another length as a text, since",
        ),
        pytest.param({MODULES: modules("Transformer")}, "2.2.2", True, id="no Pooling"),
        pytest.param({MODULES: modules("1_Pooling")}, "2.2.2", True, id="no Transformer"),
        pytest.param(
            {CONFIG: {"prompts": {"x": 5}, "default_prompt_name": "x"}}, "2.2.2", False, id="prompt, before"
        ),
        pytest.param(
            {CONFIG: {"prompts": {"x": 5}, "default_prompt_name": "x"}}, "2.7.0", True, id="prompt, since"
        ),
    ],
)
def test_where_encoding_fails_the_pipeline_says_so(
    changed: Mapping[str, Any], version: str, *, fails: bool
) -> None:
    """What loads and cannot encode is told of, in the releases of which that was seen."""
    made = read(changed, version)

    assert bool(made.failure) is fails
    assert not fails or made.failure in made.notes


@pytest.mark.parametrize(
    ("changed", "version", "refused"),
    [
        pytest.param({CONFIG: {"prompts": None}}, "3.4.1", False, id="null, before"),
        pytest.param({CONFIG: {"prompts": None}}, "5.0.0", True, id="null, since"),
        pytest.param({CONFIG: {"prompts": 5}}, "2.7.0", True, id="a number"),
        pytest.param({CONFIG: {"prompts": {"query": 5}}}, "3.4.1", False, id="query a number, before"),
        pytest.param({CONFIG: {"prompts": {"query": 5}}}, "5.0.0", True, id="query a number, since"),
        pytest.param({CONFIG: {"prompts": {"query": None}}}, "5.3.0", True, id="query null, before"),
        pytest.param({CONFIG: {"prompts": {"query": None}}}, "5.4.0", False, id="query null, since"),
        pytest.param({CONFIG: {"default_prompt_name": ""}}, "2.7.0", True, id="no name"),
        pytest.param({SETTINGS: []}, "3.4.1", True, id="an empty array, before"),
        pytest.param({SETTINGS: []}, "5.0.0", False, id="an empty array, since"),
        pytest.param(NESTED, "5.4.0", False, id="nested"),
        pytest.param(FLAG_OF_TEXT, "5.3.0", True, id="flag of text, before"),
        pytest.param(FLAG_OF_TEXT, "5.4.0", False, id="flag of text, since"),
        pytest.param({"tokenizer_config.json": {"padding_side": "x"}}, "2.7.0", True, id="side"),
        pytest.param({"3_Normalize/config.json": []}, "5.7.0", False, id="Normalize, before"),
        pytest.param({"3_Normalize/config.json": []}, "6.0.0", True, id="Normalize, since"),
    ],
)
def test_what_is_refused_from_which_release_on(
    changed: Mapping[str, Any], version: str, tmp_path: Path, *, refused: bool
) -> None:
    """Settings end a load in the releases of which that was seen, and not in those before or after."""
    assert {load.outcome is Outcome.REFUSED for load in asked(changed, version, tmp_path).eras} == {refused}


@pytest.mark.parametrize(
    ("version", "outcome"),
    [("4.57.1", Outcome.UNKNOWN), ("5.23.0", Outcome.REFUSED)],
    ids=["before", "since"],
)
def test_a_number_for_true(version: str, outcome: Outcome, tmp_path: Path) -> None:
    """In transformers 5 no number may stand for true where a tokenizer is like BERT's; in 4 one might."""
    changed = {"tokenizer_config.json": {**BASE["tokenizer_config.json"], "do_lower_case": 1}}
    load = asked(changed, f"5.3.0 with transformers=={version}", tmp_path)

    assert load.outcome is outcome


def asked(changed: Mapping[str, Any], version: str, home: Path) -> LoadPrediction:
    """What a release does with a small repository that has weights."""
    build_repository("whole", home / "model")
    for path, document in changed.items():
        write(home / "model" / path, document)
    return predict_load(home / "model", f"sentence-transformers=={version}")


@pytest.mark.parametrize(
    ("asked", "left"), [(0, 0), (-1, 3), (-9, 0), (True, 1), (False, 0), (3, 3), (9, 4), (10**30, 4)], ids=str
)
def test_vectors_are_cut_as_python_slices(asked: int, left: int) -> None:
    """`truncate_dim` leaves of four components what a slice of python leaves."""
    assert len(range(4)[:asked]) == left
    assert read({CONFIG: {"truncate_dim": asked}}).dimension == left


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3))
def test_lengths_that_fail_have_no_tokens(value: Any) -> None:
    """A length either fails, or cuts at a positive number of tokens, or cuts nothing."""
    made = MaxLength(value)

    assert made.tokens is None or (made.tokens > 1 and made.tokens == value)
    assert not (made.fails and made.tokens is not None)
    assert made.fails or value is None or isinstance(value, int) or value > 1e20


@pytest.mark.parametrize(
    ("version", "activation"), [("5.4.0", "my.Activation"), ("5.4.1", "torch.nn.modules.activation.Tanh")]
)
def test_an_activation_that_is_not_trusted_is_tanh(version: str, activation: str) -> None:
    """From 5.4.1 on an activation that is not torch's is replaced."""
    (layer,) = read(FOREIGN, version).dense

    assert layer == DenseLayer(
        path="2_Dense", in_features=4, out_features=2, bias=True, activation=activation
    )


def test_other_modules_than_the_usual_change_the_width() -> None:
    """LSTM and CNN give tokens other vectors; WeightedLayerPooling does not."""
    pipeline = read(
        {
            MODULES: modules("Transformer", "1_WeightedLayerPooling", "2_LSTM", "3_CNN", "4_Pooling"),
            "1_WeightedLayerPooling/config.json": {"embedding_dimension": 4},
            "2_LSTM/lstm_config.json": {"embedding_dimension": 4, "hidden_dim": 5},
            "3_CNN/cnn_config.json": {
                "in_embedding_dimension": 10,
                "out_channels": 3,
                "kernel_sizes": (1, 3),
            },
            "4_Pooling/config.json": {"embedding_dimension": 6, "pooling_mode": ("mean", "max")},
        }
    )

    assert pipeline.pooling == (MEAN, PoolingMode.MAX)
    assert pipeline.dimension == 2 * 3 * 2
    assert pipeline.modules == ("Transformer", "WeightedLayerPooling", "LSTM", "CNN", "Pooling")


def test_words_instead_of_tokens() -> None:
    """WordEmbeddings is as wide as its table; BoW is as wide as its vocabulary and pools nothing."""
    table = make_checkpoint(
        [make_tensor("emb_layer.weight", (7, 3))], name="0_WordEmbeddings/model.safetensors"
    )
    words = repository(
        {
            MODULES: modules("0_WordEmbeddings", "1_WordWeights", "2_Pooling"),
            "0_WordEmbeddings/wordembedding_config.json": {"tokenizer_class": "x"},
            "1_WordWeights/config.json": {"vocab": ("a",), "word_weights": {}},
            "2_Pooling/config.json": {"embedding_dimension": 3},
        },
        checkpoints={table.name: attrs.evolve(table, format=CheckpointFormat.SAFETENSORS)},
    )
    counted = read({MODULES: modules("0_BoW"), "0_BoW/config.json": {"vocab": ("a", "b")}})

    assert (declared_pipeline(words).dimension, declared_pipeline(words).pooling) == (3, (MEAN,))
    assert (counted.dimension, counted.pooling) == (2, None)


def router(*routes: str) -> Mapping[str, Any]:
    """A Router in front, whose routes end in a Pooling of their own each."""
    types = {"t_Transformer": f"{FORMER}.Transformer", **dict.fromkeys(routes, f"{FORMER}.Pooling")}
    return {
        MODULES: modules("0_Router"),
        "0_Router/router_config.json": {
            "types": types,
            "structure": {each: ("t_Transformer", each) for each in routes},
            "parameters": {},
        },
        "0_Router/t_Transformer/config.json": BASE["config.json"],
        "0_Router/t_Transformer/tokenizer_config.json": BASE["tokenizer_config.json"],
        "0_Router/query/config.json": {"embedding_dimension": 4, "pooling_mode": "mean"},
        "0_Router/document/config.json": {"embedding_dimension": 4, "pooling_mode": "cls"},
    }


def test_routes_that_differ_leave_open_what_they_differ_in() -> None:
    """Of a Router what all routes do is known, and what only some do is not."""
    one, two = read(router("query")), read(router("query", "document"))

    assert (one.pooling, one.max_seq_length, one.dimension) == ((MEAN,), 512, 4)
    assert (two.pooling, two.max_seq_length, two.dimension) == (None, 512, 4)
    assert "differ" in two.notes[-1]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({POOLING: {"pooling_mode": "mean"}}, id="an argument is missing"),
        pytest.param({POOLING: ()}, id="an array where an object belongs"),
        pytest.param({MODULES: ({"type": "custom.Module", "path": "", "name": "0"},)}, id="other code"),
        pytest.param({MODULES: modules("0_CLIPModel")}, id="a module that is not followed"),
        pytest.param({MODULES: modules("0_StaticEmbedding")}, id="a table that is not there"),
        pytest.param({MODULES: modules("0_Router"), "0_Router/router_config.json": {}}, id="no routes"),
        pytest.param({MODULES: None, CONFIG: ()}, id="no modules"),
        pytest.param(
            {
                **router("query"),
                "0_Router/router_config.json": {
                    "types": {"t_Transformer": f"{FORMER}.Transformer"},
                    "structure": {"query": ("t_Transformer",) * 100_000},
                    "parameters": {},
                },
            },
            id="a route without end",
        ),
    ],
)
def test_what_cannot_be_told_is_not_known_and_says_why(changed: Mapping[str, Any]) -> None:
    """Malformed and foreign files never raise; the fields are None, or what is known all the same."""
    pipeline = read(changed)

    assert pipeline.notes or pipeline.pooling is not None
    if pipeline.pooling is None:
        assert (pipeline.normalize, pipeline.max_seq_length, pipeline.dimension) == (None, None, None)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("max_seq_length", "do_lower_case", "pooling_mode", "word_embedding_dimension", "embedding_dimension"),
    *("pooling_mode_cls_token", "include_prompt", "prompts", "default_prompt_name", "truncate_dim"),
    *("similarity_fn_name", "hidden_size", "max_position_embeddings", "model_max_length", "tokenizer_class"),
    *("architectures", "text_config", "model_type", "tokenizer_args", "padding_side", "path", "type", "name"),
)


@given(st.dictionaries(st.sampled_from(sorted(BASE)), st.dictionaries(st.sampled_from(KEYS), JUNK) | JUNK))
def test_hostile_settings_never_raise(changed: Mapping[str, Any]) -> None:
    """Whatever the documents hold, there is a pipeline in every era."""
    for version in ("2.0.0", "5.3.0", "6.2.0"):
        assert isinstance(read(changed, version), EmbeddingPipeline)


@given(st.dictionaries(st.sampled_from(sorted(BASE)), st.dictionaries(st.sampled_from(KEYS), JUNK) | JUNK))
def test_rules_take_hostile_settings(changed: Mapping[str, Any]) -> None:
    """Every rule about pipelines answers, whatever the documents hold and whatever loaders make of them."""
    files = repository(changed)
    table = make_checkpoint([make_tensor("embeddings.word_embeddings.weight", (10, 4))])
    asked = [ask_loader(files, parse_loader(loader)) for loader in ("vllm", "infinity[torch]", "llama.cpp")]
    facts = Facts(known=(Loads(predictions=tuple(asked)), files.snapshot, files.declaration, table))
    findings, skipped = ask_rules([rule for code, rule in RULES.items() if code.startswith("EMB3")], facts)

    assert all(finding.message.endswith(".") for finding in findings)
    assert skipped == ()


@pytest.mark.parametrize(
    ("settings", "config", "expected"),
    [
        pytest.param({"tokenizer_class": "BertTokenizerFast"}, {}, True, id="by default"),
        pytest.param({"tokenizer_class": "MPNetTokenizer", "do_lower_case": False}, {}, False, id="declared"),
        pytest.param({"do_lower_case": False}, {"model_type": "bert"}, False, id="class of the model type"),
        pytest.param({"tokenizer_class": "XLMRobertaTokenizer"}, {}, None, id="only tokenizer.json tells"),
    ],
)
def test_whether_a_tokenizer_lowercases(
    settings: Mapping[str, Any], config: Mapping[str, Any], *, expected: bool | None
) -> None:
    """The small files tell of tokenizers like BERT's, and of no other."""
    declaration = Declaration(documents={"tokenizer_config.json": settings, "config.json": config})

    assert declared_tokenizer(declaration).lowercase is expected


def test_reading_imports_neither_torch_nor_transformers() -> None:
    """Declarations are read and pipelines predicted without torch, transformers and numpy."""
    code = (
        "import sys; from embaudit.loaders import declared_pipeline;"
        "from embaudit.model.repository import Repository;"
        "from embaudit.model.declaration import Declaration;"
        "from embaudit.model.files import Snapshot;"
        "empty = Snapshot(source='folder', files={});"
        "declared_pipeline(Repository(snapshot=empty, declaration=Declaration()));"
        "print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"
