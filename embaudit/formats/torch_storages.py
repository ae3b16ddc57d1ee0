"""The storages that a torch pickle refers to: pieces of raw memory, kept elsewhere in the file.

A reference is the tuple `('storage', class, key, location, numel)`, in legacy files with a sixth item that
is None or `(view key, offset, size)`; offset and size count elements.
Source: `persistent_load` in `_load` and in `_legacy_load` of
https://github.com/pytorch/pytorch/blob/v2.13.0/torch/serialization.py.
"""

from collections.abc import Iterable

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_nodes import Global, PersistentId, PickleValue
from embaudit.formats.torch_globals import STORAGES
from embaudit.model.dtypes import DType

ZIP_ITEMS = 5
"""Items of a reference in a zip file."""
LEGACY_ITEMS = 6
"""Items of a reference in a legacy file."""
_MAX_STRANGERS = 100
"""References to something else that are told one by one."""
_MAX_KEY = 1024
"""Characters of a storage key; torch writes decimal numbers."""


@attrs.define(eq=False, weakref_slot=False)
class Storage:
    """One storage as a pickle refers to it.

    Attributes:
        key: Its name in the file.
        dtype: The type of its elements; `uint8` for an untyped one.
        n_bytes: Its length.
        first: Byte of the storage at which the referred part begins; 0 unless it is a view of a legacy file.
        last: Byte after the referred part.
        position: Byte of the file where the first reference stands.
    """

    key: str
    dtype: DType
    n_bytes: int
    first: int
    last: int
    position: int


def resolve_storages(
    references: Iterable[PersistentId], n_items: int
) -> tuple[dict[str, Storage], tuple[str, ...]]:
    """Every storage that `references` name, by key, in order; each reference is given its own storage.

    Args:
        references: The references of all pickles of one file.
        n_items: Items of a reference in the file's format; torch refuses any other number.

    Returns:
        The storages, and a sentence for each of the first hundred references that are none.

    Raises:
        FormatError: If one storage is referred to under two types or two lengths: a reader that resolves
            them in order would take the first, others the second.
    """
    storages: dict[str, Storage] = {}
    strangers: list[str] = []
    for reference in references:
        storage = _storage(reference, n_items)
        if storage is None:
            if len(strangers) < _MAX_STRANGERS:
                strangers.append(_stranger(reference))
            continue
        reference.storage = storage
        known = storages.setdefault(storage.key, storage)
        if known is not storage and (known.dtype is not storage.dtype or known.n_bytes != storage.n_bytes):
            _check_same(known, storage)
    return storages, tuple(strangers)


def _check_same(known: Storage, other: Storage) -> None:
    # torch lets types differ where there is no memory to reinterpret.
    if known.n_bytes or other.n_bytes:
        raise FormatError(
            f"storage {known.key!r} is {known.n_bytes} bytes of {known.dtype} at byte {known.position} and "
            f"{other.n_bytes} bytes of {other.dtype} at byte {other.position}"
        )


def _storage(reference: PersistentId, n_items: int) -> Storage | None:
    value = reference.value
    if type(value) is not tuple or len(value) != n_items:
        return None
    kind, storage_class, key, _location, numel, *views = value
    dtype = STORAGES.get(storage_class.key) if type(storage_class) is Global else None
    if kind != "storage" or dtype is None or type(key) is not str or type(numel) is not int:
        return None
    if len(key) > _MAX_KEY:
        raise LimitError(
            f"a storage key of {len(key)} characters at byte {reference.position}", "", "name_bytes"
        )
    if not key.isprintable():
        raise FormatError(f"a storage key at byte {reference.position} is not text that can be printed")
    if numel < 0:
        raise FormatError(f"storage {key!r} at byte {reference.position} has {numel} elements")
    n_bytes = numel * dtype.item_bytes
    first, last = 0, n_bytes
    if views and views[0] is not None:
        first, last = _view(views[0], key, dtype, n_bytes, reference.position)
    return Storage(key, dtype, n_bytes, first, last, reference.position)


def _view(view: PickleValue, key: str, dtype: DType, n_bytes: int, position: int) -> tuple[int, int]:
    """The bytes of the storage, from the first (included) to the last (not included), that a view shows."""
    if type(view) is tuple and len(view) == 3:  # noqa: PLR2004 - see the module docstring
        _view_key, offset, size = view
        if type(offset) is int and type(size) is int and offset >= 0 and size >= 0:
            first, last = offset * dtype.item_bytes, (offset + size) * dtype.item_bytes
            if last <= n_bytes:
                return first, last
    raise FormatError(f"the view of storage {key!r} at byte {position} does not lie in it")


def _stranger(reference: PersistentId) -> str:
    value, position = reference.value, reference.position
    if type(value) is tuple and value and value[0] == "module":
        return f"the pickle holds a module with its source code at byte {position}"
    return f"the pickle refers at byte {position} to something outside it that is not a storage"
