"""What text-embeddings-inference makes of a text, from its settings: `/embed` and `/v1/embeddings`.

Knows pooling, length and prompts as the server reads them with no other argument than the model, and that
both routes give vectors of length 1 unless a request to `/embed` asks for others. Refuses to know
`tokenizer.json`, which alone decides whether texts are lowercased.

Source: `router/src/lib.rs` and `core/src/tokenization.rs` in
https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3, and their states at the older tags that
the eras name.
"""

from collections.abc import Iterator, Mapping

from embaudit.loaders.hidden_sizes import positions, whole, width
from embaudit.loaders.listing import exists
from embaudit.loaders.tei.dense import listed_dense
from embaudit.loaders.tei.eras import TeiEra
from embaudit.loaders.tei.settings import LENGTH_FILES, PROMPTS, pooling_mode
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON
from embaudit.model.repository import Repository

_MODES = {"cls": PoolingMode.CLS, "mean": PoolingMode.MEAN, "last_token": PoolingMode.LAST_TOKEN}
_OFFSET_POSITIONS = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Model types whose first positions, up to that of the padding, no token takes."""
_BATCH_TOKENS = 16_384
"""`--max-batch-tokens` if it is not given: a text that is longer does not fit in."""
_ROUTES = (
    "`/v1/embeddings` always gives vectors of length 1; from 0.4 on a request to `/embed` may ask for others."
)
_FROM_GRAPH = (
    "Pooling is left to the graph where it gives a vector for the text, which embaudit does not read."
)
_POOLING_GIVEN = "How it pools is what `--pooling` says."


def pipeline_of(
    repository: Repository, era: TeiEra, dense: tuple[DenseLayer, ...], *, onnx: bool = False
) -> EmbeddingPipeline:
    """What the server makes of a text.

    Args:
        repository: What is served.
        era: The versions of the server.
        dense: The Dense modules that it applies.
        onnx: Whether ONNX Runtime computes, instead of candle.
    """
    declaration = repository.declaration
    mode = declared_mode(repository, era)
    size = dense[-1].out_features if dense else width(declaration.config)
    return EmbeddingPipeline(
        pooling=None if mode is None or onnx else (mode,),
        normalize=True,
        dense=dense,
        max_seq_length=_max_length(repository, era),
        truncates=era.truncates,
        lowercase=None,
        prompts=dict(_prompts(repository)) if era.prompts_file else {},
        dimension=None if onnx else size,
        notes=tuple(_notes(repository, mode, onnx=onnx)),
    )


def declared_mode(repository: Repository, era: TeiEra) -> PoolingMode | None:
    """How the server pools if its command line does not say; None if it does not start without."""
    return _MODES.get(pooling_mode(repository, era) or "")


def _notes(repository: Repository, mode: PoolingMode | None, *, onnx: bool) -> Iterator[str]:
    yield _ROUTES
    if onnx:
        yield _FROM_GRAPH
        if listed_dense(repository):
            yield "Dense modules are not applied."
    elif mode is None:
        yield _POOLING_GIVEN


def _max_length(repository: Repository, era: TeiEra) -> int | None:
    """What the file of a Transformer says, or what the model has positions for, if a batch holds as much."""
    documents = repository.declaration.documents
    named = (name for name in LENGTH_FILES if era.length_file and exists(repository.snapshot, name))
    path = next(named, "")
    settings = documents.get(path)
    limit = whole(settings.get("max_seq_length")) if isinstance(settings, Mapping) else None
    limit = _positions(repository.declaration.config) if not path else limit
    return min(limit, _BATCH_TOKENS) if limit is not None and era.truncates else limit


def _positions(config: Mapping[str, JSON]) -> int | None:
    limit = positions(config)
    padding = whole(config.get("pad_token_id"))
    if limit is None or padding is None or config.get("model_type") not in _OFFSET_POSITIONS:
        return limit
    return limit - (padding + 1)


def _prompts(repository: Repository) -> Iterator[tuple[str, str]]:
    """The prompts that a request can name; none is put before a text that asks for none."""
    settings = repository.declaration.documents.get(PROMPTS)
    prompts = settings.get("prompts") if isinstance(settings, Mapping) else None
    for name, text in prompts.items() if isinstance(prompts, Mapping) else ():
        if isinstance(text, str) and text:
            yield name, text
