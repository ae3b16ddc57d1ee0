"""Two sets of vectors, as people have them, compared.

`compare` takes arrays, tensors, lists and files; `compare_rows` takes two numpy arrays that were checked, and
is what the other modules of this package use.
"""

from typing import Any

from embaudit.embeddings.accepting import Accepted, accept, checked
from embaudit.embeddings.measuring import Matrix
from embaudit.embeddings.relating import relate
from embaudit.errors import UsageError
from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.limits import Limits
from embaudit.model.words import plural

__all__ = ["compare", "compare_rows"]


def compare(expected: Any, observed: Any, limits: Limits) -> EmbeddingComparison:
    """As `embaudit.embeddings.compare_embeddings`."""
    return _compared(accept(expected, "expected", limits), accept(observed, "observed", limits))


def compare_rows(expected: Matrix, observed: Matrix) -> EmbeddingComparison:
    """How the rows of two numpy arrays of shape `(rows, dimension)` lie to one another.

    Raises:
        UsageError: If an array is no such array of finite numbers, has a row of zeros, or if the arrays do
            not have the same number of rows.
    """
    return _compared(checked(expected, "expected"), checked(observed, "observed"))


def _compared(expected: Accepted, observed: Accepted) -> EmbeddingComparison:
    if len(expected.rows) != len(observed.rows):
        raise UsageError(
            f"{expected.name} has {plural(len(expected.rows), 'row')} and {observed.name} has "
            f"{len(observed.rows):,}; each needs one for each text"
        )
    return relate(expected.rows, observed.rows)
