"""The settings that ask for code, each class told once for each setting that names it."""

from collections.abc import Iterator

from embaudit.loaders.code_references import CodeReference
from embaudit.loaders.code_references import code_references as every_reference
from embaudit.model.declaration import Declaration

__all__ = ["CodeReference", "code_references"]


def code_references(declaration: Declaration) -> Iterator[CodeReference]:
    """Every class that a declaration asks for, once for each file and setting."""
    told: set[tuple[str, str, str]] = set()
    for each in every_reference(declaration):
        key = (each.path, each.field, each.reference)
        if key not in told:
            told.add(key)
            yield each
