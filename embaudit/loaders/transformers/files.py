"""Which weight files transformers opens in a folder.

The order is that of `embaudit.model.weights` in every release. Whether it can read them is for
`embaudit.loaders.transformers.checks`.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import attrs

from embaudit.formats.fields import quoted, quoted_value
from embaudit.loaders.listing import exists, weights_beside
from embaudit.loaders.transformers.eras import NamedWeights, TransformersEra
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.files import Snapshot
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome
from embaudit.model.repository import Repository
from embaudit.model.weights import preferred_weights

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
        return any(not file.endswith(".safetensors") for file in self.files if not file.endswith(".json"))

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are opened, of shards the index too; sorted."""
        if self.checkpoint is None:
            return (self.name,) if self.name else ()
        return tuple(sorted({self.name, *self.checkpoint.files}))


def choose_weights(
    repository: Repository,
    era: TransformersEra,
    folder: str,
    config: Mapping[str, JSON],
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
    seen = [path for path in repository.snapshot.files if exists(repository.snapshot, path)]
    name = preferred_weights(seen, folder)
    if name is None:
        return _refused("", _no_weights(repository.snapshot, folder))
    return _opened(repository, name)


def _refused(name: str, reason: str) -> WeightChoice:
    return WeightChoice(name=name, outcome=Outcome.REFUSED, reasons=(reason,))


def _no_weights(snapshot: Snapshot, folder: str) -> str:
    for names, framework in ((_TENSORFLOW, "TensorFlow"), (_FLAX, "Flax")):
        found = next((name for name in names if _inside(folder, name) in snapshot.files), None)
        if found is not None:
            return f"The only weights are {framework}'s, {found}, which it does not read by default."
    where = f"the folder {quoted(folder)}" if folder else "the root"
    return f"There is no model.safetensors, no pytorch_model.bin and no index of either in {where}."


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _named_weights(repository: Repository, era: TransformersEra, folder: str, named: JSON) -> WeightChoice:
    field = "transformers_weights of config.json"
    if not isinstance(named, str) or not named.endswith((".safetensors", ".safetensors.index.json")):
        return _refused("", f"{field} is {quoted_value(named)}, which is no safetensors file or index.")
    path = _resolved(folder, named)
    if path is None:
        return _refused("", f"{field} is {quoted(named)}, which leads out of the repository.")
    if era.named_weights is NamedWeights.CONTAINED and not path.startswith(_inside(folder, "")):
        return _refused("", f"{field} is {quoted(named)}, which lies outside the folder of the model.")
    if path not in repository.snapshot.files:
        return _refused("", f"{field} is {quoted(named)}, and there is no such file.")
    choice = _opened(repository, path)
    return attrs.evolve(choice, reasons=(f"{field} names the weights: {quoted(named)}.", *choice.reasons))


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


def _opened(repository: Repository, name: str) -> WeightChoice:
    checkpoint = repository.checkpoints.get(name)
    return _unread(repository, name) if checkpoint is None else WeightChoice(checkpoint=checkpoint, name=name)


def _unread(repository: Repository, name: str) -> WeightChoice:
    unreadable = repository.unreadable.get(name)
    if unreadable is None:
        reason = f"{name} was not read, so that embaudit does not know what it holds."
        return WeightChoice(name=name, outcome=Outcome.UNKNOWN, reasons=(reason,))
    if unreadable.limit:
        reason = f"{name} exceeds a limit of embaudit's: {unreadable.problem}."
        return WeightChoice(name=name, outcome=Outcome.UNKNOWN, reasons=(reason,))
    return _refused(name, f"{name} cannot be read: {unreadable.problem}.")


def other_weights(snapshot: Snapshot, folder: str, used: tuple[str, ...]) -> tuple[str, ...]:
    """The model's other weight files: those of the folder and of its exports that are not opened, sorted."""
    folders = {folder, *(_inside(folder, name) for name in _EXPORTS)}
    return weights_beside(snapshot, used, folders=folders)
