"""The gate in front of the real sentence-transformers, as its page has it."""

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest

from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import (
    bert_settings,
    bert_tensors,
    flat,
    save_safetensors,
    save_torch,
)

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venvs" / "sentence-transformers" / "bin" / "python"
PAGE = ROOT / "docs" / "howto" / "gate-a-pipeline.md"
AFTERWARDS = (
    '\nprint(model.encode(["hello world"]).shape, sorted(path.name for path in folder.glob("*.*")))\n'
)


@attrs.frozen
class Place:
    """A hub with `org/name` at two commits, of which one passes, and an environment with embaudit in it."""

    hub: LoopbackHub
    good: str
    bad: str
    environment: dict[str, str]

    def run(self, commit: str) -> "subprocess.CompletedProcess[str]":
        """The block of the page, with sentence-transformers."""
        block = re.search(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        assert block is not None
        assert "SentenceTransformer(" in block[1]
        return subprocess.run(
            [str(PYTHON), "-c", block[1].replace("COMMIT", commit) + AFTERWARDS],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """The hub, and the interop environment, which lacks nothing that embaudit needs but attrs."""
    if not PYTHON.is_file():
        pytest.fail("no environment; run: python tests/interop/make_environments.py")
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("attr", "attrs"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (packages / name).symlink_to(Path(spec.origin).parent)
    save_safetensors(bert_tensors(), tmp_path / "model.safetensors")
    save_torch(flat(bert_tensors()), tmp_path / "pytorch_model.bin")
    with LoopbackHub() as hub:
        repository = hub.create("org/name")
        safe = bert_settings() | {"model.safetensors": (tmp_path / "model.safetensors").read_bytes()}
        good = repository.commit({**safe, "onnx/model.onnx": b"another program's"})
        misread = (tmp_path / "pytorch_model.bin").read_bytes()
        bad = repository.commit({"model.safetensors": None, "pytorch_model.bin": misread})
        environment = {
            **hub.environment(tmp_path / "home"),
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{packages}",
        }
        yield Place(hub, good, bad, environment)


def test_what_passes_is_loaded(place: Place) -> None:
    """sentence-transformers loads the folder that the gate gives, with the files that it reads alone."""
    ran = place.run(place.good)

    assert ran.returncode == 0, ran.stderr
    shape, _, names = ran.stdout.strip().partition(" [")
    assert shape == "(1, 32)"
    assert "model.safetensors" in names
    assert not any("onnx" in request.path for request in place.hub.requests)


def test_what_does_not_pass_is_not_loaded(place: Place) -> None:
    """The program ends with the reason before sentence-transformers is given anything to load."""
    ran = place.run(place.bad)

    assert ran.returncode != 0
    assert ran.stdout == ""
    assert f"GateError: org/name@{place.bad} does not pass: EMB110" in ran.stderr
    assert not [each for each in place.hub.requests if each.origin == "cdn" and each.range is None]
