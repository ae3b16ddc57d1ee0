"""What a model expects of its weights: named tensors with shapes, as data that a configuration fills in."""

import enum
from collections.abc import Callable, Mapping

import attrs

from embaudit.model.frozen import JSON, FrozenMapping, freeze_object, frozen_mapping


class Role(str, enum.Enum):
    """What depends on a tensor."""

    EMBEDDING = "embedding"
    """Every embedding: without the right values the vectors are wrong."""
    UNUSED = "unused"
    """No embedding: a pooler or a decoder, which the model class has and embedding does not run."""
    BUFFER = "buffer"
    """A constant that the code computes (`position_ids`, `inv_freq`); old versions stored some of them."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen
class TensorPattern:
    """One tensor of an architecture, or a family of them over the layers.

    Attributes:
        name: The name, with placeholders for repeated parts: `encoder.layer.{layer}.output.dense.weight`.
        shape: One text per dimension, outermost first: a number, the name of a size, or a product of both
            (`3*hidden_size`). A size is a field of the configuration or one that the architecture derives.
        role: What depends on it.
        when: The size that must be true or above 0 for the tensor to exist; empty for always. With `!` before
            it, the tensor exists where the size is 0 or false.
        first: The first number that its placeholder takes; later ones go up to the count, not included.
        every: The size that says how many numbers make a period, where only the second of each period (those
            with remainder 1) has the tensor; nowhere if that size is 0. With `!` before it, all others have
            it. Empty for no periods. Its name has one placeholder.
    """

    name: str
    shape: tuple[str, ...]
    role: Role = Role.EMBEDDING
    when: str = ""
    first: int = 0
    every: str = ""


Sizes = Mapping[str, int]
"""Names of sizes to their values; truths are 0 and 1."""


def _derive_nothing(_config: Mapping[str, JSON]) -> Sizes:
    return FrozenMapping()


@attrs.frozen(kw_only=True)
class Architecture:
    """A model class, described by its tensors.

    Attributes:
        name: Its name here, unique. Where one model has two namings, each is an architecture.
        model_types: The values of `model_type` in `config.json` that mean it.
        class_name: The class that has these tensors (`BertModel`).
        base_prefix: What checkpoints of task models put before each name, without the dot (`bert`): the
            class's `base_model_prefix`. Empty if there is none.
        patterns: Its tensors.
        repeats: Placeholder to the size that counts its numbers: `{"layer": "num_hidden_layers"}`.
        defaults: The values that the configuration class has for fields that `config.json` leaves out.
        aliases: Other spellings that `config.json` may use, to the field that is meant: the class's
            `attribute_map`.
        derive: Sizes that are no field themselves, from the complete configuration.
        tied: Groups of names that are one tensor in the model; a file needs any one of a group.
        ignored: Regular expressions; a stored name that no tensor takes and in which one is found goes
            unreported: the class's `_keys_to_ignore_on_load_unexpected`.
        remote_code: Repositories whose code defines the class, for one that transformers does not have.
        source: Where this was read: URL with version.
    """

    name: str
    model_types: tuple[str, ...]
    class_name: str
    base_prefix: str
    patterns: tuple[TensorPattern, ...]
    repeats: Mapping[str, str] = attrs.field(
        factory=lambda: FrozenMapping({"layer": "num_hidden_layers"}), converter=frozen_mapping
    )
    defaults: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    aliases: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    derive: Callable[[Mapping[str, JSON]], Sizes] = _derive_nothing
    tied: tuple[tuple[str, ...], ...] = ()
    ignored: tuple[str, ...] = ()
    remote_code: tuple[str, ...] = ()
    source: str


@attrs.frozen
class ExpectedTensor:
    """A tensor that one configured model expects.

    Attributes:
        name: As the model class names it, without the base prefix.
        shape: Sizes in elements, outermost first.
        role: What depends on it.
    """

    name: str
    shape: tuple[int, ...]
    role: Role = Role.EMBEDDING


@attrs.frozen(kw_only=True)
class ExpectedModel:
    """Everything that one configured model expects of its weights.

    Attributes:
        architecture: The architecture that was configured.
        tensors: Name to tensor, in the order of the architecture. Buffers are among them, marked by their
            role: whether one is stored depends on the version of the library.
    """

    architecture: Architecture
    tensors: Mapping[str, ExpectedTensor] = attrs.field(converter=frozen_mapping)
