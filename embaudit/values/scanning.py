"""Finding NaN, infinities, and what would become infinite in float16, in one tensor, box by box."""

from collections.abc import Sequence

import attrs
import numpy as np

from embaudit.model.files import Reader
from embaudit.model.tensors import TensorInfo
from embaudit.model.values import ValueScan
from embaudit.values.encodings import FloatFormat, Mask, beyond_float16, encoding_of, is_nan, not_finite
from embaudit.values.layout import Box, Grid, compact_grid, unravel
from embaudit.values.tiles import Source, open_sources, read_box
from embaudit.values.workers import PART_BYTES, Work, done
from embaudit.values.workspace import Room, Workspace


@attrs.frozen(kw_only=True)
class Found:
    """What was found in a part of a tensor; see `ValueScan`. Firsts are positions in C order."""

    n_nan: int = 0
    n_inf: int = 0
    n_negative_inf: int = 0
    n_beyond_float16: int = 0
    first_nan: int | None = None
    first_inf: int | None = None


def scan_of(tensor: TensorInfo, reader: Reader, room: Room) -> Work[Found, ValueScan]:
    """The work of scanning one tensor; a type that holds neither NaN nor infinity is not read.

    Raises:
        FormatError: If the tensor's byte span does not follow from its shape and stride.
    """
    number = encoding_of(tensor.dtype).number
    if number is None or tensor.n_elements == 0:
        return done(ValueScan(name=tensor.name))
    (source,) = open_sources((tensor, reader))
    grid = compact_grid(source.shape, [source.stride], room.block_bytes // source.encoding.unit_bytes)
    scanning = _Scanning(source=source, grid=grid, number=number)
    return Work(
        n_bytes=tensor.n_bytes,
        parts=grid.parts(PART_BYTES // room.block_bytes),
        run=scanning.scan,
        finish=scanning.conclude,
    )


@attrs.frozen(kw_only=True)
class _Scanning:
    """One tensor, its boxes, and its number format."""

    source: Source
    grid: Grid
    number: FloatFormat

    def scan(self, boxes: Sequence[int], workspace: Workspace) -> Found:
        """What some boxes hold."""
        return _total([self._scan_box(self.grid.box(number), workspace) for number in boxes])

    def conclude(self, parts: Sequence[Found], _workspace: Workspace) -> ValueScan:
        """What the whole tensor holds."""
        found, tensor = _total(parts), self.source.tensor
        return ValueScan(
            name=tensor.name,
            n_nan=found.n_nan,
            n_inf=found.n_inf,
            n_negative_inf=found.n_negative_inf,
            n_beyond_float16=found.n_beyond_float16,
            first_nan=None if found.first_nan is None else unravel(found.first_nan, tensor.shape),
            first_inf=None if found.first_inf is None else unravel(found.first_inf, tensor.shape),
        )

    def _scan_box(self, box: Box, workspace: Workspace) -> Found:
        words = read_box(self.source, box, workspace, "left")
        suspects = beyond_float16(words, self.number)
        if not suspects.any():
            return Found()
        nan = is_nan(words, self.number)
        infinite = not_finite(words, self.number) & ~nan
        negative = infinite & (words > words.dtype.type(self.number.magnitude_mask))
        special = self._elements(nan | infinite)
        nan = self._elements(nan)
        infinite = self._elements(infinite) & ~nan
        return Found(
            n_nan=int(np.count_nonzero(nan)),
            n_inf=int(np.count_nonzero(infinite)),
            n_negative_inf=int(np.count_nonzero(self._elements(negative) & infinite)),
            n_beyond_float16=int(np.count_nonzero(self._elements(suspects) & ~special)),
            first_nan=self._first(nan, box),
            first_inf=self._first(infinite, box),
        )

    def _elements(self, words: Mask) -> Mask:
        n_parts = self.source.encoding.unit_words
        if n_parts == 1:
            return words
        elements: Mask = np.any(words.reshape(-1, n_parts), axis=1)
        return elements

    def _first(self, elements: Mask, box: Box) -> int | None:
        return self.grid.position(int(elements.argmax()), box) if elements.any() else None


def _total(parts: Sequence[Found]) -> Found:
    return Found(
        n_nan=sum(part.n_nan for part in parts),
        n_inf=sum(part.n_inf for part in parts),
        n_negative_inf=sum(part.n_negative_inf for part in parts),
        n_beyond_float16=sum(part.n_beyond_float16 for part in parts),
        first_nan=min((part.first_nan for part in parts if part.first_nan is not None), default=None),
        first_inf=min((part.first_inf for part in parts if part.first_inf is not None), default=None),
    )
