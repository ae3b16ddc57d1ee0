"""What all tests share: the switch that rewrites generated pages, and a home without anyone's settings."""

import os
from pathlib import Path

import pytest
from huggingface_hub import constants
from hypothesis import HealthCheck, settings

from embaudit.testing.repositories import bert_tensors, flat, save_safetensors, save_torch

# Machines are shared and noisy, so no example has a time limit; and a gate does not roll dice.
settings.register_profile(
    "embaudit", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("embaudit")

ROOT = Path(__file__).parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--update-pages` and `--update-golden` write what is generated instead of comparing it."""
    parser.addoption("--update-pages", action="store_true", help="rewrite the generated pages under docs/")
    parser.addoption("--update-golden", action="store_true", help="rewrite the reports under tests/golden/")


@pytest.fixture
def held_page(request: pytest.FixtureRequest) -> "Page":
    """Compares a generated text with a page under docs/, or writes it under `--update-pages`."""
    return Page(request, "docs", "--update-pages")


@pytest.fixture
def held_golden(request: pytest.FixtureRequest) -> "Page":
    """Compares a report with a file under tests/golden/, or writes it under `--update-golden`."""
    return Page(request, "tests/golden", "--update-golden")


class Page:
    """A generated text, held to what is committed."""

    def __init__(self, request: pytest.FixtureRequest, folder: str, option: str) -> None:
        self._folder, self._option = folder, option
        self._update = bool(request.config.getoption(option))

    def check(self, path: str, text: str) -> None:
        """Fail if the file at `path` in the folder is not `text`."""
        page = ROOT / self._folder / path
        if self._update:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
        assert page.read_text(encoding="utf-8") == text, f"run: pytest {self._option}"


@pytest.fixture(autouse=True)
def _isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the cache or git settings of the person who runs it, or a hub that it did not start."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small model as safetensors, and as a flat `.bin` that some loaders misread: TEI 1.5.0 for one."""
    folder, tensors = tmp_path_factory.mktemp("weights"), bert_tensors()
    save_safetensors(tensors, folder / "model.safetensors")
    save_torch(flat(tensors), folder / "pytorch_model.bin")
    return {path.name: path.read_bytes() for path in folder.iterdir()}
