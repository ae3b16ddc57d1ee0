"""What the loopback hub holds: repositories under their names, old names, tokens, signatures, quotas.

It knows no sockets and gives no answers; the answers are made of it.
"""

import hashlib
import threading
import time
from collections import Counter
from urllib.parse import parse_qsl, urlencode

import attrs

from embaudit.testing.loopback_hub.contents import Sparse, contents_of
from embaudit.testing.loopback_hub.repositories import Repository, sha1_of

_KEY_DIGITS = 24
_SALT = "loopback"
"""Nobody is to be kept out; a signature only has to tell a URL that was given from one that was made up."""


@attrs.frozen(kw_only=True)
class Settings:
    """How the hub behaves.

    Attributes:
        latency: Seconds before each answer of the hub.
        cdn_latency: Seconds before each answer of the CDN.
        quota: Requests of one kind (api, resolvers, pages) that are answered in one window; 429 after that.
        window: Seconds of a window.
        commits_page: Commits on a page of the history.
        url_seconds: How long a signed URL is good for.
    """

    latency: float = 0.0
    cdn_latency: float = 0.0
    quota: int = 1_000_000
    window: float = 300.0
    commits_page: int = 50
    url_seconds: float = 3600.0


class Site:
    """Repositories under their names, and who may see them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.hub_url = ""
        self.cdn_url = ""
        self._repositories: dict[str, Repository] = {}
        self._moved: dict[str, str] = {}
        self._tokens: dict[str, frozenset[str]] = {}
        self._lost: dict[str, int] = {}
        self._replaced: dict[str, Sparse] = {}
        self._signing = 0
        self._made = 0
        self._used: Counter[str] = Counter()
        self._window_began = time.monotonic()
        self._counting = threading.Lock()

    def create(
        self, repo_id: str, *, gated: str = "", private: bool = False, disabled: bool = False
    ) -> Repository:
        """Make an empty repository.

        A name that a renamed or deleted repository had may be taken again: the new one has another key.

        Args:
            repo_id: `org/name`, or a name alone.
            gated: `auto` or `manual` if access to the files has to be granted.
            private: Whether only tokens with access see it.
            disabled: Whether its files are given to nobody.
        """
        if repo_id in self._repositories:
            raise ValueError(f"there is a repository {repo_id} already")
        self._made += 1
        key = sha1_of("repository", str(self._made))[:_KEY_DIGITS]
        made = Repository(repo_id, key, gated=gated, private=private, disabled=disabled)
        self._moved.pop(repo_id, None)
        self._repositories[repo_id] = made
        return made

    def delete(self, repo_id: str) -> None:
        """Delete a repository."""
        del self._repositories[repo_id]

    def rename(self, old: str, new: str) -> None:
        """Rename a repository. The old name redirects to the new one until somebody takes it."""
        if new in self._repositories:
            raise ValueError(f"there is a repository {new} already")
        repository = self._repositories.pop(old)
        repository.repo_id = new
        self._moved = {name: new if target == old else target for name, target in self._moved.items()}
        self._moved[old] = new
        self._moved.pop(new, None)  # it may have had this name before
        self._repositories[new] = repository

    def find(self, repo_id: str) -> Repository | None:
        """The repository of that name."""
        return self._repositories.get(repo_id)

    def moved_to(self, repo_id: str) -> str | None:
        """The name that a renamed repository has now."""
        return self._moved.get(repo_id)

    def by_key(self, key: str) -> Repository | None:
        """The repository with that key."""
        return next((found for found in self._repositories.values() if found.key == key), None)

    def token(self, *repo_ids: str) -> str:
        """Make a valid token that may see these repositories, private and gated ones too.

        Raises:
            LookupError: If there is no such repository.
        """
        keys = frozenset(self._repositories[repo_id].key for repo_id in repo_ids)
        made = f"hf_{sha1_of('token', str(len(self._tokens)))[:34]}"
        self._tokens[made] = keys
        return made

    def knows_token(self, token: str) -> bool:
        """Whether a token was made here."""
        return token in self._tokens

    def grants(self, token: str | None, repository: Repository) -> bool:
        """Whether a token has access to what is private or gated in a repository."""
        return token is not None and repository.key in self._tokens.get(token, frozenset())

    def lose(self, sha256: str, *, status: int = 403) -> None:
        """Lose the content of an LFS object. The listings and the redirect stay as they are.

        The CDN then answers as it does in the wild, 403 `AccessDenied`, as to an expired URL; or with
        another status.
        Source: https://github.com/huggingface/huggingface_hub/issues/4430
        """
        self._lost[sha256] = status

    def lost(self, digest: str) -> int | None:
        """The status that the CDN answers a lost object with."""
        return self._lost.get(digest)

    def replace(self, digest: str, contents: bytes | Sparse) -> None:
        """Give other contents out under a SHA-256 (LFS) or a git blob's id, with every listing as before."""
        self._replaced[digest] = contents_of(contents)

    def contents(self, repository: Repository, digest: str) -> Sparse | None:
        """What is given out under a digest."""
        return self._replaced.get(digest) or repository.contents(digest)

    def expire_urls(self) -> None:
        """Let every signed URL that was given so far expire."""
        self._signing += 1

    def signed_url(self, path: str, disposition: str) -> str:
        """A URL of the CDN that is good for a while."""
        expires = f"{time.time() + self.settings.url_seconds:.3f}"
        query = {
            "response-content-disposition": disposition,
            "Expires": expires,
            "Signature": self._signature(path, expires),
            "Key-Pair-Id": "LOOPBACK",
        }
        return f"{self.cdn_url}{path}?{urlencode(query)}"

    def is_signed(self, path: str, query: str) -> bool:
        """Whether a path of the CDN was asked for with a signature that is good now."""
        asked = dict(parse_qsl(query))
        expires = asked.get("Expires", "")
        return asked.get("Signature") == self._signature(path, expires) and float(expires) > time.time()

    def _signature(self, path: str, expires: str) -> str:
        signed = "\0".join((_SALT, str(self._signing), path, expires))
        return hashlib.sha256(signed.encode()).hexdigest()

    def count(self, kind: str) -> tuple[int, int]:
        """Count a request of a kind.

        Returns:
            How many of the window are left, negative if there are none, and the seconds until the next one.
        """
        with self._counting:
            now = time.monotonic()
            if now - self._window_began >= self.settings.window:
                self._used.clear()
                self._window_began = now
            self._used[kind] += 1
            left = self.settings.quota - self._used[kind]
            return left, int(self._window_began + self.settings.window - now)
