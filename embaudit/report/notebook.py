"""Values as a notebook shows them: as pieces of HTML, with a style of their own, and as lines of text.

Both are of a few kilobytes, however large the value is. No script, and no colours but those of the notebook's
theme: see `page_style`. `embaudit.model.shown` asks for what is here, and for tables, which are in `frames`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.comparison import EmbeddingComparison
from embaudit.model.diagnosis import Cause, Diagnosis, Hypothesis
from embaudit.model.diff import SnapshotDiff
from embaudit.model.prediction import LoadPrediction, PredictedLoad
from embaudit.model.probe import Probe, ProbeDrift
from embaudit.model.tensor_map import TensorMap
from embaudit.report.diagnosis import render_diagnosis, render_diagnosis_html
from embaudit.report.embeddings import render_comparison, render_comparison_html
from embaudit.report.html.changes import diff_part
from embaudit.report.html.loads import loads_table
from embaudit.report.html.parts import (
    PIECE,
    left_out,
    paragraph,
    text,
)
from embaudit.report.html.weights import maps_part, weights_tables
from embaudit.report.loads import render_prediction
from embaudit.report.pages import page
from embaudit.report.probes import render_drift, render_drift_html, render_probe, render_probe_html
from embaudit.report.text import render_checkpoint, render_diff, render_map

_DIAGNOSIS_LISTS = ("doubts", "notes", "without_effect", "untested")

MAX_LINES = 120
"""Lines of text of one value."""
MAX_LINE = 500
"""Characters of such a line; a name of a hostile file may have millions."""


def html_of(value: object) -> str:
    """A value as a piece of HTML.

    Raises:
        KeyError: If it is none of the values that are shown.
    """
    return _SHOWN[type(value)](value)


def text_of(value: object) -> str:
    """A value as lines of text.

    Raises:
        KeyError: If it is none of the values that are shown.
    """
    lines = _PRINTED[type(value)](value).splitlines()
    shown = [line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…" for line in lines[:MAX_LINES]]
    more = [f"... and {len(lines) - MAX_LINES:,} more lines"] if len(lines) > MAX_LINES else []
    return "\n".join([*shown, *more])


def _titled(title: str, body: str) -> str:
    return page(title, f"{paragraph(f'<strong>{text(title)}</strong>')}{body}", whole_page=False)


def _diff(diff: SnapshotDiff) -> str:
    return _titled("embaudit: what changed", diff_part(diff, PIECE))


def _map(tensors: TensorMap) -> str:
    return _titled("embaudit: tensor map", maps_part((tensors,), PIECE))


def _checkpoint(checkpoint: Checkpoint) -> str:
    return _titled("embaudit: checkpoint", weights_tables({checkpoint.name: checkpoint}, PIECE))


def _prediction(load: PredictedLoad) -> str:
    prediction = _asked(load)
    return _titled(f"embaudit: {prediction.asked or prediction.loader}", loads_table((prediction,), PIECE))


def _asked(load: PredictedLoad) -> LoadPrediction:
    """A prediction, or one of its behaviours as if it were all that was asked about."""
    if isinstance(load, LoadPrediction):
        return load
    fields = {field.name: getattr(load, field.name) for field in attrs.fields(PredictedLoad)}
    return LoadPrediction(**fields, eras=(load,))


def _comparison(comparison: EmbeddingComparison) -> str:
    return render_comparison_html(comparison, whole_page=False)


def _probe(probe: Probe) -> str:
    shown = attrs.evolve(probe, refused=probe.refused[: PIECE.rows])
    return _ended(render_probe_html(shown, whole_page=False), len(probe.refused))


def _drift(drift: ProbeDrift) -> str:
    shown = attrs.evolve(drift, drifted=drift.drifted[: PIECE.rows])
    return _ended(render_drift_html(shown, whole_page=False), len(drift.drifted))


def _ended(piece: str, n_rows: int) -> str:
    """A piece that shows the first rows of a list, and says at its end how many there are besides."""
    end = "</div>"
    return f"{piece.removesuffix(end)}{left_out(n_rows, PIECE.rows)}{end}"


def _diagnosis(diagnosis: Diagnosis) -> str:
    lists = {name: getattr(diagnosis, name) for name in _DIAGNOSIS_LISTS}
    cut = {name: told[: PIECE.items] for name, told in lists.items()}
    cause = diagnosis.cause and Cause(
        hypotheses=tuple(map(_hypothesis, diagnosis.cause.hypotheses[: PIECE.items]))
    )
    shown = attrs.evolve(diagnosis, cause=cause, **cut)
    n_left = sum(max(0, len(told) - PIECE.items) for told in lists.values())
    piece = render_diagnosis_html(shown, max_rows=PIECE.rows, whole_page=False)
    return _ended(piece, PIECE.rows + n_left)


def _hypothesis(hypothesis: Hypothesis) -> Hypothesis:
    return attrs.evolve(hypothesis, evidence=hypothesis.evidence[: PIECE.items])


def _lines(load: PredictedLoad) -> str:
    return render_prediction(_asked(load), max_rows=PIECE.rows)


_SHOWN: Mapping[type, Callable[[Any], str]] = {
    Checkpoint: _checkpoint,
    Diagnosis: _diagnosis,
    EmbeddingComparison: _comparison,
    LoadPrediction: _prediction,
    PredictedLoad: _prediction,
    Probe: _probe,
    ProbeDrift: _drift,
    SnapshotDiff: _diff,
    TensorMap: _map,
}
"""Type to what shows it."""

_PRINTED: Mapping[type, Callable[[Any], str]] = {
    Checkpoint: render_checkpoint,
    Diagnosis: render_diagnosis,
    EmbeddingComparison: render_comparison,
    LoadPrediction: _lines,
    PredictedLoad: _lines,
    Probe: render_probe,
    ProbeDrift: render_drift,
    SnapshotDiff: render_diff,
    TensorMap: render_map,
}
"""Type to what prints it."""
