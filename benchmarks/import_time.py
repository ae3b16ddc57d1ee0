"""Time of `import embaudit` over that of bare Python.

Each import is a process of its own, with and without it in turn; the best of all runs counts, for
everything that disturbs a run makes it longer. Printed are both times, the difference and the ratio. The
target, from the design, is a difference of at most 60 ms. For comparison the same is printed for numpy and
torch, which embaudit imports on demand only.
"""

import argparse
import subprocess
import sys
import time

PROGRAMS = {
    "bare Python": "pass",
    "import embaudit": "import embaudit",
    "import numpy": "import numpy",
    "import torch": "import torch",
}


def main() -> None:
    """Run every program in turn and print the best times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="processes of each kind")
    runs = parser.parse_args().runs
    best = dict.fromkeys(PROGRAMS, float("inf"))
    for number in range(runs):
        for name, program in PROGRAMS.items():
            # torch takes a second: a few runs of it are enough.
            if name != "import torch" or number < 3:
                best[name] = min(best[name], _seconds(program))
    bare = best["bare Python"]
    for name, seconds in best.items():
        print(
            f"{name:16} {seconds * 1000:7.1f} ms, {(seconds - bare) * 1000:7.1f} ms over bare Python, "
            f"ratio {seconds / bare:.1f}"
        )


def _seconds(program: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
