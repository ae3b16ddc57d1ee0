"""infinity-emb: a server that runs sentence-transformers, or an ONNX file of the repository.

Knows what its two engines for dense vectors do with a text, in 0.0.77 and 0.0.78: `torch` runs the modules of
sentence-transformers, `optimum` a graph for ONNX Runtime. Refuses to know which release of
sentence-transformers lies beneath: the newest is supposed.

Source: `transformer/embedder/sentence_transformer.py`, `transformer/embedder/optimum.py` and `primitives.py`
of the package, https://pypi.org/project/infinity-emb/0.0.77/.
"""

from collections.abc import Iterator

import attrs

from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.hidden_sizes import positions, width
from embaudit.loaders.sentence_transformers.predict import declared_pipeline
from embaudit.loaders.servers.listed import NOT_PREDICTED, without_weights
from embaudit.loaders.tokenizers import declared_tokenizer
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

_TORCH, _OPTIMUM = "torch", "optimum"
_GRAPH = ".onnx"
_SOURCES = tuple(f"https://pypi.org/project/infinity-emb/{version}/" for version in ("0.0.77", "0.0.78"))


def _predict(repository: Repository, setting: Setting[Era]) -> Iterator[PredictedLoad]:
    load = _with_modules(repository) if setting.backend == _TORCH else _with_graph(repository)
    yield attrs.evolve(load, sources=setting.era.sources)


def _with_modules(repository: Repository) -> PredictedLoad:
    return without_weights(_of_modules(repository), f"It runs sentence-transformers; {NOT_PREDICTED}.")


def _with_graph(repository: Repository) -> PredictedLoad:
    if not any(path.endswith(_GRAPH) for path in repository.snapshot.files):
        reason = "The repository has no ONNX file."
        return PredictedLoad(loader="", outcome=Outcome.REFUSED, reasons=(reason,))
    reason = f"It runs an ONNX file of the repository; {NOT_PREDICTED}."
    return without_weights(_of_graph(repository), reason)


def _of_modules(repository: Repository) -> EmbeddingPipeline:
    """Modules are run one after the other, without `encode`: no prompt, nothing cut, always normalised."""
    declared = declared_pipeline(repository)
    cut = declared.truncate_dim is not None
    return attrs.evolve(
        declared,
        normalize=True if declared.pooling is not None else None,
        prompts={},
        default_prompt=None,
        dimension=None if cut else declared.dimension,
        truncate_dim=None,
        similarity=None,
        failure="",
    )


def _of_graph(repository: Repository) -> EmbeddingPipeline:
    """What the graph gives for the tokens, pooled by the first one unless the command line says otherwise."""
    declaration = repository.declaration
    tokenizer = declared_tokenizer(declaration)
    return EmbeddingPipeline(
        pooling=(PoolingMode.CLS,),
        normalize=True,
        max_seq_length=positions(declaration.config),
        truncates=True,
        lowercase=tokenizer.lowercase,
        dimension=width(declaration.config),
        padding_side=tokenizer.padding_side,
        notes=("`--pooling-method mean` pools by the mean; Pooling, Dense and prompts are not looked at.",),
    )


INFINITY: Loader[Era] = Loader(
    name="infinity-emb",
    aliases=("infinity",),
    releases=("0.0.77", "0.0.78"),
    eras=(Era(versions=">=0.0.77", sources=_SOURCES),),
    backends=(_TORCH, _OPTIMUM),
    predict=_predict,
)
"""The server."""
