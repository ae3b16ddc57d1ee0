"""Reads torch's checkpoints from before 1.6: five pickles in a row, then the storages one after another.

The pickles are a magic number, a protocol version, facts of the writing machine, the object, and the list of
storage keys; for each key in the list's order there follow the number of its elements, an int64, and its
bytes, little-endian whatever the machine.
Source: `_legacy_save` and `_legacy_load` of
https://github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py.

Where the pickles end is known only once they are read, so the file is read from its start in growing steps,
which may reach into tensor data; beyond them, only the counts are read. Over a network, where each count is a
request, none is read if the storages that the pickles describe fill the rest of the file exactly.
"""

from collections.abc import Iterator

from embaudit.errors import FormatError
from embaudit.formats.pickle_nodes import DictNode, PersistentId, Pickled, PickleValue
from embaudit.formats.pickle_row import PickleRow
from embaudit.formats.state_dicts import find_tensors, tied_groups
from embaudit.formats.torch_globals import UNTYPED_STORAGES, global_key
from embaudit.formats.torch_pickles import foreign_names, summarise
from embaudit.formats.torch_storages import LEGACY_ITEMS, Storage, resolve_storages
from embaudit.formats.torch_tensors import Places
from embaudit.formats.view import ByteView
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, Oddity
from embaudit.model.limits import Limits

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_COUNT_BYTES = 8
_N_PICKLES = 5
_MAX_NAMED = 10


def parse_torch_legacy(view: ByteView, limits: Limits) -> Checkpoint:
    """The checkpoint in a legacy torch file.

    Raises:
        FormatError: If torch would refuse the file; for a pickle that isn't torch's, it tells what that
            would import.
        LimitError: If it exceeds a limit.
    """
    row = PickleRow(view, limits)
    pickles = [row.next()]
    reasons = _check_magic(row, pickles)
    while len(pickles) < _N_PICKLES:
        pickles.append(row.next())
    oddities = _check_machine(view, pickles[2].value)
    references = [reference for pickled in pickles for reference in pickled.persistent_ids]
    storages, strangers = resolve_storages(references, LEGACY_ITEMS)
    oddities += _untyped(view, references)
    keys = _keys(pickles[4].value)
    fits = view.infers and _fits(view, row.at, keys, storages)
    if fits:
        starts = dict(zip(keys, _data_starts(row.at, keys, storages), strict=True))
    else:
        starts = _storage_starts(view, row.at, keys, storages, oddities)
    places = Places(file=view.path, starts=starts, byte_order="little")
    found = find_tensors(pickles[3].value, places, row.at, limits)
    return Checkpoint(
        name=view.path,
        format=CheckpointFormat.TORCH_LEGACY,
        files=(view.path,),
        tensors=found.tensors,
        metadata=found.metadata,
        tied=tied_groups(found.tensors.values()),
        pickle=summarise(pickles, (*reasons, *strangers, *found.reasons)),
        state_dict=found.state_dict,
        containers=found.containers,
        oddities=(*oddities, *found.oddities),
        inferred=len(starts) if fits else 0,
    )


def _check_magic(row: PickleRow, pickles: list[Pickled]) -> list[str]:
    """Hold the first two pickles against torch's numbers; gives reasons why the file isn't only tensors.

    A number that the pickle would compute is believed, since torch would compute it, if the next one fits:
    so that what follows is looked at, too.
    """
    first = pickles[0]
    if first.value == MAGIC_NUMBER and type(first.value) is int:
        pickles.append(row.next())
        if pickles[1].value != PROTOCOL_VERSION:
            raise FormatError("the file has another protocol version than torch's legacy files, 1001")
        return []
    if first.globals and _is_followed_by_version(row, pickles):
        return ["the magic number of the file is computed by a call"]
    names = foreign_names(first.globals)
    imports = f" that imports {', '.join(names[:_MAX_NAMED])}" if names else ""
    raise FormatError(f"the file is a pickle{imports}, not a torch checkpoint: it has no storages")


def _is_followed_by_version(row: PickleRow, pickles: list[Pickled]) -> bool:
    try:
        pickles.append(row.next())
    except FormatError:
        return False
    return type(pickles[1].value) is int and pickles[1].value == PROTOCOL_VERSION


def _check_machine(view: ByteView, facts: PickleValue) -> list[Oddity]:
    """What is odd about the facts of the writing machine, which torch itself does not look at."""
    if type(facts) is not DictNode:
        return [Oddity(file=view.path, problem="the third pickle holds no facts of the writing machine")]
    pairs = zip(facts.pairs[::2], facts.pairs[1::2], strict=True)
    if any(type(key) is str and key == "little_endian" and value is False for key, value in pairs):
        return [Oddity(file=view.path, problem="the file was written on a big-endian machine")]
    return []


def _untyped(view: ByteView, references: list[PersistentId]) -> list[Oddity]:
    """Whether there are untyped storages: torch 2.13 writes them for newer dtypes, and cannot read them."""
    for reference in references:
        if reference.storage is not None and global_key(reference.value[1]) in UNTYPED_STORAGES:
            problem = "the file has untyped storages, which torch.load refuses in this format"
            return [Oddity(file=view.path, problem=problem, position=reference.position)]
    return []


def _keys(value: PickleValue) -> list[str]:
    if type(value) is not list or not all(type(key) is str for key in value):
        raise FormatError("the fifth pickle is not the list of storage keys")
    return value


def _fits(view: ByteView, at: int, keys: list[str], storages: dict[str, Storage]) -> bool:
    """Whether the listed storages, each behind its count, fill the file from byte `at` to its end."""
    n_bytes = sum(_COUNT_BYTES + storage.n_bytes for storage in storages.values())
    return len(keys) == len(storages) and storages.keys() == set(keys) and at + n_bytes == view.size


def _data_starts(at: int, keys: list[str], storages: dict[str, Storage]) -> Iterator[int]:
    """The byte where each listed storage begins; the first count stands at byte `at`."""
    for key in keys:
        yield at + _COUNT_BYTES
        at += _COUNT_BYTES + storages[key].n_bytes


def _storage_starts(
    view: ByteView, at: int, keys: list[str], storages: dict[str, Storage], oddities: list[Oddity]
) -> dict[str, int]:
    """The byte of the file where each storage begins; the first count stands at byte `at`."""
    if storages.keys() >= set(keys):
        view.announce((start - _COUNT_BYTES, start) for start in _data_starts(at, keys, storages))
    starts: dict[str, int] = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None or key in starts:
            raise FormatError(f"storage {key!r} is listed twice, or is not one of the pickle's")
        start = at + _COUNT_BYTES
        at = start + storage.n_bytes
        if at > view.size:
            raise FormatError(f"storage {key!r} ends at byte {at}, and the file at byte {view.size}")
        n_elements = int.from_bytes(view.read(start - _COUNT_BYTES, start), "little", signed=True)
        if n_elements * storage.dtype.item_bytes != storage.n_bytes:
            raise FormatError(
                f"storage {key!r} has {storage.n_bytes} bytes by the pickle and {n_elements} elements by the "
                f"count at byte {start - _COUNT_BYTES}"
            )
        starts[key] = start
    missing = [key for key in storages if key not in starts]
    if missing:
        raise FormatError(f"storage {missing[0]!r} is not in the file's list: its values would be random")
    if at != view.size:
        problem = f"{view.size - at} bytes follow the last storage"
        oddities.append(Oddity(file=view.path, problem=problem, position=at))
    return starts
