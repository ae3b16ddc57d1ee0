"""Sizes of attention that a configuration may leave to be worked out: head size and key-value heads.

Where these are fields of their own, what is no whole number is left as it is found, so that whoever looks it
up says which field is wrong.
"""

from collections.abc import Mapping

from embaudit.architectures.sizes import take_size
from embaudit.errors import FormatError
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


def head_size(
    config: Mapping[str, JSON],
    width: str = "hidden_size",
    heads: str = "num_attention_heads",
    *,
    even: bool = True,
) -> int:
    """The width divided among the heads, in models that have no field for it.

    transformers 4 takes pruned heads out of the layers, 5 doesn't read `pruned_heads`: whoever asks about 5
    leaves that field out of the configuration
    (https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/modeling_utils.py).

    Args:
        config: The complete configuration.
        width: The field of the width.
        heads: The field of the number of heads.
        even: Whether the class insists that the heads share the width without a rest.

    Raises:
        FormatError: If they do not, or if some heads are pruned, so that layers differ in shape.
    """
    columns, n_heads = take_size(config, width), take_size(config, heads)
    if n_heads == 0 or (even and columns % n_heads):
        raise FormatError(f"{columns} is no multiple of the number of attention heads, {n_heads}", width)
    if config.get("pruned_heads"):
        raise FormatError("how the pruned heads change the shapes is not known", "pruned_heads")
    return columns // n_heads
