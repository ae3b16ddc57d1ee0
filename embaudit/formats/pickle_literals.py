"""The pickle opcodes that push a plain value: numbers, text and bytes, binary and textual.

Decoding follows https://github.com/python/cpython/blob/v3.13.0/Lib/pickle.py, under the text encoding that
`torch.load` sets for python 2 strings, UTF-8.
"""

import re
from collections.abc import Callable
from struct import Struct

from embaudit.formats.pickle_machine import Machine, Opcode

UINT16: Callable[[bytes, int], tuple[int]] = Struct("<H").unpack_from
UINT32: Callable[[bytes, int], tuple[int]] = Struct("<I").unpack_from
UINT64: Callable[[bytes, int], tuple[int]] = Struct("<Q").unpack_from
_INT32: Callable[[bytes, int], tuple[int]] = Struct("<i").unpack_from
_FLOAT64: Callable[[bytes, int], tuple[float]] = Struct(">d").unpack_from

_DIGITS_PER_BYTE = 3
"""More decimal digits than one byte of an integer can need, and room for a sign or a prefix."""
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|(.))")
_ESCAPED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_VERBATIM = {b"\\", b"'", b'"'}


def _none(machine: Machine, at: int) -> int:
    machine.stack.append(None)
    return at


def _true(machine: Machine, at: int) -> int:
    machine.stack.append(True)
    return at


def _false(machine: Machine, at: int) -> int:
    machine.stack.append(False)
    return at


def _empty_tuple(machine: Machine, at: int) -> int:
    machine.stack.append(())
    return at


def _empty_list(machine: Machine, at: int) -> int:
    machine.stack.append([])
    return at


def _binint(machine: Machine, at: int) -> int:
    machine.stack.append(_INT32(machine.data, at)[0])
    return at + 4


def _binint1(machine: Machine, at: int) -> int:
    machine.stack.append(machine.data[at])
    return at + 1


def _binint2(machine: Machine, at: int) -> int:
    machine.stack.append(UINT16(machine.data, at)[0])
    return at + 2


def _binfloat(machine: Machine, at: int) -> int:
    machine.stack.append(_FLOAT64(machine.data, at)[0])
    return at + 8


def _push_long(machine: Machine, at: int, start: int, n_bytes: int) -> int:
    if n_bytes > machine.limits.pickle_integer_bytes:
        machine.over(at, "pickle_integer_bytes", n_bytes)
    digits = machine.take(start, start + n_bytes)
    machine.stack.append(int.from_bytes(digits, "little", signed=True))
    return start + n_bytes


def _long1(machine: Machine, at: int) -> int:
    return _push_long(machine, at, at + 1, machine.data[at])


def _long4(machine: Machine, at: int) -> int:
    (n_bytes,) = _INT32(machine.data, at)
    if n_bytes < 0:
        machine.fail(at, f"a LONG4 of {n_bytes} bytes")
    return _push_long(machine, at, at + 4, n_bytes)


def decimal(machine: Machine, at: int, text: bytes) -> int:
    """The integer that a textual opcode spells, with python's prefixes for other bases.

    Raises:
        LimitError: If it has more digits than `pickle_integer_bytes` allows.
        PickleError: If it isn't an integer.
    """
    if len(text) > _DIGITS_PER_BYTE * machine.limits.pickle_integer_bytes:
        machine.over(at, "pickle_integer_bytes", len(text))
    try:
        return int(text, 0)
    except ValueError:
        machine.fail(at, "an integer that is not one")


def _int(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    if text in {b"00", b"01"}:
        machine.stack.append(text == b"01")
    else:
        machine.stack.append(decimal(machine, at, text))
    return after


def _long(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    machine.stack.append(decimal(machine, at, text.removesuffix(b"L")))
    return after


def _float(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    try:
        machine.stack.append(float(text))
    except ValueError:
        machine.fail(at, "a float that is not one")
    return after


def _binunicode(machine: Machine, at: int) -> int:
    start = at + 4
    stop = start + UINT32(machine.data, at)[0]
    if stop > machine.end:
        machine.cut_short(start, stop)
    machine.stack.append(machine.data[start:stop].decode("utf-8", "surrogatepass"))
    return stop


def _short_binunicode(machine: Machine, at: int) -> int:
    start = at + 1
    stop = start + machine.data[at]
    if stop > machine.end:
        machine.cut_short(start, stop)
    machine.stack.append(machine.data[start:stop].decode("utf-8", "surrogatepass"))
    return stop


def _binunicode8(machine: Machine, at: int) -> int:
    start = at + 8
    stop = start + UINT64(machine.data, at)[0]
    machine.stack.append(str(machine.take(start, stop), "utf-8", "surrogatepass"))
    return stop


def _unicode(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    machine.stack.append(str(text, "raw-unicode-escape"))
    return after


def _binbytes(machine: Machine, at: int) -> int:
    start = at + 4
    stop = start + UINT32(machine.data, at)[0]
    machine.stack.append(machine.take(start, stop))
    return stop


def _short_binbytes(machine: Machine, at: int) -> int:
    start = at + 1
    stop = start + machine.data[at]
    machine.stack.append(machine.take(start, stop))
    return stop


def _binbytes8(machine: Machine, at: int) -> int:
    start = at + 8
    stop = start + UINT64(machine.data, at)[0]
    machine.stack.append(machine.take(start, stop))
    return stop


def _bytearray8(machine: Machine, at: int) -> int:
    start = at + 8
    stop = start + UINT64(machine.data, at)[0]
    machine.stack.append(bytearray(machine.take(start, stop)))
    return stop


def _python2_text(data: bytes) -> str | bytes:
    """A python 2 string: text where it is UTF-8, else its bytes (where `torch.load` itself would fail)."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def _binstring(machine: Machine, at: int) -> int:
    start = at + 4
    n_bytes = _INT32(machine.data, at)[0]
    if n_bytes < 0:
        machine.fail(at, f"a BINSTRING of {n_bytes} bytes")
    machine.stack.append(_python2_text(machine.take(start, start + n_bytes)))
    return start + n_bytes


def _short_binstring(machine: Machine, at: int) -> int:
    start = at + 1
    stop = start + machine.data[at]
    machine.stack.append(_python2_text(machine.take(start, stop)))
    return stop


def _unescape(match: re.Match[bytes]) -> bytes:
    hexadecimal, octal, letter = match.groups()
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if octal is not None:
        return bytes([int(octal, 8) & 0xFF])
    return letter if letter in _VERBATIM else _ESCAPED.get(letter, b"\\" + letter)


def _string(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    if len(text) < 2 or text[:1] not in {b"'", b'"'} or text[-1:] != text[:1]:  # noqa: PLR2004 - two quotes
        machine.fail(at, "a STRING without its quotes")
    machine.stack.append(_python2_text(_ESCAPE.sub(_unescape, text[1:-1])))
    return after


LITERALS: dict[bytes, Opcode] = {
    b"N": _none,
    b"\x88": _true,
    b"\x89": _false,
    b")": _empty_tuple,
    b"]": _empty_list,
    b"J": _binint,
    b"K": _binint1,
    b"M": _binint2,
    b"G": _binfloat,
    b"\x8a": _long1,
    b"\x8b": _long4,
    b"I": _int,
    b"L": _long,
    b"F": _float,
    b"X": _binunicode,
    b"\x8c": _short_binunicode,
    b"\x8d": _binunicode8,
    b"V": _unicode,
    b"B": _binbytes,
    b"C": _short_binbytes,
    b"\x8e": _binbytes8,
    b"\x96": _bytearray8,
    b"T": _binstring,
    b"U": _short_binstring,
    b"S": _string,
}
"""Opcode to what it does."""
