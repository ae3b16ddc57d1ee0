"""Keeping signed addresses and tokens out of logs and messages.

The query of a signed address opens the file to whoever reads it. At level INFO httpx logs every address that
it asks; at DEBUG httpcore logs the headers of every answer, a redirect's `Location` among them, and urllib3
and huggingface_hub log addresses with their queries. This module knows their loggers, and what a secret looks
like in a text; it does not know which texts there are.
"""

import logging
import re

_LOGGERS = (
    *("httpx", "httpx2"),
    *(
        f"{library}.{part}"
        for library in ("httpcore", "httpcore2")
        for part in ("connection", "http11", "http2", "proxy", "socks")
    ),
    *("hpack.hpack", "hpack.table"),  # HTTP/2, if a client is set up for it
    *(
        f"urllib3.{part}"
        for part in (
            "connection",
            "connectionpool",
            "poolmanager",
            "response",
            "util.retry",
            "http2.connection",
        )
    ),
    "huggingface_hub.utils._http",
)
"""The loggers that are handed addresses or headers, by the names that the libraries give them: requests 2.34
with urllib3 2.8, httpx 0.28 with httpcore 1.0, httpx2 2.16 with httpcore2 2.16, huggingface_hub 0.34 to 2.4.
A filter on a logger does not see what the loggers below it are told, so that each is named."""

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # A header as httpcore prints it, (b'Set-Cookie', b'...'), or as a mapping: its value.
    (
        re.compile(
            r"(?i)((?:cookie|authorization|access-token|xet-access-token)(['\"])\s*[,:]\s*b?(['\"])).*?\3"
        ),
        r"\1...\3",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+(?!\.\.\.)[^\s'\"]+"), r"\1 ..."),
    (re.compile(r"\bhf_[A-Za-z0-9_]{8,}"), "hf_..."),
    (re.compile(r"(?i)(https?://)[^\s/?#'\"]*@"), r"\1...@"),
    # A query reaches to the next white space; a part of one may stand alone after white space within it.
    (re.compile(r"(?<=[^\s?])\?[^\s?]\S*"), "?..."),
    (re.compile(r"(?i)\b([\w-]*(?:signature|credential|security-token|policy|key-pair-id))=\S+"), r"\1=..."),
)
"""What a secret looks like, and what stands there instead. Rather too much is cut than too little."""


def redacted(text: str) -> str:
    """The text without queries of addresses, user names and passwords in them, tokens and cookies."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def install() -> None:
    """Have the transport libraries log without secrets from now on; more than once does no harm."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)


class _Redacting(logging.Filter):
    """Lets every record through, with its message redacted."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record in place, for all handlers that follow."""
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


_FILTER = _Redacting()
