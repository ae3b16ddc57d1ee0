"""A model of text-embeddings-inference, as data: its tensors, and the settings it wants.

Knows the shape of the rows, which are in `encoders` and `decoders`, and what they have in common.
"""

from collections.abc import Callable, Mapping

import attrs

from embaudit.loaders.candle_models import CandleModel
from embaudit.loaders.serde import Fields
from embaudit.model.frozen import JSON

Config = Mapping[str, JSON]

CUDA, CPU = "cuda", "cpu"
BACKENDS = (CUDA, CPU)

SIMPLE_POOLINGS = ("cls", "mean")
EVERY_POOLING = (*SIMPLE_POOLINGS, "last_token")


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
    cuda_poolings: tuple[str, ...] = EVERY_POOLING
    cpu_poolings: tuple[str, ...] = SIMPLE_POOLINGS
    doubts: Callable[[Config], tuple[str, ...]] = lambda _config: ()

    def poolings(self, backend: str) -> tuple[str, ...]:
        """The poolings that it has in a backend."""
        return self.cpu_poolings if backend == CPU else self.cuda_poolings


def source(file: str) -> str:
    """Where a model can be read, by the name of its file."""
    return (
        "https://github.com/huggingface/text-embeddings-inference/blob/v1.9.3/backends/candle/src/models/"
        f"{file}.rs"
    )


def norms(*ends: str, bias: bool = True) -> tuple[tuple[str, str], ...]:
    """What stands in for the tensors of norms: gamma for weights and beta for biases, if there are any."""
    weights = tuple((f"{end}.weight", f"{end}.gamma") for end in ends)
    return (*weights, *((f"{end}.bias", f"{end}.beta") for end in ends)) if bias else weights


def without_nulls(config: Config) -> dict[str, JSON]:
    """Null is the same as nothing for the fields that may be null, and a fault of the others."""
    return {name: value for name, value in config.items() if value is not None}
