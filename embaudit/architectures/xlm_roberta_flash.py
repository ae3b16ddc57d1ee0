"""Jina's third embedding model in the naming of its own repositories: jinaai/xlm-roberta-flash-implementation."""

from collections.abc import Mapping

from embaudit.architectures.patterns import Patterns, linear, norm, table, tensor
from embaudit.architectures.sizes import take_size
from embaudit.errors import FormatError
from embaudit.formats.fields import ARRAY, TEXT, take
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layers.{layer}"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    multiple = take_size(config, "pad_vocab_size_multiple")
    if multiple == 0:
        raise FormatError("nothing is a multiple of 0", "pad_vocab_size_multiple")
    absolute = take(config, "position_embedding_type", TEXT) == "absolute"
    return {
        "vocab_size": -(-take_size(config, "vocab_size") // multiple) * multiple,
        "n_positions": take_size(config, "max_position_embeddings") if absolute else 0,
        "n_adaptations": _n_adaptations(config),
    }


def _n_adaptations(config: Mapping[str, JSON]) -> int:
    if config.get("lora_adaptations") is None:
        return 0
    return len(take(config, "lora_adaptations", ARRAY))


def _adapted(module: str, shape: tuple[str, str], down: tuple[str, str], up: tuple[str, str]) -> Patterns:
    """The weight of a module: as it is, or under a parametrization that adds the product of two more."""
    name, when = f"{module}.parametrizations.weight", "n_adaptations"
    return (
        *tensor(f"{module}.weight", *shape, when=f"!{when}"),
        *tensor(f"{name}.original", *shape, when=when),
        *tensor(f"{name}.0.lora_A", "n_adaptations", *down, when=when),
        *tensor(f"{name}.0.lora_B", "n_adaptations", *up, when=when),
    )
