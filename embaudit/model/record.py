"""What an audit found, as a value: the fields of the report without its ways of showing itself."""

from collections.abc import Mapping

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration
from embaudit.model.diff import SnapshotDiff
from embaudit.model.files import FileEntry
from embaudit.model.findings import Finding, Severity, Skipped
from embaudit.model.frozen import FrozenMapping, frozen_mapping
from embaudit.model.policy import DEFAULT_POLICY, Policy, WaivedFinding
from embaudit.model.prediction import LoadPrediction
from embaudit.model.tensor_map import Depth, TensorMap

SCHEMA_VERSION = "1.0"
"""Version of the JSON form. The first number changes when a reader of the older form would be misled."""


@attrs.frozen(kw_only=True)
class Cost:
    """What an audit took.

    Attributes:
        requests: Requests over a network, if a snapshot is on one; else spans asked for on a disk.
        bytes_read: Bytes that those gave.
        seconds: Wall-clock seconds.
    """

    requests: int
    bytes_read: int
    seconds: float


@attrs.frozen(kw_only=True)
class AuditRecord:
    """What an audit found, and everything that it was found from.

    Attributes:
        target: What was audited, as asked for.
        source: Where it came from: `hub`, `folder`, `cache`, `git` or `memory`.
        repo_id: `org/name`, where the source knows it.
        revision: The revision as asked for.
        commit: 40 hex digits, or None if nothing says which commit it is.
        against: What it was compared with, as asked for, or None.
        depth: How much tensor data was read.
        created: When, ISO 8601 in UTC.
        tool_version: The embaudit that made the report.
        schema_version: Version of the JSON form of the report.
        files: Path to entry, as the source lists them.
        declaration: What the repository says about its model.
        checkpoints: Name to checkpoint, for every weight file that could be read.
        mappings: The weight formats of the snapshot, held against one another.
        loads: What each loader that was asked about would do.
        diff: What changed between the older and the newer snapshot, if another one was given.
        policy: What it had to comply with, if anything was asked for.
        findings: The worst first.
        waived: Findings that waivers of the policy cover, the worst first; they are not among the others.
        skipped: Rules that could not be asked, and why.
        asked: Codes of the rules that were asked and had all that they need, sorted: those of them without a
            finding passed.
        cost: What the audit took.
    """

    target: str
    source: str
    repo_id: str | None = None
    revision: str | None = None
    commit: str | None = None
    against: str | None = None
    depth: Depth
    created: str
    tool_version: str
    schema_version: str = SCHEMA_VERSION
    files: Mapping[str, FileEntry] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    declaration: Declaration = attrs.field(factory=Declaration)
    checkpoints: Mapping[str, Checkpoint] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    mappings: tuple[TensorMap, ...] = ()
    loads: tuple[LoadPrediction, ...] = ()
    diff: SnapshotDiff | None = None
    policy: Policy | None = None
    findings: tuple[Finding, ...] = ()
    waived: tuple[WaivedFinding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    asked: tuple[str, ...] = ()
    cost: Cost

    @property
    def worst(self) -> Severity | None:
        """The highest severity among the findings, or None if there are none."""
        return max((finding.severity for finding in self.findings), default=None)

    def threshold(self, fail_on: str | Severity | None = None) -> Severity:
        """The mildest severity that does not pass: `fail_on`, or else what the policy says, or else `error`.

        Raises:
            UsageError: If there is no severity of that name.
        """
        policy = DEFAULT_POLICY if self.policy is None else self.policy
        return policy.fail_on if fail_on is None else Severity.parse(fail_on)

    def passed(self, fail_on: str | Severity | None = None) -> bool:
        """Whether no finding is at or above the threshold, which is the policy's unless it is given.

        Raises:
            UsageError: If there is no severity of that name.
        """
        threshold = self.threshold(fail_on)
        return self.worst is None or self.worst < threshold
