"""Where the settings of a repository ask their readers to run code: which file, which field, whose code.

Knows the spellings of transformers (https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/
dynamic_module_utils.py, `get_class_from_dynamic_module`: `file.Class`, or `org/name--file.Class`) and of
sentence-transformers (the `type` of a module). Refuses to know whether that is allowed.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.model.declaration import Declaration
from embaudit.model.frozen import JSON

_OWN_PACKAGE = "sentence_transformers."
"""Types of modules that begin so are classes that sentence-transformers brings along."""

_MODULES = "modules.json"
_CLASSES, _PIPELINES, _IMPLEMENTATION = "auto_map", "custom_pipelines", "impl"
_TYPE, _TYPES, _STRUCTURE = "type", "types", "structure"


@attrs.frozen(kw_only=True)
class CodeReference:
    """One place that asks for code.

    Attributes:
        path: The file.
        field: The setting in it, dotted: `auto_map`, `text_config.auto_map`, `type`.
        place: The very value of it, dotted: `auto_map.AutoModel`, `0.type`. Two values may share one, as the
            slow and the fast class of a tokenizer do.
        reference: What it says: `modeling.Model`, `org/name--modeling.Model`.
    """

    path: str
    field: str
    place: str
    reference: str

    @property
    def repo_id(self) -> str | None:
        """The repository that is named, or None: then the code is the repository's own."""
        repo_id, mark, _ = self.reference.partition("--")
        return repo_id if mark else None


def code_references(declaration: Declaration) -> Iterator[CodeReference]:
    """Every class that a declaration asks for and that loaders do not bring along."""
    for path, document in declaration.documents.items():
        if path.rpartition("/")[2] == _MODULES:
            found = _module_types(document)
        else:
            found = [*_named(document, ""), *_route_types(document)]
        for field, place, reference in found:
            yield CodeReference(path=path, field=field, place=place, reference=reference)


_Found = tuple[str, str, str]
"""A setting, the place of the value inside it, and the value."""


def _module_types(document: JSON) -> list[_Found]:
    modules = document if isinstance(document, tuple) else ()
    types = (
        (number, module.get(_TYPE)) for number, module in enumerate(modules) if isinstance(module, Mapping)
    )
    return [
        (_TYPE, f"{number}.{_TYPE}", each)
        for number, each in types
        if isinstance(each, str) and _is_own(each)
    ]


def _route_types(document: JSON) -> list[_Found]:
    """The types of the modules inside a Router, by their folders."""
    if not isinstance(document, Mapping) or _STRUCTURE not in document:
        return []
    return [(_TYPES, place, each) for place, each in _texts(document.get(_TYPES), _TYPES) if _is_own(each)]


def _is_own(module_type: str) -> bool:
    """Whether a module is of a class that sentence-transformers does not bring along."""
    return not module_type.startswith(_OWN_PACKAGE)


def _named(value: JSON, field: str) -> Iterator[_Found]:
    """What the fields of transformers name, at any depth: a configuration may hold others."""
    if isinstance(value, tuple):
        for item in value:
            yield from _named(item, field)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        inside = f"{field}.{key}" if field else key
        if key == _CLASSES:
            yield from ((inside, place, each) for place, each in _texts(inner, inside))
        elif key == _PIPELINES and isinstance(inner, Mapping):
            for task, described in inner.items():
                code = described.get(_IMPLEMENTATION) if isinstance(described, Mapping) else None
                place = f"{inside}.{task}.{_IMPLEMENTATION}"
                yield from ((inside, where, each) for where, each in _texts(code, place))
        else:
            yield from _named(inner, inside)


def _texts(value: JSON, place: str) -> Iterator[tuple[str, str]]:
    """Every text in a value, keys apart, with its place; a place in an array is that of the array."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{place}.{key}")
    elif isinstance(value, tuple):
        for inner in value:
            yield from _texts(inner, place)
