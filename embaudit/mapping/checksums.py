"""What the checksums in the directories of two files tell of a pair of tensors.

Knows layouts and the CRC-32 that a zip's directory claims of each storage; reads nothing. A CRC-32 is proof
against accidents, not against intent: whoever writes a file can give it any.
"""

import attrs

from embaudit.model.tensor_map import Agreement, Depth, TensorPair
from embaudit.model.tensors import TensorInfo


def judged_by_checksum(pair: TensorPair, left: TensorInfo, right: TensorInfo, depth: Depth) -> TensorPair:
    """The pair, with what checksums tell of it where nothing that was looked at tells more.

    Equal checksums of storages of one size make tensors of one layout `identical-by-checksum`. Other
    checksums make them `different` if each tensor is its whole storage: some bits differ, unknown which.
    """
    open_to = Agreement.NOT_COMPARED if depth is Depth.HEADERS else Agreement.IDENTICAL_IN_SAMPLE
    if pair.values is not open_to or left.storage_crc is None or right.storage_crc is None:
        return pair
    if _layout(left) != _layout(right):
        return pair
    if left.storage_crc == right.storage_crc and left.storage_bytes == right.storage_bytes:
        return attrs.evolve(pair, values=Agreement.IDENTICAL_BY_CHECKSUM, n_different=None)
    if left.storage_crc != right.storage_crc and _is_whole_storage(left) and _is_whole_storage(right):
        return attrs.evolve(pair, values=Agreement.DIFFERENT, n_different=None)
    return pair


def _layout(tensor: TensorInfo) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride, tensor.storage_offset, tensor.byte_order


def _is_whole_storage(tensor: TensorInfo) -> bool:
    """Whether every byte of the storage belongs to the tensor."""
    packed = tensor.is_contiguous or tensor.is_column_major
    return packed and tensor.n_bytes == tensor.storage_bytes
