"""Damaged repositories to test with: a table of named kinds, each written for any tiny model.

Loaders differ in what they make of a checkpoint that is not as its writer left it. Whoever wants to know what
their loader does writes each kind into a folder and looks::

    from embaudit.testing.damage import DAMAGES, write_damaged
    from embaudit.testing.damaged_tensors import tiny_model

    model = tiny_model("bert")
    for kind in DAMAGES:
        if write_damaged(kind, model, folder / kind):
            ...

A kind may change the tensors, the settings, the files, or several of them. What it means for a loader is not
said here. torch comes in on demand, where tensors are made and saved.
"""

from pathlib import Path

from embaudit.testing.damage_kinds import DAMAGES, FILE_DAMAGES, NAME_DAMAGES, Damage
from embaudit.testing.damaged_files import write_json
from embaudit.testing.damaged_settings import unchanged
from embaudit.testing.damaged_tensors import Tensors, TinyModel, intact

__all__ = ["DAMAGES", "FILE_DAMAGES", "NAME_DAMAGES", "Damage", "write_damaged"]


def write_damaged(kind: str, model: TinyModel, folder: Path) -> bool:
    """Write a model with one kind of damage as a repository.

    Args:
        kind: A key of `DAMAGES`.
        model: The model.
        folder: A folder, made if it is not there. Guessing loaders look at its path: give it a name that no
            model type is part of.

    Returns:
        Whether the kind is one for this model; if not (a layer norm renamed where there is none), nothing is
        written.
    """
    damage = DAMAGES[kind]
    tensors, config = damage.tensors(model), damage.config(model)
    changes_nothing = _same(tensors, model.tensors) and config == model.config
    if changes_nothing and (damage.tensors is not intact or damage.config is not unchanged):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        write_json(folder / "config.json", config)
    damage.files(tensors, folder)
    return True


def _same(left: Tensors, right: Tensors) -> bool:
    """Whether the very same tensors stand under the same names."""
    return left.keys() == right.keys() and all(left[name] is right[name] for name in left)
