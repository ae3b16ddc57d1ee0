"""How programs that read a report find things again: pages of rules, URIs of files, identities of findings.

Knows nothing of any one format. Refuses to know wording: what is made here stays when a sentence is changed.
"""

import hashlib
import json
from urllib.parse import quote

from embaudit.errors import UsageError
from embaudit.loaders import parse_loader
from embaudit.model.findings import Finding

PROJECT_URL = "https://github.com/embaudit/embaudit"
"""Where the project is at home; `pyproject.toml` names it too."""

_NO_NAMES = {"", ".", ".."}
"""Segments of a path that a reader of URIs obeys instead of taking them as names (RFC 3986, 5.2.4)."""


def rule_page(code: str) -> str:
    """The address of the page of a rule."""
    return f"{PROJECT_URL}/blob/main/docs/rules/{quote(code, safe='', errors='replace')}.md"


def relative_uri(path: str) -> str:
    """A path inside the repository as a relative reference (RFC 3986) that cannot lead out of it.

    A colon in the first segment would read as a scheme, two slashes as a host: everything is percent-encoded
    but what is unreserved. Segments that are no names, such as `..`, are encoded twice.
    """
    return "/".join(_segment(segment) for segment in path.split("/"))


def _segment(segment: str) -> str:
    if segment in _NO_NAMES:
        return "".join(f"%25{ord(character):02X}" for character in segment) or "%25"
    return quote(segment.encode("utf-8", "surrogatepass"), safe="")


def fingerprint(finding: Finding) -> str:
    """64 hex digits that are equal for the same fault at the same place, in every report.

    Made of the code, the place, and the loader without its versions: neither the wording, nor the severity,
    the evidence, the order of the findings or the version of embaudit has a part in it. Two faults of one
    kind at one place have the same.
    """
    where = finding.where
    parts = [finding.code, where.path, where.tensor, where.field, _loader_name(finding.loader)]
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()


def _loader_name(loader: str | None) -> str | None:
    """The loader's own name, of a name, an alias, or a request with versions."""
    if loader is None:
        return None
    try:
        return parse_loader(loader).loader.name
    except UsageError:
        return loader
