"""Diagnoses held against programs that really make the mistakes, with the real weights of MiniLM.

candle's mistakes are those of two versions of embed_anything. All others are made by `embed_with_faults.py`
with sentence-transformers and transformers, in an environment without embaudit.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from embaudit.embeddings.diagnosing import diagnose
from embaudit.model.diagnosis import Diagnosis, Verdict
from embaudit.testing.repositories import flat, save_torch

pytestmark = pytest.mark.interop

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
COMMIT = "0" * 40
SHORT = (
    "hello world",
    "The cat sat on the mat.",
    "Where does the rain in Spain fall?",
    "Vectors came out wrong, and nothing said so: the loader skipped bytes where it should skip elements.",
    "PARIS is the Capital of France",
    "Der schnelle braune Fuchs springt",
)
LONG = (SHORT[0], SHORT[4], "One sentence after the other about Rome and its seven hills. " * 24)
CANDLE_TEXTS = (SHORT[0], SHORT[1], SHORT[3])
"""Those that the fixtures for candle embed."""
NEW_FOLDER = Callable[[Callable[[Path], object]], Path]

FAULTS = {
    "not_normalized": {"not-normalized"},
    "mean_sqrt_not_normalized": {"not-normalized + pooling:mean_sqrt_len_tokens"},
    "cls_not_normalized": {"not-normalized + pooling:cls"},
    "pool_cls": {"pooling:cls"},
    "pool_max": {"pooling:max"},
    "pool_weightedmean": {"pooling:weightedmean"},
    "pool_lasttoken": {"pooling:lasttoken"},
    "padding_pooled": {"padding-pooled:batch-6"},
    "padding_attended": {"padding-attended:batch-6"},
    "padding_everywhere": {"padding-attended-and-pooled:batch-6"},
    "not_lowercased": {"not-lowercased"},
    "cls_cased": {"pooling:cls + not-lowercased"},
    "no_special_tokens": {"special-tokens-missing"},
    "first_token_without_special": {"pooling:cls + special-tokens-missing"},
    "act_gelu_new": {"activation:gelu_new"},
    "act_quick_gelu": {"activation:quick_gelu"},
    "act_relu": {"activation:relu"},
    "float16": {"computed-in:float16"},
    "bfloat16": {"computed-in:bfloat16"},
    "stored_in_float16": {"stored-in:float16"},
    "layer_2_dropped": {"layer-skipped:2"},
    "last_layer_dropped": {"layer-skipped:5"},
    "norms_unread": {"unread:layer-norms"},
    "embedding_norm_unread": {"unread:embedding-norm"},
    "biases_unread": {"unread:biases"},
    "positions_unread": {"unread:positions"},
    "segments_unread": {"unread:segments"},
    "permuted": {"rows-permuted"},
    "max_permuted": {"pooling:max + rows-permuted"},
    "cut_to_256": {"cut-to:256"},
    "cut_and_normalized": {"cut-before-normalizing:256"},
    "quick_gelu_and_layer_dropped": {"activation:quick_gelu + layer-skipped:3"},
}
"""What is done wrong to MiniLM, and the one name of the cause."""
LONG_FAULTS = {"cut_at_128": {"cut-at:128"}, "cut_at_512": {"cut-at:512", "not-cut"}}
"""Of texts so long that it shows. That MiniLM ends at 512 tokens all the same, no vector tells apart."""
RICH_FAULTS = {
    "dense_skipped": {"dense-skipped"},
    "dense_without_activation": {"dense-activation-skipped"},
    "prompt_skipped": {"prompt-skipped"},
    "other_prompt": {"prompt-added:passage"},
    "prompt_and_dense_skipped": {"dense-skipped + prompt-skipped"},
}
"""Of a repository that has a Dense and prompts."""
CONTROLS = ("normal", "one_by_one", "by_hand", "in_float64", "six_digits")
OUTSIDE = ("shuffled_components", "last_layer_random", "other_model", "words_mixed")
"""Faults that no hypothesis stands for."""


@pytest.fixture(scope="module")
def plain(new_snapshot: NEW_FOLDER, minilm: Path) -> Path:
    """MiniLM as it is."""
    return new_snapshot(lambda folder: shutil.copy(minilm / "model.safetensors", folder))


@pytest.fixture(scope="module")
def rich(new_snapshot: NEW_FOLDER, minilm: Path) -> Path:
    """MiniLM with a Dense and two prompts."""

    def save(folder: Path) -> None:
        shutil.copy(minilm / "model.safetensors", folder)
        write(folder / "config_sentence_transformers.json", PROMPTS)
        write(folder / "2_Dense/config.json", DENSE)
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        dense = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
        write(folder / "modules.json", [*modules[:2], dense, {**modules[2], "idx": 3, "name": "3"}])
        generator = torch.Generator().manual_seed(0)
        weights = {"linear.weight": torch.randn(384, 384, generator=generator) / 5}
        weights["linear.bias"] = torch.randn(384, generator=generator) / 5
        save_file(weights, folder / "2_Dense/model.safetensors")

    return new_snapshot(save)


PROMPTS = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
DENSE = {
    "in_features": 384,
    "out_features": 384,
    "bias": True,
    "activation_function": "torch.nn.modules.activation.Tanh",
}


def write(path: Path, document: object) -> None:
    """Write JSON, and the folder for it."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def faulty(
    folder: Path, texts: tuple[str, ...], names: Iterator[str] | tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Fault to vectors, made where embaudit is not installed."""
    output = folder.parents[3] / f"faults-{len(texts)}.npz"
    python = ENVIRONMENTS / "sentence-transformers/bin/python"
    subprocess.run(
        [str(python), str(HERE / "embed_with_faults.py"), str(folder), str(output), *names],
        input=json.dumps(texts),
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parents[3]), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return dict(np.load(output))


@pytest.fixture(scope="module")
def vectors(plain: Path) -> dict[str, np.ndarray]:
    """Fault to the vectors of the short texts."""
    return faulty(plain, SHORT, (*FAULTS, *CONTROLS, *OUTSIDE))


@pytest.fixture(scope="module")
def long_vectors(plain: Path) -> dict[str, np.ndarray]:
    """Fault to the vectors of the long texts."""
    return faulty(plain, LONG, tuple(LONG_FAULTS))


@pytest.fixture(scope="module")
def rich_vectors(rich: Path) -> dict[str, np.ndarray]:
    """Fault to the vectors of the repository with a Dense and prompts."""
    return faulty(rich, SHORT, ("normal", *RICH_FAULTS))


def check_cause(diagnosis: Diagnosis, expected: set[str]) -> None:
    """The cause is this one, reproduces the vectors, and is ahead of all that do not give the same ones."""
    assert diagnosis.verdict is Verdict.EXPLAINED, diagnosis.ranked[:3]
    assert diagnosis.cause is not None
    assert {frozenset(name.split(" + ")) for name in diagnosis.cause.names} == {
        frozenset(name.split(" + ")) for name in expected
    }
    assert all(each.cosine is not None and each.cosine >= 0.9999 for each in diagnosis.cause.hypotheses)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault: str, plain: Path, vectors: Mapping[str, np.ndarray]) -> None:
    """The one thing, or the two, that were done otherwise are the cause, and nothing else is."""
    diagnosis = diagnose(plain, vectors[fault], texts=SHORT)

    check_cause(diagnosis, FAULTS[fault])


@pytest.mark.parametrize("fault", LONG_FAULTS)
def test_another_length_is_named(fault: str, plain: Path, long_vectors: Mapping[str, np.ndarray]) -> None:
    """Texts cut elsewhere; lengths that no text tells apart are told together."""
    diagnosis = diagnose(plain, long_vectors[fault], texts=LONG)

    check_cause(diagnosis, LONG_FAULTS[fault])


@pytest.mark.parametrize("fault", RICH_FAULTS)
def test_a_skipped_module_or_prompt_is_named(
    fault: str, rich: Path, rich_vectors: Mapping[str, np.ndarray]
) -> None:
    """What loaders leave out of a repository with a Dense and prompts."""
    diagnosis = diagnose(rich, rich_vectors[fault], texts=SHORT)

    check_cause(diagnosis, RICH_FAULTS[fault])


@pytest.mark.parametrize("control", CONTROLS)
def test_vectors_without_a_fault_are_not_blamed(
    control: str, plain: Path, vectors: Mapping[str, np.ndarray]
) -> None:
    """Other batches, another kernel, another precision and other digits are no fault."""
    diagnosis = diagnose(plain, vectors[control], texts=SHORT)

    assert diagnosis.verdict is Verdict.AGREES
    assert diagnosis.cause is None


def test_a_repository_with_modules_and_prompts_agrees(
    rich: Path, rich_vectors: Mapping[str, np.ndarray]
) -> None:
    """The reference applies the Dense and the default prompt."""
    diagnosis = diagnose(rich, rich_vectors["normal"], texts=SHORT)

    assert diagnosis.verdict is Verdict.AGREES


@pytest.mark.parametrize("fault", OUTSIDE)
def test_a_fault_outside_the_list_is_blamed_on_nothing(
    fault: str, plain: Path, vectors: Mapping[str, np.ndarray]
) -> None:
    """Random tensors and another model are not reproduced, and no cause is made up for them."""
    diagnosis = diagnose(plain, vectors[fault], texts=SHORT)

    assert diagnosis.verdict is Verdict.UNEXPLAINED
    assert diagnosis.cause is None


@pytest.fixture(scope="module")
def in_one_storage(new_snapshot: NEW_FOLDER, weights: Mapping[str, Tensor]) -> Path:
    """MiniLM in a `.bin` whose tensors are views into one storage."""
    return new_snapshot(lambda folder: save_torch(flat(weights), folder / "pytorch_model.bin"))


BATCHED = """
import json, sys
sys.path.insert(0, {here!r})
import embed_anything, embed_with_candle
from pathlib import Path
folder = Path(sys.argv[1])
model = embed_with_candle._load("embaudit/interop", commit=folder.name)
print(json.dumps([each.embedding for each in embed_anything.embed_query(json.load(sys.stdin), model)]))
"""


def batched_by_candle(folder: Path, texts: tuple[str, ...], environment: str) -> list[list[float]]:
    """Vectors of embed_anything for texts that it gets at once."""
    home = str(folder.parents[3])
    ran = subprocess.run(
        [str(ENVIRONMENTS / environment / "bin/python"), "-c", BATCHED.format(here=str(HERE)), str(folder)],
        input=json.dumps(texts),
        env={
            "PATH": os.environ["PATH"],
            "HOME": home,
            "HF_HOME": home,
            "HF_HUB_OFFLINE": "1",
            "HF_ENDPOINT": "http://127.0.0.1:9",
        },
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    found: list[list[float]] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("loader", [None, "embed_anything==0.4.12"])
def test_the_incident_is_named(
    loader: str | None, in_one_storage: Path, candle_before: Callable[[Path], np.ndarray]
) -> None:
    """Vectors of the real embed_anything 0.4.12, one text a batch: storage offsets taken as bytes."""
    observed = candle_before(in_one_storage)

    diagnosis = diagnose(in_one_storage, observed, texts=CANDLE_TEXTS, loader=loader)

    check_cause(diagnosis, {"storage-offset-in-bytes"})
    same = {"storage-offset-in-bytes", f"as-predicted:{loader}"}
    others = [each for each in diagnosis.ranked if same.isdisjoint(each.causes)]
    assert min(each.distance for each in others if each.distance is not None) > 0.5
    assert diagnosis.declared.cosine is not None
    assert diagnosis.declared.cosine < 0.1


def test_the_repaired_version_agrees(
    in_one_storage: Path, candle_after: Callable[[Path], np.ndarray]
) -> None:
    """Vectors of the real embed_anything 0.7.1 of the same file are those that are declared."""
    diagnosis = diagnose(
        in_one_storage, candle_after(in_one_storage), texts=CANDLE_TEXTS, loader="embed_anything==0.7.1"
    )

    assert diagnosis.verdict is Verdict.AGREES


@pytest.mark.parametrize("count", [2, 6])
def test_padding_that_is_pooled_is_named(count: int, plain: Path) -> None:
    """embed_anything 0.4.12 attends to the padding of a batch and averages over it."""
    texts = SHORT[:count]

    diagnosis = diagnose(plain, batched_by_candle(plain, texts, "candle-before"), texts=texts)

    check_cause(diagnosis, {f"padding-attended-and-pooled:batch-{count}"})


def test_a_batch_of_the_repaired_version_agrees(plain: Path) -> None:
    """embed_anything 0.7.1 does neither."""
    diagnosis = diagnose(plain, batched_by_candle(plain, SHORT, "candle-after"), texts=SHORT)

    assert diagnosis.verdict is Verdict.AGREES


def test_another_weight_file_is_named(
    new_snapshot: NEW_FOLDER, minilm: Path, weights: Mapping[str, Tensor], plain: Path
) -> None:
    """Vectors of a `.bin` that holds an older training, while loaders open the safetensors beside it."""
    generator = torch.Generator().manual_seed(4)
    older = {
        name: each + 0.02 * torch.randn(each.shape, generator=generator) for name, each in weights.items()
    }

    def save(folder: Path) -> None:
        shutil.copy(minilm / "model.safetensors", folder)
        save_torch(older, folder / "pytorch_model.bin")

    both = new_snapshot(save)
    only_old = new_snapshot(lambda folder: save_torch(older, folder / "pytorch_model.bin"))
    observed = faulty(only_old, SHORT, ("normal",))["normal"]

    check_cause(diagnose(both, observed, texts=SHORT), {"weights:pytorch_model.bin"})
    named = diagnose(plain, observed, texts=SHORT, against=only_old)
    check_cause(named, {f"commit:{COMMIT[:12]}"})
