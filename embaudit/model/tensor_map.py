"""Which tensor of one checkpoint is which of another, and whether their values agree."""

import enum

import attrs

from embaudit.errors import UsageError
from embaudit.model.dtypes import DType
from embaudit.model.shown import Tabular


class Depth(str, enum.Enum):
    """How much of the tensor data an audit may read."""

    HEADERS = "headers"
    """No byte of tensor data."""
    SAMPLED = "sampled"
    """A few KiB of each tensor."""
    FULL = "full"
    """All of it."""

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, word: "str | Depth") -> "Depth":
        """The depth of that name.

        Raises:
            UsageError: If there is no depth of that name.
        """
        try:
            return cls(word)
        except ValueError:
            raise UsageError(f"{word!r} is not a depth; use one of {', '.join(cls)}") from None


class Agreement(str, enum.Enum):
    """How the values of two tensors compare.

    The `in-sample` verdict is what `Depth.SAMPLED` can say: nothing that was looked at differs. The
    `by-checksum` verdict needs no look at values at all.
    """

    NOT_COMPARED = "not-compared"
    IDENTICAL = "identical"
    """The same dtype and the same bits, NaN payloads and signs of zero included."""
    IDENTICAL_AFTER_CAST = "identical-after-cast"
    """One side is exactly the other, rounded: to its narrower dtype or, if both have one dtype, to a narrower
    one and back."""
    CLOSE = "close"
    """No element differs by more than the tolerance stated in `embaudit.values`."""
    DIFFERENT = "different"
    """Anything else; or, where values were not looked at, other checksums of two whole storages."""
    IDENTICAL_IN_SAMPLE = "identical-in-sample"
    IDENTICAL_BY_CHECKSUM = "identical-by-checksum"
    """Both storages have one size and one CRC-32 by their files' directories: proof against accidents, not
    against intent."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class Comparison:
    """How the values of two tensors compare.

    Attributes:
        values: The verdict; `not-compared` when the shapes differ, and at depth `headers` without checksums.
        cast: The cast that makes the values identical, from the wider type to the narrower: `float32 ->
            float16`; for a round trip, all three types. None if no cast does, or none is needed.
        max_abs_diff: Largest absolute difference over elements that are finite on both sides, at most the
            largest float64; None if the values were not compared or are identical, or no such pair of
            elements exists. With one dtype only elements whose bits differ count. Complex numbers differ by
            their parts.
        max_rel_diff: Largest `|left - right| / max(|left|, |right|)` over the same elements, or None.
        first_difference: Index of the first element, in C order, whose bits (after the cast, if any) differ.
        n_different: How many elements differ in that sense; None where nobody looked at values.
    """

    values: Agreement = Agreement.NOT_COMPARED
    cast: str | None = None
    max_abs_diff: float | None = None
    max_rel_diff: float | None = None
    first_difference: tuple[int, ...] | None = None
    n_different: int | None = None


@attrs.frozen(kw_only=True)
class TensorPair(Comparison):
    """Two tensors, one of each checkpoint, that stand for the same parameter, and how they compare.

    Attributes:
        left: Name on the left.
        right: Name on the right.
        renamed_by: None if the names are equal; else the rules that turn one into the other, joined by ` + `.
        left_dtype: Stored type on the left.
        right_dtype: Stored type on the right.
        left_shape: Shape on the left.
        right_shape: Shape on the right.
    """

    left: str
    right: str
    renamed_by: str | None = None
    left_dtype: DType
    right_dtype: DType
    left_shape: tuple[int, ...]
    right_shape: tuple[int, ...]


@attrs.frozen(kw_only=True)
class TiedName:
    """A name that only one checkpoint holds, because the other wrote its storage once under another name.

    Attributes:
        name: The name without a partner.
        tied_to: A name of the same checkpoint with the same elements, which has a partner.
        side: `left` or `right`, the checkpoint that holds both.
    """

    name: str
    tied_to: str
    side: str


@attrs.frozen(kw_only=True)
class TensorMap(Tabular):
    """The pairs of two checkpoints, and what has no partner. Every name is in exactly one place.

    Attributes:
        left: Name of the left checkpoint.
        right: Name of the right checkpoint.
        depth: What was read to compare values.
        pairs: One for each tensor that has a partner, in the order of the left checkpoint.
        only_left: Names without a partner on the right, tied ones left out, sorted.
        only_right: Names without a partner on the left, tied ones left out, sorted.
        tied: Names without a partner that are explained by a tie.
    """

    left: str
    right: str
    depth: Depth
    pairs: tuple[TensorPair, ...]
    only_left: tuple[str, ...] = ()
    only_right: tuple[str, ...] = ()
    tied: tuple[TiedName, ...] = ()

    @property
    def renamed(self) -> tuple[TensorPair, ...]:
        """Pairs whose names differ."""
        return tuple(pair for pair in self.pairs if pair.renamed_by is not None)

    @property
    def recast(self) -> tuple[TensorPair, ...]:
        """Pairs whose dtypes differ."""
        return tuple(pair for pair in self.pairs if pair.left_dtype != pair.right_dtype)

    @property
    def reshaped(self) -> tuple[TensorPair, ...]:
        """Pairs whose shapes differ."""
        return tuple(pair for pair in self.pairs if pair.left_shape != pair.right_shape)

    @property
    def tells_values(self) -> bool:
        """Whether anything is known of the values of any pair."""
        return any(pair.values is not Agreement.NOT_COMPARED for pair in self.pairs)

    @property
    def changed(self) -> tuple[TensorPair, ...]:
        """Pairs whose values are known to differ: close or different, by a look at them or by checksums."""
        return tuple(pair for pair in self.pairs if pair.values in {Agreement.CLOSE, Agreement.DIFFERENT})

    @property
    def rounded(self) -> tuple[TensorPair, ...]:
        """Pairs of one dtype, one side of which went through a narrower type and back."""
        return tuple(
            pair for pair in self.pairs if pair.cast is not None and pair.left_dtype == pair.right_dtype
        )

    @property
    def same_pairs(self) -> bool:
        """Whether the tensors that both hold are the same, as `same_model` has it."""
        return not any((self.renamed, self.recast, self.reshaped, self.changed, self.rounded))

    @property
    def same_model(self) -> bool:
        """Whether names, dtypes, shapes and, as far as they were compared, values are the same."""
        return self.same_pairs and not self.only_left and not self.only_right
