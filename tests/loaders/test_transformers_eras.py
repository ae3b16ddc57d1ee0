"""The eras of transformers: every release is in one, and each says where it can be read."""

import pytest
from packaging.version import Version

from embaudit.architectures import ARCHITECTURES
from embaudit.loaders.transformers import TRANSFORMERS
from embaudit.loaders.transformers.eras import ERAS
from embaudit.loaders.transformers.model_types import FIRST_SERIES, FIRST_WITHOUT


@pytest.mark.parametrize("release", TRANSFORMERS.releases, ids=str)
def test_every_release_is_in_one_era(release: Version) -> None:
    """No release is in two eras, and none is left out."""
    eras = [era for era in ERAS if era.versions.contains(release)]

    assert len(eras) == 1
    assert eras[0].since <= release


def test_eras_follow_one_another() -> None:
    """An era ends where the next one begins, and the last one does not end."""
    assert [era.until for era in ERAS] == [*(era.since for era in ERAS[1:]), None]


def test_eras_begin_with_a_release_or_a_withdrawn_one() -> None:
    """An era begins where something changed: with a release of that number."""
    withdrawn = {Version("4.57.0")}

    assert {era.since for era in ERAS} <= {*TRANSFORMERS.releases, *withdrawn}


@pytest.mark.parametrize("era", ERAS, ids=lambda era: str(era.since))
def test_an_era_names_its_source(era: object) -> None:
    """Each era says where its change can be read, at the release that made it."""
    sources = getattr(era, "sources", ())

    assert sources
    assert all(f"/v{getattr(era, 'since', '')}/" in source for source in sources)


@pytest.mark.parametrize(
    "name", [name for name, known in ARCHITECTURES.items() if not known.remote_code and name in FIRST_SERIES]
)
def test_a_known_type_comes_at_the_start_of_an_era(name: str) -> None:
    """Of an architecture that embaudit knows, no era is in two minds whether transformers has it."""
    assert all(not era.since < FIRST_SERIES[name] < (era.until or era.since) for era in ERAS)


def test_a_type_goes_after_it_came() -> None:
    """What a series lacks again, an earlier one has."""
    assert all(FIRST_SERIES[name] < series for name, series in FIRST_WITHOUT.items())
