"""A request as it came over the wire, and the answer to it before it goes there.

It knows HTTP as far as the hub and its CDN use it; it does not know repositories.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, unquote

import attrs

from embaudit.testing.loopback_hub.contents import Sparse, contents_of

Origin = Literal["hub", "cdn"]
Headers = tuple[tuple[str, str], ...]
_TRUE = {"true", "True", "1"}
"""httpx sends `true` and requests sends `True`; huggingface_hub sends `include_prs=1`."""
_SINGLE_RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))")


@attrs.frozen(kw_only=True)
class Request:
    """One request.

    Attributes:
        method: `GET`, `HEAD` or `POST`.
        origin: Which of the two servers it came to.
        path: The path as it came, still quoted: `refs%2Fpr%2F1` is one segment.
        query: The query as it came, without the question mark.
        headers: Lower-case names.
        body: The body of a `POST`.
    """

    method: str
    origin: Origin
    path: str
    query: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as they came."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def raw_segments(self) -> tuple[str, ...]:
        """The segments of the path, still quoted."""
        return tuple(self.path.strip("/").split("/"))

    @property
    def segments(self) -> tuple[str, ...]:
        """The segments of the path, each unquoted after the path was split."""
        return tuple(unquote(segment) for segment in self.raw_segments)

    @property
    def range(self) -> str | None:
        """The `Range` header."""
        return self.headers.get("range")

    @property
    def has_credentials(self) -> bool:
        """Whether a token or a cookie came along."""
        return "authorization" in self.headers or "cookie" in self.headers

    def values(self, name: str) -> list[str]:
        """All values of a query parameter, `name` and `name[]` alike."""
        asked = parse_qs(self.query, keep_blank_values=True)
        return asked.get(name, []) + asked.get(f"{name}[]", [])

    def flag(self, name: str) -> bool:
        """Whether a query parameter is there and true."""
        return any(value in _TRUE for value in self.values(name))

    def pairs(self) -> list[tuple[str, str]]:
        """The query as pairs of name and value, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def fields(self) -> Mapping[str, list[str]]:
        """The fields of a body that is a form or a JSON object, every value as a list of strings."""
        if "json" not in self.headers.get("content-type", ""):
            return parse_qs(self.body.decode(), keep_blank_values=True)
        document = json.loads(self.body)
        return {
            name: [str(item) for item in (value if isinstance(value, list) else [value])]
            for name, value in document.items()
        }


def is_true(values: list[str]) -> bool:
    """Whether any of the values of a flag means yes."""
    return any(value in _TRUE for value in values)


@attrs.frozen(kw_only=True)
class Delivery:
    """How an answer goes over the wire, if not at once and wholly.

    Attributes:
        silent: The connection is closed instead of the answer.
        stop_after: Bytes of the body after which the connection is closed.
        pause: Seconds between two pieces.
        header_piece: Bytes of the head sent at a time, or 0 for all.
        body_piece: Bytes of the body sent at a time, or 0 for all.
        pieces: Pieces after which the connection is closed.
        wait: Seconds before anything is sent.
    """

    silent: bool = False
    stop_after: int | None = None
    pause: float = 0.0
    header_piece: int = 0
    body_piece: int = 0
    pieces: int = 0
    wait: float = 0.0


@attrs.frozen(kw_only=True)
class Response:
    """One answer.

    Attributes:
        status: The HTTP status.
        headers: Pairs of name and value. `Content-Length` is added when it is sent, unless it stands here.
        body: What follows the headers, except for `HEAD`.
        delivery: How it is sent.
        address: The whole URL that was asked for.
    """

    status: int
    headers: Headers = ()
    body: Sparse = attrs.field(default=Sparse(0), repr=False)
    delivery: Delivery = Delivery()
    address: str = attrs.field(default="", repr=False)

    def header(self, name: str) -> str | None:
        """The value of a header, or None."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return found[0] if found else None

    def with_header(self, name: str, value: str | None) -> "Response":
        """The answer with a header set, or without it if the value is None."""
        kept = tuple((key, held) for key, held in self.headers if key.lower() != name.lower())
        return attrs.evolve(self, headers=kept if value is None else (*kept, (name, value)))

    def instead(self, other: "Response") -> "Response":
        """Another answer to the same request."""
        return attrs.evolve(other, address=self.address)


def text(status: int, words: str, headers: Headers = ()) -> Response:
    """An answer in plain words."""
    kind = ("Content-Type", "text/plain; charset=utf-8")
    return Response(status=status, headers=(kind, *headers), body=contents_of(words.encode()))


def document(value: Any, headers: Headers = (), *, status: int = 200) -> Response:
    """An answer in JSON."""
    kind = ("Content-Type", "application/json; charset=utf-8")
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status=status, headers=(kind, *headers), body=contents_of(body))


def refusal(status: int, message: str, *, code: str | None = None, headers: Headers = ()) -> Response:
    """What the hub says when it gives nothing: a code and words as headers, and the words as JSON."""
    codes: Headers = (("X-Error-Code", code),) if code else ()
    return document({"error": message}, (*codes, ("X-Error-Message", message), *headers), status=status)


def redirect(status: int, location: str, headers: Headers = ()) -> Response:
    """An answer that sends the client elsewhere."""
    return text(status, f"Redirecting to {location}", (("Location", location), *headers))


def span_of(byte_range: str, size: int) -> tuple[int, int] | None:
    """What a `Range` header with one range asks of a file.

    Returns:
        The first byte and the byte after the last one, equal (or the wrong way round) if the range cannot be
        satisfied; None for several ranges or what is not understood, which a server ignores.

    Source: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    """
    found = _SINGLE_RANGE.fullmatch(byte_range.replace(" ", ""))
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return max(size - int(suffix), 0), size
    start, stop = int(first), min(int(last) + 1, size) if last else size
    return None if last and int(last) < start else (start, stop)


def file_answer(request: Request, contents: Sparse, headers: Headers) -> Response:
    """A file, or the range of it that was asked for: 200, 206, or 416 for a range that it doesn't have."""
    headers = (*headers, ("Accept-Ranges", "bytes"))
    span = span_of(request.range, contents.size) if request.range else None
    if span is None:
        return Response(status=200, headers=headers, body=contents)
    start, stop = span
    if start >= stop:
        return text(416, "Requested Range Not Satisfiable", (("Content-Range", f"bytes */{contents.size}"),))
    given = ("Content-Range", f"bytes {start}-{stop - 1}/{contents.size}")
    return Response(status=206, headers=(*headers, given), body=contents.part(start, stop))
