"""What text-embeddings-inference would do with a repository: settings, then weights, then Dense modules.

Knows the order in which the server goes, and what the caller has left open: whether the model is named or its
folder is, and whether `--pooling` is given. Where that makes a difference there is a behaviour for each.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import attrs

from embaudit.loaders.base import Setting
from embaudit.loaders.candle_models import CandleLoad, load_candle_model
from embaudit.loaders.candle_reading import CandleRead, CandleReader, read_with_candle
from embaudit.loaders.candle_words import cut, first_few
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.listing import is_unseen, weights_beside
from embaudit.loaders.remembering import Same
from embaudit.loaders.tei.dense import DensePart, listed_dense, load_dense
from embaudit.loaders.tei.eras import Engine, TeiEra
from embaudit.loaders.tei.files import (
    ONNX,
    Served,
    Weights,
    choose_onnx,
    choose_weights,
    files_of,
    why_unread,
)
from embaudit.loaders.tei.models import CPU, Config, TeiModel
from embaudit.loaders.tei.pipelines import pipeline_of
from embaudit.loaders.tei.settings import Start, model_refusal, start_server
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.dtypes import DType
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.prediction import MisreadKey, Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.model.words import plural

NAME = "text-embeddings-inference"

_WHEN = {
    Served.AS_FOLDER: "So it is if a folder is served, or a name of which the cache holds every file.",
    Served.BY_NAME: "So it is if a name is served of which the cache holds nothing yet.",
}
_WITH_POOLING = "So it is if `--pooling` is given."


def predict(repository: Repository, setting: Setting[TeiEra]) -> Iterator[PredictedLoad]:
    """What one era of the server does with a repository in one of its images."""
    for load in _behaviours(repository, setting):
        yield attrs.evolve(load, sources=setting.era.sources)


def _behaviours(repository: Repository, setting: Setting[TeiEra]) -> Iterator[PredictedLoad]:
    start = start_server(repository, setting.era, setting.backend)
    if start.refusal:
        yield _refused(repository, (start.refusal,))
        return
    loads = tuple(_by_serving(repository, setting, start))
    if not start.pooling_refusal:
        yield from loads
        return
    if any(load.outcome is not Outcome.REFUSED for load in loads):
        yield _refused(repository, (start.pooling_refusal, *start.remarks))
    for load in loads:
        if load.outcome is Outcome.REFUSED:
            yield attrs.evolve(load, reasons=(*load.reasons, start.pooling_refusal))
        else:
            yield attrs.evolve(
                load, reasons=(*load.reasons, _WITH_POOLING), pipeline=_left_open(load.pipeline)
            )


def _left_open(pipeline: EmbeddingPipeline | None) -> EmbeddingPipeline | None:
    """The pipeline with a pooling that the command line decides."""
    return None if pipeline is None else attrs.evolve(pipeline, pooling=None)


def _refused(repository: Repository, reasons: Iterable[str]) -> PredictedLoad:
    """The server stops before it opens a weight file."""
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.REFUSED,
        ignored_files=weights_beside(repository.snapshot),
        reasons=tuple(reasons),
    )


def _by_serving(repository: Repository, setting: Setting[TeiEra], start: Start) -> Iterator[PredictedLoad]:
    """What happens however the model is served; once, where that makes no difference."""
    engines = setting.era.cpu if setting.backend == CPU else (Engine.CANDLE,)
    onnx = choose_onnx(repository.snapshot) if Engine.ONNX_RUNTIME in engines else None
    if onnx is not None:
        load = _serve_onnx(repository, onnx, start, engines)
        yield attrs.evolve(load, pipeline=pipeline_of(repository, setting.era, (), onnx=True))
        return
    refusal = _engine_refusal(repository, setting, start, engines)
    if refusal or start.model is None:
        yield _refused(repository, (refusal, *start.remarks))
        return
    ways = tuple(Served) if repository.snapshot.repo_id is not None else (Served.AS_FOLDER,)
    found = {way: _find(repository, setting.era, way) for way in ways}
    if all(found[way] == found[Served.AS_FOLDER] for way in ways):
        yield _serve(repository, setting, start, start.model, found[Served.AS_FOLDER])
        return
    for way, each in found.items():
        load = _serve(repository, setting, start, start.model, each)
        yield attrs.evolve(load, reasons=(*load.reasons, _WHEN[way]))


def _engine_refusal(
    repository: Repository, setting: Setting[TeiEra], start: Start, engines: tuple[Engine, ...]
) -> str:
    """Why no engine of the image takes the model, one sentence; empty if candle does."""
    if Engine.CANDLE in engines:
        return model_refusal(start, setting.era, setting.backend, repository.declaration.config)
    named = " nor ".join(f"`{path}`" for path in ONNX)
    return f"This image computes with ONNX Runtime alone, and there is neither {named}."


_Found = tuple[Weights, tuple[DensePart, ...]]
"""The weight file of the transformer, and what comes of the Dense modules."""


def _find(repository: Repository, era: TeiEra, served: Served) -> _Found:
    weights = choose_weights(repository, served, torch=era.torch, shards=era.shards)
    return weights, load_dense(repository, era, served)


def _serve(
    repository: Repository, setting: Setting[TeiEra], start: Start, model: TeiModel, found: _Found
) -> PredictedLoad:
    """What candle makes of it, with a model that it has."""
    weights, dense = found
    if weights.checkpoint is None:
        return _without_weights(repository, weights, start)
    era, config = setting.era, repository.declaration.config
    dtype = model.dtype or (era.cpu_dtype if setting.backend == CPU else "float16")
    load = _take(Same(model), Same(config), Same(weights.checkpoint), era.candle, dtype)
    loaded = _Loaded(
        load=load,
        dense=dense,
        doubts=(*load.doubts, *start.doubts, *model.doubts(config)),
        remarks=start.remarks,
    )
    report = _report(repository, weights.checkpoint, loaded, dtype)
    if report.outcome is Outcome.REFUSED:
        return report
    layers = tuple(part.layer for part in dense if part.layer is not None)
    return attrs.evolve(report, pipeline=pipeline_of(repository, era, layers))


@lru_cache(maxsize=16)
def _read(checkpoint: Same[Checkpoint], reader: CandleReader) -> CandleRead:
    """What candle makes of a weight file. Remembered, since it is the same for all models."""
    return read_with_candle(checkpoint.value, reader)


@lru_cache(maxsize=16)
def _not_taken(load: Same[CandleLoad]) -> tuple[frozenset[str], tuple[str, ...]]:
    """The stored tensors that a load leaves, and those of them that may matter, sorted. Remembered too."""
    left = frozenset({*load.value.unexpected_keys, *load.value.omitted_keys}).difference(
        load.value.missing_keys
    )
    return left, tuple(sorted(name for name in left if why_harmless(name) is None))


@lru_cache(maxsize=16)
def _take(
    model: Same[TeiModel],
    config: Same[Config],
    checkpoint: Same[Checkpoint],
    reader: CandleReader,
    dtype: str,
) -> CandleLoad:
    """What the transformer takes. Remembered, since many eras and both backends take the same."""
    read = _read(checkpoint, reader)
    complete = model.value.complete(config.value)
    return load_candle_model(model.value.candle, complete, read, DType[dtype.upper()])


def _serve_onnx(
    repository: Repository, onnx: str, start: Start, engines: tuple[Engine, ...]
) -> PredictedLoad:
    """ONNX Runtime computes, with a graph and weights that embaudit does not read."""
    files = sorted(path for path in repository.snapshot.files if path == onnx or path.startswith(f"{onnx}_"))
    reasons = [f"The vectors come from `{onnx}`, whose graph and weights embaudit does not read."]
    if is_unseen(repository.snapshot, onnx):
        reasons.append(why_unread(repository.snapshot, onnx))
    if Engine.CANDLE in engines:
        reasons.append("If ONNX Runtime does not start with it, candle is tried.")
    if listed_dense(repository):
        reasons.append("Dense modules are not applied to what the graph gives.")
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.UNKNOWN,
        files=tuple(files),
        ignored_files=weights_beside(repository.snapshot, files),
        dtype="float32",
        reasons=(*reasons, *start.doubts, *start.remarks),
    )


def _without_weights(repository: Repository, weights: Weights, start: Start) -> PredictedLoad:
    """There is no weight file, or none that can be read."""
    used = (weights.path,) if weights.path else ()
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.REFUSED if weights.refusal else Outcome.UNKNOWN,
        files=used,
        ignored_files=weights_beside(repository.snapshot, used),
        reasons=(weights.refusal or weights.doubt, *start.remarks),
    )


@attrs.frozen(kw_only=True)
class _Loaded:
    """Everything that one load with candle comes to.

    Attributes:
        load: What the transformer takes.
        dense: What comes of each Dense module.
        doubts: What embaudit cannot decide, one sentence each.
        remarks: What is wrong with the repository beside its weights, one sentence each.
    """

    load: CandleLoad
    dense: tuple[DensePart, ...]
    doubts: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the server does not start."""
        return (*self.load.refusals, *(reason for part in self.dense for reason in part.refusals))

    @property
    def missing(self) -> frozenset[str]:
        """Tensors that are asked for and that the files lack."""
        parts = (key for part in self.dense for key in part.missing_keys)
        return frozenset({*self.load.missing_keys, *parts})

    @property
    def unexpected(self) -> frozenset[str]:
        """Stored tensors of the transformer that are not taken: not asked for, or of a wrong shape."""
        return _not_taken(Same(self.load))[0]

    @property
    def dropped(self) -> tuple[str, ...]:
        """Those of the unexpected that may matter."""
        return _not_taken(Same(self.load))[1]

    @property
    def misread(self) -> tuple[MisreadKey, ...]:
        """What comes out with wrong values, by name; nothing comes out where the server does not start."""
        if self.refusals:
            return ()
        keys = (*self.load.misread_keys, *(key for part in self.dense for key in part.misread_keys))
        return tuple(sorted(keys, key=lambda key: key.name))

    @property
    def every_doubt(self) -> tuple[str, ...]:
        """What cannot be decided, of the Dense modules too."""
        return (*self.doubts, *(doubt for part in self.dense for doubt in part.doubts))

    @property
    def outcome(self) -> Outcome:
        """What comes of it."""
        if self.refusals:
            return Outcome.REFUSED
        if self.misread:
            return Outcome.CORRUPT
        lacking = self.load.neglected_keys or self.load.omitted_keys
        if lacking or any(part.changed for part in self.dense):
            return Outcome.INCOMPLETE
        return Outcome.UNKNOWN if self.every_doubt else Outcome.FAITHFUL

    @property
    def silent(self) -> bool:
        """Whether something goes wrong of which the server says nothing."""
        if self.refusals:
            return False
        harm = self.misread or self.dropped or self.load.omitted_keys
        return bool(harm) or any(part.silent for part in self.dense)


def _report(repository: Repository, checkpoint: Checkpoint, loaded: _Loaded, dtype: str) -> PredictedLoad:
    """A load as it is reported."""
    parts = loaded.dense
    used = {*files_of(checkpoint), *(path for part in parts for path in part.files)}
    unexpected = {*loaded.unexpected, *(key for part in parts for key in part.unexpected_keys)}
    mismatched = (*loaded.load.mismatched_keys, *(key for part in parts for key in part.mismatched_keys))
    return PredictedLoad(
        loader=NAME,
        outcome=loaded.outcome,
        files=tuple(sorted(used)),
        ignored_files=weights_beside(repository.snapshot, used),
        missing_keys=tuple(sorted(loaded.missing)),
        unexpected_keys=tuple(sorted(unexpected)),
        mismatched_keys=tuple(sorted(mismatched, key=lambda key: key.name)),
        renamed_keys=loaded.load.renamed_keys,
        misread_keys=loaded.misread,
        harmless_keys=tuple(sorted(loaded.unexpected.difference(loaded.dropped))),
        dtype=dtype,
        silent=loaded.silent,
        reasons=tuple(_reasons(loaded)),
    )


def _reasons(loaded: _Loaded) -> Iterator[str]:
    """Why, one sentence each, the most harmful first."""
    yield from loaded.refusals
    if loaded.misread:
        first = loaded.misread[0]
        yield f"Without an error, {plural(len(loaded.misread), 'tensor')} get wrong values: {first.reason}."
        where = f"byte {first.byte_to_read:,}, and is read from byte {first.byte_read:,} on"
        yield f"`{cut(first.name)}` begins at {where}."
    if loaded.dropped and not loaded.refusals:
        yield f"Not taken: {plural(len(loaded.dropped), 'stored tensor')}, `{cut(loaded.dropped[0])}` first."
    if loaded.load.omitted_keys:
        n_omitted = plural(len(loaded.load.omitted_keys), "tensor")
        yield f"Cannot be had and done without: {n_omitted}, `{cut(loaded.load.omitted_keys[0])}` first."
    yield from (reason for part in loaded.dense for reason in part.reasons)
    yield from first_few(loaded.every_doubt)
    yield from loaded.remarks
