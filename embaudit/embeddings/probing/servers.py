"""The two wire formats: what is asked, where vectors stand in the answer, what a server says of itself.

TEI: https://github.com/huggingface/text-embeddings-inference/blob/v1.7.0/docs/openapi.json, `/embed` and
`/info`. OpenAI: https://platform.openai.com/docs/api-reference/embeddings/create, as vLLM, infinity,
llama.cpp and TEI itself follow it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from embaudit.embeddings.documents import vectors_by_index, vectors_of
from embaudit.embeddings.measuring import Matrix
from embaudit.embeddings.probing.addresses import EXAMPLES, OPENAI_PATH, Address, parse_address
from embaudit.embeddings.probing.asking import SERVER_PATIENCE, Asker, RefusalError
from embaudit.embeddings.probing.backends import Answered
from embaudit.embeddings.probing.redacting import Secret
from embaudit.errors import FormatError, SourceError, UsageError
from embaudit.formats.fields import NUMBER, OBJECT, expect, inside
from embaudit.model.frozen import JSON
from embaudit.model.probe import ServerInfo, Wire
from embaudit.model.words import plural
from embaudit.sources.base import shown
from embaudit.sources.hub.patience import Patience

BATCH = 32
"""Texts of one request, unless a server says that it takes fewer: the default of TEI."""

LONGEST_SECONDS = 3600
"""The longest time that a caller may allow for one request."""

REFUSES_TEXTS = frozenset({400, 413, 422})
"""Statuses that refuse what was sent: TEI says 400 of nothing, 413 of texts that are too long or too many,
422 of what it cannot tokenize (`router/src/http/server.rs`, `impl From<&ErrorType> for StatusCode`)."""

_NOT_SERVED = frozenset({401, 403, 404, 405, 501})
_MOST_WORD = 200


class TeiServer:
    """A server that speaks the protocol of text-embeddings-inference."""

    wire = Wire.TEI

    def __init__(self, address: Address, asker: Asker) -> None:
        self.name = asker.secret.in_message(f"TEI server at {address.base}")
        said = asker.secret.in_value(expect(asker.get("/info"), OBJECT, "/info"))
        info = _tei_info(expect(said, OBJECT))
        self.info: ServerInfo | None = info
        self.batch = min(BATCH, info.max_batch or BATCH)
        self._asker = asker
        # Without this TEI refuses texts longer than its window, unless it was started with --auto-truncate.
        self._options: Mapping[str, JSON] = {"truncate": True, **address.options}

    def embed(self, texts: Sequence[str]) -> Answered:
        """The vectors of some texts, at most a batch; a refusal of these texts in the server's own words."""
        request = {"inputs": list(texts), **self._options}
        return _embedded(self._asker, "/embed", request, vectors_of, len(texts))


class OpenAiServer:
    """A server that speaks the protocol of OpenAI's embeddings."""

    wire = Wire.OPENAI

    def __init__(self, address: Address, asker: Asker) -> None:
        self.name = asker.secret.in_message(f"OpenAI-style server at {address.base}")
        self.batch = BATCH
        self._asker = asker
        models = _models(asker)
        model = address.options.get("model") or _only_model(models)
        self.info: ServerInfo | None = _openai_info(_entry_of(models, model), str(model), asker.secret)
        self._options: Mapping[str, JSON] = {"encoding_format": "float", **address.options, "model": model}

    def embed(self, texts: Sequence[str]) -> Answered:
        """The vectors of some texts, at most a batch; a refusal of these texts in the server's own words."""
        request = {"input": list(texts), **self._options}
        return _embedded(self._asker, "/embeddings", request, _by_index, len(texts))


def open_server(text: str, api_key: str | None, patience: Patience) -> TeiServer | OpenAiServer:
    """The server at an address, asked what it says of itself.

    Raises:
        UsageError: If the address is none.
        SourceError: If the server does not answer, or not as it must.
        FormatError: If it answers with something else than its protocol says.
    """
    address = parse_address(text)
    match address.wire:
        case Wire.TEI:
            return TeiServer(address, Asker(address.base, api_key, patience))
        case Wire.OPENAI:
            return OpenAiServer(address, Asker(address.base, api_key, patience))
        case None:
            return _recognised(address, api_key, patience)


def checked_key(api_key: object) -> str | None:
    """A key that can be sent.

    Raises:
        UsageError: If it cannot be one.
    """
    if api_key is None:
        return None
    if isinstance(api_key, str) and api_key and api_key.isascii() and api_key.isprintable():
        return api_key
    raise UsageError("the api_key holds characters that no key has, such as a newline at its end")


def patience_of(seconds: object) -> Patience:
    """The patience that gives a request so many seconds, and one for each 8 KiB of its answer.

    Args:
        seconds: More than 0; None for the usual patience.

    Raises:
        UsageError: If they are not.
    """
    if seconds is None:
        return SERVER_PATIENCE
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds <= LONGEST_SECONDS
    ):
        raise UsageError(f"a timeout is more than 0 and at most {LONGEST_SECONDS:,} seconds")
    return attrs.evolve(
        SERVER_PATIENCE,
        grace_seconds=seconds,
        read_seconds=seconds,
        ceiling=min(seconds, SERVER_PATIENCE.ceiling),
    )


def _recognised(address: Address, api_key: str | None, patience: Patience) -> TeiServer | OpenAiServer:
    """TEI if `/info` says so, else OpenAI if `/v1/models` lists models."""
    try:
        return TeiServer(address, Asker(address.base, api_key, patience))
    except (RefusalError, FormatError):
        pass
    there = attrs.evolve(address, wire=Wire.OPENAI, base=f"{address.base}{OPENAI_PATH}")
    asker = Asker(there.base, api_key, patience)
    if _models(asker) is None:
        raise UsageError(
            f"{address.base} answers neither /info nor /v1/models; say what it speaks: {EXAMPLES}"
        )
    return OpenAiServer(there, asker)


def _embedded(
    asker: Asker, path: str, request: Mapping[str, Any], read: Callable[[Any], Matrix], n_texts: int
) -> Answered:
    try:
        document = asker.post(path, request)
    except RefusalError as error:
        if error.status in REFUSES_TEXTS:
            return Answered(refusal=error.words or str(error.status), error=error)
        raise
    where = asker.address_of(path)
    rows = _rows_of(document)
    # Before they are turned into arrays, which takes a hundred times what they take as text.
    if len(rows) > n_texts and not NUMBER.holds(rows[0]):
        problem = f"{plural(len(rows), 'vector')} for {plural(n_texts, 'text')}"
        raise SourceError(f"{where}: the answer has {problem}")
    with inside(where):
        try:
            return Answered(vectors=read(document))
        except FormatError as error:
            hint = _hint(document, rows)
            raise FormatError(f"{error.problem}{hint and f'; {hint}'}", error.where) from error


def _rows_of(document: Any) -> Sequence[Any]:
    """What may be the vectors of an answer: the answer itself, or its `data`."""
    rows = document.get("data") if isinstance(document, Mapping) else document
    return rows if isinstance(rows, list) else ()


def _hint(document: Any, rows: Sequence[Any]) -> str:
    """What an answer that holds no vectors as they should be looks like; empty if it looks like nothing."""
    if isinstance(document, Mapping) and "embeddings" in document:
        return "so answer Ollama's /api/embed and Cohere; ask for the path of theirs that is OpenAI's, /v1"
    first = rows[0] if rows else None
    vector = first.get("embedding") if isinstance(first, Mapping) else first
    if isinstance(vector, str):
        return 'the server gives base64 although "encoding_format": "float" is asked for'
    if isinstance(vector, list) and vector and isinstance(vector[0], list):
        return "that is a vector for each token: start the server with pooling, llama.cpp with --pooling mean"
    return ""


def _by_index(document: Any) -> Matrix:
    answer: Mapping[str, Any] = expect(document, OBJECT)
    return vectors_by_index(answer)


def _tei_info(document: Mapping[str, Any]) -> ServerInfo:
    """What `/info` says; a field of another type than it should have counts as absent."""
    if "model_id" not in document:
        raise FormatError("is missing; this is not the /info of text-embeddings-inference", "/info: model_id")
    return ServerInfo(
        wire=Wire.TEI,
        model_id=_word(document, "model_id"),
        model_sha=_word(document, "model_sha"),
        dtype=_word(document, "model_dtype"),
        # 0.1 had it at the top.
        pooling=_pooling(document.get("model_type")) or _word(document, "model_pooling"),
        version=_word(document, "version"),
        max_input_length=_count(document, "max_input_length"),
        max_batch=_count(document, "max_client_batch_size"),
        document=document,
    )


def _pooling(model_type: JSON) -> str | None:
    """`{"embedding": {"pooling": "cls"}}`; the kind began with a capital before 1.0."""
    kinds = model_type.values() if isinstance(model_type, Mapping) else ()
    found = (_word(kind, "pooling") for kind in kinds if isinstance(kind, Mapping))
    return next((pooling for pooling in found if pooling), None)


def _entry_of(models: Mapping[str, JSON] | None, model: JSON) -> Mapping[str, JSON]:
    """What a server lists of a model; empty if it does not list it."""
    return next((entry for entry in _entries(models) if entry.get("id") == model), {})


def _openai_info(entry: Mapping[str, JSON], model: str, secret: Secret) -> ServerInfo:
    said = expect(secret.in_value(entry), OBJECT)
    return ServerInfo(
        wire=Wire.OPENAI,
        model_id=_word(said, "root") or str(secret.in_value(model)),
        # vLLM tells the longest text; nobody tells a commit, a type or a pooling.
        max_input_length=_count(said, "max_model_len"),
        document=said,
    )


def _models(asker: Asker) -> Mapping[str, JSON] | None:
    """What `/models` says, or None if the server does not have it."""
    try:
        return expect(asker.get("/models"), OBJECT)
    except RefusalError as error:
        if error.status in _NOT_SERVED:
            return None
        raise
    except FormatError:
        return None


def _only_model(models: Mapping[str, JSON] | None) -> str:
    names = [name for name in (_word(entry, "id") for entry in _entries(models)) if name]
    if len(names) == 1:
        return names[0]
    listed = ", ".join(shown(name) for name in names[:8]) or "none that it lists"
    raise UsageError(f"say which model to ask, as openai+http://host/v1?model=NAME; the server has {listed}")


def _entries(models: Mapping[str, JSON] | None) -> list[Mapping[str, JSON]]:
    data = None if models is None else models.get("data")
    return [entry for entry in data if isinstance(entry, Mapping)] if isinstance(data, Sequence) else []


def _word(document: Mapping[str, JSON], key: str) -> str | None:
    value = document.get(key)
    return value[:_MOST_WORD] if isinstance(value, str) and value else None


def _count(document: Mapping[str, JSON], key: str) -> int | None:
    value = document.get(key)
    return value if type(value) is int and value > 0 else None
