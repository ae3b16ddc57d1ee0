"""What is kept of contents: the right bytes or none, within its bound; and which bytes are asked for."""

from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import strategies as st

from embaudit.model.files import FileEntry, FileKind
from embaudit.sources.hub.kept import KeptBytes, content_key
from embaudit.sources.hub.windows import LARGEST_GAP, READ_AHEAD, coalesced, pieces, window_around

CONTENTS = {"a": bytes(range(200)), "b": bytes(range(255, 55, -1))}
spans = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda pair: (min(pair), max(pair)))
steps = st.lists(st.tuples(st.sampled_from("ab"), spans), max_size=30)


@given(puts=steps, gets=steps, most=st.integers(0, 300))
def test_what_is_kept_is_right_and_within_bounds(
    puts: list[tuple[str, tuple[int, int]]], gets: list[tuple[str, tuple[int, int]]], most: int
) -> None:
    """Whatever was put in whatever order, a span comes back right or not at all, and the bound holds."""
    kept = KeptBytes(most)

    for key, (start, stop) in puts:
        kept.put(key, start, CONTENTS[key][start:stop])
        assert kept.n_bytes <= most

    for key, (start, stop) in gets:
        found = kept.get(key, start, stop)
        gaps = kept.gaps(key, start, stop)
        assert (found is None) == bool(gaps)
        assert found is None or found == CONTENTS[key][start:stop]
        assert all(kept.get(key, *gap) is None for gap in gaps)


@given(puts=steps)
def test_with_room_for_all_nothing_is_given_up(puts: list[tuple[str, tuple[int, int]]]) -> None:
    """As long as everything fits, every byte that was put is there, and is held once."""
    kept = KeptBytes(400)
    positions: set[tuple[str, int]] = set()

    for key, (start, stop) in puts:
        kept.put(key, start, CONTENTS[key][start:stop])
        positions |= {(key, i) for i in range(start, stop)}

    for key in CONTENTS:
        missing = {i for start, stop in kept.gaps(key, 0, 200) for i in range(start, stop)}
        assert missing == {i for i in range(200) if (key, i) not in positions}
    assert kept.n_bytes == len(positions)


def test_the_least_recently_used_goes_first() -> None:
    """A read counts as a use; what does not fit as a whole drives out nothing."""
    kept = KeptBytes(30)
    for start in (0, 10, 20):
        kept.put("a", start, CONTENTS["a"][start : start + 10])

    kept.get("a", 0, 10)
    kept.put("b", 0, CONTENTS["b"][:10])
    kept.put("b", 50, CONTENTS["b"][50:100])

    assert kept.gaps("a", 0, 30) == [(10, 20)]
    assert kept.get("b", 0, 10) == CONTENTS["b"][:10]


def test_equal_contents_are_kept_once() -> None:
    """Files of one digest and size are one content; a file without a digest is known by its path."""
    entry = FileEntry(path="a", size=3, sha256="0" * 64, kind=FileKind.WEIGHTS)

    assert content_key(entry) == content_key(attrs.evolve(entry, path="b"))
    assert content_key(entry) != content_key(attrs.evolve(entry, size=4))
    assert content_key(attrs.evolve(entry, sha256=None)) == "a"


@given(size=st.integers(1, 3 * READ_AHEAD), data=st.data())
def test_a_window_holds_what_is_wanted(size: int, data: st.DataObject) -> None:
    """A window lies in the file, holds the span, and has the read-ahead wherever the file does."""
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size) | st.just(size))

    first, last = window_around(start, stop, size)

    assert 0 <= first <= start < stop <= last <= size
    if size <= READ_AHEAD:
        assert (first, last) == (0, size)
    elif stop == size:
        assert (first, last) == (min(start, max(size - READ_AHEAD, 0)), size)
    else:
        assert (first, last) == (start, min(max(stop, start + READ_AHEAD), size))


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.integers(0, 200_000)), max_size=40))
def test_coalesced_spans_hold_all_and_stay_apart(pairs: list[tuple[int, int]]) -> None:
    """Joined spans cover every span, begin and end with one, and leave gaps that are worth a request."""
    wanted = [(start, start + length) for start, length in pairs if length]

    joined = coalesced([(start, start + length) for start, length in pairs])

    assert all(any(a <= start and stop <= b for a, b in joined) for start, stop in wanted)
    assert {start for start, _ in joined} <= {start for start, _ in wanted}
    assert {stop for _, stop in joined} <= {stop for _, stop in wanted}
    assert all(after[0] - before[1] >= LARGEST_GAP for before, after in pairwise(joined))


@given(start=st.integers(0, 100), length=st.integers(0, 100), most=st.integers(1, 40))
def test_pieces_are_the_span(start: int, length: int, most: int) -> None:
    """Pieces follow one another without a gap, each within the bound."""
    found = list(pieces(start, start + length, most))

    assert [i for a, b in found for i in range(a, b)] == list(range(start, start + length))
    assert all(b - a <= most for a, b in found)
