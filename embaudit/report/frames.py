"""Values as tables of pandas, which comes in when one is asked for, and is nobody's dependency.

A row is a dict of plain values: words instead of members of enumerations, dicts instead of mappings of ours;
shapes and lists of names stay tuples.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import attrs

from embaudit.errors import UsageError
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.findings import Finding, Severity
from embaudit.model.policy import Waiver
from embaudit.model.prediction import LoadPrediction, PredictedLoad
from embaudit.model.record import AuditRecord
from embaudit.model.tensor_map import TensorMap, TensorPair
from embaudit.model.tensors import TensorInfo
from embaudit.report.codec import to_jsonable

Row = dict[str, Any]


def frame_of(value: object) -> Any:
    """A value as a `pandas.DataFrame`, whose columns are there even if it has no rows.

    Raises:
        UsageError: If pandas is not installed.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise UsageError(
            f"to_frame needs {error.name or 'pandas'}: pip install 'embaudit[notebook]'"
        ) from None
    columns, rows = next(made for kind, made in _TABLES.items() if isinstance(value, kind))
    return pandas.DataFrame(list(rows(value)), columns=list(columns))


def _plain(value: object) -> Any:
    """Members of enumerations as their words, mappings of ours as dicts, everything else as it is."""
    if isinstance(value, Severity):
        return str(value)
    if isinstance(value, enum.Enum):
        return value.value
    return to_jsonable(value) if isinstance(value, Mapping) else value


def _fields(kind: type, *without: str) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind) if field.name not in without)


def _row(value: object, names: tuple[str, ...]) -> Row:
    return {name: _plain(getattr(value, name)) for name in names}


_TENSOR = (*_fields(TensorInfo, "byte_order", "storage_crc", "storage_bytes"), "n_elements", "n_bytes")


def _tensors(checkpoint: Checkpoint) -> Iterator[Row]:
    for tensor in checkpoint.tensors.values():
        yield _row(tensor, _TENSOR)


_PAIR_FIRST = ("left", "right", "found", "renamed_by", "tied_to")
_PAIR = (*_PAIR_FIRST, *(name for name in _fields(TensorPair) if name not in _PAIR_FIRST))


def _pairs(tensors: TensorMap) -> Iterator[Row]:
    """A row for each pair, and one for each name without a partner."""
    for pair in tensors.pairs:
        yield {"found": "both", **_row(pair, _fields(TensorPair))}
    for side, names in (("left", tensors.only_left), ("right", tensors.only_right)):
        yield from ({side: name, "found": side} for name in names)
    for tied in tensors.tied:
        yield {tied.side: tied.name, "found": tied.side, "tied_to": tied.tied_to}


_FINDING = ("code", "severity", "path", "tensor", "field", "loader", "message", "remedy", "evidence")


def _findings(record: AuditRecord) -> Iterator[Row]:
    """A row for each finding, and one for each that is waived."""
    yield from (_finding(finding, None) for finding in record.findings)
    yield from (_finding(each.finding, each.waiver) for each in record.waived)


def _finding(finding: Finding, waiver: Waiver | None) -> Row:
    where = _row(finding.where, ("path", "tensor", "field"))
    told = _row(finding, ("code", "severity", "loader", "message", "remedy", "evidence"))
    return {**told, **where, "waived_because": None if waiver is None else waiver.reason}


_LOAD = _fields(PredictedLoad, "pipeline")


def _loads(load: PredictedLoad) -> Iterator[Row]:
    """A row for each behaviour."""
    for era in load.eras if isinstance(load, LoadPrediction) else (load,):
        yield _row(era, _LOAD)


_COMPARED = ("l2", "cosine", "norm_ratio", "expected_norm", "observed_norm")


def _compared(comparison: EmbeddingComparison) -> Iterator[Row]:
    outliers = frozenset(comparison.outliers)
    for row in range(comparison.n_rows):
        measures = {name: getattr(comparison, name)[row] for name in _COMPARED}
        yield {**measures, "outlier": row in outliers}


_TABLES: Mapping[type, tuple[tuple[str, ...], Callable[[Any], Iterator[Row]]]] = {
    AuditRecord: ((*_FINDING, "waived_because"), _findings),
    Checkpoint: (_TENSOR, _tensors),
    EmbeddingComparison: ((*_COMPARED, "outlier"), _compared),
    PredictedLoad: (_LOAD, _loads),
    TensorMap: (_PAIR, _pairs),
}
"""Type to its columns and its rows."""
