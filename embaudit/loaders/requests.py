"""A loader as a person names it: `tei[cuda]==1.5.0`, `sentence-transformers>=5 with transformers==4.57.1`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from embaudit.errors import UsageError
from embaudit.loaders.base import Loader
from embaudit.model.frozen import FrozenMapping, frozen_mapping

_BETWEEN_PACKAGES = re.compile(r"\s*,\s*(?=[A-Za-z])")
"""A comma between two packages; one between two specifiers is followed by an operator."""

MAX_LENGTH = 500
"""Characters of a request: more than any version has, and fewer than python refuses to make a number of."""


@attrs.frozen(kw_only=True)
class LoaderRequest:
    """A loader, the versions and backends of it that are asked about, and the packages beneath.

    Attributes:
        text: The request as it was written.
        loader: The loader.
        versions: The versions asked for; empty for all.
        backends: The backends asked for; empty only if the loader has none.
        beneath: Name to versions of other packages, where the caller has said.
    """

    text: str
    loader: Loader[Any]
    versions: SpecifierSet
    backends: tuple[str, ...] = ()
    beneath: Mapping[str, SpecifierSet] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)


def parse_request(text: str, loaders: Iterable[Loader[Any]]) -> LoaderRequest:
    """What a request means.

    Args:
        text: A loader's name or alias, its backends in brackets, a version specifier as for pip; after
            `with`, packages that it stands on and their versions: `transformers==4.57.1 with torch<2.6`.
        loaders: The loaders that are known.

    Raises:
        UsageError: If it is not such a text, or names a loader or backend that is not known.
    """
    _check_text(text)
    head, beneath, tail = text.partition(" with ")
    asked = _requirement(head, text)
    others = [_requirement(part, text) for part in _BETWEEN_PACKAGES.split(tail)] if beneath else []
    loader = _find(asked.name, loaders)
    backends = _chosen(asked.extras, loader)
    packages = {str(canonicalize_name(other.name)): other.specifier for other in others}
    for package in packages:
        if package not in loader.stands_on:
            known = ", ".join(loader.stands_on) or "nothing that can be named"
            raise UsageError(f"{loader.name} does not depend on {package!r} here; it depends on {known}")
    return LoaderRequest(
        text=text, loader=loader, versions=asked.specifier, backends=backends, beneath=packages
    )


def _check_text(text: object) -> None:
    """Refuse what python callers may pass by mistake, and what packaging cannot parse in time."""
    if not isinstance(text, str) or len(text) > MAX_LENGTH:
        raise UsageError(f"a loader is asked for by a text of at most {MAX_LENGTH} characters")


def _chosen(extras: Iterable[str], loader: Loader[Any]) -> tuple[str, ...]:
    """The backends between the brackets, in the loader's order; all where there are no brackets."""
    asked = {extra.lower() for extra in extras}
    strangers = sorted(asked - set(loader.backends))
    if strangers:
        backends = ", ".join(loader.backends) or "none to choose from"
        raise UsageError(f"{strangers[0]!r} is not a backend of {loader.name}; it has {backends}")
    return tuple(each for each in loader.backends if not asked or each in asked)


def named(name: str, loaders: Iterable[Loader[Any]]) -> Loader[Any] | None:
    """The loader of that name or alias, however it is spelled, or None."""
    wanted = canonicalize_name(name)
    every = ((each, spelling) for each in loaders for spelling in (each.name, *each.aliases))
    return next((each for each, spelling in every if canonicalize_name(spelling) == wanted), None)


def _find(name: str, loaders: Iterable[Loader[Any]]) -> Loader[Any]:
    known = tuple(loaders)
    loader = named(name, known)
    if loader is None:
        spelled = ", ".join(sorted(each.name for each in known))
        raise UsageError(f"{name!r} is not a loader that embaudit knows; it knows {spelled}")
    return loader


def _requirement(part: str, whole: str) -> Requirement:
    try:
        requirement = Requirement(part.strip())
    except InvalidRequirement as error:
        raise UsageError(f"{whole!r} is not a loader: expected a name and versions, 'tei==1.5.0'") from error
    if requirement.url or requirement.marker:
        raise UsageError(f"{whole!r} is not a loader: a URL or a marker says nothing about versions here")
    return requirement
