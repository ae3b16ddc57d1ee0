"""The pipeline of a loader as text: what becomes of a text on its way to a vector, apart from the weights."""

from collections.abc import Iterator

from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline
from embaudit.report.columns import wrapped

_PROMPTS_SHOWN = 5
"""Prompts that are named; the JSON form has all of them, with their texts."""


def pipeline_lines(pipeline: EmbeddingPipeline, *, indent: int = 2) -> Iterator[str]:
    """One paragraph of what is known of a pipeline, and one for each of its notes.

    Args:
        pipeline: The pipeline.
        indent: Spaces before each line.
    """
    for sentence in pipeline_sentences(pipeline):
        yield from wrapped(sentence, indent=indent)


def pipeline_sentences(pipeline: EmbeddingPipeline) -> Iterator[str]:
    """What is known of a pipeline, and then each of its notes."""
    yield f"text to vector: {'; '.join(_parts(pipeline))}."
    yield from pipeline.notes


def _parts(pipeline: EmbeddingPipeline) -> Iterator[str]:
    yield _pooling(pipeline)
    if pipeline.dense:
        yield f"then {', '.join(map(_dense, pipeline.dense))}"
    if pipeline.pooling != ():
        yield _scale(pipeline)
    if pipeline.max_seq_length is not None:
        yield f"texts end at {pipeline.max_seq_length:,} tokens{_beyond(pipeline)}"
    if pipeline.lowercase is not None:
        yield "texts are lowercased" if pipeline.lowercase else "texts are taken as they are"
    if pipeline.default_prompt is not None:
        yield f"the prompt {pipeline.default_prompt!r} is put before every text"
    elif pipeline.prompts:
        names = [*pipeline.prompts]
        more = ", ..." if len(names) > _PROMPTS_SHOWN else ""
        yield f"prompts by name: {', '.join(names[:_PROMPTS_SHOWN])}{more}"


def _pooling(pipeline: EmbeddingPipeline) -> str:
    if pipeline.pooling is None:
        return "how it pools is not known"
    if not pipeline.pooling:
        return "a vector for each token"
    kept = "" if pipeline.include_prompt else ", the prompt left out"
    return f"pooled by {' and '.join(map(str, pipeline.pooling))}{kept}"


def _dense(layer: DenseLayer) -> str:
    activation = layer.activation.rpartition(".")[2]
    return f"Dense {layer.path} with {activation or 'no activation'}"


def _scale(pipeline: EmbeddingPipeline) -> str:
    scale = {True: "of length 1", False: "of any length", None: "of a length that is not known"}
    size = "" if pipeline.dimension is None else f" of {pipeline.dimension:,} components,"
    return f"vectors{size} {scale[pipeline.normalize]}"


def _beyond(pipeline: EmbeddingPipeline) -> str:
    told = {True: ", longer ones are cut", False: ", longer ones are refused", None: ""}
    return told[pipeline.truncates]
