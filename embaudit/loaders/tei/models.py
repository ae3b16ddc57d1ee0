"""The models of text-embeddings-inference: which tensors each wants, under which prefixes, and of which settings.

Knows one row for each model and for each way in which a version had it. The rows are of the candle backend; the
models of the CUDA images with flash attention want the same tensors as those without.

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
from embaudit.architectures.gemma3_text import GEMMA3_TEXT
from embaudit.architectures.jina_bert_v2 import JINA_BERT_V2
from embaudit.architectures.jina_bert_v2_qk_post_norm import JINA_BERT_V2_QK_POST_NORM
from embaudit.architectures.llama import LLAMA
from embaudit.architectures.mistral import MISTRAL
from embaudit.architectures.modernbert import MODERNBERT
from embaudit.architectures.mpnet import MPNET
from embaudit.architectures.new import NEW
from embaudit.architectures.nomic_bert_remote import NOMIC_BERT_REMOTE
from embaudit.architectures.qwen2 import QWEN2
from embaudit.architectures.qwen3 import QWEN3
from embaudit.architectures.roberta import ROBERTA
from embaudit.architectures.xlm_roberta import XLM_ROBERTA
from embaudit.loaders.candle_models import Attempt, CandleModel, Part, prefixed
from embaudit.loaders.tei import configs
from embaudit.loaders.tei.fields import Fields
from embaudit.model.architecture import Architecture, Sizes
from embaudit.model.frozen import JSON

Config = Mapping[str, JSON]

CUDA, CPU = "cuda", "cpu"
BACKENDS = (CUDA, CPU)

_SIMPLE = ("cls", "mean")
_EVERY = (*_SIMPLE, "last_token")


def _as_it_is(config: Config) -> Config:
    return config


def _any(_config: Config) -> bool:
    return True


@attrs.frozen(kw_only=True)
class TeiModel:
    """A model of text-embeddings-inference, in some of its versions.

    Attributes:
        model_types: The values of `model_type` that may mean it.
        candle: Its tensors.
        fields: What `config.json` has to have for it.
        means: Whether a configuration with such a type means this model.
        complete: The configuration with what its code takes for granted, for the shapes of its tensors.
        cuda_only: Whether the CPU images refuse it.
        dtype: What it computes in wherever it runs; empty for what the image does.
        cuda_poolings: The poolings that it has in CUDA images.
        cpu_poolings: Those in CPU images.
        doubts: What embaudit does not know of this model, one sentence each.
    """

    model_types: tuple[str, ...]
    candle: CandleModel
    fields: Fields
    means: Callable[[Config], bool] = _any
    complete: Callable[[Config], Config] = _as_it_is
    cuda_only: bool = False
    dtype: str = ""
    cuda_poolings: tuple[str, ...] = _EVERY
    cpu_poolings: tuple[str, ...] = _SIMPLE
    doubts: Callable[[Config], tuple[str, ...]] = lambda _config: ()

    def poolings(self, backend: str) -> tuple[str, ...]:
        """The poolings that it has in a backend."""
        return self.cpu_poolings if backend == CPU else self.cuda_poolings


_MODELS = "https://github.com/huggingface/text-embeddings-inference/blob/{tag}/backends/candle/src/models/{file}.rs"

_LAYER_NORMS = (
    *((f"{norm}.weight", f"{norm}.gamma") for norm in ("LayerNorm", "layernorm", "_ln", "layer_norm")),
    *((f"{norm}.bias", f"{norm}.beta") for norm in ("LayerNorm", "layernorm", "_ln", "layer_norm")),
)
"""`LayerNorm::load` takes gamma for the weight and beta for the bias where those fail, whatever the norm's name."""
