"""ModernBERT, as transformers has it."""

from embaudit.architectures.patterns import linear, norm, table
from embaudit.model.architecture import Architecture

_LAYER = "layers.{layer}"

MODERNBERT = Architecture(
    name="modernbert",
    model_types=("modernbert",),
    class_name="ModernBertModel",
    base_prefix="model",
    patterns=(
        *table("embeddings.tok_embeddings", "vocab_size", "hidden_size"),
        *norm("embeddings.norm", "hidden_size", bias="norm_bias"),
        # The first layer takes what the norm of the embeddings gives, and has none of its own here.
        *norm(f"{_LAYER}.attn_norm", "hidden_size", bias="norm_bias", first=1),
        *linear(f"{_LAYER}.attn.Wqkv", "3*hidden_size", "hidden_size", bias="attention_bias"),
        *linear(f"{_LAYER}.attn.Wo", "hidden_size", "hidden_size", bias="attention_bias"),
        *norm(f"{_LAYER}.mlp_norm", "hidden_size", bias="norm_bias"),
        *linear(f"{_LAYER}.mlp.Wi", "2*intermediate_size", "hidden_size", bias="mlp_bias"),
        *linear(f"{_LAYER}.mlp.Wo", "hidden_size", "intermediate_size", bias="mlp_bias"),
        *norm("final_norm", "hidden_size", bias="norm_bias"),
    ),
    defaults={
        "vocab_size": 50368,
        "hidden_size": 768,
        "num_hidden_layers": 22,
        "intermediate_size": 1152,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
    },
    source="https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/modernbert/modeling_modernbert.py",
)
"""`ModernBertModel`."""
