"""What a loader is here: a frozen record of version eras, and one function that predicts within an era."""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

import attrs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from embaudit.model.frozen import FrozenMapping, frozen_mapping
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository


def _specifiers(versions: str | SpecifierSet) -> SpecifierSet:
    return SpecifierSet(str(versions))


def _versions(versions: Iterable[str | Version]) -> tuple[Version, ...]:
    return tuple(sorted(Version(str(version)) for version in versions))


@attrs.frozen(kw_only=True)
class Era:
    """A range of versions in which a loader does everything that matters here in the same way.

    Subclasses add what differs between the eras of one loader.

    Attributes:
        versions: The releases, as a specifier. Every release of a loader lies in exactly one of its eras.
        sources: Where the claims about this era can be read: URLs with version or commit.
    """

    versions: SpecifierSet = attrs.field(converter=_specifiers)
    sources: tuple[str, ...] = ()


E = TypeVar("E", bound=Era)


@attrs.frozen(kw_only=True)
class Setting(Generic[E]):
    """In what a prediction is made.

    Attributes:
        era: The era.
        backend: One of the loader's backends; empty if it has only one.
        beneath: Name of another package, as PyPI normalises it, to its versions, where the caller has said:
            `torch`, `transformers`, `peft`. Of a package that is not named the loader supposes the usual.
    """

    era: E
    backend: str = ""
    beneath: Mapping[str, SpecifierSet] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)


@attrs.frozen(kw_only=True)
class Loader(Generic[E]):
    """A program that loads embedding models.

    Attributes:
        name: Its name, in the spelling of its package: `sentence-transformers`.
        aliases: Other names that are understood: `tei`.
        releases: Every stable release that the eras speak of, oldest first.
        eras: Oldest first.
        backends: Engines that load in different ways; empty if there is one way.
        stands_on: What may be named after `with`: packages, and settings like `trust-remote-code`, as PyPI
            normalises names.
        predict: What it does with a repository in a setting. Yields more than one behaviour where that
            depends on what the setting leaves open. Who asks fills in `loader`, `versions` and `backend`.
    """

    name: str
    aliases: tuple[str, ...] = ()
    releases: tuple[Version, ...] = attrs.field(converter=_versions)
    eras: tuple[E, ...]
    backends: tuple[str, ...] = ()
    stands_on: tuple[str, ...] = ()
    predict: Callable[[Repository, Setting[E]], Iterable[PredictedLoad]]
