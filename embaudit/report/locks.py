"""Locks as text: the JSON that is kept in a file, one item a line, and the few lines that a terminal shows.

The same lock always gives the same text: items are sorted, fields stand in one order, and what belongs to one
file, tensor or setting stands on one line, so that a change of it is one line of a pull request.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from embaudit.errors import FormatError
from embaudit.model.lock import LOCK_SCHEMA_VERSION, Lock
from embaudit.model.words import plural, short
from embaudit.report.codec import from_jsonable, schema_of, to_jsonable
from embaudit.report.wording import plain

_STEP = " "


def render_lock(lock: Lock) -> str:
    """The lock as JSON text, ASCII only, ending in a newline; `parse_lock` gives an equal lock back."""
    return "\n".join(_lines(to_jsonable(lock), "")) + "\n"


def parse_lock(text: str | bytes, where: str = "lock") -> Lock:
    """The lock that `render_lock` wrote. Members that a newer embaudit added are ignored.

    Args:
        text: The text.
        where: What it is called in errors: its file.

    Raises:
        FormatError: If the text is no lock, or one of a newer schema than this embaudit reads.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not JSON: {error}", where) from error
    version = document.get("schema_version") if isinstance(document, dict) else None
    if not isinstance(version, str):
        raise FormatError("is no lock: it has no schema_version", where)
    if version.partition(".")[0] != LOCK_SCHEMA_VERSION.partition(".")[0]:
        problem = (
            f"the lock has schema {plain(version[:20])}, and this embaudit reads {LOCK_SCHEMA_VERSION};"
            f" use the embaudit that wrote it, or a newer one"
        )
        raise FormatError(problem, where)
    return from_jsonable(Lock, document, where)


def lock_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `render_lock`."""
    return schema_of(Lock)


def describe_lock(lock: Lock) -> str:
    """What was locked, in a few lines for a terminal."""
    pinned = f" at {short(lock.commit)}" if lock.commit else ", whose commit nobody knows"
    n_tensors = sum(len(each.tensors) for each in lock.checkpoints.values())
    counts = (
        f"{plural(len(lock.files), 'file')}, {plural(n_tensors, 'tensor')} in"
        f" {plural(len(lock.checkpoints), 'checkpoint')}"
    )
    lines = [f"{plain(lock.repo_id or lock.target)}{pinned}", f"  {counts}, depth {lock.depth}"]
    lines += [f"  {plain(asked)}: {outcome}" for asked, outcome in lock.loads.items()]
    lines += [
        f"  code of {plain(code.repo_id)} at {short(code.commit)}, for {plain(code.where)}"
        for code in lock.remote_code
    ]
    if lock.probe is not None:
        lines.append(f"  golden probe {plain(lock.probe.path)}, {plural(lock.probe.n_texts, 'text')}")
    lines += [f"  not measured: {plain(path)}: {plain(reason)}" for path, reason in lock.problems.items()]
    return "\n".join(lines) + "\n"


def _lines(value: Any, indent: str, depth: int = 0) -> Iterator[str]:
    """The lines of a value; only the first lacks its indentation, and none has a comma after the last."""
    if not isinstance(value, dict | list) or not value or _is_one_line(value, depth):
        yield _compact(value)
        return
    inner = indent + _STEP
    named = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    yield "{" if isinstance(value, dict) else "["
    last = len(value) - 1
    for place, (key, item) in enumerate(named):
        first, *rest = _lines(item, inner, depth + 1)
        lines = [inner + (f"{json.dumps(key)}: " if key is not None else "") + first, *rest]
        lines[-1] += "," if place != last else ""
        yield from lines
    yield indent + ("}" if isinstance(value, dict) else "]")


def _is_one_line(value: Any, depth: int) -> bool:
    """Whether a value stands on one line: plain values, or an object of them and of arrays of them.

    The lists of files, loads and the like, which are members of the lock itself, never do.
    """
    if depth <= 1:
        return False
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, list):
        return not any(isinstance(item, dict | list) for item in items)
    return not any(isinstance(item, dict) or (isinstance(item, list) and _nests(item)) for item in items)


def _nests(items: list[Any]) -> bool:
    return any(isinstance(item, dict | list) for item in items)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
