"""What may enter a pipeline, as its owners wrote it: thresholds, requirements, and waivers of findings."""

import enum
from collections.abc import Mapping
from datetime import date

import attrs

from embaudit.model.checkpoint import CheckpointFormat
from embaudit.model.findings import Finding, Severity
from embaudit.model.frozen import FrozenMapping, frozen_mapping


class PickleRule(str, enum.Enum):
    """Which weight files that hold a pickle may pass."""

    ANY = "any"
    TENSOR_ONLY = "tensor-only"
    """Those that ask for nothing but tensors, containers of them, and plain values."""
    NONE = "none"

    def __str__(self) -> str:
        return self.value


class RemoteCodeRule(str, enum.Enum):
    """Which repositories may pass that ask a loader to run code of theirs, or of another repository."""

    ALLOWED = "allowed"
    PINNED = "pinned"
    """Code of the audited commit itself, or of another repository at a commit that is named."""
    FORBIDDEN = "forbidden"

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class Waiver:
    """Findings that somebody has looked at and accepts, for a reason and a while.

    Attributes:
        code: The code whose findings are accepted, whole: `EMB110`.
        reason: Why, for those who come after.
        expires: The last day on which it holds; None if it never ends.
        path: Shell pattern of the files concerned (`*` matches slashes too), or None for all.
        tensor: Shell pattern of the tensors concerned, or None for all.
        loader: Name of the loader concerned, or None for all.
    """

    code: str
    reason: str
    expires: date | None = None
    path: str | None = None
    tensor: str | None = None
    loader: str | None = None


@attrs.frozen(kw_only=True)
class WaivedFinding:
    """A finding that a waiver covers: it is told, and decides nothing.

    Attributes:
        finding: The finding.
        waiver: The first waiver that covers it.
    """

    finding: Finding
    waiver: Waiver


@attrs.frozen(kw_only=True)
class Policy:
    """What may pass. The defaults are what a gate without a policy asks for.

    Attributes:
        source: The file that it was read from, or empty.
        fail_on: The mildest severity that does not pass.
        severity: Code, or the beginning of codes, to the severity that its findings get instead of their own;
            of several the longest counts.
        ignore: Codes of rules that are not asked, or the beginning of codes.
        loaders: Loaders that must be predicted `faithful`, as `audit` takes them: `tei==1.5.0`.
        formats: Containers in which weight files may be stored; None for all.
        pickles: Which pickles may pass.
        require_commit: Whether the revision that is asked for must be a whole commit hash.
        dtypes: Types that the stored tensors of floating point may have; None for all.
        dimension: Components that the vectors must have, or None.
        licences: Identifiers of licences, as model cards write them, one of which must be declared; None if
            any or none will do.
        remote_code: Which code of repositories may pass.
        max_bytes: Bytes that all files of the snapshot may have together, or None.
        max_age_days: Days after which an audit that was recorded counts no more, or None.
        waivers: Findings that are accepted; the first that covers a finding counts.
    """

    source: str = ""
    fail_on: Severity = Severity.ERROR
    severity: Mapping[str, Severity] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    ignore: tuple[str, ...] = ()
    loaders: tuple[str, ...] = ()
    formats: tuple[CheckpointFormat, ...] | None = None
    pickles: PickleRule = PickleRule.TENSOR_ONLY
    require_commit: bool = False
    dtypes: tuple[str, ...] | None = None
    dimension: int | None = None
    licences: tuple[str, ...] | None = None
    remote_code: RemoteCodeRule = RemoteCodeRule.PINNED
    max_bytes: int | None = None
    max_age_days: int | None = None
    waivers: tuple[Waiver, ...] = ()


DEFAULT_POLICY = Policy()
"""What a gate asks for where nobody wrote a policy."""
