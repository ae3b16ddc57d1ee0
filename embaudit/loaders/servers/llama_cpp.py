"""llama.cpp: `convert_hf_to_gguf.py` and then `llama-server --embedding`.

Knows what the converter writes into a GGUF file of pooling and Dense. Refuses to know what the server is told
beside the file. There are builds instead of versions: the state that was read goes by its month.

Source: `_try_set_pooling_type` in `conversion/base.py` of https://github.com/ggml-org/llama.cpp, and
https://github.com/ggml-org/llama.cpp/pull/16367.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.hidden_sizes import width
from embaudit.loaders.sentence_transformers.steps import FLAGS
from embaudit.loaders.servers.listed import (
    NOT_PREDICTED,
    folders_of,
    lists,
    settings_in,
    without_weights,
)
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

_ORDER = ("pooling_mode_mean_tokens", "pooling_mode_cls_token", "pooling_mode_lasttoken")
"""The first one that is true counts; a file that lacks one of those that are looked at ends in an error."""


def _predict(repository: Repository, setting: Setting[Era]) -> Iterator[PredictedLoad]:
    folder = next(folders_of(repository, "Pooling", former=True), None)
    mode, fault = (None, "") if folder is None else _mode(settings_in(repository, folder))
    if fault:
        reason = f"The conversion ends in an error: {fault} in `{folder}/config.json`."
        load = PredictedLoad(loader="", outcome=Outcome.REFUSED, reasons=(reason,))
    else:
        pipeline = _pipeline(repository, mode)
        load = without_weights(pipeline, f"It runs a conversion; {NOT_PREDICTED}.")
    yield attrs.evolve(load, sources=setting.era.sources)


def _mode(settings: Mapping[str, JSON]) -> tuple[PoolingMode | None, str]:
    """The mode that is written, and what is wrong with the settings if something is."""
    for name in _ORDER:
        if name not in settings:
            return None, f"there is no `{name}`"
        if settings[name]:
            return FLAGS[name], ""
    return None, "no mode that it knows is true"


def _pipeline(repository: Repository, mode: PoolingMode | None) -> EmbeddingPipeline:
    notes = ["`llama-server` gives vectors of length 1; other programs with the same file may not."]
    if mode is None:
        notes.append("How to pool is not written into the file, so that the command line decides.")
    if lists(repository, "Dense"):
        notes.append("Dense modules are left out without `--sentence-transformers-dense-modules`.")
    return EmbeddingPipeline(
        pooling=None if mode is None else (mode,),
        normalize=True,
        max_seq_length=None,
        lowercase=None,
        dimension=width(repository.declaration.config),
        notes=tuple(notes),
    )


LLAMA_CPP: Loader[Era] = Loader(
    name="llama.cpp",
    aliases=("llama-server",),
    releases=("26.7",),
    eras=(
        Era(
            versions=">=26.7",
            sources=(
                "https://github.com/ggml-org/llama.cpp/blob/master/conversion/base.py",
                "https://github.com/ggml-org/llama.cpp/pull/16367",
            ),
        ),
    ),
    predict=_predict,
)
"""The converter and the server."""
