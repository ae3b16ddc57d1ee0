"""Reads a pickle stream without running it: every import, call and reference becomes a symbol.

Any protocol, 0 to 5. The reading is bounded by the buffer, by `Limits.pickle_opcodes` and by
`Limits.pickle_memo`; a length is checked against the bytes that are left before anything is taken. This
module knows nothing of torch.
"""

import struct
from typing import NoReturn

from embaudit.errors import LimitError
from embaudit.formats.pickle_machine import Machine, PickleError, Stop, TruncatedPickleError
from embaudit.formats.pickle_nodes import Pickled
from embaudit.formats.pickle_opcodes import OPCODES
from embaudit.model.limits import DEFAULT_LIMITS, Limits

_BATCH = 4096
"""Opcodes between two looks at the budgets."""

_ARGUMENT_BYTES = {
    **dict.fromkeys(b"\x80KUhq\x82\x8a\x8cC", 1),
    **dict.fromkeys(b"M\x83", 2),
    **dict.fromkeys(b"JXTBjr\x84\x8b", 4),
    **dict.fromkeys(b"G\x8d\x8e\x95\x96", 8),
}
"""Bytes of the fixed argument of an opcode, or of the length that comes first in it."""


def read_pickle(data: bytes, start: int = 0, base: int = 0, limits: Limits = DEFAULT_LIMITS) -> Pickled:
    """The value of the stream that begins at index `start` of `data`, as symbols.

    Args:
        data: A buffer that holds the whole stream; more may follow it.
        start: Index of the first opcode.
        base: Byte of the file at which `data` begins, for positions and messages.
        limits: What bounds the reading.

    Raises:
        PickleError: If the stream is broken; names the byte, and carries the names imported before.
        TruncatedPickleError: If it is broken because `data` ends.
        LimitError: If it exceeds a limit.
    """
    machine = Machine(data, len(data), base, limits)
    try:
        stop = _run(machine, start)
        value = machine.stack.pop() if machine.stack else machine.fail(stop, "a pickle without a value")
    except PickleError as error:
        error.globals = tuple(machine.globals)
        raise
    if machine.stack or machine.marks:
        machine.problem(stop, "the pickle leaves values behind")
    return Pickled(
        value=value,
        protocol=machine.protocol,
        globals=tuple(machine.globals),
        persistent_ids=tuple(machine.persistent_ids),
        problems=tuple(machine.problems),
        stop=stop,
    )


def _run(machine: Machine, at: int) -> int:
    """Perform opcodes from index `at` to the STOP; gives the index after it."""
    data, opcodes = machine.data, OPCODES
    left = machine.limits.pickle_opcodes
    try:
        while left > 0:
            # A batch never outgrows the memo's room, so that one look after each is enough.
            batch = max(1, min(_BATCH, left, machine.limits.pickle_memo - len(machine.memo)))
            for _ in range(batch):
                at = opcodes[data[at]](machine, at + 1)
            left -= batch
            if len(machine.memo) > machine.limits.pickle_memo:
                machine.over(at, "pickle_memo", len(machine.memo))
    except Stop as stop:
        return stop.at
    except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
        _explain(machine, at, error)
    raise LimitError(
        f"the pickle has more than {machine.limits.pickle_opcodes} opcodes", "", "pickle_opcodes"
    )


def _explain(machine: Machine, at: int, error: Exception) -> NoReturn:
    """Say what ended the reading at the opcode at index `at`: each cause ends in its own exception."""
    position = machine.base + at
    if at >= machine.end:
        raise TruncatedPickleError(f"the pickle has no STOP before byte {position}") from error
    opcode = machine.data[at]
    if at + 1 + _ARGUMENT_BYTES.get(opcode, 0) > machine.end:
        raise TruncatedPickleError(f"the pickle is cut short in the opcode at byte {position}") from error
    if isinstance(error, UnicodeDecodeError):
        raise PickleError(f"the text at byte {position} of the pickle is not text") from error
    if isinstance(error, KeyError):
        raise PickleError(f"the pickle recalls what it never stored at byte {position}") from error
    raise PickleError(f"the pickle takes more from its stack than is there at byte {position}") from error
