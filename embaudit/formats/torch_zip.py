"""Reads torch's zip checkpoints: `data.pkl`, and one record of raw bytes for each storage.

Source: `_save` and `_load` of https://github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py, and
https://github.com/pytorch/pytorch/blob/v2.13.0/caffe2/serialize/inline_container.cc. Not a byte of a
record of tensor data is read. Over a network the records' places are inferred where they can be, so that in
the usual case two reads are enough: one at the start (`data.pkl`) and one at the end (the directory, and the
two records before it).
"""

from collections.abc import Sequence

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_nodes import Pickled
from embaudit.formats.state_dicts import find_tensors, tied_groups
from embaudit.formats.torch_pickles import read_torch_pickle, summarise
from embaudit.formats.torch_storages import ZIP_ITEMS, Storage, resolve_storages
from embaudit.formats.torch_tensors import Places
from embaudit.formats.view import ByteView
from embaudit.formats.zip_directory import STORED, ZipEntry, read_directory
from embaudit.formats.zip_members import Archive, locate_members
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat, Oddity
from embaudit.model.limits import Limits

_SMALL_BYTES = 4096
"""Members other than data.pkl that are read whole have a few bytes: a version, a number, an identifier."""
_LOWEST_VERSION, _HIGHEST_VERSION = 1, 10
"""`kMinSupportedFileFormatVersion`, `kMaxSupportedFileFormatVersion` of caffe2/serialize/versions.h."""
_VERSION_TEXT = 20
_MAX_NAMED = 5
"""Members that one oddity names."""
_BOOKKEEPING = {
    "data.pkl",
    "version",
    "byteorder",
    ".format_version",
    ".storage_alignment",
    ".data/serialization_id",
    ".data/version",
}


def parse_torch_zip(view: ByteView, limits: Limits) -> Checkpoint:
    """The checkpoint in a torch zip file.

    Raises:
        FormatError: If torch would refuse the file, or if two readers could read it differently.
        LimitError: If it exceeds a limit.
    """
    directory = read_directory(view, limits)
    root = _root_of(directory.entries)
    pickle_name, data_folder = f"{root}/data.pkl", f"{root}/data/"
    small = _small_members(directory.entries, root, limits)
    archive = locate_members(view, directory, small, f"{root}/.storage_alignment")
    byte_order = _check_bookkeeping(archive, root)
    pickled, oddities = _read_data_pickle(archive, pickle_name, limits)
    storages, strangers = resolve_storages(pickled.persistent_ids, ZIP_ITEMS)
    records = {key: _record(archive, data_folder, storage) for key, storage in storages.items()}
    starts = {key: archive.starts[record.name] for key, record in records.items()}
    crcs = {key: record.crc for key, record in records.items()}
    places = Places(file=view.path, starts=starts, byte_order=byte_order, crcs=crcs)
    found = find_tensors(pickled.value, places, archive.entries[pickle_name].n_bytes, limits)
    reasons = (*strangers, *found.reasons, *_code_reasons(archive, root))
    oddities += [*archive.oddities, *found.oddities, *_stray_members(archive, root, starts)]
    return Checkpoint(
        name=view.path,
        format=CheckpointFormat.TORCH_ZIP,
        files=(view.path,),
        tensors=found.tensors,
        metadata=found.metadata,
        tied=tied_groups(found.tensors.values()),
        pickle=summarise([pickled], reasons),
        state_dict=found.state_dict,
        containers=found.containers,
        oddities=tuple(oddities),
        inferred=sum(record.name in archive.inferred for record in records.values()),
    )


def _root_of(entries: Sequence[ZipEntry]) -> str:
    """The one folder of the archive: for torch the first part of the name of the directory's first member.

    Raises:
        FormatError: If a member lies elsewhere: torch refuses the archive.
    """
    root = entries[0].name.partition("/")[0]
    folder = f"{root}/"
    for entry in entries:
        if not entry.name.startswith(folder):
            raise FormatError(
                f"zip member {entry.name!r} does not lie in {root!r} as the first does: torch refuses it"
            )
    return root


def _small_members(entries: Sequence[ZipEntry], root: str, limits: Limits) -> frozenset[str]:
    """Names of the members that may be read whole: data.pkl, and what is small and no tensor data."""
    folder = f"{root}/data/"
    others = [entry for entry in entries if not entry.name.startswith(folder)]
    allowed = {f"{root}/data.pkl": limits.pickle_bytes}
    return frozenset(entry.name for entry in others if entry.n_bytes <= allowed.get(entry.name, _SMALL_BYTES))


def _check_bookkeeping(archive: Archive, root: str) -> str:
    """Hold the small members against what torch accepts; gives the byte order."""
    if f"{root}/data.pkl" not in archive.entries:
        raise FormatError(f"the zip has no {root}/data.pkl: not a torch checkpoint")
    version = _small_text(archive, f"{root}/.data/version") or _small_text(archive, f"{root}/version")
    if not version:
        raise FormatError(f"the zip has no {root}/version: torch refuses it")
    if not version.isdecimal() or not _LOWEST_VERSION <= int(version) <= _HIGHEST_VERSION:
        raise FormatError(f"the zip is of format version {version!r}; torch reads 1 to {_HIGHEST_VERSION}")
    alignment = _small_text(archive, f"{root}/.storage_alignment")
    if alignment is not None and not alignment.isdecimal():
        raise FormatError(f"{root}/.storage_alignment is {alignment!r}, not a plain number")
    byte_order = _small_text(archive, f"{root}/byteorder")
    if byte_order not in {None, "little", "big"}:
        raise FormatError(f"{root}/byteorder is {byte_order!r}: torch refuses it")
    # Files before torch 2.1 lack the record, and torch takes them for little-endian.
    return byte_order or "little"


def _small_text(archive: Archive, name: str) -> str | None:
    """The text of a small member, or None if there is no such member."""
    entry = archive.entries.get(name)
    if entry is None:
        return None
    if entry.method != STORED or entry.n_bytes > _VERSION_TEXT:
        raise FormatError(f"zip member {name!r} is compressed, or longer than {_VERSION_TEXT} bytes")
    return archive.payload(name).decode("ascii", "backslashreplace").rstrip("\n")


def _read_data_pickle(archive: Archive, name: str, limits: Limits) -> tuple[Pickled, list[Oddity]]:
    entry = archive.entries[name]
    start = archive.starts[name]
    if entry.method != STORED:
        raise FormatError(f"zip member {name!r} is compressed, which torch never does")
    if entry.n_bytes > limits.pickle_bytes:
        problem = f"{name!r} has {entry.n_bytes} bytes, more than {limits.pickle_bytes}"
        raise LimitError(problem, "", "pickle_bytes")
    data = archive.payload(name)
    pickled = read_torch_pickle(data, 0, start, limits)
    oddity = archive.crc_oddity(name)
    oddities = [] if oddity is None else [oddity]
    if pickled.stop != len(data):
        problem = f"{len(data) - pickled.stop} bytes follow the end of the pickle in {name!r}"
        oddities.append(Oddity(file=archive.view.path, problem=problem, position=start + pickled.stop))
    return pickled, oddities


def _record(archive: Archive, data_folder: str, storage: Storage) -> ZipEntry:
    """The member that holds a storage."""
    name = data_folder + storage.key
    entry = archive.entries.get(name)
    if entry is None:
        problem = f"storage {storage.key!r}, named at byte {storage.position}, has no record {name!r}"
        raise FormatError(problem)
    if entry.method != STORED:
        raise FormatError(f"zip member {name!r} is compressed, which torch never does")
    if entry.n_bytes != storage.n_bytes:
        raise FormatError(
            f"storage {storage.key!r} has {storage.n_bytes} bytes by the pickle, at byte {storage.position}, "
            f"and {entry.n_bytes} by the record {name!r}"
        )
    return entry


def _code_reasons(archive: Archive, root: str) -> list[str]:
    """Members that are, or describe, programs: those of TorchScript."""
    if f"{root}/constants.pkl" not in archive.entries and not any(
        name.startswith(f"{root}/code/") for name in archive.entries
    ):
        return []
    return ["the file is a TorchScript archive: it holds a program"]


def _stray_members(archive: Archive, root: str, starts: dict[str, int]) -> list[Oddity]:
    """Members that torch does not look at when it loads this checkpoint."""
    used = {f"{root}/{name}" for name in _BOOKKEEPING} | {f"{root}/data/{key}" for key in starts}
    stray = [name for name in archive.entries if name not in used]
    if not stray:
        return []
    more = f" and {len(stray) - _MAX_NAMED} more" if len(stray) > _MAX_NAMED else ""
    listed = ", ".join(repr(name) for name in stray[:_MAX_NAMED])
    problem = f"torch would not read {len(stray)} members of the zip: {listed}{more}"
    return [Oddity(file=archive.view.path, problem=problem, position=archive.entries[stray[0]].header)]
