"""Which weight files transformers opens in a folder, and what keeps it from reading them.

The order is that of `embaudit.model.weights` in every release. Knows headers and the listing, no names of
tensors.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import attrs
from packaging.specifiers import SpecifierSet

from embaudit.loaders.transformers.eras import FormatMetadata, NamedWeights, TransformersEra
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.files import FileKind, FileState, Snapshot
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome
from embaudit.model.repository import Repository
from embaudit.model.weights import preferred_weights

_WEIGHT_KINDS = {FileKind.WEIGHTS, FileKind.WEIGHTS_INDEX, FileKind.FOREIGN_WEIGHTS}
_UNSEEN = {FileState.BROKEN_LINK, FileState.LOOPING_LINK}
_EXPORTS = ("onnx", "openvino")
"""Folders in which a model's exports for other runtimes lie."""
_TENSORFLOW = ("tf_model.h5", "model.ckpt.index")
_FLAX = ("flax_model.msgpack",)


@attrs.frozen(kw_only=True)
class WeightChoice:
    """The weights that are opened, or why none are.

    Attributes:
        checkpoint: Their header; None if there is nothing to be read.
        name: The file or index that was chosen; empty if none was.
        outcome: How it ends if not in a load: `refused` or `unknown`; None where it goes on.
        reasons: Why, and what else there is to say of the file.
    """

    checkpoint: Checkpoint | None = None
    name: str = ""
    outcome: Outcome | None = None
    reasons: tuple[str, ...] = ()

    @property
    def is_torch_file(self) -> bool:
        """Whether torch reads it, and not safetensors."""
        return bool(self.name) and not _is_safetensors_name(self.name)

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are opened, of shards the index too; sorted."""
        if self.checkpoint is None:
            return (self.name,) if self.name else ()
        return tuple(sorted({self.name, *self.checkpoint.files}))


def choose_weights(
    repository: Repository, era: TransformersEra, folder: str, config: Mapping[str, JSON]
) -> WeightChoice:
    """The weights that `from_pretrained` opens in a folder.

    Args:
        repository: Everything about the repository.
        era: The release.
        folder: Path of the folder without a slash at its end; empty for the root.
        config: The folder's `config.json`.
    """
    named = config.get("transformers_weights")
    if era.named_weights is not NamedWeights.IGNORED and named is not None:
        return _named_weights(repository, era, folder, named)
    seen = [path for path, entry in repository.snapshot.files.items() if entry.state not in _UNSEEN]
    name = preferred_weights(seen, folder)
    if name is None:
        return _refused("", _no_weights(repository.snapshot, folder))
    return _opened(repository, era, name)


def _refused(name: str, reason: str) -> WeightChoice:
    return WeightChoice(name=name, outcome=Outcome.REFUSED, reasons=(reason,))


def _no_weights(snapshot: Snapshot, folder: str) -> str:
    for names, framework in ((_TENSORFLOW, "TensorFlow"), (_FLAX, "Flax")):
        found = next((name for name in names if _inside(folder, name) in snapshot.files), None)
        if found is not None:
            return f"The only weights are {framework}'s, {found}, which it does not read by default."
    where = f"the folder {folder!r}" if folder else "the root"
    return f"There is no model.safetensors, no pytorch_model.bin and no index of either in {where}."


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _named_weights(repository: Repository, era: TransformersEra, folder: str, named: JSON) -> WeightChoice:
    field = "transformers_weights of config.json"
    if not isinstance(named, str) or not named.endswith((".safetensors", ".safetensors.index.json")):
        return _refused("", f"{field} is {named!r}, which is no safetensors file or index.")
    path = _resolved(folder, named)
    if path is None or (folder and not path.startswith(f"{folder}/")):
        if era.named_weights is NamedWeights.CONTAINED:
            return _refused("", f"{field} is {named!r}, which lies outside the folder of the model.")
        reason = f"{field} is {named!r}; what lies outside the folder of the model, embaudit cannot see."
        return WeightChoice(outcome=Outcome.UNKNOWN, reasons=(reason,))
    if path not in repository.snapshot.files:
        return _refused("", f"{field} is {named!r}, and there is no such file.")
    choice = _opened(repository, era, path)
    return attrs.evolve(choice, reasons=(f"{field} names the weights: {named}.", *choice.reasons))


def _resolved(folder: str, named: str) -> str | None:
    """The path inside the repository that `named` leads to, or None if it leads out of it."""
    parts: list[str] = list(PurePosixPath(folder).parts)
    for part in PurePosixPath(named).parts:
        if part == "/" or (part == ".." and not parts):
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _opened(repository: Repository, era: TransformersEra, name: str) -> WeightChoice:
    checkpoint = repository.checkpoints.get(name)
    if checkpoint is None:
        return _unread(repository, name)
    refusal = next(_refusals(checkpoint, era), None)
    if refusal is not None:
        return attrs.evolve(_refused(name, refusal), checkpoint=checkpoint)
    doubt = next(_doubts(checkpoint, era), None)
    if doubt is not None:
        return WeightChoice(checkpoint=checkpoint, name=name, outcome=Outcome.UNKNOWN, reasons=(doubt,))
    return WeightChoice(checkpoint=checkpoint, name=name)


def _unread(repository: Repository, name: str) -> WeightChoice:
    unreadable = repository.unreadable.get(name)
    if unreadable is None:
        reason = f"{name} was not read, so that embaudit does not know what it holds."
        return WeightChoice(name=name, outcome=Outcome.UNKNOWN, reasons=(reason,))
    if unreadable.limit:
        reason = f"{name} exceeds a limit of embaudit's: {unreadable.problem}."
        return WeightChoice(name=name, outcome=Outcome.UNKNOWN, reasons=(reason,))
    return _refused(name, f"{name} cannot be read: {unreadable.problem}.")


def _refusals(checkpoint: Checkpoint, era: TransformersEra) -> Iterator[str]:
    """Why a file whose header can be read is refused all the same."""
    name = checkpoint.name
    if checkpoint.missing_files:
        yield f"{name} names {checkpoint.missing_files[0]}, which is not there."
    is_safetensors = checkpoint.format is CheckpointFormat.SAFETENSORS
    if is_safetensors is not _is_safetensors_name(name):
        yield f"{name} is a {checkpoint.format} file, which is not what its name says."
    if is_safetensors and _metadata_kind(checkpoint, era) is FormatMetadata.REFUSED:
        yield f"The metadata of {name} gives {_format_text(checkpoint)} as its format, not pt."
    if era.tensors_only and checkpoint.format is CheckpointFormat.TORCH_TAR:
        yield f"{name} is a tar file of torch before 0.1.10, which torch reads only with weights_only=False."
    if era.tensors_only and checkpoint.pickle is not None and not checkpoint.pickle.tensor_only:
        yield f"{name} holds more than tensors, and weights_only=True refuses it: {_held(checkpoint)}"
    if era.reads_to_meta and _is_big_endian(checkpoint):
        yield f"{name} is big-endian: read to the meta device first, torch swaps bytes that do not exist."


def _doubts(checkpoint: Checkpoint, era: TransformersEra) -> Iterator[str]:
    """Why nothing can be said of a file that is read."""
    name = checkpoint.name
    if checkpoint.pickle is not None and not checkpoint.pickle.tensor_only:
        yield f"{name} is unpickled without restraint, which runs what it names: {_held(checkpoint)}"
    is_safetensors = checkpoint.format is CheckpointFormat.SAFETENSORS
    if is_safetensors and _metadata_kind(checkpoint, era) is FormatMetadata.FOREIGN:
        framework = _format_text(checkpoint)
        yield f"{name} goes to the loader of {framework}, which embaudit does not know."


def _held(checkpoint: Checkpoint) -> str:
    reasons = checkpoint.pickle.reasons if checkpoint.pickle is not None else ()
    return reasons[0] if reasons else "no reason is known."


def _is_safetensors_name(name: str) -> bool:
    return name.endswith((".safetensors", ".safetensors.index.json"))


def _is_big_endian(checkpoint: Checkpoint) -> bool:
    return any(tensor.byte_order == "big" for tensor in checkpoint.tensors.values())


def _metadata_kind(checkpoint: Checkpoint, era: TransformersEra) -> FormatMetadata:
    if not checkpoint.metadata:
        return era.formats[""]
    stated = checkpoint.metadata.get("format")
    key = stated if isinstance(stated, str) and stated in era.formats and stated else "*"
    return era.formats[key]


def _format_text(checkpoint: Checkpoint) -> str:
    stated = checkpoint.metadata.get("format")
    return stated if isinstance(stated, str) else "nothing"


def torch_answers(choice: WeightChoice, era: TransformersEra, torch: SpecifierSet | None) -> tuple[bool, ...]:
    """Whether the torch beneath reads the file: one truth for each answer that `torch` leaves open.

    Args:
        choice: The weights; only torch's own files ask for a version.
        era: The release, and the torch that it asks for.
        torch: The versions that the caller speaks of; None for one that is new enough.
    """
    if not era.torch or not choice.is_torch_file or torch is None:
        return (True,)
    wanted = SpecifierSet(era.torch)
    named = {spec.version for spec in torch if spec.operator == "=="}
    candidates = [version for version in (*_TORCH_RELEASES, *named) if torch.contains(version)]
    return tuple(sorted({wanted.contains(version) for version in candidates})) or (True,)


_TORCH_RELEASES = tuple(
    f"{series}.0" for series in ("1.9", "1.10", "1.11", "1.12", "1.13", *(f"2.{n}" for n in range(14)))
)


def other_weights(snapshot: Snapshot, folder: str, used: tuple[str, ...]) -> tuple[str, ...]:
    """The model's other weight files: those of the folder and of its exports that are not opened, sorted."""
    folders = {folder, *(_inside(folder, name) for name in _EXPORTS)}
    return tuple(
        sorted(
            path
            for path, entry in snapshot.files.items()
            if entry.kind in _WEIGHT_KINDS and path.rpartition("/")[0] in folders and path not in used
        )
    )
