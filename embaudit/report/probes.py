"""Probes and their drift for people: as text, as JSON, and as a page with a picture of the distances.

The vectors themselves are in no form: they are in the file that `save_probe` writes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import attrs

from embaudit.model.probe import Behaviour, Observation, Probe, ProbeDrift, ServerInfo, ServerMismatch
from embaudit.model.words import plural
from embaudit.report.codec import to_jsonable
from embaudit.report.columns import indented, left_out, table, wrapped
from embaudit.report.comparisons import rows_named, told
from embaudit.report.distance_picture import MAX_BARS, distance_bars, distance_strip
from embaudit.report.embeddings import label_of, shown_text
from embaudit.report.pages import html_table, page
from embaudit.report.wording import plain

MAX_ROWS = 40
"""Rows of one table; the JSON form has all of them."""

_SENTENCES: Mapping[Behaviour, tuple[str, str]] = {
    Behaviour.BATCHES: (
        "a text has the same vector alone as in a batch",
        "a text has another vector in a batch than alone",
    ),
    Behaviour.KEEPS_ORDER: (
        "vectors come in the order of the texts",
        "vectors come in another order than the texts",
    ),
    Behaviour.REPEATS: ("the same request gives the same vectors", "the same request gives other vectors"),
    Behaviour.TWINS: ("equal texts have equal vectors", "equal texts in one batch have other vectors"),
    Behaviour.NORMALIZES: ("vectors have length 1", "vectors have other lengths than 1"),
    Behaviour.TRUNCATES: ("long texts are cut", "long texts are read to their end"),
    Behaviour.FOLDS_CASE: ("capitals count as small letters", "capitals and small letters differ"),
    Behaviour.TELLS_APART: ("different texts have different vectors", "different texts have one vector"),
}
"""What is said of a behaviour that holds, and of one that does not."""

_BEHAVIOUR_COLUMNS = ("", "behaviour", "what was seen", "worst", "rows")
_DRIFT_COLUMNS = ("row", "distance", "L2", "cosine", "text")
_SERVER_COLUMNS = ("field", "expected", "served", "why it matters")


def render_probe(probe: Probe, mismatches: Sequence[ServerMismatch] = ()) -> str:
    """What was asked, what the server says of itself, and how the backend behaves.

    Args:
        probe: What to tell.
        mismatches: What `check_server` found, if it was asked.
    """
    lines = [_probe_title(probe), *(line for fact in _facts(probe) for line in wrapped(fact, 2))]
    lines += _section("Behaviour", _BEHAVIOUR_COLUMNS, [_behaviour(each) for each in probe.observations])
    refused = [(shown_text(each.text), plain(each.reason)) for each in probe.refused]
    lines += _section("Texts that are not taken", ("text", "reason"), refused)
    lines += _section(
        "The server says otherwise", _SERVER_COLUMNS, [_server_row(each) for each in mismatches]
    )
    return "\n".join(lines) + "\n"


def render_probe_json(probe: Probe, mismatches: Sequence[ServerMismatch] = ()) -> str:
    """The probe without its vectors, and what `check_server` found, as JSON."""
    document = _without(probe, "vectors")
    extra = {"dimension": probe.dimension, "faults": to_jsonable(probe.faults)}
    return _as_json({**document, **extra, "mismatches": to_jsonable(tuple(mismatches))})


def render_probe_html(
    probe: Probe, mismatches: Sequence[ServerMismatch] = (), *, whole_page: bool = True
) -> str:
    """The same as a page, or as a piece of one."""
    body = "".join(
        (
            f"<h2>{escape(plain(_probe_title(probe)))}</h2>",
            *(f"<div>{escape(plain(fact))}</div>" for fact in _facts(probe)),
            html_table(_BEHAVIOUR_COLUMNS, [_behaviour(each) for each in probe.observations]),
            html_table(("text", "why it is not taken"), [(each.text, each.reason) for each in probe.refused]),
            html_table(_SERVER_COLUMNS, [_server_row(each) for each in mismatches]),
        )
    )
    return page("embaudit: probe", body, whole_page=whole_page)


def render_drift(drift: ProbeDrift) -> str:
    """Which texts drifted, how far, and what else is otherwise."""
    lines = [_drift_title(drift), *(line for fact in _drift_facts(drift) for line in wrapped(fact, 2))]
    rows = [_drifted_row(drift, at) for at in range(min(len(drift.drifted), MAX_ROWS))]
    lines += _section("Drifted", _DRIFT_COLUMNS, rows)
    lines += indented(left_out(len(drift.drifted), MAX_ROWS))
    lines += _section(
        "The server says otherwise", _SERVER_COLUMNS, [_server_row(each) for each in drift.server]
    )
    return "\n".join(lines) + "\n"


def render_drift_json(drift: ProbeDrift) -> str:
    """Every field of the drift, as JSON."""
    return _as_json({"agrees": drift.agrees, **to_jsonable(drift)})


def render_drift_html(drift: ProbeDrift, *, whole_page: bool = True) -> str:
    """The same as a page, or as a piece of one, with bars of the distances: red for texts that drifted."""
    labels = [label_of(row, drift.texts) for row in range(len(drift.texts))]
    red = frozenset(each.row for each in drift.drifted)
    distances = drift.comparison.l2
    rows = [_drifted_row(drift, at) for at in range(len(drift.drifted))]
    body = "".join(
        (
            f"<h2>{escape(_drift_title(drift))}</h2>",
            *(f"<div>{escape(plain(fact))}</div>" for fact in _drift_facts(drift)),
            f"<h3>L2 distance of each text</h3>{distance_bars(labels, distances, red)}",
            distance_strip(distances) if len(distances) > MAX_BARS else "",
            html_table(_DRIFT_COLUMNS, rows),
            html_table(_SERVER_COLUMNS, [_server_row(each) for each in drift.server]),
        )
    )
    return page("embaudit: drift", body, whole_page=whole_page)


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", title, *indented(table(header, rows))] if rows else []


def _probe_title(probe: Probe) -> str:
    verdict = plural(len(probe.faults), "fault") if probe.faults else "no fault"
    size = f"{plural(len(probe.texts), 'text')}, {plural(probe.dimension, 'dimension')}"
    return f"{plain(probe.backend)}: {verdict}, {size}"


def _facts(probe: Probe) -> Iterator[str]:
    if probe.texts_version is not None:
        yield f"The texts are embaudit's own, version {probe.texts_version}."
    if not probe.observations:
        yield "Nothing was observed but the vectors."
    if probe.server is not None:
        yield f"The server says: {_said(probe.server)}."


def _said(server: ServerInfo) -> str:
    facts = (
        ("model", server.model_id),
        ("commit", server.model_sha),
        ("dtype", server.dtype),
        ("pooling", server.pooling),
        ("version", server.version),
        ("longest text", server.max_input_length),
    )
    return ", ".join(f"{name} {value}" for name, value in facts if value is not None) or "nothing"


def _behaviour(observation: Observation) -> tuple[str, ...]:
    behaviour = observation.behaviour
    if observation.holds is None:
        return "?", str(behaviour), "the texts do not tell", "", ""
    seen = _SENTENCES[behaviour][0 if observation.holds else 1]
    mark = "fault" if behaviour.is_required and not observation.holds else ""
    worst = "" if observation.worst is None else f"{observation.worst:.2g}"
    return mark, str(behaviour), seen, worst, rows_named(observation.rows)


def _server_row(mismatch: ServerMismatch) -> tuple[str, ...]:
    return mismatch.field, plain(mismatch.expected), plain(mismatch.served), mismatch.why


def _drift_title(drift: ProbeDrift) -> str:
    n_texts = plural(len(drift.texts), "text")
    return f"{n_texts}, {len(drift.drifted):,} drifted" if drift.drifted else f"{n_texts}, none drifted"


def _drift_facts(drift: ProbeDrift) -> Iterator[str]:
    yield from told(drift.comparison)
    yield f"A text drifted if its vector moved by more than {drift.tolerance:.2g} of its length."
    for behaviour in drift.behaviours:
        yield f"Otherwise than before: {behaviour}."
    if drift.only_golden:
        yield f"{plural(len(drift.only_golden), 'golden text')} without a vector now."
    if drift.only_current:
        yield f"{plural(len(drift.only_current), 'text')} without a golden vector."


def _drifted_row(drift: ProbeDrift, at: int) -> tuple[str, ...]:
    each = drift.drifted[at]
    return (
        str(each.row),
        f"{each.distance:.3g}",
        f"{each.l2:.3g}",
        f"{each.cosine:.6f}",
        shown_text(each.text),
    )


def _without(value: Any, left_out_field: str) -> dict[str, Any]:
    names = (field.name for field in attrs.fields(type(value)) if field.name != left_out_field)
    return {name: to_jsonable(getattr(value, name)) for name in names}


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
