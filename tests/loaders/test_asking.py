"""One question over many versions: which eras are asked, what is merged, and what comes out on top."""

from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from embaudit.loaders import LOADERS
from embaudit.loaders.asking import ask_loader
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.requests import parse_request
from embaudit.model.declaration import Declaration
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.testing.facts import make_snapshot

EMPTY = Repository(snapshot=make_snapshot(), declaration=Declaration())


@attrs.frozen(kw_only=True)
class ToyEra(Era):
    """An era of a loader that is all outcome."""

    outcome: Outcome = Outcome.FAITHFUL


def _predict(_repository: Repository, setting: Setting[ToyEra]) -> Iterator[PredictedLoad]:
    refuses = setting.backend == "cpu"
    yield PredictedLoad(
        loader="",
        outcome=Outcome.REFUSED if refuses else setting.era.outcome,
        sources=setting.era.sources,
    )


TOY = Loader(
    name="toy",
    releases=("0.9", "1.0", "1.1", "1.2", "2.0", "2.1"),
    eras=(
        ToyEra(versions="<1", outcome=Outcome.REFUSED, sources=("https://example.org/0",)),
        ToyEra(versions=">=1,<1.2", outcome=Outcome.CORRUPT, sources=("https://example.org/1",)),
        ToyEra(versions=">=1.2,<2", sources=("https://example.org/1.2",)),
        ToyEra(versions=">=2", sources=("https://example.org/2",)),
    ),
    predict=_predict,
)
SERVER = attrs.evolve(TOY, name="server", backends=("gpu", "cpu"))


def asked(text: str) -> list[tuple[str, str, str]]:
    """Backend, versions and outcome of each behaviour, the top one first."""
    prediction = ask_loader(EMPTY, parse_request(text, (TOY, SERVER)))
    every = (prediction, *prediction.eras)
    return [(load.backend, load.versions, str(load.outcome)) for load in every]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("toy==1.1", [("", "==1.1", "corrupt")]),
        ("toy>=1.2", [("", ">=1.2,<=2.1", "faithful")]),
        ("toy~=1.1", [("", "==1.1", "corrupt"), ("", "==1.2", "faithful")]),
        (
            "toy",
            [("", ">=1.0,<=1.1", "corrupt"), ("", "==0.9", "refused"), ("", ">=1.2,<=2.1", "faithful")],
        ),
        ("toy!=1.2,<2.1,>=1.1", [("", "==1.1", "corrupt"), ("", "==2.0", "faithful")]),
        ("server[gpu]==2.0", [("gpu", "==2.0", "faithful")]),
        ("server==2.0", [("cpu", "==2.0", "refused"), ("gpu", "==2.0", "faithful")]),
    ],
)
def test_every_era_in_the_range_is_asked(text: str, expected: list[tuple[str, str, str]]) -> None:
    """The most harmful behaviour comes first; neighbours that do the same are one, in order of versions."""
    top, *eras = asked(text)

    assert top == expected[0]
    assert sorted(eras) == sorted(expected)
    assert [versions for backend, versions, _ in eras if not backend] == sorted(
        (versions for backend, versions, _ in eras if not backend),
        key=lambda versions: Version(versions.rpartition("=")[2]),
    )


def test_merged_eras_keep_the_sources_of_both() -> None:
    """What two eras are known from is known of the behaviour that they share."""
    prediction = ask_loader(EMPTY, parse_request("toy>=1.2", (TOY,)))

    assert prediction.sources == ("https://example.org/1.2", "https://example.org/2")


def test_a_version_that_is_no_known_release_is_said_to_be_none() -> None:
    """A newer release is taken to do what its neighbours do, with a reason that says so."""
    prediction = ask_loader(EMPTY, parse_request("toy==3.0", (TOY,)))

    assert prediction.outcome is Outcome.FAITHFUL
    assert "3.0 is none of the releases" in prediction.reasons[-1]


@pytest.mark.parametrize("text", ["toy>=3", "toy<0.9", "toy==1.*,>1.2"])
def test_a_range_without_a_release_cannot_be_told(text: str) -> None:
    """No release that is known means that nothing is known, never that all is well."""
    prediction = ask_loader(EMPTY, parse_request(text, (TOY,)))

    assert prediction.outcome is Outcome.UNKNOWN
    assert prediction.reasons
    assert prediction.eras


@given(st.sets(st.sampled_from(TOY.releases), min_size=1))
def test_the_behaviours_of_a_range_cover_it_exactly(releases: set[Version]) -> None:
    """Every release asked for lies in the versions of exactly one behaviour."""
    others = ",".join(f"!={version}" for version in TOY.releases if version not in releases)
    prediction = ask_loader(EMPTY, parse_request(f"toy{others}", (TOY,)))

    for version in releases:
        assert sum(SpecifierSet(load.versions).contains(version) for load in prediction.eras) == 1


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_every_release_lies_in_one_era(loader: Loader[Era]) -> None:
    """The eras of a loader share out its releases, oldest first, and the last one is open to newer ones."""
    homes = [
        [at for at, era in enumerate(loader.eras) if era.versions.contains(release)]
        for release in loader.releases
    ]

    assert all(len(home) == 1 for home in homes)
    assert homes == sorted(homes)
    assert {home[0] for home in homes} == set(range(len(loader.eras)))
    assert loader.eras[-1].versions.contains("99.0")


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_every_era_names_its_sources(loader: Loader[Era]) -> None:
    """Each claim about a range of versions says where it can be read."""
    for era in loader.eras:
        assert era.sources
        assert all(source.startswith("https://") for source in era.sources)
