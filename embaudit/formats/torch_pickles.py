"""Judges a torch pickle: what it would import, and whether it holds more than tensors and plain values."""

from collections.abc import Iterable
from itertools import islice

from embaudit.formats.pickle_machine import PickleError
from embaudit.formats.pickle_nodes import Global, Pickled
from embaudit.formats.pickles import read_pickle
from embaudit.formats.torch_globals import TENSOR_ONLY
from embaudit.model.checkpoint import PickleGlobal, PickleSummary
from embaudit.model.limits import Limits

_MAX_NAMED = 10
"""Names that one error message lists."""
_MAX_GLOBALS = 1000
"""Different names that a summary lists; a stream with more has its last ones left out, with a reason."""


def read_torch_pickle(data: bytes, start: int, base: int, limits: Limits) -> Pickled:
    """As `read_pickle`, but a broken stream's error also tells the foreign names that were imported before.

    Raises:
        FormatError: If the stream is broken.
        LimitError: If it exceeds a limit.
    """
    try:
        return read_pickle(data, start, base, limits)
    except PickleError as error:
        error.problem += _after_importing(error.globals)
        error.args = (error.problem, error.where)
        raise


def _after_importing(names: Iterable[Global]) -> str:
    told = foreign_names(names)
    if not told:
        return ""
    more = ", ..." if len(told) > _MAX_NAMED else ""
    return f" (after importing {', '.join(told[:_MAX_NAMED])}{more})"


def foreign_names(names: Iterable[Global]) -> tuple[str, ...]:
    """The names among `names` that no checkpoint of tensors needs, each once, with its byte."""
    foreign: dict[tuple[str, str], Global] = {}
    for name in names:
        if name.key not in TENSOR_ONLY and len(foreign) < _MAX_GLOBALS:
            foreign.setdefault((name.module, name.name), name)
    return tuple(f"{_spelled(name)} at byte {name.position}" for name in foreign.values())


def _spelled(name: Global) -> str:
    """The name as written, and as python 3 understands it."""
    written = _text(f"{name.module}.{name.name}")
    if name.key == (name.module, name.name):
        return written
    return f"{written} (in python 3: {_text('.'.join(name.key))})"


def _text(name: str) -> str:
    """A name as it can be printed: control characters and lone surrogates are written out."""
    return name if name.isprintable() else ascii(name)[1:-1]


def summarise(pickles: Iterable[Pickled], reasons: Iterable[str] = ()) -> PickleSummary:
    """What the pickles of one file hold, together with reasons found elsewhere."""
    streams = tuple(pickles)
    names = [name for stream in streams for name in stream.globals]
    distinct: dict[tuple[str, str], list[Global]] = {}
    for name in names:
        distinct.setdefault((name.module, name.name), []).append(name)
    told = [f"the pickle imports {name}, which no tensor needs" for name in foreign_names(names)]
    told += [text for stream in streams for _position, text in stream.problems]
    told += reasons
    if len(distinct) > _MAX_GLOBALS:
        told.append(f"the pickle imports {len(distinct)} different names, too many to list")
    return PickleSummary(
        protocol=max((stream.protocol for stream in streams), default=0),
        globals=tuple(_told_once(same) for same in islice(distinct.values(), _MAX_GLOBALS)),
        tensor_only=not told,
        reasons=tuple(told),
    )


def _told_once(same: list[Global]) -> PickleGlobal:
    """One name that a file imports once or more often."""
    return PickleGlobal(
        module=_text(same[0].module),
        name=_text(same[0].name),
        position=same[0].position,
        called=any(name.called for name in same),
    )
