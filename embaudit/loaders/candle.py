"""candle, the crate: what its readers make of a weight file, release by release.

A library has no model of its own to load. So the question is what somebody gets who opens the repository's
weights with `VarBuilder::from_mmaped_safetensors` or `VarBuilder::from_pth` and asks for every tensor: for
those of the model that candle-transformers has for it, or, where it has none, for all that are stored.

Source: candle-core/src/pickle.rs and candle-core/src/safetensors.rs at the commits that the eras name. The
releases and their dates are those of https://docs.rs/crate/candle-core; what a release holds is told by them.
Releases before 0.1.2 have no reader of torch files, which https://github.com/huggingface/candle/pull/511
brought, and are left out.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.architectures.bert import BERT
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.candle_files import OpenedFile, open_first, predict_candle
from embaudit.loaders.candle_models import Attempt, CandleLoad, CandleModel, Part, load_candle_model
from embaudit.loaders.candle_reading import CandleRead, CandleReader, Offsets
from embaudit.loaders.candle_words import cut
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.plain_pipelines import token_vectors
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.model.weights import WEIGHTS_IN_ORDER

_CANDLE = "https://github.com/huggingface/candle"


@attrs.frozen(kw_only=True)
class CandleEra(Era):
    """Releases whose readers are alike.

    Attributes:
        reader: The readers.
    """

    reader: CandleReader


_FIRST = CandleReader(
    offsets=Offsets.REFUSED,
    parameters=False,
    subclasses=False,
    column_order=False,
    any_stride_of_one=False,
    long_integers=False,
    int64_storages=False,
    newer_safetensors=False,
)
_WITH_INT64 = attrs.evolve(_FIRST, int64_storages=True)
_WITH_OFFSETS = attrs.evolve(_WITH_INT64, offsets=Offsets.BYTES)
_WITH_COLUMNS = attrs.evolve(_WITH_OFFSETS, parameters=True, subclasses=True, column_order=True)
BYTES_READER = attrs.evolve(_WITH_COLUMNS, any_stride_of_one=True)
"""The readers of 0.5.0 to 0.8.4, which skip offsets in bytes."""
FIXED_READER = attrs.evolve(BYTES_READER, offsets=Offsets.ELEMENTS, long_integers=True)
"""The readers of 0.9.0 and 0.9.1."""
NEWEST_READER = attrs.evolve(FIXED_READER, newer_safetensors=True)
"""The readers of 0.9.2 and later."""

_ERAS = (
    CandleEra(versions=">=0.1.2,<0.3.1", reader=_FIRST, sources=(f"{_CANDLE}/commit/643114025",)),
    CandleEra(versions=">=0.3.1,<0.3.3", reader=_WITH_INT64, sources=(f"{_CANDLE}/pull/1152",)),
    CandleEra(versions=">=0.3.3,<0.4.0", reader=_WITH_OFFSETS, sources=(f"{_CANDLE}/pull/1546",)),
    CandleEra(
        versions=">=0.4.0,<0.5.0",
        reader=_WITH_COLUMNS,
        sources=(f"{_CANDLE}/pull/1546", f"{_CANDLE}/pull/1672", f"{_CANDLE}/pull/1681"),
    ),
    CandleEra(
        versions=">=0.5.0,<0.9.0",
        reader=BYTES_READER,
        sources=(
            f"{_CANDLE}/pull/1546",
            f"{_CANDLE}/issues/1991",
            "https://docs.rs/candle-core/0.8.4/src/candle_core/pickle.rs.html",
        ),
    ),
    CandleEra(versions=">=0.9.0,<0.9.2", reader=FIXED_READER, sources=(f"{_CANDLE}/pull/2824",)),
    CandleEra(
        versions=">=0.9.2",
        reader=NEWEST_READER,
        sources=(f"{_CANDLE}/pull/2824", "https://docs.rs/crate/candle-core/0.9.2"),
    ),
)

UNDER_MODEL_TYPE = Part((Attempt(), Attempt((("", "{model_type}."),))))
"""Plain names, then names that begin with the model's type."""

CANDLE_BERT = CandleModel(
    name="bert",
    architecture=BERT,
    parts=(UNDER_MODEL_TYPE,),
    source=f"{_CANDLE}/blob/000a2c2fe6e9f48feffe7be80a4f738a099dc819/candle-transformers/src/models/bert.rs",
)
"""`BertModel` of candle-transformers. It knows no `gamma` and `beta`, and takes what `model_type` says for
the prefix, so that `xlm-roberta` never finds `roberta.`."""

_MODELS: Mapping[str, CandleModel] = {"BertModel": CANDLE_BERT, "BertForMaskedLM": CANDLE_BERT}
"""The first of `architectures` in `config.json`, to the model of candle-transformers."""


def _predict(repository: Repository, setting: Setting[CandleEra]) -> Iterator[PredictedLoad]:
    opened = open_first(repository, _candidates(repository), setting.era.reader)
    model = _model(repository.declaration.config)
    load = _load(repository, opened, model)
    chosen = f"candle leaves the choice of a file to its user; predicted for `{cut(opened.path)}`."
    asked = (
        f"Asked for are the tensors of the `{model.name}` model of candle-transformers."
        if model is not None
        else "Asked for are all stored tensors."
    )
    prediction = predict_candle(
        repository,
        opened,
        load,
        sources=(*setting.era.sources, *([model.source] if model is not None else [])),
        reasons=(asked, chosen) if opened.path else (),
    )
    is_refused = prediction.outcome is Outcome.REFUSED
    pipeline = token_vectors(repository, "A model of candle", own_tokenizer=False)
    yield attrs.evolve(prediction, pipeline=None if is_refused else pipeline)


def _candidates(repository: Repository) -> tuple[str, ...]:
    """The weight files of the root, in the order in which others take them, single files before shards."""
    listed = sorted(path for path in repository.checkpoints if "/" not in path)
    unread = sorted(path for path in repository.unreadable if "/" not in path)
    known = sorted(WEIGHTS_IN_ORDER, key=lambda name: ".index." in name)
    return (*known, *listed, *unread)


def _model(config: Mapping[str, JSON]) -> CandleModel | None:
    named = config.get("architectures")
    first = named[0] if isinstance(named, tuple) and named else None
    return _MODELS.get(first) if isinstance(first, str) else None


def _load(repository: Repository, opened: OpenedFile, model: CandleModel | None) -> CandleLoad:
    if opened.doubt:
        return CandleLoad(doubts=(opened.doubt,))
    if model is not None:
        return load_candle_model(model, repository.declaration.config, opened.read, DType.FLOAT32)
    return load_everything(opened.read)


def load_everything(read: CandleRead) -> CandleLoad:
    """What comes of a file if every stored tensor is asked for, harmless ones excepted."""
    if read.refusal:
        return CandleLoad(refusals=(read.refusal,), doubts=read.doubts)
    unseen = {**read.dropped, **read.skipped}
    lost = {name: why for name, why in unseen.items() if why_harmless(name) is None}
    failing = {name: why for name, why in read.failing.items() if why_harmless(name) is None}
    taken = {name: name for name in read.tensors if name not in read.failing}
    refusals = [f"cannot find tensor {cut(name)}: {why}." for name, why in lost.items()]
    refusals += [f"`{cut(name)}`: {why}." for name, why in failing.items()]
    return CandleLoad(
        refusals=tuple(refusals[:1]),
        taken=taken,
        missing_keys=tuple(sorted({*lost, *failing})),
        unexpected_keys=tuple(sorted({*unseen, *read.failing} - {*lost, *failing})),
        misread_keys=tuple(read.misread[name] for name in sorted(taken) if name in read.misread),
        doubts=read.doubts,
    )


CANDLE = Loader(
    name="candle",
    aliases=("candle-core", "candle-nn", "candle-transformers"),
    releases=(
        *("0.1.2", "0.2.0", "0.2.1", "0.2.2", "0.3.0", "0.3.1", "0.3.2", "0.3.3"),
        *("0.4.0", "0.4.1", "0.5.0", "0.5.1", "0.6.0", "0.7.0", "0.7.1", "0.7.2"),
        *("0.8.0", "0.8.1", "0.8.2", "0.8.3", "0.8.4", "0.9.0", "0.9.1", "0.9.2"),
        *("0.10.0", "0.10.1", "0.10.2", "0.11.0", "0.11.1"),
    ),
    eras=_ERAS,
    predict=_predict,
)
"""The crate."""
