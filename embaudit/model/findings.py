"""What an audit found: findings with their evidence, and questions that could not be asked."""

import enum
from collections.abc import Mapping

import attrs

from embaudit.errors import UsageError
from embaudit.model.frozen import JSON, FrozenMapping, freeze_object


class Severity(enum.IntEnum):
    """How much a finding matters: `INFO < WARNING < ERROR`."""

    INFO = 10
    WARNING = 20
    ERROR = 30

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, word: "str | Severity") -> "Severity":
        """The severity of that name, in any case.

        Raises:
            UsageError: If there is no severity of that name.
        """
        if isinstance(word, Severity):
            return word
        try:
            return cls[str(word).upper()]
        except KeyError:
            names = ", ".join(str(severity) for severity in cls)
            raise UsageError(f"{word!r} is not a severity; use one of {names}") from None


@attrs.frozen(kw_only=True)
class Where:
    """The place in the repository that a finding is about; the parts that do not apply are None.

    Attributes:
        path: A file.
        tensor: A tensor of that file.
        field: A field of that file, dotted.
    """

    path: str | None = None
    tensor: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        return ": ".join(part for part in (self.path, self.tensor, self.field) if part is not None)


@attrs.frozen(kw_only=True)
class Observation:
    """What a rule yields: a finding without the code and default severity, which belong to the rule.

    Attributes:
        message: What was seen and why it matters, one or two sentences.
        where: The place.
        loader: The loader that is concerned, if it is one.
        evidence: The values that disagree, and where each was read.
        remedy: What to do.
        severity: Overrides the rule's own severity where a case is milder or worse.
    """

    message: str
    where: Where = Where()
    loader: str | None = None
    evidence: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    remedy: str = ""
    severity: Severity | None = None


@attrs.frozen(kw_only=True)
class Finding:
    """One fault or fact of the repository, under a code that never changes its meaning.

    Attributes:
        code: `EMB` and three digits; `docs/rules/` has a page for each.
        severity: How much it matters.
        message: What was seen and why it matters.
        where: The place.
        loader: The loader that is concerned, if it is one.
        evidence: The values that disagree, and where each was read.
        remedy: What to do.
    """

    code: str
    severity: Severity
    message: str
    where: Where = Where()
    loader: str | None = None
    evidence: Mapping[str, JSON] = attrs.field(factory=FrozenMapping, converter=freeze_object)
    remedy: str = ""


@attrs.frozen(kw_only=True)
class Skipped:
    """A rule that could not be asked, and why. Not asked is not passed.

    Attributes:
        code: The rule's code.
        reason: What was missing.
        unanswered: Whether it was wanted, could not be had, and no finding tells of it: a history that the
            hub did not give. A gate does not let that pass. False for what the audit was not asked for, for
            what does not apply, and for a file that cannot be read, which is a finding of its own.
    """

    code: str
    reason: str
    unanswered: bool = False
