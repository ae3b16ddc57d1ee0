"""How every renderer says sizes, counts and names that come from an audited repository."""

import json
import unicodedata

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.frozen import JSON
from embaudit.report.codec import to_jsonable

_UNITS = ("B", "KB", "MB", "GB", "TB")
_STEP = 1000

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
