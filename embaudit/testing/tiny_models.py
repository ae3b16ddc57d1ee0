"""Configurations of models of a few kilobytes, one an architecture and more where options change the tensors.

torch comes in on demand, where weights are made; importing this module does not import it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from embaudit.architectures import ARCHITECTURES, expected_model
from embaudit.model.architecture import Role

TINY_CONFIGS: Mapping[str, tuple[Mapping[str, Any], ...]] = MappingProxyType(
    {
        "bert": (
            {
                "model_type": "bert",
                "architectures": ["BertModel"],
                "vocab_size": 40,
                "hidden_size": 16,
                "intermediate_size": 24,
                "max_position_embeddings": 20,
                "num_attention_heads": 2,
                "num_hidden_layers": 2,
                "type_vocab_size": 2,
                "hidden_act": "gelu",
                "layer_norm_eps": 1e-12,
                "pad_token_id": 0,
            },
        ),
    }
)
"""Architecture's name to configurations, each a complete `config.json`; the first one is the plainest. Sizes
differ from one another, so that a tensor with its dimensions swapped has another shape."""


def tiny_weights(name: str, config: Mapping[str, Any] | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Random float32 torch tensors for every parameter that a tiny model has, buffers left out.

    Args:
        name: The architecture's name.
        config: One of its configurations; the first one if it is left out.
        seed: The same seed gives the same values.
    """
    import torch  # noqa: PLC0415 - on demand

    generator = torch.Generator().manual_seed(seed)
    expected = expected_model(ARCHITECTURES[name], TINY_CONFIGS[name][0] if config is None else config)
    tensors = (tensor for tensor in expected.tensors.values() if tensor.role is not Role.BUFFER)
    return {tensor.name: torch.randn(tensor.shape, generator=generator) for tensor in tensors}
