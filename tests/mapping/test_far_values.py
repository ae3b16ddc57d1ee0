"""Values over a network are read where local headers say they are, never where that was only inferred."""

import io
import struct
from collections.abc import Iterable

import attrs
import pytest
import torch

from embaudit.diffing import diff_snapshots
from embaudit.mapping import map_tensors
from embaudit.model.files import Reader, Snapshot, Span
from embaudit.model.tensor_map import Agreement, Depth
from embaudit.reading import open_checkpoint
from embaudit.sources import MemorySource

NAME = "pytorch_model.bin"


class FarMemory:
    """A reader for which reads count as requests over a network."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def fetch(self, spans: Iterable[Span]) -> None:
        """Nothing is kept: every read is answered anyway."""

    def read(self, path: str, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`."""
        return self.reader.read(path, start, stop)

    def read_into(self, path: str, start: int, buffer: memoryview) -> None:
        """Fill the buffer."""
        self.reader.read_into(path, start, buffer)


def near(data: bytes) -> Snapshot:
    """A snapshot of one weight file at hand."""
    return MemorySource({NAME: data}).snapshot()


def far(data: bytes) -> Snapshot:
    """The same, over a network."""
    snapshot = near(data)
    assert snapshot.reader is not None
    return attrs.evolve(snapshot, reader=FarMemory(snapshot.reader))


def saved() -> bytes:
    """A zip that torch writes."""
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(2000.0)}, buffer)
    return buffer.getvalue()


def shifted(data: bytes) -> bytes:
    """The same zip, whose storage begins 4 bytes earlier by its local header, which torch would follow."""
    start = open_checkpoint(near(data)).tensors["w"].start
    header = data.rindex(b"PK\x03\x04", 0, start)
    n_name, n_extra = struct.unpack_from("<2H", data, header + 26)
    assert header + 30 + n_name + n_extra == start
    return data[: header + 28] + struct.pack("<H", n_extra - 4) + data[header + 30 :]


ORIGINAL = saved()
SHIFTED = shifted(ORIGINAL)


def test_at_depth_headers_a_local_header_is_not_asked_for() -> None:
    """The place of the storage is inferred over a network, and read from its header at hand or on demand."""
    start = open_checkpoint(near(ORIGINAL)).tensors["w"].start
    inferred, exact = open_checkpoint(far(SHIFTED)), open_checkpoint(far(SHIFTED), exact=True)

    assert (inferred.inferred, inferred.tensors["w"].start) == (1, start)
    assert (exact.inferred, exact.tensors["w"].start) == (0, start - 4)
    assert exact == open_checkpoint(near(SHIFTED))


@pytest.mark.parametrize("depth", [Depth.SAMPLED, Depth.FULL])
def test_values_are_read_as_on_a_disk(depth: Depth) -> None:
    """A header that shifts the values, as torch would read them, is seen as soon as values are."""
    mapped = map_tensors(far(ORIGINAL), far(SHIFTED), depth=depth)
    diff = diff_snapshots(far(ORIGINAL), far(SHIFTED), depth=depth)

    assert mapped == map_tensors(near(ORIGINAL), near(SHIFTED), depth=depth)
    assert mapped.pairs[0].values is Agreement.DIFFERENT
    assert [pair.values for each in diff.tensors for pair in each.pairs] == [Agreement.DIFFERENT]
