"""Holds the view of a file to its promise: the bytes asked for, clipped to the file, or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError
from embaudit.formats.view import ByteView, view_of


@given(data=st.binary(max_size=20), start=st.integers(0, 30), stop=st.integers(-5, 30))
def test_a_span_is_what_slicing_gives(data: bytes, start: int, stop: int) -> None:
    """Spans are clipped to the file's end, and a span that ends before it begins is empty."""
    assert view_of(data).read(start, stop) == data[start : max(start, stop)]


@given(data=st.binary(max_size=20), start=st.integers(0, 30), stop=st.integers(0, 30))
def test_nothing_outside_the_file_is_asked_for(data: bytes, start: int, stop: int) -> None:
    """The source is asked for spans that lie inside the file and are not empty."""
    spans: list[tuple[int, int]] = []

    def fetch(first: int, last: int) -> bytes:
        spans.append((first, last))
        return data[first:last]

    ByteView("model.bin", len(data), fetch).read(start, stop)

    assert all(0 <= first < last <= len(data) for first, last in spans)


def test_a_span_before_the_file_is_an_error() -> None:
    """A negative start, which slicing would count from the end, names the file."""
    with pytest.raises(FormatError, match=r"^model\.bin: a span begins before the file does, at -1"):
        view_of(b"abc", "model.bin").read(-1, 2)


@pytest.mark.parametrize("given_bytes", [b"", b"ab", b"abcd"])
def test_a_source_that_gives_other_than_asked_is_an_error(given_bytes: bytes) -> None:
    """Fewer or more bytes than asked for name the file and both numbers."""
    view = ByteView("model.bin", 5, lambda _start, _stop: given_bytes)

    with pytest.raises(FormatError, match=rf"^model\.bin: asked for 3 bytes at 1, got {len(given_bytes)}"):
        view.read(1, 4)
