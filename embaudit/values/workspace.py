"""How much memory the comparing of values may take, and the buffers that each thread works in.

The partition of a tensor into boxes depends on the limits alone, never on the number of threads, so that
every result is the same on every machine.
"""

import attrs
import numpy as np
import numpy.typing as npt

from embaudit.errors import LimitError
from embaudit.model.limits import KIB, Limits

Bytes = npt.NDArray[np.uint8]

BLOCK_BYTES = 512 * KIB
"""Bytes of a box on one side. Measured on two cores over files in the page cache: blocks of 64 KiB lose half
the time to calls, from 512 KiB to 2 MiB it is flat, and two blocks of 512 KiB fit an L2 cache of 1 MiB."""

BLOCKS_PER_WORKER = 8
"""Blocks that one thread holds at most: two sides, one to gather strided elements in, and `SLICES_PER_BLOCK`
makes sure that the arrays of the closer look take less than five."""

SLICES_PER_BLOCK = 32
"""The closer look takes a block's elements in slices of so many bytes fewer than the block has. It holds some
fifteen arrays of 8-byte numbers, so about four blocks at once."""

LEAST_WORK_BYTES = 64 * KIB
"""Below this there is no room for a block."""

_ALIGNMENT = 64


@attrs.frozen(kw_only=True)
class Room:
    """The memory plan of one call.

    Attributes:
        block_bytes: Bytes of each buffer.
        most_workers: How many threads may hold buffers at once.
    """

    block_bytes: int
    most_workers: int

    @property
    def slice_words(self) -> int:
        """Words that the closer look takes at once: whole units of 1, 2 or 3 words."""
        return self.block_bytes // SLICES_PER_BLOCK // 6 * 6


def room_within(limits: Limits) -> Room:
    """The memory plan that keeps all threads together within `limits.work_bytes`.

    Raises:
        LimitError: If that is less than the least a single thread needs.
    """
    if limits.work_bytes < LEAST_WORK_BYTES:
        problem = (
            f"values cannot be compared within {limits.work_bytes} bytes, only from {LEAST_WORK_BYTES} on"
        )
        raise LimitError(problem, limit="work_bytes")
    block = min(BLOCK_BYTES, limits.work_bytes // BLOCKS_PER_WORKER) // _ALIGNMENT * _ALIGNMENT
    return Room(block_bytes=block, most_workers=limits.work_bytes // (block * BLOCKS_PER_WORKER))


class Workspace:
    """The buffers of one thread, made when first used and then used again."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._buffers: dict[str, Bytes] = {}

    def buffer(self, name: str) -> Bytes:
        """The buffer of that name, of `room.block_bytes` bytes, with the contents of its last use."""
        if name not in self._buffers:
            self._buffers[name] = np.empty(self.room.block_bytes, np.uint8)
        return self._buffers[name]
