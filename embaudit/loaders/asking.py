"""What a loader would do in every version that a request covers, and the worst of it."""

from collections.abc import Iterable, Iterator
from typing import Any

import attrs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.requests import LoaderRequest
from embaudit.model.prediction import LoadPrediction, Outcome, PredictedLoad
from embaudit.model.repository import Repository

_SEVERITY = tuple(Outcome)


def ask_loader(repository: Repository, request: LoaderRequest) -> LoadPrediction:
    """What the loader would do in each of the versions and backends asked about, and the worst of it."""
    asked = _asked(request)
    loads = tuple(run.load for run in _runs(_behaviours(repository, request, asked), asked))
    worst = min(loads or (_no_version(request),), key=lambda load: _SEVERITY.index(load.outcome))
    fields = {field.name: getattr(worst, field.name) for field in attrs.fields(PredictedLoad)}
    return LoadPrediction(**fields, asked=request.text, version=str(request.versions), eras=loads or (worst,))


def _asked(request: LoaderRequest) -> tuple[Version, ...]:
    """The versions asked for: those among the releases, or the one that `==` names, known or not."""
    pinned = _pinned(request.versions)
    return (pinned,) if pinned is not None else tuple(request.versions.filter(request.loader.releases))


@attrs.define
class _Run:
    """A behaviour, and the neighbouring releases that show it."""

    behaviour: PredictedLoad
    releases: list[Version]
    sources: dict[str, None]

    @property
    def load(self) -> PredictedLoad:
        """The behaviour with its versions."""
        first, last = self.releases[0], self.releases[-1]
        versions = f"=={first}" if first == last else f">={first},<={last}"
        return attrs.evolve(self.behaviour, versions=versions, sources=tuple(self.sources))


def _behaviours(
    repository: Repository, request: LoaderRequest, asked: tuple[Version, ...]
) -> Iterator[tuple[PredictedLoad, tuple[Version, ...]]]:
    """Every behaviour with the releases that show it, backend by backend, oldest first."""
    for backend in request.backends or ("",):
        for era, releases in _eras(request.loader, asked):
            setting = Setting(era=era, backend=backend, beneath=request.beneath)
            for load in request.loader.predict(repository, setting):
                named = attrs.evolve(load, loader=request.loader.name, backend=backend)
                yield _extrapolated(named, releases, request.loader), releases


def _runs(
    behaviours: Iterable[tuple[PredictedLoad, tuple[Version, ...]]], asked: tuple[Version, ...]
) -> list[_Run]:
    """Neighbouring eras that do the same, joined."""
    runs: list[_Run] = []
    for load, releases in behaviours:
        behaviour, sources = attrs.evolve(load, sources=()), dict.fromkeys(load.sources)
        before = asked[: asked.index(releases[0])][-1:]
        run = next(
            (run for run in runs if run.behaviour == behaviour and run.releases[-1:] == [*before]), None
        )
        if run is None:
            runs.append(_Run(behaviour, list(releases), sources))
        else:
            run.releases.extend(releases)
            run.sources.update(sources)
    return runs


def _eras(loader: Loader[Any], asked: Iterable[Version]) -> Iterator[tuple[Era, tuple[Version, ...]]]:
    """The eras that versions fall into, with those versions."""
    for era in loader.eras:
        releases = tuple(version for version in asked if era.versions.contains(version, prereleases=True))
        if releases:
            yield era, releases


def _pinned(versions: SpecifierSet) -> Version | None:
    """The one version that `==` names, which need not be a release that is known."""
    only = next(iter(versions), None)
    if only is None or len(versions) > 1 or only.operator != "==" or only.version.endswith(".*"):
        return None
    return Version(only.version)


def _extrapolated(load: PredictedLoad, releases: tuple[Version, ...], loader: Loader[Any]) -> PredictedLoad:
    """The load, which says so if its versions are none of the releases that are known."""
    if releases[-1] in loader.releases:
        return load
    reason = (
        f"{releases[-1]} is none of the releases that embaudit knows, {loader.releases[0]} to"
        f" {loader.releases[-1]}; it is taken to do as its neighbours do."
    )
    return attrs.evolve(
        load,
        extrapolated=True,
        reasons=(*load.reasons, reason),
    )


def _no_version(request: LoaderRequest) -> PredictedLoad:
    releases = request.loader.releases
    return PredictedLoad(
        loader=request.loader.name,
        versions=str(request.versions),
        outcome=Outcome.UNKNOWN,
        reasons=(f"embaudit knows {releases[0]} to {releases[-1]}, and no release is {request.versions}.",),
    )
