"""transformers.js: the `feature-extraction` pipeline in a browser or in node.

Knows that it gives the vectors of tokens unless its caller asks for more, at one state of the code. Refuses
to know the ONNX files that it runs, and what callers ask for.

Source: `FeatureExtractionPipeline` in
https://github.com/huggingface/transformers.js/tree/4.0.1/packages/transformers/src/pipelines.
"""

from collections.abc import Iterator

import attrs

from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.plain_pipelines import token_vectors
from embaudit.loaders.servers.listed import NOT_PREDICTED, lists, without_weights
from embaudit.loaders.tokenizers import declared_tokenizer
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository

_OPTIONS = "`pooling` and `normalize` are options of each call; `last_token` takes padding for a token."


def _predict(repository: Repository, setting: Setting[Era]) -> Iterator[PredictedLoad]:
    plain = token_vectors(repository, "The pipeline", own_tokenizer=False)
    pipeline = attrs.evolve(
        plain,
        max_seq_length=declared_tokenizer(repository.declaration).max_length,
        truncates=True,
        notes=(
            "The pipeline gives a vector for each token if it is called without options.",
            _OPTIONS,
            *(["Dense modules are not applied."] if lists(repository, "Dense") else []),
        ),
    )
    reason = f"It runs an ONNX file of the repository, in 8 bits by default in browsers; {NOT_PREDICTED}."
    yield attrs.evolve(without_weights(pipeline, reason), sources=setting.era.sources)


TRANSFORMERS_JS: Loader[Era] = Loader(
    name="transformers.js",
    releases=("4.0.1",),
    eras=(Era(versions=">=4.0.1", sources=("https://github.com/huggingface/transformers.js/tree/4.0.1",)),),
    predict=_predict,
)
"""The library."""
