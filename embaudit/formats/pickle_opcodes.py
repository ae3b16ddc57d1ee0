"""The pickle opcodes that build: containers, the memo, names, calls, and references to the outside.

Stack and memo behave as in https://github.com/python/cpython/blob/v3.13.0/Lib/pickle.py; what would import,
call or set a state there makes a symbol here.
"""

# The table of python 2 names is data; the unpickler that uses it is never imported.
import _compat_pickle

from embaudit.formats.pickle_literals import LITERALS, UINT16, UINT32, UINT64, decimal
from embaudit.formats.pickle_machine import Machine, Opcode, Stop, TruncatedPickleError
from embaudit.formats.pickle_nodes import Call, DictNode, Global, PersistentId, PickleValue, SetNode, Unknown

HIGHEST_PROTOCOL = 5
_HIGHEST_INDEX = 2**32 - 1


def python3_name(module: str, name: str) -> tuple[str, str]:
    """The python 3 spelling of a name, as unpicklers map it for protocols below 3.

    Source: https://github.com/python/cpython/blob/v3.13.0/Lib/_compat_pickle.py
    """
    mapped = _compat_pickle.NAME_MAPPING.get((module, name))
    if mapped is not None:
        return mapped
    return _compat_pickle.IMPORT_MAPPING.get(module, module), name


def _proto(machine: Machine, at: int) -> int:
    protocol = machine.data[at]
    if protocol > HIGHEST_PROTOCOL:
        machine.fail(at, f"pickle protocol {protocol}, which no python reads,")
    machine.protocol = max(machine.protocol, protocol)
    return at + 1


def _frame(machine: Machine, at: int) -> int:
    n_bytes = UINT64(machine.data, at)[0]
    if at + 8 + n_bytes > machine.end:
        raise TruncatedPickleError(
            f"the pickle frame of {n_bytes} bytes at byte {machine.base + at - 1} is cut short"
        )
    return at + 8


def _stop(_machine: Machine, at: int) -> int:
    raise Stop(at)


def _mark(machine: Machine, at: int) -> int:
    machine.marks.append(machine.stack)
    machine.stack = []
    return at


def _pop(machine: Machine, at: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()
    return at


def _pop_mark(machine: Machine, at: int) -> int:
    machine.pop_mark()
    return at


def _dup(machine: Machine, at: int) -> int:
    machine.stack.append(machine.stack[-1])
    return at


def _memo_index(machine: Machine, at: int) -> tuple[int, int]:
    """The index that a textual opcode spells, and the index after its line.

    As large as those of the binary opcodes and no larger: picklers count from 0, and the hashes of integers
    beyond 60 bits can be made to collide.
    """
    text, after = machine.line(at)
    index = decimal(machine, at, text.lstrip(b"0") or b"0")
    if index < 0:
        machine.fail(at, "a negative memo index")
    if index > _HIGHEST_INDEX:
        machine.fail(at, "a memo index of more than 32 bits")
    return index, after


def _put(machine: Machine, at: int) -> int:
    index, after = _memo_index(machine, at)
    machine.memo[index] = machine.stack[-1]
    return after


def _binput(machine: Machine, at: int) -> int:
    machine.memo[machine.data[at]] = machine.stack[-1]
    return at + 1


def _long_binput(machine: Machine, at: int) -> int:
    machine.memo[UINT32(machine.data, at)[0]] = machine.stack[-1]
    return at + 4


def _memoize(machine: Machine, at: int) -> int:
    machine.memo[len(machine.memo)] = machine.stack[-1]
    return at


def _get(machine: Machine, at: int) -> int:
    index, after = _memo_index(machine, at)
    machine.stack.append(machine.memo[index])
    return after


def _binget(machine: Machine, at: int) -> int:
    machine.stack.append(machine.memo[machine.data[at]])
    return at + 1


def _long_binget(machine: Machine, at: int) -> int:
    machine.stack.append(machine.memo[UINT32(machine.data, at)[0]])
    return at + 4


def _tuple(machine: Machine, at: int) -> int:
    # As `Machine.pop_mark`, written out: every tensor has two tuples of this kind.
    below = machine.marks.pop()
    below.append(tuple(machine.stack))
    machine.stack = below
    return at


def _tuple1(machine: Machine, at: int) -> int:
    stack = machine.stack
    stack[-1] = (stack[-1],)
    return at


def _tuple2(machine: Machine, at: int) -> int:
    stack = machine.stack
    second = stack.pop()
    stack[-1] = (stack[-1], second)
    return at


def _tuple3(machine: Machine, at: int) -> int:
    stack = machine.stack
    third = stack.pop()
    second = stack.pop()
    stack[-1] = (stack[-1], second, third)
    return at


def _list(machine: Machine, at: int) -> int:
    items = machine.pop_mark()
    machine.stack.append(items)
    return at


def _empty_dict(machine: Machine, at: int) -> int:
    machine.stack.append(DictNode([]))
    return at


def _dict(machine: Machine, at: int) -> int:
    pairs = machine.pop_mark()
    _check_pairs(machine, at, pairs)
    machine.stack.append(DictNode(pairs))
    return at


def _empty_set(machine: Machine, at: int) -> int:
    machine.stack.append(SetNode([]))
    return at


def _frozenset(machine: Machine, at: int) -> int:
    items = machine.pop_mark()
    machine.stack.append(SetNode(items, frozen=True))
    return at


def _append(machine: Machine, at: int) -> int:
    item = machine.stack.pop()
    _extend(machine, at, machine.stack[-1], [item])
    return at


def _appends(machine: Machine, at: int) -> int:
    items = machine.pop_mark()
    _extend(machine, at, machine.stack[-1], items)
    return at


def _extend(machine: Machine, at: int, target: PickleValue, items: list[PickleValue]) -> None:
    if type(target) is list:
        target.extend(items)
    elif type(target) is Call:
        target.items = target.items or []
        target.items.extend(items)
    else:
        machine.problem(at, "the pickle appends to something that is not a list")


def _additems(machine: Machine, at: int) -> int:
    items = machine.pop_mark()
    target = machine.stack[-1]
    if type(target) is SetNode:
        target.items.extend(items)
    else:
        _extend(machine, at, target, items)
    return at


def _setitem(machine: Machine, at: int) -> int:
    value = machine.stack.pop()
    key = machine.stack.pop()
    _update(machine, at, machine.stack[-1], [key, value])
    return at


def _setitems(machine: Machine, at: int) -> int:
    pairs = machine.pop_mark()
    _update(machine, at, machine.stack[-1], pairs)
    return at


def _check_pairs(machine: Machine, at: int, pairs: list[PickleValue]) -> None:
    if len(pairs) % 2:
        machine.fail(at, "a key without a value")


def _update(machine: Machine, at: int, target: PickleValue, pairs: list[PickleValue]) -> None:
    _check_pairs(machine, at, pairs)
    if type(target) is DictNode:
        target.pairs.extend(pairs)
    elif type(target) is Call:
        target.pairs = target.pairs or []
        target.pairs.extend(pairs)
    else:
        machine.problem(at, "the pickle sets items of something that is not a dict")


def _push_global(machine: Machine, at: int, module: str, name: str) -> Global:
    if len(module) + len(name) > machine.limits.name_bytes:
        machine.over(at, "name_bytes", len(module) + len(name))
    found = Global(module, name, machine.base + at - 1, python3_name(module, name))
    machine.globals.append(found)
    return found


def _global(machine: Machine, at: int) -> int:
    module, middle = machine.line(at)
    name, after = machine.line(middle)
    machine.stack.append(_push_global(machine, at, str(module, "utf-8"), str(name, "utf-8")))
    return after


def _stack_global(machine: Machine, at: int) -> int:
    name = machine.stack.pop()
    module = machine.stack.pop()
    if type(name) is str and type(module) is str:
        machine.stack.append(_push_global(machine, at, module, name))
    else:
        position = machine.problem(at, "the pickle imports a name that it computes or takes from no text")
        machine.stack.append(Unknown(position))
    return at


def _extension(machine: Machine, at: int, after: int) -> int:
    position = machine.problem(at, "the pickle asks for an object of python's extension registry")
    machine.stack.append(Unknown(position))
    return after


def _ext1(machine: Machine, at: int) -> int:
    _ = machine.data[at]
    return _extension(machine, at, at + 1)


def _ext2(machine: Machine, at: int) -> int:
    UINT16(machine.data, at)
    return _extension(machine, at, at + 2)


def _ext4(machine: Machine, at: int) -> int:
    UINT32(machine.data, at)
    return _extension(machine, at, at + 4)


def _reduce(machine: Machine, at: int) -> int:
    stack = machine.stack
    arguments = stack.pop()
    function = stack[-1]
    if type(function) is Global and type(arguments) is tuple:
        function.called = True
        stack[-1] = Call(function, arguments, machine.base + at - 1)
    else:
        stack[-1] = machine.call(function, arguments, at)
    return at


def _newobj_ex(machine: Machine, at: int) -> int:
    keywords = machine.stack.pop()
    arguments = machine.stack.pop()
    call = machine.call(machine.stack[-1], arguments, at)
    if type(keywords) is not DictNode or keywords.pairs:
        machine.problem(at, "the pickle calls with keyword arguments")
    machine.stack[-1] = call
    return at


def _inst(machine: Machine, at: int) -> int:
    module, middle = machine.line(at)
    name, after = machine.line(middle)
    arguments = tuple(machine.pop_mark())
    function = _push_global(machine, at, str(module, "utf-8"), str(name, "utf-8"))
    machine.stack.append(machine.call(function, arguments, at))
    return after


def _obj(machine: Machine, at: int) -> int:
    function, *arguments = machine.pop_mark() or machine.fail(at, "an OBJ without a class")
    machine.stack.append(machine.call(function, tuple(arguments), at))
    return at


def _build(machine: Machine, at: int) -> int:
    state = machine.stack.pop()
    target = machine.stack[-1]
    if type(target) is not Call:
        machine.problem(at, "the pickle sets the state of something that it has not called for")
        return at
    if target.state is not None:
        machine.problem(at, "the pickle sets the state of one object twice")
    target.state = state
    return at


def _persid(machine: Machine, at: int) -> int:
    text, after = machine.line(at)
    machine.stack.append(str(text, "ascii"))
    _binpersid(machine, at)
    return after


def _binpersid(machine: Machine, at: int) -> int:
    stack = machine.stack
    reference = PersistentId(stack[-1], machine.base + at - 1)
    machine.persistent_ids.append(reference)
    stack[-1] = reference
    return at


def _next_buffer(machine: Machine, at: int) -> int:
    position = machine.problem(at, "the pickle asks for a buffer from outside the file")
    machine.stack.append(Unknown(position))
    return at


def _readonly_buffer(machine: Machine, at: int) -> int:
    machine.problem(at, "the pickle makes a buffer read-only")
    _ = machine.stack[-1]
    return at


def _unknown(machine: Machine, at: int) -> int:
    machine.fail(at, f"{machine.data[at - 1]:#04x} is not a pickle opcode,")


_BUILDERS: dict[bytes, Opcode] = {
    b"\x80": _proto,
    b"\x95": _frame,
    b".": _stop,
    b"(": _mark,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": _dup,
    b"p": _put,
    b"q": _binput,
    b"r": _long_binput,
    b"\x94": _memoize,
    b"g": _get,
    b"h": _binget,
    b"j": _long_binget,
    b"t": _tuple,
    b"\x85": _tuple1,
    b"\x86": _tuple2,
    b"\x87": _tuple3,
    b"l": _list,
    b"}": _empty_dict,
    b"d": _dict,
    b"\x8f": _empty_set,
    b"\x91": _frozenset,
    b"a": _append,
    b"e": _appends,
    b"\x90": _additems,
    b"s": _setitem,
    b"u": _setitems,
    b"c": _global,
    b"\x93": _stack_global,
    b"\x82": _ext1,
    b"\x83": _ext2,
    b"\x84": _ext4,
    b"R": _reduce,
    b"\x81": _reduce,  # NEWOBJ: for symbols, an instance of a class is a call of it
    b"\x92": _newobj_ex,
    b"i": _inst,
    b"o": _obj,
    b"b": _build,
    b"P": _persid,
    b"Q": _binpersid,
    b"\x97": _next_buffer,
    b"\x98": _readonly_buffer,
}


def _table() -> tuple[Opcode, ...]:
    table: list[Opcode] = [_unknown] * 256
    for code, action in (LITERALS | _BUILDERS).items():
        table[code[0]] = action
    return tuple(table)


OPCODES: tuple[Opcode, ...] = _table()
"""What each of the 256 byte values does as an opcode."""
