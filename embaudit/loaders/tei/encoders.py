"""The encoders of text-embeddings-inference: BERT and its kin, Jina's, Nomic's, GTE, ModernBERT, DeBERTa.

Knows one row for each model and for each way in which a version had it. The rows are of the candle backend;
the models of the CUDA images with flash attention want the same tensors as those without.

Source: the `load` functions under
https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3/backends/candle/src/models, and the pull
requests that are named beside the rows.
"""

from collections.abc import Callable, Mapping

import attrs

from embaudit.architectures.bert import BERT
from embaudit.architectures.camembert import CAMEMBERT
from embaudit.architectures.deberta_v2 import DEBERTA_V2
from embaudit.architectures.distilbert import DISTILBERT
from embaudit.architectures.jina_bert_v2 import JINA_BERT_V2
from embaudit.architectures.jina_bert_v2_qk_post_norm import JINA_BERT_V2_QK_POST_NORM
from embaudit.architectures.modernbert import MODERNBERT
from embaudit.architectures.mpnet import MPNET
from embaudit.architectures.new import NEW
from embaudit.architectures.nomic_bert_remote import NOMIC_BERT_REMOTE
from embaudit.architectures.roberta import ROBERTA
from embaudit.architectures.xlm_roberta import XLM_ROBERTA
from embaudit.loaders.candle_models import Attempt, CandleModel, Part, prefixed
from embaudit.loaders.tei import configs
from embaudit.loaders.tei.models import SIMPLE_POOLINGS, Config, TeiModel, norms, source, without_nulls
from embaudit.model.architecture import Architecture, Sizes


def _gated_jina(config: Config) -> Config:
    """Jina's models, whose feed-forward part is taken to be gated."""
    positions = config.get("position_embedding_type", "absolute")
    return {**without_nulls(config), "feed_forward_type": "geglu", "position_embedding_type": positions}


def _packed_gte(config: Config) -> Config:
    """GTE with packed attention and norms that have biases."""
    return {**without_nulls(config), "pack_qkv": True, "layer_norm_type": "layer_norm"}


def _nomic_sizes(config: Config) -> Sizes:
    """The sizes that TEI works out: nothing is rounded up, and all but gelu is taken for gated."""
    gated = config.get("activation_function") != "gelu"
    biased = bool(config.get("mlp_fc1_bias"))
    inner, experts = config.get("n_inner"), config.get("moe_every_n_layers")
    return {
        "learned_positions": 0,
        "gated": int(gated),
        "gated_bias": int(gated and biased),
        "plain_bias": int(not gated and biased),
        "inner": inner if isinstance(inner, int) else -1,
        "moe_every_n_layers": experts if isinstance(experts, int) else 0,
    }


_ARCHITECTURE = attrs.evolve(NOMIC_BERT_REMOTE, derive=_nomic_sizes)


def _bert_like(architecture: Architecture, *prefixes: str) -> CandleModel:
    return CandleModel(
        name=architecture.name,
        architecture=architecture,
        parts=(Part(prefixed(*prefixes)),),
        substitutes=norms("LayerNorm"),
        source=source("bert"),
    )


def _bert_row(architecture: Architecture, *prefixes: str) -> TeiModel:
    return TeiModel(
        model_types=architecture.model_types,
        candle=_bert_like(architecture, *prefixes),
        fields=configs.BERT_CONFIG,
    )


_ROBERTA_PREFIXES = ("", "roberta.", "xlm-roberta.", "camembert.")
OLD_BERT, OLD_XLM_ROBERTA, OLD_CAMEMBERT = (
    _bert_row(architecture, "", "{model_type}.") for architecture in (BERT, XLM_ROBERTA, CAMEMBERT)
)
BERTS_BEFORE_1 = tuple(
    _bert_row(architecture, "", "{model_type}.", "roberta.")
    for architecture in (BERT, ROBERTA, XLM_ROBERTA, CAMEMBERT)
)
BERTS = (
    _bert_row(BERT, "", "bert."),
    *(_bert_row(architecture, *_ROBERTA_PREFIXES) for architecture in (ROBERTA, XLM_ROBERTA, CAMEMBERT)),
)


def _is_alibi(config: Config) -> bool:
    return config.get("position_embedding_type") == "alibi"


_JINA, _JINA_CODE = "jinaai/jina-bert-implementation", "jinaai/jina-bert-v2-qk-post-norm"


def _is_named(repository: str) -> Callable[[Config], bool]:
    return lambda config: config.get("_name_or_path") == repository


def _is_named_or_mapped(repository: str) -> Callable[[Config], bool]:
    """https://github.com/huggingface/text-embeddings-inference/pull/559: a copy may say it in `auto_map`."""

    def means(config: Config) -> bool:
        mapped = config.get("auto_map")
        code = mapped.get("AutoConfig") if isinstance(mapped, Mapping) else None
        return config.get("_name_or_path") == repository or (isinstance(code, str) and repository in code)

    return means


JINA_BY_POSITIONS = TeiModel(
    model_types=("bert",),
    candle=CandleModel(
        name="jina_bert_v2",
        architecture=JINA_BERT_V2,
        parts=(Part(prefixed("", "bert.")),),
        substitutes=norms("LayerNorm", "layernorm"),
        source=source("jina"),
    ),
    fields=configs.JINA_CONFIG,
    means=_is_alibi,
    complete=_gated_jina,
)
_JINA_CODE_MODEL = CandleModel(
    name="jina_bert_v2_qk_post_norm",
    architecture=JINA_BERT_V2_QK_POST_NORM,
    parts=(Part(prefixed("", "bert.")),),
    substitutes=norms("LayerNorm", "layer_norm_q", "layer_norm_k", "layer_norm_1", "layer_norm_2"),
    source=source("jina_code"),
)
JINA_BY_NAME = (
    attrs.evolve(JINA_BY_POSITIONS, means=_is_named(_JINA)),
    attrs.evolve(JINA_BY_POSITIONS, candle=_JINA_CODE_MODEL, means=_is_named(_JINA_CODE)),
)
JINA_BY_NAME_OR_MAP = (
    attrs.evolve(JINA_BY_NAME[0], means=_is_named_or_mapped(_JINA)),
    attrs.evolve(JINA_BY_NAME[1], means=_is_named_or_mapped(_JINA_CODE)),
)

PLAIN_NOMIC = TeiModel(
    model_types=("nomic_bert",),
    candle=CandleModel(
        name="nomic_bert_remote",
        architecture=_ARCHITECTURE,
        substitutes=norms("emb_ln", "norm1", "norm2"),
        source=source("nomic"),
    ),
    fields=configs.PLAIN_NOMIC_CONFIG,
)
NOMIC = attrs.evolve(PLAIN_NOMIC, fields=configs.NOMIC_CONFIG)


def _distilbert(*folders: tuple[str, str]) -> TeiModel:
    attempts = (Attempt((("transformer.", layers), ("", others))) for others, layers in folders)
    return TeiModel(
        model_types=DISTILBERT.model_types,
        candle=CandleModel(
            name="distilbert",
            architecture=DISTILBERT,
            parts=(Part(tuple(attempts)),),
            substitutes=norms("LayerNorm", "layer_norm"),
            source=source("distilbert"),
        ),
        fields=configs.DISTILBERT_CONFIG,
    )


OLD_DISTILBERT = _distilbert(("", "encoder."), ("distilbert.", "distilbert.transformer."))
DISTILBERT_ROW = _distilbert(
    ("", "encoder."), ("distilbert.", "distilbert.transformer."), ("", "transformer.")
)
"""https://github.com/huggingface/text-embeddings-inference/pull/614."""

MPNET_ROW = TeiModel(
    model_types=MPNET.model_types,
    candle=CandleModel(
        name="mpnet",
        architecture=MPNET,
        parts=(Part(prefixed("", "mpnet.")),),
        substitutes=norms("LayerNorm"),
        source=source("mpnet"),
    ),
    fields=configs.MPNET_CONFIG,
    cuda_poolings=SIMPLE_POOLINGS,
)

CUDA_GTE = TeiModel(
    model_types=("new",),
    candle=CandleModel(
        name="new",
        architecture=NEW,
        substitutes=norms("LayerNorm", "attn_ln", "mlp_ln"),
        source=source("gte"),
    ),
    fields=configs.NTK_GTE_CONFIG,
    complete=_packed_gte,
    cuda_only=True,
)
OLD_GTE = attrs.evolve(CUDA_GTE, cuda_only=False)
GTE = attrs.evolve(
    OLD_GTE,
    model_types=("new", "gte"),
    candle=attrs.evolve(CUDA_GTE.candle, parts=(Part(prefixed("new.", "")),)),
)
"""https://github.com/huggingface/text-embeddings-inference/pull/538."""
SCALED_GTE = attrs.evolve(GTE, fields=configs.GTE_CONFIG)


def _without_theta(config: Config) -> tuple[str, ...]:
    if config.get("rope_theta") is None and config.get("rope_parameters") is None:
        return ("`config.json` has neither `rope_theta` nor `rope_parameters`.",)
    return ()


PARAMETERS_GTE = attrs.evolve(
    SCALED_GTE,
    candle=attrs.evolve(SCALED_GTE.candle, restrictions=_without_theta),
    fields=configs.ROPE_PARAMETERS_GTE_CONFIG,
)

MODERNBERT_ROW = TeiModel(
    model_types=MODERNBERT.model_types,
    candle=CandleModel(
        name="modernbert",
        architecture=MODERNBERT,
        parts=tuple(
            Part(prefixed("model.", ""), (begins,)) for begins in ("embeddings.", "layers.", "final_norm.")
        ),
        never_read=(r"norm\.bias$",),
        optional=(r"\.(attn|mlp)\.\w+\.bias$",),
        substitutes=norms("norm", bias=False),
        source=source("modernbert"),
    ),
    fields=configs.MODERNBERT_CONFIG,
    complete=without_nulls,
)


def _without_pooler_act(config: Config) -> tuple[str, ...]:
    """An `Option` with a reader of its own is required, says serde: https://serde.rs/field-attrs.html."""
    if "pooler_hidden_act" in config:
        return ()
    return ("`config.json` lacks `pooler_hidden_act`, and whether this version refuses that is not known.",)


DEBERTA_ROW = TeiModel(
    model_types=DEBERTA_V2.model_types,
    candle=CandleModel(
        name="deberta-v2",
        architecture=DEBERTA_V2,
        parts=tuple(Part(prefixed("", "deberta."), (begins,)) for begins in ("embeddings.", "encoder.")),
        substitutes=norms("LayerNorm"),
        source=source("debertav2"),
    ),
    fields=configs.DEBERTA_CONFIG,
    complete=without_nulls,
    cuda_poolings=SIMPLE_POOLINGS,
    doubts=_without_pooler_act,
)
