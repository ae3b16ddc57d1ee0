"""Comparing two tensors of one shape, box by box, straight from their files.

Knows how a comparison is cut into parts, and when a box deserves a closer look. What differences mean is
decided in `tally`, what explains them in `casts`.
"""

from collections.abc import Iterator, Sequence
from itertools import chain

import attrs
import numpy as np

from embaudit.model.files import Reader
from embaudit.model.limits import KIB
from embaudit.model.tensor_map import Agreement, Comparison, Depth
from embaudit.model.tensors import TensorInfo
from embaudit.values.casts import Question, comparable, question_of
from embaudit.values.encodings import Kind, Mask, Words, encoding_of
from embaudit.values.layout import Box, Grid, compact_grid, unravel
from embaudit.values.rounding import decode
from embaudit.values.tally import Tally, judge, measure, tolerance_of, total
from embaudit.values.tiles import Source, open_sources, read_box
from embaudit.values.workers import PART_BYTES, Work, done
from embaudit.values.workspace import Room, Workspace

Job = tuple[TensorInfo, Reader, TensorInfo, Reader]

SAMPLE_BYTES = 2 * KIB
"""Bytes, at most, of each of the three boxes that a sample looks at: head, middle and tail."""

NOT_COMPARED = Comparison(values=Agreement.NOT_COMPARED)
IDENTICAL = Comparison(values=Agreement.IDENTICAL, n_different=0)


def comparison_of(job: Job, depth: Depth, room: Room) -> Work[Tally, Comparison]:
    """The work of comparing one pair.

    Raises:
        FormatError: If a tensor's byte span does not follow from its shape and stride.
        ValueError: If the shapes differ, which the caller must rule out.
    """
    left, left_reader, right, right_reader = job
    if left.shape != right.shape:
        raise ValueError(f"shapes of {left.name!r} and {right.name!r} differ: {left.shape}, {right.shape}")
    if depth is Depth.HEADERS or not comparable(left.dtype, right.dtype):
        return done(NOT_COMPARED)
    if left.n_elements == 0:
        # Nothing differs; of two types, nothing needs a cast either.
        return done(IDENTICAL)
    sources = open_sources((left, left_reader), (right, right_reader))
    if depth is Depth.SAMPLED:
        grid = sample_grid(sources)
        parts: Sequence[Sequence[int]] = (grid.sample(),)
    else:
        grid = _grid(sources, room.block_bytes)
        parts = grid.parts(PART_BYTES // room.block_bytes)
    question = question_of(left.dtype, right.dtype)
    comparing = _Comparing(question=question, left=sources[0], right=sources[1], grid=grid, parts=parts)
    return Work(
        n_bytes=left.n_bytes + right.n_bytes,
        parts=parts,
        run=comparing.compare,
        finish=comparing.conclude,
    )


def sample_grid(sources: Sequence[Source]) -> Grid:
    """The boxes out of which a sample takes three."""
    return _grid(sources, SAMPLE_BYTES)


def _grid(sources: Sequence[Source], box_bytes: int) -> Grid:
    unit_bytes = max(source.encoding.unit_bytes for source in sources)
    return compact_grid(sources[0].shape, [source.stride for source in sources], box_bytes // unit_bytes)


@attrs.frozen(kw_only=True)
class _Comparing:
    """One pair, its boxes, those of them that are looked at, and the question asked of them."""

    question: Question
    left: Source
    right: Source
    grid: Grid
    parts: Sequence[Sequence[int]]

    def compare(self, boxes: Sequence[int], workspace: Workspace) -> Tally:
        """What is seen of some boxes."""
        return total([self._compare_box(self.grid.box(number), workspace) for number in boxes])

    def conclude(self, parts: Sequence[Tally], workspace: Workspace) -> Comparison:
        """The verdict, after a second look if a round trip is claimed for boxes that nobody looked into."""
        tally = total(parts)
        if tally.is_many and tally.n_unexamined and any(tally.alternatives):
            explains = self._examine_again(tally.alternatives, workspace)
            tally = attrs.evolve(tally, alternatives=explains)
        tensor = self.left.tensor
        index = None if tally.first is None else unravel(tally.first, tensor.shape)
        return judge(self.question, tally, tensor.n_elements, index)

    def _compare_box(self, box: Box, workspace: Workspace) -> Tally:
        left, right = self._read(box, workspace)
        n_elements = box.n_elements * self.left.encoding.unit_elements
        if self.question.primary is None and _same_bits(left, right, workspace):
            explains = (True,) * len(self.question.alternatives)
            return Tally(n_seen=n_elements, n_unexamined=n_elements, alternatives=explains)
        slices = []
        alive = (True,) * len(self.question.alternatives)
        for start, stop in _slices(len(left), workspace.room.slice_words):
            slices.append(self._compare_words(left[start:stop], right[start:stop], alive))
            alive = slices[-1].alternatives
            if slices[-1].first is not None:
                slices[-1] = attrs.evolve(slices[-1], first=slices[-1].first + self._elements(start))
        tally = total(slices)
        return tally if tally.first is None else attrs.evolve(tally, first=self._position(tally.first, box))

    def _read(self, box: Box, workspace: Workspace) -> tuple[Words, Words]:
        return read_box(self.left, box, workspace, "left"), read_box(self.right, box, workspace, "right")

    def _compare_words(self, left: Words, right: Words, alive: tuple[bool, ...]) -> Tally:
        """A tally whose `first` counts from the first of these words."""
        primary = self.question.primary
        differs = left != right if primary is None else primary.misses(left, right)
        elements = self._differing_elements(left, right, differs)
        n_different = int(np.count_nonzero(elements))
        return attrs.evolve(
            self._measure(left, right, differs, n_different),
            n_seen=len(elements),
            n_different=n_different,
            first=int(elements.argmax()) if n_different else None,
            alternatives=self._explained(left, right, alive),
        )

    def _measure(self, left: Words, right: Words, differs: Mask, n_different: int) -> Tally:
        if encoding_of(self.question.left).kind is Kind.OPAQUE:
            return Tally(n_unequal=n_different, n_unmatched=n_different)
        if self.question.primary is None:
            # Equal bits are equal numbers: only the others can tell anything.
            left, right = left[differs], right[differs]
            differs = np.ones(len(left), np.bool_)
        tolerance = tolerance_of(self.question.narrower) or 0.0
        numbers = decode(left, self.question.left), decode(right, self.question.right)
        return measure(*numbers, differs, tolerance)

    def _explained(self, left: Words, right: Words, alive: tuple[bool, ...]) -> tuple[bool, ...]:
        casts = zip(self.question.alternatives, alive, strict=True)
        return tuple(still and not cast.misses(left, right).any() for cast, still in casts)

    def _examine_again(self, alive: tuple[bool, ...], workspace: Workspace) -> tuple[bool, ...]:
        """Which round trips hold for all boxes looked at, those with equal bits included."""
        for number in chain.from_iterable(self.parts):
            left, right = self._read(self.grid.box(number), workspace)
            for start, stop in _slices(len(left), workspace.room.slice_words):
                alive = self._explained(left[start:stop], right[start:stop], alive)
            if not any(alive):
                break
        return alive

    def _elements(self, n_words: int) -> int:
        encoding = self.left.encoding
        return n_words // encoding.unit_words * encoding.unit_elements

    def _differing_elements(self, left: Words, right: Words, differs: Mask) -> Mask:
        encoding = self.left.encoding
        if encoding.unit_elements > 1:
            # Elements are counted from the least significant bit of the first byte on.
            changed: Words = left ^ right
            bits = np.unpackbits(changed, bitorder="little")
            elements: Mask = np.any(bits.reshape(-1, self.left.tensor.dtype.bits), axis=1)
            return elements
        if encoding.unit_words > 1:
            parts: Mask = np.any(differs.reshape(-1, encoding.unit_words), axis=1)
            return parts
        return differs

    def _position(self, local: int, box: Box) -> int:
        """The position in C order, in the tensor, of the element at `local` in the box."""
        unit, within = divmod(local, self.left.encoding.unit_elements)
        return self.grid.position(unit, box) * self.left.encoding.unit_elements + within


def _slices(n_words: int, step: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + step, n_words)) for start in range(0, n_words, step))


def _same_bits(left: Words, right: Words, workspace: Workspace) -> bool:
    """Whether two dense arrays of one length hold the same bytes; eight at a time, without an allocation."""
    first, second = left.view(np.uint8), right.view(np.uint8)
    whole = len(first) // 8 * 8
    flags = workspace.buffer("scratch")[: whole // 8].view(np.bool_)
    np.not_equal(first[:whole].view(np.uint64), second[:whole].view(np.uint64), out=flags)
    return not flags.any() and bool(np.array_equal(first[whole:], second[whole:]))
