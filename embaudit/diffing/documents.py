"""What changed between two JSON documents, field by field.

Knows JSON, and which parts of a document are too large to be told in full. What a field means is for
`embaudit.diffing.fields`.

Objects are compared key by key. Arrays that hold an object or an array are compared position by position: an
element put in front shifts the others, and each shows as changed. Arrays of plain values are one value.
Numbers are equal if their values are (`1` and `1.0`); `true` is no number.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TypeGuard, TypeVar

import attrs

from embaudit.diffing.fields import DocumentKind, Steps, document_kind, field_meaning
from embaudit.formats.fields import quoted
from embaudit.model.diff import FieldChange
from embaudit.model.files import FileKind, kind_of
from embaudit.model.frozen import JSON

MAX_ENTRIES = 200
"""Entries of one object or array that are compared one by one. No settings file has more; vocabularies do."""
MAX_VALUE_SIZE = 2_000
"""Characters and values that one reported value may have; what is larger is described instead."""
MAX_KEY_SIZE = 200
"""Characters of one key that the way to a field repeats."""
MAX_CHANGES = 200
"""Changes told of one file; the others are counted in a note."""

Key = TypeVar("Key", str, int)


@attrs.frozen(kw_only=True)
class ValueChange:
    """One place of a document that changed.

    Attributes:
        steps: The way to it from the root.
        old: The value before; None if `old_present` is false.
        new: The value after; None if `new_present` is false.
        old_present: Whether it was there before.
        new_present: Whether it is there now.
    """

    steps: Steps
    old: JSON = None
    new: JSON = None
    old_present: bool = True
    new_present: bool = True


def field_changes(path: str, old: JSON, new: JSON) -> tuple[tuple[FieldChange, ...], tuple[str, ...]]:
    """The changes of one JSON file, those that can change an embedding first, and notes on what is left out.

    Args:
        path: Path inside the repository, which tells what the fields mean.
        old: The parsed document before.
        new: The parsed document after.
    """
    kind = document_kind(path)
    affecting: list[FieldChange] = []
    harmless: list[FieldChange] = []
    n_changes = 0
    for change in value_changes(_told_part(path, old), _told_part(path, new), whole=_sections(path)):
        told = _told(path, kind, change)
        n_changes += 1
        sort = affecting if told.affects_embeddings else harmless
        if len(sort) < MAX_CHANGES:
            sort.append(told)
    kept = (*affecting, *harmless)[:MAX_CHANGES]
    left_out = n_changes - len(kept)
    return kept, (f"{quoted(path)}: {left_out} more changes of fields are not told",) if left_out else ()


def value_changes(
    old: JSON, new: JSON, *, steps: Steps = (), whole: Callable[[Steps], bool] = lambda _: False
) -> Iterator[ValueChange]:
    """Every place where `new` differs from `old`, in document order; applied to `old`, they give `new`.

    Args:
        old: The document before, or a part of it.
        new: The same, after.
        steps: The way to that part.
        whole: Whether the value at a place is told as one, whatever it holds.
    """
    if not whole(steps) and _are_small(old, new):
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _changes_of_keys(old, new, steps, whole)
            return
        if _is_array(old) and _is_array(new) and (_is_nested(old) or _is_nested(new)):
            yield from _changes_of_keys(_numbered(old), _numbered(new), steps, whole)
            return
    if not same_value(old, new):
        yield ValueChange(steps=steps, old=old, new=new)


def same_value(old: JSON, new: JSON) -> bool:
    """Whether two JSON values are equal, as JSON counts: `1` is `1.0` and is not `true`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(same_value(old[key], new[key]) for key in old)
    if _is_array(old) and _is_array(new):
        return len(old) == len(new) and all(map(same_value, old, new))
    return isinstance(old, bool) is isinstance(new, bool) and old == new


def _changes_of_keys(
    old: Mapping[Key, JSON], new: Mapping[Key, JSON], steps: Steps, whole: Callable[[Steps], bool]
) -> Iterator[ValueChange]:
    for key, value in old.items():
        place = (*steps, key)
        if key in new:
            yield from value_changes(value, new[key], steps=place, whole=whole)
        else:
            yield ValueChange(steps=place, old=value, new_present=False)
    for key, value in new.items():
        if key not in old:
            yield ValueChange(steps=(*steps, key), new=value, old_present=False)


def _is_array(value: JSON) -> TypeGuard[Sequence[JSON]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _is_nested(array: Sequence[JSON]) -> bool:
    return any(isinstance(item, Mapping) or _is_array(item) for item in array)


def _numbered(array: Sequence[JSON]) -> dict[int, JSON]:
    return dict(enumerate(array))


def _are_small(*values: JSON) -> bool:
    return all(
        len(value) <= MAX_ENTRIES for value in values if isinstance(value, Mapping) or _is_array(value)
    )


def _told_part(path: str, document: JSON) -> JSON:
    """The document without what is told otherwise: which tensor lies in which shard is told by tensors."""
    if kind_of(path) is FileKind.WEIGHTS_INDEX and isinstance(document, Mapping):
        return {key: value for key, value in document.items() if key != "weight_map"}
    return document


def _sections(path: str) -> Callable[[Steps], bool]:
    """Where values are told as one: the sections of `tokenizer.json`, which make sense only as a whole."""
    if PurePosixPath(path).name == "tokenizer.json":
        return lambda steps: len(steps) > 1 or (len(steps) == 1 and steps[0] != "model")
    return lambda _: False


def _told(path: str, kind: DocumentKind, change: ValueChange) -> FieldChange:
    meaning = field_meaning(kind, change.steps, change.old, change.new)
    return FieldChange(
        file=path,
        field=".".join(map(_spelled, change.steps)),
        old=_bounded(change.old, change.new),
        new=_bounded(change.new, change.old),
        old_present=change.old_present,
        new_present=change.new_present,
        affects_embeddings=meaning.affects_embeddings,
        why=meaning.why,
    )


def _spelled(step: str | int) -> str:
    text = str(step)
    return text if len(text) <= MAX_KEY_SIZE else f"{text[:MAX_KEY_SIZE]}..."


def _bounded(value: JSON, other: JSON) -> JSON:
    """The value itself, or a description if it is large, which says how it differs from the other one."""
    return _description(value, other) if _is_large(value) else value


def _is_large(value: JSON) -> bool:
    size, waiting = 0, [value]
    while waiting and size <= MAX_VALUE_SIZE:
        item = waiting.pop()
        size += 1
        if isinstance(item, Mapping):
            size += sum(map(len, item))
            waiting.extend(item.values())
        elif _is_array(item):
            waiting.extend(item)
        elif isinstance(item, str):
            size += len(item)
    return size > MAX_VALUE_SIZE


def _description(value: JSON, other: JSON) -> str:
    if isinstance(value, Mapping):
        rival = other if isinstance(other, Mapping) else {}
        n_alone = sum(key not in rival for key in value)
        n_changed = sum(not same_value(value[key], rival[key]) for key in value if key in rival)
        return f"an object of {len(value)} entries, {n_alone} only here, {n_changed} with another value there"
    if isinstance(value, str):
        rest = other if isinstance(other, str) else ""
        return f"a text of {len(value)} characters, equal up to character {_n_equal(value, rest)}"
    array = value if _is_array(value) else ()
    rest_of = other if _is_array(other) else ()
    return f"an array of {len(array)} elements, equal up to element {_n_equal(array, rest_of)}"


def _n_equal(values: Sequence[JSON], others: Sequence[JSON]) -> int:
    """How many elements are equal before the first that is not."""
    return sum(1 for _ in takewhile(lambda pair: same_value(*pair), zip(values, others, strict=False)))
