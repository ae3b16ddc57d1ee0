"""From a request to the hub or its CDN to the answer: which repository, may it be seen, which file."""

import gzip
import math
from collections.abc import Callable
from urllib.parse import quote

import attrs

from embaudit.testing.loopback_hub.access import (
    bad_token,
    closed,
    hidden,
    no_such_entry,
    no_such_repository,
    no_such_revision,
)
from embaudit.testing.loopback_hub.contents import StoredFile, contents_of
from embaudit.testing.loopback_hub.listings import CLOSED, OF_COMMIT, OF_REPOSITORY, Asked
from embaudit.testing.loopback_hub.messages import (
    Headers,
    Request,
    Response,
    document,
    file_answer,
    redirect,
    refusal,
    text,
)
from embaudit.testing.loopback_hub.repositories import Commit, Repository, sha1_of
from embaudit.testing.loopback_hub.site import Site

_CACHE_ROUTE = ("api", "resolve-cache", "models")
_API_ROUTE = ("api", "models")
_MOST_WITHOUT_RANGE = 50 * 1000**3
"""Above 50 GB the CDN gives ranges only (`MAX_HTTP_DOWNLOAD_SIZE`).
Source: https://github.com/huggingface/huggingface_hub/blob/v1.0.1/src/huggingface_hub/constants.py"""
_COMPRESSED = (".json", ".txt", ".md", ".py")
"""Names that CloudFront takes for compressible."""
_DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


def answer(site: Site, request: Request) -> Response:
    """The answer of the hub or of the CDN, whichever was asked."""
    return _cdn_answer(site, request) if request.origin == "cdn" else _limited(site, request)


def _limited(site: Site, request: Request) -> Response:
    """The answer of the hub with its `RateLimit` headers, or 429.

    Source: https://huggingface.co/docs/hub/rate-limits
    """
    segments = request.segments
    kind = "resolvers" if "resolve" in segments else "api" if segments[0] == "api" else "pages"
    left, reset = site.count(kind)
    limits = (
        ("RateLimit", f'"{kind}";r={max(left, 0)};t={reset}'),
        (
            "RateLimit-Policy",
            f'"fixed window";"{kind}";q={site.settings.quota};w={math.ceil(site.settings.window)}',
        ),
    )
    if left < 0:
        given = refusal(429, "Too many requests")
    else:
        given = bad_token(site, request) or _routed(site, request)
    return attrs.evolve(given, headers=(*given.headers, *limits))


def _routed(site: Site, request: Request) -> Response:
    segments = request.segments
    if segments == ("api", "agent-harnesses"):
        return document({"standardEnvVars": [], "harnesses": {}})
    if segments[:3] == _CACHE_ROUTE:
        return _in_repository(site, request, 3)
    if segments[:2] == _API_ROUTE:
        return _in_repository(site, request, 2)
    if "resolve" in segments[1:3]:
        return _in_repository(site, request, 0)
    return text(404, "Not Found")


def _in_repository(site: Site, request: Request, start: int) -> Response:
    """The answer about the repository whose id begins at a segment of the path; ids have one or two."""
    segments = request.segments
    for stop in (start + 2, start + 1):
        name = "/".join(segments[start:stop])
        repository, moved = site.find(name), site.moved_to(name)
        if repository is not None and not hidden(site, request, repository):
            asked = Asked(site=site, repository=repository, request=request, rest=segments[stop:])
            return _about(asked, segments[:start])
        if moved is not None:
            return _moved(request, start, stop, moved)
    return no_such_repository(request)


def _moved(request: Request, start: int, stop: int, name: str) -> Response:
    """The redirect from an old name: relative, with everything else kept."""
    raw = request.raw_segments
    path = "/".join(("", *raw[:start], name, *raw[stop:]))
    return redirect(307, f"{path}?{request.query}" if request.query else path)


def _about(asked: Asked, before: tuple[str, ...]) -> Response:
    """The answer about a repository that may be seen, by what stands before its id in the path."""
    if before == _API_ROUTE:
        return _listed(asked)
    refused = closed(asked.site, asked.request, asked.repository)
    if refused is not None:
        return refused
    if before == _CACHE_ROUTE:
        return _of_commit(_cached, asked)
    return _of_commit(_resolved, attrs.evolve(asked, rest=asked.rest[1:]))


def _listed(asked: Asked) -> Response:
    """The answer of the API, by what follows the id."""
    name, *rest = asked.rest or ("revision", "main")
    shut = name in CLOSED or (asked.repository.disabled and name != "revision")
    refused = closed(asked.site, asked.request, asked.repository) if shut else None
    if refused is not None:
        return refused
    if name in OF_REPOSITORY:
        return OF_REPOSITORY[name](asked)
    if name not in OF_COMMIT:
        return text(404, "Not Found")
    return _of_commit(OF_COMMIT[name], attrs.evolve(asked, rest=tuple(rest)))


def _of_commit(told: Callable[[Asked, Commit], Response], asked: Asked) -> Response:
    """The answer about the commit that the next segment of the path names."""
    revision, *rest = asked.rest or ("",)
    commit = asked.repository.find(revision)
    if commit is None:
        return no_such_revision(revision)
    return told(attrs.evolve(asked, rest=tuple(rest)), commit)


def _resolved(asked: Asked, commit: Commit) -> Response:
    """`/{id}/resolve/{revision}/{path}`: a redirect to the CDN for LFS, to the hub's own cache otherwise."""
    path, pinned = "/".join(asked.rest), ("X-Repo-Commit", commit.id)
    file = commit.files.get(path)
    if file is None:
        return no_such_entry((pinned,))
    told = (
        pinned,
        ("Accept-Ranges", "bytes"),
        ("X-Linked-Size", str(file.size)),
        ("X-Linked-ETag", f'"{file.digest}"'),
    )
    if file.sha256 is None:
        return redirect(307, _cache_path(asked.repository, commit, path, file), told)
    shown = f'inline; filename="{path.rpartition("/")[2]}";'
    place = f"/loopback/{asked.repository.key}/{file.sha256}"
    return redirect(302, asked.site.signed_url(place, shown), told)


def _cache_path(repository: Repository, commit: Commit, path: str, file: StoredFile) -> str:
    asked = quote(f"/{repository.repo_id}/resolve/{commit.id}/{path}", safe="")
    place = f"/api/resolve-cache/models/{repository.repo_id}/{commit.id}/{quote(path, safe='')}"
    return f"{place}?{asked}=&etag={quote(chr(34) + file.oid + chr(34), safe='')}"


def _cached(asked: Asked, commit: Commit) -> Response:
    """`/api/resolve-cache/models/{id}/{commit}/{path}`: the file itself.

    A client that accepts gzip gets compressible files whole and compressed, whatever range it asked for.
    """
    path, pinned, request = "/".join(asked.rest), ("X-Repo-Commit", commit.id), asked.request
    file = commit.files.get(path)
    contents = asked.site.contents(asked.repository, file.digest) if file is not None else None
    if file is None or contents is None:
        return no_such_entry((pinned,))
    headers: Headers = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("ETag", f'"{file.oid}"'),
        pinned,
    )
    if path.endswith(_COMPRESSED) and "gzip" in request.headers.get("accept-encoding", ""):
        packed = contents_of(gzip.compress(contents.read(0, contents.size), mtime=0))
        return Response(status=200, headers=(*headers, ("Content-Encoding", "gzip")), body=packed)
    return file_answer(request, contents, headers)


def _cdn_answer(site: Site, request: Request) -> Response:
    """The contents of an LFS file: no name, no commit, an ETag that isn't its SHA-256."""
    *_, key, digest = ("", *request.segments)
    repository = site.by_key(key)
    contents = site.contents(repository, digest) if repository is not None else None
    if contents is None or not site.is_signed(request.path, request.query):
        return denied(403)
    lost = site.lost(digest)
    if lost is not None:
        return denied(lost)
    if request.range is None and contents.size > _MOST_WITHOUT_RANGE:
        return text(400, "<Error><Code>InvalidRequest</Code></Error>")
    etag = sha1_of("cdn", digest) + sha1_of("etag", digest)[:24]
    kind = ("Content-Type", "binary/octet-stream")
    return file_answer(request, contents, (kind, ("ETag", f'"{etag}"')))


def denied(status: int) -> Response:
    """What the CDN says to a URL that has expired or is not its own, and of an object that it lost."""
    return text(status, _DENIED, (("Content-Type", "application/xml"),))
