"""How findings and renderers alike say counts and commits."""

_SHORT_COMMIT = 12
"""Hex digits that tell the commits of one repository apart."""


def plural(number: int, noun: str) -> str:
    """A number with its noun: `1 tensor`, `1,200 tensors`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(commit: str | None) -> str:
    """The first digits of a commit hash."""
    return "unknown" if commit is None else commit[:_SHORT_COMMIT]
