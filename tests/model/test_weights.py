"""Weights: which file a loader opens first is told from the listing alone."""

from itertools import combinations

import pytest

from embaudit.model.weights import WEIGHTS_IN_ORDER, preferred_weights


def test_the_order_is_that_of_transformers() -> None:
    """Of any of its weight files, transformers opens safetensors before torch, one file before shards."""
    for n_files in range(1, len(WEIGHTS_IN_ORDER) + 1):
        for files in combinations(WEIGHTS_IN_ORDER, n_files):
            assert preferred_weights(["config.json", *reversed(files)]) == files[0]


@pytest.mark.parametrize(
    ("paths", "folder", "expected"),
    [
        ([], "", None),
        (["model.fp16.safetensors", "pytorch_model.bin.bak", "model.onnx"], "", None),
        (["sub/model.safetensors"], "", None),
        (["2_Dense/pytorch_model.bin", "model.safetensors"], "2_Dense", "2_Dense/pytorch_model.bin"),
        (["2_Dense/model.safetensors", "pytorch_model.bin"], "", "pytorch_model.bin"),
    ],
    ids=["nothing", "other names", "other folder", "a module", "the root"],
)
def test_only_the_folder_asked_for_counts(paths: list[str], folder: str, expected: str | None) -> None:
    """Variants, copies and other folders are not what a loader opens by itself."""
    assert preferred_weights(paths, folder) == expected
