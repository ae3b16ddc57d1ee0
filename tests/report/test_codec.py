"""Values to JSON and back, and the schema that says what it looks like."""

import json
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError
from embaudit.model.checkpoint import Checkpoint, Oddity, PickleGlobal, PickleSummary, ShardIndex
from embaudit.model.declaration import BadDocument, Declaration
from embaudit.model.diff import FieldChange, FileChange, FileRename, SnapshotDiff
from embaudit.model.files import CacheState, CommitInfo
from embaudit.model.findings import Finding, Severity, Skipped, Where
from embaudit.model.frozen import JSON
from embaudit.model.policy import Policy, WaivedFinding, Waiver
from embaudit.model.record import Cost
from embaudit.model.tensor_map import Agreement, Depth, TensorMap, TiedName
from embaudit.report import AuditReport
from embaudit.report.codec import from_jsonable, schema_of, to_jsonable
from embaudit.testing.facts import COMMIT_A, COMMIT_B, make_checkpoint, make_entry, make_pair, make_snapshot

TEXT = st.text(max_size=8)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def reports(draw: st.DrawFn) -> AuditReport:
    """Reports with every kind of part in them, some of it arbitrary."""
    index = ShardIndex(
        path="i.json", weight_map={draw(TEXT): "s"}, total_size=draw(st.none() | st.integers(0))
    )
    checkpoint = make_checkpoint(
        draw(st.lists(TEXT, unique=True, max_size=3)),
        tied=(frozenset({"a", draw(TEXT)}),),
        pickle=PickleSummary(protocol=2, globals=(PickleGlobal(module="os", name=draw(TEXT), position=3),)),
        index=draw(st.none() | st.just(index)),
        oddities=(Oddity(file="f", problem=draw(TEXT), position=draw(st.none() | st.integers())),),
        metadata=draw(st.dictionaries(TEXT, JSON_VALUES, max_size=2)),
    )
    pair = make_pair(
        draw(TEXT),
        values=draw(st.sampled_from(Agreement)),
        max_abs_diff=draw(st.none() | st.floats(allow_nan=False)),
        first_difference=draw(st.none() | st.tuples(st.integers(), st.integers())),
    )
    tensors = TensorMap(
        left="l",
        right="r",
        depth=Depth.FULL,
        pairs=(pair,),
        tied=(TiedName(name="t", tied_to="u", side="left"),),
    )
    entry = make_entry(draw(TEXT), size=draw(st.none() | st.integers(0)), sha256=draw(st.none() | TEXT))
    change = FieldChange(
        file="f", field="x", old=draw(JSON_VALUES), new=draw(JSON_VALUES), affects_embeddings=True, why=""
    )
    diff = SnapshotDiff(
        old=make_snapshot(
            (entry,), refs={"main": COMMIT_A}, newer=(CommitInfo(commit=COMMIT_B, title=draw(TEXT)),)
        ),
        new=make_snapshot(commit=COMMIT_B, cache=CacheState(absent=(entry,), incomplete=("x",))),
        modified=(FileChange(path="p", kind=entry.kind, old=entry, new=entry),),
        renamed=(FileRename(old_path="a", new_path="b", kind=entry.kind),),
        field_changes=(change,),
        tensors=(tensors,),
    )
    finding = Finding(
        code="EMB001",
        severity=draw(st.sampled_from(Severity)),
        message=draw(TEXT),
        where=Where(path=draw(st.none() | TEXT)),
        evidence=draw(st.dictionaries(TEXT, JSON_VALUES, max_size=2)),
    )
    waiver = Waiver(
        code="EMB001", reason="r", expires=draw(st.none() | st.dates()), path=draw(st.none() | TEXT)
    )
    return AuditReport(
        target=draw(TEXT),
        source="folder",
        depth=draw(st.sampled_from(Depth)),
        created="2026-01-01T00:00:00+00:00",
        tool_version="0",
        files={entry.path: entry},
        declaration=Declaration(
            documents={"config.json": draw(st.dictionaries(TEXT, JSON_VALUES, max_size=2))},
            bad=(BadDocument(path="b", problem="p"),),
        ),
        checkpoints={checkpoint.name: checkpoint},
        mappings=(tensors,),
        diff=draw(st.none() | st.just(diff)),
        policy=draw(st.none() | st.builds(Policy, waivers=st.just((waiver,)), licences=st.just(("mit",)))),
        findings=(finding,),
        waived=(WaivedFinding(finding=finding, waiver=waiver),),
        skipped=(Skipped(code="EMB002", reason=draw(TEXT)),),
        cost=Cost(requests=draw(st.integers(0)), bytes_read=1, seconds=draw(st.floats(0, 9))),
    )


@given(reports())
def test_a_report_survives_json(report: AuditReport) -> None:
    """`from_json(to_json(report))` equals the report, whatever is in it."""
    assert AuditReport.from_json(report.to_json()) == report


@given(reports())
def test_a_report_fits_its_schema(report: AuditReport) -> None:
    """What `to_json` writes is valid by `json_schema`."""
    document = json.loads(report.to_json())

    jsonschema.Draft202012Validator(AuditReport.json_schema()).validate(document)


def test_the_schema_is_a_schema_and_refuses_what_is_no_report() -> None:
    """The schema is valid JSON Schema 2020-12, and not one that allows everything."""
    schema = AuditReport.json_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    assert not jsonschema.Draft202012Validator(schema).is_valid({})
    assert not jsonschema.Draft202012Validator(schema).is_valid([])


@attrs.frozen(kw_only=True)
class Thing:
    """A value with one field of every kind."""

    number: int = 1
    ratio: float | None = None
    names: tuple[str, ...] = ()
    group: frozenset[str] = frozenset()
    table: Mapping[str, int] = attrs.Factory(dict)
    anything: JSON = None
    severity: Severity = Severity.INFO
    depth: Depth = Depth.FULL
    inner: Where = attrs.field(factory=Where)
    day: date | None = None
    ignored: object = attrs.field(default=None, eq=False)


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "$"),
        ({"number": True}, "$.number"),
        ({"number": "1"}, "$.number"),
        ({"ratio": "much"}, "$.ratio"),
        ({"names": "abc"}, "$.names"),
        ({"names": [1]}, "$.names[0]"),
        ({"group": {}}, "$.group"),
        ({"table": {"a": "x"}}, "$.table.a"),
        ({"table": []}, "$.table"),
        ({"severity": "fatal"}, "$.severity"),
        ({"severity": 30}, "$.severity"),
        ({"depth": "deep"}, "$.depth"),
        ({"inner": {"path": 1}}, "$.inner.path"),
        ({"day": "tomorrow"}, "$.day"),
        ({"day": 20270101}, "$.day"),
    ],
    ids=str,
)
def test_a_wrong_member_is_named_by_its_path(document: Any, where: str) -> None:
    """A value of another type is a FormatError that says where."""
    with pytest.raises(FormatError) as caught:
        from_jsonable(Thing, document)

    assert caught.value.where == where


@pytest.mark.parametrize("number", [math.inf, -math.inf])
def test_infinities_are_said_as_strings(number: float) -> None:
    """JSON has no infinity; the codec's string for it comes back as the number."""
    document = to_jsonable(Thing(ratio=number))

    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert from_jsonable(Thing, document) == Thing(ratio=number)


def test_fields_that_are_not_part_of_the_value_are_left_out() -> None:
    """A field without equality, such as a reader, does not reach the JSON or its schema."""
    assert "ignored" not in to_jsonable(Thing(ignored=object()))
    assert "ignored" not in schema_of(Thing)["$defs"]["Thing"]["properties"]


def test_members_of_a_newer_writer_are_ignored() -> None:
    """A reader takes what it knows from a document with more in it."""
    assert from_jsonable(Thing, {"number": 2, "invented_later": 3}) == Thing(number=2)


def test_a_missing_member_is_named() -> None:
    """A member without a default that is not there is a FormatError with its path."""
    document = to_jsonable(make_checkpoint())
    del document["name"]

    with pytest.raises(FormatError, match="missing") as caught:
        from_jsonable(Checkpoint, document)

    assert caught.value.where == "$.name"


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"schema_version": "9.0"}', '{"schema_version": 1}', "[" * 100_000],
    ids=lambda t: t[:20],
)
def test_what_is_no_report_is_refused(text: str) -> None:
    """Text that is not JSON, or of a schema that is not read here, is a FormatError."""
    with pytest.raises(FormatError):
        AuditReport.from_json(text)
