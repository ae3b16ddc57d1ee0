"""The notebooks of the documentation run as they stand, and their stored outputs are those of a run."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
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
def executed(notebook: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The same, executed in an empty folder: embaudit and what it needs are those that the tests run with."""
    if not PYTHON.exists():
        pytest.fail("no environment notebook; run: python tests/interop/make_environments.py")
    folder = tmp_path_factory.mktemp("work")
    ran = subprocess.run(
        [str(PYTHON), str(HERE / "run_notebook.py"), str(notebook)],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path_factory.mktemp("home")),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
            "PYTHONNOUSERSITE": "1",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        },
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    document: Mapping[str, Any] = json.loads(ran.stdout)
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


def test_nothing_of_a_machine_is_stored(notebook: Path) -> None:
    """Stored outputs name no folder of whoever ran them, and no notebook is larger than a picture."""
    text = notebook.read_text(encoding="utf-8")

    assert MACHINE.findall(text) == []
    assert len(text) < 500_000


def test_the_environment_is_that_of_the_tests() -> None:
    """Both pythons are of one version, so that one may take the packages of the other."""
    ran = subprocess.run(
        [str(PYTHON), "-c", "import sys; print(sys.version)"], capture_output=True, text=True, check=True
    )

    assert ran.stdout.strip() == sys.version
