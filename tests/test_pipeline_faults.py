"""The conductor on files whose headers are sound and whose values cannot be had: findings, not exceptions."""

import io
from collections.abc import Callable, Mapping

import attrs
import pytest
import torch
from safetensors.torch import save

import embaudit
from embaudit.errors import FormatError, SourceError
from embaudit.model.files import Reader, Snapshot
from embaudit.model.limits import Limits
from embaudit.sources import MemorySource
from embaudit.testing.repositories import bert_settings, bert_tensors

COMMIT = "1" * 40
SAFE, BIN = "model.safetensors", "pytorch_model.bin"


def torch_file(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """What `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer)
    return buffer.getvalue()


TENSORS: dict[str, torch.Tensor] = bert_tensors()
FILES = bert_settings() | {SAFE: save(TENSORS), BIN: torch_file(TENSORS)}


@attrs.frozen
class BadDisk:
    """A reader of a disk that lost a part of one file: a span of tensor data."""

    inside: Reader
    path: str
    start: int
    stop: int
    error: Callable[[str], Exception]

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes, unless bad ones are among them."""
        self._check(path, start, stop)
        return self.inside.read(path, start, stop)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """As `read`."""
        self._check(path, start, start + buffer.nbytes)
        self.inside.read_into(path, start, buffer)

    def _check(self, path: str, start: int, stop: int) -> None:
        if path == self.path and start < self.stop and self.start < stop:
            raise self.error(f"byte {max(start, self.start)} of {path} cannot be read")


def listed(files: Mapping[str, bytes] = FILES) -> Snapshot:
    """A repository as a folder lists it: without digests."""
    snapshot = MemorySource(files, repo_id="org/name", commit=COMMIT, revision=COMMIT).snapshot()
    plain = {path: attrs.evolve(entry, sha256=None, git_sha1=None) for path, entry in snapshot.files.items()}
    return attrs.evolve(snapshot, files=plain)


def damaged(snapshot: Snapshot, path: str, error: Callable[[str], Exception]) -> Snapshot:
    """The repository on a disk that lost the largest tensor of one file."""
    tensors = embaudit.open_checkpoint(snapshot, path).tensors.values()
    largest = max(tensors, key=lambda tensor: tensor.n_bytes)
    reader = BadDisk(snapshot.reader, path, largest.start, largest.stop, error)
    return attrs.evolve(snapshot, reader=reader)


def named(report: embaudit.AuditReport, code: str) -> set[tuple[str | None, object]]:
    """The files that one rule names, each with the limit that is its evidence, if any."""
    findings = [finding for finding in report.findings if finding.code == code]
    return {(finding.where.path, finding.evidence.get("limit")) for finding in findings}


def reasons(report: embaudit.AuditReport, code: str) -> str:
    """Why one rule was not asked."""
    return "\n".join(one.reason for one in report.skipped if one.code == code)


@pytest.mark.parametrize("depth", ["sampled", "full"])
@pytest.mark.parametrize("error", [SourceError, FormatError])
@pytest.mark.parametrize("path", [SAFE, BIN])
def test_values_that_cannot_be_read_are_a_finding(
    path: str, error: Callable[[str], Exception], depth: str
) -> None:
    """A file that fails inside its tensor data is EMB140, and the rules about values say what they miss."""
    report = embaudit.audit(damaged(listed(), path, error), depth=depth)

    problems = [finding.evidence["problem"] for finding in report.findings if finding.code == "EMB140"]
    assert all(f"of {path} cannot be read" in problem for problem in problems)
    assert f"were not compared: {problems[0]}" in reasons(report, "EMB106")
    assert (f"the values of {path} were not read" in reasons(report, "EMB131")) is (depth == "full")
    assert set(report.checkpoints) == {SAFE, BIN}
    assert not report.passed()
    assert embaudit.AuditReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("path", [SAFE, BIN])
def test_the_other_values_are_still_looked_at(path: str) -> None:
    """One file's fault does not end the scan of the other: a NaN there is found."""
    (other,) = {SAFE, BIN} - {path}
    broken = TENSORS | {"encoder.layer.1.output.dense.bias": torch.full((32,), torch.nan)}
    files = FILES | {SAFE: save(broken), BIN: torch_file(broken)}

    report = embaudit.audit(damaged(listed(files), path, SourceError), depth="full")

    assert named(report, "EMB131") == {(other, None)}


@pytest.mark.parametrize("path", [SAFE, BIN])
def test_headers_are_enough_for_an_audit_of_headers(path: str) -> None:
    """What depth headers does not read may be broken without a finding."""
    report = embaudit.audit(damaged(listed(), path, SourceError))

    assert named(report, "EMB140") == set()
    assert report.passed()


@pytest.mark.parametrize("depth", ["sampled", "full"])
@pytest.mark.parametrize("path", [BIN, SAFE])
def test_the_finding_is_about_the_file_that_fails(path: str, depth: str) -> None:
    """EMB140 stands at the file whose bytes are gone, and at no other."""
    report = embaudit.audit(damaged(listed(), path, SourceError), depth=depth)

    assert named(report, "EMB140") == {(path, None)}


REPEATED = torch_file(TENSORS | {"repeated": torch.zeros(1).expand(1000)})
OVER_A_LIMIT = {
    "repeated_bytes": (FILES | {BIN: REPEATED}, Limits(repeated_bytes=100), {BIN}, "EMB131"),
    "repeated_bytes of two files": (
        bert_settings() | {BIN: REPEATED, "pytorch_model.pt": REPEATED},
        Limits(repeated_bytes=100),
        {BIN, "pytorch_model.pt"},
        "EMB106",
    ),
    "work_bytes": (FILES, Limits(work_bytes=1), {SAFE, BIN}, "EMB106"),
}


@pytest.mark.parametrize("case", OVER_A_LIMIT)
def test_values_over_a_limit_are_a_finding_that_names_it(case: str) -> None:
    """Tensors that repeat too much, or too little memory for any block, are EMB141 and Skipped reasons."""
    files, limits, paths, rule = OVER_A_LIMIT[case]

    report = embaudit.audit(listed(files), depth="full", limits=limits)

    assert named(report, "EMB141") == {(path, case.partition(" ")[0]) for path in paths}
    assert "were not" in reasons(report, rule)
    assert named(report, "EMB140") == set()
    assert not report.passed()


def test_what_a_limit_forbids_to_compare_is_not_called_different() -> None:
    """Without values there is neither a finding about values nor a pair that claims to have been compared."""
    report = embaudit.audit(listed(), depth="full", limits=Limits(work_bytes=1))

    assert named(report, "EMB106") == named(report, "EMB131") == set()
    assert report.mappings == ()


@pytest.mark.parametrize("path", [SAFE, BIN])
def test_a_digest_that_cannot_be_computed_is_a_finding(path: str) -> None:
    """A file that the listing has a digest for, and that cannot be read through, does not end the audit."""
    snapshot = MemorySource(FILES, repo_id="org/name", commit=COMMIT, revision=COMMIT).snapshot()

    report = embaudit.audit(damaged(snapshot, path, SourceError), depth="full")

    assert (path, None) in named(report, "EMB140")
    assert path in reasons(report, "EMB004")
