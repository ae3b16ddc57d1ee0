"""A diagnosis as text or JSON: what came of it, the cause, its evidence, and what else was tried."""

from collections.abc import Iterator

from embaudit.model.diagnosis import Diagnosis, Hypothesis, Verdict
from embaudit.model.words import plural
from embaudit.report.codec import render_json
from embaudit.report.columns import left_out, table, wrapped
from embaudit.report.wording import plain

DIAGNOSIS_COLUMNS = ("hypothesis", "distance", "cosine", "dimension")
"""The names of the columns under which hypotheses are listed."""

ROWS_SHOWN = 10
"""Hypotheses that are listed in text unless the caller says otherwise; the JSON form has all."""


def render_diagnosis(diagnosis: Diagnosis, *, max_rows: int = ROWS_SHOWN) -> str:
    """The verdict, its reasons, and the nearest hypotheses, `max_rows` at most."""
    lines = wrapped(verdict_line(diagnosis), indent=0)
    for hypothesis in _told(diagnosis):
        lines += [f"  {plain(hypothesis.name)}", *wrapped(_sentence(hypothesis.description), indent=4)]
        for line in hypothesis.evidence:
            lines += wrapped(line, indent=4)
    for note in diagnosis.notes:
        lines += wrapped(note, indent=2)
    shown = diagnosis.ranked[:max_rows]
    listed = shown if diagnosis.declared in shown else (*shown, diagnosis.declared)
    lines += ["", *table(DIAGNOSIS_COLUMNS, [_row(each) for each in listed])]
    lines += left_out(len(diagnosis.ranked), len(listed))
    lines += _rest(diagnosis)
    return "\n".join(lines)


def render_diagnosis_json(diagnosis: Diagnosis) -> str:
    """Every field as JSON, under the names of `Diagnosis`."""
    return render_json(diagnosis)


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
            return f"The {vectors} are not those that {diagnosis.target} declares. Several causes come near."
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


def _rest(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.without_effect:
        yield ""
        yield from wrapped(f"No effect on these texts: {', '.join(diagnosis.without_effect)}.", indent=0)
    if diagnosis.untested:
        yield from ("", "Not tried:")
        for line in diagnosis.untested:
            yield from wrapped(line, indent=2)
