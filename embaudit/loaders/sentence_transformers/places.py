"""The modules that a repository asks for: `modules.json`, or what stands in for it.

Knows when `modules.json` is not there or passed over, and what its entries must hold. Refuses to import
what an entry names.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from embaudit.errors import FormatError
from embaudit.formats.fields import ARRAY, OBJECT, TEXT, expect, quoted, take
from embaudit.loaders.sentence_transformers.eras import SentenceTransformersEra
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.loaders.sentence_transformers.loading import Place, document, object_document
from embaudit.loaders.sentence_transformers.modules import ModuleType, Takes
from embaudit.model.frozen import JSON
from embaudit.model.repository import Repository

MODULES = "modules.json"
CONFIG = "config_sentence_transformers.json"
_MODEL_TYPE = "SentenceTransformer"
_N_MODULES = 32
"""Modules that are followed. Models have two to five; each may cost a look at a whole checkpoint."""
_NAMESPACE = "sentence_transformers."
_OTHER_MODELS = tuple(
    f"{_NAMESPACE}{package}." for package in ("sparse_encoder", "cross_encoder", "multi_vector_encoder")
)


def places_of(repository: Repository, era: SentenceTransformersEra) -> Iterator[Place]:
    """The modules, in the order in which they are loaded.

    Raises:
        FormatError: At the first one that is refused.
        CannotTellError: If embaudit cannot tell what one of them is.
    """
    if not follows_modules(repository, era):
        yield _default_place(era)
        return
    modules = expect(document(repository, MODULES), ARRAY, MODULES)
    if not modules and era.refuses_no_modules:
        raise FormatError("lists no module", MODULES)
    if not 0 < len(modules) <= _N_MODULES:
        raise CannotTellError(f"embaudit does not follow a {MODULES} of {len(modules)} modules.")
    for number, module in enumerate(modules):
        where = f"{MODULES}: [{number}]"
        entry = expect(module, OBJECT, where)
        lacking = next((key for key in ("type", "path", "name") if key not in entry), None)
        if lacking is not None:
            raise FormatError("is missing", f"{where}: {lacking}")
        folder = take_folder(take(entry, "path", TEXT))
        kind = resolve_class(take(entry, "type", TEXT), repository, era)
        yield Place(type=kind, folder=folder, name=entry["name"])


def follows_modules(repository: Repository, era: SentenceTransformersEra) -> bool:
    """Whether `modules.json` is there and says what is loaded.

    Raises:
        FormatError: If what tells the kind of model is not an object.
        CannotTellError: If it could not be read.
    """
    if MODULES not in repository.snapshot.files:
        return False
    return not era.converts or _model_type(repository) == _MODEL_TYPE


def _model_type(repository: Repository) -> JSON:
    if CONFIG not in repository.snapshot.files:
        return _MODEL_TYPE
    return object_document(repository, CONFIG).get("model_type", _MODEL_TYPE)


def _default_place(era: SentenceTransformersEra) -> Place:
    """The Transformer in the root; the Pooling after it opens no file."""
    transformer = next(kind for kind in era.classes.values() if kind.takes is Takes.TRANSFORMER)
    return Place(type=transformer, by_default=True)


def take_folder(path: str) -> str:
    """The folder of a module as the repository lists it: without `./` and a slash at its end.

    Raises:
        CannotTellError: If it does not lie in the repository.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path:
        raise CannotTellError(f"The folder {quoted(path)} of a module lies outside of the repository.")
    return "" if str(pure) == "." else str(pure)


def resolve_class(path: str, repository: Repository, era: SentenceTransformersEra) -> ModuleType:
    """The class that a path names.

    Raises:
        FormatError: If nothing has this path.
        CannotTellError: If it is a class that embaudit does not know, or one outside of the package.
    """
    known = era.classes.get(path)
    if known is not None:
        return known
    shown = quoted(path)
    if path.startswith(_OTHER_MODELS):
        raise CannotTellError(f"The module {shown} belongs to another kind of model.")
    if path.startswith(_NAMESPACE) or "." not in path:
        raise FormatError(f"this version has no class {shown}", MODULES)
    file = f"{path.partition('.')[0]}.py"
    if file not in repository.snapshot.files:
        raise CannotTellError(f"The module {shown} is code of another package, which embaudit does not run.")
    if not era.runs_repository_code:
        raise FormatError(f"{shown} is not installed, and code of the repository is not looked at", MODULES)
    raise CannotTellError(f"The module {shown} is code of the repository, which embaudit does not run.")


def routes_of(settings: Mapping[str, JSON], place: Place) -> dict[str, str]:
    """Folder, inside that of a Router, to the class of the module that lies there.

    Raises:
        FormatError: If the settings of the Router are not as it needs them.
        CannotTellError: If there are more than embaudit follows.
    """
    types = take(settings, "types", OBJECT)
    structure, _ = take(settings, "structure", OBJECT), take(settings, "parameters", OBJECT)
    for route, names in structure.items():
        strangers = [name for name in expect(names, ARRAY, route) if name not in types]
        if strangers:
            raise FormatError(
                f"names the module {quoted(str(strangers[0]))}, which has no type", f"structure: {route}"
            )
    if len(types) > _N_MODULES:
        raise CannotTellError(f"embaudit does not follow a {place.type.name} of {len(types)} modules.")
    return {name: take(types, name, TEXT) for name in types}
