"""Where a request may go: origins, and the rules for redirects. Pure; nothing here sends anything.

Addresses may carry secrets in their query or before the host, so that errors name a host at most.
"""

from typing import NoReturn
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit

import attrs

from embaudit.errors import UnavailableError
from embaudit.sources.base import shown

_PORTS = {"http": 80, "https": 443}
"""The schemes that are spoken, and the port of each where an address names none."""

_MOST_SHOWN = 100
"""Letters of a foreign host or scheme that a message repeats."""


@attrs.frozen
class Origin:
    """What credentials are given to: a scheme, a host, and a port (RFC 6454)."""

    scheme: str
    host: str
    port: int


def origin_of(url: str, *, what: str) -> Origin:
    """The origin of an address.

    Raises:
        UnavailableError: If the address is not one of http or https; `what` says whose it is.
    """
    parts = _split(url, what)
    if parts.scheme not in _PORTS:
        _refuse(what, f"the address is not one of http or https, but of '{_cut(parts.scheme)}'")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not parts.hostname or port == -1:
        _refuse(what, "the address is malformed")
    return Origin(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme])


def without_secrets(url: str) -> str:
    """The address without name, password, query and fragment, for a message; empty if it is malformed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return shown(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl())


def redirect_target(location: str | None, *, current: str, hub: Origin, crosses: bool, what: str) -> str:
    """Where a redirect leads, if it may be followed.

    Args:
        location: The header of that name.
        current: The address that answered with it.
        hub: The hub's own origin.
        crosses: Whether the redirect may lead away from the hub.
        what: What was asked for, in words.

    Raises:
        UnavailableError: If it leads nowhere, to a scheme other than http and https, from https to http, to
            another origin although that is not allowed, or to one with a name and password in the address.
    """
    if not location:
        _refuse(what, "a redirect that leads nowhere")
    try:
        target = urldefrag(urljoin(current, location)).url
    except ValueError:
        _refuse(what, "a redirect to a malformed address")
    source, goal = origin_of(current, what=what), origin_of(target, what=f"{what}: redirected")
    if source.scheme == "https" and goal.scheme != "https":
        _refuse(what, "a redirect from https to http, which is not followed")
    if goal in {hub, source}:
        return target
    if not crosses:
        _refuse(what, f"a redirect to another host ({_cut(goal.host)}), which is not followed")
    if "@" in _split(target, what).netloc:
        _refuse(what, f"a redirect to another host ({_cut(goal.host)}) with a name in the address")
    return target


def _split(url: str, what: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        _refuse(what, "the address is malformed")


def _refuse(what: str, problem: str) -> NoReturn:
    raise UnavailableError(f"{what}: {problem}") from None


def _cut(text: str) -> str:
    return shown(text[:_MOST_SHOWN])
