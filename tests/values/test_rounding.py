"""Decoding and rounding of every floating-point type, held against torch."""

import numpy as np
import pytest
import torch

from embaudit.model.dtypes import DType
from embaudit.values.encodings import encoding_of, float_format, is_nan, not_finite
from embaudit.values.rounding import decode, encode

NARROW = [
    DType.FLOAT8_E4M3FN,
    DType.FLOAT8_E4M3FNUZ,
    DType.FLOAT8_E5M2,
    DType.FLOAT8_E5M2FNUZ,
    DType.FLOAT8_E8M0FNU,
    DType.FLOAT16,
    DType.BFLOAT16,
]


def torch_dtype(dtype: DType) -> torch.dtype:
    """The torch type of that name."""
    found = getattr(torch, dtype.value)
    assert isinstance(found, torch.dtype)
    return found


def cast_by_torch(numbers: np.ndarray, dtype: DType) -> np.ndarray:
    """The words that torch rounds the numbers to."""
    signed = {8: torch.uint8, 16: torch.int16, 32: torch.int32}[dtype.bits]
    rounded = torch.from_numpy(numbers).to(torch_dtype(dtype)).view(signed).numpy()
    return rounded.view(encoding_of(dtype).word)


def all_codes(dtype: DType) -> np.ndarray:
    """Every code of a type of one or two bytes."""
    return np.arange(2**dtype.bits).astype(encoding_of(dtype).word)


def float32_words() -> np.ndarray:
    """Every upper half of a float32 with lower halves at and around each type's ties, and random bits."""
    upper = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    lower = [0, 1, 0x0FFF, 0x1000, 0x1001, 0x2000, 0x3000, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
    random = np.random.default_rng(1).integers(0, 2**32, 200_000, dtype=np.uint32)
    return np.concatenate([upper | np.uint32(low) for low in lower] + [random])


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_decoding_every_code_gives_what_torch_gives(dtype: DType) -> None:
    """Each code of a narrow type is the same float32, sign of zero included, as torch reads it."""
    codes = all_codes(dtype)

    decoded = decode(codes, dtype)

    expected = torch.from_numpy(codes.view(f"i{dtype.item_bytes}")).view(torch_dtype(dtype)).float().numpy()
    nan = np.isnan(expected)
    assert np.array_equal(np.isnan(decoded), nan)
    assert np.array_equal(decoded.view(np.uint32)[~nan], expected.view(np.uint32)[~nan])


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_rounding_float32_gives_what_torch_gives(dtype: DType) -> None:
    """Ties, subnormals, overflow, infinities and signed zeros round as torch rounds them, NaN stays NaN."""
    numbers = float32_words().view(np.float32)

    words = encode(numbers, dtype)

    expected = cast_by_torch(numbers, dtype)
    number = float_format(dtype)
    both_nan = is_nan(words, number) & is_nan(expected, number)
    assert np.array_equal(words[~both_nan], expected[~both_nan])


@pytest.mark.parametrize("dtype", [*NARROW, DType.FLOAT32], ids=str)
def test_rounding_float64_gives_what_torch_gives(dtype: DType) -> None:
    """From float64 torch rounds to float32 first, and so do we, the second rounding included."""
    words = float32_words()
    exact = words[~is_nan(words, float_format(DType.FLOAT32))].view(np.float32).astype(np.float64)
    beside = [exact * (1 + 2.0**-40), exact * (1 - 2.0**-40), [1e300, -1e300, 5e-324, np.nan]]
    numbers = np.concatenate([exact, *beside])

    words = encode(numbers, dtype)

    expected = cast_by_torch(numbers, dtype)
    number = float_format(dtype)
    both_nan = is_nan(words, number) & is_nan(expected, number)
    assert np.array_equal(words[~both_nan], expected[~both_nan])


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_every_number_survives_being_decoded_and_encoded(dtype: DType) -> None:
    """Widening loses nothing: encoding what was decoded gives the code back."""
    codes = all_codes(dtype)
    numbers = codes[~is_nan(codes, float_format(dtype))]

    assert np.array_equal(encode(decode(numbers, dtype), dtype), numbers)


def test_older_torch_overflows_to_nan_where_newer_clamps() -> None:
    """Without saturation float8_e4m3fn differs only beyond 464, the tie above 448, and gives NaN there."""
    numbers = float32_words().view(np.float32)

    clamped = encode(numbers, DType.FLOAT8_E4M3FN)
    unclamped = encode(numbers, DType.FLOAT8_E4M3FN, saturate=False)

    beyond = np.abs(numbers) > 464
    assert np.array_equal(clamped[~beyond], unclamped[~beyond])
    assert is_nan(unclamped[beyond], float_format(DType.FLOAT8_E4M3FN)).all()


@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_special_codes_are_those_of_torch(dtype: DType) -> None:
    """What counts as NaN, and as not finite, is what torch's isnan and isfinite say of each code."""
    codes = all_codes(dtype)
    numbers = torch.from_numpy(codes.view(f"i{dtype.item_bytes}")).view(torch_dtype(dtype)).float()

    assert np.array_equal(is_nan(codes, float_format(dtype)), numbers.isnan().numpy())
    assert np.array_equal(not_finite(codes, float_format(dtype)), ~numbers.isfinite().numpy())
