"""How rules word what they saw: bounded lists, sizes, and the tensors that stand for many."""

from collections.abc import Iterable, Sequence

MAX_LISTED = 20
"""Names that a finding lists one by one; beyond that it says how many more there are."""


def listed(names: Iterable[str]) -> tuple[str, ...]:
    """The first `MAX_LISTED` names, and a last entry that counts the others."""
    every = tuple(names)
    if len(every) <= MAX_LISTED:
        return every
    return (*every[:MAX_LISTED], f"... and {len(every) - MAX_LISTED} more")


def some(names: Sequence[str]) -> str:
    """The first name, and how many there are besides."""
    others = len(names) - 1
    if others <= 0:
        return f"`{names[0]}`"
    return f"`{names[0]}` and {others} {'other' if others == 1 else 'others'}"


def be(number: int) -> str:
    """The verb for a number of things: `1 tensor is`, `3 tensors are`."""
    return "is" if number == 1 else "are"
