"""embed_anything: a program that stands on candle, and that predictions about candle are held against.

Knows which candle each release is built with, which model it makes of a repository, and which files it wants.
Predicted is `EmbeddingModel.from_pretrained_hf` with its default settings, for a model that makes one dense
vector of a text.

Source: the code at https://github.com/StarlightSearch/EmbedAnything, the candle that the compiled library of
each wheel on PyPI names, and what each wheel did with the files of the interop tests. Up to 0.6 the caller
names the model's class, and the one that fits is supposed here; from 0.7 on `architectures` decides.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import attrs

from embaudit.architectures.jina_bert_v2 import JINA_BERT_V2
from embaudit.architectures.modernbert import MODERNBERT
from embaudit.architectures.qwen3 import QWEN3
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.candle import BYTES_READER, CANDLE_BERT, FIXED_READER, NEWEST_READER
from embaudit.loaders.candle_files import open_first, predict_candle
from embaudit.loaders.candle_models import CandleLoad, CandleModel, load_candle_model
from embaudit.loaders.candle_reading import CandleReader
from embaudit.loaders.candle_words import cut
from embaudit.loaders.hidden_sizes import positions, width
from embaudit.loaders.listing import exists, is_unseen, weights_beside
from embaudit.loaders.serde import Field, Fields, Kind, Presence, first_problem, optional, required
from embaudit.model.dtypes import DType
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON, FrozenMapping, freeze_object
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

_REPOSITORY = "https://github.com/StarlightSearch/EmbedAnything"
_WHEELS = "https://pypi.org/project/embed-anything"
_CONFIG = "config.json"


@attrs.frozen(kw_only=True)
class EmbedAnythingEra(Era):
    """Releases that do alike.

    Attributes:
        reader: The readers of the candle that they are built with.
        classes: Names of the models that they have, of those that make dense vectors of texts.
        by_architectures: Whether `architectures` decides on the model; if not, the caller does.
        notes: What is to be said of its pooling, one sentence each.
    """

    reader: CandleReader
    classes: frozenset[str]
    by_architectures: bool = False
    notes: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class EmbedAnythingModel:
    """One model, as the program loads it.

    Attributes:
        architecture_names: The first of `architectures` in `config.json` that means it from 0.7 on.
        candle: Its tensors.
        fields: What `config.json` has to have.
        activations: The values that `hidden_act` may have.
        settings: Fields that its code takes for granted, whatever `config.json` says.
        files: Weight files, the first that exists is opened.
        companions: Other files that it does not start without.
        pooling: How the vectors of tokens become one; None if that is not known.
    """

    architecture_names: tuple[str, ...]
    candle: CandleModel
    fields: Fields
    activations: tuple[str, ...]
    settings: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    files: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")
    companions: tuple[str, ...] = (_CONFIG, "tokenizer.json")
    pooling: PoolingMode | None = None


_COUNTS = "vocab_size hidden_size num_hidden_layers num_attention_heads intermediate_size"

_BERT = EmbedAnythingModel(
    architecture_names=("BertModel",),
    candle=CANDLE_BERT,
    fields=(
        *required(Kind.COUNT, f"{_COUNTS} max_position_embeddings type_vocab_size pad_token_id"),
        *required(Kind.ACTIVATION, "hidden_act"),
        *required(Kind.NUMBER, "hidden_dropout_prob initializer_range layer_norm_eps"),
        Field("position_embedding_type", Kind.TEXT, Presence.DEFAULTED, only=("absolute",)),
        Field("use_cache", Kind.TRUTH, Presence.DEFAULTED),
        *optional(Kind.NUMBER, "classifier_dropout"),
        *optional(Kind.TEXT, "model_type"),
    ),
    activations=("gelu", "geluapproximate", "relu"),
    pooling=PoolingMode.MEAN,
)
_JINA = EmbedAnythingModel(
    architecture_names=("JinaBertForMaskedLM",),
    candle=CandleModel(
        name="jina",
        architecture=JINA_BERT_V2,
        source=f"{_REPOSITORY}/blob/cd93872f2a01b821b8c3595bdb92c1d5fcf26232/rust/src/models/jina_bert.rs",
    ),
    fields=(
        *required(Kind.COUNT, f"{_COUNTS} max_position_embeddings type_vocab_size pad_token_id"),
        *required(Kind.NUMBER, "initializer_range layer_norm_eps"),
        Field("position_embedding_type", Kind.TEXT, only=("alibi",)),
    ),
    activations=(),
    # It has gated layers only, and never looks at this field.
    settings={"feed_forward_type": "geglu"},
    companions=(_CONFIG, "tokenizer.json", "tokenizer_config.json"),
)
_MODERNBERT = EmbedAnythingModel(
    architecture_names=("ModernBertForMaskedLM",),
    candle=CandleModel(
        name="modernbert",
        architecture=MODERNBERT,
        never_read=(r"\.bias$",),
        optional=(r"\.attn_norm\.weight$",),
        source=f"{_REPOSITORY}/blob/a881fcaab05637f49a0ac4e023acbf60de8fd11f/rust/src/models/modernbert.rs",
    ),
    fields=(
        *required(Kind.COUNT, f"{_COUNTS} max_position_embeddings pad_token_id local_attention"),
        *required(Kind.COUNT, "global_attn_every_n_layers"),
        *required(Kind.NUMBER, "layer_norm_eps global_rope_theta local_rope_theta"),
    ),
    activations=(),
)
_QWEN3 = EmbedAnythingModel(
    architecture_names=("Qwen3ForCausalLM",),
    candle=CandleModel(
        name="qwen3",
        architecture=QWEN3,
        source=f"{_REPOSITORY}/blob/084df1b130e72592fe635604a33374014673c872/rust/src/models/qwen3.rs",
    ),
    fields=(
        *required(Kind.COUNT, f"{_COUNTS} num_key_value_heads head_dim max_position_embeddings"),
        *required(Kind.COUNT, "max_window_layers"),
        *required(Kind.NUMBER, "rope_theta rms_norm_eps"),
        *required(Kind.TRUTH, "attention_bias tie_word_embeddings"),
        Field("use_sliding_window", Kind.TRUTH, only=(False,)),
        *optional(Kind.COUNT, "sliding_window"),
    ),
    activations=(),
    files=("model.safetensors", "model.safetensors.index.json"),
)
_MODELS: Mapping[str, EmbedAnythingModel] = {
    "bert": _BERT,
    "jina": _JINA,
    "modernbert": _MODERNBERT,
    "qwen3": _QWEN3,
}

_OTHER_KINDS = (
    "BertForMaskedLM",
    "CLIPModel",
    "ColPaliForRetrieval",
    "Dinov2Model",
    "Gemma3TextModel",
    "Idefics3ForConditionalGeneration",
    "SiglipModel",
    "StaticModel",
)
"""Names in `architectures` that mean models of which embaudit predicts nothing: of sparse vectors, of images,
of vectors for words alone."""


def _predict(repository: Repository, setting: Setting[EmbedAnythingEra]) -> Iterator[PredictedLoad]:
    era, config = setting.era, repository.declaration.config
    end = partial(_without_model, repository, era)
    absent = [path for path in (_CONFIG, "tokenizer.json") if not exists(repository.snapshot, path)]
    if absent:
        yield end(Outcome.REFUSED, f"The repository has no `{absent[0]}`.")
        return
    bad = next((bad for bad in repository.declaration.bad if bad.path == _CONFIG), None)
    if bad is not None and not bad.usable:
        yield end(Outcome.REFUSED, f"`{_CONFIG}` cannot be read: {bad.problem}.")
        return
    name = _named(config, era.classes) if era.by_architectures else _supposed(config)
    if name in _MODELS and name in era.classes:
        yield _predict_model(repository, _MODELS[name], era)
    elif not era.by_architectures or name in _OTHER_KINDS:
        what = f"`{name}`" if name else "a configuration that names no model"
        yield end(Outcome.UNKNOWN, f"embaudit does not know what it makes of {what}.")
    elif name:
        yield end(Outcome.REFUSED, f"`architectures` means `{name}`, and it has no such model.")
    else:
        yield end(
            Outcome.REFUSED, f"`architectures` of `{_CONFIG}` names no model, and nothing else is asked."
        )


def _named(config: Mapping[str, JSON], classes: Iterable[str]) -> str:
    """The model that the first of `architectures` means, or else that name."""
    first = _first_architecture(config)
    known = (name for name in classes if first in _MODELS[name].architecture_names)
    return next(known, first)


def _supposed(config: Mapping[str, JSON]) -> str:
    """The model that a caller would name for what `config.json` declares, or else the declared type."""
    model_type, auto_map = config.get("model_type"), config.get("auto_map")
    codes = auto_map.values() if isinstance(auto_map, Mapping) else ()
    if any(isinstance(code, str) and "jina-bert" in code for code in codes):
        return "jina"
    if isinstance(model_type, str) and model_type in _MODELS:
        return model_type
    named = _named(config, _MODELS)
    return named if model_type is None or named in _MODELS else _shown(model_type)


def _first_architecture(config: Mapping[str, JSON]) -> str:
    names = config.get("architectures")
    first = names[0] if isinstance(names, tuple) and names else None
    return _shown(first)


def _shown(name: JSON) -> str:
    """A name out of a configuration, as a reason may quote it; empty if it is none."""
    return cut(name) if isinstance(name, str) else ""


def _predict_model(repository: Repository, model: EmbedAnythingModel, era: EmbedAnythingEra) -> PredictedLoad:
    config = FrozenMapping({**repository.declaration.config, **model.settings})
    opened = open_first(repository, model.files, era.reader)
    load = load_candle_model(model.candle, config, opened.read, DType.FLOAT32)
    lacking = [path for path in model.companions if not exists(repository.snapshot, path)]
    problem = first_problem(config, model.fields, model.activations)
    refusals = [f"The repository has no `{path}`." for path in lacking]
    refusals += [f"`{_CONFIG}` is refused: {problem}."] if problem else []
    if opened.doubt:
        load = CandleLoad(doubts=(opened.doubt,))
    load = attrs.evolve(
        load,
        refusals=(*refusals, *load.refusals),
        doubts=(*load.doubts, *_leniencies(repository)),
    )
    prediction = predict_candle(repository, opened, load, sources=(*era.sources, model.candle.source))
    is_refused = prediction.outcome is Outcome.REFUSED
    return attrs.evolve(prediction, pipeline=None if is_refused else _pipeline(repository, model, era))


def _pipeline(repository: Repository, model: EmbedAnythingModel, era: EmbedAnythingEra) -> EmbeddingPipeline:
    """What comes of a text, whatever the settings beside `config.json` and `tokenizer.json` say.

    `tokenizer.json` alone decides whether texts are lowercased, and is not read.

    Seen with 0.4.12 and 0.7.1 of a BERT, in `tests/interop/test_embed_anything_pipelines.py`.
    """
    config = repository.declaration.config
    is_seen = model.pooling is not None
    return EmbeddingPipeline(
        pooling=None if model.pooling is None else (model.pooling,),
        normalize=True if is_seen else None,
        max_seq_length=positions(config) if is_seen else None,
        truncates=True if is_seen else None,
        lowercase=None,
        dimension=width(config),
        notes=era.notes if is_seen else ("How it pools models of this kind is not known to embaudit.",),
    )


def _leniencies(repository: Repository) -> Iterator[str]:
    """What a strict reader of the small files may stumble over."""
    for bad in repository.declaration.bad:
        if bad.path == _CONFIG and bad.usable:
            yield f"Whether serde takes `{_CONFIG}` is not known: it {bad.problem}."
    if is_unseen(repository.snapshot, "tokenizer.json"):
        yield "What is in `tokenizer.json` is not at hand, so that what comes of it is not known."


def _without_model(
    repository: Repository, era: EmbedAnythingEra, outcome: Outcome, reason: str
) -> PredictedLoad:
    """No weight file is opened, or none of which embaudit knows what comes of it."""
    return PredictedLoad(
        loader="",
        outcome=outcome,
        ignored_files=weights_beside(repository.snapshot) if outcome is Outcome.REFUSED else (),
        reasons=(reason,),
        sources=era.sources,
    )


_OLDEST = frozenset({"bert", "jina"})
_MODERN = _OLDEST | {"modernbert"}
_NEWEST = _MODERN | {"qwen3"}

EMBED_ANYTHING = Loader(
    name="embed_anything",
    aliases=("embed-anything", "embedanything"),
    releases=(
        *("0.3.0", "0.3.1", "0.4.3", "0.4.4", "0.4.10", "0.4.11", "0.4.12", "0.4.13", "0.4.14", "0.4.15"),
        *("0.4.17", "0.4.18", "0.5.0", "0.5.2", "0.5.3", "0.5.5", "0.5.6", "0.6.0", "0.6.2", "0.6.3"),
        *("0.6.4", "0.6.6", "0.7.0", "0.7.1"),
    ),
    eras=(
        # candle at git revisions from July 2024 (bec57df) to December 2024.
        EmbedAnythingEra(
            versions=">=0.3.0,<0.5.3",
            reader=BYTES_READER,
            classes=_OLDEST,
            notes=("Seen with 0.4.12: in a batch, the padding of the shorter texts is averaged too.",),
            sources=(f"{_WHEELS}/0.4.12/",),
        ),
        # candle 27996a1, then 0.8.3 and 0.8.4.
        EmbedAnythingEra(
            versions=">=0.5.3,<0.6.2",
            reader=BYTES_READER,
            classes=_MODERN,
            sources=(f"{_WHEELS}/0.6.0/",),
        ),
        # candle 0.9.1.
        EmbedAnythingEra(
            versions=">=0.6.2,<0.7.0",
            reader=FIXED_READER,
            classes=_NEWEST,
            sources=(f"{_WHEELS}/0.6.6/",),
        ),
        EmbedAnythingEra(
            versions=">=0.7.0,<0.7.1",
            reader=FIXED_READER,
            classes=_NEWEST,
            by_architectures=True,
            sources=(f"{_WHEELS}/0.7.0/",),
        ),
        # candle 0.11.0.
        EmbedAnythingEra(
            versions=">=0.7.1",
            reader=NEWEST_READER,
            classes=_NEWEST,
            by_architectures=True,
            sources=(f"{_WHEELS}/0.7.1/",),
        ),
    ),
    predict=_predict,
)
"""The program."""
