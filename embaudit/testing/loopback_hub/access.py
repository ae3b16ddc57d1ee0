"""Who is refused what, and in which words.

What the hub says is told by status and `X-Error-Code`; both depend on whether the one who asks is known.
Source: https://github.com/huggingface/huggingface_hub/blob/v1.0.1/src/huggingface_hub/utils/_http.py
(`hf_raise_for_status`), which tells the codes apart.
"""

from embaudit.testing.loopback_hub.messages import Headers, Request, Response, refusal, text
from embaudit.testing.loopback_hub.repositories import Repository
from embaudit.testing.loopback_hub.site import Site


def token_of(request: Request) -> str | None:
    """The token that came along, or None."""
    given = request.headers.get("authorization", "")
    return given.removeprefix("Bearer ").strip() or None


def bad_token(site: Site, request: Request) -> Response | None:
    """The refusal of a token that nobody was given; it comes before everything else."""
    token = token_of(request)
    if token is None or site.knows_token(token):
        return None
    return refusal(401, "Invalid credentials in Authorization header")


def no_such_repository(request: Request) -> Response:
    """What is said of a repository that isn't there or isn't for the one who asks: the same for both."""
    if token_of(request) is None:
        return refusal(401, "Invalid username or password.")
    return refusal(404, "Repository not found", code="RepoNotFound")


def hidden(site: Site, request: Request, repository: Repository) -> bool:
    """Whether a repository must look as if it weren't there."""
    return repository.private and not site.grants(token_of(request), repository)


def closed(site: Site, request: Request, repository: Repository) -> Response | None:
    """The refusal of files: the repository is disabled, or gated and access wasn't granted."""
    if repository.disabled:
        return refusal(403, "Access to this resource is disabled.")
    token = token_of(request)
    if not repository.gated or site.grants(token, repository):
        return None
    words = f"Access to model {repository.repo_id} is restricted"
    if token is None:
        asked = f"{words}. You must have access to it and be authenticated to access it. Please log in."
        return refusal(401, asked, code="GatedRepo")
    return refusal(403, f"{words} and you are not in the authorized list.", code="GatedRepo")


def no_such_revision(revision: str) -> Response:
    """What is said of a branch, tag or commit that isn't there."""
    return refusal(404, f"Invalid rev id: {revision}", code="RevisionNotFound")


def no_such_entry(headers: Headers = ()) -> Response:
    """What is said of a path that the commit doesn't have."""
    codes: Headers = (("X-Error-Code", "EntryNotFound"), ("X-Error-Message", "Entry not found"))
    return text(404, "Entry not found", (*codes, *headers))
