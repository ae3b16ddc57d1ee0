"""The values that a pickle stream describes, as symbols: nothing here can run, import or construct anything.

Plain values are python's own: None, bool, int, float, str, bytes, bytearray, tuple and list. Everything
that is more than that is a node of this module. Nodes are shared exactly as the stream shares them, so they
form a graph, possibly with cycles: whoever walks it bounds its depth and its steps, and never compares,
hashes or prints a tuple or list of it.
"""

from typing import Any

import attrs

PickleValue = Any
"""Any of the plain values or nodes. Recursive, and containing itself, hence without a narrower type."""


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Global:
    """A name that the stream asks to import.

    Attributes:
        module: As written.
        name: As written; may be dotted.
        position: Byte of the opcode in the file.
        key: `(module, name)` after python 2 names are mapped to python 3.
        called: Whether the stream calls it or builds an instance of it.
    """

    module: str
    name: str
    position: int
    key: tuple[str, str]
    called: bool = False

    def __repr__(self) -> str:
        return f"{self.module}.{self.name}"


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Call:
    """A call, and what the stream later puts into its result.

    Attributes:
        function: What is called, usually a `Global`.
        arguments: The positional arguments.
        position: Byte of the opcode in the file.
        pairs: Keys and values set on the result, in turn, or None.
        items: Values appended to the result, or None.
        state: What BUILD gives to the result, or None.
    """

    function: PickleValue
    arguments: tuple[PickleValue, ...]
    position: int
    pairs: list[PickleValue] | None = None
    items: list[PickleValue] | None = None
    state: PickleValue = None


@attrs.define(eq=False, repr=False, weakref_slot=False)
class DictNode:
    """A dict: its keys and values in turn, in stream order, repeated keys included."""

    pairs: list[PickleValue]


@attrs.define(eq=False, repr=False, weakref_slot=False)
class SetNode:
    """A set or frozenset: its items in stream order, repeated ones included."""

    items: list[PickleValue]
    frozen: bool = False


@attrs.define(eq=False, repr=False, weakref_slot=False)
class PersistentId:
    """A reference to something outside the stream: in torch's files, to a storage.

    Attributes:
        value: The id as written.
        position: Byte of the opcode in the file.
        storage: Left for the reader of the container to fill in.
    """

    value: PickleValue
    position: int
    storage: Any = None


@attrs.define(eq=False, repr=False, weakref_slot=False)
class Unknown:
    """A value that cannot be told without running something: an extension code, a computed name, a buffer."""

    position: int


@attrs.frozen(kw_only=True)
class Pickled:
    """One stream, read to its STOP.

    Attributes:
        value: What the stream leaves on its stack.
        protocol: The highest protocol that it declares, 0 if it declares none.
        globals: Every name that it asks to import, in stream order.
        persistent_ids: Every reference to something outside, in stream order.
        problems: `(byte in the file, sentence)` for what no plain stream holds.
        stop: Index in the buffer of the byte after STOP.
    """

    value: PickleValue
    protocol: int
    globals: tuple[Global, ...]
    persistent_ids: tuple[PersistentId, ...]
    problems: tuple[tuple[int, str], ...]
    stop: int
