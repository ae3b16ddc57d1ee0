"""Weight headers over a network: counted in requests, and the same as those read from a disk."""

import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.serialization import config

from embaudit.errors import EmbauditError
from embaudit.formats.checkpoints import parse_checkpoint
from embaudit.formats.view import ByteView, view_of
from embaudit.formats.zip_directory import read_directory
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.limits import DEFAULT_LIMITS, KIB

WINDOW = 64 * KIB
NEIGHBOURS = 4 * KIB
"""Gap between spans over which one request reaches."""


@attrs.define
class FarFile:
    """A file that is read over a network in windows, as `FarReader` promises; every request is noted."""

    size: int
    content: Callable[[int, int], bytes]
    requests: list[tuple[int, int]] = attrs.field(factory=list)
    unannounced: int = 0

    def view(self, *, infers: bool = True) -> ByteView:
        """The file, as its format reader sees it."""
        return ByteView("model.bin", self.size, self.read, self.expect, infers)

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a span; what is not kept is asked for with a window ahead or, at the end, before."""
        missing = list(self._missing(start, stop))
        if missing:
            self.unannounced += 1
            first, last = missing[0][0], missing[-1][1]
            if last == self.size:
                first = min(first, max(0, self.size - WINDOW))
            self.requests.append((first, min(max(last, first + WINDOW), self.size)))
        return self.content(start, stop)

    def expect(self, spans: Iterable[tuple[int, int]]) -> None:
        """Keep spans, neighbours in one request."""
        wanted = sorted(part for span in spans for part in self._missing(*span))
        joined: list[tuple[int, int]] = []
        for start, stop in wanted:
            if joined and start <= joined[-1][1] + NEIGHBOURS:
                joined[-1] = joined[-1][0], max(stop, joined[-1][1])
            else:
                joined.append((start, stop))
        self.requests += joined

    def _missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for first, last in sorted(self.requests):
            if start < first < stop:
                yield start, min(first, stop)
            if first < stop:
                start = max(start, last)
        if start < stop:
            yield start, stop

    def parse(self, *, infers: bool = True) -> Checkpoint:
        """The checkpoint."""
        return parse_checkpoint(self.view(infers=infers))


def far(data: bytes) -> FarFile:
    """A far file of these bytes."""
    return FarFile(len(data), lambda start, stop: data[start:stop])


def far_path(path: Path) -> FarFile:
    """A far file that lies on the disk, maybe a sparse one."""

    def content(start: int, stop: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)

    return FarFile(path.stat().st_size, content)


def bert_base(n_layers: int = 12) -> dict[str, torch.Tensor]:
    """A state dict of BERT-base's 199 tensors; memory is reserved and never touched."""
    shapes = {"embeddings.word_embeddings.weight": (30522, 768)}
    shapes |= {"embeddings.position_embeddings.weight": (512, 768)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, 768)}
    shapes |= {f"embeddings.LayerNorm.{kind}": (768,) for kind in ("weight", "bias")}
    for layer in range(n_layers):
        dense = {f"attention.self.{part}": (768, 768) for part in ("query", "key", "value")}
        dense |= {"attention.output.dense": (768, 768)}
        dense |= {"intermediate.dense": (3072, 768), "output.dense": (768, 3072)}
        for name, shape in dense.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        for part, kind in itertools.product(("attention.output", "output"), ("weight", "bias")):
            shapes[f"encoder.layer.{layer}.{part}.LayerNorm.{kind}"] = (768,)
    shapes |= {"pooler.dense.weight": (768, 768), "pooler.dense.bias": (768,)}
    return {name: torch.empty(shape) for name, shape in shapes.items()}


def sparse_zip(path: Path, value: object) -> FarFile:
    """The file that torch writes for `value`, with holes in place of the numbers."""
    with torch.serialization.skip_data():
        torch.save(value, path)
    return far_path(path)


class Holes(io.FileIO):
    """A file in which large writes leave holes."""

    def write(self, data: Any) -> int:
        """Write, or leave a hole of the same size."""
        n_bytes = memoryview(data).nbytes
        if n_bytes < 2 * WINDOW:
            return super().write(data)
        self.truncate(self.seek(n_bytes, io.SEEK_CUR))
        return n_bytes


def sparse_legacy(path: Path, value: object) -> FarFile:
    """The legacy file that torch writes for `value`, with holes in place of the numbers."""
    with Holes(str(path), "w") as file:
        torch.save(value, file, _use_new_zipfile_serialization=False)
    return far_path(path)


def near(file: FarFile, *, infers: bool = False) -> ByteView:
    """The same file on a disk, or with its places inferred."""
    return ByteView("model.bin", file.size, file.content, infers=infers)


def assert_same_as_on_disk(file: FarFile, checkpoint: Checkpoint) -> None:
    """Fail unless the file reads alike on a disk, where nothing is inferred."""
    assert attrs.evolve(checkpoint, inferred=0) == parse_checkpoint(near(file))


def test_a_zip_of_bert_base_takes_two_requests(tmp_path: Path) -> None:
    """Of 440 MB and 199 records, one window at the start and one at the end are enough."""
    file = sparse_zip(tmp_path / "model.bin", bert_base())

    checkpoint = file.parse()

    assert file.requests == [(0, WINDOW), (file.size - WINDOW, file.size)]
    assert (len(checkpoint.tensors), checkpoint.inferred) == (199, 199)
    assert_same_as_on_disk(file, checkpoint)


def test_a_legacy_file_of_bert_base_takes_one_request(tmp_path: Path) -> None:
    """Of 440 MB and 199 counts, one window at the start is enough."""
    file = sparse_legacy(tmp_path / "model.bin", bert_base())

    checkpoint = file.parse()

    assert file.requests == [(0, WINDOW)]
    assert (len(checkpoint.tensors), checkpoint.inferred) == (199, 199)
    assert_same_as_on_disk(file, checkpoint)


@pytest.mark.parametrize("sparse", [sparse_zip, sparse_legacy])
def test_what_is_to_be_exact_is_looked_up_all_at_once(
    tmp_path: Path, sparse: Callable[[Path, object], FarFile]
) -> None:
    """Where values will be read, every header or count is looked up, and none without being announced."""
    file = sparse(tmp_path / "model.bin", bert_base(n_layers=2))

    checkpoint = file.parse(infers=False)

    assert checkpoint.inferred == 0
    assert checkpoint == parse_checkpoint(near(file))
    assert file.unannounced <= 2
    assert 2 < len(file.requests) < len(checkpoint.tensors)


@pytest.mark.parametrize("sparse", [sparse_zip, sparse_legacy])
def test_what_is_looked_up_brings_along_what_a_sample_reads(
    tmp_path: Path, sparse: Callable[[Path, object], FarFile]
) -> None:
    """The first and last 2 KiB of each storage come with the header or count beside them, if there is one."""
    file = sparse(tmp_path / "model.bin", bert_base(n_layers=1))
    checkpoint = file.parse(infers=False)
    asked = len(file.requests)

    for tensor in checkpoint.tensors.values():
        file.expect([(tensor.start, tensor.start + 2 * KIB), (tensor.stop - 2 * KIB, tensor.stop)])

    # Of a legacy file nothing follows the last storage.
    assert all(stop == file.size for _, stop in file.requests[asked:])


def test_a_long_pickle_and_a_long_directory_take_one_request_more_each(tmp_path: Path) -> None:
    """What does not fit into the windows is asked for in one piece."""
    state = {f"{'layer.' * 20}{number}.weight": torch.empty(64, 64) for number in range(1500)}
    file = sparse_zip(tmp_path / "model.bin", state)

    checkpoint = file.parse()

    assert len(file.requests) == 4
    assert sum(stop - start for start, stop in file.requests) < 600 * KIB
    assert checkpoint.inferred == 1500
    assert_same_as_on_disk(file, checkpoint)


def test_a_zip_beyond_4_gib_takes_two_requests(tmp_path: Path) -> None:
    """The zip64 fields of large records, and of records behind them, are part of the arithmetic."""
    state = {"small": torch.ones(2), "large": torch.empty(2**30 + 1), "last": torch.ones(3)}
    file = sparse_zip(tmp_path / "large.bin", state)

    checkpoint = file.parse()

    assert len(file.requests) == 2
    assert checkpoint.inferred == 3
    assert_same_as_on_disk(file, checkpoint)


def test_records_that_are_not_where_torch_puts_them_are_looked_up_together(torch_files: Any) -> None:
    """A zip that another program packed is read right, by one announcement of all its local headers."""
    data = repacked(torch_files.saved({f"w{number}": torch.ones(20_000) for number in range(10)}))
    file = far(data)

    checkpoint = file.parse()

    assert checkpoint.inferred == 0
    assert file.unannounced == 2
    assert_same_as_on_disk(file, checkpoint)


def repacked(data: bytes) -> bytes:
    """The same members in the same order, as python's zipfile writes them: neither padded nor described."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), old.read(name))
    return packed.getvalue()


STATES = st.dictionaries(
    st.text(max_size=300),
    st.tuples(st.sampled_from([torch.float32, torch.int8, torch.bfloat16]), st.integers(0, 300)),
    max_size=6,
)


@given(
    state=STATES,
    alignment=st.sampled_from([1, 2, 64, 4096]) | st.integers(1, 2**16 - 8),
    crc=st.booleans(),
)
def test_what_torch_writes_is_inferred_as_it_is(
    state: dict[str, tuple[torch.dtype, int]], alignment: int, crc: bool
) -> None:
    """Of every file that torch writes, all places are inferred, and are those of the local headers."""
    buffer = io.BytesIO()
    with config.patch({"save.storage_alignment": alignment, "save.compute_crc32": crc}):
        torch.save({name: torch.zeros(size, dtype=dtype) for name, (dtype, size) in state.items()}, buffer)
    file = far(buffer.getvalue())

    checkpoint = file.parse()

    assert checkpoint.inferred == len(state)
    assert_same_as_on_disk(file, checkpoint)


def _small(*, zipped: bool) -> bytes:
    buffer = io.BytesIO()
    with config.patch("save.storage_alignment", 16):
        state = {"a": torch.arange(6.0), "b": torch.empty(0, 2), "c": torch.arange(3)}
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


SMALL = {"zip": _small(zipped=True), "legacy": _small(zipped=False)}


def _unread(data: bytes) -> set[int]:
    """The bytes that are not read where places are inferred: local headers and counts of storages."""
    view = view_of(data)
    starts = {tensor.storage: tensor.start for tensor in parse_checkpoint(view).tensors.values()}
    if not data.startswith(b"PK"):
        return {byte for start in starts.values() for byte in range(start - 8, start)}
    entries = {
        entry.name.rpartition("/data/")[2]: entry for entry in read_directory(view, DEFAULT_LIMITS).entries
    }
    return {byte for key, start in starts.items() for byte in range(entries[key].header, start)}


UNREAD = {form: _unread(data) for form, data in SMALL.items()}


def outcome(view: ByteView) -> object:
    """What a file is read as: the checkpoint, or the class of the error."""
    try:
        return attrs.evolve(parse_checkpoint(view), inferred=0)
    except EmbauditError as error:
        return type(error)


@pytest.mark.parametrize("form", SMALL)
@settings(max_examples=300)
@given(at=st.integers(4, 2000), content=st.binary(min_size=1, max_size=8))
def test_damage_is_told_but_where_nobody_reads(form: str, at: int, content: bytes) -> None:
    """A damaged file reads alike over a network and on a disk, but for headers and counts not looked up."""
    data = SMALL[form]
    at = 4 + at % (len(data) - 4)
    damaged = (data[:at] + content + data[at + len(content) :])[: len(data)]
    touched = {byte for byte in range(at, min(at + len(content), len(data))) if damaged[byte] != data[byte]}
    hidden = touched & UNREAD[form]

    over_network = outcome(far(damaged).view())

    if not hidden:
        assert over_network == outcome(view_of(damaged, "model.bin"))
    elif hidden == touched:
        assert over_network == outcome(view_of(data, "model.bin"))


def test_a_legacy_file_with_bytes_behind_it_is_looked_up() -> None:
    """Where the storages do not fill the file, the counts are read, and the bytes behind are told."""
    buffer = io.BytesIO()
    torch.save({"w": torch.ones(3)}, buffer, _use_new_zipfile_serialization=False)
    file = far(buffer.getvalue() + b"behind")

    checkpoint = file.parse()

    assert checkpoint.inferred == 0
    assert "6 bytes follow" in checkpoint.oddities[0].problem
    assert_same_as_on_disk(file, checkpoint)


@pytest.mark.parametrize("compute_crc", [True, False])
def test_the_directory_tells_the_checksum_of_a_storage(compute_crc: bool) -> None:
    """A tensor knows the CRC-32 of its storage, unless torch was told to leave it out."""
    values = torch.arange(9.0)
    buffer = io.BytesIO()
    with config.patch("save.compute_crc32", compute_crc):
        torch.save({"w": values[2:5], "none": torch.empty(0)}, buffer)

    tensors = parse_checkpoint(view_of(buffer.getvalue())).tensors

    assert tensors["w"].storage_crc == (zlib.crc32(values.numpy().tobytes()) if compute_crc else None)
    assert tensors["none"].storage_crc is None
