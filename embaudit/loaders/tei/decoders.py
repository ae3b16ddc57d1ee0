"""The decoders of text-embeddings-inference: Mistral, Llama, Qwen, Gemma, and what is built on them.

Knows one row for each model and for each way in which a version had it, as in `encoders`.

Source: the `load` functions under
https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3/backends/candle/src/models, and the pull
requests that are named beside the rows.
"""

import attrs

from embaudit.architectures.gemma3_text import GEMMA3_TEXT
from embaudit.architectures.llama import LLAMA
from embaudit.architectures.mistral import MISTRAL
from embaudit.architectures.qwen2 import QWEN2
from embaudit.architectures.qwen3 import QWEN3
from embaudit.loaders.candle_models import Attempt, CandleModel, Part, prefixed
from embaudit.loaders.tei import configs
from embaudit.loaders.tei.models import EVERY_POOLING, Config, TeiModel, norms, source, without_nulls


def _sharing_the_width(config: Config) -> Config:
    """Heads that share the width among them, whatever `head_dim` says."""
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if not isinstance(width, int) or not isinstance(heads, int) or heads <= 0:
        return config
    return {**without_nulls(config), "head_dim": width // heads}


def _sharing_by_default(config: Config) -> Config:
    """As before, where `head_dim` says nothing."""
    return _sharing_the_width(config) if config.get("head_dim") is None else config


_RMS_NORMS = norms("norm", bias=False)
MISTRAL_ROW = TeiModel(
    model_types=MISTRAL.model_types,
    candle=CandleModel(
        name="mistral", architecture=MISTRAL, substitutes=_RMS_NORMS, source=source("flash_mistral")
    ),
    fields=configs.MISTRAL_CONFIG,
    complete=_sharing_the_width,
    cuda_only=True,
)
LLAMA_ROW = TeiModel(
    model_types=("llama", "llama_bidirec"),
    candle=CandleModel(
        name="llama",
        architecture=LLAMA,
        never_read=(r"_proj\.bias$",),
        substitutes=_RMS_NORMS,
        source=source("flash_mistral"),
    ),
    fields=configs.LLAMA_CONFIG,
    complete=_sharing_the_width,
    cuda_only=True,
)
OLD_QWEN2 = TeiModel(
    model_types=QWEN2.model_types,
    candle=CandleModel(
        name="qwen2",
        architecture=QWEN2,
        parts=(Part(prefixed("model.")),),
        substitutes=_RMS_NORMS,
        source=source("flash_qwen2"),
    ),
    fields=configs.WINDOWED_QWEN2_CONFIG,
    complete=_sharing_the_width,
    cuda_only=True,
)
_UNDER_MODEL = (Part((Attempt((("", "model."),), when_stored="model.embed_tokens.weight"), *prefixed(""))),)
QWEN2_ROW = attrs.evolve(
    OLD_QWEN2, candle=attrs.evolve(OLD_QWEN2.candle, parts=_UNDER_MODEL), fields=configs.QWEN2_CONFIG
)
"""https://github.com/huggingface/text-embeddings-inference/pull/546."""
QWEN3_ROW = TeiModel(
    model_types=QWEN3.model_types,
    candle=CandleModel(
        name="qwen3",
        architecture=QWEN3,
        parts=_UNDER_MODEL,
        never_read=(r"o_proj\.bias$",),
        substitutes=_RMS_NORMS,
        source=source("qwen3"),
    ),
    fields=configs.QWEN3_CONFIG,
    complete=_sharing_by_default,
    cpu_poolings=EVERY_POOLING,
)
GEMMA3_ROW = TeiModel(
    model_types=GEMMA3_TEXT.model_types,
    candle=CandleModel(
        name="gemma3_text", architecture=GEMMA3_TEXT, substitutes=_RMS_NORMS, source=source("gemma3")
    ),
    fields=configs.GEMMA3_CONFIG,
    complete=_sharing_by_default,
    dtype="float32",
    cpu_poolings=EVERY_POOLING,
)


def _needs_a_theta(config: Config) -> tuple[str, ...]:
    """That of `rope_parameters` is known to count for gte only."""
    if config.get("rope_theta") is not None:
        return ()
    return ("Where this version takes `rope_theta` from is not known, and `config.json` has none.",)


def _theta_anywhere(row: TeiModel) -> TeiModel:
    """The row where `rope_theta` may be missing, which then leaves a doubt."""
    return attrs.evolve(row, fields=configs.without_theta(row.fields), doubts=_needs_a_theta)


DECODERS_WITH_ANY_THETA = tuple(
    _theta_anywhere(row) for row in (MISTRAL_ROW, LLAMA_ROW, QWEN2_ROW, QWEN3_ROW)
)
PPLX_ROW = attrs.evolve(
    DECODERS_WITH_ANY_THETA[-1],
    model_types=("bidirectional_pplx_qwen3",),
    cuda_poolings=("mean",),
    cpu_poolings=("mean",),
)
