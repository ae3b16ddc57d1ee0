"""Reads torch's oldest checkpoints, those of its 0.1 releases: tar archives of pickles and raw numbers.

Three members matter. `storages` is the number of storages and, for each, a pickle `(key, location, class)`,
an int64 count and the elements; then a pickled list of views `(key, root key, offset, size)`. `tensors` is
the number of tensors and, for each, a pickle `(key, storage key, class)`, an int32 of dimensions, 4 bytes,
the sizes, the strides and the offset, all int64. `pickle` is the object; it refers to tensors by their keys.
Everything is little-endian, and offsets count elements.
Source: `legacy_load` in https://github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py.

The archive itself is read here, since only plain members with plain headers are believed; of the storages'
elements nothing is read but what lies within a step of 512 bytes behind a pickle.
"""

from collections.abc import Mapping
from struct import unpack

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_nodes import PersistentId, Pickled, PickleValue
from embaudit.formats.pickle_row import PickleRow
from embaudit.formats.state_dicts import find_tensors, tied_groups
from embaudit.formats.torch_globals import STORAGES, global_key
from embaudit.formats.torch_pickles import summarise
from embaudit.formats.torch_storages import Storage
from embaudit.formats.torch_tensors import Dense, Places
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, Oddity
from embaudit.model.limits import Limits

_BLOCK = 512
_MAX_MEMBERS = 64
"""Headers of the archive that are followed; torch writes four members, each with at most one extension."""
_MAX_EXTENSION = 4096
_STEP = 512
_NUMBER_BYTES = 8
_MAX_DIMENSIONS = 64
_USED = ("storages", "tensors", "pickle")


@attrs.define
class _Tar:
    """The reading of one tar checkpoint: the members' spans, and what has been found in them."""

    view: ByteView
    limits: Limits
    members: Mapping[str, tuple[int, int]]
    pickles: list[Pickled] = attrs.field(factory=list)
    starts: dict[str, int] = attrs.field(factory=dict)
    storages: dict[int, Storage] = attrs.field(factory=dict)
    tensors: dict[int, Dense] = attrs.field(factory=dict)

    def row(self, name: str) -> PickleRow:
        """The pickles of a member."""
        start, stop = self.members[name]
        view = ByteView(self.view.path, stop, self.view.read)
        return PickleRow(view, self.limits, first_step=_STEP, origin=start, at=start)

    def next(self, row: PickleRow) -> PickleValue:
        """The value of the next pickle in `row`, which is kept to be judged."""
        pickled = row.next()
        self.pickles.append(pickled)
        return pickled.value


def parse_torch_tar(view: ByteView, limits: Limits) -> Checkpoint:
    """The checkpoint in a tar file.

    Raises:
        FormatError: If torch would refuse the file, or it isn't one of torch's.
        LimitError: If it exceeds a limit.
    """
    tar = _Tar(view, limits, _read_members(view))
    _read_storages(tar)
    _read_tensors(tar)
    row = tar.row("pickle")
    value = tar.next(row)
    strangers = tuple(
        f"the pickle refers at byte {reference.position} to something that is not one of its tensors"
        for reference in tar.pickles[-1].persistent_ids
        if not _resolve(tar, reference)
    )
    places = Places(file=view.path, starts=tar.starts, byte_order="little")
    found = find_tensors(value, places, row.at - tar.members["pickle"][0], limits)
    obsolete = Oddity(file=view.path, problem="the file is in the tar format that torch left in 2017")
    return Checkpoint(
        name=view.path,
        format=CheckpointFormat.TORCH_TAR,
        files=(view.path,),
        tensors=found.tensors,
        metadata=found.metadata,
        tied=tied_groups(found.tensors.values()),
        pickle=summarise(tar.pickles, (*strangers, *found.reasons)),
        state_dict=found.state_dict,
        containers=found.containers,
        oddities=(obsolete, *found.oddities),
    )


def _read_members(view: ByteView) -> dict[str, tuple[int, int]]:
    """Name to first byte and byte after the last, of the archive's members."""
    members: dict[str, tuple[int, int]] = {}
    at = 0
    for _ in range(_MAX_MEMBERS + 1):
        header = view.read(at, at + _BLOCK)
        if len(header) < _BLOCK or not header.strip(b"\0"):
            break
        name, size, kind = _read_header(header, at)
        start = at + _BLOCK
        if start + size > view.size:
            raise FormatError(f"tar member {name!r} at byte {at} is cut short")
        if kind in {b"x", b"g"}:
            _check_extension(view.read(start, start + min(size, _MAX_EXTENSION + 1)), at)
        elif name in members:
            raise FormatError(f"the tar has two members {name!r}: two readings")
        else:
            members[name] = (start, start + size)
        at = start + -(-size // _BLOCK) * _BLOCK
    else:
        # torch takes the last member of a name, which may lie behind any number of others.
        raise FormatError(f"is a tar archive of more than {_MAX_MEMBERS} headers: not a torch checkpoint")
    missing = [name for name in _USED if name not in members]
    if missing:
        raise FormatError(f"is a tar archive without a member {missing[0]!r}: not a torch checkpoint")
    return members


def _read_header(header: bytes, at: int) -> tuple[str, int, bytes]:
    """Name, size and type of the member whose header stands at byte `at`."""
    size, kind = header[124:136].strip(b"\0 "), header[156:157]
    if not size.isdigit() or kind not in {b"0", b"\0", b"x", b"g"}:
        raise FormatError(f"the tar member at byte {at} is not a plain file")
    try:
        return header[:100].rstrip(b"\0").decode("ascii", "backslashreplace"), int(size, 8), kind
    except ValueError:
        raise FormatError(f"the tar member at byte {at} has no size") from None


def _check_extension(records: bytes, at: int) -> None:
    # Python writes one for the fraction of a second in a file's time; a new name or size would be a trick.
    if len(records) > _MAX_EXTENSION or any(word in records for word in (b"path=", b"size=", b"sparse")):
        raise FormatError(f"the tar extension at byte {at} renames or resizes a member")


def _read_storages(tar: _Tar) -> None:
    row = tar.row("storages")
    for _ in range(_count(tar, row)):
        value = tar.next(row)
        if type(value) is not tuple or len(value) != 3:  # noqa: PLR2004 - see the module docstring
            raise FormatError(f"the storage before byte {row.at} is not described as torch does")
        key, _location, storage_class = value
        name = global_key(storage_class)
        dtype = STORAGES.get(name) if name is not None else None
        number = _key(key)
        if dtype is None or number is None or number in tar.storages:
            raise FormatError(f"the storage before byte {row.at} has no class or key of its own")
        position = row.at
        n_bytes = _integers(row, 1)[0] * dtype.item_bytes
        if n_bytes < 0:
            raise FormatError(f"the storage at byte {position} has a negative size")
        tar.starts[str(number)] = row.at
        row.skip(n_bytes)
        tar.storages[number] = Storage(str(number), dtype, n_bytes, 0, n_bytes, position)
    _read_views(tar, tar.next(row))


def _read_views(tar: _Tar, views: PickleValue) -> None:
    """Add the storages that show a part of another."""
    for view in views if type(views) is list else ():
        numbers = [_key(number) for number in view] if type(view) is tuple else []
        if len(numbers) != 4 or None in numbers or numbers[1] not in tar.storages:  # noqa: PLR2004 - as above
            raise FormatError("a view of a storage is not described as torch does")
        target, root_key, offset, size = (number for number in numbers if number is not None)
        root = tar.storages[root_key]
        first = root.first + offset * root.dtype.item_bytes
        last = first + size * root.dtype.item_bytes
        if not root.first <= first <= last <= root.last:
            raise FormatError(f"view {target} does not lie in storage {root_key}")
        tar.storages[target] = attrs.evolve(root, first=first, last=last)


def _read_tensors(tar: _Tar) -> None:
    row = tar.row("tensors")
    for _ in range(_count(tar, row)):
        value = tar.next(row)
        numbers = [_key(item) for item in value[:2]] if type(value) is tuple else []
        if len(numbers) != 2 or numbers[0] is None or numbers[1] not in tar.storages:  # noqa: PLR2004 - as above
            raise FormatError(f"the tensor before byte {row.at} has no key or no storage")
        n_dimensions = _integers(row, 1)[0] & 0xFFFFFFFF
        if n_dimensions > _MAX_DIMENSIONS:
            raise FormatError(f"the tensor before byte {row.at} has {n_dimensions} dimensions")
        size, stride = _integers(row, n_dimensions), _integers(row, n_dimensions)
        (offset,) = _integers(row, 1)
        storage = PersistentId(None, row.at, tar.storages[numbers[1]])
        tar.tensors[numbers[0]] = Dense(storage, offset, size, stride)


def _count(tar: _Tar, row: PickleRow) -> int:
    count = tar.next(row)
    if type(count) is not int or count < 0:
        raise FormatError(f"the pickle before byte {row.at} is not a number of storages or tensors")
    if count > tar.limits.tensors:
        raise LimitError(f"{count} storages or tensors, more than {tar.limits.tensors}", "", "tensors")
    return count


def _integers(row: PickleRow, n: int) -> tuple[int, ...]:
    numbers: tuple[int, ...] = unpack(f"<{n}q", row.take(n * _NUMBER_BYTES))
    return numbers


def _key(value: PickleValue) -> int | None:
    """A key, offset or size: a number from 0 on, in python 2 files as text."""
    if type(value) is str and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - digits of an address
        return int(value)
    return value if type(value) is int and value >= 0 else None


def _resolve(tar: _Tar, reference: PersistentId) -> bool:
    """Give a reference of the object what it refers to; tells whether there is such a thing."""
    number = _key(reference.value)
    if number is None:
        return False
    reference.storage = tar.tensors.get(number, tar.storages.get(number))
    return reference.storage is not None
