"""Jina's third embedding model in the naming of its remote code, with LoRA or without."""

from collections.abc import Mapping

from embaudit.architectures.patterns import Patterns, norm, table, tensor
from embaudit.architectures.sizes import take_integer, take_size
from embaudit.formats.fields import ARRAY, TEXT, take
from embaudit.model.architecture import Architecture, Role, Sizes
from embaudit.model.frozen import JSON

_LAYER = "encoder.layers.{layer}"


def _sizes(config: Mapping[str, JSON]) -> Sizes:
    multiple = take_integer(config, "pad_vocab_size_multiple", least=1)
    adaptations = config.get("lora_adaptations")
    n_adaptations = 0 if adaptations is None else len(take(config, "lora_adaptations", ARRAY))
    absolute = take(config, "position_embedding_type", TEXT) == "absolute"
    present = {
        "always": True,
        "positions": absolute and take_size(config, "max_position_embeddings") > 0,
        "types": take_size(config, "type_vocab_size") > 0,
    }
    return {
        "vocab_size": -(-take_size(config, "vocab_size") // multiple) * multiple,
        "n_adaptations": n_adaptations,
        **{f"plain_{part}": int(there and n_adaptations == 0) for part, there in present.items()},
        **{f"adapted_{part}": int(there and n_adaptations > 0) for part, there in present.items()},
    }


def _adapted_linear(module: str, n_out: str, n_in: str, role: Role = Role.EMBEDDING) -> Patterns:
    """A linear layer, whose weight may be under a parametrization that adds the product B A of two more."""
    name = f"{module}.parametrizations.weight"
    return (
        *tensor(f"{module}.weight", n_out, n_in, role=role, when="plain_always"),
        *tensor(f"{name}.original", n_out, n_in, role=role, when="adapted_always"),
        *tensor(f"{name}.0.lora_A", "n_adaptations", "lora_rank", n_in, role=role, when="adapted_always"),
        *tensor(f"{name}.0.lora_B", "n_adaptations", n_out, "lora_rank", role=role, when="adapted_always"),
        *tensor(f"{module}.bias", n_out, role=role),
    )


def _adapted_table(module: str, rows: str, present: str) -> Patterns:
    """An embedding, whose weight may be under a parametrization that adds the product A B of two more."""
    name = f"embeddings.{module}.parametrizations.weight"
    when = f"adapted_{present}"
    return (
        *table(f"embeddings.{module}", rows, "hidden_size", when=f"plain_{present}"),
        *tensor(f"{name}.original", rows, "hidden_size", when=when),
        *tensor(f"{name}.0.lora_A", "n_adaptations", rows, "lora_rank", when=when),
        *tensor(f"{name}.0.lora_B", "n_adaptations", "lora_rank", "hidden_size", when=when),
    )


XLM_ROBERTA_FLASH = Architecture(
    name="xlm_roberta_flash",
    model_types=("xlm-roberta",),
    class_name="XLMRobertaLoRA",
    base_prefix="roberta",
    patterns=(
        *_adapted_table("word_embeddings", "vocab_size", "always"),
        *_adapted_table("position_embeddings", "max_position_embeddings", "positions"),
        *_adapted_table("token_type_embeddings", "type_vocab_size", "types"),
        *norm("emb_ln", "hidden_size"),
        *_adapted_linear(f"{_LAYER}.mixer.Wqkv", "3*hidden_size", "hidden_size"),
        *_adapted_linear(f"{_LAYER}.mixer.out_proj", "hidden_size", "hidden_size"),
        *norm(f"{_LAYER}.norm1", "hidden_size"),
        *_adapted_linear(f"{_LAYER}.mlp.fc1", "intermediate_size", "hidden_size"),
        *_adapted_linear(f"{_LAYER}.mlp.fc2", "hidden_size", "intermediate_size"),
        *norm(f"{_LAYER}.norm2", "hidden_size"),
        *_adapted_linear("pooler.dense", "hidden_size", "hidden_size", Role.UNUSED),
    ),
    defaults={
        "vocab_size": 250002,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "intermediate_size": 4096,
        "max_position_embeddings": 8194,
        "type_vocab_size": 1,
        "position_embedding_type": "rotary",
        "pad_vocab_size_multiple": 1,
        "lora_rank": 4,
    },
    derive=_sizes,
    remote_code=("jinaai/xlm-roberta-flash-implementation",),
    source="https://huggingface.co/jinaai/xlm-roberta-flash-implementation/blob/main/modeling_lora.py",
)
"""`XLMRobertaLoRA` (`modeling_lora.py`), and the `XLMRobertaModel` that it wraps where there is no LoRA.

The wrapped model's names stand here without `roberta.`; with LoRA, files and messages have that before each.
`model_type` is `xlm-roberta`, as that of a plain XLM-RoBERTa: only `auto_map` tells them apart. Every
embedding depends on the `original` weights, on the LoRA tensors only those that are made for a task; they are
marked alike. TEI has no such model.

Verified: names and shapes against copies of the python code, and against the mapping that another program has
for jina-embeddings-v3; that transformers 5.23 maps all of them without LoRA onto its own
`JinaEmbeddingsV3Model`, by loading them. Not verified: no code of the repository was run, and its commit is
not known.
"""
