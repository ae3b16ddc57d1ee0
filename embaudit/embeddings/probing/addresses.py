"""Addresses of embedding servers: `tei+http://host:port`, `openai+https://host/v1?model=name`, `http://...`.

The scheme before the plus names the protocol. Without one it is told by the path, `/embed`, `/embeddings` or
`/v1`, or else the server is asked. For OpenAI the path is what their clients call the base URL: `/embeddings`
comes after it, and it is `/v1` if there is none. What stands in the query goes into every request: for TEI
`normalize`, `truncate`, `prompt_name` and `dimensions`, for OpenAI `model` and `dimensions`. No address holds
a password or a key.
"""

from collections.abc import Callable, Mapping
from urllib.parse import SplitResult, parse_qsl, urlsplit

import attrs

from embaudit.errors import UsageError
from embaudit.model.frozen import JSON, frozen_mapping
from embaudit.model.probe import Wire

EXAMPLES = "tei+http://localhost:8080, openai+http://localhost:8000/v1?model=NAME, http://localhost:8080"

_PLAIN = ("http", "https")
_ENDS: Mapping[Wire, str] = {Wire.TEI: "/embed", Wire.OPENAI: "/embeddings"}
"""The path at which each protocol gives vectors."""
OPENAI_PATH = "/v1"
"""Where OpenAI's own paths begin."""

_PRINTABLE = frozenset(map(chr, range(0x21, 0x7F)))
"""What may stand before the query, which alone is not sent as it is written."""

_FLAGS = {"true": True, "false": False}


def _flag(text: str) -> bool:
    return _FLAGS[text.lower()]


_OPTIONS: Mapping[Wire, Mapping[str, Callable[[str], JSON]]] = {
    Wire.TEI: {"normalize": _flag, "truncate": _flag, "prompt_name": str, "dimensions": int},
    Wire.OPENAI: {"model": str, "dimensions": int},
}
"""What a query may hold, by protocol, and what its text means."""


@attrs.frozen(kw_only=True)
class Address:
    """Where a server is.

    Attributes:
        wire: Its protocol; None if it has to be asked.
        base: `http://host:port` and the path before `/embed` or `/embeddings`, without a slash at its end.
        options: What goes into every request.
    """

    wire: Wire | None
    base: str
    options: Mapping[str, JSON] = attrs.field(converter=frozen_mapping)


def is_address(text: str) -> bool:
    """Whether a text is meant as the address of a server."""
    return "://" in text


def parse_address(text: str) -> Address:
    """The address that a text says.

    Raises:
        UsageError: If it is none, or holds a user name, a password, or an option that the protocol has not.
    """
    try:
        parts = urlsplit(text)
        protocol, _, scheme = parts.scheme.rpartition("+")
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise UsageError(f"that is no address of a server; write {EXAMPLES}") from None
    if scheme not in _PLAIN or not parts.hostname or protocol not in {"", *Wire}:
        raise UsageError(f"that is no address of an embedding server; write {EXAMPLES}")
    if "@" in parts.netloc:
        raise UsageError("an address must not hold a user name or a password; give the key as api_key")
    if not _PRINTABLE.issuperset(text.partition("?")[0]):
        raise UsageError("the host and the path of an address hold no blanks, and no characters beyond ASCII")
    path = parts.path.rstrip("/")
    wire = Wire(protocol) if protocol else _wire_of(path)
    return Address(
        wire=wire,
        base=f"{scheme}://{parts.netloc}{_before(path, wire)}",
        options=_options(parts, wire),
    )


def _wire_of(path: str) -> Wire | None:
    if path.endswith(OPENAI_PATH):
        return Wire.OPENAI
    return next((wire for wire, end in _ENDS.items() if path.endswith(end)), None)


def _before(path: str, wire: Wire | None) -> str:
    """The path before that at which the protocol gives vectors."""
    if wire is None:
        return path
    if wire is Wire.OPENAI and not path:
        return OPENAI_PATH
    return path.removesuffix(_ENDS[wire])


def _options(parts: SplitResult, wire: Wire | None) -> Mapping[str, JSON]:
    given = parse_qsl(parts.query, keep_blank_values=True)
    if wire is None and given:
        raise UsageError("an address with options needs its protocol: tei+http:// or openai+http://")
    if wire is None:
        return {}
    known = _OPTIONS[wire]
    options: dict[str, JSON] = {}
    for name, text in given:
        if name not in known:
            raise UsageError(f"{wire} servers take {', '.join(known)} in an address, nothing else")
        try:
            options[name] = known[name](text)
        except (KeyError, ValueError):
            raise UsageError(
                f"the address has a {name} that is no {known[name].__name__.strip('_')}"
            ) from None
    return options
