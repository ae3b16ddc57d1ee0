"""An embedding server on this machine, which speaks as TEI and as OpenAI do, and fails where it is told to.

    with EmbeddingServer(model.encode, model_id="org/name", model_sha=commit) as server:
        probed = probe(server.tei)          # or server.openai
        server.inject(Status(status=503, where="/embed"))
        ...
        assert len(server.requests) < 100

It is for tests of gates and clients. The wire formats are those that the real servers have:
https://github.com/huggingface/text-embeddings-inference/blob/v1.7.0/docs/openapi.json and
https://platform.openai.com/docs/api-reference/embeddings/create.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar

import attrs
import numpy as np

from embaudit.model.frozen import frozen_mapping

REQUEST_BYTES = 64 * 1024 * 1024
"""Bytes of the largest request that is read."""

MOST_INPUTS = 32
"""Texts of one request, as TEI has it by default."""

_JSON = "application/json"
_POLL_SECONDS = 0.02
_OK = 200

Embed = Callable[[list[str]], Any]
"""Gives a vector for each of some texts."""


def hashed_vectors(texts: Sequence[str], dimension: int = 32) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Unit vectors that depend on the texts and on nothing else: a model for tests of the wire."""
    rows = [np.random.default_rng(_seed(text)).standard_normal(dimension) for text in texts]
    vectors = np.array(rows, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


@attrs.frozen(kw_only=True)
class Asked:
    """A request as it came.

    Attributes:
        method: `GET` or `POST`.
        path: With its query.
        document: The JSON of its body, or None.
        authorization: Its header of that name, or None.
    """

    method: str
    path: str
    document: Any = None
    authorization: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class Reply:
    """An answer before it is sent.

    Attributes:
        status: The status.
        body: The body.
        headers: Beside `Content-Length` and `Date`.
    """

    status: int = _OK
    body: bytes = b""
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=frozen_mapping)


@attrs.frozen(kw_only=True)
class Fault:
    """Nothing goes wrong: what all faults have.

    Attributes:
        where: A part of the path, or a function that is given the request.
        times: How often it strikes, or None for every time.
    """

    where: str | Callable[[Asked], bool] = ""
    times: int | None = None

    def strikes(self, asked: Asked) -> bool:
        """Whether it is meant for this request."""
        return self.where in asked.path if isinstance(self.where, str) else self.where(asked)

    def send(self, reply: Reply, line: "Line") -> None:
        """Send the reply, changed or not."""
        line.send(reply)


@attrs.frozen(kw_only=True)
class Status(Fault):
    """Another status instead of the answer.

    Attributes:
        status: The status.
        body: What it comes with.
        headers: What else it comes with.
    """

    status: int
    body: bytes = b'{"error":"planted","error_type":"overloaded"}'
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=frozen_mapping)

    def send(self, reply: Reply, line: "Line") -> None:
        """Send the status."""
        line.send(attrs.evolve(reply, status=self.status, body=self.body, headers=self.headers))


@attrs.frozen(kw_only=True)
class Edited(Fault):
    """Another JSON document.

    Attributes:
        edit: What is made of the document.
    """

    edit: Callable[[Any], Any]

    def send(self, reply: Reply, line: "Line") -> None:
        """Send the document, edited."""
        line.send(attrs.evolve(reply, body=json.dumps(self.edit(json.loads(reply.body))).encode()))


@attrs.frozen(kw_only=True)
class Body(Fault):
    """Another body under the same headers.

    Attributes:
        body: The bytes.
        headers: Headers instead of the usual ones.
    """

    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=frozen_mapping)

    def send(self, reply: Reply, line: "Line") -> None:
        """Send the bytes."""
        line.send(attrs.evolve(reply, body=self.body, headers=self.headers or reply.headers))


@attrs.frozen(kw_only=True)
class Cut(Fault):
    """The connection ends in the middle of the body."""

    def send(self, reply: Reply, line: "Line") -> None:
        """Announce the whole body and send half of it."""
        line.head(reply, {"Content-Length": str(len(reply.body))})
        line.write(reply.body[: len(reply.body) // 2])


@attrs.frozen(kw_only=True)
class Endless(Fault):
    """A body in chunks that never ends.

    Attributes:
        chunk: What comes again and again.
        pause: Seconds between two chunks.
    """

    chunk: bytes = b"[0.1, 0.2], " * 4096
    pause: float = 0.0

    def send(self, reply: Reply, line: "Line") -> None:
        """Send chunks until the client has gone or the server closes."""
        line.head(reply, {"Transfer-Encoding": "chunked"})
        while not line.closing.wait(self.pause):
            line.write(b"%x\r\n%b\r\n" % (len(self.chunk), self.chunk))


@attrs.frozen(kw_only=True)
class Silent(Fault):
    """No answer at all, on a connection that stays open."""

    def send(self, _reply: Reply, line: "Line") -> None:
        """Wait until the server closes."""
        line.closing.wait()


@attrs.frozen(kw_only=True)
class Raw(Fault):
    """Something that is not HTTP.

    Attributes:
        content: The bytes; with none, the connection is dropped.
    """

    content: bytes = b""

    def send(self, _reply: Reply, line: "Line") -> None:
        """Send the bytes, and nothing else."""
        line.write(self.content)


class Line:
    """A connection that a reply goes out on, once.

    Attributes:
        closing: Set when the server closes.
    """

    def __init__(self, handler: "_Handler") -> None:
        self._handler = handler
        self.closing = handler.server.closing

    def send(self, reply: Reply) -> None:
        """Send a reply as it should be sent."""
        self.head(reply, {"Content-Length": str(len(reply.body))})
        self.write(reply.body)

    def head(self, reply: Reply, length: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self._handler.send_response(reply.status)
        for name, value in {"Content-Type": _JSON, **reply.headers, **length}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, content: bytes) -> None:
        """Send bytes."""
        self._handler.wfile.write(content)
        self._handler.wfile.flush()


class EmbeddingServer:
    """Serves a function at `/info`, `/embed`, `/v1/models` and `/v1/embeddings` on the loopback interface.

    Args:
        embed: Gives a vector for each of some texts; called by one request at a time.
        model_id: The model's name.
        model_sha: The commit that `/info` tells, or None.
        info: Members of `/info` instead of the usual ones, such as `model_dtype`.
        api_key: The key that every request must carry, or None.
        most_inputs: Texts that one request may have.
        too_long: Whether a text is refused, as one longer than the window is.
    """

    def __init__(
        self,
        embed: Embed = hashed_vectors,
        *,
        model_id: str = "embaudit/test-model",
        model_sha: str | None = None,
        info: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        most_inputs: int = MOST_INPUTS,
        too_long: Callable[[str], bool] = lambda _text: False,
    ) -> None:
        self.requests: list[Asked] = []
        self.model_id = model_id
        self._embed = embed
        self._info = _info(model_id, model_sha, most_inputs) | dict(info or {})
        self._api_key = api_key
        self._most_inputs = most_inputs
        self._too_long = too_long
        self._faults: list[tuple[Fault, list[None]]] = []
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def base(self) -> str:
        """`http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def tei(self) -> str:
        """The address for `probe`, as a TEI server."""
        return f"tei+{self.base}"

    @property
    def openai(self) -> str:
        """The address for `probe`, as an OpenAI-style server."""
        return f"openai+{self.base}/v1?model={self.model_id}"

    def inject(self, *faults: Fault) -> None:
        """Have faults strike from now on; of several that are meant for a request, the first does."""
        with self._lock:
            self._faults += [(fault, []) for fault in faults]

    def close(self) -> None:
        """End every connection and the server."""
        self._server.stop()

    def __enter__(self) -> "EmbeddingServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def respond(self, asked: Asked) -> tuple[Reply, Fault]:
        """The reply to a request, and the fault that it is sent with."""
        with self._lock:
            self.requests.append(asked)
            fault = next((fault for fault, struck in self._faults if _is_due(fault, struck, asked)), Fault())
            return self._reply(asked), fault

    def _reply(self, asked: Asked) -> Reply:
        if self._api_key is not None and asked.authorization != f"Bearer {self._api_key}":
            return _refusal(HTTPStatus.UNAUTHORIZED, "the key is missing or wrong", "unauthorized")
        answer = self._answers.get((asked.method, asked.path.partition("?")[0]))
        if answer is None:
            return _refusal(HTTPStatus.NOT_FOUND, "no such path", "not_found")
        return answer(self, asked.document)

    def _tell_info(self, _document: Any) -> Reply:
        return _json(self._info)

    def _tell_models(self, _document: Any) -> Reply:
        entry = {"id": self.model_id, "object": "model", "created": 0, "owned_by": "embaudit"}
        return _json({"object": "list", "data": [entry]})

    def _tei(self, document: Any) -> Reply:
        texts = _texts(document, "inputs")
        refusal = self._refusal(texts, truncates=bool(document.get("truncate")) if texts else False)
        return refusal or _json(self._rows(texts))

    def _openai(self, document: Any) -> Reply:
        texts = _texts(document, "input")
        refusal = self._refusal(texts, truncates=False)
        if refusal is not None:
            return refusal
        data = [
            {"object": "embedding", "index": index, "embedding": row}
            for index, row in enumerate(self._rows(texts))
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return _json({"object": "list", "data": data, "model": self.model_id, "usage": usage})

    def _refusal(self, texts: list[str], *, truncates: bool) -> Reply | None:
        if not texts:
            return _refusal(HTTPStatus.BAD_REQUEST, "Input cannot be empty", "Empty")
        if len(texts) > self._most_inputs:
            words = f"batch size {len(texts)} > maximum allowed batch size {self._most_inputs}"
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, "Validation")
        if not truncates and any(map(self._too_long, texts)):
            words = "`inputs` must have less than 512 tokens"
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words, "Validation")
        return None

    def _rows(self, texts: list[str]) -> list[list[float]]:
        return [[float(number) for number in row] for row in self._embed(texts)]

    _answers: ClassVar[Mapping[tuple[str, str], Callable[["EmbeddingServer", Any], Reply]]] = {
        ("GET", "/info"): _tell_info,
        ("GET", "/v1/models"): _tell_models,
        ("POST", "/embed"): _tei,
        ("POST", "/v1/embeddings"): _openai,
    }


def _info(model_id: str, model_sha: str | None, most_inputs: int) -> dict[str, Any]:
    """`/info` as TEI 1.7 gives it."""
    return {
        "model_id": model_id,
        "model_sha": model_sha,
        "model_dtype": "float32",
        "model_type": {"embedding": {"pooling": "mean"}},
        "max_concurrent_requests": 512,
        "max_input_length": 512,
        "max_batch_tokens": 16384,
        "max_batch_requests": None,
        "max_client_batch_size": most_inputs,
        "auto_truncate": False,
        "tokenization_workers": 1,
        "version": "1.7.0",
        "sha": None,
        "docker_label": None,
    }


def _texts(document: Any, key: str) -> list[str]:
    """The texts of a request; a single text may stand without a list."""
    inputs = document.get(key) if isinstance(document, dict) else None
    texts = [inputs] if isinstance(inputs, str) else inputs
    return texts if isinstance(texts, list) and all(isinstance(text, str) for text in texts) else []


def _json(document: Any) -> Reply:
    return Reply(body=json.dumps(document).encode())


def _refusal(status: HTTPStatus, words: str, kind: str) -> Reply:
    return Reply(status=status, body=json.dumps({"error": words, "error_type": kind}).encode())


def _is_due(fault: Fault, struck: list[None], asked: Asked) -> bool:
    if (fault.times is not None and len(struck) >= fault.times) or not fault.strikes(asked):
        return False
    struck.append(None)
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, served: EmbeddingServer) -> None:
        self.served = served
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let every waiting fault go, and accept nothing more."""
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request; the connection ends with it."""

    server: _Server

    def handle(self) -> None:
        """Answer, unless the client has gone."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def finish(self) -> None:
        """Close, whether or not the client is still there."""
        try:
            super().finish()
        except ConnectionError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Print nothing: the server keeps a log of its own."""

    def do_GET(self) -> None:
        """Answer a `GET`."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a `POST`."""
        self._answer()

    def _answer(self) -> None:
        length = min(int(self.headers.get("Content-Length", "0")), REQUEST_BYTES)
        body = self.rfile.read(length)
        asked = Asked(
            method=self.command,
            path=self.path,
            document=json.loads(body) if body else None,
            authorization=self.headers.get("Authorization"),
        )
        reply, fault = self.server.served.respond(asked)
        fault.send(reply, Line(self))
