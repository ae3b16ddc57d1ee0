"""Comparing tensors: verdicts against a slow oracle written with torch, and the reads that they take."""

import math
from collections.abc import Callable
from itertools import pairwise

import attrs
import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError, SourceError
from embaudit.model.dtypes import DType
from embaudit.model.limits import KIB, Limits
from embaudit.model.tensor_map import Agreement, Comparison, Depth
from embaudit.values import compare_many, compare_tensors

Store = Callable[..., tuple[object, object]]

SMALL = Limits(work_bytes=64 * KIB)
"""The least room there is, so that small tensors already take several blocks of 8 KiB."""

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
EIGHT_BIT = [
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint64]
COMPLEX = [torch.complex32, torch.complex64, torch.complex128]
EVERY = [*FLOATS, *EIGHT_BIT, *INTEGERS, *COMPLEX, torch.bool]
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def name_of(dtype: torch.dtype) -> str:
    """The name of a torch type as embaudit spells it."""
    return str(dtype).removeprefix("torch.")


def random_tensor(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Random bits for every type but bool, NaN and infinities among them."""
    generator = torch.Generator().manual_seed(seed)
    n_bytes = math.prod(shape) * dtype.itemsize
    content = torch.randint(0, 256, (max(n_bytes, 1),), dtype=torch.uint8, generator=generator)[:n_bytes]
    if dtype is torch.bool:
        return (content & 1).bool().reshape(shape)
    return content.view(dtype).reshape(shape)


def weights(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Numbers as trained weights are: normal, a twentieth wide."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) / 20).to(dtype)


def bits_of(tensor: torch.Tensor) -> torch.Tensor:
    """The elements' bits, one row an element."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).reshape(tensor.numel(), -1)


def flip_bit(tensor: torch.Tensor, element: int, bit: int) -> torch.Tensor:
    """A contiguous copy with one bit of one element flipped."""
    copy = tensor.contiguous().clone()
    raw = copy.reshape(-1).view(torch.uint8).reshape(tensor.numel(), -1)
    raw[element, bit // 8] ^= 1 << (bit % 8)
    return copy


def compare(left: tuple[object, object], right: tuple[object, object], **options: object) -> Comparison:
    """`compare_tensors` of two stored tensors."""
    return compare_tensors(*left, *right, **options)


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """The same logical values in another layout in memory."""
    match layout:
        case "transposed":
            return tensor.t().contiguous().t() if tensor.ndim == 2 else tensor
        case "offset":
            padded = torch.cat([tensor.reshape(-1)[:1], tensor.reshape(-1)])
            return padded[1:].reshape(tensor.shape)
        case "gapped":
            wide = torch.zeros((*tensor.shape, 3), dtype=tensor.dtype)
            wide[..., 1] = tensor
            return wide[..., 1]
        case "permuted":
            back = tuple(reversed(range(tensor.ndim)))
            return tensor.permute(back).contiguous().permute(back)
        case _:
            return tensor


layouts = st.sampled_from(["plain", "transposed", "offset", "gapped", "permuted"])
orders = st.sampled_from(["little", "big"])


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@hypothesis.settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(EVERY),
    shape=st.lists(st.integers(1, 40), max_size=3).map(tuple),
    left_stored=st.tuples(layouts, orders),
    right_stored=st.tuples(layouts, orders),
    data=st.data(),
)
def test_only_logical_values_count(
    dtype: torch.dtype,
    shape: tuple[int, ...],
    left_stored: tuple[str, str],
    right_stored: tuple[str, str],
    data: st.DataObject,
    store: Store,
) -> None:
    """The same bits are identical in any layouts and byte orders; one flipped bit is found at its index."""
    tensor = random_tensor(dtype, shape, seed=1)
    element = data.draw(st.integers(0, tensor.numel() - 1))
    bit = data.draw(st.integers(0, dtype.itemsize * 8 - 1)) if dtype is not torch.bool else 0
    (left_layout, left_order), (right_layout, right_order) = left_stored, right_stored
    left = store(laid_out(tensor, left_layout), byte_order=left_order)
    same = store(laid_out(tensor, right_layout), byte_order=right_order)
    flipped = store(laid_out(flip_bit(tensor, element, bit), right_layout), byte_order=right_order)

    assert compare(left, same, limits=SMALL) == Comparison(values=Agreement.IDENTICAL, n_different=0)
    found = compare(left, flipped, limits=SMALL)

    assert found.first_difference == tuple(int(place) for place in np.unravel_index(element, shape))
    assert found.n_different == 1
    assert found.values in {Agreement.DIFFERENT, Agreement.CLOSE}


@hypothesis.settings(max_examples=100, deadline=None)
@given(element=st.integers(0, 4_799), bit=st.integers(0, 31))
def test_one_flipped_bit_of_a_weight_is_different(element: int, bit: int, store: Store) -> None:
    """Any single bit of any one weight makes the tensor different, even the least significant one."""
    tensor = weights((24, 200))
    flipped = flip_bit(tensor, element, bit)

    found = compare(store(tensor), store(flipped), limits=SMALL)

    assert found.values is Agreement.DIFFERENT
    assert found.first_difference == divmod(element, 200)
    difference = (tensor.double() - flipped.double()).abs().max().item()
    assert found.max_abs_diff == (difference if math.isfinite(difference) else None)


@pytest.mark.parametrize("value", [0.5, 1.0, 0.0], ids=["half", "one", "zero"])
@pytest.mark.parametrize("n_elements", [1, 2, 768])
def test_a_flip_beside_a_narrower_number_is_not_taken_for_a_round_trip(
    value: float, n_elements: int, store: Store
) -> None:
    """The lowest bit of a value that float16 holds exactly looks like rounding, and is still different."""
    tensor = torch.full((n_elements,), value)

    found = compare(store(tensor), store(flip_bit(tensor, n_elements - 1, 0)))

    assert found.values is Agreement.DIFFERENT
    assert found.cast is None


def explained_by(wide: torch.Tensor, narrow: torch.Tensor) -> torch.Tensor:
    """Which elements of `narrow` are those of `wide`, cast by torch, any NaN being any other."""
    cast = wide.to(narrow.dtype)
    both_nan = cast.float().isnan() & narrow.float().isnan()
    return (bits_of(cast) == bits_of(narrow)).all(1) | both_nan.reshape(-1)


RECASTS = [
    (torch.float64, torch.float32),
    (torch.float64, torch.float16),
    (torch.float64, torch.bfloat16),
    (torch.float32, torch.float16),
    (torch.float32, torch.bfloat16),
    *((torch.float32, narrow) for narrow in EIGHT_BIT),
    (torch.float16, torch.bfloat16),
    (torch.float16, torch.float8_e5m2),
    (torch.bfloat16, torch.float8_e4m3fn),
    (torch.float8_e4m3fn, torch.float8_e5m2),
]


@pytest.mark.parametrize(
    ("wide", "narrow"), RECASTS, ids=lambda dtype: name_of(dtype) if isinstance(dtype, torch.dtype) else None
)
@pytest.mark.parametrize("flip", [False, True], ids=["wide-left", "wide-right"])
def test_a_cast_by_torch_is_named(wide: torch.dtype, narrow: torch.dtype, flip: bool, store: Store) -> None:
    """Random bits cast by torch are identical after that cast, named from wide to narrow on either side."""
    original = random_tensor(wide, (300, 70), seed=2)
    pair = [store(original), store(original.to(narrow))]

    found = compare(*(reversed(pair) if flip else pair), limits=SMALL)

    assert found.values is Agreement.IDENTICAL_AFTER_CAST
    assert found.cast == f"{name_of(wide)} -> {name_of(narrow)}"
    assert found.first_difference is None
    numbers, rounded = original.double(), original.to(narrow).double()
    finite = numbers.isfinite() & rounded.isfinite()
    assert found.max_abs_diff == (numbers - rounded)[finite].abs().max().item()


@pytest.mark.parametrize(
    ("wide", "narrow"), RECASTS, ids=lambda dtype: name_of(dtype) if isinstance(dtype, torch.dtype) else None
)
def test_values_that_a_cast_does_not_explain_are_counted(
    wide: torch.dtype, narrow: torch.dtype, store: Store
) -> None:
    """The first difference and their number are those of torch's own cast."""
    original = weights((200, 30), dtype=torch.float64).to(wide)
    other = original.to(narrow)
    for element in (5999, 1234, 777):
        other = flip_bit(other, element, narrow.itemsize * 8 - 2)

    found = compare(store(original), store(other), limits=SMALL)

    missed = (~explained_by(original, other)).nonzero().reshape(-1).tolist()
    assert found.values is Agreement.DIFFERENT
    assert (found.first_difference, found.n_different) == (divmod(missed[0], 30), len(missed))


def test_a_wider_range_explains_underflow(store: Store) -> None:
    """bfloat16 made float16 loses its least values; the cast back does not explain that, this one does."""
    tensor = torch.tensor([1e-30, 0.5, 3e38, -1.0], dtype=torch.bfloat16)

    found = compare(store(tensor.to(torch.float16)), store(tensor))

    assert (found.values, found.cast) == (Agreement.IDENTICAL_AFTER_CAST, "bfloat16 -> float16")


def test_overflow_of_float8_e4m3fn_may_be_nan(store: Store) -> None:
    """Older torch made NaN of what newer torch clamps to 448: both are the same cast."""
    tensor = torch.tensor([1.0, 1000.0, -2000.0])
    clamped = tensor.clamp(-448, 448).to(torch.float8_e4m3fn)
    with_nan = torch.tensor([1.0, math.nan, math.nan]).to(torch.float8_e4m3fn)

    for narrow in (clamped, with_nan):
        found = compare(store(tensor), store(narrow))
        assert (found.values, found.cast) == (Agreement.IDENTICAL_AFTER_CAST, "float32 -> float8_e4m3fn")


@pytest.mark.parametrize(
    ("dtype", "through"),
    [
        (torch.float32, torch.float16),
        (torch.float32, torch.bfloat16),
        (torch.float64, torch.float32),
        (torch.float16, torch.bfloat16),
        (torch.complex128, torch.complex64),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("flip", [False, True], ids=["original-left", "original-right"])
def test_a_round_trip_is_named(dtype: torch.dtype, through: torch.dtype, flip: bool, store: Store) -> None:
    """A tensor saved in a narrower type and widened again is identical after both casts."""
    original = weights((100, 100), dtype=torch.float64).to(dtype)
    trip = original.to(through).to(dtype)
    pair = [store(original), store(trip)]

    found = compare(*(reversed(pair) if flip else pair), limits=SMALL)

    names = [name_of(dtype), name_of(through), name_of(dtype)]
    assert (found.values, found.cast) == (Agreement.IDENTICAL_AFTER_CAST, " -> ".join(names))
    assert found.max_abs_diff is not None


def test_a_round_trip_of_one_half_only_is_no_round_trip(store: Store) -> None:
    """Blocks with equal bits that the narrower type cannot hold disprove the round trip."""
    original = weights((64, 2048))
    half = original.clone()
    half[:32] = half[:32].half().float()

    found = compare(store(original), store(half), limits=SMALL)

    assert (found.values, found.cast) == (Agreement.DIFFERENT, None)


def test_a_sampled_round_trip_reads_the_sample_again_and_nothing_else(store: Store) -> None:
    """Where a block of the sample has equal bits, the second look stays within the sample."""
    original = weights((64, 2048))
    original[:1] = 1.0
    left, right = store(original), store(original.half().float())

    found = compare(left, right, depth=Depth.SAMPLED)

    assert (found.values, found.cast) == (Agreement.IDENTICAL_IN_SAMPLE, "float32 -> float16 -> float32")
    assert len(set(left[1].reads)) == 3
    assert left[1].n_bytes == 2 * 3 * 2048


def test_equal_blocks_that_the_narrower_type_holds_are_part_of_a_round_trip(store: Store) -> None:
    """A tensor half of which is ones comes back from float16 with those untouched."""
    original = weights((200, 200))
    original[:100] = 1.0

    found = compare(store(original), store(original.half().float()), limits=SMALL)

    assert found.cast == "float32 -> float16 -> float32"


CLOSENESS = [
    pytest.param(lambda t: t * (1 + 2.0**-21), Agreement.CLOSE, id="rounding-everywhere"),
    pytest.param(lambda t: t + 1e-6 * t.sign(), Agreement.DIFFERENT, id="one-training-step"),
    pytest.param(lambda t: t * 1.01, Agreement.DIFFERENT, id="another-scale"),
    pytest.param(lambda t: -t, Agreement.DIFFERENT, id="another-sign"),
    pytest.param(lambda t: t.flip(0), Agreement.DIFFERENT, id="another-order"),
    pytest.param(
        lambda t: torch.where(torch.rand(t.shape) < 0.01, t * (1 + 2.0**-21), t),
        Agreement.DIFFERENT,
        id="rounding-in-few-places",
    ),
    pytest.param(
        lambda t: torch.where(t == t.max(), math.nan, t * (1 + 2.0**-21)), Agreement.DIFFERENT, id="one-nan"
    ),
    pytest.param(
        lambda t: torch.where(t == t.max(), math.inf, t * (1 + 2.0**-21)),
        Agreement.DIFFERENT,
        id="one-infinity",
    ),
    pytest.param(lambda t: t + torch.randn(t.shape) * 1e-9, Agreement.CLOSE, id="noise-below-rounding"),
]


@pytest.mark.parametrize(("change", "verdict"), CLOSENESS)
def test_what_is_close(
    change: Callable[[torch.Tensor], torch.Tensor], verdict: Agreement, store: Store
) -> None:
    """Differences of the size of rounding, in many places, are close; larger or rare ones are not."""
    torch.manual_seed(0)
    tensor = weights((300, 100))
    changed = change(tensor)

    found = compare(store(tensor), store(changed), limits=SMALL)

    assert found.values is verdict
    differs = (tensor != changed).nonzero()
    assert found.first_difference == tuple(differs[0].tolist())
    assert found.n_different == len(differs)
    distance = (tensor.double() - changed.double()).abs()
    larger = torch.maximum(tensor.double().abs(), changed.double().abs())
    finite = changed.isfinite()
    assert found.max_abs_diff == distance[finite].max().item()
    assert found.max_rel_diff == pytest.approx((distance / larger)[finite].max().item(), rel=1e-15)


def test_rounding_another_way_is_close(store: Store) -> None:
    """bfloat16 made by cutting off bits, as some converters do, is not torch's cast but close."""
    tensor = weights((100, 100))
    cut = (tensor.view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16)

    found = compare(store(tensor), store(cut))

    assert (found.values, found.cast) == (Agreement.CLOSE, None)
    assert found.n_different == int((~explained_by(tensor, cut)).sum())


@pytest.mark.parametrize("number", [0.0, math.nan], ids=["zero", "nan"])
@pytest.mark.parametrize(
    ("n_different", "verdict"), [(1, Agreement.DIFFERENT), (2, Agreement.CLOSE)], ids=["one", "many"]
)
def test_other_bits_of_equal_numbers(
    number: float, n_different: int, verdict: Agreement, store: Store
) -> None:
    """Zeros or NaN of the other sign are close if they are many; a single one is a flipped bit like any."""
    left = torch.tensor([number, number, 0.1])
    right = left.clone()
    right[:n_different] = -right[:n_different]

    found = compare(store(left), store(right))

    assert (found.values, found.first_difference, found.n_different) == (verdict, (0,), n_different)


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf], ids=["nan", "inf", "minus-inf"])
def test_equal_specials_are_identical(special: float, store: Store) -> None:
    """The same NaN or infinity on both sides is the same bits, and says nothing of distances."""
    tensor = torch.tensor([1.0, special])

    assert compare(store(tensor), store(tensor)) == Comparison(values=Agreement.IDENTICAL, n_different=0)


def test_distances_beyond_float64_stay_finite(store: Store) -> None:
    """The distance between the two ends of float64 is capped, so that a report can hold it."""
    found = compare(
        store(torch.tensor([1.7e308], dtype=torch.float64)),
        store(torch.tensor([-1.7e308], dtype=torch.float64)),
    )

    assert found.max_abs_diff == torch.finfo(torch.float64).max
    assert found.max_rel_diff == 2.0


MIXED = [
    pytest.param([1, 2, 300], torch.int64, torch.int16, "int64 -> int16", id="integers"),
    pytest.param([1, 2, 200], torch.uint8, torch.int32, "int32 -> uint8", id="signs"),
    pytest.param([0, 1, 512], torch.float32, torch.int64, "int64 -> float32", id="positions-as-floats"),
    pytest.param([0, 1, 512], torch.int64, torch.float16, "int64 -> float16", id="positions-as-halves"),
    pytest.param([0, 1, 7], torch.float32, torch.int16, "float32 -> int16", id="floats-as-fewer-bits"),
    pytest.param([0, 1, 1], torch.bool, torch.float8_e5m2, "float8_e5m2 -> bool", id="equal-bits"),
    pytest.param([0, 1, 1], torch.bool, torch.uint8, "uint8 -> bool", id="mask-as-integers"),
    pytest.param([0, 1, 1], torch.float16, torch.bool, "float16 -> bool", id="mask-as-floats"),
    pytest.param([2**62, 1], torch.float64, torch.uint64, "float64 -> uint64", id="large"),
]


@pytest.mark.parametrize(("numbers", "left", "right", "cast"), MIXED)
def test_kinds_of_numbers_agree_when_they_are_equal(
    numbers: list[int], left: torch.dtype, right: torch.dtype, cast: str, store: Store
) -> None:
    """Integers, booleans and floats of one value are identical after the cast to the type of fewer bits."""
    pair = store(torch.tensor(numbers, dtype=left)), store(torch.tensor(numbers, dtype=right))

    for found in (compare(*pair), compare(*reversed(pair))):
        assert (found.values, found.cast) == (Agreement.IDENTICAL_AFTER_CAST, cast)


UNEQUAL = [
    pytest.param([0.5], torch.float32, [0], torch.int64, id="fraction"),
    pytest.param([math.nan], torch.float32, [0], torch.int64, id="nan"),
    pytest.param([math.inf], torch.float32, [2**63 - 1], torch.int64, id="infinity"),
    pytest.param([2.0**63], torch.float64, [2**63 - 1], torch.int64, id="just-beyond-int64"),
    pytest.param([-1], torch.int64, [2**64 - 1], torch.uint64, id="same-bits-other-sign"),
    pytest.param([256], torch.int64, [0], torch.uint8, id="wrapped"),
    pytest.param([2], torch.uint8, [True], torch.bool, id="two-is-not-true"),
    pytest.param([2.0**53 + 2], torch.float64, [2**53 + 1], torch.int64, id="beyond-exact-floats"),
]


@pytest.mark.parametrize(("left", "left_dtype", "right", "right_dtype"), UNEQUAL)
def test_kinds_of_numbers_are_never_rounded_to_agree(
    left: list[float], left_dtype: torch.dtype, right: list[float], right_dtype: torch.dtype, store: Store
) -> None:
    """Between kinds nothing is close: numbers that are not equal are different."""
    found = compare(
        store(torch.tensor(left, dtype=left_dtype)), store(torch.tensor(right, dtype=right_dtype))
    )

    assert (found.values, found.n_different, found.first_difference) == (Agreement.DIFFERENT, 1, (0,))


def test_distances_between_large_integers_are_exact(store: Store) -> None:
    """Neighbours that float64 cannot tell apart are one apart."""
    found = compare(store(torch.tensor([2**62, 5])), store(torch.tensor([2**62 + 1, 5])))

    assert (found.values, found.max_abs_diff) == (Agreement.DIFFERENT, 1.0)


OPAQUE = [
    pytest.param(DType.QINT8, (4,), 4, 2, (2,), id="quantised"),
    pytest.param(DType.BITS16, (3,), 6, 4, (2,), id="bits"),
    pytest.param(DType.UINT4, (5,), 5, 1, (1,), id="small-integers"),
    pytest.param(DType.FLOAT4_E2M1FN_X2, (2, 2), 4, 3, (1, 1), id="packed"),
    pytest.param(DType.FLOAT4_E2M1FN, (2, 4), 4, 3, (1, 2), id="half-bytes"),
    pytest.param(DType.FLOAT6_E2M3FN, (8,), 6, 3, (4,), id="six-bits"),
]


@pytest.mark.parametrize(("dtype", "shape", "n_bytes", "byte", "index"), OPAQUE)
def test_opaque_types_compare_by_bits(
    dtype: DType, shape: tuple[int, ...], n_bytes: int, byte: int, index: tuple[int, ...], store_raw: Store
) -> None:
    """Types whose numbers the bits alone do not give are identical or different, at the right element."""
    content = bytes(range(n_bytes))
    changed = bytearray(content)
    changed[byte] ^= 1
    left, right = store_raw(content, dtype, shape), store_raw(bytes(changed), dtype, shape)

    assert compare(left, left).values is Agreement.IDENTICAL
    assert compare(left, right) == Comparison(
        values=Agreement.DIFFERENT, first_difference=index, n_different=1
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [(DType.QUINT8, DType.UINT8), (DType.BITS8, DType.FLOAT8_E5M2), (DType.QINT8, DType.QUINT8)],
    ids=str,
)
def test_opaque_types_are_not_compared_with_others(left: DType, right: DType, store_raw: Store) -> None:
    """Where a scale decides what the bits mean, equal bytes of two types prove nothing."""
    found = compare(store_raw(b"\1\2", left, (2,)), store_raw(b"\1\2", right, (2,)))

    assert found == Comparison(values=Agreement.NOT_COMPARED)


def test_complex_numbers_are_counted_whole(store: Store) -> None:
    """A complex element with both parts changed is one difference, and is not compared with real ones."""
    left = torch.tensor([1 + 1j, 2 + 2j, 3 + 3j])
    right = torch.tensor([1 + 1j, 5 + 6j, 3 + 3j])

    found = compare(store(left), store(right))

    assert (found.n_different, found.first_difference, found.max_abs_diff) == (1, (1,), 4.0)
    assert compare(store(left), store(left.real)).values is Agreement.NOT_COMPARED


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=name_of)
@pytest.mark.parametrize("shape", [(0,), (3, 0, 2)], ids=str)
def test_empty_tensors_are_identical(shape: tuple[int, ...], dtype: torch.dtype, store: Store) -> None:
    """Without elements nothing can differ, and nothing is read."""
    left, right = store(torch.zeros(shape)), store(torch.zeros(shape, dtype=dtype))

    assert compare(left, right).values is Agreement.IDENTICAL
    assert left[1].reads == []


def test_complex_numbers_are_cast_by_their_parts(store: Store) -> None:
    """complex128 made complex64 is identical after that cast."""
    tensor = torch.randn(500, dtype=torch.complex128)

    found = compare(store(tensor.to(torch.complex64)), store(tensor))

    assert (found.values, found.cast) == (Agreement.IDENTICAL_AFTER_CAST, "complex128 -> complex64")


def test_a_scalar_compares(store: Store) -> None:
    """A tensor without dimensions has one element, at the empty index."""
    found = compare(store(torch.tensor(1.0)), store(torch.tensor(2.0)))

    assert (found.values, found.first_difference) == (Agreement.DIFFERENT, ())


def test_expanded_tensors_compare_with_real_ones(store: Store) -> None:
    """A stride of 0 repeats an element, on one side or both."""
    expanded = torch.arange(5.0).unsqueeze(1).expand(5, 4000)

    assert compare(store(expanded), store(expanded.contiguous()), limits=SMALL).values is Agreement.IDENTICAL
    assert compare(store(expanded), store(expanded), limits=SMALL).values is Agreement.IDENTICAL


def test_expansion_without_end_is_refused(store: Store) -> None:
    """Two tensors of four bytes and 2**60 elements are a LimitError at once, not a loop."""
    expanded = store(torch.zeros(1).expand(2**20, 2**20, 2**20))

    with pytest.raises(LimitError, match="expand"):
        compare(expanded, expanded)


def test_a_size_that_no_file_has_is_a_source_error(store: Store) -> None:
    """A tensor that claims exabytes fails at its first read, before anything grows with the claim."""
    tensor, reader = store(torch.zeros(1))
    claimed = attrs.evolve(tensor, shape=(2**60,), stride=(1,), stop=tensor.start + 2**62)

    with pytest.raises(SourceError):
        compare((claimed, reader), (claimed, type(reader)(b"")))


def test_contiguous_tensors_are_read_once_and_nothing_else(store: Store) -> None:
    """Each byte of a contiguous tensor is read exactly once, in any pair of types, and no byte around it."""
    tensor = weights((500, 77))
    for other in (tensor, tensor.half(), tensor.double()):
        left, right = store(tensor), store(other)

        compare(left, right, limits=SMALL)

        for info, reader in (left, right):
            spans = sorted(reader.reads)
            assert spans[0][0] == info.start
            assert spans[-1][1] == info.stop
            assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_a_transposed_matrix_is_read_in_long_runs(store: Store) -> None:
    """Between a matrix and its transpose few bytes are read in vain, and none element by element."""
    matrix = weights((1400, 900))
    left, right = store(matrix), store(matrix.t().contiguous().t())

    found = compare(left, right)

    assert found.values is Agreement.IDENTICAL
    for _, reader in (left, right):
        assert reader.n_bytes <= 4 * matrix.numel() * 4
        assert len(reader.reads) * 200 < matrix.numel()


def test_headers_read_nothing(store: Store) -> None:
    """At depth headers no byte is read and nothing is claimed."""
    left, right = store(torch.zeros(5)), store(torch.ones(5))

    assert compare(left, right, depth=Depth.HEADERS) == Comparison(values=Agreement.NOT_COMPARED)
    assert left[1].reads == right[1].reads == []


def test_a_sample_reads_three_blocks(store: Store) -> None:
    """At depth sampled up to 2 KiB of head, middle and tail are read, the same ones each time."""
    tensor = weights((1000, 1000))
    left, right = store(tensor), store(tensor.half())

    same = compare(left, left, depth=Depth.SAMPLED)
    n_bytes, reads = left[1].n_bytes, tuple(left[1].reads)
    cast = compare(left, right, depth=Depth.SAMPLED)

    assert same == Comparison(values=Agreement.IDENTICAL_IN_SAMPLE, n_different=0)
    assert n_bytes == 2 * (2048 + 2048 + 1_000_000 % 512 * 4)
    assert set(left[1].reads[len(reads) :]) == set(reads)
    assert (cast.values, cast.cast) == (Agreement.IDENTICAL_IN_SAMPLE, "float32 -> float16")


@pytest.mark.parametrize("element", [0, 511, 500_000, 999_999])
def test_a_sample_sees_head_middle_and_tail(element: int, store: Store) -> None:
    """A change in the head, the middle or the tail is found, with its index, by a sample."""
    tensor = weights((1000, 1000))

    found = compare(store(tensor), store(flip_bit(tensor, element, 20)), depth=Depth.SAMPLED)

    assert (found.values, found.first_difference) == (Agreement.DIFFERENT, divmod(element, 1000))


def test_a_sample_of_a_small_tensor_is_all_of_it(store: Store) -> None:
    """A tensor that the three blocks cover is identical, not merely in the sample."""
    tensor = weights((30, 51))

    assert compare(store(tensor), store(tensor), depth=Depth.SAMPLED).values is Agreement.IDENTICAL


def mixed_jobs(store: Store) -> list[tuple[object, ...]]:
    """Pairs of many sizes and verdicts, the large ones cut into several parts."""
    large = weights((3000, 800))
    pairs = [
        (large, flip_bit(large, 2_000_000, 3)),
        (weights((10,)), weights((10,), seed=1)),
        (large, large.half()),
        (large, large.bfloat16().float()),
        (large, large * (1 + 2.0**-21)),
        (large, large.t().contiguous().t()),
        (torch.zeros(0), torch.zeros(0)),
        (torch.tensor(1), torch.tensor(1)),
    ]
    return [(*store(left), *store(right)) for left, right in pairs]


def test_results_do_not_depend_on_the_number_of_threads(store: Store) -> None:
    """One thread and many give the same comparisons, to the last bit of the distances, in order."""
    jobs = mixed_jobs(store)

    alone = compare_many(jobs, workers=1)

    assert [comparison.values.value for comparison in alone] == [
        "different",
        "different",
        "identical-after-cast",
        "identical-after-cast",
        "close",
        "identical",
        "identical",
        "identical",
    ]
    assert compare_many(jobs, workers=4, limits=Limits()) == alone


@pytest.mark.parametrize("depth", [Depth.SAMPLED, Depth.FULL], ids=str)
def test_progress_adds_up_to_all_bytes(depth: Depth, store: Store) -> None:
    """The calls of progress sum up to the bytes of all tensors, those of tied names included."""
    jobs = mixed_jobs(store)
    jobs.append(jobs[0])
    steps: list[int] = []

    compare_many(jobs, depth=depth, progress=steps.append)

    assert sum(steps) == sum(left.n_bytes + right.n_bytes for left, _, right, _ in jobs)


def test_tied_names_are_read_once(store: Store) -> None:
    """Two pairs of the very same bytes on both sides cost one comparison and give two results."""
    left, right = store(weights((500,))), store(weights((500,), seed=1))
    alias = attrs.evolve(left[0], name="alias"), left[1]

    first, second = compare_many([(*left, *right), (*alias, *right)])

    assert first == second
    assert left[1].n_bytes == 2000


@pytest.mark.parametrize("workers", [1, 4])
def test_the_first_failing_pair_decides_the_error(workers: int, store: Store) -> None:
    """Of several pairs that cannot be read the earliest is reported, with any number of threads."""
    tensor = weights((3000, 1000))
    good, bad = store(tensor), store(tensor)
    bad_reader = type(bad[1])(b"")
    broken = attrs.evolve(bad[0], name="broken", stop=bad[0].stop + 4), bad[1]
    jobs = [(*good, *good), (bad[0], bad_reader, *good), (*broken, *good)]

    with pytest.raises(SourceError):
        compare_many(jobs, workers=workers)
    with pytest.raises(FormatError, match="broken"):
        compare_many([jobs[0], jobs[2], jobs[1]], workers=workers)


def test_shapes_that_differ_are_the_callers_mistake(store: Store) -> None:
    """Only tensors of one shape can be compared."""
    with pytest.raises(ValueError, match="shapes"):
        compare(store(torch.zeros(2)), store(torch.zeros(3)))


def test_too_little_room_is_a_limit_error(store: Store) -> None:
    """Without room for one block nothing is read and the limit is named."""
    stored = store(torch.zeros(2))

    with pytest.raises(LimitError) as raised:
        compare(stored, stored, limits=Limits(work_bytes=1000))

    assert raised.value.limit == "work_bytes"
