"""What a server says of itself, held against what it should serve.

Only what both sides say is compared, and whatever is not is named with the reason: a server that was given a
folder knows no commit, and an OpenAI-style server tells next to nothing. Nothing here is proof: it is the
server's own word.
"""

from collections.abc import Mapping

import attrs

from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.files import Snapshot
from embaudit.model.probe import ServerCheck, ServerInfo, ServerMismatch, Wire
from embaudit.sources.base import shown

POOLING: Mapping[str, PoolingMode | None] = {
    "cls": PoolingMode.CLS,
    "mean": PoolingMode.MEAN,
    "last_token": PoolingMode.LAST_TOKEN,
    "lasttoken": PoolingMode.LAST_TOKEN,
    # A weight for each word of the vocabulary, which is no pooling that sentence-transformers' vectors have.
    "splade": None,
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


@attrs.frozen
class _Pair:
    """Both sides of a field, or why there are not both."""

    field: str
    expected: object = None
    served: object = None
    is_same: bool = False
    reason: str = ""


def check(
    info: ServerInfo | None, snapshot: Snapshot | None, pipeline: EmbeddingPipeline | None
) -> ServerCheck:
    """As `embaudit.embeddings.check_server`."""
    told = ServerInfo(wire=Wire.OPENAI) if info is None else info
    pairs = (
        _model_id(told, snapshot),
        _model_sha(told, snapshot),
        _pooling(told, pipeline),
        _length(told, pipeline),
    )
    compared = [pair for pair in pairs if not pair.reason]
    return ServerCheck(
        compared=tuple(pair.field for pair in compared),
        mismatches=tuple(
            _mismatch(pair.field, pair.expected, pair.served) for pair in compared if not pair.is_same
        ),
        not_compared={pair.field: pair.reason for pair in pairs if pair.reason},
    )


def changes(golden: ServerInfo, current: ServerInfo) -> tuple[ServerMismatch, ...]:
    """What a server says of itself now, and did not."""
    pairs = ((field, getattr(golden, field), getattr(current, field)) for field in _WHY)
    return tuple(
        _mismatch(field, old or "nothing", new or "nothing") for field, old, new in pairs if old != new
    )


_SILENT = "the server does not say"
_NOT_DECLARED = "it is not known what it should be"


def _model_id(info: ServerInfo, snapshot: Snapshot | None) -> _Pair:
    names = frozenset() if snapshot is None else {name.lower() for name in snapshot.names}
    if info.model_id is None:
        return _Pair("model_id", reason=_SILENT)
    if snapshot is None or not names:
        return _Pair("model_id", reason=_NOT_DECLARED)
    # A path is no name: the server was given a folder. Nor is a name without an organisation one of the hub.
    if info.model_id.count("/") != 1 or info.model_id[0] in "./~":
        return _Pair("model_id", reason=f"'{shown(info.model_id)}' is no name of a repository")
    is_same = info.model_id.lower() in names
    if is_same and info.wire is Wire.OPENAI and not info.document:
        return _Pair(
            "model_id", reason="the server lists no models; the name is the one that it was asked for"
        )
    return _Pair("model_id", snapshot.repo_id or min(names), info.model_id, is_same)


def _model_sha(info: ServerInfo, snapshot: Snapshot | None) -> _Pair:
    if info.model_sha is None:
        return _Pair("model_sha", reason=_SILENT)
    if snapshot is None or snapshot.commit is None:
        return _Pair("model_sha", reason=_NOT_DECLARED)
    return _Pair("model_sha", snapshot.commit, info.model_sha, info.model_sha == snapshot.commit)


def _pooling(info: ServerInfo, pipeline: EmbeddingPipeline | None) -> _Pair:
    if info.pooling is None:
        return _Pair("pooling", reason=_SILENT)
    if info.pooling.lower() not in POOLING:
        return _Pair(
            "pooling", reason=f"embaudit does not know '{shown(info.pooling)}', which the server says"
        )
    if pipeline is None or pipeline.pooling is None:
        return _Pair("pooling", reason=_not_declared(pipeline))
    expected = " + ".join(mode.value for mode in pipeline.pooling) or "none"
    is_same = pipeline.pooling == (POOLING[info.pooling.lower()],)
    return _Pair("pooling", expected, info.pooling, is_same)


def _length(info: ServerInfo, pipeline: EmbeddingPipeline | None) -> _Pair:
    if info.max_input_length is None:
        return _Pair("max_input_length", reason=_SILENT)
    if pipeline is None or pipeline.max_seq_length is None:
        return _Pair("max_input_length", reason=_not_declared(pipeline))
    lengths = pipeline.max_seq_length, info.max_input_length
    return _Pair("max_input_length", *lengths, lengths[0] == lengths[1])


def _not_declared(pipeline: EmbeddingPipeline | None) -> str:
    notes = () if pipeline is None else pipeline.notes
    return "; ".join((_NOT_DECLARED, *notes))


def _mismatch(field: str, expected: object, served: object) -> ServerMismatch:
    return ServerMismatch(field=field, expected=str(expected), served=str(served), why=_WHY[field])
