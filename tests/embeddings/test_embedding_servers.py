"""Servers that fail: each failure is one clear error in bounded time and size, and the key is in none."""

import base64
import json
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from embaudit.embeddings import PROBE_TEXTS, probe, save_probe
from embaudit.embeddings.probing import asking
from embaudit.embeddings.probing.addresses import parse_address
from embaudit.embeddings.probing.proxies import is_this_machine, proxy_for
from embaudit.errors import EmbauditError, FormatError, SourceError, UnavailableError, UsageError
from embaudit.model.probe import ServerInfo, Wire
from embaudit.testing.embedding_server import (
    Asked,
    Body,
    Cut,
    Edited,
    EmbeddingServer,
    Endless,
    Fault,
    Raw,
    Silent,
    Status,
    hashed_vectors,
)

KEY = "sk-very-secret-0123456789"
TEXTS = ("one", "two", "three")
COMMIT = "0123456789" * 4


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is asked directly, whatever the machine's settings."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


def nulls(rows: Any) -> Any:
    """What serde writes of NaN."""
    return [[None for _ in row] for row in rows]


def first_null(answer: Any) -> Any:
    """The same in the answer of an OpenAI-style server."""
    answer["data"][1]["embedding"][0] = None
    return answer


def same_index(answer: Any) -> Any:
    """Every vector is said to be that of the first text."""
    return {**answer, "data": [{**entry, "index": 0} for entry in answer["data"]]}


def in_base64(answer: Any) -> Any:
    """Vectors in base64, as OpenAI's own client asks for them, and we do not."""
    return {**answer, "data": [{**entry, "embedding": "AACAPw=="} for entry in answer["data"]]}


def of_tokens(answer: Any) -> Any:
    """A vector for each token, as llama.cpp gives without pooling."""
    return {**answer, "data": [{**entry, "embedding": [entry["embedding"]]} for entry in answer["data"]]}


def rows_of_one(number: int) -> bytes:
    """Many rows of one number."""
    return b"[%b]" % b",".join([b"[1]"] * number)


REPEATS_KEY = Status(status=401, body=json.dumps({"error": {"message": f"wrong key: {KEY}"}}).encode())
HTML = {"Content-Type": "text/html"}
BROKEN: Mapping[str, tuple[str, Fault, type[EmbauditError], str]] = {
    "400": ("tei", Status(status=400), SourceError, "answered 400: planted"),
    "401 with the key in it": ("openai", REPEATS_KEY, SourceError, "answered 401: wrong key: ..."),
    "404": ("tei", Status(status=404, body=b""), SourceError, "answered 404$"),
    "413": ("openai", Status(status=413), SourceError, "answered 413"),
    "500": ("tei", Status(status=500, body=b"<h1>oops</h1>"), SourceError, "answered 500: <h1>oops"),
    "502 with an escape": (
        "tei",
        Status(status=502, body=b"\x1b[2Jgone"),
        SourceError,
        r"502: \\x1b\[2Jgone",
    ),
    "a detail list": (
        "openai",
        Status(status=422, body=b'{"detail": [{"msg": "no"}]}'),
        SourceError,
        '"msg": "no"',
    ),
    "a redirect": (
        "tei",
        Status(status=307, headers={"Location": "http://127.0.0.1:9/"}),
        SourceError,
        "redirects",
    ),
    "html": ("tei", Body(body=b"<html>hi", headers=HTML), FormatError, r"\(text/html\): is not JSON"),
    "nothing": ("tei", Body(body=b""), FormatError, "is not JSON"),
    "not UTF-8": ("tei", Body(body=b"\xff\xfe[[1]]"), FormatError, "is not what it should be"),
    "events of a stream": ("openai", Body(body=b'data: {"x": 1}\n\n'), FormatError, "is not JSON"),
    "deep": ("tei", Body(body=b"[" * 60_000), FormatError, "deeper than"),
    "a text": ("tei", Body(body=b'"hello"'), FormatError, "expected an array"),
    "an object": ("tei", Body(body=b'{"error": "no"}'), FormatError, "data: is missing"),
    "an array of OpenAI": ("openai", Body(body=b"[[1.0]]"), FormatError, "expected an object"),
    "nan as null": ("tei", Edited(edit=nulls), FormatError, "row 0: number 0: expected a number, found null"),
    "null of OpenAI": ("openai", Edited(edit=first_null), FormatError, r"data\[1\]: embedding: number 0"),
    "nan as python says it": ("tei", Body(body=b"[[NaN, 1.0]]"), FormatError, "NaN is not a number"),
    "infinite": ("tei", Body(body=b"[[1e999, 1.0]]"), FormatError, "is not what it should be"),
    "tokens": (
        "tei",
        Edited(edit=lambda rows: [[row, row] for row in rows]),
        FormatError,
        "row 0: number 0: expected a number, found an array; that is a vector for each token: .*--pooling",
    ),
    "tokens of OpenAI": (
        "openai",
        Edited(edit=of_tokens),
        FormatError,
        "found an array; that is a vector for",
    ),
    "Ollama": (
        "tei",
        Edited(edit=lambda rows: {"embeddings": rows}),
        FormatError,
        "missing; so answer Ollama's",
    ),
    "many rows": ("tei", Body(body=rows_of_one(100)), SourceError, "100 vectors for 3 texts"),
    "far too many rows": ("tei", Body(body=rows_of_one(2**17)), UnavailableError, "more than 65,536 arrays"),
    "too many numbers": (
        "tei",
        Body(body=b"[[1%b]]" % (b",1" * (2**20 + 1))),
        UnavailableError,
        "1,048,576 numbers",
    ),
    "201 with vectors": ("tei", Status(status=201, body=b"[[1.0]]"), SourceError, "201: an answer .* 200$"),
    "too few": ("tei", Edited(edit=lambda rows: rows[1:]), SourceError, "2 vectors for 3 texts"),
    "too many": ("tei", Edited(edit=lambda rows: [*rows, rows[0]]), SourceError, "4 vectors for 3 texts"),
    "ragged": ("tei", Edited(edit=lambda rows: [rows[0], rows[1][1:]]), FormatError, "row 1: has 31 numbers"),
    "zeros": ("tei", Edited(edit=lambda rows: [[0.0] * 4 for _ in rows]), SourceError, "row 0 is all zeros"),
    "one index": ("openai", Edited(edit=same_index), FormatError, r"data\[1\]: index: is 0, which is out of"),
    "base64": ("openai", Edited(edit=in_base64), FormatError, "found a string; the server gives base64"),
    "cut off": ("tei", Cut(), UnavailableError, "the connection ended after"),
    "dropped": ("tei", Raw(), UnavailableError, "dropped|not HTTP"),
    "not HTTP": ("tei", Raw(content=b"SSH-2.0-OpenSSH_9.7\r\n" * 9), UnavailableError, "not HTTP|dropped"),
    "silent": ("tei", Silent(), UnavailableError, "takes too long|no answer in time"),
    "endless": ("tei", Endless(), UnavailableError, "has more than the 4,194,304 bytes"),
    "a trickle": ("tei", Endless(chunk=b"1", pause=0.05), UnavailableError, "takes too long"),
    "compressed": (
        "tei",
        Body(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}),
        UnavailableError,
        "is compressed",
    ),
    "an encoding that clears the screen": (
        "tei",
        Body(body=b"", headers={"Content-Encoding": "\x1b[2J"}),
        UnavailableError,
        r"\(\\x1b\[2J\)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_answer_is_a_clear_error(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a server answers instead of vectors is one error that says what, and never the key."""
    wire, fault, kind, message = BROKEN[case]
    monkeypatch.setattr(asking, "ANSWER_BYTES", 2**22)

    with EmbeddingServer(api_key=KEY) as server:
        address = getattr(server, wire)
        probe(address, TEXTS, api_key=KEY)
        server.inject(_at_embedding(fault))
        with pytest.raises(kind, match=message) as raised:
            probe(address, TEXTS, api_key=KEY, timeout=0.7)

    assert KEY not in "".join(traceback.format_exception(raised.value))


def _at_embedding(fault: Fault) -> Fault:
    """The same fault, where vectors are asked for."""
    values = {name: getattr(fault, name) for name in fault.__slots__ if not name.startswith("__")}
    return type(fault)(**{**values, "where": "embed"})


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    """After 429 and 503 the request is repeated, and the vectors come."""
    with EmbeddingServer() as server:
        server.inject(Status(status=status, where="/embed", times=1))
        probed = probe(server.tei, TEXTS, observe=False)

        assert len(server.requests) == 3
    assert np.array_equal(probed.vectors, hashed_vectors(TEXTS))


def test_a_server_that_stays_busy_is_given_up() -> None:
    """A server that is busy for longer than a request may take is told with its own words."""
    with EmbeddingServer() as server:
        server.inject(Status(status=429, where="/embed", headers={"Retry-After": "3600"}))
        with pytest.raises(SourceError, match="answered 429: planted"):
            probe(server.tei, TEXTS)

        assert len(server.requests) == 2


def test_nobody_listens() -> None:
    """A port without a server is told as a refused connection."""
    with EmbeddingServer() as server:
        address = server.tei

    with pytest.raises(UnavailableError, match="the connection was refused"):
        probe(address)


def test_rows_in_any_order_are_put_right_by_their_index() -> None:
    """An OpenAI-style server may list its vectors in any order: `index` decides."""
    with EmbeddingServer() as server:
        server.inject(
            Edited(where="embeddings", edit=lambda answer: {**answer, "data": answer["data"][::-1]})
        )
        probed = probe(server.openai, TEXTS)

    assert np.array_equal(probed.vectors, hashed_vectors(TEXTS))
    assert not probed.faults


def test_the_key_is_sent_and_never_shown() -> None:
    """The key goes with every request, and is in no representation of what comes back."""
    with EmbeddingServer(api_key=KEY) as server:
        probed = probe(server.openai, TEXTS, api_key=KEY)

        assert {asked.authorization for asked in server.requests} == {f"Bearer {KEY}"}
        assert KEY not in repr(server.requests)
    assert KEY not in repr(probed)


ESCAPED = "".join(f"\\u{ord(character):04x}" for character in KEY)
IN_HTML = "".join(f"&#{ord(character)};" for character in KEY)
IN_BASE64 = base64.b64encode(KEY.encode()).decode()
REPEATED: Mapping[str, Fault] = {
    "escaped in JSON": Status(status=401, body=f'{{"error": "wrong key: {ESCAPED}"}}'.encode()),
    "escaped twice": Status(status=401, body=json.dumps({"error": json.dumps(ESCAPED)}).encode()),
    "escaped in HTML": Status(status=401, body=IN_HTML.encode()),
    "in a refusal of texts": Status(status=400, body=f'{{"error": "{ESCAPED}"}}'.encode()),
    "in base64": Status(status=401, body=json.dumps({"error": f"wrong: {IN_BASE64}"}).encode()),
    "cut by us": Status(status=500, body=b" " * (4096 - 9) + KEY.encode()),
    "cut by us, escaped": Status(status=500, body=b" " * (4096 - 40) + ESCAPED.encode()),
    "cut by the server": Status(status=500, body=json.dumps({"error": KEY[:12]}).encode()),
    "as a type": Body(body=b"<p>", headers={"Content-Type": f"text/{KEY}"}),
    "cut as a type": Body(body=b"<p>", headers={"Content-Type": f"{'x' * 30}/{KEY}"}),
    "as an encoding": Body(body=b"<p>", headers={"Content-Encoding": KEY}),
    "as a key of JSON": Body(body=b'{"%b": 1, "%b": 2}' % ((b"x" * 70 + KEY.encode(),) * 2)),
}


@pytest.mark.parametrize("wire", ["tei", "openai"])
@pytest.mark.parametrize("case", REPEATED)
def test_no_spelling_of_the_key_is_told(case: str, wire: str) -> None:
    """A server that repeats the key in whatever form, or a part of it, does not get it into an error."""
    with EmbeddingServer() as server:
        server.inject(_at_embedding(REPEATED[case]))
        with pytest.raises(EmbauditError) as raised:
            probe(getattr(server, wire), TEXTS, api_key=KEY)

    told = ("".join(traceback.format_exception(raised.value)) + repr(raised.value.args)).replace("\\", "")
    beginnings = KEY[:6], ESCAPED.replace("\\", "")[:20], IN_HTML[:12], IN_BASE64[:8]
    assert not [beginning for beginning in beginnings if beginning in told]
    assert raised.value.__context__ is None


@pytest.mark.parametrize("wire", ["tei", "openai"])
def test_no_value_of_a_probe_holds_the_key(wire: str, tmp_path: Path) -> None:
    """A key that stands in a name, a version or a reason is not in the probe, nor where it is kept."""
    refusal = Status(status=400, body=f'{{"error": "{ESCAPED} is no key"}}'.encode(), where=_asks_for_two)
    with EmbeddingServer(model_id=KEY, info={"version": f"v{KEY}", KEY: [KEY]}) as server:
        server.inject(refusal)
        probed = probe(getattr(server, wire), TEXTS, api_key=KEY)
    save_probe(probed, tmp_path / "golden.safetensors")

    assert [each.text for each in probed.refused] == ["two"]
    assert probed.server is not None
    assert probed.server.model_id == "..."
    assert KEY not in repr(attrs.asdict(probed))
    assert KEY.encode() not in (tmp_path / "golden.safetensors").read_bytes()


def _asks_for_two(asked: Asked) -> bool:
    return asked.method == "POST" and "two" in str(asked.document)


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    """A proxy that all requests are to go over, by the machine's settings; it takes them for its own."""
    with EmbeddingServer() as proxy:
        monkeypatch.setenv("http_proxy", proxy.base.replace("//", "//user:hunter2@"))
        yield proxy


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_never_asked_over_a_proxy(host: str, proxied: EmbeddingServer) -> None:
    """A key for a server of this machine goes to nobody else, whatever the settings."""
    with EmbeddingServer(api_key=KEY) as server:
        probe(server.tei.replace("127.0.0.1", host), TEXTS, api_key=KEY)

    assert proxied.requests == []


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("localhost", True),
        ("api.localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", True),
        ("10.0.0.1", False),
        ("localhost.example.org", False),
        ("::2", False),
    ],
)
def test_the_loopback_is_known(host: str, *, is_local: bool) -> None:
    """Every name and address of the loopback counts as this machine, and no other."""
    assert is_this_machine(host) is is_local


def test_what_fails_over_a_proxy_names_it(proxied: EmbeddingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure on the way to a server names the proxy, and not the password for it."""
    place = proxied.base.removeprefix("http://")
    with pytest.raises(SourceError, match="answered 404") as refused:
        probe("tei+http://embedding.invalid", TEXTS)
    proxied.close()
    with pytest.raises(UnavailableError, match="connection was refused") as dead:
        probe("tei+http://embedding.invalid", TEXTS)
    monkeypatch.setenv("http_proxy", "http://user:hunter2@bad host:99999")
    with pytest.raises(UnavailableError, match="over the proxy bad host:99999") as bad:
        probe("tei+http://embedding.invalid", TEXTS)

    assert all(f"over the proxy {place}" in str(error.value) for error in (refused, dead))
    assert not any("hunter2" in str(error.value) for error in (refused, dead, bad))


def test_a_proxy_is_left_out_where_it_is_not_wanted(proxied: EmbeddingServer, monkeypatch: Any) -> None:
    """`no_proxy` is heeded."""
    monkeypatch.setenv("no_proxy", "embedding.invalid")

    assert proxy_for("http://embedding.invalid/v1") is None
    assert proxy_for("http://other.invalid/v1") is not None
    assert proxied.requests == []


def test_what_a_server_says_of_itself_is_bounded() -> None:
    """An `/info` of more than a MiB is refused before it is looked through."""
    too_large = "/info: the answer has more than the 1,048,576 bytes"
    with (
        EmbeddingServer(info={"version": "x" * 2**20}) as server,
        pytest.raises(UnavailableError, match=too_large),
    ):
        probe(server.tei, TEXTS)


def test_a_wrong_key_is_told() -> None:
    """A server that wants a key and gets none says so."""
    with EmbeddingServer(api_key=KEY) as server, pytest.raises(SourceError, match="answered 401: the key"):
        probe(server.tei)


def test_options_of_the_address_go_into_every_request() -> None:
    """What stands in the query of the address is sent as JSON of its type."""
    with EmbeddingServer() as server:
        probe(f"{server.tei}?normalize=false&prompt_name=query&dimensions=16", TEXTS, observe=False)
        (document,) = [asked.document for asked in server.requests if asked.method == "POST"]

    assert document == {
        "inputs": list(TEXTS),
        "truncate": True,
        "normalize": False,
        "prompt_name": "query",
        "dimensions": 16,
    }


def test_the_only_model_is_the_one_that_is_asked() -> None:
    """Without a model in the address, the one that the server lists is asked; of several none is guessed."""
    with EmbeddingServer(model_id="org/only") as server:
        probed = probe(f"openai+{server.base}", TEXTS, observe=False)
        assert server.requests[-1].document["model"] == "org/only"
        assert probed.server == ServerInfo(
            wire=Wire.OPENAI,
            model_id="org/only",
            document={"id": "org/only", "object": "model", "created": 0, "owned_by": "embaudit"},
        )
        server.inject(Edited(where="/v1/models", edit=lambda answer: {"data": answer["data"] * 2}))
        with pytest.raises(UsageError, match="say which model to ask"):
            probe(f"openai+{server.base}", TEXTS)


def test_a_server_without_a_list_of_models_is_asked_by_name() -> None:
    """A server that has no `/v1/models` serves the model that the address names."""
    with EmbeddingServer(model_id="m") as server:
        server.inject(Status(status=404, where="/v1/models"))
        assert probe(server.openai, TEXTS).server == ServerInfo(wire=Wire.OPENAI, model_id="m")
        server.inject(Status(status=404, where="/info"))
        with pytest.raises(UsageError, match="answers neither"):
            probe(server.base, TEXTS)


ADDRESSES: Mapping[str, tuple[Wire | None, str, Mapping[str, Any]]] = {
    "tei+http://host:8080": (Wire.TEI, "http://host:8080", {}),
    "tei+https://host/prefix/": (Wire.TEI, "https://host/prefix", {}),
    "tei+http://host/embed?truncate=false": (Wire.TEI, "http://host", {"truncate": False}),
    "openai+https://host/v1?model=a/b": (Wire.OPENAI, "https://host/v1", {"model": "a/b"}),
    "openai+https://host": (Wire.OPENAI, "https://host/v1", {}),
    "openai+http://host:7997/embeddings": (Wire.OPENAI, "http://host:7997", {}),
    "openai+https://host/openai/deployments": (Wire.OPENAI, "https://host/openai/deployments", {}),
    "openai+http://host/api/v1/embeddings?model=m&dimensions=8": (
        Wire.OPENAI,
        "http://host/api/v1",
        {"model": "m", "dimensions": 8},
    ),
    "http://host/v1?model=m": (Wire.OPENAI, "http://host/v1", {"model": "m"}),
    "http://host/embed": (Wire.TEI, "http://host", {}),
    "http://[::1]:80": (None, "http://[::1]:80", {}),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_says_protocol_place_and_options(text: str) -> None:
    """The scheme or the path names the protocol, the query its options."""
    address = parse_address(text)

    assert (address.wire, address.base, dict(address.options)) == ADDRESSES[text]


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host",
        "grpc+http://host",
        "tei+file:///etc/passwd",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        f"http://user:{KEY}@host/embed",
        f"tei+http://host?api_key={KEY}",
        f"openai+http://host?model=a&token={KEY}",
        "tei+http://host?normalize=maybe",
        "openai+http://host?dimensions=many",
        "http://host?model=a",
        "tei+http://host/a b",
        "tei+http://host/a\x00b",
        "tei+http://host/\u00fc",
        "tei+http://h\u00f6st/",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    """An address that cannot be used is a UsageError that does not repeat what may be a secret."""
    with pytest.raises(UsageError) as raised:
        probe(text)

    assert KEY not in str(raised.value)


@pytest.mark.parametrize("key", ["", f"{KEY}\n", "schlüssel", 7, KEY.encode()])
def test_a_key_that_cannot_be_one_is_refused(key: Any) -> None:
    """A key with a newline at its end, read from a file, is told before anything is sent."""
    with pytest.raises(UsageError, match="api_key") as raised:
        probe("tei+http://127.0.0.1:9", api_key=key)

    assert KEY not in str(raised.value)


@pytest.mark.parametrize("timeout", [0, -1, 1e9, float("nan"), "3", True])
def test_a_timeout_has_bounds(timeout: Any) -> None:
    """No request may take no time, or for ever, or something that is no number."""
    with pytest.raises(UsageError, match="timeout"):
        probe("tei+http://127.0.0.1:9", timeout=timeout)


def test_what_tei_says_of_itself_is_kept() -> None:
    """`/info` is kept whole, and its parts under their names; the older spelling of the kind is known."""
    for kind in ("embedding", "Embedding"):
        info = {"model_dtype": "float16", "model_type": {kind: {"pooling": "cls"}}, "version": "1.6.1"}
        with EmbeddingServer(model_id="org/m", model_sha=COMMIT, info=info) as server:
            told = probe(server.tei, TEXTS, observe=False).server

        assert told is not None
        assert (told.model_id, told.model_sha, told.dtype) == ("org/m", COMMIT, "float16")
        assert (told.pooling, told.version) == ("cls", "1.6.1")
        assert (told.max_input_length, told.max_batch) == (512, 32)
        assert told.document["tokenization_workers"] == 1


@pytest.mark.parametrize(
    "info",
    [
        pytest.param(
            {"model_sha": 7, "model_type": "embedding", "max_client_batch_size": "many"}, id="types"
        ),
        pytest.param(
            {"model_type": {"embedding": {"pooling": None}}, "max_client_batch_size": -3}, id="values"
        ),
        pytest.param({"model_type": [], "max_client_batch_size": True}, id="other types"),
    ],
)
def test_an_info_of_other_types_says_nothing(info: Mapping[str, Any]) -> None:
    """What `/info` says in another type than it should counts as not said; vectors come all the same."""
    with EmbeddingServer(info=info) as server:
        probed = probe(server.tei, TEXTS, observe=False)

    assert probed.server is not None
    assert (probed.server.model_sha, probed.server.pooling, probed.server.max_batch) == (None, None, None)


def test_every_answer_to_the_default_probe_is_small() -> None:
    """The default probe takes about forty requests of a server: a batch five times, and each text alone."""
    with EmbeddingServer() as server:
        probe(server.tei)

        assert len(server.requests) <= len(PROBE_TEXTS) + 8


def test_the_server_refuses_what_real_ones_refuse() -> None:
    """The shipped server has the refusals of TEI: no texts, too many, unknown paths."""
    ask: Callable[[str, Any], Any]
    with EmbeddingServer(most_inputs=2) as server:
        ask = asking.Asker(server.base, None, asking.SERVER_PATIENCE).post
        for path, document, status in (
            ("/embed", {"inputs": []}, 400),
            ("/embed", {"inputs": ["a", "b", "c"]}, 413),
            ("/embed", ["a"], 400),
            ("/nowhere", {}, 404),
        ):
            with pytest.raises(asking.RefusalError) as raised:
                ask(path, document)
            assert raised.value.status == status
        assert len(ask("/embed", {"inputs": "one text"})) == 1
