"""What can go wrong between the hub and its client: each a frozen value that says what, where and how often.

    hub.inject(Status(status=503, where="/resolve/", times=2))
    hub.inject(RangeIgnored(origin="cdn"))

A fault changes the request before it is answered, or the answer, or how that is sent. It knows nothing of the
repositories.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from embaudit.model.frozen import frozen_mapping
from embaudit.testing.loopback_hub.contents import contents_of
from embaudit.testing.loopback_hub.messages import (
    Delivery,
    Headers,
    Origin,
    Request,
    Response,
    redirect,
    refusal,
    text,
)

_ELSEWHERE = "http://elsewhere.invalid"
"""An origin that isn't there, by a name that is reserved for that (RFC 2606)."""
_OTHER_COMMIT = "c0ffee" + "0" * 34
_EXPIRED = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@attrs.frozen(kw_only=True)
class Fault:
    """Nothing goes wrong: what all faults have, where they strike and how often.

    Attributes:
        where: A part of the path (as it came, quoted), or a function that is given the request.
        origin: `hub` or `cdn`, or None for both.
        method: `GET`, `HEAD` or `POST`, or None for all.
        times: How often it strikes, or None for every time.
        after: How many requests that it could strike are let through first.
    """

    where: str | Callable[[Request], bool] = ""
    origin: Origin | None = None
    method: str | None = None
    times: int | None = 1
    after: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether the fault is meant for this request."""
        if self.origin not in {None, request.origin} or self.method not in {None, request.method}:
            return False
        return self.where in request.path if isinstance(self.where, str) else self.where(request)

    def asked(self, request: Request) -> Request:
        """The request that is answered instead of this one."""
        return request

    def answered(self, response: Response) -> Response:
        """The answer that is sent instead of this one."""
        return response


@attrs.frozen(kw_only=True)
class Dropped(Fault):
    """The connection is closed instead of an answer, or after its headers.

    Attributes:
        after_headers: Whether the headers are sent, and of the body nothing.
    """

    after_headers: bool = False

    def answered(self, response: Response) -> Response:
        """The answer, to be sent up to its headers or not at all."""
        how = Delivery(stop_after=0) if self.after_headers else Delivery(silent=True)
        return attrs.evolve(response, delivery=how)


@attrs.frozen(kw_only=True)
class Status(Fault):
    """A refusal with any status.

    Attributes:
        status: The status.
        message: `X-Error-Message`.
        code: `X-Error-Code`.
        retry_after: `Retry-After`.
        rate_limit: `RateLimit`, such as `"resolvers";r=0;t=1`; None sends none at all.
    """

    status: int
    message: str = "Something went wrong"
    code: str | None = None
    retry_after: str | None = None
    rate_limit: str | None = None

    def answered(self, response: Response) -> Response:
        """The refusal."""
        told: Headers = ()
        if self.retry_after is not None:
            told = (*told, ("Retry-After", self.retry_after))
        if self.rate_limit is not None:
            told = (*told, ("RateLimit", self.rate_limit))
        return response.instead(refusal(self.status, self.message, code=self.code, headers=told))


@attrs.frozen(kw_only=True)
class ShortBody(Fault):
    """The body ends early.

    Attributes:
        missing: Bytes that are left out at the end.
        honest: Whether `Content-Length` is that of the shorter body; if not, the connection is closed where
            the body ends.
    """

    missing: int = 1
    honest: bool = False

    def answered(self, response: Response) -> Response:
        """The answer with less of its body."""
        stop = max(response.body.size - self.missing, 0)
        if self.honest:
            return attrs.evolve(response, body=response.body.part(0, stop))
        return attrs.evolve(response, delivery=Delivery(stop_after=stop))


@attrs.frozen(kw_only=True)
class LongBody(Fault):
    """The body goes on after what was asked for; `Content-Length` agrees with it, `Content-Range` doesn't.

    Attributes:
        extra: Bytes that follow, all zero.
    """

    extra: int = 1

    def answered(self, response: Response) -> Response:
        """The answer with more in its body."""
        return attrs.evolve(response, body=response.body.longer(self.extra))


@attrs.frozen(kw_only=True)
class RangeIgnored(Fault):
    """The whole file with 200, whatever range was asked for."""

    def asked(self, request: Request) -> Request:
        """The request without its range."""
        kept = {name: value for name, value in request.headers.items() if name != "range"}
        return attrs.evolve(request, headers=kept)


@attrs.frozen(kw_only=True)
class Gzipped(Fault):
    """The body is compressed, although the client asked for it as it is.

    Attributes:
        whole: Whether the range is ignored too and the status is 200, as CloudFront does.
    """

    whole: bool = True

    def asked(self, request: Request) -> Request:
        """The request, without its range if the whole is compressed."""
        return RangeIgnored().asked(request) if self.whole else request

    def answered(self, response: Response) -> Response:
        """The answer, compressed."""
        packed = gzip.compress(response.body.read(0, response.body.size), mtime=0)
        told = response.with_header("Content-Encoding", "gzip")
        return attrs.evolve(told, body=contents_of(packed))


@attrs.frozen(kw_only=True)
class HeaderChanged(Fault):
    """Headers that say something else: a `Content-Range`, an `ETag`, a `Link`, an `X-Linked-Size`.

    Attributes:
        headers: Name to value; None leaves the header out.
    """

    headers: Mapping[str, str | None] = attrs.field(converter=frozen_mapping)

    def answered(self, response: Response) -> Response:
        """The answer with these headers."""
        for name, value in self.headers.items():
            response = response.with_header(name, value)
        return response


@attrs.frozen(kw_only=True)
class WrongRange(Fault):
    """A `Content-Range` that doesn't fit: other bytes, or another length of the file.

    Attributes:
        start_by: What is added to the first and the last byte that it names.
        total_by: What is added to the length that it names.
    """

    start_by: int = 0
    total_by: int = 0

    def answered(self, response: Response) -> Response:
        """The answer with another range in its headers; an answer without one as it is."""
        said = response.header("Content-Range")
        if said is None or response.status == 416:  # noqa: PLR2004 - an HTTP status
            return response
        span, _, total = said.removeprefix("bytes ").partition("/")
        first, _, last = span.partition("-")
        moved = f"bytes {int(first) + self.start_by}-{int(last) + self.start_by}/{int(total) + self.total_by}"
        return response.with_header("Content-Range", moved)


@attrs.frozen(kw_only=True)
class OtherCommit(Fault):
    """`X-Repo-Commit` names another commit than the one that was asked for.

    Attributes:
        commit: 40 hex digits; without them a commit that no repository has.
    """

    commit: str = _OTHER_COMMIT

    def answered(self, response: Response) -> Response:
        """The answer with that commit, if it names one."""
        named = response.header("X-Repo-Commit") is not None
        return response.with_header("X-Repo-Commit", self.commit) if named else response


@attrs.frozen(kw_only=True)
class Meanwhile(Fault):
    """Something happens at the hub right after a request was answered: a push, a rename, a deletion.

    Attributes:
        action: What is called; it may use the hub and its repositories.
    """

    action: Callable[[], object]

    def answered(self, response: Response) -> Response:
        """The answer as it is; what comes next will be different."""
        self.action()
        return response


@attrs.frozen(kw_only=True)
class Redirected(Fault):
    """A redirect; without a location to the very same address, so that it never ends.

    Attributes:
        location: Where to, absolute or relative; empty for the address that was asked.
        status: The status.
    """

    location: str = ""
    status: int = 302

    def answered(self, response: Response) -> Response:
        """The redirect."""
        return response.instead(redirect(self.status, self.location or response.address))


@attrs.frozen(kw_only=True)
class LinkElsewhere(Fault):
    """A next page that is no next page: on another origin, or the very page that was asked for.

    Attributes:
        location: The address of the next page; empty for the page itself.
    """

    location: str = f"{_ELSEWHERE}/api/models"

    def answered(self, response: Response) -> Response:
        """The answer with that next page."""
        return response.with_header("Link", f'<{self.location or response.address}>; rel="next"')


@attrs.frozen(kw_only=True)
class UrlExpired(Fault):
    """The CDN says of a signed URL that it has expired."""

    origin: Origin | None = "cdn"

    def answered(self, response: Response) -> Response:
        """The CDN's refusal."""
        return response.instead(text(403, _EXPIRED))


@attrs.frozen(kw_only=True)
class BodyReplaced(Fault):
    """Another body with the same headers: no JSON, JSON of another kind, an HTML page.

    Attributes:
        body: The bytes.
    """

    body: bytes

    def answered(self, response: Response) -> Response:
        """The answer with that body."""
        return attrs.evolve(response, body=contents_of(self.body))


@attrs.frozen(kw_only=True)
class JsonCut(Fault):
    """Half of a JSON document, with a `Content-Length` that agrees with it."""

    def answered(self, response: Response) -> Response:
        """The answer with the first half of its body."""
        return attrs.evolve(response, body=response.body.part(0, response.body.size // 2))


@attrs.frozen(kw_only=True)
class JsonEdited(Fault):
    """A JSON document that says something else.

    Attributes:
        edit: What is given the document and returns another one.
    """

    edit: Callable[[Any], Any]

    def answered(self, response: Response) -> Response:
        """The answer with the edited document."""
        document = json.loads(response.body.read(0, response.body.size))
        return attrs.evolve(response, body=contents_of(json.dumps(self.edit(document)).encode()))


@attrs.frozen(kw_only=True)
class Trickle(Fault):
    """The answer comes in drops: each in time, the whole never.

    It ends with the connection closed after so many drops, or earlier when the client goes or the hub closes.

    Attributes:
        of: `headers` or `body`.
        pause: Seconds between two drops.
        drop: Bytes of a drop.
        drops: Drops until the connection is closed.
    """

    of: Literal["headers", "body"] = "body"
    pause: float = 0.05
    drop: int = 1
    drops: int = 1000

    def answered(self, response: Response) -> Response:
        """The answer, to be sent in drops."""
        how = Delivery(
            pause=self.pause,
            pieces=self.drops,
            header_piece=self.drop if self.of == "headers" else 0,
            body_piece=self.drop,
        )
        return attrs.evolve(response, delivery=how)


@attrs.frozen(kw_only=True)
class Late(Fault):
    """The answer comes after a while.

    Attributes:
        seconds: How long nothing is sent.
    """

    seconds: float

    def answered(self, response: Response) -> Response:
        """The answer, to be sent later."""
        return attrs.evolve(response, delivery=Delivery(wait=self.seconds))
