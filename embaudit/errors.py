"""Every error that embaudit's public functions raise because of what they were given.

A fault *of the repository under audit* is a finding in the report; an exception is for what the caller
must handle.

    EmbauditError
    ├── UsageError    an argument that is none of the values allowed (a ValueError too)
    ├── TargetError   the target is not understood, not found, not to be had offline
    ├── SourceError   the target is known, its bytes could not be read
    │   ├── UnknownCommitError  a history does not hold the commit
    │   ├── NoContentError      the file is listed, and its source has no content for it
    │   ├── RefusedError        the source withdraws the repository or commit that it listed
    │   └── UnavailableError    the source does not answer, or not as it must
    ├── FormatError   bytes that do not follow their format; says where
    └── LimitError    bytes that would exceed a resource limit; says which
        └── BudgetError         of what all requests over a network may take together

Errors keep positional arguments only, so that they travel between processes.
"""

from collections.abc import Iterator


class EmbauditError(Exception):
    """The root of all of embaudit's errors."""


class UsageError(EmbauditError, ValueError):
    """An argument is none of the values that are allowed; the message lists them."""


class TargetError(EmbauditError):
    """The target is not understood, does not exist, or cannot be reached without the network."""


class SourceError(EmbauditError):
    """The target exists, but its bytes could not be read."""


class UnknownCommitError(SourceError):
    """The history of a repository does not hold the commit: it was never there, or is there no more.

    Attributes:
        commit: The commit, 40 hex digits.
    """

    def __init__(self, problem: str, commit: str = "") -> None:
        super().__init__(problem, commit)
        self.commit = commit

    def __str__(self) -> str:
        return str(self.args[0])


class NoContentError(SourceError):
    """A file is listed, and its source has no content for it: a Git LFS object that was never uploaded."""


class RefusedError(SourceError):
    """A source refuses the repository or commit that it has listed: it is gone, closed or withdrawn since."""


class UnavailableError(SourceError):
    """A source does not answer after all retries, or not as it must: nothing is said of the file."""


class _LocatedError(EmbauditError):
    """An error with a place, which grows outwards as the error passes each reader on its way up.

    Attributes:
        problem: What is wrong, one sentence without the place.
        where: The place, outermost part first: file, member, field or byte.
    """

    def __init__(self, problem: str, where: str = "") -> None:
        super().__init__(problem, where)
        self.problem = problem
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" if self.where else self.problem

    def _outer(self, outer: str) -> str:
        return f"{outer}: {self.where}" if self.where else outer


class FormatError(_LocatedError):
    """Bytes that do not follow the format that they should follow."""

    def inside(self, outer: str) -> "FormatError":
        """The same error, seen from the container `outer` (a file, a member, a field)."""
        return FormatError(self.problem, self._outer(outer))


class LimitError(_LocatedError):
    """Bytes that would take more than a limit allows; they may still be valid.

    Attributes:
        problem: What would exceed the limit, with both numbers.
        where: The place, outermost part first.
        limit: The name of the field of `embaudit.model.limits.Limits` that was exceeded.
    """

    def __init__(self, problem: str, where: str = "", limit: str = "") -> None:
        super().__init__(problem, where)
        self.args = (problem, where, limit)
        self.limit = limit

    def inside(self, outer: str) -> "LimitError":
        """The same error, seen from the container `outer` (a file, a member, a field)."""
        return type(self)(self.problem, self._outer(outer), self.limit)


class BudgetError(LimitError):
    """What all requests over a network may take together is used up; nothing is said of the file."""


UNANSWERED = (UnavailableError, BudgetError)
"""What ends an audit even where a fault of one file is a finding: it says nothing of the file."""

WITHHELD = (*UNANSWERED, RefusedError)
"""What ends the reading of a repository; of one that is only compared with, a withdrawal is told instead."""

_MOST_CAUSES = 16
"""How far causes are followed: libraries wrap an error three or four times, and a chain may be a ring."""


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came from, as far as the libraries that raised it let us see."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
