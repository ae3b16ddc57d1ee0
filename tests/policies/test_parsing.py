"""The text of a policy: every key taken and refused, and errors that name the line and the right name."""

import string
from datetime import date
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import EmbauditError, UsageError
from embaudit.model.dtypes import DType
from embaudit.model.findings import Severity
from embaudit.model.policy import PickleRule, Policy, RemoteCodeRule, Waiver
from embaudit.model.weight_formats import WeightFormat
from embaudit.policies import KEYS, WAIVER_KEYS, parse_policy
from embaudit.rules import RULES

TAKEN: dict[str, list[tuple[str, Any]]] = {
    "fail-on": [('"info"', Severity.INFO), ('"warning"', Severity.WARNING), ('"error"', Severity.ERROR)],
    "severity": [('{EMB1 = "info", EMB101 = "error"}', {"EMB1": Severity.INFO, "EMB101": Severity.ERROR})],
    "ignore": [('["EMB101", "EMB2"]', ("EMB101", "EMB2")), ("[]", ())],
    "loaders": [('["tei==1.5.0", "st>=5"]', ("tei==1.5.0", "st>=5")), ("[]", ())],
    "formats": [('["safetensors", "onnx"]', (WeightFormat.SAFETENSORS, WeightFormat.ONNX))],
    "pickles": [(f'"{each}"', each) for each in PickleRule],
    "require-commit": [("true", True), ("false", False)],
    "dtypes": [('["float32", "bfloat16"]', (DType.FLOAT32, DType.BFLOAT16))],
    "dimension": [("768", 768), ("1", 1)],
    "licences": [('["mit", "apache-2.0"]', ("mit", "apache-2.0"))],
    "remote-code": [(f'"{each}"', each) for each in RemoteCodeRule],
    "max-size": [
        ("500", 500),
        ('"500"'.replace("500", "500 B"), 500),
        ('"2 GB"', 2_000_000_000),
        ('"1.5 kB"', 1_500),
        ('"500MiB"', 500 * 1024**2),
        ('"3 gib"', 3 * 1024**3),
    ],
    "max-age-days": [("90", 90)],
    "waivers": [
        ('[{code = "EMB101", reason = "both"}]', (Waiver(code="EMB101", reason="both"),)),
        (
            '[{code="EMB201", reason="x", expires=2027-01-31, path="*.bin", tensor="a", loader="st"}]',
            (
                Waiver(
                    code="EMB201",
                    reason="x",
                    expires=date(2027, 1, 31),
                    path="*.bin",
                    tensor="a",
                    loader="sentence-transformers",
                ),
            ),
        ),
        (
            '[{code = "EMB101", reason = "x", expires = "2027-01-31"}]',
            (Waiver(code="EMB101", reason="x", expires=date(2027, 1, 31)),),
        ),
    ],
}
"""What each key takes, and what the field of the policy then holds."""

REFUSED: dict[str, list[tuple[str, str]]] = {
    "fail-on": [
        (
            '"eror"',
            'expected one of "info", "warning", "error", found the string \'eror\'; did you mean "error"?',
        ),
        ("3", "found an integer"),
    ],
    "severity": [
        ('{EMB101 = "fatal"}', '`severity.EMB101` expected one of "info"'),
        ('{emb101 = "info"}', 'did you mean "EMB101"?'),
        ('{"" = "info"}', "the beginning of codes"),
        ('"info"', "expected a table of codes and severities"),
    ],
    "ignore": [
        ('"EMB101"', "expected an array, found the string 'EMB101'"),
        ('["EMB101", "EMB9"]', "`ignore[1]` expected the code of a rule or the beginning of codes"),
        ("[101]", "`ignore[0]`"),
    ],
    "loaders": [
        ('["sentence-transformer>=5"]', 'did you mean "sentence-transformers"?'),
        ('["tei==1.x.y"]', "expected a name and versions"),
        ('["tei[rocm]"]', "is not a backend"),
        ("[1.5]", "expected a string, found a floating-point number"),
        ('"tei"', "expected an array"),
    ],
    "formats": [
        ('["safetensor"]', 'did you mean "safetensors"?'),
        ("[]", "at least one"),
        ('"safetensors"', "expected an array"),
    ],
    "pickles": [('"tensors-only"', 'did you mean "tensor-only"?'), ("false", "found False")],
    "require-commit": [('"yes"', "expected true or false"), ("1", "expected true or false")],
    "dtypes": [
        ('["float-32"]', 'did you mean "float32"?'),
        ("[]", "at least one"),
        ('["torch.float16"]', "float16"),
    ],
    "dimension": [("0", "from 1 on, found 0"), ("768.0", "a floating-point number"), ("true", "found True")],
    "licences": [("[]", "at least one"), ('[""]', "found an empty one"), ("[2027-01-01]", "found a date")],
    "remote-code": [('"pined"', 'did you mean "pinned"?'), ("[]", "found an array")],
    "max-size": [
        ('"2 Gb/s"', "with one of the units B, kB"),
        ('"2"', "as an integer or like"),
        ('"-2 GB"', "as an integer or like"),
        ('"0 GB"', "from 1 on"),
        ("0", "from 1 on"),
        ("2.5", "a floating-point number"),
        ("true", "found True"),
    ],
    "max-age-days": [('"90 days"', "expected an integer"), ("0", "from 1 on"), ("-1", "from 1 on")],
    "waivers": [
        ("{}", "expected an array, found a table"),
        ("[1]", "`waivers[0]` expected a table, found an integer"),
        ('[{code = "EMB101"}]', "`waivers[0]` lacks the key `reason`"),
        ('[{reason = "x"}]', "lacks the key `code`"),
        ('[{code = "EMB101", reason = " "}]', "`waivers[0].reason` expected a string that says something"),
        ('[{code = "EMB1", reason = "x"}]', "`waivers[0].code` expected the code of a rule, like EMB110"),
        ('[{code = "EMB101", reason = "x", expire = 2027-01-01}]', 'did you mean "expires"?'),
        ('[{code = "EMB101", reason = "x", expires = "soon"}]', "expected a date like 2027-01-31"),
        ('[{code = "EMB101", reason = "x", expires = "2027-02-30"}]', "expected a date, found '2027-02-30'"),
        ('[{code = "EMB101", reason = "x", expires = 2027-01-01T00:00:00Z}]', "found a date with a time"),
        ('[{code = "EMB101", reason = "x", loader = "tei==1.5.0"}]', "without versions"),
        ('[{code = "EMB101", reason = "x", loader = "sentence-transformer"}]', '"sentence-transformers"'),
        ('[{code = "EMB101", reason = "x", path = ""}]', "`waivers[0].path`"),
    ],
}
"""What each key refuses, and words of the error."""


def test_the_tables_speak_of_every_key() -> None:
    """Every key of a policy has values that it takes and others that it refuses, and every field a key."""
    names = {key.name for key in KEYS}

    assert set(TAKEN) == set(REFUSED) == names
    assert {key.field for key in KEYS} == {field.name for field in attrs.fields(Policy)} - {"source"}
    assert {key.field for key in WAIVER_KEYS} == {field.name for field in attrs.fields(Waiver)}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [(key, value, expected) for key, cases in TAKEN.items() for value, expected in cases],
)
def test_a_key_fills_its_field(key: str, value: str, expected: Any) -> None:
    """What a key takes is in its field, in the exact type; everything else keeps its default."""
    policy = parse_policy(f"{key} = {value}\n", "embaudit.toml")

    field = next(each.field for each in KEYS if each.name == key)
    assert policy == attrs.evolve(Policy(source="embaudit.toml"), **{field: expected})
    assert type(getattr(policy, field)) is type(getattr(Policy(**{field: expected}), field))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [(key, value, words) for key, cases in REFUSED.items() for value, words in cases],
)
@pytest.mark.parametrize("in_project", [False, True], ids=["a file", "pyproject"])
def test_a_wrong_value_is_refused_with_its_line_and_what_was_expected(
    key: str, value: str, words: str, *, in_project: bool
) -> None:
    """An error names the file, the line of the statement, the key, and what was expected there."""
    name, head = ("pyproject.toml", "[tool.embaudit]\n") if in_project else ("embaudit.toml", "\n")
    text = f"# a comment\n{head}max-age-days = 5\n" if key != "max-age-days" else f"# a comment\n{head}\n"

    with pytest.raises(UsageError) as caught:
        parse_policy(f"{text}{key} = {value}\n", name)

    place = f"tool.embaudit.{key}" if in_project else key
    assert str(caught.value).startswith(f"{name}, line 4: `{place}")
    assert words in str(caught.value).replace("tool.embaudit.", "")


KEY_NAMES = tuple(key.name for key in KEYS)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        *((name.replace("-", "_"), name) for name in KEY_NAMES if "-" in name),
        *((f"{name}x", name) for name in KEY_NAMES),
        *((name.upper(), name) for name in KEY_NAMES),
        ("licenses", "licences"),
        ("loader", "loaders"),
        ("format", "formats"),
    ],
)
def test_an_unknown_key_is_an_error_with_the_nearest_right_name(key: str, meant: str) -> None:
    """A key with underscores, another spelling or in capitals is refused, and the right one is named."""
    with pytest.raises(UsageError) as caught:
        parse_policy(f'fail-on = "error"\n\n{key} = 1\n' if meant != "fail-on" else f"\n\n{key} = 1\n")

    assert str(caught.value) == f'embaudit.toml, line 3: `{key}` is not a key here; did you mean "{meant}"?'


def test_a_key_that_is_like_none_lists_them_all() -> None:
    """Where no name is near, the error has every one."""
    with pytest.raises(UsageError, match=r"; the keys are fail-on, severity, ignore, .*, waivers$"):
        parse_policy("zzz = 1")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("fail-on = error\n", 1, "is not TOML: Invalid value"),
        ('pickles = "none"\n\nfail-on "error"\n', 3, "is not TOML: Expected '='"),
        ('pickles = "none"\nloaders = [\n  "tei",\n', 2, "is not TOML"),
        ('pickles = "none\n', 1, "is not TOML"),
        ("dimension = 1\ndimension = 2\n", 2, "is not TOML: Cannot overwrite a value"),
        ('[[waivers]]\ncode = "EMB101"\nreason = """\nno end\n', 3, "is not TOML"),
        ("dimension = 2027-02-30\n", 1, "is not TOML"),
        (f"dimension = {'9' * 5000}\n", 1, "is not TOML"),
        (f"dimension = 3\nloaders = {'[' * 50_000}{']' * 50_000}\n", 2, ""),
        ('\ufefffail-on = "error"\n', 1, "byte order mark"),
        ('[tool.embaudit]\nfail-on = "error"\n', 1, "[tool.embaudit] is for pyproject.toml"),
    ],
    ids=[
        "no quotes",
        "no sign",
        "no end",
        "no quote",
        "twice",
        "no end of a text",
        "no date",
        "digits",
        "depth",
        "bom",
        "tool",
    ],
)
def test_malformed_toml_names_the_line(text: str, line: int, words: str) -> None:
    """What the parser refuses is told with the line on which it begins."""
    with pytest.raises(UsageError) as caught:
        parse_policy(text)

    assert str(caught.value).startswith(f"embaudit.toml, line {line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "place"),
    [
        ('[severity]\nEMB1 = "info"\nEMB101 = "bad"\n', 3, "severity.EMB101"),
        ('severity.EMB1 = "info"\nseverity.EMB101 = "bad"\n', 2, "severity.EMB101"),
        ('loaders = [\n  "tei",\n  # why\n  "tie",\n]\n', 1, "loaders[1]"),
        ('pickles = "any"\nloaders = [\n  "tei",\n  "tie",\n]\n', 2, "loaders[1]"),
        (
            '[[waivers]]\ncode = "EMB101"\nreason = """\nlong\n"""\n\n[[waivers]]\ncode = "EMB1"\n',
            8,
            "waivers[1].code",
        ),
        (
            '[[waivers]]\ncode = "EMB101"\nreason = "x"\n\n# another\n[[waivers]]\ncode = "EMB101"\n',
            6,
            "waivers[1]",
        ),
        ('[[waivers]]\r\ncode = "EMB101"\r\nreason = ""\r\n', 3, "waivers[0].reason"),
        ("'fail-on' = 3", 1, "fail-on"),
        ('licences = [\n"""\nmit\n]\n""", 3]\ndimension = 0\n', 1, "licences[1]"),
    ],
    ids=[
        "a table",
        "dotted",
        "an array",
        "second",
        "a waiver",
        "a missing key",
        "crlf",
        "quoted",
        "brackets in a text",
    ],
)
def test_the_line_is_that_of_the_statement(text: str, line: int, place: str) -> None:
    """The line is where the statement begins that brings the key in, however TOML spells it."""
    with pytest.raises(UsageError) as caught:
        parse_policy(text)

    assert str(caught.value).startswith(f"embaudit.toml, line {line}: `{place}` ")


def test_a_project_file_without_the_table_holds_no_policy() -> None:
    """A pyproject.toml is read for its table alone: what else is in it does not matter."""
    project = '[project]\nname = "x"\n\n[tool.other]\nfail_on = 1\n'

    with pytest.raises(UsageError, match=r"no table \[tool.embaudit\]"):
        parse_policy(project, "pyproject.toml")
    assert parse_policy(f"{project}[tool.embaudit]\ndimension = 3", "a/pyproject.toml").dimension == 3
    with pytest.raises(UsageError, match=r"`tool\.embaudit` expected a table, found an integer"):
        parse_policy("[tool]\nembaudit = 1", "pyproject.toml")


def test_a_large_array_costs_no_time_to_place() -> None:
    """The search for a line is bounded: where it would take long, the error stands without one."""
    text = "licences = [\n" + '["a"],\n' * 20_000 + "]\n"

    with pytest.raises(UsageError, match=r"`licences\[0\]` expected a string, found an array"):
        parse_policy(text)


@given(st.text())
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever the text, it is a policy or an error of embaudit."""
    for name in ("embaudit.toml", "pyproject.toml"):
        try:
            told = parse_policy(text, name).source
        except EmbauditError as error:
            told = str(error)
        assert told.startswith(name)


SCALARS = st.sampled_from(
    ['"x"', "1", "1.5", "true", "2027-01-01", "12:00:00", "nan", '"EMB101"', '"error"', "'tei'"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(
            st.tuples(st.sampled_from(["code", "reason", "EMB1", "x"]), inner),
            max_size=2,
            unique_by=lambda pair: pair[0],
        ).map(lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}")
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEY_NAMES), VALUES, max_size=4))
def test_no_value_raises_anything_else(statements: dict[str, str]) -> None:
    """Whatever TOML holds under the keys, it is a policy or an error that names the line of its statement."""
    text = "".join(f"{key} = {value}\n" for key, value in statements.items())
    lines = {f"line {number}: `{key}" for number, key in enumerate(statements, start=1)}

    try:
        told = parse_policy(text).source
    except UsageError as error:
        told = str(error)
    assert told == "embaudit.toml" or any(told.startswith(f"embaudit.toml, {line}") for line in lines)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
CODES = st.sampled_from(sorted(RULES))
WAIVERS = st.builds(
    Waiver,
    code=CODES,
    reason=TEXTS,
    expires=st.none() | st.dates(),
    path=st.none() | TEXTS,
    tensor=st.none() | TEXTS,
    loader=st.none() | st.sampled_from(["text-embeddings-inference", "transformers"]),
)
POLICIES = st.builds(
    Policy,
    source=st.just("embaudit.toml"),
    fail_on=st.sampled_from(Severity),
    severity=st.dictionaries(CODES, st.sampled_from(Severity), max_size=3),
    ignore=st.lists(CODES, max_size=3).map(tuple),
    loaders=st.lists(st.sampled_from(["tei==1.5.0", "st>=5 with transformers<5"]), max_size=2).map(tuple),
    formats=st.none() | st.lists(st.sampled_from(WeightFormat), min_size=1, max_size=3),
    pickles=st.sampled_from(PickleRule),
    require_commit=st.booleans(),
    dtypes=st.none() | st.lists(st.sampled_from(DType), min_size=1, max_size=3),
    dimension=st.none() | st.integers(1, 10**6),
    licences=st.none() | st.lists(TEXTS, min_size=1, max_size=3),
    remote_code=st.sampled_from(RemoteCodeRule),
    max_bytes=st.none() | st.integers(1, 2**63 - 1),
    max_age_days=st.none() | st.integers(1, 10**4),
    waivers=st.lists(WAIVERS, max_size=3).map(tuple),
)


def toml(value: object) -> str:
    """A value of a policy as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Severity) or not isinstance(value, int | tuple | date | Waiver | str):
        return toml(str(value)) if isinstance(value, Severity) else inline(dict(value))  # type: ignore[call-overload] # a mapping
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Waiver):
        return inline({key: item for key, item in attrs.asdict(value).items() if item is not None})
    return quoted(str(value)) if isinstance(value, str) else str(value)


def inline(table: dict[str, object]) -> str:
    """A table on one line."""
    return "{" + ", ".join(f"{quoted(key)} = {toml(item)}" for key, item in table.items()) + "}"


def quoted(text: str) -> str:
    """A string of TOML, with an escape for all but letters and digits."""
    plain = string.ascii_letters + string.digits
    return '"' + "".join(each if each in plain else f"\\U{ord(each):08X}" for each in text) + '"'


@given(POLICIES, st.randoms(use_true_random=False))
def test_a_written_policy_is_read_as_it_was(policy: Policy, random: Any) -> None:
    """Whatever a policy says, its TOML, with the keys in any order, says the same."""
    values = {key.name: getattr(policy, key.field) for key in KEYS}
    written = [f"{name} = {toml(value)}\n" for name, value in values.items() if value is not None]
    random.shuffle(written)

    assert parse_policy("".join(written)) == policy


@given(POLICIES, st.integers(0, len(KEYS)), st.integers(0, 3))
def test_a_misspelled_key_is_found_on_its_line(policy: Policy, at: int, n_empty: int) -> None:
    """Between whatever other statements and empty lines, a faulty key is told on the line that it is on."""
    values = {key.name: getattr(policy, key.field) for key in KEYS}
    written = [f"{name} = {toml(value)}\n" for name, value in values.items() if value is not None]
    text = "".join((*written[:at], "\n" * n_empty, "fail_on = 3\n", *written[at:]))
    line = text[: text.index("fail_on")].count("\n") + 1

    with pytest.raises(UsageError) as caught:
        parse_policy(text)

    assert (
        str(caught.value)
        == f'embaudit.toml, line {line}: `fail_on` is not a key here; did you mean "fail-on"?'
    )
