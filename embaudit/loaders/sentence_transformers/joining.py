"""Loads of single modules, put together to what becomes of the whole model.

Knows that modules are loaded in the order of `modules.json`, and that the first error ends everything.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, product

import attrs

from embaudit.model.prediction import Outcome, PredictedLoad

NAME = "sentence-transformers"

_ALTERNATIVES = 64
"""Combinations of what two modules might each do that are followed; more come from hostile settings only."""
_STRONGEST = (Outcome.REFUSED, Outcome.CORRUPT, Outcome.INCOMPLETE, Outcome.UNKNOWN, Outcome.FAITHFUL)
"""Outcomes of modules, those first that decide over the others: an error ends the load, whatever else."""


def make_load(outcome: Outcome, *reasons: str) -> PredictedLoad:
    """A load of which nothing is known but its outcome and why."""
    return PredictedLoad(loader=NAME, outcome=outcome, reasons=reasons)


def join_alternatives(modules: Sequence[Sequence[PredictedLoad]]) -> Iterator[PredictedLoad]:
    """What the model as a whole may do, from what each of its modules may do.

    Where two modules depend on the same thing beneath, they are paired by it.
    """
    combinations = list(islice(product(*modules), _ALTERNATIVES))
    agreeing = [each for each in combinations if len({load.beneath for load in each if load.beneath}) <= 1]
    yield from map(join_loads, agreeing or combinations)


def join_loads(loads: Iterable[PredictedLoad]) -> PredictedLoad:
    """One load of all these modules, in their order; what follows on an error is never reached."""
    reached = list(_until_refused(loads))
    outcome = min((load.outcome for load in reached), key=_STRONGEST.index, default=Outcome.FAITHFUL)
    return PredictedLoad(
        loader=NAME,
        beneath=", ".join(dict.fromkeys(load.beneath for load in reached if load.beneath)),
        outcome=outcome,
        files=_sorted(load.files for load in reached),
        missing_keys=_sorted(load.missing_keys for load in reached),
        unexpected_keys=_sorted(load.unexpected_keys for load in reached),
        mismatched_keys=tuple(
            sorted(_all(load.mismatched_keys for load in reached), key=lambda key: key.name)
        ),
        renamed_keys={old: new for load in reached for old, new in load.renamed_keys.items()},
        misread_keys=tuple(sorted(_all(load.misread_keys for load in reached), key=lambda key: key.name)),
        harmless_keys=_sorted(load.harmless_keys for load in reached),
        dtype=next((load.dtype for load in reached if load.dtype is not None), None),
        silent=outcome is not Outcome.REFUSED and any(load.silent for load in reached),
        reasons=tuple(dict.fromkeys(_all(load.reasons for load in reached))),
        sources=tuple(dict.fromkeys(_all(load.sources for load in reached))),
    )


def _until_refused(loads: Iterable[PredictedLoad]) -> Iterator[PredictedLoad]:
    for load in loads:
        yield load
        if load.outcome is Outcome.REFUSED:
            return


_all = chain.from_iterable


def _sorted(groups: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted(set(_all(groups))))


def with_prefix(load: PredictedLoad, prefix: str) -> PredictedLoad:
    """The load, with every tensor named as part of the module in a folder."""
    if not prefix:
        return load
    start = f"{prefix}."
    return attrs.evolve(
        load,
        missing_keys=tuple(start + name for name in load.missing_keys),
        unexpected_keys=tuple(start + name for name in load.unexpected_keys),
        mismatched_keys=tuple(attrs.evolve(key, name=start + key.name) for key in load.mismatched_keys),
        renamed_keys={start + old: start + new for old, new in load.renamed_keys.items()},
        misread_keys=tuple(attrs.evolve(key, name=start + key.name) for key in load.misread_keys),
        harmless_keys=tuple(start + name for name in load.harmless_keys),
    )
