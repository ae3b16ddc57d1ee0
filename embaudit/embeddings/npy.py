"""The header of a `.npy`: what array follows, read strictly.

https://github.com/numpy/numpy/blob/v2.2.0/numpy/lib/format.py: six bytes of magic, two of version, the length
of the header, and a python dictionary of three fields. numpy evaluates that as a literal; here it is matched
against the few forms that it can have for an array of real numbers, so that nothing is evaluated at all.
"""

import re
from math import prod
from typing import IO, Any

import attrs
import numpy as np

from embaudit.errors import FormatError
from embaudit.formats.fields import inside, quoted
from embaudit.model.limits import KIB

HEADER_BYTES = 10 * KIB
"""Bytes of the header, as numpy itself has it: a header is a dtype and a shape."""

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}
"""Bytes of the header's length in each version. Version 3 differs by field names in UTF-8."""
_FIELD = re.compile(
    r"\s*(?P<quote>['\"])(?P<name>\w{1,32})(?P=quote)\s*:\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|\w+|\([^()]*\)|\[.*\])\s*(?:,|\Z)",
    re.DOTALL | re.ASCII,
)
# python 2 wrote long integers with an L.
_SHAPE = re.compile(r"\(\s*(?:[0-9]{1,19}L?\s*,\s*)*(?:[0-9]{1,19}L?\s*)?\)", re.ASCII)
_NUMBERS = re.compile(r"[<>=|]?(?:[iu][1248]|f(?:2|4|8|12|16))", re.ASCII)
_FLAGS = {"True": True, "False": False}
_MOST_SHOWN = 60


@attrs.frozen(kw_only=True)
class ArrayHeader:
    """What a header announces.

    Attributes:
        shape: Of the array, one or two numbers, none of them 0.
        is_fortran: Whether columns come first.
        dtype: Of real numbers.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: "np.dtype[Any]"

    @property
    def n_bytes(self) -> int:
        """Bytes of the numbers."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> ArrayHeader:
    """The header of a `.npy`; the stream is at its numbers then.

    Raises:
        FormatError: If it is none, or announces anything but vectors; names the field.
    """
    start = stream.read(len(_MAGIC) + 2)
    if start[: len(_MAGIC)] != _MAGIC or len(start) < len(_MAGIC) + 2:
        raise FormatError("is no .npy file: it does not begin with the magic")
    version = (start[-2], start[-1])
    if version not in _LENGTH_BYTES:
        raise FormatError(f"is of version {version} of the format, which no array of numbers needs")
    size = int.from_bytes(_exactly(stream, _LENGTH_BYTES[version]), "little")
    if size > HEADER_BYTES:
        raise FormatError(f"has {size} bytes; {HEADER_BYTES} are enough for any array of numbers", "header")
    with inside("header"):
        return _header_of(_fields(_exactly(stream, size).decode("latin-1")))


def _exactly(stream: IO[bytes], n_bytes: int) -> bytes:
    data = stream.read(n_bytes)
    if len(data) != n_bytes:
        raise FormatError("is no .npy file: it ends within the header")
    return data


def _fields(header: str) -> dict[str, str]:
    """The three fields as they are written."""
    text = header.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise FormatError("is no dictionary")
    body = text[1:-1].rstrip()
    fields: dict[str, str] = {}
    at = 0
    while at < len(body):
        found = _FIELD.match(body, at)
        if found is None or found["name"] in fields:
            raise FormatError(f"cannot be read from {_shown(body[at:])} on")
        fields[found["name"]] = found["value"]
        at = found.end()
    if set(fields) != {"descr", "fortran_order", "shape"}:
        raise FormatError(f"has the fields {', '.join(map(quoted, sorted(fields)))}")
    return fields


def _header_of(fields: dict[str, str]) -> ArrayHeader:
    if fields["fortran_order"] not in _FLAGS:
        raise FormatError(f"is {_shown(fields['fortran_order'])}, not True or False", "fortran_order")
    return ArrayHeader(
        shape=_shape(fields["shape"]),
        is_fortran=_FLAGS[fields["fortran_order"]],
        dtype=_dtype(fields["descr"]),
    )


def _shape(value: str) -> tuple[int, ...]:
    if _SHAPE.fullmatch(value) is None:
        raise FormatError(f"is {_shown(value)}, not a tuple of numbers from 0", "shape")
    shape = tuple(map(int, re.findall("[0-9]+", value)))
    if not 1 <= len(shape) <= 2:  # noqa: PLR2004 - one vector, or rows of them
        raise FormatError(f"is {_shown(value)}; it must be (rows, dimension)", "shape")
    if 0 in shape:
        raise FormatError(f"is empty: its shape is {shape}", "shape")
    return shape


def _dtype(value: str) -> "np.dtype[Any]":
    name = value[1:-1]
    if "O" in name:
        raise FormatError("holds python objects, which are pickles; nothing is unpickled here", "descr")
    if value[0] not in "'\"" or _NUMBERS.fullmatch(name) is None:
        raise FormatError(f"is {_shown(value)}, not real numbers", "descr")
    try:
        return np.dtype(name)
    except TypeError:
        raise FormatError(f"is {_shown(value)}, which this machine does not have", "descr") from None


def _shown(text: str) -> str:
    return quoted(text[:_MOST_SHOWN])
