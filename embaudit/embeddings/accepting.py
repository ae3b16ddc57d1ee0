"""Vectors as people have them, turned into rows of numbers: arrays, tensors, lists, and paths of files.

Knows what a set of vectors must be: rows of one length, finite numbers, none of them all zeros. Whatever is
not so is refused with the place. torch tensors are recognised by what they offer; torch is not imported.
"""

import os
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from embaudit.embeddings.files import read_vectors
from embaudit.embeddings.measuring import Matrix, norms, row_blocks
from embaudit.errors import EmbauditError, FormatError, UsageError
from embaudit.model.limits import DEFAULT_LIMITS, Limits

LARGEST_MAGNITUDE = 2.0**500
"""Beyond it squares do not sum in float64. float32 ends at 2^128."""
LEAST_NORM = 2.0**-500
"""A row shorter than this is refused: its squares vanish in float64. float32 ends at 2^-149."""

_MATRIX_AXES = 2
_NUMBERS = "fiu"


@attrs.frozen(kw_only=True, eq=False)
class Accepted:
    """Rows that were checked.

    Attributes:
        name: What messages call them: `expected`, or the path of a file.
        rows: Shape `(rows, dimension)`, of any numeric type.
    """

    name: str
    rows: Matrix


def accept(vectors: Any, name: str, limits: Limits = DEFAULT_LIMITS) -> Accepted:
    """Vectors of any kind as rows, checked; see `embaudit.embeddings.compare_embeddings` for what is taken.

    Args:
        vectors: What somebody gave.
        name: What messages call it, unless it is a file.
        limits: Of files.

    Raises:
        UsageError: If they are no vectors.
        FormatError: If a file holds none.
        TargetError: If a file does not exist.
        LimitError: If a file is larger than its limit.
    """
    if isinstance(vectors, str | os.PathLike):
        path = os.fsdecode(vectors)
        return _accepted(read_vectors(path, limits), path, FormatError)
    return checked(_as_array(vectors, name), name)


def checked(rows: Matrix, name: str) -> Accepted:
    """Rows in a numpy array, checked.

    Raises:
        UsageError: If they are not finite numbers of shape `(rows, dimension)`, or a row is all zeros.
    """
    return _accepted(rows, name, UsageError)


def _as_array(vectors: Any, name: str) -> Matrix:
    if isinstance(vectors, np.ndarray):
        if np.ma.is_masked(vectors):
            raise UsageError(f"{name} has masked numbers: a vector has all of them")
        return np.asarray(vectors)
    if _is_tensor(vectors):
        return _from_tensor(vectors, name)
    if isinstance(vectors, bytes | bytearray | memoryview):
        raise UsageError(f"{name} is {type(vectors).__name__}, not vectors")
    if isinstance(vectors, Sequence):
        return _from_sequence(vectors, name)
    if hasattr(vectors, "__array__"):
        return _from_foreign(vectors, name)
    raise UsageError(
        f"{name} is of type {type(vectors).__name__}; give a numpy array, a torch tensor, lists of numbers, "
        "or the path of a file"
    )


def _is_tensor(value: Any) -> bool:
    return all(hasattr(value, method) for method in ("detach", "cpu", "numpy", "is_floating_point"))


def _from_tensor(tensor: Any, name: str) -> Matrix:
    try:
        held = tensor.detach().cpu()
        # numpy has no bfloat16 and no float8; float32 holds every number of either.
        if held.is_floating_point() and held.element_size() < np.dtype(np.float32).itemsize:
            held = held.float()
        array: Matrix = held.numpy()
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise UsageError(f"{name} is a tensor that cannot be turned into numbers: {error}") from error
    return array


def _from_foreign(vectors: Any, name: str) -> Matrix:
    try:
        array: Matrix = np.asarray(vectors)
    except Exception as error:  # whatever somebody's class raises
        raise UsageError(f"{name} cannot be turned into an array: {type(error).__name__}: {error}") from error
    return array


def _from_sequence(values: Sequence[Any], name: str) -> Matrix:
    if not values:
        raise UsageError(f"{name} is empty; it needs a vector for each text")
    if not any(_is_row(value) for value in values):
        return _numbers(values, name)[np.newaxis, :]
    rows = [_row(value, f"{name}[{at}]") for at, value in enumerate(values)]
    ragged = next((at for at, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if ragged is not None:
        raise UsageError(
            f"{name}[{ragged}] has {len(rows[ragged])} numbers and {name}[0] has {len(rows[0])}: vectors of "
            "one model have one length"
        )
    return np.stack(rows)


def _is_row(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, Sequence) or _is_tensor(value) or getattr(value, "ndim", 0) > 0


def _row(value: Any, name: str) -> Matrix:
    if not _is_row(value):
        raise UsageError(f"{name} is {_kind(value)}, not a vector")
    row = _numbers(value, name) if isinstance(value, Sequence) else _as_array(value, name)
    if row.ndim != 1:
        raise UsageError(f"{name} has the shape {row.shape}, not that of one vector")
    return row


def _numbers(values: Sequence[Any], name: str) -> Matrix:
    for at, value in enumerate(values):
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
            raise UsageError(f"{name}[{at}] is {_kind(value)}, not a number")
    try:
        return np.array(values, dtype=np.float64)
    except (OverflowError, TypeError) as error:
        raise UsageError(f"{name} holds a number that float64 cannot: {error}") from error


def _kind(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _accepted(rows: Matrix, name: str, error: type[UsageError] | type[FormatError]) -> Accepted:
    matrix = rows[np.newaxis, :] if rows.ndim == 1 else rows
    problem = problem_of(matrix)
    if problem is not None:
        raise _error(error, problem, name)
    return Accepted(name=name, rows=matrix)


def _error(kind: type[UsageError] | type[FormatError], problem: str, name: str) -> EmbauditError:
    return FormatError(problem, name) if kind is FormatError else UsageError(f"{name}: {problem}")


def problem_of(matrix: Matrix) -> str | None:
    """Why an array is no set of vectors, or None if it is one."""
    if matrix.dtype.kind not in _NUMBERS:
        return f"holds {matrix.dtype}, not real numbers"
    if matrix.ndim != _MATRIX_AXES:
        return f"has the shape {matrix.shape}; it must be (rows, dimension)"
    if matrix.size == 0:
        return f"is empty: its shape is {matrix.shape}"
    return _unusable_number(matrix) or _unusable_row(matrix)


def _unusable_number(matrix: Matrix) -> str | None:
    for rows in row_blocks(*matrix.shape):
        # A signalling NaN complains when it is converted, and a number that only a wider type holds.
        with np.errstate(invalid="ignore", over="ignore"):
            block = matrix[rows].astype(np.float64)
        usable = np.abs(block) <= LARGEST_MAGNITUDE
        if not usable.all():
            row, column = (int(index) for index in np.argwhere(~usable)[0])
            number = float(block[row, column])
            return f"row {rows.start + row}, column {column} is {number:g}, {_why(number)}"
    return None


def _why(number: float) -> str:
    return "too large to be squared" if np.isfinite(number) else "not a finite number"


def _unusable_row(matrix: Matrix) -> str | None:
    (short,) = np.nonzero(norms(matrix) < LEAST_NORM)
    if not len(short):
        return None
    row = int(short[0])
    largest = float(np.abs(matrix[row].astype(np.float64)).max())
    if largest == 0.0:
        return f"row {row} is all zeros, and has no direction"
    return f"row {row} has no number beyond {largest:g}: they are too small to be squared"
