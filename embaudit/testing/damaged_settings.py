"""Kinds of damage to `config.json`: fields that are changed, added or left out."""

from collections.abc import Callable
from typing import Any

from embaudit.testing.damaged_tensors import TinyModel

Settings = Callable[[TinyModel], dict[str, Any] | None]
"""A kind of damage to `config.json`; None where the file is left out."""


def unchanged(model: TinyModel) -> dict[str, Any]:
    """The configuration as it is."""
    return dict(model.config)


def left_out(_model: TinyModel) -> None:
    """No such file."""


def with_fields(**fields: Any) -> Settings:
    """With these fields added or replaced."""
    return lambda model: {**model.config, **fields}


def without_field(field: str) -> Settings:
    """Without a field."""
    return lambda model: {name: value for name, value in model.config.items() if name != field}


def with_layers(count: Callable[[int], Any]) -> Settings:
    """With another number of layers than are stored, as a function of theirs."""

    def change(model: TinyModel) -> dict[str, Any]:
        counts = set(model.architecture.repeats.values())
        aliases = model.architecture.aliases
        fields = [field for field in model.config if aliases.get(field, field) in counts]
        return {**model.config, **{field: count(model.config[field]) for field in fields}}

    return change


def with_width(factor: int) -> Settings:
    """With a hidden size so many times as large as what is stored."""

    def change(model: TinyModel) -> dict[str, Any]:
        fields = [field for field in ("hidden_size", "d_model", "dim", "n_embd") if field in model.config]
        return {**model.config, **{field: model.config[field] * factor for field in fields}}

    return change
