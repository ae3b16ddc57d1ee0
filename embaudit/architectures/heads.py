"""Sizes of attention that a configuration may leave to be worked out: head size and key-value heads.

What is no whole number is left as it is found, so that whoever looks it up says which field is wrong.
"""

from collections.abc import Mapping

from embaudit.model.architecture import Sizes
from embaudit.model.frozen import JSON


def key_value_heads(config: Mapping[str, JSON]) -> Sizes:
    """As many key-value heads as heads, where the configuration says nothing or null."""
    heads = config.get("num_attention_heads")
    if config.get("num_key_value_heads") is None and isinstance(heads, int):
        return {"num_key_value_heads": heads}
    return {}


def attention_heads(config: Mapping[str, JSON]) -> Sizes:
    """Key-value heads, and a head size that is the width divided among the heads unless it is given."""
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    given = config.get("head_dim") is not None
    if given or not isinstance(width, int) or not isinstance(heads, int) or heads <= 0:
        return key_value_heads(config)
    return {**key_value_heads(config), "head_dim": width // heads}
