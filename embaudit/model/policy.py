"""What may enter a pipeline, as its owners wrote it: thresholds, requirements, and waivers of findings."""

import enum
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from typing import Any

import attrs

from embaudit.errors import UsageError
from embaudit.model.dtypes import DType
from embaudit.model.findings import Finding, Severity
from embaudit.model.frozen import FrozenMapping
from embaudit.model.weight_formats import WeightFormat
from embaudit.model.words import nearest


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
    """Code of the audited commit itself. Code of another repository never is: its files name no commit."""
    FORBIDDEN = "forbidden"

    def __str__(self) -> str:
        return self.value


def _choice(kind: type[enum.Enum], value: Any) -> Any:
    """A member of `kind`. Converters are typed with `Any`, as those of `embaudit.model.frozen` are."""
    try:
        return kind(value)
    except ValueError:
        words = [str(member.value) for member in kind]
        raise UsageError(f"{value!r} is none of {', '.join(words)}{nearest(str(value), words)}") from None


def _pickle_rule(value: Any) -> Any:
    return _choice(PickleRule, value)


def _remote_code_rule(value: Any) -> Any:
    return _choice(RemoteCodeRule, value)


def _formats(value: Any) -> Any:
    return None if value is None else tuple(_choice(WeightFormat, each) for each in _several(value))


def _dtypes(value: Any) -> Any:
    return None if value is None else tuple(_choice(DType, each) for each in _several(value))


def _texts(value: Any) -> Any:
    return None if value is None else tuple(_text(each) for each in _several(value))


def _several(value: Any) -> Iterable[Any]:
    """The values; a text alone would be taken for its letters, so it is refused."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise UsageError(f"expected several values, not {value!r} alone")
    return value


def _text(value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise UsageError(f"expected a text, not {value!r}")
    return value


def _severity(value: Any) -> Any:
    return Severity.parse(value)


def _severities(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError(f"expected a mapping of codes to severities, not {value!r}")
    return FrozenMapping({_text(code): Severity.parse(severity) for code, severity in value.items()})


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise UsageError(f"expected true or false, not {value!r}")
    return value


def _count(value: Any) -> Any:
    if value is not None and (type(value) is not int or value < 1):
        raise UsageError(f"expected a whole number from 1 on, not {value!r}")
    return value


def _day(value: Any) -> Any:
    """A day, which the beginning of a moment is not: in which time zone would it end?"""
    if value is not None and type(value) is not date:
        raise UsageError(f"expected a date, not {value!r}")
    return value


@attrs.frozen(kw_only=True)
class Waiver:
    """Findings that somebody has looked at and accepts, for a reason and a while.

    Attributes:
        code: The code whose findings are accepted, whole: `EMB110`.
        reason: Why, for those who come after.
        expires: The last day on which it holds, in UTC; None if it never ends.
        path: Shell pattern of the files concerned (`*` matches slashes too), or None for all.
        tensor: Shell pattern of the tensors concerned, or None for all. A finding about several tensors is
            covered if the pattern fits all of them.
        loader: Name of the loader concerned, or None for all.

    Raises:
        UsageError: If there is no code or no reason, or `expires` is no date.
    """

    code: str = attrs.field(converter=_text)
    reason: str = attrs.field(converter=_text)
    expires: date | None = attrs.field(default=None, converter=_day)
    path: str | None = None
    tensor: str | None = None
    loader: str | None = None


def _waivers(value: Any) -> Any:
    waivers = tuple(_several(value))
    strangers = [each for each in waivers if not isinstance(each, Waiver)]
    if strangers:
        raise UsageError(f"expected waivers, not {strangers[0]!r}")
    return waivers


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
class WaiverUse:
    """What became of one waiver in an audit.

    Attributes:
        waiver: The waiver.
        expired: Whether its last day is over, so that it covers nothing any more.
        n_findings: Findings that it covers, or would cover if it had not expired.
        asked: Whether the rule of its code was asked about everything it needs, so that no finding means that
            there is nothing to cover.
    """

    waiver: Waiver
    expired: bool = False
    n_findings: int = 0
    asked: bool = True


@attrs.frozen(kw_only=True)
class RecordedAudit:
    """When something that is relied on was audited.

    Attributes:
        name: What holds the record: the path of a lock or of a report.
        created: When, ISO 8601, as it was recorded.
        today: The day to judge it by, in UTC.
    """

    name: str
    created: str
    today: date

    @property
    def age_days(self) -> int | None:
        """Whole days since then; None if it is no date, or one that is yet to come.

        A day ahead counts as today: clocks differ, and a date without an offset may be of any time zone.
        """
        try:
            moment = datetime.fromisoformat(self.created.replace("Z", "+00:00"))
            day = moment.date() if moment.tzinfo is None else moment.astimezone(timezone.utc).date()
        except (ValueError, OverflowError):
            return None
        days = (self.today - day).days
        return None if days < -1 else max(days, 0)


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
        dtypes: Types that stored weights may have; None for all. Plain integers that are no weights, such as
            positions, may always be there.
        dimension: Components that the vectors must have, or None.
        licences: Identifiers of licences, as model cards write them, of which one must be declared, and no
            other; None if any or none will do.
        remote_code: Which code of repositories may pass.
        max_bytes: Bytes that all files of the snapshot may have together, or None.
        max_age_days: Days after which an audit that was recorded counts no more, or None.
        waivers: Findings that are accepted; the first that covers a finding counts.

    Raises:
        UsageError: If a value is none of those allowed. Whether codes and loaders exist is found out by
            whoever uses them.
    """

    source: str = ""
    fail_on: Severity = attrs.field(default=Severity.ERROR, converter=_severity)
    severity: Mapping[str, Severity] = attrs.field(factory=FrozenMapping, converter=_severities)
    ignore: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    loaders: tuple[str, ...] = attrs.field(default=(), converter=_texts)
    formats: tuple[WeightFormat, ...] | None = attrs.field(default=None, converter=_formats)
    pickles: PickleRule = attrs.field(default=PickleRule.TENSOR_ONLY, converter=_pickle_rule)
    require_commit: bool = attrs.field(default=False, converter=_flag)
    dtypes: tuple[DType, ...] | None = attrs.field(default=None, converter=_dtypes)
    dimension: int | None = attrs.field(default=None, converter=_count)
    licences: tuple[str, ...] | None = attrs.field(default=None, converter=_texts)
    remote_code: RemoteCodeRule = attrs.field(default=RemoteCodeRule.PINNED, converter=_remote_code_rule)
    max_bytes: int | None = attrs.field(default=None, converter=_count)
    max_age_days: int | None = attrs.field(default=None, converter=_count)
    waivers: tuple[Waiver, ...] = attrs.field(default=(), converter=_waivers)


DEFAULT_POLICY = Policy()
"""What a gate asks for where nobody wrote a policy."""
