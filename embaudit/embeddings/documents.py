"""Vectors in JSON: arrays of arrays, the answer of an OpenAI-style server, and one vector a line.

Knows the shapes; what a number may be is checked by `embaudit.embeddings.accepting`.
"""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from embaudit.embeddings.measuring import Floats
from embaudit.errors import FormatError, LimitError
from embaudit.formats.documents import decode_json
from embaudit.formats.fields import ARRAY, INTEGER, NUMBER, expect, inside, kind_of_value, take
from embaudit.model.limits import GIB, MIB, Limits

LINE_BYTES = 4 * MIB
"""Bytes of one line: a vector of 100,000 numbers of 20 digits takes 2 MB."""
LINES_BYTES = 2 * GIB
"""Bytes of a file of one vector a line: as many numbers as are allowed, of 20 digits, take 1.3 GB."""
MOST_ROWS = 2**20
"""Vectors of a document, and lines of a file, empty ones included. A vector takes its numbers and about 10
microseconds, however short it is, so that a hostile file takes ten seconds, not minutes."""
MOST_NUMBERS = 2**26
"""Numbers of a file of one vector a line: 512 MiB as float64."""

_DEPTH = 16
"""Arrays and objects inside one another; the deepest shape has four."""
_NUMBER_TYPES = {int, float}
# Arrays of numbers in an array, which can be read row by row; whatever else is JSON is decoded as a whole.
_OPENING = re.compile(rb"[ \t\r\n]*\[[ \t\r\n]*(?=\[)")
_ROW = re.compile(rb"(\[[^\[\]{}\"]*\])[ \t\r\n]*(,[ \t\r\n]*(?=\[)|\][ \t\r\n]*\Z)")


class _Filled:
    """Rows of one length, filled in one after the other: 8 bytes a number, and nothing a row."""

    def __init__(self) -> None:
        self._numbers = array("d")
        self._width = 0
        self.n_rows = 0

    @property
    def n_numbers(self) -> int:
        return len(self._numbers)

    def add(self, items: Sequence[Any]) -> None:
        """Add a row.

        Raises:
            FormatError: If it is not of numbers, or not of the length of the first.
        """
        _check_numbers(items)
        if self.n_rows and len(items) != self._width:
            problem = f"has {len(items)} numbers and the first row has {self._width}"
            raise FormatError(problem, f"row {self.n_rows}")
        self._width = len(items)
        self._numbers.extend(items)
        self.n_rows += 1

    def matrix(self) -> Floats:
        """The rows.

        Raises:
            FormatError: If there are none.
        """
        if not self.n_rows:
            raise FormatError("is empty; it needs a vector for each text")
        return np.frombuffer(self._numbers, np.float64).reshape(self.n_rows, self._width)


def parse_vectors(data: bytes, limits: Limits) -> Floats:
    """Vectors of a JSON document: an array of arrays of numbers, or an answer of `/v1/embeddings`.

    A single array of numbers is one row. An array of arrays takes 8 bytes a number; other shapes are held as
    python objects first, which takes up to 20 times the document.

    Raises:
        FormatError: If it is none of these, or its rows have several lengths.
        LimitError: If it is larger than `json_bytes`, or has more than `MOST_ROWS` arrays.
    """
    if len(data) > limits.json_bytes:
        problem = f"the document has {len(data)} bytes, the limit is {limits.json_bytes}"
        raise LimitError(problem, limit="json_bytes")
    if data.count(b"[") > MOST_ROWS:
        raise LimitError(f"the document has more than {MOST_ROWS:,} arrays", limit="MOST_ROWS")
    rows = _row_by_row(data)
    return vectors_of(decode_json(data, max_depth=_DEPTH)) if rows is None else rows


def _row_by_row(data: bytes) -> Floats | None:
    """The rows of an array of arrays of numbers; None if the document is anything else, or no JSON."""
    opening = _OPENING.match(data)
    found = None if opening is None else _ROW.match(data, opening.end())
    filled = _Filled()
    while found is not None:
        with inside(f"row {filled.n_rows}"):
            row = decode_json(found[1], max_depth=1)
            filled.add(row)
        if found[2].startswith(b"]"):
            return filled.matrix()
        found = _ROW.match(data, found.end())
    return None


def vectors_of(document: object) -> Floats:
    """As `parse_vectors`, of a document that was decoded."""
    if isinstance(document, Mapping):
        return vectors_by_index(document)
    rows = expect(document, ARRAY)
    filled = _Filled()
    if rows and not isinstance(rows[0], Sequence):
        filled.add(rows)
        return filled.matrix()
    for at, row in enumerate(rows):
        with inside(f"row {at}"):
            filled.add(expect(row, ARRAY))
    return filled.matrix()


def vectors_by_index(document: Mapping[str, object]) -> Floats:
    """The rows of an answer of `/v1/embeddings`, each in the place that its `index` gives.

    https://platform.openai.com/docs/api-reference/embeddings/object: `data` holds objects with `embedding`
    and `index`. Servers may give them in any order.

    Raises:
        FormatError: If it is no such answer, or an index is missing or stands twice.
    """
    entries = take(document, "data", ARRAY)
    places: dict[int, int] = {}
    filled = _Filled()
    for at, entry in enumerate(entries):
        with inside(f"data[{at}]"):
            fields = _object(entry)
            index = take(fields, "index", INTEGER) if "index" in fields else at
            if not 0 <= index < len(entries) or index in places:
                raise FormatError(f"is {index}, which is out of range or stands twice", "index")
            places[index] = at
            with inside("embedding"):
                filled.add(take(fields, "embedding", ARRAY))
    rows = filled.matrix()
    return rows[[places[index] for index in range(len(entries))]]


def read_lines(stream: BinaryIO) -> Floats:
    """Vectors, one a line: an array of numbers, or an object with `embedding`. Empty lines are skipped.

    Raises:
        FormatError: If a line is neither, or has another length than the first.
        LimitError: If a line, or the whole, is too large.
    """
    filled = _Filled()
    n_bytes = 0
    for number, line in enumerate(_lines(stream), start=1):
        n_bytes += len(line)
        _check_size(line, number, n_bytes)
        if line.isspace():
            continue
        with inside(f"line {number}"):
            value = decode_json(line, max_depth=_DEPTH)
            row = take(value, "embedding", ARRAY) if isinstance(value, Mapping) else expect(value, ARRAY)
            if filled.n_numbers + len(row) > MOST_NUMBERS:
                raise LimitError(f"the file holds more than {MOST_NUMBERS:,} numbers", limit="MOST_NUMBERS")
            filled.add(row)
    return filled.matrix()


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(LINE_BYTES + 1):
        yield line


def _check_size(line: bytes, number: int, n_bytes: int) -> None:
    where = f"line {number}"
    if len(line) > LINE_BYTES:
        raise LimitError(f"has more than {LINE_BYTES:,} bytes", where, "LINE_BYTES")
    if number > MOST_ROWS:
        raise LimitError(f"the file has more than {MOST_ROWS:,} lines", where, "MOST_ROWS")
    if n_bytes > LINES_BYTES:
        raise LimitError(f"the file has more than {LINES_BYTES:,} bytes", where, "LINES_BYTES")


def _check_numbers(items: Sequence[object]) -> None:
    if set(map(type, items)) <= _NUMBER_TYPES:
        return
    for at, item in enumerate(items):
        if not NUMBER.holds(item):
            raise FormatError(f"expected a number, found {kind_of_value(item)}", f"number {at}")


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise FormatError(f"expected an object, found {kind_of_value(value)}")
    return value
