"""Holds the view of a file to its promise: the bytes asked for, clipped to the file, or an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.errors import FormatError
from embaudit.formats.view import AROUND_BYTES, MOST_AROUND, ByteView, view_of


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


SPANS = st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 50_000)).map(sorted), max_size=9)


@given(spans=SPANS, size=st.integers(0, 50_000), infers=st.booleans())
def test_what_is_announced_lies_in_the_file_and_holds_what_is_read(
    spans: list[tuple[int, int]], size: int, infers: bool
) -> None:
    """Spans are told as they are or, where values will be read, with what lies around in the file."""
    told: list[tuple[int, int]] = []
    view = ByteView("model.bin", size, lambda _start, _stop: b"", told.extend, infers)

    view.announce(spans)

    inside = [(start, min(stop, size)) for start, stop in spans if start < size]
    around = 0 if infers else AROUND_BYTES
    assert told == [(max(0, start - around), min(stop + around, size)) for start, stop in inside]


def test_of_very_many_spans_nothing_comes_along() -> None:
    """What a reader keeps is bounded, and the spans themselves count more."""
    told: list[tuple[int, int]] = []
    spans = [(start, start + 1) for start in range(MOST_AROUND + 1)]

    ByteView("model.bin", len(spans), lambda _start, _stop: b"", told.extend).announce(spans)

    assert told == spans


def test_a_file_at_hand_is_told_nothing() -> None:
    """Without anybody to tell, announcing does nothing, and takes no look at the spans."""
    spans = iter([(0, 1)])

    view_of(b"abc").announce(spans)

    assert list(spans) == [(0, 1)]


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
