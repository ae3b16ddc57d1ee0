"""Loaders as people name them."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import UsageError
from embaudit.loaders import LOADERS, canonical_name
from embaudit.loaders.base import Era, Loader, Setting
from embaudit.loaders.requests import parse_request
from embaudit.model.prediction import PredictedLoad
from embaudit.model.repository import Repository


def _nothing(_repository: Repository, _setting: Setting[Era]) -> Iterator[PredictedLoad]:
    return iter(())


SERVER = Loader(
    name="example-server",
    aliases=("exs",),
    releases=("1.0", "1.1"),
    eras=(Era(versions=">=1"),),
    backends=("gpu", "cpu"),
    predict=_nothing,
)
LIBRARY = Loader(
    name="example",
    releases=("1.0",),
    eras=(Era(versions=">=1"),),
    stands_on=("torch", "peft", "trust-remote-code"),
    predict=_nothing,
)


@pytest.mark.parametrize(
    ("text", "name", "versions", "backends", "beneath"),
    [
        ("example", "example", "", (), {}),
        ("example==1.0", "example", "==1.0", (), {}),
        ("example >= 1, < 2", "example", "<2,>=1", (), {}),
        ("exs", "example-server", "", ("gpu", "cpu"), {}),
        ("Example_Server~=1.0", "example-server", "~=1.0", ("gpu", "cpu"), {}),
        ("exs[cpu]==1.1", "example-server", "==1.1", ("cpu",), {}),
        ("exs[CPU]", "example-server", "", ("cpu",), {}),
        ("example with trust_remote_code", "example", "", (), {"trust-remote-code": ""}),
        ("exs[cpu,gpu]", "example-server", "", ("gpu", "cpu"), {}),
        ("example with torch", "example", "", (), {"torch": ""}),
        (
            "example==1.0 with torch<2.6,>=2.4, Peft",
            "example",
            "==1.0",
            (),
            {"torch": "<2.6,>=2.4", "peft": ""},
        ),
    ],
)
def test_a_request_is_read_as_pip_reads_it(
    text: str, name: str, versions: str, backends: tuple[str, ...], beneath: dict[str, str]
) -> None:
    """Name, alias, backends, versions and the packages beneath come out of the text."""
    request = parse_request(text, (SERVER, LIBRARY))

    assert request.loader.name == name
    assert str(request.versions) == versions
    assert request.backends == backends
    assert {package: str(asked) for package, asked in request.beneath.items()} == beneath
    assert request.text == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("other==1.0", "'other' is not a loader that embaudit knows; it knows example, example-server"),
        ("exs[tpu]", "'tpu' is not a backend of example-server; it has gpu, cpu"),
        ("example[gpu]", "'gpu' is not a backend of example; it has none to choose from"),
        ("", "'' is not a loader: expected a name and versions"),
        ("example==", "'example==' is not a loader"),
        ("example 1.0", "'example 1.0' is not a loader"),
        ("example with ", "'example with ' is not a loader"),
        ("example with torhc", "example does not depend on 'torhc' here; it depends on torch, peft"),
        ("exs with torch", "example-server does not depend on 'torch' here"),
        ("example==" + "9" * 5000, "a text of at most 500 characters"),
        (None, "a text of at most 500 characters"),
        ("example with ==3", "'example with ==3' is not a loader"),
        ("example @ https://example.org/a.whl", "a URL or a marker says nothing about versions"),
        ("example; python_version<'4'", "a URL or a marker says nothing about versions"),
    ],
)
def test_what_is_no_request_is_told(text: Any, problem: str) -> None:
    """A text that is none, and a name that is not known, are usage errors that say what is."""
    with pytest.raises(UsageError) as caught:
        parse_request(text, (SERVER, LIBRARY))

    assert problem in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_ends_in_another_error(text: str) -> None:
    """Whatever is written is a request or a usage error."""
    try:
        parse_request(text, (SERVER, LIBRARY))
    except UsageError:
        return


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_names_and_aliases_mean_one_loader(loader: Loader[Era]) -> None:
    """Each spelling of a known loader leads to it, and to no other."""
    for spelling in (loader.name, *loader.aliases, loader.name.upper().replace("-", "_")):
        assert canonical_name(spelling) == loader.name
