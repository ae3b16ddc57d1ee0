"""Vectors that people have: compared, asked for, and explained.

    expected, observed --compare_embeddings--> EmbeddingComparison    how they lie to one another
    a backend          --probe---------------> Probe                  what it makes of a fixed set of texts

This stage knows vectors, and the backends that make them. numpy comes in when it is first used, and torch and
transformers never do, except where a diagnosis runs a model.
"""

from typing import Any

from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.limits import DEFAULT_LIMITS, Limits

__all__ = ["compare_embeddings"]


def compare_embeddings(
    expected: Any, observed: Any, *, limits: Limits = DEFAULT_LIMITS
) -> EmbeddingComparison:
    """How two sets of vectors of the same texts lie to one another; see `embaudit.embeddings.comparing`.

    Args:
        expected: The vectors as they should be: a numpy array or torch tensor of shape `(rows, dimension)`,
            nested lists, a list of vectors, or the path of a file (`.npy`, `.npz` of one array,
            `.safetensors` of one tensor, `.json`, `.jsonl`). A single vector is one row.
        observed: The vectors to hold against them, likewise.
        limits: `json_bytes` bounds a JSON file.

    Raises:
        UsageError: If the arguments are no vectors, hold NaN, infinities or rows of zeros, or do not have
            the same number of rows.
        FormatError: The same of a file; says where.
        TargetError: If a file does not exist.
        LimitError: If a file is larger than its limit.
    """
    from embaudit.embeddings.comparing import compare  # noqa: PLC0415 - numpy on demand only

    return compare(expected, observed, limits)
