"""vLLM as a server of embeddings: how it pools, whether it normalises, which Dense it applies.

Knows 0.11.0 and 0.33.0, which were read; between them it changed, and no release is listed. Refuses to know
its limits of length.

Source: `get_pooling_config` in `transformers_utils/config.py` and the poolers of
https://github.com/vllm-project/vllm/tree/v0.11.0 and https://github.com/vllm-project/vllm/tree/v0.33.0.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.hidden_sizes import whole, width
from embaudit.loaders.sentence_transformers.steps import FLAGS
from embaudit.loaders.servers.listed import (
    NOT_PREDICTED,
    flags_of,
    folders_of,
    lists,
    settings_in,
    without_weights,
)
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository

_FIRST_TOKEN = frozenset({"bert", "roberta", "xlm-roberta", "modernbert"})
"""Encoders that it pools by the first token if nothing says how."""
_DECODERS = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"})
_MODES = {str(mode): mode for mode in (PoolingMode.CLS, PoolingMode.MEAN, PoolingMode.LAST_TOKEN)}
_SAME_AS_MEAN = {PoolingMode.MEAN_SQRT_LEN: PoolingMode.MEAN}
"""What 0.33 takes for the mean."""


@attrs.frozen(kw_only=True)
class VllmEra(Era):
    """How some releases read the files of sentence-transformers.

    Attributes:
        former_only: Whether types of modules are known by their names up to 5.3 only.
        last_flag_wins: Whether the last flag that is true counts, instead of the first.
        named_modes: Whether `pooling_mode` is read.
        dense: Whether Dense modules are applied.
    """

    former_only: bool
    last_flag_wins: bool
    named_modes: bool
    dense: bool


def _predict(repository: Repository, setting: Setting[VllmEra]) -> Iterator[PredictedLoad]:
    era = setting.era
    config = repository.declaration.config
    stored = config.get("dtype", config.get("torch_dtype", "float32"))
    load = without_weights(
        _pipeline(repository, era),
        f"For this loader {NOT_PREDICTED}.",
        dtype="float16" if stored == "float32" else None,
    )
    yield attrs.evolve(load, sources=era.sources)


def _pipeline(repository: Repository, era: VllmEra) -> EmbeddingPipeline:
    config = repository.declaration.config
    listed = next(folders_of(repository, "Pooling", former=era.former_only), None)
    mode = None if listed is None else _declared_mode(settings_in(repository, listed), era)
    is_read = listed is not None and (mode is not None or era.named_modes)
    dense = tuple(_layers(repository)) if era.dense else ()
    notes = [] if is_read else ["How it pools is not read from the repository; the architecture decides."]
    if not era.dense and lists(repository, "Dense"):
        notes.append("Dense modules are not applied.")
    pooling = mode if is_read else _default_mode(config)
    return EmbeddingPipeline(
        pooling=None if pooling is None else (pooling,),
        normalize=lists(repository, "Normalize", former=era.former_only) if is_read else True,
        dense=dense,
        max_seq_length=None,
        lowercase=None,
        dimension=dense[-1].out_features if dense else width(config),
        notes=tuple(notes),
    )


def _declared_mode(settings: Mapping[str, JSON], era: VllmEra) -> PoolingMode | None:
    """The mode that the file of a Pooling asks for, among those that there are."""
    named = settings.get("pooling_mode")
    if era.named_modes and isinstance(named, str):
        return _MODES.get(named)
    if not era.last_flag_wins and _first_truth(settings) not in FLAGS:
        return None
    modes = [_SAME_AS_MEAN.get(mode, mode) for mode in flags_of(settings)]
    mode = modes[-1 if era.last_flag_wins else 0] if modes else None
    return mode if mode in _MODES.values() else None


def _first_truth(settings: Mapping[str, JSON]) -> str:
    """The first field that is true, of whatever name: `include_prompt` hides what comes after it."""
    return next((name for name, value in settings.items() if value is True), "")


def _default_mode(config: Mapping[str, JSON]) -> PoolingMode | None:
    model_type = config.get("model_type")
    if model_type in _FIRST_TOKEN:
        return PoolingMode.CLS
    return PoolingMode.LAST_TOKEN if model_type in _DECODERS else None


def _layers(repository: Repository) -> Iterator[DenseLayer]:
    """Dense modules; without an activation in the file, nothing is applied last."""
    for folder in folders_of(repository, "Dense"):
        settings = settings_in(repository, folder)
        activation = settings.get("activation_function")
        is_identity = not isinstance(activation, str) or activation.endswith(".Identity")
        yield DenseLayer(
            path=folder,
            in_features=whole(settings.get("in_features")),
            out_features=whole(settings.get("out_features")),
            bias=bool(settings.get("bias", True)),
            activation="" if is_identity else str(activation),
        )


VLLM: Loader[VllmEra] = Loader(
    name="vllm",
    releases=("0.11.0", "0.33.0"),
    eras=(
        VllmEra(
            versions="==0.11.0",
            sources=("https://github.com/vllm-project/vllm/tree/v0.11.0",),
            former_only=True,
            last_flag_wins=False,
            named_modes=False,
            dense=False,
        ),
        VllmEra(
            versions=">=0.33.0",
            sources=(
                "https://github.com/vllm-project/vllm/tree/v0.33.0",
                "https://github.com/vllm-project/vllm/pull/54533",
            ),
            former_only=False,
            last_flag_wins=True,
            named_modes=True,
            dense=True,
        ),
    ),
    predict=_predict,
)
"""The server, with `--runner pooling`."""
