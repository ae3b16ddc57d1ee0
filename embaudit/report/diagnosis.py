"""A diagnosis as text, JSON or a page: what came of it, the cause, its evidence, and what else was tried."""

from collections.abc import Iterator, Sequence
from html import escape

from embaudit.model.diagnosis import Diagnosis, Hypothesis, Verdict
from embaudit.model.words import plural
from embaudit.report.codec import render_json
from embaudit.report.columns import left_out, table, wrapped
from embaudit.report.distance_picture import MAX_BARS, distance_bars, distance_strip
from embaudit.report.embeddings import label_of
from embaudit.report.pages import html_table, page
from embaudit.report.wording import plain

DIAGNOSIS_COLUMNS = ("hypothesis", "distance", "cosine", "dimension")
"""The names of the columns under which hypotheses are listed."""

MOST_DISTANCE = 0.0141
"""Distance up to which a hypothesis reproduces a vector: see `Hypothesis.reproduces`."""

ROWS_SHOWN = 10
"""Hypotheses that are listed in text unless the caller says otherwise; the JSON form has all."""


def render_diagnosis(diagnosis: Diagnosis, *, max_rows: int = ROWS_SHOWN) -> str:
    """The verdict, its reasons, and the nearest hypotheses, `max_rows` at most."""
    lines = wrapped(verdict_line(diagnosis), indent=0)
    for hypothesis in _told(diagnosis):
        lines += [f"  {plain(hypothesis.name)}", *wrapped(_sentence(hypothesis.description), indent=4)]
        for line in hypothesis.evidence:
            lines += wrapped(line, indent=4)
    for note in (*diagnosis.doubts, *diagnosis.notes):
        lines += wrapped(note, indent=2)
    listed = _listed(diagnosis, max_rows)
    lines += ["", *table(DIAGNOSIS_COLUMNS, [_row(each) for each in listed])]
    lines += left_out(len(diagnosis.ranked), len(listed))
    for heading, told in _rest(diagnosis):
        lines += ["", heading] if heading else [""]
        for line in told:
            lines += wrapped(line, indent=2 if heading else 0)
    return "\n".join(lines)


def render_diagnosis_json(diagnosis: Diagnosis) -> str:
    """Every field as JSON, under the names of `Diagnosis`."""
    return render_json(diagnosis)


def render_diagnosis_html(
    diagnosis: Diagnosis,
    texts: Sequence[str] = (),
    *,
    max_rows: int = ROWS_SHOWN,
    whole_page: bool = True,
) -> str:
    """The same as a page, or as a piece of one, with bars of the distances of each text.

    Args:
        diagnosis: What to tell.
        texts: What the vectors are of, if that is known.
        max_rows: Hypotheses that are listed at most, beside the declared one.
        whole_page: Whether it is a page of its own.
    """
    return page(
        f"embaudit: {diagnosis.verdict}",
        "".join(_body(diagnosis, texts, max_rows)),
        whole_page=whole_page,
    )


def _body(diagnosis: Diagnosis, texts: Sequence[str], max_rows: int) -> Iterator[str]:
    yield f"<h2>{diagnosis.verdict}: {plural(diagnosis.n_texts, 'vector')}</h2>"
    yield _paragraph(verdict_line(diagnosis))
    for hypothesis in _told(diagnosis):
        yield f"<h3>{escape(plain(hypothesis.name))}</h3>"
        yield from map(_paragraph, (_sentence(hypothesis.description), *hypothesis.evidence))
    yield from map(_paragraph, (*diagnosis.doubts, *diagnosis.notes))
    for hypothesis in (diagnosis.declared, *_told(diagnosis)[:1]):
        yield from _picture(hypothesis, texts)
    yield "<h3>Hypotheses, the nearest first</h3>"
    listed = _listed(diagnosis, max_rows)
    yield html_table(DIAGNOSIS_COLUMNS, [_row(each) for each in listed])
    yield from map(_paragraph, left_out(len(diagnosis.ranked), len(listed)))
    for heading, told in _rest(diagnosis):
        yield from map(_paragraph, (heading, *told))


def _picture(hypothesis: Hypothesis, texts: Sequence[str]) -> Iterator[str]:
    """Its distance to each observed vector; those by which it does not reproduce them are red."""
    distances = hypothesis.distances
    if not distances:
        return
    far = frozenset(row for row, distance in enumerate(distances) if distance > MOST_DISTANCE)
    yield f"<h3>Distance of each text from {escape(plain(hypothesis.name))}, as a part of its length</h3>"
    yield distance_bars([label_of(row, texts) for row in range(len(distances))], distances, far)
    if len(distances) > MAX_BARS:
        yield distance_strip(distances)


def _paragraph(text: str) -> str:
    return f"<div>{escape(plain(text))}</div>" if text else ""


def verdict_line(diagnosis: Diagnosis) -> str:
    """What came of it, one sentence."""
    vectors = plural(diagnosis.n_texts, "vector")
    match diagnosis.verdict:
        case Verdict.AGREES:
            return f"The {vectors} are those that {diagnosis.target} declares."
        case Verdict.EXPLAINED:
            which = (
                "One of these gives them, and nothing tells them apart here" if _is_shared(diagnosis) else ""
            )
            cause = which or "This gives them"
            return f"The {vectors} are not those that {diagnosis.target} declares. {cause}:"
        case Verdict.AMBIGUOUS:
            return (
                f"Several causes come near: what made the {vectors} otherwise than {diagnosis.target} "
                "declares, if anything did, is open."
            )
        case Verdict.UNEXPLAINED if diagnosis.doubts:
            return (
                f"Whether the {vectors} are those that {diagnosis.target} declares is not known: what is "
                "declared is in doubt."
            )
        case Verdict.UNEXPLAINED:
            return (
                f"The {vectors} are not those that {diagnosis.target} declares, and no hypothesis gives them."
            )


def _is_shared(diagnosis: Diagnosis) -> bool:
    return diagnosis.cause is not None and len(diagnosis.cause.hypotheses) > 1


def _told(diagnosis: Diagnosis) -> tuple[Hypothesis, ...]:
    return () if diagnosis.cause is None else diagnosis.cause.hypotheses


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."


def _row(hypothesis: Hypothesis) -> tuple[str, ...]:
    distance = "" if hypothesis.distance is None else f"{hypothesis.distance:.2g}"
    cosine = "" if hypothesis.cosine is None else f"{hypothesis.cosine:.6f}"
    return plain(hypothesis.name), distance, cosine, str(hypothesis.dimension)


def _listed(diagnosis: Diagnosis, max_rows: int) -> tuple[Hypothesis, ...]:
    """The nearest hypotheses, and the declared one in any case."""
    shown = diagnosis.ranked[:max_rows]
    return shown if diagnosis.declared in shown else (*shown, diagnosis.declared)


def _rest(diagnosis: Diagnosis) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What had no effect, and what was not tried, the latter with a heading."""
    if diagnosis.without_effect:
        yield "", (f"No effect on these texts: {', '.join(diagnosis.without_effect)}.",)
    if diagnosis.untested:
        yield "Not tried:", diagnosis.untested
