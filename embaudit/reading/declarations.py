"""What a repository says about its model, read from its settings files."""

from collections.abc import Iterable, Iterator, Sequence

from embaudit.errors import WITHHELD, FormatError, LimitError, SourceError
from embaudit.formats.declared import MODULES, check_declared, declared_paths, parse_declared, routed_folders
from embaudit.formats.fields import examples
from embaudit.model.declaration import BadDocument, Declaration
from embaudit.model.files import Snapshot
from embaudit.model.frozen import JSON
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.reading.files import fetch_whole, read_small


def read_declaration(snapshot: Snapshot, limits: Limits = DEFAULT_LIMITS) -> Declaration:
    """The settings that a repository declares; never an error, for a file that cannot be used is in `bad`.

    Some files are in both. One that repeats a key is in `documents` with the last value, as python's readers
    have it, and one with `NaN` or an infinity with its text; both are in `bad` as usable, because other
    readers refuse them. One whose top level is of the wrong JSON type is in `documents` as it is, and in
    `bad` as not usable.
    """
    first = declared_paths(snapshot.files)
    documents, bad = _read_declared(snapshot, first, limits)
    read = {*first}
    for _ in range(_ROUNDS):
        listed = declared_paths(snapshot.files, documents.get(MODULES), routed_folders(documents))
        more_documents, more_bad = _read_declared(snapshot, sorted({*listed} - read), limits)
        read.update(listed)
        documents |= more_documents
        bad += more_bad
    return Declaration(documents=documents, bad=tuple(bad))


_ROUNDS = 3
"""What `modules.json` lists, the modules inside its Routers, and those of a Router inside a Router."""


def _read_declared(
    snapshot: Snapshot, paths: Iterable[str], limits: Limits
) -> tuple[dict[str, JSON], list[BadDocument]]:
    documents: dict[str, JSON] = {}
    bad = []
    paths = tuple(paths)
    fetch_whole(snapshot, paths, limits.settings_bytes)
    for path in paths:
        repeated: list[str] = []
        constants: list[str] = []
        try:
            data = read_small(snapshot, path, limits, "settings_bytes")
            documents[path] = parse_declared(data, path, limits, repeated.append, constants.append)
            check_declared(documents[path], path)
        except WITHHELD:
            raise
        except (SourceError, FormatError, LimitError) as error:
            bad.append(BadDocument(path=path, problem=str(error)))
            continue
        problems = _leniencies(repeated, constants)
        bad += (BadDocument(path=path, problem=problem, usable=True) for problem in problems)
    return documents, bad


def _leniencies(repeated: Sequence[str], constants: Sequence[str]) -> Iterator[str]:
    """What a document asks of its readers beyond strict JSON."""
    if repeated:
        yield f"repeats {examples(repeated, 'key')}; the last value is taken, and some readers refuse"
    if constants:
        found = examples(constants, "number")
        yield f"holds {found} that JSON cannot write; python reads this, and some readers refuse"
