"""The encoder of T5, as transformers has it by itself."""

from embaudit.architectures.t5 import T5_ALIASES, T5_DEFAULTS, T5_ENCODER_PATTERNS, t5_sizes
from embaudit.model.architecture import Architecture

T5_ENCODER = Architecture(
    name="t5_encoder",
    model_types=("t5",),
    class_name="T5EncoderModel",
    base_prefix="transformer",
    patterns=T5_ENCODER_PATTERNS,
    repeats={"layer": "num_layers"},
    defaults=T5_DEFAULTS,
    aliases=T5_ALIASES,
    derive=t5_sizes,
    tied=(("shared.weight", "encoder.embed_tokens.weight"),),
    ignored=("decoder",),
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/t5/modeling_t5.py",
)
"""`T5EncoderModel`, which sentence-transformers takes for `model_type` `t5`; `AutoModel` takes `T5Model`."""
