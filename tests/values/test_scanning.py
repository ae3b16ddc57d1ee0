"""Finding NaN and infinities, held against torch."""

import math
from collections.abc import Callable

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import LimitError, SourceError
from embaudit.model.dtypes import DType
from embaudit.model.limits import KIB, Limits
from embaudit.model.values import ValueScan
from embaudit.values import scan_many, scan_tensor

Store = Callable[..., tuple[object, object]]

SMALL = Limits(work_bytes=64 * KIB)

FLOATS = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e4m3fnuz,
    torch.float8_e5m2,
    torch.float8_e5m2fnuz,
    torch.float8_e8m0fnu,
    torch.complex64,
    torch.complex128,
]


def first_true(mask: torch.Tensor) -> tuple[int, ...] | None:
    """The index of the first true element in C order."""
    return tuple(mask.nonzero()[0].tolist()) if mask.any() else None


def beyond_float16(numbers: torch.Tensor) -> torch.Tensor:
    """Which finite numbers torch makes infinite when it casts them to float16."""
    return numbers.half().isinf() & ~numbers.isinf()


def scan_by_torch(tensor: torch.Tensor) -> ValueScan:
    """What torch says of each element."""
    wide = tensor if tensor.is_complex() else tensor.double()
    nan, inf = wide.isnan(), wide.isinf() & ~wide.isnan()
    parts = torch.view_as_real(wide) if wide.is_complex() else wide.unsqueeze(-1)
    negative = inf & (parts == -math.inf).any(-1)
    return ValueScan(
        name="tensor",
        n_nan=int(nan.sum()),
        n_inf=int(inf.sum()),
        n_negative_inf=int(negative.sum()),
        n_beyond_float16=int((beyond_float16(parts).any(-1) & ~nan & ~inf).sum()),
        first_nan=first_true(nan),
        first_inf=first_true(inf),
    )


@hypothesis.settings(deadline=None)
@given(dtype=st.sampled_from(FLOATS), seed=st.integers(0, 2**16), transpose=st.booleans())
def test_scans_say_what_torch_says(dtype: torch.dtype, seed: int, transpose: bool, store: Store) -> None:
    """Counts and first indices of what is special are torch's, for random bits in any layout."""
    generator = torch.Generator().manual_seed(seed)
    content = torch.randint(0, 256, (90 * 50 * dtype.itemsize,), dtype=torch.uint8, generator=generator)
    # Full exponents are rare among random bits: every 16th byte is made part of one.
    content[:: 16 if dtype.itemsize > 1 else 64] = 0xFF
    content[1 :: 16 if dtype.itemsize > 1 else 64] = 0x7F
    tensor = content.view(dtype).reshape(90, 50)
    tensor = tensor.t() if transpose else tensor

    assert scan_tensor(*store(tensor), limits=SMALL) == scan_by_torch(tensor)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=["nan", "inf", "minus-inf"])
@pytest.mark.parametrize("dtype", FLOATS[:4], ids=str)
def test_a_single_special_is_found(value: float, dtype: torch.dtype, store: Store) -> None:
    """One NaN or infinity among thousands of weights is found at its index."""
    tensor = torch.randn(100, 90).to(dtype)
    tensor[77, 33] = value

    scan = scan_tensor(*store(tensor), limits=SMALL)

    assert scan == scan_by_torch(tensor)
    assert (scan.first_nan or scan.first_inf) == (77, 33)
    assert not scan.is_finite


@pytest.mark.parametrize("dtype", [DType.INT8, DType.BOOL, DType.QUINT8, DType.BITS8], ids=str)
def test_types_without_specials_are_not_read(dtype: DType, store_raw: Store) -> None:
    """What cannot hold NaN is finite without a byte being read."""
    tensor, reader = store_raw(b"\xff" * 6, dtype, (6,))

    assert scan_tensor(tensor, reader).is_finite
    assert reader.reads == []


def test_many_scans_come_in_order_and_read_each_byte_once(store: Store) -> None:
    """Scans keep the order of the tensors, empty ones among them, whatever the number of threads."""
    tensors = [torch.randn(3000, 1000), torch.zeros(0), torch.tensor(math.nan), torch.full((5,), math.inf)]
    stored = [store(tensor, name=f"tensor{place}") for place, tensor in enumerate(tensors)]
    steps: list[int] = []

    scans = scan_many(stored, workers=3, progress=steps.append)

    assert [(scan.name, scan.n_nan, scan.n_inf) for scan in scans] == [
        ("tensor0", 0, 0),
        ("tensor1", 0, 0),
        ("tensor2", 1, 0),
        ("tensor3", 0, 5),
    ]
    assert [reader.n_bytes for _, reader in stored] == [12_000_000, 0, 4, 20]
    assert sum(steps) == 12_000_024


def test_a_scan_that_cannot_be_done_says_so(store: Store) -> None:
    """Missing bytes are a SourceError, expansion without end a LimitError."""
    tensor, reader = store(torch.zeros(4))
    endless = store(torch.zeros(1).expand(2**20, 2**30))

    with pytest.raises(SourceError):
        scan_tensor(tensor, type(reader)(b""))
    with pytest.raises(LimitError):
        scan_tensor(*endless)
