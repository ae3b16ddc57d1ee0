"""A probe against a golden one: which texts have another vector now."""

import numpy as np

from embaudit.embeddings.comparing import compare_rows
from embaudit.embeddings.measuring import measure
from embaudit.embeddings.probing.checking import changes
from embaudit.embeddings.probing.observing import known_dtype
from embaudit.embeddings.rounding import noise_limit
from embaudit.errors import UsageError
from embaudit.model.dtypes import DType
from embaudit.model.probe import Behaviour, DriftedText, Probe, ProbeDrift


def drift(golden: Probe, current: Probe, tolerance: float | None) -> ProbeDrift:
    """As `embaudit.embeddings.compare_probes`."""
    if tolerance is not None and not tolerance >= 0:
        raise UsageError(f"the tolerance is {tolerance}; it must be 0 or more")
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
        server=()
        if golden.server is None or current.server is None
        else changes(golden.server, current.server),
    )


def _tolerance_of(golden: Probe) -> float:
    return noise_limit(known_dtype(golden.server, golden.vectors) or DType.FLOAT32)


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
