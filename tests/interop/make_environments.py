"""Creates the virtual environments that hold the real loaders, under `.venvs/` of the repository.

One for each file of pinned versions in `environments/`, named like it. One that is complete, made from the
same pins by the same python, is left alone. Programs that are no python packages, and that an environment
needs, come from Debian where they are missing and this may install them; else it says what to do.

    python tests/interop/make_environments.py
    pytest -m interop tests/interop
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ENVIRONMENTS = _HERE.parents[1] / ".venvs"
_PROGRAMS = {"browser": "chromium"}
"""Environment to the program that it drives, which is the name of Debian's package, too."""


def main() -> int:
    """Create what is missing, and tell how long it took."""
    for environment, program in _PROGRAMS.items():
        if shutil.which(program) is None and not install(program):
            sys.stderr.write(f"{environment}: needs {program}: as root, apt-get install {program}\n")
            return 1
    for pins in sorted((_HERE / "environments").glob("*.txt")):
        began = time.perf_counter()
        made = make(pins, _ENVIRONMENTS / pins.stem)
        what = f"made in {time.perf_counter() - began:.0f} seconds" if made else "complete"
        sys.stdout.write(f"{pins.stem}: {what}\n")
        sys.stdout.flush()
    return 0


def install(program: str) -> bool:
    """Install a program of Debian, if this runs as root there.

    Returns:
        Whether it is there now.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", program]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *command], check=False, env=settings)
    return shutil.which(program) is not None


def make(pins: Path, environment: Path) -> bool:
    """Create the environment anew, unless its stamp says that it is what would come out.

    The stamp is written last, so that an interrupted run leaves none.

    Returns:
        Whether it was created.

    Raises:
        subprocess.CalledProcessError: If pip fails; it has said why.
    """
    stamp = environment / "made-from.txt"
    wanted = f"python {sys.version}\n{pins.read_text(encoding='utf-8')}"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return False
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-compile", "--only-binary", ":all:", "--requirement", str(pins)], check=True
    )
    stamp.write_text(wanted, encoding="utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
