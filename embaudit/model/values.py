"""What a tensor's values hold that no healthy weight does: NaN, infinities, numbers beyond float16."""

import attrs


@attrs.frozen(kw_only=True)
class ValueScan:
    """How many elements of one tensor are not finite, and where the first ones are.

    A complex element is NaN if either part is, and infinite if either part is and neither is NaN. Integers,
    and the packed and quantised types whose numbers the file alone does not tell, hold neither.

    Attributes:
        name: The tensor.
        n_nan: Elements that are NaN.
        n_inf: Elements that are infinite, of either sign.
        n_negative_inf: Those of `n_inf` that are minus infinity, as attention masks hold on purpose. For
            complex elements, those with a part that is minus infinity.
        n_beyond_float16: Elements that are finite, and that float16 rounds to infinity: of a magnitude of
            65,520 or more. A complex element counts if either part does.
        first_nan: Index of the first NaN in C order, or None.
        first_inf: Index of the first infinity in C order, or None.
    """

    name: str
    n_nan: int = 0
    n_inf: int = 0
    n_negative_inf: int = 0
    n_beyond_float16: int = 0
    first_nan: tuple[int, ...] | None = None
    first_inf: tuple[int, ...] | None = None

    @property
    def is_finite(self) -> bool:
        """Whether every element is a finite number."""
        return self.n_nan == 0 and self.n_inf == 0
