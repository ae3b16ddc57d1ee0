"""What a checkpoint says about one tensor: its type, its layout, and the bytes of the file that hold it."""

from collections.abc import Iterable
from math import prod

import attrs

from embaudit.model.dtypes import DType


def contiguous_stride(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The stride, in elements, of a C-contiguous tensor; as torch computes it, a size of 0 counts as 1."""
    stride: list[int] = []
    step = 1
    for size in reversed(shape):
        stride.append(step)
        step *= max(size, 1)
    return tuple(reversed(stride))


@attrs.frozen(kw_only=True, slots=True)
class TensorInfo:
    """One named tensor of a checkpoint, as its header describes it.

    Attributes:
        name: The name in the file; nested containers join their keys with dots.
        dtype: The element type as stored.
        shape: Sizes in elements, outermost first; `()` for a scalar.
        stride: Steps between neighbours in elements, one per dimension; may be 0 (expanded tensors).
        storage_offset: Elements of the storage before the tensor's first.
        storage: Key of the storage that holds the elements. Tensors of one file with equal keys share memory
            when a reader loads them. In safetensors each tensor is its own storage, named like the tensor.
        file: Path, inside the repository, of the file that holds the bytes.
        start: First byte of `file` that the tensor's elements touch.
        stop: Byte after the last one they touch. `stop - start` equals `n_bytes` for contiguous tensors, is
            larger for strided ones, and 0 for empty ones.
        byte_order: `little` or `big`, as the file was written.
        storage_crc: CRC-32 of the whole storage as the file's directory claims it; None if it claims none.
        storage_bytes: Bytes that the checksum is of: those of the whole storage; None where there is none.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    storage_offset: int
    storage: str
    file: str
    start: int
    stop: int
    byte_order: str = "little"
    storage_crc: int | None = None
    storage_bytes: int | None = None

    @property
    def n_elements(self) -> int:
        """Number of elements: the product of `shape`."""
        return prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes of the elements if they lie side by side."""
        return self.n_elements * self.dtype.bits // 8

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps, as torch rules: sizes of 1 do not count."""
        return self._is_packed(range(len(self.shape) - 1, -1, -1))

    @property
    def is_column_major(self) -> bool:
        """Whether the elements lie in Fortran order without gaps: a transposed contiguous tensor."""
        return self._is_packed(range(len(self.shape)))

    def _is_packed(self, innermost_first: Iterable[int]) -> bool:
        if 0 in self.shape:
            return True
        step = 1
        for dimension in innermost_first:
            size = self.shape[dimension]
            if size != 1 and self.stride[dimension] != step:
                return False
            step *= size
        return True
