"""What embed_anything and candle are predicted to do, release by release, with small models."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit import LoadPrediction, predict_load
from embaudit.loaders.base import Loader
from embaudit.loaders.candle import CANDLE
from embaudit.loaders.embed_anything import EMBED_ANYTHING
from embaudit.model.prediction import Outcome
from embaudit.testing.repositories import flat, save_safetensors, save_torch
from embaudit.testing.tiny_models import TINY_CONFIGS, tiny_weights

BEFORE, AFTER = "embed_anything==0.4.12", "embed_anything==0.7.1"
BERT_FIELDS = {"hidden_dropout_prob": 0.1, "initializer_range": 0.02}
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "bert": {**BERT_FIELDS, "architectures": ["BertModel"]},
    "jina_bert_v2": {
        "initializer_range": 0.02,
        "position_embedding_type": "alibi",
        "feed_forward_type": "geglu",
        "architectures": ["JinaBertForMaskedLM"],
    },
    "modernbert": {
        "architectures": ["ModernBertForMaskedLM"],
        "global_attn_every_n_layers": 3,
        "global_rope_theta": 1e4,
        "local_rope_theta": 1e4,
        "local_attention": 128,
        "layer_norm_eps": 1e-5,
    },
    "qwen3": {
        "architectures": ["Qwen3ForCausalLM"],
        "max_window_layers": 2,
        "rope_theta": 1e4,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
    },
}
"""What the program wants in `config.json` beyond the small configurations."""

Weights = dict[str, Any]
Change = Callable[[Weights], Weights]


def same(weights: Weights) -> Weights:
    """The weights as they are."""
    return weights


def under(prefix: str) -> Change:
    """The weights under names with a prefix."""
    return lambda weights: {prefix + name: tensor for name, tensor in weights.items()}


def without(part: str) -> Change:
    """The weights whose names do not have this part."""
    return lambda weights: {name: tensor for name, tensor in weights.items() if part not in name}


def put(folder: Path, name: str = "bert", **fields: Any) -> Weights:
    """Write the small files of a repository; gives the weights that its configuration wants."""
    config = {**TINY_CONFIGS[name][0], **FIELDS[name], **fields}
    written = {field: value for field, value in config.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(written), encoding="utf-8")
    for small in ("tokenizer.json", "tokenizer_config.json"):
        (folder / small).write_text("{}", encoding="utf-8")
    return tiny_weights(name, {**TINY_CONFIGS[name][0], **FIELDS[name]})


@pytest.mark.parametrize("loader", [CANDLE, EMBED_ANYTHING], ids=lambda loader: loader.name)
def test_every_release_has_one_era(loader: Loader[Any]) -> None:
    """Each release lies in exactly one era, and no era is without a release or a source."""
    for release in loader.releases:
        assert sum(release in era.versions for era in loader.eras) == 1, release
    for era in loader.eras:
        assert any(release in era.versions for release in loader.releases)
        assert era.sources


FLAT = {
    "candle": {
        "==0.1.2": "refused",
        "==0.3.2": "refused",
        "==0.3.3": "corrupt",
        "==0.4.0": "corrupt",
        "==0.8.4": "corrupt",
        "==0.9.0": "faithful",
        "==0.11.1": "faithful",
        "": "corrupt",
        "<0.3.3": "refused",
        ">=0.9": "faithful",
    },
    "embed_anything": {
        "==0.3.0": "corrupt",
        "==0.4.12": "corrupt",
        "==0.6.0": "corrupt",
        "==0.6.2": "faithful",
        "==0.7.1": "faithful",
        "": "corrupt",
    },
}


@pytest.mark.parametrize(
    ("request_text", "outcome"),
    [(name + versions, outcome) for name, rows in FLAT.items() for versions, outcome in rows.items()],
)
def test_offsets_by_release(request_text: str, outcome: str, tmp_path: Path) -> None:
    """Views into one storage are refused, then misread silently, then read right; a range tells the worst."""
    save_torch(flat(put(tmp_path)), tmp_path / "pytorch_model.bin")
    prediction = predict_load(tmp_path, request_text)

    assert prediction.outcome == outcome
    assert prediction.silent is (outcome == "corrupt")
    assert bool(prediction.misread_keys) is (outcome == "corrupt")


def test_misread_keys_are_those_that_are_taken(tmp_path: Path) -> None:
    """Every tensor of the model but the first of the storage is misread, the pooler is not asked for."""
    weights = put(tmp_path)
    save_torch(flat(weights), tmp_path / "pytorch_model.bin")
    prediction = predict_load(tmp_path, BEFORE)

    needed = [name for name in weights if not name.startswith("pooler")]
    assert {key.name for key in prediction.misread_keys} == set(needed[1:])
    assert prediction.unexpected_keys == ("pooler.dense.bias", "pooler.dense.weight")
    assert prediction.harmless_keys == prediction.unexpected_keys


def test_safetensors_are_preferred(tmp_path: Path) -> None:
    """`model.safetensors` is opened and the `.bin` beside it is not, whatever is wrong with that one."""
    weights = put(tmp_path)
    save_torch(flat(weights), tmp_path / "pytorch_model.bin")
    save_safetensors(weights, tmp_path / "model.safetensors")
    prediction = predict_load(tmp_path, BEFORE)

    assert prediction.outcome is Outcome.FAITHFUL
    assert prediction.files == ("model.safetensors",)
    assert prediction.ignored_files == ("pytorch_model.bin",)
    assert prediction.dtype == "float32"
    assert not prediction.silent


def save_index(weights: Weights, folder: Path) -> None:
    """One shard and its index."""
    save_safetensors(weights, folder / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "model-00001-of-00001.safetensors")}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.mark.parametrize(("name", "outcome"), [("bert", "refused"), ("qwen3", "faithful")])
def test_shards_are_for_some_models(name: str, outcome: str, tmp_path: Path) -> None:
    """Qwen3 is read from shards, BERT from a single file only."""
    save_index(put(tmp_path, name), tmp_path)

    assert predict_load(tmp_path, AFTER).outcome == outcome


def test_qwen3_is_never_read_from_torch_files(tmp_path: Path) -> None:
    """For Qwen3 only safetensors are looked for."""
    save_torch(put(tmp_path, "qwen3"), tmp_path / "pytorch_model.bin")

    assert predict_load(tmp_path, AFTER).outcome is Outcome.REFUSED


MODELS = [
    pytest.param("bert", same, "faithful", (), id="bert"),
    pytest.param("bert", under("bert."), "faithful", (), id="bert, prefixed"),
    pytest.param("bert", under("model."), "refused", None, id="bert, another prefix"),
    pytest.param("jina_bert_v2", same, "faithful", (), id="jina"),
    pytest.param("jina_bert_v2", under("bert."), "refused", None, id="jina, prefixed"),
    pytest.param("modernbert", same, "faithful", (), id="modernbert"),
    pytest.param("modernbert", under("model."), "refused", None, id="modernbert, prefixed"),
    pytest.param(
        "modernbert",
        without("layers.1.attn_norm"),
        "incomplete",
        ("layers.1.attn_norm.weight",),
        id="modernbert without a norm",
    ),
    pytest.param(
        "modernbert",
        without("layers.1.mlp_norm"),
        "refused",
        ("layers.1.mlp_norm.weight",),
        id="another norm",
    ),
    pytest.param("qwen3", same, "faithful", (), id="qwen3"),
    pytest.param("qwen3", under("model."), "refused", None, id="qwen3, prefixed"),
]


@pytest.mark.parametrize("loader", ["embed_anything==0.6.6", AFTER])
@pytest.mark.parametrize(("name", "change", "outcome", "missing"), MODELS)
def test_each_model_has_its_names(
    name: str, change: Change, outcome: str, missing: tuple[str, ...] | None, loader: str, tmp_path: Path
) -> None:
    """The prefixes, and what a model does without, are as the wheels were seen to have them."""
    save_safetensors(change(put(tmp_path, name)), tmp_path / "model.safetensors")
    prediction = predict_load(tmp_path, loader)

    assert prediction.outcome == outcome
    assert prediction.silent is (outcome == "incomplete")
    if missing is not None:
        assert prediction.missing_keys == missing


def test_biases_of_modernbert_are_neglected(tmp_path: Path) -> None:
    """A ModernBERT with biases loads without them, which makes it another model, and nothing says so."""
    fields = {"norm_bias": True, "attention_bias": True, "mlp_bias": True}
    put(tmp_path, "modernbert", **fields)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    save_safetensors(tiny_weights("modernbert", config), tmp_path / "model.safetensors")
    prediction = predict_load(tmp_path, AFTER)

    assert prediction.outcome is Outcome.INCOMPLETE
    assert prediction.silent
    assert all(name.endswith(".bias") for name in prediction.unexpected_keys)


def test_models_come_with_versions(tmp_path: Path) -> None:
    """Of a model that a release does not have yet, embaudit does not say that it loads."""
    save_safetensors(put(tmp_path, "qwen3"), tmp_path / "model.safetensors")

    assert predict_load(tmp_path, BEFORE).outcome is Outcome.UNKNOWN
    assert predict_load(tmp_path, AFTER).outcome is Outcome.FAITHFUL


ARCHITECTURES = [
    (["BertModel"], "faithful"),
    (["BertForMaskedLM"], "unknown"),
    (["BertForSequenceClassification"], "refused"),
    (["RobertaModel"], "refused"),
    (["Foo", "BertModel"], "refused"),
    ([], "refused"),
    ("BertModel", "refused"),
    (..., "refused"),
    ([3], "refused"),
    (["x" * 10_000], "refused"),
]


@pytest.mark.parametrize(("architectures", "outcome"), ARCHITECTURES, ids=lambda each: repr(each)[:40])
def test_architectures_decide_from_0_7_on(architectures: object, outcome: str, tmp_path: Path) -> None:
    """The first of `architectures` names the model in 0.7; before that nobody looks at the field."""
    save_safetensors(put(tmp_path, architectures=architectures), tmp_path / "model.safetensors")
    prediction = predict_load(tmp_path, AFTER)

    assert prediction.outcome == outcome
    assert all(len(reason) < 500 for reason in prediction.reasons)
    assert predict_load(tmp_path, BEFORE).outcome is Outcome.FAITHFUL


SETTINGS = [
    ({"pad_token_id": ...}, "refused"),
    ({"hidden_dropout_prob": ...}, "refused"),
    ({"hidden_act": "gelu_new"}, "refused"),
    ({"position_embedding_type": "relative_key"}, "refused"),
    ({"use_cache": None}, "refused"),
    ({"classifier_dropout": None}, "faithful"),
    ({"model_type": "bert", "torch_dtype": "float16"}, "faithful"),
    ({"num_attention_heads": 0}, "refused"),
    ({"vocab_size": 41}, "refused"),
    ({"num_hidden_layers": 3}, "refused"),
    ({"num_hidden_layers": 1}, "faithful"),
]


@pytest.mark.parametrize("loader", [BEFORE, AFTER])
@pytest.mark.parametrize(("fields", "outcome"), SETTINGS, ids=repr)
def test_settings_that_are_refused(
    fields: Mapping[str, Any], outcome: str, loader: str, tmp_path: Path
) -> None:
    """Fields that serde demands, and sizes that the file does not have, end in an error."""
    save_safetensors(put(tmp_path, **fields), tmp_path / "model.safetensors")

    assert predict_load(tmp_path, loader).outcome == outcome


def test_layers_beyond_the_configuration_are_dropped_silently(tmp_path: Path) -> None:
    """Layers that the configuration does not have are never asked for, and nothing says so."""
    save_safetensors(put(tmp_path, num_hidden_layers=1), tmp_path / "model.safetensors")
    prediction = predict_load(tmp_path, AFTER)

    assert prediction.outcome is Outcome.FAITHFUL
    assert prediction.silent
    assert any(name.startswith("encoder.layer.1.") for name in prediction.unexpected_keys)


@pytest.mark.parametrize("absent", ["config.json", "tokenizer.json"])
def test_small_files_that_have_to_be_there(absent: str, tmp_path: Path) -> None:
    """Without its settings or its tokenizer a model is refused."""
    save_safetensors(put(tmp_path), tmp_path / "model.safetensors")
    (tmp_path / absent).unlink()

    assert predict_load(tmp_path, AFTER).outcome is Outcome.REFUSED


@pytest.mark.parametrize("loader", [BEFORE, AFTER, "candle==0.9.1"])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_that_cannot_be_read_is_never_faithful(name: str, loader: str, tmp_path: Path) -> None:
    """Where embaudit cannot read the header, it does not say what comes of it."""
    put(tmp_path)
    (tmp_path / name).write_bytes(b"no weights at all")
    prediction = predict_load(tmp_path, loader)

    assert prediction.outcome in {Outcome.UNKNOWN, Outcome.REFUSED}
    assert name in prediction.reasons[-1]


@pytest.mark.parametrize("loader", [BEFORE, "candle==0.8.4"])
def test_a_name_that_belies_the_container_is_refused(loader: str, tmp_path: Path) -> None:
    """The reader is chosen by the name, and does not take the other format."""
    save_torch(put(tmp_path), tmp_path / "model.safetensors")

    assert predict_load(tmp_path, loader).outcome is Outcome.REFUSED


def test_candle_opens_any_single_file(tmp_path: Path) -> None:
    """Of an unknown model candle is asked for every tensor, and a file of any name will do."""
    weights = {"a": torch.zeros(3), "b": torch.arange(8.0)[3:], "pooler.x": torch.zeros(2, dtype=torch.bool)}
    save_torch(weights, tmp_path / "weights.pt")
    prediction = predict_load(tmp_path, "candle==0.5.0")

    assert prediction.outcome is Outcome.CORRUPT
    assert prediction.files == ("weights.pt",)
    assert [key.name for key in prediction.misread_keys] == ["b"]
    assert prediction.harmless_keys == ("pooler.x",)


@pytest.mark.parametrize(
    ("odd", "outcome"),
    [
        pytest.param({"a": torch.zeros(2, dtype=torch.int32)}, "refused", id="skipped"),
        pytest.param({"a": torch.zeros(2, dtype=torch.uint16)}, "refused", id="dropped"),
        pytest.param({"a": torch.zeros(4, 4)[:, ::2]}, "refused", id="failing"),
        pytest.param({"state_dict": {"a": torch.zeros(2)}}, "refused", id="nested"),
        pytest.param({"lm_head.weight": torch.zeros(4, 4)[:, ::2]}, "faithful", id="failing and harmless"),
    ],
)
def test_candle_asked_for_everything(odd: Weights, outcome: str, tmp_path: Path) -> None:
    """What candle does not see or cannot read is an error, unless no embedding depends on it."""
    save_torch({"plain": torch.zeros(2), **odd}, tmp_path / "pytorch_model.bin")

    assert predict_load(tmp_path, "candle==0.9.1").outcome == outcome


def test_no_weights_at_all(tmp_path: Path) -> None:
    """A repository without weights is refused by both."""
    put(tmp_path)

    assert predict_load(tmp_path, "candle").outcome is Outcome.REFUSED
    assert predict_load(tmp_path, "embed_anything").outcome is Outcome.REFUSED


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KNOWN_FIELDS = sorted({field for name in FIELDS for field in (*TINY_CONFIGS[name][0], *FIELDS[name])})


@given(fields=st.dictionaries(st.sampled_from([*KNOWN_FIELDS, "auto_map"]), JSON, min_size=1, max_size=3))
@pytest.mark.parametrize("name", FIELDS)
def test_hostile_settings_never_raise(
    name: str, fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever stands in `config.json`, there is a prediction, with reasons unless it is faithful."""
    folder = tmp_path_factory.mktemp("hostile")
    save_safetensors(put(folder, name, **fields), folder / "model.safetensors")

    for loader in ("embed_anything", "candle"):
        prediction: LoadPrediction = predict_load(folder, loader)
        for each in prediction.eras:
            assert each.outcome is Outcome.FAITHFUL or each.reasons


@pytest.mark.parametrize("request_text", ["candle==0.11.1", "candle==0.8.4"])
def test_the_first_reason_is_the_refusal(request_text: str, tmp_path: Path) -> None:
    """Of candle too: why it is refused comes before which file was supposed."""
    weights = put(tmp_path)
    save_safetensors(without("query.weight")(weights), tmp_path / "model.safetensors")

    (load,) = predict_load(tmp_path, request_text).eras

    assert load.outcome is Outcome.REFUSED
    assert "cannot find tensor" in load.reasons[0]
    assert "leaves the choice" in load.reasons[-1]


@pytest.mark.parametrize("named", [..., [], [None], 7], ids=str)
def test_no_architecture(named: Any, tmp_path: Path) -> None:
    """Without a name in `architectures` nothing is loaded from 0.7 on, in words that say so."""
    save_safetensors(put(tmp_path, architectures=named), tmp_path / "model.safetensors")

    (load,) = predict_load(tmp_path, AFTER).eras

    assert load.outcome is Outcome.REFUSED
    assert "names no model" in load.reasons[0]


@pytest.mark.parametrize("request_text", [BEFORE, AFTER, "candle==0.11.1"])
def test_gamma_and_beta(request_text: str, tmp_path: Path) -> None:
    """Norms in TensorFlow's names are refused, as the real releases did."""
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in put(tmp_path).items()
    }
    save_safetensors(old, tmp_path / "model.safetensors")

    (load,) = predict_load(tmp_path, request_text).eras

    assert load.outcome is Outcome.REFUSED
    assert "LayerNorm.weight" in load.reasons[0]


@pytest.mark.parametrize("field", ["architectures", "model_type"])
@pytest.mark.parametrize("request_text", [BEFORE, AFTER, "candle==0.11.1"])
def test_reasons_are_short(request_text: str, field: str, tmp_path: Path) -> None:
    """However long a value of the configuration is, the reasons stay readable."""
    value: Any = "x" * 100_000
    changes: dict[str, Any] = {field: [value] if field == "architectures" else value}
    weights = put(tmp_path, "bert", **changes)
    save_safetensors(under("z.")(weights), tmp_path / "model.safetensors")

    for load in predict_load(tmp_path, request_text).eras:
        assert all(len(reason) < 500 for reason in load.reasons)


def test_many_tensors_that_are_left_out(tmp_path: Path) -> None:
    """Tensors that are skipped one by one are not told one by one."""
    weights = put(tmp_path)
    odd = {f"odd.{number}": torch.zeros(2, dtype=torch.int16) for number in range(50)}
    save_torch({**weights, **odd}, tmp_path / "pytorch_model.bin")

    (load,) = predict_load(tmp_path, AFTER).eras

    assert any("47 more" in reason for reason in load.reasons)
    assert len(load.reasons) < 10


@pytest.mark.parametrize("request_text", [AFTER, "candle==0.11.1"])
def test_a_link_that_leads_nowhere(request_text: str, tmp_path: Path) -> None:
    """Such a link is no file: the one beside it is opened."""
    save_torch(put(tmp_path), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").symlink_to("nowhere")

    prediction = predict_load(tmp_path, request_text)

    assert (prediction.outcome, prediction.files) == (Outcome.FAITHFUL, ("pytorch_model.bin",))


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_pointer(name: str, tmp_path: Path) -> None:
    """A Git LFS pointer in the place of a file is opened: what comes of it is not known."""
    weights = put(tmp_path)
    save_safetensors(weights, tmp_path / "model.safetensors")
    save_torch(weights, tmp_path / "pytorch_model.bin")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 123456\n"
    (tmp_path / name).write_text(pointer, encoding="utf-8")

    prediction = predict_load(tmp_path, AFTER)

    assert (prediction.outcome, prediction.files) == (Outcome.UNKNOWN, ("model.safetensors",))
