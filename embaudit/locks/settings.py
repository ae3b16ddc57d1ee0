"""The settings that a lock keeps: small enough to be read by people, and exact.

A value that is large stands as an object of its digest and size, so that a change of it is told by its field
without the vocabulary being copied into every lock.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from embaudit.errors import WITHHELD, EmbauditError
from embaudit.model.declaration import Declaration
from embaudit.model.files import FileKind, FileState, Snapshot
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.limits import Limits
from embaudit.reading import read_document

MOST_VALUE = 2_000
"""Characters, as compact JSON, of a value that is kept as it is: as much as a diff tells of one."""

MOST_MEMBERS = 200
"""Members of a large object that are looked at one by one; one that has more is a vocabulary."""

DIGEST_KEY, SIZE_KEY = "$sha256", "$characters"
"""The members that stand for a large value."""


def kept_settings(
    snapshot: Snapshot, declaration: Declaration, limits: Limits, *, reads_vocabularies: bool
) -> Mapping[str, JSON]:
    """Path to document, large values by their digest, for settings and the JSON files of tokenizers.

    Args:
        snapshot: The snapshot.
        declaration: Its settings.
        limits: What bounds the reading.
        reads_vocabularies: Whether `tokenizer.json` and its like are read: they have megabytes.
    """
    documents = dict(declaration.documents)
    if reads_vocabularies:
        documents |= dict(_vocabularies(snapshot, documents, limits))
    return FrozenMapping({path: _kept(documents[path]) for path in sorted(documents)})


def _vocabularies(
    snapshot: Snapshot, known: Mapping[str, JSON], limits: Limits
) -> Iterator[tuple[str, JSON]]:
    for path, entry in snapshot.files.items():
        if entry.kind is not FileKind.TOKENIZER or entry.state is not FileState.PRESENT or path in known:
            continue
        if PurePosixPath(path).suffix.lower() != ".json":
            continue
        try:
            yield path, read_document(snapshot, path, limits)
        except WITHHELD:
            raise
        except EmbauditError:
            continue  # its digest is locked all the same


def _kept(document: JSON) -> JSON:
    """The document, whole if it is small, else member by member, as far as that makes the parts small."""
    text = _compact(document)
    if len(text) <= MOST_VALUE:
        return document
    if isinstance(document, Mapping) and len(document) <= MOST_MEMBERS:
        return FrozenMapping({key: _kept(value) for key, value in document.items()})
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return FrozenMapping({DIGEST_KEY: digest, SIZE_KEY: len(text)})


def _compact(value: JSON) -> str:
    return json.dumps(_thawed(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _thawed(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_thawed(item) for item in value]
    return value
