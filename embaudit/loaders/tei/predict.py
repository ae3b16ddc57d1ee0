"""What text-embeddings-inference would do with a repository: settings first, then weights, then Dense modules.

Knows the order in which the server goes, and what the caller has left open: whether the model is named or its
folder is, and whether `--pooling` is given. Where that makes a difference there is a behaviour for each.
"""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from embaudit.architectures import expected_model
from embaudit.loaders.base import Setting
from embaudit.loaders.candle_models import CandleLoad, load_candle_model
from embaudit.loaders.candle_reading import CandleRead, read_with_candle
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.tei.dense import DensePart, listed_dense, load_dense
from embaudit.loaders.tei.eras import Engine, TeiEra
from embaudit.loaders.tei.files import (
    ONNX,
    Served,
    Weights,
    choose_onnx,
    choose_weights,
    files_of,
    ignored_weights,
)
from embaudit.loaders.tei.models import CPU, TeiModel
from embaudit.loaders.tei.settings import Start, model_refusal, start_server
from embaudit.model.architecture import Role
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

NAME = "text-embeddings-inference"

_WHEN = {
    Served.AS_FOLDER: (
        "So it is if a folder is served, or a name of which the cache holds every file: `pytorch_model.bin` goes"
        " before shards."
    ),
    Served.BY_NAME: (
        "So it is if a name is served of which the cache holds nothing: shards are downloaded, and"
        " `pytorch_model.bin` is not."
    ),
}
_WITH_POOLING = "So it is if `--pooling` is given."


def predict(repository: Repository, setting: Setting[TeiEra]) -> Iterator[PredictedLoad]:
    """What one era of the server does with a repository in one of its images."""
    start = start_server(repository, setting.era, setting.backend)
    if start.refusal:
        yield _refused(repository, (start.refusal,))
        return
    loads = tuple(_by_serving(repository, setting, start))
    if not start.pooling_refusal:
        yield from loads
        return
    yield _refused(repository, (start.pooling_refusal, *start.remarks))
    for load in loads:
        if load.outcome is not Outcome.REFUSED:
            yield attrs.evolve(load, reasons=(*load.reasons, _WITH_POOLING))


def _refused(repository: Repository, reasons: Iterable[str]) -> PredictedLoad:
    """The server stops before it opens a weight file."""
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.REFUSED,
        ignored_files=ignored_weights(repository.snapshot, ()),
        reasons=tuple(reasons),
    )


def _by_serving(repository: Repository, setting: Setting[TeiEra], start: Start) -> Iterator[PredictedLoad]:
    """What happens however the model is served; once, where that makes no difference."""
    ways = list(Served) if repository.snapshot.repo_id is not None else [Served.AS_FOLDER]
    loads = {way: _serve(repository, setting, start, way) for way in ways}
    if len(set(loads.values())) == 1:
        yield next(iter(loads.values()))
        return
    for way, load in loads.items():
        yield attrs.evolve(load, reasons=(*load.reasons, _WHEN[way]))


def _serve(
    repository: Repository, setting: Setting[TeiEra], start: Start, served: Served
) -> PredictedLoad:
    engines = setting.era.cpu if setting.backend == CPU else (Engine.CANDLE,)
    onnx = choose_onnx(repository.snapshot) if Engine.ONNX_RUNTIME in engines else None
    if onnx is not None:
        return _serve_onnx(repository, onnx, start, engines)
    if Engine.CANDLE not in engines:
        named = " nor ".join(f"`{path}`" for path in ONNX)
        only = f"This image computes with ONNX Runtime alone, and there is neither {named}."
        return _refused(repository, (only, *start.remarks))
    config = repository.declaration.config
    refusal = model_refusal(start, setting.era, setting.backend, config)
    if refusal or start.model is None:
        return _refused(repository, (refusal, *start.remarks))
    era = setting.era
    weights = choose_weights(repository, served, torch=era.torch, shards=era.shards)
    if weights.checkpoint is None:
        return _without_weights(repository, weights, start)
    read = read_with_candle(weights.checkpoint, era.candle)
    load = _load(start.model, config, read)
    dense = load_dense(repository, era, served)
    return _Outcome(
        repository=repository,
        checkpoint=weights.checkpoint,
        model=start.model,
        load=load,
        left_out=tuple(_left_out(start.model, config, load)),
        dense=dense,
        start=start,
        dtype=start.model.dtype or (era.cpu_dtype if setting.backend == CPU else "float16"),
    ).prediction


def _serve_onnx(
    repository: Repository, onnx: str, start: Start, engines: tuple[Engine, ...]
) -> PredictedLoad:
    """ONNX Runtime computes, with a graph and weights that embaudit does not read."""
    files = sorted(path for path in repository.snapshot.files if path == onnx or path.startswith(f"{onnx}_"))
    reasons = [f"The vectors come from `{onnx}`, whose graph and weights embaudit does not read."]
    if Engine.CANDLE in engines:
        reasons.append("If ONNX Runtime does not start with it, candle is tried.")
    if listed_dense(repository):
        reasons.append("Dense modules are not applied to what the graph gives.")
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.UNKNOWN,
        files=tuple(files),
        ignored_files=ignored_weights(repository.snapshot, files),
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
        ignored_files=ignored_weights(repository.snapshot, used),
        reasons=(weights.refusal or weights.doubt, *start.remarks),
    )


def _load(model: TeiModel, config: Mapping[str, JSON], read: CandleRead) -> CandleLoad:
    """What the transformer takes, without a look at every layer if there are more than the file has tensors."""
    counts = (config.get(field) for field in model.candle.architecture.repeats.values())
    largest = max((count for count in counts if isinstance(count, int)), default=0)
    if largest > len(read.tensors) and not read.refusal:
        return CandleLoad(
            refusals=(f"`config.json` asks for {largest} layers, and the file has fewer tensors than that.",),
            doubts=read.doubts,
        )
    return load_candle_model(model.candle, model.complete(config), read)


def _left_out(model: TeiModel, config: Mapping[str, JSON], load: CandleLoad) -> Iterator[str]:
    """Tensors that the model's author has, that are asked for, and that the server does without if need be."""
    if not model.candle.optional or load.refusals:
        return
    expected = expected_model(model.candle.architecture, model.complete(config)).tensors
    never = set(load.taken)
    for name, tensor in expected.items():
        if tensor.role is Role.EMBEDDING and name not in never and _is_optional(model, name):
            yield name


def _is_optional(model: TeiModel, name: str) -> bool:
    import re

    return any(re.search(pattern, name) for pattern in model.candle.optional)


@attrs.frozen(kw_only=True)
class _Outcome:
    """Everything that is known of one load with candle."""

    repository: Repository
    checkpoint: Checkpoint
    model: TeiModel
    load: CandleLoad
    left_out: tuple[str, ...]
    dense: tuple[DensePart, ...]
    start: Start
    dtype: str

    @property
    def prediction(self) -> PredictedLoad:
        """The load as it is reported."""
        used = sorted({*files_of(self.checkpoint), *(path for part in self.dense for path in part.files)})
        unexpected = sorted([*self.load.unexpected_keys, *self._from_dense("unexpected_keys")])
        missing = sorted([*self.load.missing_keys, *self._lost, *self._from_dense("missing_keys")])
        misread = sorted([*self.load.misread_keys, *self._from_dense("misread_keys")], key=lambda key: key.name)
        return PredictedLoad(
            loader=NAME,
            outcome=self.outcome,
            files=tuple(used),
            ignored_files=ignored_weights(self.repository.snapshot, used),
            missing_keys=tuple(missing),
            unexpected_keys=tuple(unexpected),
        )
