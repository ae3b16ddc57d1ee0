"""What loaders would do with a repository: one frozen `Loader` a module, with its eras and their sources.

Knows what each program does with files that it is shown, version by version. Reads nothing itself.
"""

from typing import Any

from embaudit.loaders.asking import LoaderRequest, ask_loader
from embaudit.loaders.asking import parse_loader as _parse_loader
from embaudit.loaders.base import Era, Loader, Setting

LOADERS: tuple[Loader[Any], ...] = ()
"""Every loader that is known."""


def parse_loader(text: str) -> LoaderRequest:
    """What the name of one of `LOADERS` means: `transformers`, `tei==1.5.0`, `sentence-transformers>=5`.

    Raises:
        UsageError: If it is not a name with versions, or names no loader that is known.
    """
    return _parse_loader(text, LOADERS)


def canonical_name(name: str) -> str | None:
    """The name of the loader that `name` or its alias means, or None."""
    return next((known.name for known in LOADERS if name in (known.name, *known.aliases)), None)


__all__ = [
    "LOADERS",
    "Era",
    "Loader",
    "LoaderRequest",
    "Setting",
    "ask_loader",
    "canonical_name",
    "parse_loader",
]
