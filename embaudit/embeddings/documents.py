"""Vectors in JSON: arrays of arrays, the answer of an OpenAI-style server, and one vector a line.

Knows the shapes; what a number may be is checked by `embaudit.embeddings.accepting`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from embaudit.embeddings.measuring import Floats
from embaudit.errors import FormatError, LimitError
from embaudit.formats.documents import decode_json
from embaudit.formats.fields import ARRAY, INTEGER, NUMBER, expect, inside, kind_of_value, take
from embaudit.model.limits import MIB, Limits

LINE_BYTES = 4 * MIB
"""Bytes of one line: a vector of 100,000 numbers of 20 digits takes 2 MB."""

_DEPTH = 16
"""Arrays and objects inside one another; the deepest shape has four."""
_MOST_NUMBERS = 2**28
"""Numbers of a file of one vector a line: 2 GiB as float64."""


def parse_vectors(data: bytes, limits: Limits) -> Floats:
    """Vectors of a JSON document: an array of arrays of numbers, or an answer of `/v1/embeddings`.

    A single array of numbers is one row.

    Raises:
        FormatError: If it is none of these, or its rows have several lengths.
        LimitError: If it is larger than `json_bytes`.
    """
    if len(data) > limits.json_bytes:
        problem = f"the document has {len(data)} bytes, the limit is {limits.json_bytes}"
        raise LimitError(problem, limit="json_bytes")
    return vectors_of(decode_json(data, max_depth=_DEPTH))


def vectors_of(document: object) -> Floats:
    """As `parse_vectors`, of a document that was decoded."""
    if isinstance(document, Mapping):
        return vectors_by_index(document)
    rows = expect(document, ARRAY)
    if rows and not isinstance(rows[0], Sequence):
        return row_of(rows)[np.newaxis, :]
    return stacked([_inside(f"row {at}", row) for at, row in enumerate(rows)])


def vectors_by_index(document: Mapping[str, object]) -> Floats:
    """The rows of an answer of `/v1/embeddings`, each in the place that its `index` gives.

    https://platform.openai.com/docs/api-reference/embeddings/object: `data` holds objects with `embedding`
    and `index`. Servers may give them in any order.

    Raises:
        FormatError: If it is no such answer, or an index is missing or stands twice.
    """
    entries = take(document, "data", ARRAY)
    rows: dict[int, Floats] = {}
    for at, entry in enumerate(entries):
        with inside(f"data[{at}]"):
            fields = _object(entry)
            index = take(fields, "index", INTEGER) if "index" in fields else at
            if not 0 <= index < len(entries) or index in rows:
                raise FormatError(f"is {index}, which is out of range or stands twice", "index")
            with inside("embedding"):
                rows[index] = row_of(take(fields, "embedding", ARRAY))
    return stacked([rows[index] for index in range(len(entries))])


def read_lines(stream: BinaryIO) -> Floats:
    """Vectors, one a line: an array of numbers, or an object with `embedding`. Empty lines are skipped.

    Raises:
        FormatError: If a line is neither, or has another length than the first.
        LimitError: If a line, or the whole, is too large.
    """
    return stacked(list(_lines(stream)))


def _lines(stream: BinaryIO) -> Iterator[Floats]:
    n_numbers = 0
    number = 0
    while line := stream.readline(LINE_BYTES + 1):
        number += 1
        with inside(f"line {number}"):
            if len(line) > LINE_BYTES:
                raise LimitError(f"has more than {LINE_BYTES:,} bytes", limit="LINE_BYTES")
            if not line.strip():
                continue
            value = decode_json(line, max_depth=_DEPTH)
            row = row_of(take(value, "embedding", ARRAY) if isinstance(value, Mapping) else value)
            n_numbers += len(row)
            if n_numbers > _MOST_NUMBERS:
                raise LimitError(f"the file holds more than {_MOST_NUMBERS:,} numbers", limit="numbers")
            yield row


def row_of(value: object) -> Floats:
    """One vector of a JSON document.

    Raises:
        FormatError: If it is no array of numbers.
    """
    items = expect(value, ARRAY)
    for at, item in enumerate(items):
        if not NUMBER.holds(item):
            raise FormatError(f"expected a number, found {kind_of_value(item)}", f"number {at}")
    return np.array(items, dtype=np.float64)


def stacked(rows: Sequence[Floats]) -> Floats:
    """Rows as a matrix.

    Raises:
        FormatError: If there are none, or they have several lengths.
    """
    if not rows:
        raise FormatError("is empty; it needs a vector for each text")
    for at, row in enumerate(rows):
        if len(row) != len(rows[0]):
            problem = f"has {len(row)} numbers and the first row has {len(rows[0])}"
            raise FormatError(problem, f"row {at}")
    return np.stack(rows)


def _inside(where: str, value: object) -> Floats:
    with inside(where):
        return row_of(value)


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise FormatError(f"expected an object, found {kind_of_value(value)}")
    return value
