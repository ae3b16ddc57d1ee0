"""Whether a request to a server goes over a proxy, and which.

Knows the settings of the machine as the standard library reads them: `http_proxy`, `https_proxy`, `no_proxy`.
This machine itself is never asked over a proxy: a key for it is nobody else's, and a proxy's own loopback is
another one.
"""

import ipaddress
import urllib.request
from urllib.parse import urlsplit

import attrs

_LOCAL_NAME = "localhost"


@attrs.frozen(kw_only=True)
class Proxy:
    """A proxy between this machine and a server.

    Attributes:
        address: As the settings have it; it may hold a password.
        name: Its host and port.
    """

    address: str = attrs.field(repr=False)
    name: str


def proxy_for(address: str) -> Proxy | None:
    """The proxy that a request to an address goes over, or None if it goes there directly.

    Args:
        address: `http://...` or `https://...`, with a host.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if is_this_machine(host):
        return None
    set_for = urllib.request.getproxies().get(parts.scheme)
    if not set_for or urllib.request.proxy_bypass(parts.netloc):
        return None
    return Proxy(address=set_for, name=_name_of(set_for))


def is_this_machine(host: str) -> bool:
    """Whether a host is a name or an address of the loopback.

    Args:
        host: In small letters, without brackets.
    """
    if host == _LOCAL_NAME or host.endswith(f".{_LOCAL_NAME}"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _name_of(address: str) -> str:
    """Host and port, without name and password."""
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
    except ValueError:
        return "a host that cannot be read"
    return parts.netloc.rpartition("@")[2] or "a host that cannot be read"
