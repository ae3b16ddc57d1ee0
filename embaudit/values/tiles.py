"""Reading one box of a strided tensor into a dense block of words, in C order, within one thread's buffers.

Knows strides, byte order and when it pays to read over gaps. Knows nothing of numbers.
"""

import sys
from collections.abc import Iterator
from itertools import product
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from embaudit.model.files import Reader
from embaudit.model.limits import KIB
from embaudit.model.tensors import TensorInfo
from embaudit.values.encodings import Encoding, Words, encoding_of
from embaudit.values.layout import Box, Sizes, check_layout, merge_dimensions, span_of
from embaudit.values.workspace import Bytes, Workspace

Units = npt.NDArray[Any]
"""Units as opaque items of their width."""

MOST_WASTE = 4
"""Bytes read for each byte wanted, at most, rather than to read every run by itself."""

LONG_RUN_BYTES = 64
"""Runs of so many bytes are worth a read each, if the gaps between them are too wide to be read over; of
shorter ones several fit into a cheap read."""

CHEAP_READ_BYTES = 8 * KIB
"""A read of so few bytes costs about as much as the call alone, so gaps inside it are read over."""


@attrs.frozen(kw_only=True)
class Source:
    """One tensor, ready to be read in units (see `Encoding`).

    Attributes:
        tensor: What is read.
        reader: What reads it.
        encoding: How its elements are stored.
        shape: Sizes in units, with as few dimensions as its partner's layout allows.
        stride: Steps in units.
    """

    tensor: TensorInfo
    reader: Reader
    encoding: Encoding
    shape: Sizes
    stride: Sizes


def open_sources(*sides: tuple[TensorInfo, Reader]) -> tuple[Source, ...]:
    """Tensors of one shape, none of them empty, to be read box by box; all get the same merged shape.

    Sub-byte types must not be mixed with others: their units count several elements.

    Raises:
        FormatError: If a tensor's span does not follow from its shape and stride.
    """
    encodings = [encoding_of(tensor.dtype) for tensor, _ in sides]
    for (tensor, _), encoding in zip(sides, encodings, strict=True):
        check_layout(tensor, encoding.unit_bytes, encoding.unit_elements)
    first, unit = sides[0][0], encodings[0].unit_elements
    if unit > 1:
        shape: Sizes = (first.n_elements // unit,)
        strides: tuple[Sizes, ...] = ((1,),) * len(sides)
    else:
        shape, strides = merge_dimensions(first.shape, *(tensor.stride for tensor, _ in sides))
    return tuple(
        Source(tensor=tensor, reader=reader, encoding=encoding, shape=shape, stride=stride)
        for (tensor, reader), encoding, stride in zip(sides, encodings, strides, strict=True)
    )


def read_box(source: Source, box: Box, workspace: Workspace, name: str) -> Words:
    """The words of one box, dense and in C order, in the machine's byte order.

    The array lies in the workspace's buffer `name`, and is overwritten by the next box read into it.

    Raises:
        SourceError: If the bytes cannot be read.
    """
    unit = source.encoding.unit_bytes
    dense = workspace.buffer(name)[: box.n_elements * unit]
    if source.stride == (1,):
        # The usual case, and the one that has to be fast: one run, one read.
        source.reader.read_into(source.tensor.file, source.tensor.start + box.starts[0] * unit, dense.data)
    else:
        _Gathering(source=source, workspace=workspace).fill(dense, box)
    words: Words = dense.view(source.encoding.word)
    if source.tensor.byte_order != sys.byteorder:
        words.byteswap(inplace=True)
    return words


@attrs.frozen(kw_only=True)
class _Gathering:
    """The reads that make up one box."""

    source: Source
    workspace: Workspace

    def fill(self, dense: Bytes, box: Box) -> None:
        """Fill `dense` with the units of a box, in C order."""
        unit = self.source.encoding.unit_bytes
        first = sum(start * step for start, step in zip(box.starts, self.source.stride, strict=True))
        position = self.source.tensor.start + first * unit
        merged, (steps,) = merge_dimensions(box.sizes, self.source.stride)
        if steps == (1,):
            self._read(position, dense)
            return
        self._scatter(dense.view(f"V{unit}").reshape(merged), position, steps)

    def _scatter(self, target: Units, position: int, stride: Sizes) -> None:
        """Fill a part of the block: in one read if that wastes little, else run by run, else by halves."""
        unit = self.source.encoding.unit_bytes
        span = span_of(target.shape, stride)
        pays = span * unit <= CHEAP_READ_BYTES or span <= MOST_WASTE * target.size
        if pays and span * unit <= self.workspace.room.block_bytes:
            units = self._scratch(span)
            self._read(position, units.view(np.uint8))
            steps = tuple(step * unit for step in stride)
            target[...] = as_strided(units, target.shape, steps, writeable=False)
            return
        order = sorted(range(target.ndim), key=lambda place: -stride[place])
        run, n_outer = _run_of([(target.shape[place], stride[place]) for place in order])
        if run * unit >= LONG_RUN_BYTES:
            stored = target.transpose(order)
            offsets = _offsets([(target.shape[place], stride[place]) for place in order[:n_outer]])
            stored[...] = self._read_runs([position + offset * unit for offset in offsets], run, stored.shape)
            return
        place = max(order, key=lambda place: (target.shape[place] > 1, stride[place]))
        half = target.shape[place] // 2
        before = (slice(None),) * place
        low, high = (*before, slice(half)), (*before, slice(half, None))
        self._scatter(target[low], position, stride)
        self._scatter(target[high], position + half * stride[place] * unit, stride)

    def _read_runs(self, positions: list[int], run: int, shape: Sizes) -> Units:
        """The units of runs that lie at given bytes, one after another, in the order of the file."""
        units = self._scratch(run * len(positions))
        content = units.view(np.uint8)
        step = run * units.itemsize
        for number, position in enumerate(positions):
            self._read(position, content[number * step : (number + 1) * step])
        return units.reshape(shape)

    def _scratch(self, n_units: int) -> Units:
        unit = self.source.encoding.unit_bytes
        return self.workspace.buffer("scratch")[: n_units * unit].view(f"V{unit}")

    def _read(self, position: int, target: Bytes) -> None:
        self.source.reader.read_into(self.source.tensor.file, position, target.data)


def _run_of(dimensions: list[tuple[int, int]]) -> tuple[int, int]:
    """How many units lie side by side in the file, and how many dimensions there are outside of such a run.

    Args:
        dimensions: Size and stride of each, the largest stride first.
    """
    run, n_outer = 1, len(dimensions)
    while n_outer and dimensions[n_outer - 1][1] == run:
        run *= dimensions[n_outer - 1][0]
        n_outer -= 1
    return run, n_outer


def _offsets(dimensions: list[tuple[int, int]]) -> Iterator[int]:
    """Where each index of some dimensions, given by size and stride, begins."""
    steps = (range(0, size * stride, stride) for size, stride in dimensions)
    return (sum(offsets) for offsets in product(*steps))
