"""Holds the pickle reader against python's own pickle: the same values, by symbols alone."""

import contextlib
import io
import pickle
import pickletools
import struct
import warnings
from datetime import datetime, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embaudit.errors import FormatError, LimitError
from embaudit.formats.pickle_machine import PickleError
from embaudit.formats.pickle_nodes import Call, DictNode, Global, PersistentId, Pickled, SetNode, Unknown
from embaudit.formats.pickles import read_pickle
from embaudit.model.limits import Limits

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**600), 2**600)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
_HASHABLE = _SCALARS | st.tuples(_SCALARS, _SCALARS) | st.frozensets(_SCALARS, max_size=3)
_VALUES = st.recursive(
    _SCALARS | st.sets(_HASHABLE, max_size=3) | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(_HASHABLE, inner, max_size=4)
        | inner.map(lambda shared: [shared, shared])
    ),
    max_leaves=20,
)


class Stack(list[int]):
    """A list of a class of its own."""


def plain(value: object) -> object:
    """The python value that nodes of plain values stand for; `_codecs.encode` and friends are looked up."""
    if isinstance(value, DictNode):
        pairs = zip(value.pairs[::2], value.pairs[1::2], strict=True)
        return {plain(key): plain(item) for key, item in pairs}
    if isinstance(value, SetNode):
        return (frozenset if value.frozen else set)(map(plain, value.items))
    if isinstance(value, Call):
        return _called(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def _called(call: Call) -> object:
    arguments = [plain(argument) for argument in call.arguments]
    arguments += [] if call.items is None else [map(plain, call.items)]
    if call.function.key == ("_codecs", "encode"):
        return arguments[0].encode(arguments[1])
    known = {"set": set, "frozenset": frozenset, "bytearray": bytearray, "bytes": bytes}
    assert call.function.key[0] == "builtins"
    if call.function.key[1] == "bytearray" and len(arguments) == 2:
        return bytearray(arguments[0].encode(arguments[1]))
    return known[call.function.key[1]](*arguments)


def read(data: bytes) -> Pickled:
    """The stream at the start of `data`."""
    return read_pickle(data)


@pytest.mark.parametrize("protocol", range(6))
@given(value=_VALUES)
def test_plain_values_of_every_protocol_are_read_back(protocol: int, value: object) -> None:
    """What pickle writes, with whatever sharing and memo entries, is read as the same value and types."""
    data = pickle.dumps(value, protocol)

    pickled = read(data + b"more")

    assert repr(plain(pickled.value)) == repr(pickle.loads(data))
    assert pickled.protocol == (protocol if protocol > 1 else 0)
    assert pickled.problems == ()
    assert pickled.stop == len(data)


@given(value=_VALUES, protocol=st.integers(0, 5))
def test_optimised_streams_are_read_back(value: object, protocol: int) -> None:
    """A stream whose unused memo entries were taken out, so that indexes have gaps, means the same."""
    data = pickletools.optimize(pickle.dumps(value, protocol))

    assert repr(plain(read(data).value)) == repr(pickle.loads(data))


@given(data=st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_an_error(data: bytes) -> None:
    """No bytes make the reader raise anything but its own errors."""
    with contextlib.suppress(FormatError, LimitError):
        read(data)


@given(
    value=_VALUES, protocol=st.integers(0, 5), edits=st.lists(st.tuples(st.integers(0), st.integers(0, 255)))
)
def test_damaged_streams_end_in_a_value_or_an_error(
    value: object, protocol: int, edits: list[tuple[int, int]]
) -> None:
    """No change of a valid stream makes the reader raise anything but its own errors."""
    data = bytearray(pickle.dumps(value, protocol))
    for position, byte in edits:
        data[position % len(data)] = byte

    with contextlib.suppress(FormatError, LimitError):
        read(bytes(data))


# Every row is also read by python's own pickle, which must give the same plain value.
BY_HAND = {
    "no PROTO": (b"I1\n.", 1),
    "python 2 text": (b"U\x03abc.", "abc"),
    "quoted text with escapes": (rb"S'o\x73\t\\\'\101'" + b"\n.", "os\t\\'A"),
    "python 2 text of 4-byte length": (b"T\x03\0\0\0abc.", "abc"),
    "text of 8-byte length": (b"\x8d" + struct.pack("<Q", 3) + b"abc.", "abc"),
    "bytes of 4-byte length": (b"B\x03\0\0\0abc.", b"abc"),
    "bytes of 8-byte length": (b"\x8e" + struct.pack("<Q", 3) + b"abc.", b"abc"),
    "changeable bytes": (b"\x96" + struct.pack("<Q", 3) + b"abc.", bytearray(b"abc")),
    "items added to what a call gives": (b"cbuiltins\nset\n)R(K\x01K\x02\x90.", {1, 2}),
    "items added to a set": (b"\x8f(K\x01K\x02\x90.", {1, 2}),
    "unicode escapes": (rb"Vo\u0073" + b"\n.", "os"),
    "booleans of protocol 0": (b"(I01\nI00\nt.", (True, False)),
    "long with L": (b"L-12L\n.", -12),
    "float text": (b"F1.5\n.", 1.5),
    "last write to a memo slot wins": (b"K\x01q\x00K\x02q\x000h\x00.", 2),
    "textual GET with leading zeros": (b"K\x07p5\n0g005\n.", 7),
    "MEMOIZE takes the memo's length": (b"K\x01q\x05K\x02\x940h\x01.", 2),
    "DUP shares": (b"]2\x86.", ([], [])),
    "POP of a mark": (b"K\x01(0.", 1),
    "POP_MARK": (b"K\x01(K\x02K\x031.", 1),
    "LIST and DICT": (b"((K\x01lK\x02(K\x03K\x04dt.", ([1], 2, {3: 4})),
    "repeated key": (b"}K\x01K\x02sK\x01K\x03s.", {1: 3}),
    "protocol stated again": (b"\x80\x02K\x01\x80\x04.", 1),
    "surrogate": (b"X\x03\x00\x00\x00\xed\xa0\x80.", "\ud800"),
    "long of no bytes": (b"\x8a\x00.", 0),
    "shared list appended later": (b"]q\x00h\x00\x86h\x00K\x01a0.", ([1], [1])),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_streams_that_no_pickler_writes_mean_what_python_reads(case: str) -> None:
    """Stack, memo and text follow CPython where picklers never go."""
    data, expected = BY_HAND[case]

    value = plain(read(data).value)

    assert value == expected
    assert value == pickle.loads(data, encoding="utf-8")


@pytest.mark.parametrize("data", [b"T\x01\0\0\0\xff.", b"U\x01\xff.", rb"S'\xff'" + b"\n."])
def test_python_2_text_that_is_no_text_stays_bytes(data: bytes) -> None:
    """A python 2 string that is not UTF-8 is the bytes that python reads when it is told not to decode."""
    assert read(data).value == pickle.loads(data, encoding="bytes") == b"\xff"


@given(
    opcode=st.sampled_from("SVILF"),
    text=st.text(st.sampled_from("'\"\\x0127abfnu\r -+_.eL\xe9"), max_size=10),
)
@example(opcode="S", text=r"'\'")
@example(opcode="S", text=r"'\a\u\7'")
@example(opcode="I", text="010")
def test_textual_opcodes_never_mean_something_else(opcode: str, text: str) -> None:
    """Text, numbers and booleans of protocol 0 are the value that python reads, wherever both read one."""
    data = f"{opcode}{text}\n.".encode("latin-1")

    with contextlib.suppress(FormatError, ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Times one, since python's own two readers differ on whether `I 0` is 0 or False.
        assert repr(read(data).value * 1) == repr(pickle.loads(data, encoding="utf-8") * 1)


def test_cycles_are_kept() -> None:
    """A list that holds itself is read as one that holds itself."""
    loop: list[object] = []
    loop.append(loop)

    value = read(pickle.dumps(loop)).value

    assert value[0] is value


GLOBALS = {
    "GLOBAL": (b"cos\nsystem\n.", False),
    "STACK_GLOBAL": (b"\x8c\x02os\x8c\x06system\x93.", False),
    "STACK_GLOBAL out of the memo": (b"\x8c\x06systemq\x050\x8c\x02os\x94h\x05\x93.", False),
    "STACK_GLOBAL after DUP and POP": (b"\x8c\x02os2\x8c\x01x00\x8c\x06system\x93.", False),
    "INST": (b"(X\x02\x00\x00\x00idios\nsystem\n.", True),
    "OBJ": (b"(cos\nsystem\nX\x02\x00\x00\x00ido.", True),
    "REDUCE": (b"cos\nsystem\n(X\x02\x00\x00\x00idtR.", True),
    "NEWOBJ": (b"cos\nsystem\n(X\x02\x00\x00\x00idt\x81.", True),
    "NEWOBJ_EX": (b"cos\nsystem\n(X\x02\x00\x00\x00idt}\x92.", True),
}


@pytest.mark.parametrize("case", GLOBALS)
def test_every_way_to_a_name_is_seen(case: str) -> None:
    """Whatever opcodes lead to a name, it is recorded, and whether it is called."""
    data, called = GLOBALS[case]

    names = read(data).globals

    assert [(name.module, name.name, name.called) for name in names] == [("os", "system", called)]


PYTHON_2 = {
    b"c__builtin__\neval\n.": ("builtins", "eval"),
    b"ccommands\ngetoutput\n.": ("subprocess", "getoutput"),
    b"ccopy_reg\n_reconstructor\n.": ("copyreg", "_reconstructor"),
    b"c__builtin__\nreduce\n.": ("functools", "reduce"),
    b"cos\nsystem\n.": ("os", "system"),
    b"c os\nsystem\r\n.": (" os", "system\r"),
}


@pytest.mark.parametrize("data", PYTHON_2)
def test_python_2_names_keep_both_spellings(data: bytes) -> None:
    """A name is kept as written, whitespace included, and beside it as python 3 maps it."""
    (name,) = read(data).globals

    assert name.key == PYTHON_2[data]
    assert f"c{name.module}\n{name.name}\n.".encode() == data


PROBLEMS = {
    "name computed by a call": (
        b"cbuiltins\nstr\n(X\x02\x00\x00\x00ostR\x8c\x06system\x93.",
        "a name that it computes",
    ),
    "name of bytes": (b"C\x02osC\x06system\x93.", "a name that it computes"),
    "EXT1": (b"\x82\x01.", "extension registry at byte 0"),
    "EXT2": (b"\x83\x01\x00.", "extension registry at byte 0"),
    "EXT4": (b"\x84\x01\x00\x00\x00.", "extension registry at byte 0"),
    "NEXT_BUFFER": (b"\x97.", "a buffer from outside"),
    "READONLY_BUFFER": (b"]\x98.", "read-only at byte 1"),
    "call of a value": (b"K\x01)R.", "calls something that is not a name at byte 3"),
    "call with a list": (b"cos\nsystem\n]R.", "not a tuple"),
    "keyword arguments": (b"ccollections\nOrderedDict\n)}K\x01K\x02s\x92.", "keyword arguments"),
    "state of a plain value": (b"]}b.", "sets the state of something"),
    "state set twice": (b"ccollections\nOrderedDict\n)R}b}b.", "twice"),
    "append to a number": (b"K\x01K\x02a.", "not a list at byte 4"),
    "items of a number": (b"K\x01K\x02K\x03s.", "not a dict"),
    "values left on the stack": (b"K\x01K\x02.", "leaves values behind"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_no_plain_stream_holds_is_told(case: str) -> None:
    """What cannot be told without running something is a problem with its byte, not an error."""
    data, expected = PROBLEMS[case]

    problems = read(data).problems

    assert expected in problems[0][1]
    assert f"at byte {problems[0][0]}" in problems[0][1]


def test_a_flood_of_problems_is_bounded() -> None:
    """Of very many problems a hundred are told."""
    assert len(read(b"]" + b"}b" * 150 + b".").problems) == 100


BROKEN = {
    "empty": (b"", "no STOP before byte 0"),
    "no STOP": (b"K\x01", "no STOP before byte 2"),
    "STOP on an empty stack": (b".", "without a value"),
    "unknown opcode": (b"K\x01\xff.", "0xff is not a pickle opcode, at byte 2"),
    "truncated argument": (b"J\x01\x02", "cut short in the opcode at byte 0"),
    "truncated float": (b"G\x01\x02", "cut short in the opcode at byte 0"),
    "truncated length": (b"X\x01", "cut short in the opcode at byte 0"),
    "truncated text": (b"X\x05\x00\x00\x00ab", "wants 5 bytes at byte 5 and has 2"),
    "truncated short text": (b"\x8c\x05ab", "wants 5 bytes at byte 2 and has 2"),
    "truncated bytes": (b"B\x05\0\0\0ab", "wants 5 bytes at byte 5 and has 2"),
    "truncated line": (b"cos\nsys", "the line at byte 4 of the pickle has no end"),
    "stack underflow": (b"0.", "at byte 0"),
    "REDUCE without arguments": (b"cos\nsystem\nR.", "takes more from its stack than is there at byte 11"),
    "APPENDS without MARK": (b"]e.", "takes more from its stack than is there at byte 1"),
    "TUPLE2 over a MARK": (b"K\x01(K\x02\x86.", "takes more from its stack"),
    "memo entry never stored": (b"h\x05.", "recalls what it never stored at byte 0"),
    "negative memo index": (b"K\x01p-1\n.", "a negative memo index at byte 2"),
    "key without value": (b"}(K\x01u.", "a key without a value at byte 4"),
    "protocol 6": (b"\x80\x06.", "pickle protocol 6"),
    "BINUNICODE8 of 2**63 bytes": (
        b"\x8d" + struct.pack("<Q", 2**63) + b"ab.",
        "wants 9223372036854775808 bytes",
    ),
    "BINBYTES8 of 2**40 bytes": (b"\x8e" + struct.pack("<Q", 2**40) + b"ab.", "wants 1099511627776 bytes"),
    "BYTEARRAY8 of 2**40 bytes": (b"\x96" + struct.pack("<Q", 2**40) + b"ab.", "wants 1099511627776 bytes"),
    "FRAME of 2**40 bytes": (b"\x95" + struct.pack("<Q", 2**40) + b".", "frame of 1099511627776 bytes"),
    "LONG4 of negative length": (b"\x8b\xff\xff\xff\xff.", "a LONG4 of -1 bytes"),
    "BINSTRING of negative length": (b"T\xff\xff\xff\xff.", "a BINSTRING of -1 bytes"),
    "integer that is not one": (b"Iabc\n.", "an integer that is not one at byte 0"),
    "float that is not one": (b"Fabc\n.", "a float that is not one at byte 0"),
    "STRING without quotes": (b"Sabc\n.", "without its quotes"),
    "text that is not UTF-8": (b"X\x02\x00\x00\x00\xff\xfe.", "text at byte 0"),
    "OBJ without a class": (b"(o.", "an OBJ without a class"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_streams_are_named_with_their_byte(case: str) -> None:
    """A stream that breaks a rule is a FormatError that says which, and where."""
    data, expected = BROKEN[case]

    with pytest.raises(FormatError, match="byte") as caught:
        read(data)

    assert expected in str(caught.value)


LIMITS = {
    "pickle_opcodes": (b"N0" * 10 + b"N.", {"pickle_opcodes": 8}),
    "pickle_memo": (b"N" + b"\x94" * 10 + b".", {"pickle_memo": 5}),
    "pickle_integer_bytes": (b"\x8b\x00\x01\x00\x00" + b"\x01" * 256 + b".", {"pickle_integer_bytes": 255}),
    "decimal digits": (b"L" + b"1" * 5000 + b"L\n.", {"pickle_integer_bytes": 256}),
}


@pytest.mark.parametrize("case", LIMITS)
def test_budgets_end_the_reading(case: str) -> None:
    """Each budget ends the reading with its own name, and is not reached by the stream one smaller."""
    data, fields = LIMITS[case]

    with pytest.raises(LimitError) as caught:
        read_pickle(data, limits=Limits(**fields))

    assert caught.value.limit in fields


@pytest.mark.parametrize(("n_stored", "fits"), [(5, True), (6, False)])
def test_the_memo_limit_is_exact(n_stored: int, fits: bool) -> None:
    """As many entries as the limit says may be stored, and not one more."""
    data = b"N" + b"".join(b"q" + bytes([i]) for i in range(n_stored)) + b"."
    limits = Limits(pickle_memo=5)

    if fits:
        assert read_pickle(data, limits=limits).value is None
    else:
        with pytest.raises(LimitError, match="pickle_memo"):
            read_pickle(data, limits=limits)


def test_a_huge_memo_index_takes_no_memory() -> None:
    """An index of 2**32 - 1 is one entry, not a table."""
    assert read(b"Nr\xff\xff\xff\xff0j\xff\xff\xff\xff.").value is None


@pytest.mark.parametrize("opcode", ["p", "g"], ids=["PUT", "GET"])
def test_a_textual_memo_index_is_no_larger_than_a_binary_one(opcode: str) -> None:
    """An index of 2**32 - 1 is taken in text, too; one more, or python's hash modulus, is not."""
    assert read(b"Np4294967295\n0g4294967295\n.").value is None
    for index in (2**32, 2**61 - 1, 2**610):
        with pytest.raises(PickleError, match="memo index of more than 32 bits at byte 1"):
            read(f"N{opcode}{index}\n.".encode())


def test_a_broken_stream_carries_the_names_before_the_break() -> None:
    """What an unpickler would have imported before it failed is not lost with the error."""
    with pytest.raises(FormatError) as caught:
        read(b"cos\nsystem\n)R\xff")

    assert [str(name) for name in caught.value.globals] == ["os.system"]


def test_positions_count_from_the_start_of_the_file() -> None:
    """With a base, every position and message counts from the start of the file, not of the buffer."""
    pickled = read_pickle(b"xx" + b"ccollections\nOrderedDict\n)RQ.", start=2, base=100)

    assert pickled.globals[0].position == 102
    assert isinstance(pickled.value, PersistentId)
    assert isinstance(pickled.value.value, Call)
    assert (pickled.value.value.position, pickled.value.position) == (128, 129)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_items_appended_to_an_object_are_kept_with_it(protocol: int) -> None:
    """What APPEND and APPENDS give to an object that a call made stands in its node, in order."""
    value = read(pickle.dumps(Stack([1, 2]), protocol)).value

    assert value.items == [1, 2]


def test_objects_of_the_library_stay_symbols() -> None:
    """An instance of a class is a call of its name with what was pickled; nothing is constructed."""
    data = pickle.dumps(datetime(2020, 1, 1, tzinfo=timezone.utc), 2)

    value = read(data).value

    assert isinstance(value.function, Global)
    assert value.function.key == ("datetime", "datetime")


def test_persistent_ids_are_symbols() -> None:
    """References to the outside are kept in stream order, with what they say."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", *value) if isinstance(value, bytearray) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump([bytearray(b"a"), bytearray(b"b")])

    pickled = read(buffer.getvalue())

    assert [reference.value for reference in pickled.persistent_ids] == [("storage", 97), ("storage", 98)]


def test_an_unresolvable_name_is_a_value_of_its_own() -> None:
    """What cannot be told is neither None nor a name."""
    assert isinstance(read(b"\x82\x01.").value, Unknown)
