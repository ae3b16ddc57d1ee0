"""What programs find findings again by: URIs, pages of rules, fingerprints."""

from pathlib import Path
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.model.findings import Severity, Where
from embaudit.model.frozen import FrozenMapping
from embaudit.report.references import fingerprint, relative_uri, rule_page
from embaudit.rules import RULES
from embaudit.testing.reports import make_finding

ROOT = Path(__file__).parent.parent.parent
BASE = "https://example.org/base/of/the/repository/"


@given(st.text(min_size=1))
@example("//evil.example/x")
@example("/etc/passwd")
@example("../../x")
@example("a/../../../x")
@example("javascript:alert(1)")
@example("C:\\x?y#z")
@example("\ud800%2e%2e/\u202e")
def test_a_path_becomes_a_uri_below_its_base(path: str) -> None:
    """Whatever the path, its URI is ASCII, and resolved against a base it stays below it."""
    uri = relative_uri(path)
    resolved = urlsplit(urljoin(BASE, uri))

    assert uri.isascii()
    assert not set(uri) & set(' "<>\\^`{}|?#:')
    assert resolved.geturl().startswith(BASE)


@given(st.text("abc.%/ :\ud800\u00e9", min_size=1), st.text("abc.%/ :\ud800\u00e9", min_size=1))
def test_different_names_have_different_uris(one: str, other: str) -> None:
    """Two paths share a URI only if they are equal, for paths without segments such as `..`."""
    if all({"", ".", ".."}.isdisjoint(path.split("/")) for path in (one, other)):
        assert (relative_uri(one) == relative_uri(other)) == (one == other)
        assert unquote_to_bytes(relative_uri(one)) == one.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_page_of_a_rule_is_in_the_documentation(code: str) -> None:
    """The address of a rule's page ends in the path of a page that is there."""
    assert (ROOT / rule_page(code).partition("/blob/main/")[2]).is_file()


FINDING = make_finding(where=Where(path="a", tensor="b", field="c"), loader="tei==1.5.0")


@pytest.mark.parametrize(
    "changes",
    [
        {"message": "Other words."},
        {"remedy": "Something else."},
        {"evidence": FrozenMapping({"n": 1})},
        {"severity": Severity.INFO},
        {"loader": "text-embeddings-inference"},
        {"loader": "tei>=1.6"},
    ],
    ids=str,
)
def test_a_fingerprint_stays(changes: dict[str, object]) -> None:
    """Wording, evidence, severity, and how a loader and its versions are written change no fingerprint."""
    assert fingerprint(attrs.evolve(FINDING, **changes)) == fingerprint(FINDING)


def test_a_fingerprint_tells_faults_apart() -> None:
    """Another code, path, tensor, field or loader is another fingerprint, wherever a name stands."""
    others = [
        attrs.evolve(FINDING, code="EMB107"),
        attrs.evolve(FINDING, loader=None),
        attrs.evolve(FINDING, loader="vllm"),
        attrs.evolve(FINDING, loader="none that is known"),
        *(
            attrs.evolve(FINDING, where=where)
            for where in (
                Where(path="a", tensor="b"),
                Where(path="a", field="c"),
                Where(path="a", tensor="c", field="b"),
                Where(path="a", tensor="b,c"),
                Where(tensor="a", field="b"),
            )
        ),
    ]

    assert len({fingerprint(finding) for finding in (FINDING, *others)}) == 1 + len(others)


def test_a_fingerprint_is_the_same_in_every_release() -> None:
    """It is a function of five names alone: alerts that were closed stay closed."""
    assert fingerprint(FINDING) == "e6bf4b12e4e81daffc0ba377bc454bfe3e920f78d3f0fe520c56151838e6ec82"
