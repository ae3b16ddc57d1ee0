"""What text-embeddings-inference would do with a repository: settings, then weights, then Dense modules.

Knows the order in which the server goes, and what the caller has left open: whether the model is named or its
folder is, and whether `--pooling` is given. Where that makes a difference there is a behaviour for each.
"""

import re
from collections.abc import Iterable, Iterator

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
from embaudit.loaders.tei.models import CPU, Config, TeiModel
from embaudit.loaders.tei.settings import Start, model_refusal, start_server
from embaudit.model.architecture import Role
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.prediction import MisreadKey, Outcome, PredictedLoad
from embaudit.model.repository import Repository

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


def _serve(repository: Repository, setting: Setting[TeiEra], start: Start, served: Served) -> PredictedLoad:
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
    dtype = start.model.dtype or (era.cpu_dtype if setting.backend == CPU else "float16")
    loaded = _Loaded(
        load=load,
        failing=frozenset(read.failing),
        lost=tuple(_lost(start.model, config, load)),
        dense=load_dense(repository, era, served),
        doubts=(*load.doubts, *start.doubts, *start.model.doubts(config)),
        remarks=start.remarks,
    )
    return _report(repository, weights.checkpoint, loaded, dtype)


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


def _load(model: TeiModel, config: Config, read: CandleRead) -> CandleLoad:
    """What the transformer takes; no look at every layer if there are more than the file has tensors."""
    counts = (config.get(field) for field in model.candle.architecture.repeats.values())
    largest = max((count for count in counts if isinstance(count, int)), default=0)
    if largest > len(read.tensors) and not read.refusal:
        return CandleLoad(
            refusals=(f"`config.json` asks for {largest} layers, and the file has fewer tensors than that.",),
            doubts=read.doubts,
        )
    return load_candle_model(model.candle, model.complete(config), read)


def _lost(model: TeiModel, config: Config, load: CandleLoad) -> Iterator[str]:
    """Tensors that are asked for, that the file lacks, and that the model does without if need be."""
    if not model.candle.optional or load.refusals:
        return
    expected = expected_model(model.candle.architecture, model.complete(config)).tensors
    for name, tensor in expected.items():
        if tensor.role is not Role.EMBEDDING or name in load.taken:
            continue
        optional = any(re.search(pattern, name) for pattern in model.candle.optional)
        stored = any(each == name or each.endswith(f".{name}") for each in load.unexpected_keys)
        if optional and not stored:
            yield name


@attrs.frozen(kw_only=True)
class _Loaded:
    """Everything that one load with candle comes to.

    Attributes:
        load: What the transformer takes.
        failing: Stored tensors that candle cannot read.
        lost: Tensors that it does without, though the configuration promises them.
        dense: What comes of each Dense module.
        doubts: What embaudit cannot decide, one sentence each.
        remarks: What is wrong with the repository beside its weights, one sentence each.
    """

    load: CandleLoad
    failing: frozenset[str]
    lost: tuple[str, ...]
    dense: tuple[DensePart, ...]
    doubts: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the server does not start."""
        return (*self.load.refusals, *(reason for part in self.dense for reason in part.refusals))

    @property
    def missing(self) -> frozenset[str]:
        """Tensors that are asked for and that the files lack; one that cannot be read is not lacking."""
        parts = (key for part in self.dense for key in part.missing_keys)
        return frozenset({*self.load.missing_keys, *self.lost, *parts}) - self.failing

    @property
    def unexpected(self) -> frozenset[str]:
        """Stored tensors of the transformer that are never asked for."""
        asked = {*self.load.missing_keys, *(key.name for key in self.load.mismatched_keys)}
        return frozenset(self.load.unexpected_keys) - asked

    @property
    def dropped(self) -> tuple[str, ...]:
        """Those of the unexpected that may matter."""
        return tuple(sorted(name for name in self.unexpected if why_harmless(name) is None))

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
        if self.dropped or self.lost or any(part.changed for part in self.dense):
            return Outcome.INCOMPLETE
        return Outcome.UNKNOWN if self.every_doubt else Outcome.FAITHFUL

    @property
    def silent(self) -> bool:
        """Whether something goes wrong of which the server says nothing."""
        if self.refusals:
            return False
        return bool(self.misread or self.dropped or self.lost or any(part.silent for part in self.dense))


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
        ignored_files=ignored_weights(repository.snapshot, used),
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
    yield from loaded.refusals
    if loaded.misread:
        yield f"{len(loaded.misread)} tensors come out with wrong values: {loaded.misread[0].reason}."
    if loaded.dropped:
        yield f"{len(loaded.dropped)} stored tensors are never asked for, such as {loaded.dropped[0]}."
    if loaded.lost:
        yield f"{len(loaded.lost)} tensors are missing and left out without a word, such as {loaded.lost[0]}."
    yield from (reason for part in loaded.dense for reason in part.reasons)
    yield from loaded.every_doubt
    yield from loaded.remarks
