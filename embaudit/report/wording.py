"""How every renderer says sizes, counts and names that come from an audited repository."""

import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.frozen import JSON
from embaudit.model.record import AuditRecord
from embaudit.model.tensor_map import Agreement, Depth, TensorMap, TensorPair
from embaudit.model.words import plural
from embaudit.report.codec import to_jsonable

_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1000
_HUB = "hub"

SAMPLE_NOTE = (
    "Only the first, middle and last 2 KiB of each tensor were compared: a difference found there is proven,"
    " equality of the rest is not (depth full proves it)."
)
CHECKSUM_NOTE = (
    "Some values are judged by the CRC-32 of their storages in the files' directories alone: proof against"
    " accidents, not against intent (depth full compares the values)."
)

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that a terminal or a page obeys instead of showing: control and format characters
(escapes, bidirectional overrides, zero-width joiners), surrogates, unassigned ones, line ends."""


def plain(text: str) -> str:
    """`text` on one line, with every character that cannot be seen replaced by its escape.

    Names come from the repository: without this a tensor's name could clear the screen or reverse a line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    if unicodedata.category(character) in _INVISIBLE:
        return character.encode("unicode_escape").decode("ascii")
    return character


def seen(value: object) -> Any:
    """`value` as JSON in which every text, a key too, is `plain`: strict readers refuse lone surrogates."""
    document = to_jsonable(value)
    if isinstance(document, dict):
        return {plain(key): seen(item) for key, item in document.items()}
    if isinstance(document, list):
        return [seen(item) for item in document]
    return plain(document) if isinstance(document, str) else document


def size(n_bytes: int | None) -> str:
    """Bytes in decimal units: `90.9 MB`."""
    if n_bytes is None:
        return "?"
    amount = float(n_bytes)
    for unit in _UNITS:
        if amount < _STEP or unit == _UNITS[-1]:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _STEP
    raise AssertionError("unreachable")


def taken(record: AuditRecord) -> str:
    """What an audit read: requests where one of its sources is on a network, else reads."""
    diff = record.diff
    sources = {record.source} if diff is None else {record.source, diff.old.source, diff.new.source}
    unit = "request" if _HUB in sources else "read"
    return f"{plural(record.cost.requests, unit)}, {size(record.cost.bytes_read)}"


def value_notes(maps: Iterable[TensorMap]) -> tuple[str, ...]:
    """What the verdicts of some maps prove and what they do not, in one sentence for each kind."""
    notes: dict[str, None] = {}
    for tensors in maps:
        if tensors.depth is Depth.SAMPLED and tensors.pairs:
            notes[SAMPLE_NOTE] = None
        if any(_is_by_checksum(pair) for pair in tensors.pairs):
            notes[CHECKSUM_NOTE] = None
    return tuple(notes)


def _is_by_checksum(pair: TensorPair) -> bool:
    # Only a look at the values counts those that differ.
    unseen = pair.values is Agreement.DIFFERENT and pair.n_different is None
    return unseen or pair.values is Agreement.IDENTICAL_BY_CHECKSUM


def inferred(checkpoint: Checkpoint) -> str:
    """Of how many storages the place in the file was not looked up; nothing if there are none."""
    if not checkpoint.inferred:
        return ""
    return f"places of {plural(checkpoint.inferred, 'storage')} inferred, not looked up"


def as_json(value: JSON) -> str:
    """A setting's value as its file spells it."""
    return json.dumps(to_jsonable(value), ensure_ascii=False)


def dtypes(checkpoint: Checkpoint) -> str:
    """The element types of a checkpoint, the commonest first: `float32 (103), int64 (1)`."""
    counts: dict[str, int] = {}
    for tensor in checkpoint.tensors.values():
        counts[tensor.dtype] = counts.get(tensor.dtype, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ordered) == 1:
        return str(ordered[0][0])
    return ", ".join(f"{dtype} ({number:,})" for dtype, number in ordered)
