"""Probes and their drift for people: as text, as JSON, and as a page with a picture of the distances.

The vectors themselves are in no form: they are in the file that `save_probe` writes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import attrs

from embaudit.model.probe import (
    Behaviour,
    Observation,
    Probe,
    ProbeDrift,
    ServerCheck,
    ServerInfo,
    ServerMismatch,
)
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

_FAULTS = "Faults"
_CHANGED = "The server says otherwise than before"
_OTHERWISE = "The server says otherwise than its target"
_MOST_TEXTS_ALIKE = "most texts have one vector"
_NOTHING_COMPARED = "Nothing that the server says of itself could be held against its target."

_BEHAVIOUR_COLUMNS = ("", "behaviour", "what was seen", "worst", "rows")
_DRIFT_COLUMNS = ("row", "distance", "L2", "cosine", "text")
_SERVER_COLUMNS = ("field", "expected", "served", "why it matters")


def render_probe(probe: Probe, check: ServerCheck | None = None) -> str:
    """What was asked, what the server says of itself, and how the backend behaves.

    Args:
        probe: What to tell.
        check: What `check_server` found, if it was asked.
    """
    facts = [*_facts(probe), *_check_facts(check)]
    lines = [_probe_title(probe), *(line for fact in facts for line in wrapped(fact, 2))]
    lines += _section("Behaviour", _BEHAVIOUR_COLUMNS, [_behaviour(each) for each in probe.observations])
    refused = [(shown_text(each.text), plain(each.reason)) for each in probe.refused]
    lines += _section("Texts that are not taken", ("text", "reason"), refused)
    lines += _check_section(check)
    return "\n".join(lines) + "\n"


def render_probe_json(probe: Probe, check: ServerCheck | None = None) -> str:
    """The probe without its vectors, and what `check_server` found, as JSON."""
    document = _without(probe, "vectors")
    extra = {"dimension": probe.dimension, "faults": to_jsonable(probe.faults)}
    return _as_json({**document, **extra, "check": _check_document(check)})


def render_probe_html(probe: Probe, check: ServerCheck | None = None, *, whole_page: bool = True) -> str:
    """The same as a page, or as a piece of one."""
    body = "".join(
        (
            f"<h2>{escape(plain(_probe_title(probe)))}</h2>",
            *(f"<div>{escape(plain(fact))}</div>" for fact in (*_facts(probe), *_check_facts(check))),
            html_table(_BEHAVIOUR_COLUMNS, [_behaviour(each) for each in probe.observations]),
            html_table(("text", "why it is not taken"), [(each.text, each.reason) for each in probe.refused]),
            _titled(_OTHERWISE, _SERVER_COLUMNS, _check_rows(check)),
        )
    )
    return page("embaudit: probe", body, whole_page=whole_page)


def render_drift(drift: ProbeDrift, check: ServerCheck | None = None) -> str:
    """Which texts drifted, how far, what else is otherwise, and what is wrong whether it drifted or not.

    Args:
        drift: What to tell.
        check: What `check_server` found of the current probe, if it was asked.
    """
    facts = [*_drift_facts(drift), *_check_facts(check)]
    lines = [_drift_title(drift, check), *(line for fact in facts for line in wrapped(fact, 2))]
    rows = [_drifted_row(drift, at) for at in range(min(len(drift.drifted), MAX_ROWS))]
    lines += _section("Drifted", _DRIFT_COLUMNS, rows)
    lines += indented(left_out(len(drift.drifted), MAX_ROWS))
    lines += _section(_FAULTS, _BEHAVIOUR_COLUMNS, [_behaviour(each) for each in drift.faults])
    lines += _section(_CHANGED, _SERVER_COLUMNS, [_server_row(each) for each in drift.server])
    lines += _check_section(check)
    return "\n".join(lines) + "\n"


def render_drift_json(drift: ProbeDrift, check: ServerCheck | None = None) -> str:
    """Every field of the drift, and what `check_server` found, as JSON."""
    return _as_json({"agrees": drift.agrees, **to_jsonable(drift), "check": _check_document(check)})


def render_drift_html(drift: ProbeDrift, check: ServerCheck | None = None, *, whole_page: bool = True) -> str:
    """The same as a page, or as a piece of one, with bars of the distances: red for texts that drifted."""
    labels = [label_of(row, drift.texts) for row in range(len(drift.texts))]
    red = frozenset(each.row for each in drift.drifted)
    distances = drift.comparison.l2
    rows = [_drifted_row(drift, at) for at in range(len(drift.drifted))]
    body = "".join(
        (
            f"<h2>{escape(_drift_title(drift, check))}</h2>",
            *(f"<div>{escape(plain(fact))}</div>" for fact in (*_drift_facts(drift), *_check_facts(check))),
            f"<h3>L2 distance of each text</h3>{distance_bars(labels, distances, red)}",
            distance_strip(distances) if len(distances) > MAX_BARS else "",
            html_table(_DRIFT_COLUMNS, rows),
            _titled(_FAULTS, _BEHAVIOUR_COLUMNS, [_behaviour(each) for each in drift.faults]),
            _titled(_CHANGED, _SERVER_COLUMNS, [_server_row(each) for each in drift.server]),
            _titled(_OTHERWISE, _SERVER_COLUMNS, _check_rows(check)),
        )
    )
    return page("embaudit: drift", body, whole_page=whole_page)


def _section(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", title, *indented(table(header, rows))] if rows else []


def _titled(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"<h3>{escape(title)}</h3>{html_table(header, rows)}" if rows else ""


def _probe_title(probe: Probe) -> str:
    sound = "no fault" if probe.observations else "not looked at for faults"
    verdict = plural(len(probe.faults), "fault") if probe.faults else sound
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
    worst = "" if observation.worst is None else f"{observation.worst:.2g}"
    mark = "fault" if observation.is_fault else "?" if observation.holds is None else ""
    return mark, str(observation.behaviour), _seen(observation), worst, rows_named(observation.rows)


def _seen(observation: Observation) -> str:
    if observation.holds is None and observation.rows and observation.worst is not None:
        return "rounding of bfloat16 would explain it, and none finer: say the dtype"
    if observation.holds is None:
        return "the texts do not tell"
    if observation.is_fault and not observation.behaviour.is_required:
        return _MOST_TEXTS_ALIKE
    return _SENTENCES[observation.behaviour][0 if observation.holds else 1]


def _check_facts(check: ServerCheck | None) -> Iterator[str]:
    """What was held against the target and what was not."""
    if check is None:
        return
    if check.compared:
        yield f"Held against the target, by what the server says: {', '.join(check.compared)}."
    else:
        yield _NOTHING_COMPARED
    for field, reason in check.not_compared.items():
        yield f"Not compared: {field}, because {reason}."


def _check_section(check: ServerCheck | None) -> list[str]:
    return _section(_OTHERWISE, _SERVER_COLUMNS, _check_rows(check))


def _check_rows(check: ServerCheck | None) -> list[tuple[str, ...]]:
    return [] if check is None else [_server_row(each) for each in check.mismatches]


def _check_document(check: ServerCheck | None) -> Any:
    return None if check is None else {"agrees": check.agrees, **to_jsonable(check)}


def _server_row(mismatch: ServerMismatch) -> tuple[str, ...]:
    return mismatch.field, plain(mismatch.expected), plain(mismatch.served), mismatch.why


def _drift_title(drift: ProbeDrift, check: ServerCheck | None) -> str:
    parts = [
        plural(len(drift.texts), "text"),
        f"{len(drift.drifted):,} drifted" if drift.drifted else "none drifted",
    ]
    parts += [plural(len(drift.faults), "fault")] if drift.faults else []
    mismatches = _check_rows(check)
    parts += [f"otherwise than the target: {', '.join(row[0] for row in mismatches)}"] if mismatches else []
    return ", ".join(parts)


def _drift_facts(drift: ProbeDrift) -> Iterator[str]:
    yield from told(drift.comparison)
    yield f"A text drifted if its vector moved by more than {drift.tolerance:.2g} of its length."
    for behaviour in drift.behaviours:
        yield f"Otherwise than before: {behaviour}."
    for behaviour in drift.broken:
        yield f"A fault that the golden probe does not have: {behaviour}."
    if drift.not_compared:
        names = ", ".join(map(str, drift.not_compared))
        yield f"Not compared, because one of the probes does not tell: {names}."
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
