"""fastembed: models by name, each with an ONNX file of a repository of its own and a class that pools.

Knows which class stands for which name, release by release. Refuses to know the files, which lie in other
repositories than the one that is named.

Source: the modules of `fastembed/text` in the packages https://pypi.org/project/fastembed/0.5.1/ to
https://pypi.org/project/fastembed/0.9.1/; https://github.com/qdrant/fastembed/pull/436 changed classes.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.formats.fields import quoted
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.hidden_sizes import width
from embaudit.loaders.servers.listed import NOT_PREDICTED, without_weights
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import frozen_mapping
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository


@attrs.frozen(kw_only=True)
class FastembedClass:
    """How one class makes a vector of what a graph gives.

    Attributes:
        name: The class.
        pooling: How it pools; None if the graph does.
        normalize: Whether the vectors have length 1; None if the graph decides.
    """

    name: str
    pooling: tuple[PoolingMode, ...] | None
    normalize: bool | None


_CLS = FastembedClass(name="OnnxTextEmbedding", pooling=(PoolingMode.CLS,), normalize=True)
_MEAN = FastembedClass(name="PooledEmbedding", pooling=(PoolingMode.MEAN,), normalize=False)
_UNIT_MEAN = FastembedClass(name="PooledNormalizedEmbedding", pooling=(PoolingMode.MEAN,), normalize=True)
_LAST = FastembedClass(name="LastTokenNormalizedEmbedding", pooling=(PoolingMode.LAST_TOKEN,), normalize=True)
_BUILT_IN = FastembedClass(name="BuiltinSentenceEmbedding", pooling=None, normalize=None)


@attrs.frozen(kw_only=True)
class FastembedEra(Era):
    """The models of some releases.

    Attributes:
        classes: Name of a model, in small letters, to the class that stands for it.
    """

    classes: Mapping[str, FastembedClass] = attrs.field(converter=frozen_mapping)


def _named(kind: FastembedClass, organisation: str, *names: str) -> dict[str, FastembedClass]:
    return {f"{organisation}/{name}".lower(): kind for name in names}


_BGE = ("base-en", "base-en-v1.5", "large-en-v1.5", "small-en", "small-en-v1.5", "small-zh-v1.5")
_ALWAYS = {
    **_named(_CLS, "BAAI", *(f"bge-{name}" for name in _BGE)),
    **_named(_CLS, "mixedbread-ai", "mxbai-embed-large-v1"),
    **_named(
        _CLS, "snowflake", *(f"snowflake-arctic-embed-{size}" for size in ("xs", "s", "m", "m-long", "l"))
    ),
    **_named(_MEAN, "nomic-ai", "nomic-embed-text-v1.5", "nomic-embed-text-v1.5-Q", "nomic-embed-text-v1"),
    **_named(_UNIT_MEAN, "sentence-transformers", "all-MiniLM-L6-v2"),
    **_named(
        _UNIT_MEAN,
        "jinaai",
        *(
            f"jina-embeddings-v2-{name}"
            for name in ("base-en", "small-en", "base-de", "base-code", "base-zh")
        ),
        "jina-embeddings-v2-base-es",
    ),
    **_named(_UNIT_MEAN, "thenlper", "gte-base"),
}
_MULTILINGUAL = ("paraphrase-multilingual-MiniLM-L12-v2", "paraphrase-multilingual-mpnet-base-v2")
_0_5 = {
    **_ALWAYS,
    **_named(_CLS, "sentence-transformers", *_MULTILINGUAL),
    **_named(_CLS, "intfloat", "multilingual-e5-large"),
    **_named(_CLS, "thenlper", "gte-large"),
}
_0_6 = {
    **_ALWAYS,
    **_named(_MEAN, "sentence-transformers", *_MULTILINGUAL),
    **_named(_MEAN, "intfloat", "multilingual-e5-large"),
    **_named(_UNIT_MEAN, "thenlper", "gte-large"),
}
_0_8 = {
    **_0_6,
    **_named(_LAST, "Qwen", "Qwen3-Embedding-0.6B", "Qwen3-Embedding-0.6B-Q"),
    **_named(_BUILT_IN, "google", "embeddinggemma-300m"),
}


def _predict(repository: Repository, setting: Setting[FastembedEra]) -> Iterator[PredictedLoad]:
    name = repository.snapshot.repo_id
    kind = setting.era.classes.get(name.lower()) if name is not None else None
    yield attrs.evolve(_load(repository, name, kind), sources=setting.era.sources)


def _load(repository: Repository, name: str | None, kind: FastembedClass | None) -> PredictedLoad:
    if name is None:
        return without_weights(None, "It takes models by name, and this repository has none here.")
    if kind is None:
        reason = f"{quoted(name)} is none of the models of which embaudit knows how it embeds them."
        return without_weights(None, reason)
    pipeline = EmbeddingPipeline(
        pooling=kind.pooling,
        normalize=kind.normalize,
        max_seq_length=None,
        truncates=True,
        lowercase=None,
        dimension=width(repository.declaration.config),
        notes=(f"{kind.name} stands for this name, whatever the repository declares.",),
    )
    reason = f"It takes an ONNX file of a repository of its own; {NOT_PREDICTED}."
    return without_weights(pipeline, reason)


def _sources(version: str) -> tuple[str, ...]:
    return (f"https://pypi.org/project/fastembed/{version}/", "https://github.com/qdrant/fastembed/pull/436")


FASTEMBED: Loader[FastembedEra] = Loader(
    name="fastembed",
    releases=("0.5.0", "0.5.1", "0.6.0", "0.6.1", "0.7.0", "0.7.4", "0.8.1", "0.9.1"),
    eras=(
        FastembedEra(versions=">=0.5,<0.6", classes=_0_5, sources=_sources("0.5.1")),
        FastembedEra(versions=">=0.6,<0.8", classes=_0_6, sources=_sources("0.7.4")),
        FastembedEra(versions=">=0.8.1", classes=_0_8, sources=_sources("0.9.1")),
    ),
    predict=_predict,
)
"""`TextEmbedding(model_name)`."""
