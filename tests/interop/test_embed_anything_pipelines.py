"""What embed_anything makes of a text with the real MiniLM, whatever its small files say, held against it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from embaudit import predict_load
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode

pytestmark = pytest.mark.interop

Embed = Callable[[Path], np.ndarray]
NewSnapshot = Callable[[Callable[[Path], object]], Path]
VERSIONS = {"candle_before": "embed_anything==0.4.12", "candle_after": "embed_anything==0.7.1"}
SAME = 1e-5
"""L2 between vectors of length 1 that differ by rounding alone."""


def changed(path: str, **fields: Any) -> Callable[[Path], None]:
    """Set fields of a document."""

    def edit(folder: Path) -> None:
        document = json.loads((folder / path).read_text(encoding="utf-8"))
        (folder / path).write_text(json.dumps(document | fields), encoding="utf-8")

    return edit


def few_positions(folder: Path) -> None:
    """A table of 8 positions, so that all but the shortest texts end early."""
    changed("config.json", max_position_embeddings=8)(folder)
    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.position_embeddings.weight"
    kept = {each: tensor for each, tensor in tensors.items() if tensor.is_floating_point()}
    (folder / "model.safetensors").unlink()
    save_file({**kept, name: kept[name][:8].clone()}, folder / "model.safetensors", metadata={"format": "pt"})


def no_normalize(folder: Path) -> None:
    """`modules.json` without its Normalize."""
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    (folder / "modules.json").write_text(json.dumps(modules[:-1]), encoding="utf-8")


def linked(minilm: Path, edit: Callable[[Path], None]) -> Callable[[Path], None]:
    """Put the real weights beside the settings, then edit."""

    def save(folder: Path) -> None:
        os.link(minilm / "model.safetensors", folder / "model.safetensors")
        edit(folder)

    return save


IGNORED = {
    "another pooling": changed(
        "1_Pooling/config.json", pooling_mode_cls_token=True, pooling_mode_mean_tokens=False
    ),
    "no Normalize": no_normalize,
    "another length": changed("sentence_bert_config.json", max_seq_length=8),
    "a cased tokenizer by its settings": changed("tokenizer_config.json", do_lower_case=False),
    "prompts": changed(
        "config_sentence_transformers.json", prompts={"q": "query: "}, default_prompt_name="q"
    ),
}


@pytest.fixture(scope="module")
def plain(minilm: Path, new_snapshot: NewSnapshot, sentence_transformers: Embed) -> np.ndarray:
    """Vectors of sentence-transformers with the repository as it is."""
    return sentence_transformers(new_snapshot(linked(minilm, lambda _folder: None)))


@pytest.mark.parametrize("environment", VERSIONS)
@pytest.mark.parametrize("name", IGNORED)
def test_the_small_files_are_not_looked_at(
    environment: str,
    name: str,
    minilm: Path,
    new_snapshot: NewSnapshot,
    plain: np.ndarray,
    request: pytest.FixtureRequest,
) -> None:
    """The vectors stay those of the mean, normalised, as predicted for either release."""
    folder = new_snapshot(linked(minilm, IGNORED[name]))
    observed = request.getfixturevalue(environment)(folder)
    pipeline = predicted(folder, environment)

    assert (pipeline.pooling, pipeline.normalize, pipeline.default_prompt) == (
        (PoolingMode.MEAN,),
        True,
        None,
    )
    assert np.linalg.norm(observed - plain, axis=1).max() < SAME


@pytest.mark.parametrize("environment", VERSIONS)
def test_texts_end_where_the_positions_do(
    environment: str,
    minilm: Path,
    new_snapshot: NewSnapshot,
    sentence_transformers: Embed,
    request: pytest.FixtureRequest,
) -> None:
    """A model with 8 positions takes 8 tokens, as sentence-transformers does when it is told so."""
    folder = new_snapshot(linked(minilm, few_positions))
    observed = request.getfixturevalue(environment)(folder)
    told = new_snapshot(linked(minilm, changed("sentence_bert_config.json", max_seq_length=8)))

    assert predicted(folder, environment).max_seq_length == 8
    assert np.linalg.norm(observed - sentence_transformers(told), axis=1).max() < SAME


def predicted(folder: Path, environment: str) -> EmbeddingPipeline:
    """The pipeline of the release of an environment."""
    pipeline = predict_load(folder, VERSIONS[environment]).pipeline
    assert pipeline is not None
    return pipeline
