"""Audits under a policy: each key with a repository that passes and one that does not."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import attrs
import pytest
from safetensors.torch import save
from torch import Tensor

import embaudit
from embaudit.errors import UsageError
from embaudit.model.findings import Severity
from embaudit.model.policy import Policy, Waiver
from embaudit.policies import KEYS, parse_policy
from embaudit.report import AuditReport, FindingsError
from embaudit.sources import MemorySource
from embaudit.testing.repositories import bert_settings, bert_tensors, cache_commit, flat, save_torch

COMMIT = "1" * 40
TENSORS: dict[str, Tensor] = bert_tensors()


def stored(tensors: Mapping[str, Tensor]) -> bytes:
    """The tensors as safetensors."""
    return save({name: tensor.clone() for name, tensor in tensors.items()}, metadata={"format": "pt"})


SAFE = stored(TENSORS)
SETTINGS = bert_settings()
CONFIG: dict[str, Any] = json.loads(SETTINGS["config.json"])


@pytest.fixture(scope="module")
def torch_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The model as `torch.save` writes it when its tensors are views into one storage: a warning, EMB110."""
    place = tmp_path_factory.mktemp("weights") / "pytorch_model.bin"
    save_torch(flat(TENSORS), place)
    return place.read_bytes()


def repository(revision: str | None = COMMIT, **files: bytes) -> Any:
    """A small model in safetensors, with more files or others: `config` is `config.json`."""
    named = {
        {"config": "config.json", "card": "README.md"}.get(name, name): data for name, data in files.items()
    }
    content = {**SETTINGS, "model.safetensors": SAFE, **named}
    return MemorySource(content, repo_id="org/name", commit=COMMIT, revision=revision).snapshot()


def config(**fields: Any) -> bytes:
    """The configuration with other fields."""
    return json.dumps(CONFIG | fields).encode()


def audited(policy: str, target: Any, **options: Any) -> AuditReport:
    """The audit of a target under the policy that a text holds."""
    return embaudit.audit(target, policy=parse_policy(policy), **options)


OWN_CODE = config(auto_map={"AutoModel": "model.Model"})
HALVES = stored({name: tensor.half() for name, tensor in TENSORS.items()})
MIT = b"---\nlicense: mit\n---\n"
SIZE = sum(entry.size or 0 for entry in repository().files.values())

OBEYED = {
    "formats": ('["safetensors"]', repository()),
    "pickles": ('"none"', repository()),
    "require-commit": ("true", repository()),
    "dtypes": ('["float32"]', repository()),
    "dimension": ("32", repository()),
    "licences": ('["mit"]', repository(card=MIT)),
    "remote-code": ('"forbidden"', repository()),
    "max-size": (str(SIZE), repository()),
    "loaders": ('["sentence-transformers>=5"]', repository()),
}
BROKEN = {
    "formats": ('["torch-zip"]', repository(), "EMB601"),
    "pickles": ('"none"', None, "EMB602"),
    "require-commit": ("true", repository("main"), "EMB603"),
    "dtypes": ('["float32"]', repository(**{"model.safetensors": HALVES}), "EMB604"),
    "dimension": ("768", repository(), "EMB605"),
    "licences": ('["mit"]', repository(), "EMB606"),
    "remote-code": ('"forbidden"', repository(config=OWN_CODE), "EMB607"),
    "max-size": (str(SIZE - 1), repository(), "EMB608"),
    "loaders": ('["tei==1.5.0"]', None, "EMB609"),
}
"""What each requirement finds in which repository; None stands for that with a torch file of one storage."""

NOT_REQUIREMENTS = {"fail-on", "severity", "ignore", "waivers", "max-age-days"}


@pytest.fixture
def flat_repository(torch_file: bytes) -> Any:
    """A repository whose torch file candle misreads, beside no safetensors."""
    content = {**SETTINGS, "pytorch_model.bin": torch_file}
    return MemorySource(content, repo_id="org/name", commit=COMMIT, revision=COMMIT).snapshot()


def test_every_key_is_in_the_tables() -> None:
    """Each key is a requirement that the two tables speak of, or has tests of its own below."""
    assert set(OBEYED) == set(BROKEN) == {key.name for key in KEYS} - NOT_REQUIREMENTS


@pytest.mark.parametrize("key", OBEYED)
def test_a_repository_that_complies_passes(key: str) -> None:
    """A requirement that is met finds nothing."""
    value, target = OBEYED[key]

    report = audited(f"{key} = {value}", target)

    assert report.passed(), report.findings
    assert not [finding for finding in report.findings if finding.code.startswith("EMB60")]


@pytest.mark.parametrize("key", BROKEN)
def test_a_repository_that_does_not_comply_fails(key: str, flat_repository: Any) -> None:
    """A requirement that is not met is an error under its own code, which is not asked without a policy."""
    value, target, code = BROKEN[key]
    target = target or flat_repository

    report = audited(f"{key} = {value}", target)

    assert not report.passed()
    assert code in {finding.code for finding in report.findings if finding.severity is Severity.ERROR}
    assert not [each for each in embaudit.audit(target).findings if each.code.startswith("EMB6")]


@pytest.mark.parametrize(("fail_on", "passes"), [("info", False), ("warning", False), ("error", True)])
def test_the_policy_says_what_fails(fail_on: str, *, passes: bool) -> None:
    """`fail-on` is the threshold of `passed` and `raise_for_findings`, unless they are given another one."""
    report = audited(f'fail-on = "{fail_on}"', repository("main"))

    assert report.worst is Severity.WARNING
    assert report.passed() is passes
    assert report.passed("error")
    assert not report.passed("info")
    if passes:
        report.raise_for_findings()
    else:
        with pytest.raises(FindingsError) as caught:
            report.raise_for_findings()
        assert caught.value.fail_on is Severity.parse(fail_on)


def test_a_severity_turns_a_finding_into_an_error_or_a_note() -> None:
    """An override decides whether the report passes, and where the finding stands."""
    stricter = audited('severity = {EMB001 = "error"}', repository("main"))
    milder = audited('fail-on = "warning"\nseverity = {EMB0 = "info"}', repository("main"))

    assert (stricter.passed(), milder.passed()) == (False, True)
    assert stricter.findings[0].code == "EMB001"


def test_what_the_policy_ignores_is_not_asked() -> None:
    """A code that it ignores is neither found nor called skipped; the caller's own come on top."""
    ignoring = audited('ignore = ["EMB001"]', repository("main"))

    assert [finding.code for finding in ignoring.findings] == []
    both = audited('ignore = ["EMB001"]', repository("main"), ignore=("EMB004",))
    assert {"EMB001", "EMB004"}.isdisjoint(each.code for each in both.skipped)


def test_the_loaders_of_the_policy_are_asked_besides_those_of_the_call() -> None:
    """Each is asked once, those of the call first; only those of the policy must be faithful."""
    report = audited('loaders = ["sentence-transformers>=5"]', repository(), loaders=["infinity", "st>=5"])

    assert [load.asked for load in report.loads] == ["infinity", "st>=5", "sentence-transformers>=5"]
    assert report.passed()


def test_a_waiver_lets_a_repository_pass_until_it_ends() -> None:
    """A finding that is waived does not fail an audit; from the day after its last one it does again."""
    today = datetime.now(timezone.utc).date()
    base = Policy(dimension=768)
    waiver = Waiver(code="EMB605", reason="projected later", expires=today + timedelta(days=1))
    ended = attrs.evolve(waiver, expires=today - timedelta(days=1))

    waived = embaudit.audit(repository(), policy=attrs.evolve(base, waivers=(waiver,)))
    expired = embaudit.audit(repository(), policy=attrs.evolve(base, waivers=(ended,)))

    assert (waived.passed(), expired.passed()) == (True, False)
    assert [(each.finding.code, each.waiver) for each in waived.waived] == [("EMB605", waiver)]
    assert {"EMB605", "EMB611"} <= {finding.code for finding in expired.findings}


def test_an_audit_has_no_age() -> None:
    """`max-age-days` is about what was recorded: an audit made now passes, whatever it says."""
    assert audited("max-age-days = 1", repository()).passed()


def test_the_report_says_what_it_was_made_under(tmp_path: Path) -> None:
    """The policy and what it waives are in the record, its JSON and its text."""
    place = tmp_path / "embaudit.toml"
    place.write_text(
        'dimension = 768\n[[waivers]]\ncode = "EMB605"\nreason = "we know"\nexpires = 9999-12-31\n'
    )

    report = embaudit.audit(repository(), policy=place)

    assert report.policy == embaudit.audit(repository(), policy=str(place)).policy
    assert report.policy is not None
    assert report.policy.source == str(place)
    assert AuditReport.from_json(report.to_json()) == report
    text = str(report)
    assert ", 1 waived\n" in text
    assert f"policy   {place}\n" in text
    assert "Waived\n  error   EMB605  dimension\n          we know (until 9999-12-31)\n" in text
    assert "given without a file" in str(embaudit.audit(repository(), policy=Policy()))
    assert "policy" not in str(embaudit.audit(repository()))


def test_a_faulty_policy_ends_the_audit_before_it_begins(tmp_path: Path) -> None:
    """The policy is read before the target is opened: its fault is told, and not that of the target."""
    (tmp_path / "embaudit.toml").write_text("fail_on = 3\n")

    with pytest.raises(UsageError, match="did you mean"):
        embaudit.audit(tmp_path / "nothing", policy=tmp_path / "embaudit.toml")
    with pytest.raises(UsageError, match="no rule has a code"):
        embaudit.audit(tmp_path / "nothing", policy=Policy(ignore=("EMB9",)))
    with pytest.raises(UsageError, match="is not a loader"):
        embaudit.audit(tmp_path / "nothing", policy=Policy(loaders=("no-such-loader",)))


def test_the_card_is_read_only_if_the_policy_names_licences() -> None:
    """Other policies cost not a byte more than none; of a card only what its head takes is read."""
    results = b"".join(b"- result: %d\n" % number for number in range(10_000))
    large = b"---\nlicense: mit\nmodel-index:\n" + results + b"---\n" + b"text " * 100_000
    for card, most in ((MIT + b"x" * 10**6, 64 * 1024), (large, 2**18)):
        costs = {policy: audited(policy, repository(card=card)).cost for policy in ("", 'licences = ["mit"]')}
        none = embaudit.audit(repository(card=card)).cost

        read, without = costs['licences = ["mit"]'], costs[""]
        assert (without.requests, without.bytes_read) == (none.requests, none.bytes_read)
        assert 0 < read.bytes_read - none.bytes_read <= most
        assert audited('licences = ["mit"]', repository(card=card)).passed()


UNKNOWN = {
    "a format": ("EMB601", 'formats = ["safetensors"]', {"other.bin": b"no zip"}),
    "a pickle": ("EMB602", "", {"other.bin": b"no zip"}),
    "a shard that no index claims": ("EMB602", "", {"pytorch_model-00001-of-00002.bin": b"x"}),
    "a type": ("EMB604", 'dtypes = ["float32"]', {"other.safetensors": b"12345678{"}),
    "a dimension": ("EMB605", "dimension = 32", {"config.json": b"{", "modules.json": b"["}),
    "a licence": ("EMB606", 'licences = ["mit"]', {"README.md": b"---\nlicense: [\n---\n"}),
    "code": ("EMB607", "", {"tokenizer_config.json": b"{"}),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_is_not_known_does_not_comply(what: str) -> None:
    """Where a file that decides cannot be read, the requirement is not met, whatever else is in order."""
    code, policy, files = UNKNOWN[what]

    report = audited(policy, repository(**files))

    assert code in {finding.code for finding in report.findings}


def test_what_was_not_downloaded_of_a_commit_enters_nothing(tmp_path: Path, torch_file: bytes) -> None:
    """A snapshot of the cache is held to what it holds: other files of its commit are not asked about."""
    policy = f'formats = ["safetensors"]\ndtypes = ["float32"]\npickles = "none"\nmax-size = {SIZE}'
    present = {**SETTINGS, "model.safetensors": SAFE}
    absent = {"pytorch_model.bin": torch_file, "rust_model.ot": b"x", "onnx/model.onnx": b"y"}
    partial = cache_commit(tmp_path, "org/name", COMMIT, present, absent=absent)
    whole = cache_commit(tmp_path, "org/whole", COMMIT, {**present, **absent}, absent={})

    assert audited(policy, partial).passed()
    broken = {finding.code for finding in audited(policy, whole).findings}
    assert {"EMB601", "EMB602", "EMB608"} <= broken


@pytest.mark.parametrize(
    "fields",
    [
        {"fail_on": "fatal"},
        {"severity": {"EMB1": "bad"}},
        {"loaders": "tei"},
        {"ignore": 3},
        {"ignore": ("",)},
        {"formats": ("safetensor",)},
        {"pickles": "some"},
        {"dtypes": ("fp16",)},
        {"licences": "mit"},
        {"remote_code": True},
        {"require_commit": "yes"},
        {"dimension": "768"},
        {"dimension": True},
        {"max_bytes": 0},
        {"max_age_days": 1.5},
        {"severity": 3},
        {"waivers": ("EMB101",)},
    ],
    ids=str,
)
def test_a_policy_made_in_python_is_held_to_the_same_words(fields: dict[str, Any]) -> None:
    """What is none of the values allowed is refused when the policy is made, as a `UsageError`."""
    with pytest.raises(UsageError):
        Policy(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": ""},
        {"reason": ""},
        {"reason": None},
        {"expires": "2027-01-01"},
        {"expires": datetime(2027, 1, 1, tzinfo=timezone.utc)},
    ],
    ids=str,
)
def test_a_waiver_has_a_code_a_reason_and_a_date(fields: dict[str, Any]) -> None:
    """A waiver without a reason, or that ends at a moment, cannot be made."""
    with pytest.raises(UsageError):
        Waiver(**{"code": "EMB101", "reason": "x", **fields})
