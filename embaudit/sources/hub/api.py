"""The addresses of the hub's API that are asked, and the JSON that they answer with, page by page.

Addresses as huggingface_hub 2.4.0 builds them (`hf_api.py`; `file_download.py`, `hf_hub_url`): a revision is
quoted whole, so that `refs/pr/1` is one segment; a path keeps its slashes. Knows how answers are paged;
refuses to know what they say.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote, unquote, urljoin, urlsplit

import attrs

from embaudit.errors import EmbauditError, LimitError, RefusedError, SourceError, TargetError
from embaudit.model.limits import Limits
from embaudit.sources.hub.addresses import Origin, origin_of
from embaudit.sources.hub.documents import Field, parse_answer
from embaudit.sources.hub.exchange import Answer, Exchange, TooMuchError
from embaudit.sources.hub.refusals import refusal

OK = 200
_REVISION_NOT_FOUND = "RevisionNotFound"
"""The `X-Error-Code` of a 404 for a branch, tag or commit that the repository does not have."""
_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT = re.compile(r';\s*rel="?next"?\s*(?:[;,]|$)', re.IGNORECASE)


class NoRevisionError(TargetError):
    """The repository is there and has no such branch, tag or commit."""


@attrs.frozen(kw_only=True)
class Addresses:
    """Where the hub answers for one model repository.

    Attributes:
        endpoint: The hub, without a slash at the end.
        repo_id: `org/name`.
    """

    endpoint: str
    repo_id: str

    @property
    def page(self) -> str:
        """Where a person finds the repository."""
        return f"{self.endpoint}/{quote(self.repo_id)}"

    @property
    def _api(self) -> str:
        return f"{self.endpoint}/api/models/{quote(self.repo_id)}"

    def info(self, revision: str) -> str:
        """What the repository is, its files with sizes and digests, and what scanners say."""
        return f"{self._api}/revision/{quote(revision, safe='')}?blobs=true&securityStatus=true"

    def tree(self, commit: str) -> str:
        """Every file of a commit, in pages."""
        return f"{self._api}/tree/{commit}?recursive=true&expand=false"

    def commits(self, commit: str) -> str:
        """A commit and those before it, newest first, in pages."""
        return f"{self._api}/commits/{commit}"

    def paths_info(self, commit: str) -> str:
        """Where to post the paths of which more is to be told."""
        return f"{self._api}/paths-info/{commit}"

    def refs(self) -> str:
        """Branches, tags, converted branches and pull requests."""
        return f"{self._api}/refs?include_prs=1"

    def auth_check(self) -> str:
        """Whether files may be had."""
        return f"{self._api}/auth-check"

    def file(self, commit: str, path: str) -> str:
        """The content of a file, or a redirect to it."""
        return f"{self.page}/resolve/{commit}/{quote(path)}"


@attrs.frozen(kw_only=True)
class HubApi:
    """Questions to the hub about one repository; an answer is JSON, or an error.

    Attributes:
        exchange: How requests are made.
        addresses: Where they go.
        limits: `json_bytes` bounds one answer.
    """

    exchange: Exchange
    addresses: Addresses
    limits: Limits

    def get(self, url: str, what: str) -> Answer:
        """The answer of whatever status, as the exchange gives it.

        Raises:
            SourceError: If there is none after the retries.
            LimitError: If it takes more than a limit allows.
        """
        with self._within_limit(what):
            return self.exchange.get(url, what=what, most=self.limits.json_bytes)

    def post_form(self, url: str, what: str, fields: Sequence[tuple[str, str]]) -> Answer:
        """The answer to a form, of whatever status.

        Raises:
            SourceError: If there is none after the retries.
            LimitError: If it takes more than a limit allows.
        """
        with self._within_limit(what):
            return self.exchange.post_form(url, what=what, fields=fields, most=self.limits.json_bytes)

    @contextmanager
    def _within_limit(self, what: str) -> Iterator[None]:
        try:
            yield
        except TooMuchError:
            problem = f"the answer has more than {self.limits.json_bytes:,} bytes"
            advice = "Limits(json_bytes=...) allows more"
            raise LimitError(f"{problem}; {advice}", what, "json_bytes") from None

    def document(self, url: str, what: str) -> Field:
        """The JSON of a successful answer.

        Raises:
            TargetError: If the hub refuses: not found, gated, ...
            SourceError: If there is no sound answer.
            LimitError: If it takes more than a limit allows.
        """
        return self.sound(self.get(url, what), what)

    def pages(self, url: str, what: str) -> Iterator[Field]:
        """The JSON of each page of an answer, the first asked for at `url`, each next one where `Link` says.

        A next page is on the hub's own origin, under the path of the first one, and none that was had before.
        Every page with a next one has entries, so that whoever bounds the entries bounds the pages.

        Raises:
            As `document` does.
        """
        seen: set[str] = set()
        next_url: str | None = url
        while next_url is not None:
            seen.add(next_url)
            answer = self.get(next_url, what)
            page = self.sound(answer, what)
            next_url = next_page(answer, what)
            if next_url in seen:
                raise SourceError(f"{what}: a page of the hub's answer leads back to one before it")
            if next_url is not None and not list(page):
                raise SourceError(f"{what}: a page of the hub's answer is empty and leads to another one")
            yield page

    def sound(self, answer: Answer, what: str) -> Field:
        """The JSON of an answer.

        Raises:
            NoRevisionError: If the hub has the repository and not the revision.
            TargetError: If the hub refuses otherwise: not found, gated, ...
            SourceError: If it is no JSON, or the hub fails.
        """
        if answer.status != OK:
            error = self.refusal(answer, what)
            is_missing = answer.headers.get("x-error-code") == _REVISION_NOT_FOUND
            raise NoRevisionError(str(error)) if is_missing else error
        return parse_answer(answer.body, what)

    def refusal(self, answer: Answer, what: str) -> EmbauditError:
        """What an answer means that is none."""
        return refusal(answer, what=what, page=self.addresses.page)


def as_source_error(error: EmbauditError) -> EmbauditError:
    """An error as a reader raises it: a `TargetError` is for what cannot be opened.

    It was opened and listed, so a refusal of the repository or the commit means that it was withdrawn since.
    """
    return error if isinstance(error, (SourceError, LimitError)) else RefusedError(str(error))


def next_page(answer: Answer, what: str) -> str | None:
    """Where the next page of a paged answer is, or None if this is the last.

    `Link` is followed as the hub gives it, but only on the origin and to the path that answered this page:
    credentials go along (RFC 8288; huggingface_hub 2.4.0, `utils/_pagination.py`).

    Raises:
        SourceError: If it leads elsewhere.
    """
    url = _next_link(answer.headers)
    if url is None:
        return None
    url = urljoin(answer.url, url)
    if not answer.on_hub or _place(url, what) != _place(answer.url, what):
        raise SourceError(f"{what}: the next page of the hub's answer would be at another place")
    return url


def _next_link(headers: Mapping[str, str]) -> str | None:
    for url, parameters in _LINK.findall(headers.get("link", "")):
        if _NEXT.search(parameters):
            return str(url)
    return None


def _place(url: str, what: str) -> tuple[Origin, str, str]:
    """What a page's address has to have in common with the one before: origin, name and password, path."""
    parts = urlsplit(url)
    return origin_of(url, what=what), parts.netloc.rpartition("@")[0], unquote(parts.path)
