"""The hub through every line of huggingface_hub: the same tests, each line in its own environment.

2.x is what the main tests run with.
"""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".venvs"
SUITES = (
    "tests/sources/hub",
    "tests/testing/test_loopback_hub.py",
    "tests/acceptance/test_hub_faults.py",
    "tests/acceptance/test_hub_costs.py",
    "tests/acceptance/test_gate.py",
    "tests/test_gating.py",
)
CEILING_SECONDS = 600

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("environment", ["hub-0.34", "hub-0.36", "hub-1"])
@pytest.mark.parametrize("suite", SUITES)
def test_the_hub_is_read_through_every_line_of_its_client(environment: str, suite: str) -> None:
    """The tests of the hub pass with this line of huggingface_hub, too."""
    python = ENVIRONMENTS / environment / "bin" / "python"
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTEST_"))}

    run = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not interop and not fuzz", suite],
        cwd=ROOT,
        env={**settings, "PYTHONPATH": str(ROOT), "CI": "true"},
        capture_output=True,
        text=True,
        timeout=CEILING_SECONDS,
        check=False,
    )

    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]
