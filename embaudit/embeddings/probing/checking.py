"""What a server says of itself, held against what it should serve.

Only what both sides say is compared: a server that was given a folder knows no commit, and an OpenAI-style
server tells next to nothing.
"""

from collections.abc import Iterator, Mapping

from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.files import Snapshot
from embaudit.model.probe import ServerInfo, ServerMismatch

POOLING: Mapping[str, PoolingMode] = {
    "cls": PoolingMode.CLS,
    "mean": PoolingMode.MEAN,
    "last_token": PoolingMode.LAST_TOKEN,
    "lasttoken": PoolingMode.LAST_TOKEN,
}
"""How TEI spells what it pools with:
https://github.com/huggingface/text-embeddings-inference/blob/v1.7.0/backends/core/src/lib.rs, `Pool`."""

_WHY: Mapping[str, str] = {
    "model_id": "another model gives unrelated vectors",
    "model_sha": "another commit may hold other weights or settings",
    "dtype": "another type rounds otherwise",
    "pooling": "other pooling gives another direction",
    "max_input_length": "longer texts are cut elsewhere, or refused",
    "version": "another version may read or compute otherwise",
}


def check(
    info: ServerInfo, snapshot: Snapshot | None, pipeline: EmbeddingPipeline | None
) -> tuple[ServerMismatch, ...]:
    """As `embaudit.embeddings.check_server`."""
    found: list[ServerMismatch] = []
    if snapshot is not None:
        found += _against_snapshot(info, snapshot)
    if pipeline is not None:
        found += _against_pipeline(info, pipeline)
    return tuple(found)


def changes(golden: ServerInfo, current: ServerInfo) -> tuple[ServerMismatch, ...]:
    """What a server says of itself now, and did not."""
    pairs = ((field, getattr(golden, field), getattr(current, field)) for field in _WHY)
    return tuple(
        _mismatch(field, old or "nothing", new or "nothing") for field, old, new in pairs if old != new
    )


def _against_snapshot(info: ServerInfo, snapshot: Snapshot) -> Iterator[ServerMismatch]:
    names = {name.lower() for name in snapshot.names}
    # A path is no name: the server was given a folder.
    named = info.model_id is not None and info.model_id.count("/") == 1 and info.model_id[0] not in "./~"
    if named and names and str(info.model_id).lower() not in names:
        yield _mismatch("model_id", snapshot.repo_id or min(names), info.model_id)
    if info.model_sha and snapshot.commit and info.model_sha != snapshot.commit:
        yield _mismatch("model_sha", snapshot.commit, info.model_sha)


def _against_pipeline(info: ServerInfo, pipeline: EmbeddingPipeline) -> Iterator[ServerMismatch]:
    served = None if info.pooling is None else POOLING.get(info.pooling.lower())
    if served is not None and pipeline.pooling is not None and pipeline.pooling != (served,):
        expected = " + ".join(mode.value for mode in pipeline.pooling) or "none"
        yield _mismatch("pooling", expected, info.pooling)
    lengths = info.max_input_length, pipeline.max_seq_length
    if None not in lengths and lengths[0] != lengths[1]:
        yield _mismatch("max_input_length", lengths[1], lengths[0])


def _mismatch(field: str, expected: object, served: object) -> ServerMismatch:
    return ServerMismatch(field=field, expected=str(expected), served=str(served), why=_WHY[field])
