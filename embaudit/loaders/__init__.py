"""What loaders would do with a repository: one frozen `Loader` a module, with its eras and their sources.

Knows what each program does with files that it is shown, version by version. Reads nothing itself.
"""

from typing import Any

from embaudit.loaders.asking import ask_loader
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.candle import CANDLE
from embaudit.loaders.embed_anything import EMBED_ANYTHING
from embaudit.loaders.requests import LoaderRequest, named, parse_request
from embaudit.loaders.sentence_transformers import SENTENCE_TRANSFORMERS, declared_pipeline
from embaudit.loaders.servers import SERVERS
from embaudit.loaders.tei import TEI
from embaudit.loaders.transformers import TRANSFORMERS

LOADERS: tuple[Loader[Any], ...] = (
    *(TRANSFORMERS, SENTENCE_TRANSFORMERS, TEI, CANDLE, EMBED_ANYTHING),
    *SERVERS,
)
"""Every loader that is known."""


def parse_loader(text: str) -> LoaderRequest:
    """What the name of one of `LOADERS` means: `transformers`, `tei==1.5.0`, `sentence-transformers>=5`.

    Raises:
        UsageError: If it is not a name with versions, or names no loader that is known.
    """
    return parse_request(text, LOADERS)


def canonical_name(name: str) -> str | None:
    """The name of the loader that `name` or its alias means, or None."""
    loader = named(name, LOADERS)
    return None if loader is None else loader.name


__all__ = [
    "LOADERS",
    "Era",
    "Loader",
    "LoaderRequest",
    "Setting",
    "ask_loader",
    "canonical_name",
    "declared_pipeline",
    "parse_loader",
]
