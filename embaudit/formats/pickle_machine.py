"""The state of one reading of a pickle stream: its stack, its memo, and the errors that end it."""

from collections.abc import Callable
from typing import NoReturn

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_nodes import Call, Global, PersistentId, PickleValue
from embaudit.model.limits import Limits


class PickleError(FormatError):
    """A stream that breaks off or breaks the rules.

    Attributes:
        globals: The names that it asked to import before it broke: an unpickler has then imported them.
    """

    globals: tuple[Global, ...] = ()


class TruncatedPickleError(PickleError):
    """A stream that goes on beyond the end of its buffer."""


class Stop(Exception):  # noqa: N818 - the STOP opcode, not an error
    """The stream's end, with the index of the byte after it."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


@attrs.define(eq=False, repr=False)
class Machine:
    """What a reading has so far.

    Attributes:
        data: The buffer.
        end: Length of the buffer.
        base: Byte of the file at which the buffer begins.
        limits: What bounds the reading.
        stack: Values since the last mark.
        marks: The stacks below, innermost last.
        memo: What PUT and MEMOIZE stored.
        protocol: Highest protocol declared so far.
        globals: Names so far.
        persistent_ids: References so far.
        problems: What no plain stream holds, so far.
    """

    data: bytes
    end: int
    base: int
    limits: Limits
    stack: list[PickleValue] = attrs.field(factory=list)
    marks: list[list[PickleValue]] = attrs.field(factory=list)
    memo: dict[int, PickleValue] = attrs.field(factory=dict)
    protocol: int = 0
    globals: list[Global] = attrs.field(factory=list)
    persistent_ids: list[PersistentId] = attrs.field(factory=list)
    problems: list[tuple[int, str]] = attrs.field(factory=list)

    def pop_mark(self) -> list[PickleValue]:
        """The values since the last mark, which is taken away.

        Raises:
            IndexError: If there is no mark; the reading loop says where.
        """
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def take(self, start: int, stop: int) -> bytes:
        """The bytes from `start` (included) to `stop` (not included), which must all be there."""
        if stop > self.end:
            self.cut_short(start, stop)
        return self.data[start:stop]

    def cut_short(self, start: int, stop: int) -> NoReturn:
        """End the reading because the bytes from `start` to `stop` are not all there."""
        wanted, left = stop - start, self.end - start
        position = self.base + start
        raise TruncatedPickleError(f"the pickle wants {wanted} bytes at byte {position} and has {left}")

    def line(self, start: int) -> tuple[bytes, int]:
        """The text from `start` to the next newline, and the index after that."""
        newline = self.data.find(b"\n", start)
        if newline < 0:
            raise TruncatedPickleError(f"the line at byte {self.base + start} of the pickle has no end")
        return self.data[start:newline], newline + 1

    def problem(self, at: int, text: str) -> int:
        """Record what no plain stream holds, about the opcode before `at`; gives its byte in the file."""
        position = self.base + at - 1
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append((position, f"{text} at byte {position}"))
        return position

    def call(self, function: PickleValue, arguments: PickleValue, at: int) -> Call:
        """The call of `function` by the opcode before `at`."""
        if type(function) is Global:
            function.called = True
        else:
            self.problem(at, "the pickle calls something that is not a name")
        if type(arguments) is not tuple:
            self.problem(at, "the pickle calls with arguments that are not a tuple")
            arguments = (arguments,)
        return Call(function, arguments, self.base + at - 1)

    def fail(self, at: int, text: str) -> NoReturn:
        """End the reading over the opcode before `at`."""
        raise PickleError(f"{text} at byte {self.base + at - 1}")

    def over(self, at: int, limit: str, n: int) -> NoReturn:
        """End the reading because the opcode before `at` exceeds a limit."""
        allowed, position = getattr(self.limits, limit), self.base + at - 1
        raise LimitError(f"{n} at byte {position} is more than {limit} allows, {allowed}", "", limit)


_MAX_PROBLEMS = 100
"""Sentences kept of one stream: more of them tell nothing new, and a hostile stream has millions."""

Opcode = Callable[[Machine, int], int]
"""What one opcode does. Takes the index after the opcode, gives the index after its argument."""
