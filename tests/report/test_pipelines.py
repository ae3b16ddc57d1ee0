"""A pipeline as text: every field that is known is told, and nothing that a repository chose is obeyed."""

import pytest

from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.report.pipelines import pipeline_lines

UNKNOWN = EmbeddingPipeline(
    pooling=None, normalize=None, max_seq_length=None, lowercase=None, dimension=None, notes=("Why not.",)
)
KNOWN = EmbeddingPipeline(
    pooling=(PoolingMode.CLS, PoolingMode.MEAN),
    include_prompt=False,
    normalize=False,
    dense=(
        DenseLayer(path="2_Dense", in_features=4, out_features=1024, bias=True, activation="torch.nn.Tanh"),
    ),
    max_seq_length=2048,
    truncates=True,
    lowercase=True,
    prompts={"\x1b[2J": "x", **{f"p{number}": "y" for number in range(9)}},
    dimension=1024,
)
TOKENS = EmbeddingPipeline(
    pooling=(),
    normalize=False,
    max_seq_length=512,
    truncates=False,
    lowercase=False,
    dimension=4,
    prompts={"q": "query: "},
    default_prompt="q",
)


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [
        (
            UNKNOWN,
            "  text to vector: how it pools is not known; vectors of a length that is not known.\n  Why not.",
        ),
        (
            KNOWN,
            (
                "  text to vector: pooled by cls and mean, the prompt left out; then Dense 2_Dense with Tanh;"
                " vectors of 1,024 components, of any length; texts end at 2,048 tokens, longer ones are cut;"
                " texts are lowercased; prompts by name: \\x1b[2J, p0, p1, p2, p3, ...."
            ),
        ),
        (
            TOKENS,
            (
                "  text to vector: a vector for each token; texts end at 512 tokens, longer ones are refused;"
                " texts are taken as they are; the prompt 'q' is put before every text."
            ),
        ),
    ],
    ids=["unknown", "known", "tokens"],
)
def test_what_is_known_of_a_pipeline_is_told(pipeline: EmbeddingPipeline, told: str) -> None:
    """Each field has its words, and what is not known is said or left out."""
    lines = list(pipeline_lines(pipeline))

    assert " ".join(" ".join(lines).split()) == " ".join(told.split())
    assert all(line.startswith("  ") and line.isprintable() for line in lines)
