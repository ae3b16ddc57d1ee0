"""How rules about loads speak of behaviours: who shows them, whom they harm, and how much it matters now."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from packaging.version import Version

from embaudit.model.checkpoint import Checkpoint
from embaudit.model.dtypes import DType
from embaudit.model.facts import Loads
from embaudit.model.findings import Severity
from embaudit.model.frozen import JSON
from embaudit.model.prediction import LoadPrediction, Outcome, PredictedLoad
from embaudit.rules.evidence import listed

_LOADS = {Outcome.FAITHFUL, Outcome.INCOMPLETE, Outcome.CORRUPT}
"""The outcomes after which there is a model that embeds."""

_WIDER = {
    "float16": (DType.FLOAT32, DType.FLOAT64, DType.BFLOAT16),
    "bfloat16": (DType.FLOAT32, DType.FLOAT64, DType.FLOAT16),
}
"""For each narrow type those that it cannot hold exactly. Each of the two has bits that the other lacks."""

_MAX_NAMED = 3
"""Behaviours that a sentence names; the evidence has all of them."""

_VERSION_AT_END = re.compile(r"[0-9]+(?:\.[0-9]+)*(?=,?$)")

_STEP_DOWN = {Severity.ERROR: Severity.WARNING, Severity.WARNING: Severity.INFO}


def loading(prediction: LoadPrediction) -> list[PredictedLoad]:
    """The behaviours after which there is a model that embeds."""
    return [load for load in prediction.eras if load.outcome in _LOADS]


def every_load(loads: Loads) -> list[PredictedLoad]:
    """The behaviours of every loader after which there is a model."""
    return [load for prediction in loads.predictions for load in loading(prediction) if load.files]


def harmful(load: PredictedLoad, names: Sequence[str]) -> list[str]:
    """Those of its missing or unexpected keys on which embeddings depend."""
    harmless = set(load.harmless_keys)
    return [name for name in names if name not in harmless]


def left_random(load: PredictedLoad) -> list[str]:
    """The tensors on which embeddings depend and that get no values, reported or not."""
    return [*harmful(load, load.missing_keys), *load.unfilled_keys]


def name_of(load: PredictedLoad) -> str:
    """`text-embeddings-inference[cuda] 1.0.0 to 1.6.1`."""
    name = f"{load.loader}[{load.backend}]" if load.backend else load.loader
    versions = load.versions.removeprefix("==").removeprefix(">=").replace(",<=", " to ")
    beneath = f" with {load.beneath}" if load.beneath else ""
    return f"{name} {versions}{beneath}".rstrip()


def who(loads: Sequence[PredictedLoad]) -> str:
    """Behaviours by name, those of the newest releases, and how many more there are."""
    names = [name_of(load) for load in sorted(loads, key=_last_release)[-_MAX_NAMED:]]
    if len(loads) > len(names):
        names.append(f"{len(loads) - len(names)} more")
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def who_does(loads: Sequence[PredictedLoad], verb: str) -> str:
    """Behaviours by name with what they do: `candle 0.5.0 takes`, `candle 0.5.0 and tei 1.5.0 take`."""
    if len(loads) == 1:
        return f"{who(loads)} {verb}"
    first, space, rest = verb.partition(" ")
    plural = "do" if first == "does" else first.removesuffix("s")
    return f"{who(loads)} {plural}{space}{rest}"


def says_nothing(loads: Iterable[PredictedLoad]) -> str:
    """What to add where the loader itself is silent."""
    return ", without a message" if all(load.silent for load in loads) else ""


def causes(loads: Sequence[PredictedLoad], verb: str) -> str:
    """Behaviours with what they do and the first of their reasons, those with the same reason together."""
    by_reason: dict[str, list[PredictedLoad]] = {}
    for load in sorted(loads, key=_last_release):
        by_reason.setdefault(load.reasons[0] if load.reasons else "no reason is known.", []).append(load)
    newest = list(by_reason.items())[-_MAX_NAMED:]
    told = [f"{who_does(each, verb)}: {reason}" for reason, each in newest]
    others = len(by_reason) - len(newest)
    return " ".join([*told, *([f"There are {others} causes more."] if others else [])])


def because(loads: Sequence[PredictedLoad]) -> str:
    """The first reason of the newest behaviour."""
    reasons = max(loads, key=_last_release).reasons
    return reasons[0] if reasons else "no reason is known."


def first_file(loads: Iterable[PredictedLoad]) -> str:
    """A file to say where a finding is: one that is taken, or passed over, or what decides on both."""
    every = tuple(loads)
    files = [file for load in every for file in load.files] + [
        file for load in every for file in load.ignored_files
    ]
    return files[0] if files else "config.json"


def affected_by(loads: Iterable[PredictedLoad]) -> dict[str, JSON]:
    """Which versions a finding is about, and where it can be read that they do so."""
    every = tuple(loads)
    sources = dict.fromkeys(source for load in every for source in load.sources)
    return {"affected": tuple(name_of(load) for load in every), "sources": listed(sources)}


def severity_of(prediction: LoadPrediction, affected: Sequence[PredictedLoad], usual: Severity) -> Severity:
    """The usual severity; one step less where all that is affected is old and was not asked for by name."""
    return usual if any(load in affected for load in _current(prediction)) else _STEP_DOWN[usual]


def _current(prediction: LoadPrediction) -> list[PredictedLoad]:
    """What the versions do that somebody may well run.

    Those that were asked for, else the newest; the newest also of what lies beneath, unless that was named.
    """
    loads = list(prediction.eras)
    if not prediction.version:
        last = max(map(_last_release, loads))
        loads = [load for load in loads if _last_release(load) == last]
    if " with " in prediction.asked:
        return loads
    newest = max(map(_last_beneath, loads))
    return [load for load in loads if not load.beneath or _last_beneath(load) == newest]


def _last_release(load: PredictedLoad) -> Version:
    """The newest release that shows a behaviour: the end of its versions."""
    return _ending_version(load.versions)


def _last_beneath(load: PredictedLoad) -> tuple[Version, bool]:
    """The newest transformers beneath, and whether the torch beneath is a new one."""
    parts = (part for part in load.beneath.split(", ") if part.startswith("transformers"))
    return _ending_version(next(parts, "")), "torch<" not in load.beneath


def _ending_version(text: str) -> Version:
    found = _VERSION_AT_END.search(text)
    return Version(found[0]) if found else Version("0")


def wider(checkpoint: Checkpoint, narrow: str) -> dict[str, int]:
    """The types of a checkpoint that lose something in `narrow`, with the number of tensors."""
    counts = Counter(str(tensor.dtype) for tensor in checkpoint.tensors.values())
    return {str(dtype): counts[dtype] for dtype in _WIDER[narrow] if counts[dtype]}
