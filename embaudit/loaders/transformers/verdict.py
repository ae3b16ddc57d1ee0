"""A readable checkpoint and a known model to what comes of loading one into the other."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import attrs

from embaudit.formats.fields import examples, quoted
from embaudit.loaders.remembering import Same
from embaudit.loaders.transformers.checks import is_big_endian
from embaudit.loaders.transformers.conversions import MODEL_TABLES, NEVER, conversions_for
from embaudit.loaders.transformers.dtypes import ComputedType, computed_type
from embaudit.loaders.transformers.eras import ERAS, TransformersEra
from embaudit.loaders.transformers.findings import Findings
from embaudit.loaders.transformers.matching import Matching, MatchingTask
from embaudit.model.architecture import ExpectedModel, Role
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON
from embaudit.model.prediction import DuplicateKey, MismatchedKey, Outcome, PredictedLoad
from embaudit.model.tensors import TensorInfo

_META_TYPES = frozenset(
    {
        *(DType.BOOL, DType.UINT8, DType.INT8, DType.UINT16, DType.INT16, DType.UINT32, DType.INT32),
        *(DType.UINT64, DType.INT64, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64),
        *(DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2),
    }
)
"""Types of safetensors that transformers reads to the meta device: `str_to_torch_dtype` of
https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/modeling_utils.py."""


@attrs.frozen(kw_only=True)
class LoadingTask:
    """What is loaded into what.

    Attributes:
        era: The release.
        checkpoint: The weights.
        model: What the model expects.
        config: `config.json`.
    """

    era: TransformersEra
    checkpoint: Checkpoint
    model: ExpectedModel
    config: Mapping[str, JSON]


def loaded(task: LoadingTask) -> PredictedLoad:
    """What comes of loading the checkpoint into the model; `files` and `sources` are for who knows them."""
    return _remembered(_in_essence(task), Same(task.checkpoint), Same(task.model), Same(task.config))


def _in_essence(task: LoadingTask) -> TransformersEra:
    """The era without what does not matter any more when a model and its weights are chosen.

    So that eras which do the same with them are equal.
    """
    era, name = task.era, task.model.architecture.name
    nothing: dict[str, Any] = {field: getattr(_FIRST, field) for field in _DECIDED_BEFORE}
    has_rotary = name in era.rotary
    return attrs.evolve(
        era,
        **nothing,
        since=max(
            (table.since for table in MODEL_TABLES.values() if table.since <= era.since), default=NEVER
        ),
        rotary=frozenset({name}) if has_rotary else frozenset(),
        rotary_names=era.rotary_names if has_rotary else "",
        dtype_fields=tuple(field for field in era.dtype_fields if task.config.get(field) is not None),
    )


_FIRST = ERAS[0]
_DECIDED_BEFORE = (
    *("versions", "sources", "until", "unread_fields", "unknown_fields", "stored_rotary", "formats"),
    *("tensors_only", "torch", "takes_empty_index", "named_weights", "adapters", "guesses_model_type"),
)
"""Fields of an era that only choose the model and the weights."""


@lru_cache(maxsize=32)
def _remembered(
    era: TransformersEra,
    checkpoint: Same[Checkpoint],
    model: Same[ExpectedModel],
    config: Same[Mapping[str, JSON]],
) -> PredictedLoad:
    task = LoadingTask(era=era, checkpoint=checkpoint.value, model=model.value, config=config.value)
    return judged(task)


def judged(task: LoadingTask) -> PredictedLoad:
    """As `loaded`, and worked out anew: many releases do the same, for which `loaded` remembers it."""
    dtype = computed_type(task.era, task.config, task.checkpoint, _first_file(task.checkpoint))
    matching = task.era.match(_matching_task(task))
    mismatched = tuple(_mismatched(task, matching))
    refusals = tuple(_refusals(task, matching, mismatched, dtype))
    found = Findings.of(
        task.era, task.model, matching, named=_names_class(task), plain=_plain(task.checkpoint)
    )
    return PredictedLoad(
        loader="transformers",
        outcome=Outcome.REFUSED if refusals else found.outcome,
        missing_keys=tuple(sorted(found.missing)),
        unfilled_keys=tuple(sorted({*found.unreported} & {*found.random})),
        unexpected_keys=found.unexpected,
        mismatched_keys=mismatched,
        renamed_keys=_renamed(matching),
        duplicate_keys=tuple(_duplicates(matching)),
        harmless_keys=tuple(sorted(found.harmless)),
        dtype=None if dtype.dtype is None else str(_type_of_model(task, matching, dtype.dtype)),
        silent=not refusals and found.silent,
        reasons=(*refusals, *_doubts(task), *found.reasons, *_type_reasons(task, matching, dtype)),
    )


def _plain(checkpoint: Checkpoint) -> frozenset[str]:
    """Entries of a torch file that are no tensors."""
    is_torch_file = checkpoint.format is not CheckpointFormat.SAFETENSORS
    return frozenset(checkpoint.metadata) if is_torch_file else frozenset()


def _names_class(task: LoadingTask) -> bool:
    architectures = task.config.get("architectures")
    return isinstance(architectures, tuple) and task.model.architecture.class_name in architectures


def _matching_task(task: LoadingTask) -> MatchingTask:
    era, architecture = task.era, task.model.architecture
    buffers = {name for name, each in task.model.tensors.items() if each.role is Role.BUFFER}
    stored_buffers = set(era.stored_buffers.get(architecture.name, ())) & buffers
    converts = era.converts_remote_code or not architecture.remote_code
    model_type = task.config.get("model_type")
    stored, index = _stored(task.checkpoint), task.checkpoint.index
    return MatchingTask(
        expected={
            name: each.shape
            for name, each in task.model.tensors.items()
            if name not in buffers or name in stored_buffers
        },
        buffers=frozenset(buffers),
        prefix=era.prefixes.get(architecture.name, architecture.base_prefix),
        tied=() if era.reports_tied else architecture.tied,
        stored=stored,
        listed=stored if index is None else index.weight_map,
        fix_name=era.fix_name,
        conversions=conversions_for(
            model_type if converts and isinstance(model_type, str) else None, era.conversions, era.since
        ),
        keeps_original_names=era.keeps_original_names,
        drops_unexpected=era.drops_unexpected,
        drops_buffers=era.drops_buffers,
    )


def _in_order(checkpoint: Checkpoint) -> tuple[TensorInfo, ...]:
    """The tensors as a loader meets them: safetensors lists names sorted, a pickle as they were put in."""
    tensors = tuple(checkpoint.tensors.values())
    if checkpoint.format is CheckpointFormat.SAFETENSORS:
        return tuple(sorted(tensors, key=lambda tensor: tensor.name))
    return tensors


def _first_file(checkpoint: Checkpoint) -> Iterator[TensorInfo]:
    first = min(checkpoint.files, default="")
    return (tensor for tensor in _in_order(checkpoint) if tensor.file == first)


def _stored(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """Names to shapes, as far as the loader sees them: of a wrapped pickle only the top level."""
    shapes = {tensor.name: tensor.shape for tensor in _in_order(checkpoint)}
    if checkpoint.format is CheckpointFormat.SAFETENSORS:
        return shapes
    if checkpoint.state_dict:
        shapes = {name.partition(".")[0]: () for name in shapes}
    return {**shapes, **dict.fromkeys(_plain(checkpoint), ())}


def _mismatched(task: LoadingTask, matching: Matching) -> Iterator[MismatchedKey]:
    for each in matching.taken:
        expected = task.model.tensors[each.name].shape
        if each.shape != expected:
            yield MismatchedKey(name=each.name, stored_shape=each.shape, expected_shape=expected)


def _duplicates(matching: Matching) -> Iterator[DuplicateKey]:
    losers: dict[str, list[str]] = {}
    for loser, winner in matching.replaced.items():
        losers.setdefault(winner, []).append(loser)
    for each in matching.taken:
        if each.stored in losers:
            stored = tuple(sorted((each.stored, *losers[each.stored])))
            yield DuplicateKey(name=each.name, stored=stored, winner=each.stored)


def _renamed(matching: Matching) -> dict[str, str]:
    names: dict[str, list[str]] = {}
    for each in matching.taken:
        names.setdefault(each.stored, []).append(each.name)
    return {stored: " + ".join(loaded) for stored, loaded in names.items() if loaded != [stored]}


def _refusals(
    task: LoadingTask, matching: Matching, mismatched: tuple[MismatchedKey, ...], dtype: ComputedType
) -> Iterator[str]:
    """Why the load ends in an error although the files can be read."""
    yield from matching.errors
    if dtype.dtype is None:
        yield dtype.reason
    if mismatched:
        yield f"{examples([each.name for each in mismatched])} of another shape than the model has."
    holds_other_values = task.checkpoint.state_dict or (
        _plain(task.checkpoint) and not task.checkpoint.tensors
    )
    if _type_is_sought(task) and holds_other_values:
        yield "To find the type it takes every entry of the file for a tensor, which they are not."
    if _type_is_sought(task) and is_big_endian(task.checkpoint):
        yield "It looks for the type on the meta device, where torch swaps bytes that do not exist: a crash."
    if task.era.reads_to_meta or _type_is_sought(task):
        yield from _unknown_to_meta(task.checkpoint)
    integers = [
        each.stored for each in matching.taken if task.era.keeps_integers and _is_integer(task, each.stored)
    ]
    if integers:
        yield f"{examples(integers)} stored as integers, which no parameter may be."
    yield from _across_shards(task, matching)


def _doubts(task: LoadingTask) -> Iterator[str]:
    """What the header does not tell: an empty container, which counts as an entry, looks like none."""
    checkpoint = task.checkpoint
    is_torch_file = checkpoint.format is not CheckpointFormat.SAFETENSORS
    if is_torch_file and not checkpoint.tensors and not _plain(checkpoint):
        yield f"{checkpoint.name} holds no tensor; an empty container, which may be refused, is not seen."


def _unknown_to_meta(checkpoint: Checkpoint) -> Iterator[str]:
    if checkpoint.format is not CheckpointFormat.SAFETENSORS:
        return
    strange = next((each for each in checkpoint.tensors.values() if each.dtype not in _META_TYPES), None)
    if strange is not None:
        yield f"{quoted(strange.name)} is {strange.dtype}, which it cannot read to the meta device."


def _type_is_sought(task: LoadingTask) -> bool:
    """Whether the type of the model is looked for in the weights."""
    if not task.era.follows_config_dtype:
        return False
    in_config = any(task.config.get(field) is not None for field in task.era.dtype_fields)
    index = task.checkpoint.index
    return not in_config and (index is None or "dtype" not in index.metadata)


def _stored_type(task: LoadingTask, stored: str) -> DType | None:
    """The type of a stored tensor; None for an entry that is no tensor, whatever it is called."""
    tensor = task.checkpoint.tensors.get(stored)
    return None if tensor is None else tensor.dtype


def _is_integer(task: LoadingTask, stored: str) -> bool:
    dtype = _stored_type(task, stored)
    return dtype is not None and not (dtype.is_floating or dtype.is_complex)


def _across_shards(task: LoadingTask, matching: Matching) -> Iterator[str]:
    """Safetensors shards are read by name one by one: the winner's name is then looked for in each shard."""
    is_safetensors = task.checkpoint.format is CheckpointFormat.SAFETENSORS
    if task.era.fills_before_loading or not is_safetensors:
        return
    tensors = task.checkpoint.tensors
    for loser, winner in matching.replaced.items():
        if tensors[loser].file != tensors[winner].file:
            yield f"{quoted(winner)} is looked for in {tensors[loser].file} too, which does not hold it."


def _type_reasons(task: LoadingTask, matching: Matching, dtype: ComputedType) -> Iterator[str]:
    if dtype.dtype is None:
        return
    if dtype.reason:
        yield dtype.reason
    if _keeps_float8(task, matching):
        yield "Tensors of float8_e4m3fn keep that type, in which torch multiplies nothing."
    if _plain(task.checkpoint) and _type_is_sought(task):
        yield "It refuses instead if an entry that is no tensor comes first: it takes each for one."
    if task.era.keeps_stored_types and _mixes_types(task, matching, dtype.dtype):
        yield "The first tensor has the type of the model, so that the others keep theirs, which are several."
    narrowed = [each.stored for each in matching.taken if _is_narrowed(task, each.stored, dtype.dtype)]
    if narrowed:
        yield f"{examples(narrowed)} stored in more bits than {dtype.dtype} has: the values are rounded."


def _type_of_model(task: LoadingTask, matching: Matching, dtype: DType) -> DType:
    """The type of the first parameter, which transformers calls the model's."""
    first = next(iter(task.model.tensors), "")
    stored = next((each.stored for each in matching.taken if each.name == first), "")
    keeps = task.era.keeps_integers and _stored_type(task, stored) is DType.FLOAT8_E4M3FN
    return DType.FLOAT8_E4M3FN if keeps else dtype


def _keeps_float8(task: LoadingTask, matching: Matching) -> bool:
    if not task.era.keeps_integers:
        return False
    return DType.FLOAT8_E4M3FN in {_stored_type(task, each.stored) for each in matching.taken}


def _mixes_types(task: LoadingTask, matching: Matching, dtype: DType) -> bool:
    stored = {each.name: _stored_type(task, each.stored) for each in matching.taken}
    if stored.get(next(iter(task.model.tensors), "")) is not dtype:
        return False
    return any(each is not None and each.is_floating and each is not dtype for each in stored.values())


def _is_narrowed(task: LoadingTask, stored: str, dtype: DType) -> bool:
    found = _stored_type(task, stored)
    return found is not None and not _is_integer(task, stored) and found.bits > dtype.bits
