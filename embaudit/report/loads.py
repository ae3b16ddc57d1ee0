"""Predicted loads as text: what each loader makes of the repository, and in which versions."""

from collections.abc import Iterable, Iterator, Sequence

from embaudit.model.prediction import LoadPrediction, PredictedLoad
from embaudit.model.words import plural
from embaudit.report.columns import left_out, table, wrapped
from embaudit.report.pipelines import pipeline_lines
from embaudit.report.wording import plain

LOAD_COLUMNS = ("loader", "versions", "outcome", "file", "dtype", "tensors")
"""The names of the columns of `load_rows`."""

_SOURCES_SHOWN = 3
"""Sources of one behaviour that are listed; the JSON form has all of them."""


def load_rows(predictions: Iterable[LoadPrediction]) -> list[tuple[str, ...]]:
    """A row for each behaviour of each loader that was asked about, under `LOAD_COLUMNS`."""
    return [load_row(load) for prediction in predictions for load in prediction.eras]


def load_row(load: PredictedLoad) -> tuple[str, ...]:
    """One behaviour: who, in which versions, what comes of it, from which files."""
    return (
        loader_name(load),
        plain(", on ".join(part for part in (load.versions, load.beneath) if part)),
        f"{load.outcome}, silently" if load.silent else str(load.outcome),
        plain(_files(load.files)),
        plain(load.dtype or ""),
        _counts(load),
    )


def loader_name(load: PredictedLoad) -> str:
    """`text-embeddings-inference[cuda]`."""
    return plain(f"{load.loader}[{load.backend}]" if load.backend else load.loader)


def _files(files: Sequence[str]) -> str:
    shown = files[0] if files else ""
    return f"{shown} and {len(files) - 1} more" if len(files) > 1 else shown


def _counts(load: PredictedLoad) -> str:
    harmless = set(load.harmless_keys)
    counts = (
        (load.misread_keys, "misread"),
        ([key for key in load.missing_keys if key not in harmless], "missing"),
        (load.unfilled_keys, "missing without a report"),
        ([key for key in load.unexpected_keys if key not in harmless], "not taken"),
        (load.mismatched_keys, "of another shape"),
        (load.duplicate_keys, "stored twice"),
        (load.harmless_keys, "harmless"),
    )
    return ", ".join(f"{len(keys):,} {what}" for keys, what in counts if keys)


def render_prediction(prediction: LoadPrediction, *, max_rows: int) -> str:
    """One prediction: a row for each behaviour, then why, and the tensors, `max_rows` of a kind at most."""
    lines = table(LOAD_COLUMNS, [load_row(load) for load in prediction.eras])
    for load in prediction.eras:
        lines += ["", f"{loader_name(load)} {plain(load.versions)}: {load.outcome}"]
        lines += _details(load, max_rows)
    return "\n".join(lines) + "\n"


def _details(load: PredictedLoad, max_rows: int) -> Iterator[str]:
    for reason in load.reasons:
        yield from wrapped(reason, indent=2)
    if load.pipeline is not None:
        yield from pipeline_lines(load.pipeline)
    for title, names in key_lists(load):
        if names:
            yield f"  {title} ({plural(len(names), 'tensor')}):"
            yield from (f"    {plain(name)}" for name in names[:max_rows])
            yield from (f"    {line}" for line in left_out(len(names), max_rows))
    if load.ignored_files:
        yield f"  not opened: {plain(', '.join(load.ignored_files[:max_rows]))}"
        yield from (f"    {line}" for line in left_out(len(load.ignored_files), max_rows))
    for source in load.sources[:_SOURCES_SHOWN]:
        yield f"  source: {source}"


def key_lists(load: PredictedLoad) -> tuple[tuple[str, list[str]], ...]:
    """The tensors of each kind, under its name, as one behaviour treats them; the lists may be empty."""
    harmless = set(load.harmless_keys)
    return (
        (
            "misread",
            [
                f"{one.name}: at byte {one.byte_read:,} where {one.byte_to_read:,} is right"
                for one in load.misread_keys
            ],
        ),
        ("missing", [_marked(key, harmless) for key in load.missing_keys]),
        ("missing without a report", list(load.unfilled_keys)),
        ("not taken", [_marked(key, harmless) for key in load.unexpected_keys]),
        (
            "of another shape",
            [f"{one.name}: {one.stored_shape}, not {one.expected_shape}" for one in load.mismatched_keys],
        ),
        ("stored twice", [f"{one.name}: taken from {one.winner}" for one in load.duplicate_keys]),
        ("renamed", [f"{stored} -> {loaded}" for stored, loaded in load.renamed_keys.items()]),
    )


def _marked(key: str, harmless: set[str]) -> str:
    return f"{key} (harmless)" if key in harmless else key
