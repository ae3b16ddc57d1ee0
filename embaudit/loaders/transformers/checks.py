"""What keeps transformers from reading weights whose header is fine: their container, their pickle, torch.

Knows headers, no names of tensors.
"""

from collections.abc import Iterator

import attrs
from packaging.specifiers import SpecifierSet

from embaudit.formats.fields import quoted
from embaudit.loaders.transformers.eras import FormatMetadata, TransformersEra
from embaudit.loaders.transformers.files import WeightChoice
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.prediction import Outcome

NEW_TORCH = SpecifierSet(">=2.6")
"""Torch that transformers trusts with a pickle (CVE-2025-32434), and that reads tensors only by default:
https://github.com/pytorch/pytorch/blob/v2.6.0/torch/serialization.py."""
_TORCH_RELEASES = tuple(
    f"{series}.0" for series in ("1.9", "1.10", "1.11", "1.12", "1.13", *(f"2.{n}" for n in range(14)))
)
_FRAMEWORKS = {"tf": frozenset({"tensorflow"}), "flax": frozenset({"flax", "jax"})}
"""`format` of a safetensors file to the packages of which one means that its loader is there."""
_FRAMED = 4
"""The first pickle protocol with frames, which torch's restricted reader has no code for:
https://github.com/pytorch/pytorch/blob/v2.13.0/torch/_weights_only_unpickler.py."""


def torch_answers(
    weights: WeightChoice, era: TransformersEra, torch: SpecifierSet | None
) -> tuple[bool | None, ...]:
    """Whether the torch beneath is `NEW_TORCH`: each answer that matters and that `torch` leaves open.

    Args:
        weights: The weights; only for torch's own files it matters.
        era: The release.
        torch: The versions that the caller speaks of; None for one that is new enough.

    Returns:
        Only None where the version makes no difference.
    """
    checkpoint = weights.checkpoint
    if checkpoint is None or not weights.is_torch_file:
        return (None,)
    if not era.torch and (era.tensors_only or _is_plain(checkpoint)):
        return (None,)
    if torch is None:
        return (True,)
    named = {spec.version for spec in torch if spec.operator == "=="}
    candidates = [version for version in (*_TORCH_RELEASES, *named) if torch.contains(version)]
    return tuple(sorted({NEW_TORCH.contains(version) for version in candidates})) or (True,)


def check_weights(
    weights: WeightChoice, era: TransformersEra, installed: frozenset[str], *, torch_is_new: bool | None
) -> WeightChoice:
    """The weights, refused or in doubt if they cannot be read or nothing can be said of them.

    Args:
        weights: What was chosen.
        era: The release.
        installed: Names of packages that are installed, of those that are not taken to be.
        torch_is_new: One of `torch_answers`.
    """
    checkpoint = weights.checkpoint
    if checkpoint is None:
        return weights
    if era.torch and torch_is_new is False:
        reason = f"{weights.name} is read only with torch{era.torch} (CVE-2025-32434)."
        return attrs.evolve(weights, outcome=Outcome.REFUSED, reasons=(reason,))
    restricted = era.tensors_only or torch_is_new is not False
    refusal = next(_refusals(checkpoint, era, installed, restricted=restricted), None)
    if refusal is not None:
        return attrs.evolve(weights, outcome=Outcome.REFUSED, reasons=(refusal, *weights.reasons))
    doubt = next(_doubts(checkpoint, era), None)
    if doubt is not None:
        return attrs.evolve(weights, outcome=Outcome.UNKNOWN, reasons=(doubt, *weights.reasons))
    return weights


def _is_plain(checkpoint: Checkpoint) -> bool:
    """Whether torch's restricted reader takes it."""
    pickle = checkpoint.pickle
    is_tar = checkpoint.format is CheckpointFormat.TORCH_TAR
    return not is_tar and (pickle is None or (pickle.tensor_only and pickle.protocol < _FRAMED))


def _refusals(
    checkpoint: Checkpoint, era: TransformersEra, installed: frozenset[str], *, restricted: bool
) -> Iterator[str]:
    """Why a file whose header can be read is refused all the same."""
    name = checkpoint.name
    if checkpoint.index is not None and not checkpoint.index.has_metadata:
        yield f"{name} has no `metadata`, which transformers looks into."
    if checkpoint.index is not None and not checkpoint.index.weight_map and not era.takes_empty_index:
        yield f"{name} names no file at all."
    if checkpoint.missing_files:
        yield f"{name} names {checkpoint.missing_files[0]}, which is not there."
    is_safetensors = checkpoint.format is CheckpointFormat.SAFETENSORS
    # The name of each file tells how it is read, that of the index does not.
    misnamed = [file for file in checkpoint.files if file.endswith(".safetensors") is not is_safetensors]
    if misnamed:
        yield f"{misnamed[0]} is a {checkpoint.format} file, which is not what its name says."
    if is_safetensors:
        yield from _refused_formats(checkpoint, era, installed)
    elif restricted:
        yield from _refused_pickles(checkpoint)
    if era.reads_to_meta and is_big_endian(checkpoint):
        yield f"{name} is big-endian: read to the meta device first, torch swaps bytes that do not exist."


def _refused_formats(
    checkpoint: Checkpoint, era: TransformersEra, installed: frozenset[str]
) -> Iterator[str]:
    name, stated = checkpoint.name, _format_text(checkpoint)
    kind = _metadata_kind(checkpoint, era)
    if kind is FormatMetadata.REFUSED:
        yield f"The metadata of {name} gives {quoted(stated)} as its format, not pt."
    if kind is FormatMetadata.FOREIGN and not installed & _FRAMEWORKS.get(stated, frozenset()):
        yield f"{name} goes to the loader of {stated}, which is taken not to be installed."


def _refused_pickles(checkpoint: Checkpoint) -> Iterator[str]:
    name, pickle = checkpoint.name, checkpoint.pickle
    if checkpoint.format is CheckpointFormat.TORCH_TAR:
        yield f"{name} is a tar file of torch before 0.1.10, which torch reads only with weights_only=False."
    if pickle is not None and not pickle.tensor_only:
        yield f"{name} holds more than tensors, and weights_only=True refuses it: {_held(checkpoint)}"
    if pickle is not None and pickle.protocol >= _FRAMED:
        yield f"{name} has pickle protocol {pickle.protocol}, which weights_only=True refuses."


def _doubts(checkpoint: Checkpoint, era: TransformersEra) -> Iterator[str]:
    """Why nothing can be said of a file that is read."""
    name = checkpoint.name
    if checkpoint.pickle is not None and not checkpoint.pickle.tensor_only:
        yield f"{name} is unpickled without restraint, which runs what it names: {_held(checkpoint)}"
    is_safetensors = checkpoint.format is CheckpointFormat.SAFETENSORS
    if is_safetensors and _metadata_kind(checkpoint, era) is FormatMetadata.FOREIGN:
        stated = quoted(_format_text(checkpoint))
        yield f"{name} goes to the loader of {stated}, which embaudit does not know."


def _held(checkpoint: Checkpoint) -> str:
    reasons = checkpoint.pickle.reasons if checkpoint.pickle is not None else ()
    return reasons[0] if reasons else "no reason is known."


def is_big_endian(checkpoint: Checkpoint) -> bool:
    """Whether it was written on a big-endian machine."""
    return any(tensor.byte_order == "big" for tensor in checkpoint.tensors.values())


def _metadata_kind(checkpoint: Checkpoint, era: TransformersEra) -> FormatMetadata:
    if not checkpoint.metadata:
        return era.formats[""]
    stated = checkpoint.metadata.get("format")
    return era.formats.get(stated if isinstance(stated, str) and stated else "*", era.formats["*"])


def _format_text(checkpoint: Checkpoint) -> str:
    stated = checkpoint.metadata.get("format")
    return stated if isinstance(stated, str) else "nothing"
