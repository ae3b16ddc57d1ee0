"""An immutable mapping, and JSON values made of it: what the fields of frozen values may hold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, Union

V = TypeVar("V")

JSON = Union[  # noqa: UP007 - a recursive alias in quotes cannot be written with | on python 3.10
    None, bool, int, float, str, Sequence["JSON"], Mapping[str, "JSON"]
]
"""A JSON value. Inside frozen values arrays are tuples and objects are `FrozenMapping`s; see `freeze`."""


class FrozenMapping(Mapping[str, V], Generic[V]):
    """A mapping with string keys that never changes, keeps its order, hashes and pickles.

    Equality is that of mappings: order does not count.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        self._items: dict[str, V] = dict(items or {})

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMapping({self._items!r})"


def frozen_mapping(items: Mapping[str, Any]) -> Mapping[str, Any]:
    """`items` as an immutable mapping: the converter for mapping fields of frozen values.

    Typed with `Any` because mypy does not solve a generic converter; the field's own type still holds for
    whoever reads it.
    """
    return items if isinstance(items, FrozenMapping) else FrozenMapping(items)


def freeze(value: JSON) -> JSON:
    """A JSON value with every array a tuple and every object a `FrozenMapping`, all the way down."""
    if isinstance(value, Mapping):
        return FrozenMapping({key: freeze(item) for key, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(freeze(item) for item in value)
    return value


def freeze_object(value: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A JSON object, frozen all the way down: the converter for fields that hold one."""
    return FrozenMapping({key: freeze(item) for key, item in value.items()})
