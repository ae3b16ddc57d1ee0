"""Predicted loads as HTML: what each loader makes of the repository, version by version, and why."""

from collections.abc import Iterator, Sequence

from embaudit.model.prediction import LoadPrediction, Outcome, PredictedLoad
from embaudit.model.words import plural
from embaudit.report.html.parts import (
    Bounds,
    Column,
    bullets,
    code,
    fold,
    label_of,
    paragraph,
    prose,
    table,
    text,
)
from embaudit.report.loads import LOAD_COLUMNS, key_lists, load_row, loader_name
from embaudit.report.pipelines import pipeline_sentences

_KINDS = {
    Outcome.CORRUPT: "error",
    Outcome.INCOMPLETE: "error",
    Outcome.UNKNOWN: "warning",
    Outcome.REFUSED: "warning",
    Outcome.FAITHFUL: "good",
}
_COLUMN_KINDS = ("brief", "name", "brief", "name", "brief", "told")


def loads_table(predictions: Sequence[LoadPrediction], bounds: Bounds) -> str:
    """A row for each behaviour of each loader, and below what is known of each."""
    loads = [load for prediction in predictions for load in prediction.eras]
    columns = tuple(map(Column, LOAD_COLUMNS, _COLUMN_KINDS))
    rows = table(columns, map(_row, loads), "predicted loads", most=bounds.rows, total=len(loads))
    return rows + "".join(_details(load, bounds) for load in loads[: bounds.items])


def _row(load: PredictedLoad) -> tuple[str, ...]:
    name, versions, outcome, file, dtype, counts = load_row(load)
    return (
        text(name),
        code(versions) if versions else "",
        label_of(outcome, _KINDS[load.outcome]),
        code(file) if file else "",
        text(dtype),
        text(counts),
    )


def _details(load: PredictedLoad, bounds: Bounds) -> str:
    summary = f"{text(loader_name(load))} {text(load.versions)}: {text(load.outcome)}"
    return fold(summary, "".join(_explained(load, bounds)))


def _explained(load: PredictedLoad, bounds: Bounds) -> Iterator[str]:
    yield from map(paragraph, map(prose, load.reasons[: bounds.items]))
    if load.extrapolated:
        yield paragraph("The version is none of the releases that are known; its neighbours do so.")
    if load.pipeline is not None:
        yield from (paragraph(prose(sentence)) for sentence in pipeline_sentences(load.pipeline))
    for title, names in key_lists(load):
        if names:
            heading = f"{title} ({plural(len(names), 'tensor')})"
            yield fold(text(heading), bullets(map(code, names), len(names), bounds))
    ignored = bullets(map(code, load.ignored_files), len(load.ignored_files), bounds)
    yield fold(f"weight files that it does not open ({len(load.ignored_files):,})", ignored)
    sources = bullets(map(_source, load.sources), len(load.sources), bounds)
    yield fold("where it can be read that it does so", sources)


def _source(address: str) -> str:
    """A link, if it is an address of the web; a report that was read may hold any text."""
    if not address.startswith("https://"):
        return code(address)
    return f'<a href="{text(address, len(address))}" rel="noreferrer">{text(address)}</a>'
