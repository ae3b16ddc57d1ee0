"""Where the elements of a strided tensor lie in a file, and in which boxes to read them.

Knows shapes, strides and byte spans. Reads nothing, and knows no numbers.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import prod
from typing import overload

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.model.files import Reader
from embaudit.model.limits import Limits
from embaudit.model.tensors import TensorInfo

Sizes = tuple[int, ...]


@attrs.frozen(kw_only=True)
class Box:
    """A rectangular part of a tensor.

    Attributes:
        starts: First index along each dimension.
        sizes: How many indices along each dimension.
    """

    starts: Sizes
    sizes: Sizes

    @property
    def n_elements(self) -> int:
        """Number of elements inside."""
        return prod(self.sizes)


@attrs.frozen(kw_only=True)
class Grid:
    """A tensor cut into boxes of one size, those at the far edges being smaller.

    Attributes:
        shape: Sizes of the tensor, none of them 0.
        tile: Sizes of a box.
    """

    shape: Sizes
    tile: Sizes

    @property
    def counts(self) -> Sizes:
        """How many boxes stand along each dimension."""
        return tuple(-(-size // tile) for size, tile in zip(self.shape, self.tile, strict=True))

    @property
    def n_boxes(self) -> int:
        """How many boxes there are."""
        return prod(self.counts)

    def parts(self, most: int) -> "Runs":
        """The numbers of all boxes, in order, in runs of `most`, the last one being shorter."""
        return Runs(self.n_boxes, max(most, 1))

    def sample(self) -> tuple[int, ...]:
        """The numbers of the first box, the middle one and the last, each once, in order."""
        return tuple(sorted({0, (self.n_boxes - 1) // 2, self.n_boxes - 1}))

    def box(self, number: int) -> Box:
        """The box `number`, counted from 0 in C order of the boxes."""
        corner = unravel(number, self.counts)
        starts = tuple(place * tile for place, tile in zip(corner, self.tile, strict=True))
        sizes = tuple(
            min(tile, size - start) for tile, size, start in zip(self.tile, self.shape, starts, strict=True)
        )
        return Box(starts=starts, sizes=sizes)

    def position(self, local: int, box: Box) -> int:
        """The position in C order, in the whole, of what lies at `local` in C order in a box."""
        place = unravel(local, box.sizes)
        return ravel([start + step for start, step in zip(box.starts, place, strict=True)], self.shape)


class Runs(Sequence[range]):
    """The numbers from 0 to `stop`, not included, in runs of `step`; made one at a time, however many."""

    def __init__(self, stop: int, step: int) -> None:
        self._stop = stop
        self._starts = range(0, stop, step)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> range: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[range]: ...

    def __getitem__(self, place: int | slice) -> range | Sequence[range]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        start = self._starts[place]
        return range(start, min(start + self._starts.step, self._stop))


def unravel(position: int, shape: Sequence[int]) -> Sizes:
    """The index of the element at `position` in C order."""
    index = []
    for size in reversed(shape):
        position, place = divmod(position, size)
        index.append(place)
    return tuple(reversed(index))


def ravel(index: Sequence[int], shape: Sequence[int]) -> int:
    """The position in C order of the element at `index`."""
    position = 0
    for place, size in zip(index, shape, strict=True):
        position = position * size + place
    return position


def span_of(sizes: Sequence[int], stride: Sequence[int]) -> int:
    """Elements from the first to the last one that a non-empty box touches, both included."""
    return 1 + sum((size - 1) * step for size, step in zip(sizes, stride, strict=True))


def merge_dimensions(shape: Sizes, *strides: Sizes) -> tuple[Sizes, tuple[Sizes, ...]]:
    """The same elements in the same C order with as few dimensions as all `strides` allow; at least one.

    Dimensions of size 1 go, and neighbours that every stride steps through evenly become one. No size may
    be 0.
    """
    kept = [place for place, size in enumerate(shape) if size != 1]
    sizes = [shape[place] for place in kept[:1]]
    steps = [[stride[place] for stride in strides] for place in kept[:1]]
    for outer, inner in pairwise(kept):
        size = shape[inner]
        if all(stride[outer] == stride[inner] * size for stride in strides):
            sizes[-1] *= size
            steps[-1] = [stride[inner] for stride in strides]
        else:
            sizes.append(size)
            steps.append([stride[inner] for stride in strides])
    if not kept:
        return (1,), tuple((1,) for _ in strides)
    return tuple(sizes), tuple(zip(*steps, strict=True))


def row_grid(shape: Sizes, most: int) -> Grid:
    """Boxes of at most `most` elements that follow each other in C order of the elements."""
    tile = list(shape)
    for place in range(len(tile)):
        inner = prod(tile[place + 1 :])
        tile[place] = max(1, min(tile[place], most // inner))
        if tile[place] > 1:
            break
    return Grid(shape=shape, tile=tuple(tile))


def compact_grid(shape: Sizes, strides: Sequence[Sizes], most: int) -> Grid:
    """Boxes of at most `most` elements whose bytes lie as close together as the layouts allow.

    Between a matrix and its transpose the boxes come out square, so that both sides are read in runs of the
    same length, and no byte is read twice.
    """
    nearest = [min(steps) for steps in zip(*strides, strict=True)]
    tile = list(shape)
    while prod(tile) > most:
        place = max(range(len(tile)), key=lambda place: (tile[place] > 1, nearest[place], tile[place]))
        others = prod(tile) // tile[place]
        tile[place] = max(-(-tile[place] // 2), min(tile[place] - 1, most // others))
    return Grid(shape=shape, tile=tuple(tile))


def check_layout(tensor: TensorInfo, unit_bytes: int, unit_elements: int) -> None:
    """Hold the byte span of a tensor, which must not be empty, against its shape and stride.

    Raises:
        FormatError: If they disagree, which no format reader lets pass.
    """
    if len(tensor.shape) != len(tensor.stride) or min((*tensor.shape, *tensor.stride), default=0) < 0:
        raise FormatError(f"tensor {tensor.name!r} has an impossible shape or stride", tensor.file)
    if unit_elements > 1 and (not tensor.is_contiguous or tensor.n_elements % unit_elements):
        problem = f"tensor {tensor.name!r} of type {tensor.dtype} is not a run of whole bytes"
        raise FormatError(problem, tensor.file)
    n_units = (
        tensor.n_elements // unit_elements if unit_elements > 1 else span_of(tensor.shape, tensor.stride)
    )
    expected = n_units * unit_bytes
    if tensor.stop - tensor.start != expected or tensor.start < 0:
        problem = f"tensor {tensor.name!r} should span {expected} bytes, not {tensor.stop - tensor.start}"
        raise FormatError(problem, f"{tensor.file}: byte {tensor.start}")


def repeated_bytes(tensors: Iterable[tuple[TensorInfo, Reader]]) -> int:
    """How many bytes of values the tensors hold beyond those of the files that hold them.

    Expanded, overlapping and shared tensors hold more values than bytes; a few hundred bytes of a hostile
    file can stand for any number of them.
    """
    n_bytes = covered = reached = 0
    place: tuple[int, str] | None = None
    spans = sorted(
        (id(reader), tensor.file, tensor.start, tensor.stop, tensor.n_bytes) for tensor, reader in tensors
    )
    for reader, file, start, stop, size in spans:
        if (reader, file) != place:
            place, reached = (reader, file), 0
        n_bytes += size
        covered += max(stop - max(start, reached), 0)
        reached = max(reached, stop)
    return n_bytes - covered


def check_repetition(limits: Limits, *sides: Iterable[tuple[TensorInfo, Reader]]) -> None:
    """Refuse tensors that hold far more values than bytes, on all sides that are read together.

    One side without repetition is enough: what the other repeats is then held against real bytes.

    Raises:
        LimitError: If every side repeats more than `limits.repeated_bytes`.
    """
    repeated = min(repeated_bytes(side) for side in sides)
    if repeated > limits.repeated_bytes:
        problem = (
            f"tensors expand or overlap to {repeated} bytes more than their files hold, "
            f"over the limit of {limits.repeated_bytes}"
        )
        raise LimitError(problem, limit="repeated_bytes")
