"""A probe against a golden one: which texts have another vector now."""

import numpy as np

from embaudit.embeddings.comparing import compare_rows
from embaudit.embeddings.measuring import measure
from embaudit.embeddings.probing.checking import changes
from embaudit.embeddings.probing.observing import known_dtype
from embaudit.embeddings.rounding import noise_limit, type_of_numbers
from embaudit.errors import UsageError
from embaudit.model.dtypes import DType
from embaudit.model.probe import Behaviour, DriftedText, Probe, ProbeDrift


def drift(golden: Probe, current: Probe, tolerance: float | None) -> ProbeDrift:
    """As `embaudit.embeddings.compare_probes`."""
    _check_arguments(golden, current, tolerance)
    places = {text: row for row, text in enumerate(current.texts)}
    shared = tuple(text for text in golden.texts if text in places)
    if not shared:
        raise UsageError("the probes have no text in common: there is nothing to compare")
    allowed = _tolerance_of(golden) if tolerance is None else tolerance
    expected = golden.vectors[[row for row, text in enumerate(golden.texts) if text in places]]
    observed = current.vectors[[places[text] for text in shared]]
    old = set(golden.texts)
    return ProbeDrift(
        texts=shared,
        comparison=compare_rows(expected, observed),
        tolerance=allowed,
        drifted=_drifted(shared, expected, observed, allowed),
        only_golden=tuple(text for text in golden.texts if text not in places),
        only_current=tuple(text for text in current.texts if text not in old),
        behaviours=tuple(each for each in Behaviour if _changed(golden, current, each)),
        not_compared=tuple(
            each for each in Behaviour if golden.does(each) is None or current.does(each) is None
        ),
        faults=current.faults,
        broken=_broken(golden, current),
        server=()
        if golden.server is None or current.server is None
        else changes(golden.server, current.server),
    )


def _check_arguments(golden: object, current: object, tolerance: object) -> None:
    for name, each in (("golden", golden), ("current", current)):
        if not isinstance(each, Probe):
            raise UsageError(f"{name} is of type {type(each).__name__}, not a Probe")
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance!r}; it must be a number, 0 or more")


def _tolerance_of(golden: Probe) -> float:
    known = known_dtype(golden.dtype, golden.server, golden.vectors)
    return noise_limit(known or type_of_numbers(golden.vectors.astype(np.float64)) or DType.FLOAT32)


def _drifted(
    texts: tuple[str, ...],
    expected: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    observed: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    tolerance: float,
) -> tuple[DriftedText, ...]:
    """The texts whose vectors are farther apart, the farthest first; all of them if the dimension differs."""
    measures = measure(expected, observed)
    away = measures.distance > tolerance
    if expected.shape[1] != observed.shape[1]:
        away[:] = True
    rows = np.flatnonzero(away)
    return tuple(
        DriftedText(
            text=texts[row],
            row=int(row),
            distance=float(measures.distance[row]),
            l2=float(measures.l2[row]),
            cosine=float(measures.cosine[row]),
        )
        for row in rows[np.argsort(-measures.distance[rows], kind="stable")]
    )


def _changed(golden: Probe, current: Probe, behaviour: Behaviour) -> bool:
    before, now = golden.does(behaviour), current.does(behaviour)
    return before is not None and now is not None and before != now


def _broken(golden: Probe, current: Probe) -> tuple[Behaviour, ...]:
    before = {each.behaviour for each in golden.faults}
    return tuple(each.behaviour for each in current.faults if each.behaviour not in before)
