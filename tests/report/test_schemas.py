"""What other programs read is what they expect: every form is held to the official schema of its format."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embaudit.model.findings import Severity, Where
from embaudit.report import AuditReport
from embaudit.testing.reports import make_finding, make_report, report_of

SCHEMAS = Path(__file__).parent.parent / "schemas"
HOSTILE = "a\x1b[2J\u202eb\n<script>alert(1)</script>]]>\"'&\u2028\ud800\x9b\x00\ufffe|`{0}[x](https://evil.example)"


@cache
def _sarif() -> jsonschema.Draft202012Validator:
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


@cache
def _own() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(AuditReport.json_schema())


@cache
def _junit() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd")


@cache
def _cyclonedx() -> JsonStrictValidator:
    return JsonStrictValidator(SchemaVersion.V1_6)


def _refuse_cyclonedx(text: str) -> None:
    error = _cyclonedx().validate_str(text)
    assert error is None, error


VALIDATE: dict[str, Callable[[str], None]] = {
    "json": lambda text: _own().validate(json.loads(text)),
    "sarif": lambda text: _sarif().validate(json.loads(text)),
    "junit": lambda text: _junit().validate(ET.fromstring(text.encode())),
    "cyclonedx": _refuse_cyclonedx,
}
FORMS = pytest.mark.parametrize("form", VALIDATE)

REPORTS: dict[str, Callable[[], AuditReport]] = {
    "empty": make_report,
    "hostile": lambda: report_of(HOSTILE),
    "nameless": lambda: report_of(""),
    "of the hub": lambda: report_of(HOSTILE, repo_id="org/name"),
    "of another version": lambda: make_report(make_finding("EMB999"), make_finding(HOSTILE)),
    "nowhere": lambda: make_report(make_finding(where=Where(), message="")),
}


@FORMS
@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
def test_a_report_is_valid(form: str, report: Callable[[], AuditReport]) -> None:
    """Empty, hostile, or of rules that nobody knows: the schema takes it."""
    VALIDATE[form](report().render(form))


@FORMS
def test_a_real_report_is_valid(form: str, demo_report: AuditReport) -> None:
    """The report of the demonstration, with loads and a diff, is taken."""
    VALIDATE[form](demo_report.render(form))


@FORMS
@settings(max_examples=25)
@given(text=st.text(st.characters(), max_size=20))
@example(text="..")
@example(text="//")
@example(text="\ud800")
@example(text="\ufffe\x00\x0b")
@example(text="tags")
def test_no_name_makes_a_report_invalid(form: str, text: str) -> None:
    """Whatever stands where a repository's texts stand, the schema takes the report."""
    VALIDATE[form](report_of(text).render(form))


@pytest.mark.parametrize(
    ("form", "number"),
    # The validator of CycloneDX compares every annotation with every other.
    [("json", 2000), ("sarif", 2000), ("junit", 2000), ("cyclonedx", 400)],
)
def test_many_findings_are_valid(form: str, number: int) -> None:
    """As many findings as nobody reads are taken too, and all of them are there."""
    findings = [
        make_finding(
            severity=tuple(Severity)[each % 3], where=Where(path=f"{each % 9}", tensor=f"layer.{each}")
        )
        for each in range(number)
    ]
    text = make_report(*findings).render(form)

    VALIDATE[form](text)
    assert len(set(re.findall(r"layer\.[0-9]+", text))) == number


DAMAGE: dict[str, tuple[str, str]] = {
    "json": ('"severity": "error"', '"severity": "fatal"'),
    "sarif": ('"level": "error"', '"level": "fatal"'),
    "junit": ("<failure", "<fatal"),
    "cyclonedx": ('"machine-learning-model"', '"model"'),
}


@FORMS
def test_the_schemas_refuse_what_is_wrong(form: str) -> None:
    """A word that the format does not have is refused: the schemas are in force."""
    right = make_report(make_finding()).render(form).replace("</failure", "<//failure")
    wrong = right.replace(*DAMAGE[form]).replace("<//failure", "</fatal")

    assert wrong != right
    with pytest.raises((AssertionError, jsonschema.ValidationError, xmlschema.XMLSchemaValidationError)):
        VALIDATE[form](wrong)


@FORMS
def test_a_report_is_always_written_alike(form: str, demo_report: AuditReport) -> None:
    """Two renderings, and one of the same report read back from JSON, are equal byte for byte."""
    again = AuditReport.from_json(demo_report.to_json())

    assert demo_report.render(form) == demo_report.render(form) == again.render(form)


@FORMS
def test_nothing_hostile_is_written_as_it_is(form: str) -> None:
    """No control, format or surrogate character of a name reaches a file."""
    shown = report_of(HOSTILE).render(form)

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff\ufffe]", shown)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.items() for text in (item[0], *_texts(item[1]))]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("form", ["sarif", "cyclonedx"])
def test_no_text_is_invisible_after_reading(form: str) -> None:
    """A strict reader gets no lone surrogate, and a person no direction mark, out of the escapes either."""
    for text in _texts(json.loads(report_of(HOSTILE).render(form))):
        assert text.encode("utf-8").decode("utf-8") == text
        assert not set(text) & set("\x1b\u202e\u2028\x9b\x00\ufffe")
