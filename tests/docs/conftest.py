"""What the tests of recipes share: a shell in which `embaudit` is a command."""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from embaudit.testing.loopback_hub import LoopbackHub

ROOT = Path(__file__).parents[2]
SHIM = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m embaudit "$@"\n'


@pytest.fixture
def shell_environment(tmp_path: Path) -> Callable[[LoopbackHub], dict[str, str]]:
    """Variables for processes that read from a hub: `embaudit` is this one, and `pip` has nothing to do."""

    def variables(hub: LoopbackHub) -> dict[str, str]:
        programs = tmp_path / "programs"
        programs.mkdir()
        for name, script in (("embaudit", SHIM), ("pip", "#!/bin/sh\nexit 0\n")):
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        return {
            **inherited,
            **hub.environment(tmp_path / "cache-home"),
            "HOME": str(tmp_path),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }

    return variables
