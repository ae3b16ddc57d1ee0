"""The notebooks of the documentation run as they stand, and their stored outputs are those of a run."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".venvs" / "notebook" / "bin" / "python"
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
MACHINE = re.compile(r"/tmp\b|/home/|/root\b|/Users/|[A-Z]:\\\\|" + re.escape(str(ROOT)))
"""Places of the machine on which somebody ran a notebook."""


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request: pytest.FixtureRequest) -> Path:
    """One notebook after the other."""
    return Path(request.param)


@pytest.fixture(scope="module")
def run_python(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs the environment's python; embaudit and what it needs are those that the tests run with."""
    if not PYTHON.exists():
        pytest.fail("no environment notebook; run: python tests/interop/make_environments.py")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
        "PYTHONNOUSERSITE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }

    def run(*arguments: str, folder: Path) -> str:
        ran = subprocess.run(
            [str(PYTHON), *arguments],
            cwd=folder,
            env=variables,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


@pytest.fixture(scope="module")
def executed(
    notebook: Path, run_python: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Any]:
    """The same, executed in an empty folder."""
    folder = tmp_path_factory.mktemp("work")
    document: Mapping[str, Any] = json.loads(
        run_python(str(HERE / "run_notebook.py"), str(notebook), folder=folder)
    )
    return document


def outputs(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Every cell of code with what it gave."""
    return (
        ("".join(cell["source"]), cell["outputs"])
        for cell in document["cells"]
        if cell["cell_type"] == "code"
    )


def kinds(document: Mapping[str, Any]) -> list[list[tuple[str, list[str], list[str]]]]:
    """Of each cell, the kinds of its outputs with their forms, and the rules and outcomes that they name."""
    return [
        [
            (output["output_type"], sorted(output.get("data", ())), named(json.dumps(output)))
            for output in given
        ]
        for _, given in outputs(document)
    ]


def named(text: str) -> list[str]:
    """The rules and outcomes in a text."""
    return sorted(set(re.findall(r"EMB[0-9]{3}|\b(?:corrupt|faithful|refused|incomplete)\b", text)))


def test_a_notebook_runs_and_its_stored_outputs_are_those_of_a_run(
    notebook: Path, executed: Mapping[str, Any], request: pytest.FixtureRequest
) -> None:
    """No cell fails, and each gives what is stored: in kind, with the same findings and outcomes."""
    if request.config.getoption("--update-pages"):
        notebook.write_text(json.dumps(executed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    stored = json.loads(notebook.read_text(encoding="utf-8"))

    assert [source for source, _ in outputs(stored)] == [source for source, _ in outputs(executed)]
    assert not [
        given for _, given in outputs(executed) if any(each["output_type"] == "error" for each in given)
    ]
    assert kinds(stored) == kinds(executed), f"run: pytest -m interop {__file__} --update-pages"


def test_values_show_themselves(executed: Mapping[str, Any]) -> None:
    """Reports, predictions and maps of embaudit give HTML of their own, and tables are pandas'."""
    shown = {source: given for source, given in outputs(executed) if given}
    html = {
        source.splitlines()[-1]: "".join(output["data"]["text/html"])
        for source, (output, *_) in shown.items()
        if "text/html" in output.get("data", ())
    }

    for last in ("report", 'report.load("tei")'):
        assert html[last].startswith('<div class="embaudit">')
    for call in ("embaudit.map_tensors", "embaudit.diff_snapshots"):
        assert any(line.startswith(call) for line in html)
    assert sum('class="dataframe"' in piece for piece in html.values()) == 2
    assert not [line for line, piece in html.items() if "<script" in piece]


FRAMES = """
import json
from embaudit.demo import run_demo
from embaudit import compare_embeddings
from embaudit.testing.reports import make_report

report = run_demo().report
values = {
    "findings": report,
    "nothing": make_report(),
    "tensors": next(iter(report.checkpoints.values())),
    "pairs": report.diff.tensors[0],
    "loads": report.loads[0],
    "vectors": compare_embeddings([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]),
}
frames = {name: value.to_frame() for name, value in values.items()}
told = {name: [list(frame.shape), list(frame.columns)] for name, frame in frames.items()}
tensors = frames["tensors"]
told["sum"] = int(tensors["n_bytes"].sum()), values["tensors"].n_bytes
told["worst"] = [frames["findings"]["code"][0], report.findings[0].code]
told["identical"] = [int((frames["pairs"]["values"] == "identical").sum()), len(values["pairs"].pairs)]
told["distance"] = float(frames["vectors"]["l2"].max())
print(json.dumps(told))
"""


def test_values_are_tables_of_pandas(run_python: Callable[..., str], tmp_path: Path) -> None:
    """Each value gives a frame with a row for each of its parts, and columns even where it has none."""
    told = json.loads(run_python("-c", FRAMES, folder=tmp_path).splitlines()[-1])

    assert told["sum"][0] == told["sum"][1]
    assert told["worst"][0] == told["worst"][1]
    assert told["identical"][0] == told["identical"][1] > 0
    assert told["distance"] == 0
    assert told["nothing"][0][0] == 0
    assert told["nothing"][1] == told["findings"][1]
    assert told["loads"][0][0] == 2
    assert told["vectors"][0] == [2, 6]


def test_nothing_of_a_machine_is_stored(notebook: Path) -> None:
    """Stored outputs name no folder of whoever ran them, and no notebook is larger than a picture."""
    text = notebook.read_text(encoding="utf-8")

    assert MACHINE.findall(text) == []
    assert len(text) < 500_000


def test_the_environment_is_that_of_the_tests(run_python: Callable[..., str], tmp_path: Path) -> None:
    """Both pythons are of one version, so that one may take the packages of the other."""
    assert run_python("-c", "import sys; print(sys.version)", folder=tmp_path).strip() == sys.version
