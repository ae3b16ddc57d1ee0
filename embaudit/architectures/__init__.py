"""The tensors that models expect: one frozen `Architecture` a file, and how a configuration fills it in."""

from embaudit.architectures.bert import BERT
from embaudit.architectures.expanding import complete_config, expected_model
from embaudit.model.architecture import Architecture

ARCHITECTURES: dict[str, Architecture] = {architecture.name: architecture for architecture in (BERT,)}
"""Every architecture that is known, by its name here."""


def architectures_of(model_type: str | None) -> tuple[Architecture, ...]:
    """The architectures that a `model_type` may mean: none if unknown, two where a model has two namings."""
    return tuple(known for known in ARCHITECTURES.values() if model_type in known.model_types)


__all__ = ["ARCHITECTURES", "architectures_of", "complete_config", "expected_model"]
