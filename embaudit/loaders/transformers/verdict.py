"""A readable checkpoint and a known model to what comes of loading one into the other."""

import re
from collections.abc import Iterator, Mapping

import attrs

from embaudit.formats.fields import examples, quoted
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.transformers.conversions import conversions_for
from embaudit.loaders.transformers.dtypes import ComputedType, computed_type
from embaudit.loaders.transformers.eras import Silence, TransformersEra
from embaudit.loaders.transformers.matching import Matching, MatchingTask
from embaudit.model.architecture import ExpectedModel, Role
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON
from embaudit.model.prediction import MismatchedKey, Outcome, PredictedLoad
from embaudit.model.tensors import TensorInfo

_POSITION_IDS = re.compile(r"(^|\.)position_ids$")
_ROTARY = re.compile(r"rotary_emb\.inv_freq")


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
    dtype = computed_type(task.era, task.config, task.checkpoint, _first_file(task.checkpoint))
    matching = task.era.match(_matching_task(task))
    mismatched = tuple(_mismatched(task, matching))
    refusals = tuple(_refusals(task, matching, mismatched, dtype))
    found = _Findings.of(task, matching)
    return PredictedLoad(
        loader="transformers",
        outcome=Outcome.REFUSED if refusals else found.outcome,
        missing_keys=tuple(sorted(found.missing)),
        unexpected_keys=found.unexpected,
        mismatched_keys=mismatched,
        renamed_keys=_renamed(matching),
        harmless_keys=tuple(sorted(found.harmless)),
        dtype=None if dtype.dtype is None else str(dtype.dtype),
        silent=not refusals and found.silent,
        reasons=(*refusals, *found.reasons(task), *_type_reasons(task, matching, dtype)),
    )


def _matching_task(task: LoadingTask) -> MatchingTask:
    era, architecture = task.era, task.model.architecture
    buffers = {name for name, each in task.model.tensors.items() if each.role is Role.BUFFER}
    stored_buffers = set(era.stored_buffers.get(architecture.name, ())) & buffers
    converts = era.converts_remote_code or not architecture.remote_code
    model_type = task.config.get("model_type")
    return MatchingTask(
        expected={
            name: each.shape
            for name, each in task.model.tensors.items()
            if name not in buffers or name in stored_buffers
        },
        buffers=frozenset(buffers),
        prefix=era.prefixes.get(architecture.name, architecture.base_prefix),
        tied=architecture.tied,
        stored={} if task.checkpoint.state_dict else _stored(task.checkpoint),
        listed=_listed(task.checkpoint),
        fix_name=era.fix_name,
        conversions=conversions_for(
            model_type if converts and isinstance(model_type, str) else None, era.conversions
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
    return {tensor.name: tensor.shape for tensor in _in_order(checkpoint)}


def _listed(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The keys that the loader takes for the file's: of an index those, of a wrapped pickle its top level."""
    if checkpoint.index is not None:
        return tuple(checkpoint.index.weight_map)
    return (*(tensor.name for tensor in _in_order(checkpoint)),)
