"""How a loader makes a vector of a text, apart from the weights: from tokens to what a caller gets.

Knows the steps by the words of sentence-transformers, whose files declare them. Refuses to know which
program takes them, and why.
"""

import enum
from collections.abc import Mapping

import attrs

from embaudit.model.frozen import FrozenMapping, frozen_mapping


class PoolingMode(str, enum.Enum):
    """How the vectors of tokens become the vector of a text."""

    CLS = "cls"
    """That of the first token."""
    MAX = "max"
    """The greatest value of every component."""
    MEAN = "mean"
    """The mean over the tokens."""
    MEAN_SQRT_LEN = "mean_sqrt_len_tokens"
    """The sum over the tokens, divided by the square root of their number."""
    WEIGHTED_MEAN = "weightedmean"
    """The mean, each token weighted by its position, from 1 on."""
    LAST_TOKEN = "lasttoken"  # noqa: S105 - the name of a mode, not a secret
    """That of the last token that is not padding."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class DenseLayer:
    """A linear layer and its activation, applied to a vector.

    Attributes:
        path: Folder inside the repository that holds it.
        in_features: Components of the vectors that it takes, or None if that is not known.
        out_features: Components of those that it gives.
        bias: Whether it adds a bias.
        activation: Dotted name of the torch class that is applied last; empty for the identity.
        residual: Whether what it takes is added to what it gives.
    """

    path: str
    in_features: int | None
    out_features: int | None
    bias: bool
    activation: str
    residual: bool = False


@attrs.frozen(kw_only=True)
class EmbeddingPipeline:
    """From the tokens of a text to the vector that a caller gets.

    Attributes:
        pooling: How tokens become one vector; several modes are concatenated in this order. Empty if there is
            no pooling, and a text has a vector for each token. None if that is not known.
        include_prompt: Whether the tokens of the prompt are pooled with the others.
        normalize: Whether the vectors that leave have length 1, or None if that is not known.
        dense: Linear layers applied after pooling, in this order.
        max_seq_length: Tokens, special ones included, at which texts end; None if that is not known, or if
            they may have any length.
        truncates: Whether a longer text is cut, instead of refused; None if that is not known.
        lowercase: Whether texts are lowercased before they are tokenized, or None if that is not known.
        prompts: Name of a prompt to its text, for those that can be asked for by name and are not empty.
        default_prompt: Name of the one of them that is put before every text, or None if none is.
        dimension: Components of the vectors that leave, or None if that is not known.
        truncate_dim: Components that are kept of longer vectors, or None if all are.
        similarity: Name of the function by which vectors are meant to be compared (`cosine`), or None.
        padding_side: Where shorter texts of a batch are filled up, `left` or `right`, or None.
        modules: Names of the modules of sentence-transformers that are run, in order; empty if a loader has
            no such modules.
        failure: Why every text ends in an error, though the model may load, in one sentence; empty if none is
            known to.
        notes: What the fields cannot say, and why one of them is not known; one sentence each.
    """

    pooling: tuple[PoolingMode, ...] | None
    include_prompt: bool = True
    normalize: bool | None
    dense: tuple[DenseLayer, ...] = ()
    max_seq_length: int | None
    truncates: bool | None = None
    lowercase: bool | None
    prompts: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    default_prompt: str | None = None
    dimension: int | None
    truncate_dim: int | None = None
    similarity: str | None = None
    padding_side: str | None = None
    modules: tuple[str, ...] = ()
    failure: str = ""
    notes: tuple[str, ...] = ()
