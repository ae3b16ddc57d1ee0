"""What a sampled comparison will read, told beforehand to readers for which every read is a request.

The tail of one tensor and the head of the next lie side by side in most files, so that told together they
travel together. Knows where samples lie; reads and compares nothing itself.
"""

from collections.abc import Iterator, Mapping, Sequence

from embaudit.errors import FormatError
from embaudit.model.files import FarReader, Span
from embaudit.model.limits import KIB
from embaudit.model.tensor_map import Depth
from embaudit.values.casts import comparable
from embaudit.values.comparing import Job, sample_grid
from embaudit.values.layout import Box, span_of
from embaudit.values.tiles import Source, open_sources

PAIRS_AHEAD = 256
"""Pairs that are told of at once: their samples take 3 MB, well within what a reader keeps."""

MOST_COVERED = 128 * KIB
"""Bytes from the first to the last of a box whose elements have gaps between them, if it is to be asked for
as a whole: what a network carries in the time of a few requests."""


def sampled_spans(job: Job) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The bytes of the left and of the right side that comparing them at depth sampled will read.

    They are exact where the elements of a box lie side by side. Else a box's span covers its gaps, too; one
    that is wider than `MOST_COVERED` is left out. What cannot be compared has none.
    """
    left, left_reader, right, right_reader = job
    if left.shape != right.shape or not left.n_elements or not comparable(left.dtype, right.dtype):
        return (), ()
    try:
        sources = open_sources((left, left_reader), (right, right_reader))
    except FormatError:
        return (), ()  # the comparison itself will say so, in its turn
    grid = sample_grid(sources)
    boxes = [grid.box(number) for number in grid.sample()]
    first, second = (tuple(_narrow(_span(source, box) for box in boxes)) for source in sources)
    return first, second


def tell_ahead(jobs: Sequence[Job], depth: Depth) -> Iterator[Job]:
    """The jobs one by one; before those of a sampled comparison, far readers are told of their spans."""
    far = _far_readers(jobs) if depth is Depth.SAMPLED else {}
    for start in range(0, len(jobs), PAIRS_AHEAD):
        ahead = jobs[start : start + PAIRS_AHEAD]
        if far:
            _tell(ahead, far)
        yield from ahead


def _far_readers(jobs: Sequence[Job]) -> dict[int, FarReader]:
    """By identity, for there are few readers, and asking each job's what it is would take long."""
    readers = {id(reader): reader for job in jobs for reader in (job[1], job[3])}
    return {key: reader for key, reader in readers.items() if isinstance(reader, FarReader)}


def _tell(jobs: Sequence[Job], far: Mapping[int, FarReader]) -> None:
    wanted: dict[int, list[Span]] = {key: [] for key in far}
    for job in jobs:
        for reader, spans in zip((job[1], job[3]), sampled_spans(job), strict=True):
            if id(reader) in far:
                wanted[id(reader)] += spans
    for key, reader in far.items():
        reader.fetch(wanted[key])


def _span(source: Source, box: Box) -> Span:
    unit = source.encoding.unit_bytes
    first = sum(start * step for start, step in zip(box.starts, source.stride, strict=True))
    begin = source.tensor.start + first * unit
    return Span(source.tensor.file, begin, begin + span_of(box.sizes, source.stride) * unit)


def _narrow(spans: Iterator[Span]) -> Iterator[Span]:
    return (span for span in spans if span.stop - span.start <= MOST_COVERED)
