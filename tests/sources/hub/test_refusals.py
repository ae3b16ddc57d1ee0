"""What the hub's refusals mean, in every variant."""

from typing import Any

import pytest

from embaudit.errors import EmbauditError, NoContentError, TargetError, UnavailableError
from embaudit.sources.hub.exchange import Answer
from embaudit.sources.hub.refusals import refusal

PAGE = "https://hub.example/org/name"


def refused(
    status: int, *, code: str = "", message: str = "", body: bytes = b"", **more: Any
) -> EmbauditError:
    """The error for an answer of the hub."""
    headers = {"x-error-code": code, "x-error-message": message}
    given = {name: value for name, value in headers.items() if value}
    fields: dict[str, Any] = {"on_hub": True, "redirected": False, "with_token": False, **more}
    answer = Answer(
        status=status, headers=given, first_headers=given, url=f"{PAGE}?secret", body=body, **fields
    )
    return refusal(answer, what="the listing of org/name", page=PAGE.replace("//", "//me:secret@"))


ANONYMOUS = {"with_token": False}
TOKEN = {"with_token": True}
STORAGE = {"on_hub": False, "redirected": True}
ROWS: dict[str, tuple[dict[str, Any], type[EmbauditError], str]] = {
    "missing or private, anonymous": (
        {"status": 401, "body": b'{"error":"Invalid username or password."}', **ANONYMOUS},
        TargetError,
        "without a token the hub does not tell which",
    ),
    "missing, token": ({"status": 404, "code": "RepoNotFound", **TOKEN}, TargetError, "no such repository"),
    "missing with its code, anonymous": (
        {"status": 401, "code": "RepoNotFound"},
        TargetError,
        "hf auth login",
    ),
    "bad token, header": (
        {"status": 401, "message": "Invalid credentials in Authorization header", **TOKEN},
        TargetError,
        "does not accept the token",
    ),
    "bad token, body": (
        {"status": 401, "body": b'{"error":"Invalid credentials in Authorization header"}', **TOKEN},
        TargetError,
        "wrong or no longer valid",
    ),
    "token without the right": ({"status": 401, **TOKEN}, TargetError, "an account that may see it"),
    "gated, anonymous": (
        {"status": 401, "code": "GatedRepo"},
        TargetError,
        f"request access at {PAGE}, then log",
    ),
    "gated, token": ({"status": 403, "code": "GatedRepo", **TOKEN}, TargetError, f"request it at {PAGE}"),
    "disabled": (
        {"status": 403, "message": "Access to this resource is disabled."},
        TargetError,
        "disabled the repository",
    ),
    "revision": ({"status": 404, "code": "RevisionNotFound"}, TargetError, "no such branch, tag or commit"),
    "file": ({"status": 404, "code": "EntryNotFound"}, UnavailableError, "no such file"),
    "bad request": ({"status": 400}, UnavailableError, "does not understand"),
    "forbidden, anonymous": ({"status": 403}, UnavailableError, "HF_TOKEN"),
    "forbidden, token": ({"status": 403, **TOKEN}, UnavailableError, "lack the right"),
    "not found without a code": ({"status": 404}, UnavailableError, "does not have it"),
    "gone": ({"status": 410}, UnavailableError, "any more"),
    "range": ({"status": 416}, UnavailableError, "ends before"),
    "too many": ({"status": 429}, UnavailableError, "too many requests"),
    "anything else": ({"status": 418}, UnavailableError, "refuses (status 418)"),
    "storage has no object": ({"status": 404, **STORAGE}, NoContentError, "never uploaded, or is gone"),
    "signed address expired": ({"status": 403, **STORAGE}, UnavailableError, "may have expired"),
    "storage, anything else": ({"status": 400, **STORAGE}, UnavailableError, "the hub's storage refuses"),
}


@pytest.mark.parametrize(("given", "error", "says"), ROWS.values(), ids=ROWS)
def test_each_refusal_means_what_the_hub_means(
    given: dict[str, Any], error: type[EmbauditError], says: str
) -> None:
    """Status, code, text, token and who answers decide the error and what it tells people to do."""
    raised = refused(**given)

    assert type(raised) is error
    assert str(raised).startswith("the listing of org/name: ")
    assert says in str(raised)
    assert "secret" not in str(raised)


HOSTILE = {
    "an address with a secret": ("see https://cdn.example/f?Signature=hush for more", "hush"),
    "control characters": ("\x1b[31mred", "\x1b"),
    "a token": ("Bearer hf_abcdefghijkl is wrong", "abcdefghijkl"),
}


@pytest.mark.parametrize(("message", "never"), HOSTILE.values(), ids=HOSTILE)
def test_the_servers_words_are_repeated_without_harm(message: str, never: str) -> None:
    """What the server says is in the message, except what is secret or harms a terminal."""
    by_header, by_body = str(refused(418, message=message)), str(refused(418, body=message.encode()))

    assert by_header == by_body
    assert "it says '" in by_header
    assert never not in by_header


def test_long_words_of_the_server_are_cut() -> None:
    """A message stays short, however much the server says."""
    assert len(str(refused(418, message="a" * 10_000))) < 400


def test_a_page_of_html_is_not_repeated() -> None:
    """A body that is a page for browsers is not part of the message."""
    assert "it says" not in str(refused(404, body=b"<!DOCTYPE html><p>Not here</p>"))
