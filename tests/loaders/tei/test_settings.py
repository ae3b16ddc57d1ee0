"""The settings that keep text-embeddings-inference from starting."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.loaders.base import Setting
from embaudit.loaders.tei import TEI
from embaudit.loaders.tei.models import BACKENDS, CPU, CUDA
from embaudit.model.declaration import BadDocument, Declaration
from embaudit.model.prediction import Outcome
from embaudit.model.repository import Repository
from embaudit.testing.facts import make_checkpoint, make_snapshot

SAFE = "model.safetensors"
POOLING = "1_Pooling/config.json"
MODES = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
FOUR = {**MODES, "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}
LAST = {**FOUR, "pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}
NONE = {**FOUR, "pooling_mode_cls_token": False, "pooling_mode_max_tokens": True}


@pytest.mark.parametrize(
    ("version", "field", "value", "problem"),
    [
        ("1.9.3", "hidden_dropout_prob", ..., "lacks `hidden_dropout_prob`"),
        ("1.9.3", "initializer_range", ..., "lacks `initializer_range`"),
        ("1.9.3", "pad_token_id", ..., "lacks `pad_token_id`"),
        ("1.9.3", "max_position_embeddings", ..., "lacks `max_position_embeddings`"),
        ("1.9.3", "architectures", ..., "lacks `architectures`"),
        ("1.9.3", "architectures", "BertModel", "not a list of texts"),
        ("1.9.3", "model_type", "albert", "none that this version's candle backend has"),
        ("1.6.1", "model_type", "modernbert", "none that this version's candle backend has"),
        ("1.9.3", "num_hidden_layers", "2", "not a whole number"),
        ("1.9.3", "num_hidden_layers", 2.0, "not a whole number"),
        ("1.9.3", "num_hidden_layers", True, "not a whole number"),
        ("1.9.3", "num_hidden_layers", -1, "not a whole number"),
        ("1.9.3", "num_hidden_layers", 10**30, "not a whole number"),
        ("1.9.3", "num_hidden_layers", 10**18, "the file has fewer tensors"),
        ("1.9.3", "num_hidden_layers", None, "not a whole number"),
        ("1.9.3", "layer_norm_eps", "1e-12", "not a number"),
        ("1.9.3", "id2label", {"0": 1}, "not an object of texts"),
        ("1.9.3", "label2id", {"a": "b"}, "not an object of whole numbers"),
        ("1.9.3", "hidden_act", "quick_gelu", "which it does not know"),
        ("1.8.0", "hidden_act", "gelu_new", "which it does not know"),
        ("1.2.0", "hidden_act", "silu", "which it does not know"),
        ("1.9.3", "position_embedding_type", "relative_key", "not supported"),
        ("1.9.3", "position_embedding_type", "alibi", "not supported"),
        ("1.9.3", "architectures", ["BertForSequenceClassification"], "classifier"),
        ("1.9.3", "n_positions", 20, "has both `max_position_embeddings` and `n_positions`"),
        ("1.8.3", "pad_token_id", None, "is null and not a whole number"),
    ],
)
def test_faults_of_the_configuration(tei: Any, version: str, field: str, value: Any, problem: str) -> None:
    """The server starts with no configuration that its structures cannot hold, and the reason says why."""
    config, shapes = tei.bert()
    changed = {name: each for name, each in {**config, field: value}.items() if each is not ...}

    load = tei.load(tei.repository(changed, tei.file(SAFE, shapes)), version)

    assert load.outcome is Outcome.REFUSED
    assert problem in load.reasons[0]
    assert not load.silent


@pytest.mark.parametrize(
    ("version", "field", "value"),
    [
        ("1.9.3", "hidden_act", "gelu_new"),
        ("1.9.3", "use_cache", ...),
        ("1.9.3", "id2label", None),
        ("1.9.3", "unheard_of", [{"of": None}]),
        ("0.3.0", "architectures", ["BertForSequenceClassification"]),
        ("0.3.0", "architectures", ...),
    ],
)
def test_what_is_no_fault(tei: Any, version: str, field: str, value: Any) -> None:
    """Fields that may be missing, may be null, or that nobody asks for keep no server from starting."""
    config, shapes = tei.bert()
    changed = {name: each for name, each in {**config, field: value}.items() if each is not ...}

    assert tei.load(tei.repository(changed, tei.file(SAFE, shapes)), version).outcome is Outcome.FAITHFUL


@pytest.mark.parametrize(
    ("name", "changes", "outcome"),
    [
        ("new", {"rope_scaling": {"type": "yarn", "factor": 2.0}}, Outcome.REFUSED),
        ("new", {"rope_scaling": {"type": "ntk", "factor": 2.0}}, Outcome.FAITHFUL),
        ("new", {"logn_attention_scale": True}, Outcome.REFUSED),
        ("new", {"position_embedding_type": "absolute"}, Outcome.REFUSED),
        ("nomic_bert_remote", {"prenorm": True}, Outcome.REFUSED),
        ("nomic_bert_remote", {"rotary_emb_fraction": 0.5}, Outcome.REFUSED),
        ("modernbert", {"global_rope_theta": ...}, Outcome.REFUSED),
        ("mistral", {"rope_theta": ...}, Outcome.REFUSED),
        ("qwen2", {"use_sliding_window": True}, Outcome.REFUSED),
    ],
)
def test_faults_for_one_model(tei: Any, name: str, changes: Any, outcome: Outcome) -> None:
    """What one model cannot do keeps the server from starting with it."""
    model = tei.model(name, "1.8.3")
    config = tei.config(model)
    changed = {field: value for field, value in {**config, **changes}.items() if value is not ...}

    load = tei.load(tei.repository(changed, tei.file(SAFE, tei.shapes(model, config))), "1.8.3")

    assert load.outcome is outcome


@pytest.mark.parametrize(
    ("version", "backend", "pooling", "problem"),
    [
        ("1.9.3", CUDA, {"pooling_mode": "mean"}, "lacks `pooling_mode_cls_token`"),
        ("1.2.0", CUDA, MODES, "lacks `pooling_mode_max_tokens`"),
        ("1.9.3", CUDA, NONE, "no mode that it supports"),
        ("1.9.3", CPU, LAST, "last_token"),
        ("1.2.0", CUDA, LAST, "no mode that it supports"),
        ("1.5.0", CUDA, None, "There is no"),
        ("1.9.3", CUDA, [], "holds no object"),
    ],
)
def test_pooling_files(tei: Any, version: str, backend: str, pooling: Any, problem: str) -> None:
    """Without `--pooling` the server does not start with such a file; with it, it does."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes), others={POOLING: pooling})

    refused, given = tei.loads(repository, version, backend)

    assert (refused.outcome, given.outcome) == (Outcome.REFUSED, Outcome.FAITHFUL)
    assert problem in refused.reasons[0]
    assert "--pooling" in given.reasons[-1]


@pytest.mark.parametrize(
    ("version", "backend", "pooling"),
    [("1.9.3", CPU, MODES), ("1.2.0", CPU, FOUR), ("1.9.3", CUDA, LAST), ("1.5.1", CUDA, None)],
)
def test_pooling_files_that_will_do(tei: Any, version: str, backend: str, pooling: Any) -> None:
    """The modes that a version asks for are enough, and from 1.5.1 on a BERT needs no file."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes), others={POOLING: pooling})

    assert tei.load(repository, version, backend).outcome is Outcome.FAITHFUL


def test_no_pooling_file_for_others(tei: Any) -> None:
    """A model whose type has no `bert` in it needs the pooling file in every version."""
    model = tei.model("mpnet")
    config = tei.config(model)
    weights = tei.file(SAFE, tei.shapes(model, config))

    first, _ = tei.loads(tei.repository(config, weights, others={POOLING: None}))

    assert first.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("version", "path", "document", "outcome"),
    [
        ("1.9.3", "sentence_bert_config.json", {"do_lower_case": False}, Outcome.REFUSED),
        ("1.9.3", "sentence_xlnet_config.json", {"max_seq_length": None}, Outcome.REFUSED),
        ("0.2.0", "sentence_bert_config.json", {}, Outcome.FAITHFUL),
        ("1.9.3", "config_sentence_transformers.json", {"prompts": {"query": None}}, Outcome.REFUSED),
        ("1.9.3", "config_sentence_transformers.json", {"prompts": None}, Outcome.FAITHFUL),
        ("1.2.0", "config_sentence_transformers.json", {"prompts": {"query": None}}, Outcome.FAITHFUL),
    ],
)
def test_other_files(tei: Any, version: str, path: str, document: Any, outcome: Outcome) -> None:
    """The files of lengths and prompts are read from some version on, and have to be right from then on."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes), others={path: document})

    assert tei.load(repository, version).outcome is outcome


def test_a_tokenizer_of_another_kind(tei: Any) -> None:
    """A repository with a vocabulary and no `tokenizer.json` is refused; one without any is told so."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes))
    rest = [path for path in repository.snapshot.files if path != "tokenizer.json"]
    slow = attrs.evolve(repository, snapshot=make_snapshot([*rest, "vocab.txt"]))
    bare = attrs.evolve(repository, snapshot=make_snapshot(rest))

    assert tei.load(slow).outcome is Outcome.REFUSED
    assert tei.load(bare).outcome is Outcome.FAITHFUL
    assert "tokenizer" in tei.load(bare).reasons[0]


@pytest.mark.parametrize(
    ("usable", "outcome"), [(False, Outcome.REFUSED), (True, Outcome.UNKNOWN)], ids=["not JSON", "lenient"]
)
def test_bad_documents(tei: Any, usable: bool, outcome: Outcome) -> None:
    """A configuration that is not JSON is refused; of one that only lenient readers take, nobody knows."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes))
    bad = BadDocument(path="config.json", problem="it repeats `vocab_size`", usable=usable)
    declaration = attrs.evolve(repository.declaration, bad=(bad,))

    load = tei.load(attrs.evolve(repository, declaration=declaration))

    assert load.outcome is outcome
    assert "repeats" in " ".join(load.reasons)


def test_a_file_that_was_not_read(tei: Any) -> None:
    """A settings file that is there and of which nothing is known is not taken to be right."""
    config, shapes = tei.bert()
    repository = tei.repository(config, tei.file(SAFE, shapes), files=("sentence_bert_config.json",))

    assert "was not read" in tei.load(repository).reasons[0]


def test_gte_that_says_it_classifies_tokens(tei: Any) -> None:
    """A GTE that names an architecture for classification and has no labels is taken as it is meant."""
    model = tei.model("new", "1.6.1")
    config = {**tei.config(model), "architectures": ["NewModel", "NewForTokenClassification"]}
    repository = tei.repository(config, tei.file(SAFE, tei.shapes(model, config)))

    assert tei.load(repository, "1.6.0").outcome is Outcome.REFUSED
    assert tei.load(repository, "1.6.1").outcome is Outcome.FAITHFUL


@pytest.mark.parametrize(
    ("name", "lacking"),
    [("deberta-v2", "pooler_hidden_act"), ("mistral", "rope_theta"), ("qwen3", "rope_theta")],
)
def test_what_is_not_known(tei: Any, name: str, lacking: str) -> None:
    """A configuration of which nobody knows how it is read is not called faithful."""
    model = tei.model(name)
    config = {field: value for field, value in tei.config(model).items() if field != lacking}

    load = tei.load(tei.repository(config, tei.file(SAFE, tei.shapes(model, config))))

    assert load.outcome is Outcome.UNKNOWN
    assert lacking in load.reasons[0]


def test_a_null_that_is_not_known(tei: Any) -> None:
    """Nobody knows whether the router of 1.9 takes null for `pad_token_id`; that of 1.8 does not."""
    model = tei.model("mistral")
    config = {**tei.config(model), "pad_token_id": None}
    repository = tei.repository(config, tei.file(SAFE, tei.shapes(model, config)))

    assert tei.load(repository, "1.9.3").outcome is Outcome.UNKNOWN
    assert tei.load(repository, "1.8.3").outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("scaling", "outcome"),
    [
        ({"rope_type": "yarn", "factor": 2}, Outcome.FAITHFUL),
        ({"rope_type": "yarn"}, Outcome.REFUSED),
        ([], Outcome.REFUSED),
    ],
)
def test_scaling_of_any_type(tei: Any, scaling: Any, outcome: Outcome) -> None:
    """From 1.9 on a scaling is told by its fields, and its type does not matter."""
    model = tei.model("new")
    config = {**tei.config(model), "rope_scaling": scaling}

    assert tei.load(tei.repository(config, tei.file(SAFE, tei.shapes(model, config)))).outcome is outcome


@pytest.mark.parametrize("parameters", [[], {"rope_theta": 1e4}])
def test_rope_parameters_that_are_refused(tei: Any, parameters: Any) -> None:
    """`rope_parameters` have a theta and a type, or the server does not start."""
    model = tei.model("new")
    config = {**tei.config(model), "rope_parameters": parameters}

    load = tei.load(tei.repository(config, tei.file(SAFE, tei.shapes(model, config))))

    assert load.outcome is Outcome.REFUSED


@pytest.mark.parametrize("where", ["rope_theta", "rope_parameters", ""])
def test_where_gte_has_its_theta(tei: Any, where: str) -> None:
    """Since 1.9.2 GTE finds its theta in either place; without any it does not start."""
    model = tei.model("new")
    plain = {field: value for field, value in tei.config(model).items() if field != "rope_theta"}
    thetas = {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "": None}
    config = {**plain, where: thetas[where]}
    repository = tei.repository(config, tei.file(SAFE, tei.shapes(model, config)))

    assert tei.load(repository).outcome is (Outcome.FAITHFUL if where else Outcome.REFUSED)
    assert tei.load(repository, "1.9.1").outcome is (
        Outcome.FAITHFUL if where == "rope_theta" else Outcome.REFUSED
    )


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from([10**30, -1, 2**64, 2**63]),
        st.floats(allow_nan=False),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted({field.name for era in TEI.eras for model in era.models for field in model.fields})
TYPES = sorted({name for era in TEI.eras for model in era.models for name in model.model_types})


@given(
    config=st.dictionaries(
        st.sampled_from([*FIELDS, "architectures", "auto_map", "label2id", "model_type"]), JSON, max_size=4
    ),
    plain=st.sampled_from(TYPES),
    others=st.dictionaries(
        st.sampled_from([POOLING, "modules.json", "sentence_bert_config.json", "2_Dense/config.json"]),
        JSON,
        max_size=2,
    ),
    number=st.sampled_from(range(len(TEI.eras))),
    backend=st.sampled_from(BACKENDS),
)
def test_no_settings_are_an_exception(
    tei: Any, config: Any, plain: str, others: Any, number: int, backend: str
) -> None:
    """Whatever the settings hold, on top of a good configuration or alone, there is a prediction."""
    era = TEI.eras[number]
    known = next((model for model in era.models if plain in model.model_types), None)
    changed = {**tei.config(known), **config} if known is not None else config
    documents = {"config.json": changed, **others}
    repository = Repository(
        snapshot=make_snapshot([*documents, SAFE, "tokenizer.json", "2_Dense/model.safetensors"]),
        declaration=Declaration(documents=documents),
        checkpoints={SAFE: make_checkpoint(name=SAFE)},
    )

    loads = list(TEI.predict(repository, Setting(era=era, backend=backend)))

    assert loads
    assert all(load.reasons or load.outcome is Outcome.FAITHFUL for load in loads)


def test_the_first_reason_is_the_one_that_no_option_removes(tei: Any) -> None:
    """Mistral on a processor is refused for that; that `--pooling` is missing too comes after it."""
    model = tei.model("mistral")
    config = tei.config(model)
    repository = tei.repository(
        config,
        tei.file("model.safetensors", tei.shapes(model, config)),
        others={"1_Pooling/config.json": {**NO_MODE, "pooling_mode_lasttoken": True}},
    )

    load = tei.load(repository, backend="cpu")

    assert "`'mistral'` is only supported on CUDA" in load.reasons[0]
    assert "`'mistral'` does not have here" in load.reasons[1]


NO_MODE = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False}


def test_models_are_called_what_the_configuration_calls_them(tei: Any) -> None:
    """A refused configuration is told by its `model_type`, not by a name of embaudit's."""
    model = tei.model("nomic_bert_remote")
    config = {**tei.config(model), "prenorm": True}

    load = tei.load(tei.repository(config, tei.file("model.safetensors", {})))

    assert load.outcome is Outcome.REFUSED
    assert "`'nomic_bert'`: its `prenorm`" in load.reasons[0]


@pytest.mark.parametrize("value", [10**5000, [10**5000], {"a": [-(10**5000)]}, ["x" * 100_000]], ids=range(4))
def test_values_without_end(tei: Any, value: Any) -> None:
    """A value that nobody would print is refused in few words."""
    config, shapes = tei.bert(layer_norm_eps=value)

    load = tei.load(tei.repository({**config, "pad_token_id": value}, tei.file("model.safetensors", shapes)))

    assert load.outcome is Outcome.REFUSED
    assert len(load.reasons[0]) < 300
