"""Typed getters over untrusted mappings: each takes one field and says where it was wrong.

An error's `where` grows outwards as it passes each level, and ends as the path to the fault. Knows JSON's six
types and that python's `True` is an `int`; refuses to know any document.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.model.frozen import JSON

T = TypeVar("T")
R = TypeVar("R")

_SHOWN = 80
"""Characters of an untrusted name that a message repeats."""
_N_EXAMPLES = 3


@attrs.frozen
class Kind(Generic[T]):
    """One type of JSON value, as python holds it.

    Attributes:
        title: As a message names it.
        types: The python classes of its values, before and after freezing.
    """

    title: str
    types: tuple[type, ...]

    def holds(self, value: object) -> bool:
        """Whether `value` is of this type; a bool is a flag and nothing else."""
        return isinstance(value, self.types) and (type(value) is not bool or bool in self.types)


TEXT: Kind[str] = Kind("a string", (str,))
FLAG: Kind[bool] = Kind("true or false", (bool,))
INTEGER: Kind[int] = Kind("an integer", (int,))
NUMBER: Kind[float] = Kind("a number", (int, float))
OBJECT: Kind[Mapping[str, JSON]] = Kind("an object", (Mapping,))
ARRAY: Kind[Sequence[JSON]] = Kind("an array", (list, tuple))


def quoted(text: str) -> str:
    """`text` as a message may repeat it: in quotes, escaped where it does not print, and not too long."""
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}... ({len(text)} characters)"


def quoted_value(value: JSON) -> str:
    """A JSON value as a message may repeat it: a text in quotes, and of anything else what kind it is."""
    return quoted(value) if isinstance(value, str) else kind_of_value(value)


def examples(names: Sequence[str], noun: str = "tensor") -> str:
    """How many names there are, and the first few: `1 tensor ('a')`, `5 tensors ('a', 'b', 'c', ...)`."""
    shown = ", ".join(quoted(name) for name in names[:_N_EXAMPLES])
    more = ", ..." if len(names) > _N_EXAMPLES else ""
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'} ({shown}{more})"


@contextmanager
def inside(outer: str) -> Iterator[None]:
    """Give every `FormatError` and `LimitError` of the block `outer` as its outermost place, once."""
    try:
        yield
    except (FormatError, LimitError) as error:
        if error.where == outer or error.where.startswith(f"{outer}: "):
            raise
        raise error.inside(outer) from error


def kind_of_value(value: object) -> str:
    """The JSON type of `value`, in words."""
    if value is None:
        return "null"
    kinds = (TEXT, FLAG, INTEGER, NUMBER, OBJECT, ARRAY)
    return next((kind.title for kind in kinds if kind.holds(value)), "something that JSON cannot say")


def expect(value: object, kind: Kind[T], where: str = "") -> T:
    """`value`, which must be of this kind.

    Raises:
        FormatError: If it is of another kind; at `where`.
    """
    if not kind.holds(value):
        raise FormatError(f"expected {kind.title}, found {kind_of_value(value)}", where)
    return cast("T", value)


def take(mapping: Mapping[str, object], key: str, kind: Kind[T]) -> T:
    """The required field `key`.

    Raises:
        FormatError: If it is missing or of another kind; the key is part of its `where`.
    """
    if key not in mapping:
        raise FormatError("is missing", key)
    return expect(mapping[key], kind, key)


def take_optional(mapping: Mapping[str, object], key: str, kind: Kind[T]) -> T | None:
    """The field `key`, or None if it is missing or null.

    Raises:
        FormatError: If it is of another kind.
    """
    value = mapping.get(key)
    return None if value is None else expect(value, kind, key)


def take_as(mapping: Mapping[str, object], key: str, kind: Kind[T], convert: Callable[[T], R]) -> R:
    """The required field `key`, converted; an error of `convert` gains the key as its outer place.

    Raises:
        FormatError: If it is missing, of another kind, or refused by `convert`.
    """
    value = take(mapping, key, kind)
    with inside(key):
        return convert(value)


def take_as_optional(
    mapping: Mapping[str, object], key: str, kind: Kind[T], convert: Callable[[T], R]
) -> R | None:
    """The field `key`, converted, or None if it is missing or null.

    Raises:
        FormatError: If it is of another kind, or refused by `convert`.
    """
    return None if mapping.get(key) is None else take_as(mapping, key, kind, convert)
