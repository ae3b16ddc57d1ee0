"""What it means when the hub refuses: from status, error code and text to an error that says what to do.

The hub puts a code into `X-Error-Code` and a sentence into `X-Error-Message`; some refusals have neither, and
without a token the hub does not tell a private repository from one that is missing. The order of the rows is
that of huggingface_hub 2.4.0, `utils/_http.py`, `hf_raise_for_status`.
"""

import re

import attrs

from embaudit.errors import EmbauditError, NoContentError, TargetError, UnavailableError
from embaudit.sources.base import shown
from embaudit.sources.hub.addresses import without_secrets
from embaudit.sources.hub.exchange import Answer
from embaudit.sources.hub.redaction import redacted

_LOG_IN = "log in with `hf auth login`, or set the variable HF_TOKEN"
_MOST_SHOWN = 200
"""Letters of a server's own message that are repeated."""

_ERROR_IN_JSON = re.compile(r'\{\s*"error"\s*:\s*"([^"\\]*)"')
"""The body that the hub sends with a refusal, `{"error":"Repository not found"}`."""


@attrs.frozen(kw_only=True)
class _Row:
    """One kind of refusal. What is None is not looked at.

    Attributes:
        status: The status code.
        code: `X-Error-Code`.
        text: Part of the server's message, in lower case.
        on_hub: Whether the hub itself answers, or the storage that it redirects to.
        with_token: Whether a token went along.
        error: What is raised.
        says: What it means and what to do; `{page}` is where the repository is.
    """

    status: int | None = None
    code: str | None = None
    text: str | None = None
    on_hub: bool | None = True
    with_token: bool | None = None
    error: type[EmbauditError]
    says: str

    def fits(self, answer: Answer, message: str) -> bool:
        """Whether an answer is of this kind."""
        pairs = (
            (self.status, answer.status),
            (self.code, answer.headers.get("x-error-code")),
            (self.on_hub, answer.on_hub),
            (self.with_token, answer.with_token),
        )
        fits = all(wanted is None or wanted == found for wanted, found in pairs)
        return fits and (self.text is None or self.text in message.lower())


_ROWS = (
    _Row(
        on_hub=False,
        status=404,
        error=NoContentError,
        says="the hub lists it and has no content for it: it was never uploaded, or is gone",
    ),
    _Row(
        on_hub=False,
        status=403,
        error=UnavailableError,
        says="the hub's storage refuses the address that the hub gave; it may have expired",
    ),
    _Row(on_hub=False, error=UnavailableError, says="the hub's storage refuses"),
    _Row(code="RevisionNotFound", error=TargetError, says="the repository has no such branch, tag or commit"),
    _Row(code="EntryNotFound", error=UnavailableError, says="the repository has no such file at this commit"),
    _Row(
        code="GatedRepo",
        with_token=False,
        error=TargetError,
        says=f"the repository is gated: request access at {{page}}, then {_LOG_IN}",
    ),
    _Row(
        code="GatedRepo",
        error=TargetError,
        says="the repository is gated, and the token's account has no access to it: request it at {page}",
    ),
    _Row(
        status=403,
        text="access to this resource is disabled",
        error=TargetError,
        says="the hub has disabled the repository",
    ),
    _Row(
        status=401,
        text="invalid credentials in authorization header",
        error=TargetError,
        says=f"the hub does not accept the token: it is wrong or no longer valid; {_LOG_IN}",
    ),
    _Row(
        code="RepoNotFound",
        with_token=True,
        error=TargetError,
        says="there is no such repository, or the token's account may not see it",
    ),
    _Row(
        code="RepoNotFound",
        error=TargetError,
        says=f"there is no such repository, or it is private: if it is, {_LOG_IN}",
    ),
    _Row(
        status=401,
        with_token=False,
        error=TargetError,
        says=(
            "missing, private or gated: without a token the hub does not tell which; "
            f"check the name, or {_LOG_IN}"
        ),
    ),
    _Row(
        status=401,
        error=TargetError,
        says=f"the hub does not accept the token for this; {_LOG_IN}, as an account that may see it",
    ),
    _Row(status=400, error=UnavailableError, says="the hub does not understand the request"),
    _Row(
        status=403,
        with_token=False,
        error=UnavailableError,
        says=f"the hub forbids it; it may allow it with a token: {_LOG_IN}",
    ),
    _Row(
        status=403,
        error=UnavailableError,
        says="the hub forbids it; the token may lack the right to read this repository",
    ),
    _Row(status=404, error=UnavailableError, says="the hub does not have it"),
    _Row(status=410, error=UnavailableError, says="the hub does not have it any more"),
    _Row(status=416, error=UnavailableError, says="the file ends before the bytes that were asked for"),
    _Row(status=429, error=UnavailableError, says="the hub has had too many requests; try again later"),
    _Row(on_hub=None, error=UnavailableError, says="the hub refuses"),
)
"""All kinds of refusal; the first row that fits an answer is what it means. What the real hub sends is known
from its documentation, from huggingface_hub's own tests of these codes, and from recorded traffic."""


def refusal(answer: Answer, *, what: str, page: str = "the repository's page on the hub") -> EmbauditError:
    """The error that an answer means which is neither 200 nor 206.

    Args:
        answer: The answer.
        what: What was asked for, in words; safe to print.
        page: Where a person finds the repository, for those who have to ask for access.

    Returns:
        A `TargetError` if repository or revision cannot be had by whoever asks, a `NoContentError` if the
        hub lists a file and its storage has no content for it, else an `UnavailableError`: that the hub
        refuses says nothing of a file.
    """
    message = _message(answer)
    row = next(row for row in _ROWS if row.fits(answer, message))
    said = f"; it says '{message}'" if message else ""
    return row.error(f"{what}: {row.says.format(page=without_secrets(page))} (status {answer.status}{said})")


def _message(answer: Answer) -> str:
    """The server's own words, fit to be repeated; empty if it has none but a page of HTML."""
    text = answer.headers.get("x-error-message", "").strip()
    if not text:
        text = answer.body[: 4 * _MOST_SHOWN].decode("utf-8", "replace").strip()
        in_json = _ERROR_IN_JSON.match(text)
        text = text if in_json is None else in_json.group(1)
    if text.startswith("<"):
        return ""
    cut = redacted(text)
    return shown(cut if len(cut) <= _MOST_SHOWN else f"{cut[:_MOST_SHOWN]}...")
