"""Where settings ask for code: every spelling, at every depth, with whose code it is."""

import pytest

from embaudit.loaders.code_references import code_references
from embaudit.locks.code import remote_code
from embaudit.model.declaration import Declaration
from embaudit.model.frozen import JSON, freeze
from embaudit.rules.code_references import code_references as told_references

FOREIGN = "other/code--modeling.Model"
SPELLINGS: dict[str, tuple[str, JSON, str, str]] = {
    "a class of transformers": (
        "config.json",
        {"auto_map": {"AutoModel": FOREIGN}},
        "auto_map",
        ".AutoModel",
    ),
    "inside another configuration": (
        "config.json",
        {"text_config": {"auto_map": {"AutoModel": FOREIGN}}},
        "text_config.auto_map",
        ".AutoModel",
    ),
    "a fast tokenizer": (
        "tokenizer_config.json",
        {"auto_map": {"AutoTokenizer": [None, FOREIGN]}},
        "auto_map",
        ".AutoTokenizer",
    ),
    "a pipeline of its own": (
        "config.json",
        {"custom_pipelines": {"embed": {"impl": FOREIGN, "pt": ["AutoModel"]}}},
        "custom_pipelines",
        ".embed.impl",
    ),
    "a module": (
        "modules.json",
        [{"type": "sentence_transformers.models.Pooling"}, {"type": FOREIGN}],
        "type",
        "",
    ),
    "a module of a folder": ("0_Router/modules.json", [{"type": FOREIGN}], "type", ""),
    "a module inside a Router": (
        "router_config.json",
        {"structure": {"query": ["0"]}, "types": {"0": FOREIGN, "1": "sentence_transformers.models.Dense"}},
        "types",
        ".0",
    ),
}


@pytest.mark.parametrize(("path", "document", "field", "inside"), SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_is_found_by_rules_and_locks_alike(
    path: str, document: JSON, field: str, inside: str
) -> None:
    """One finder tells both: rules the setting, and locks the very value, with the other repository."""
    declaration = Declaration(documents={path: freeze(document)})

    (found,) = code_references(declaration)
    (told,) = told_references(declaration)
    (locked,) = remote_code(declaration, {"other/code": "1" * 40}.get)

    assert (found.path, found.field, found.reference, found.repo_id) == (path, field, FOREIGN, "other/code")
    assert told == found
    assert (locked.where, locked.reference) == (f"{path}: {found.place}", FOREIGN)
    assert (locked.repo_id, locked.commit) == ("other/code", "1" * 40)
    assert found.place.endswith(f"{field}{inside}")


def test_code_of_the_repository_itself_is_no_code_of_another_one() -> None:
    """Rules are told of it; a lock has it among its own files."""
    declaration = Declaration(
        documents={"config.json": freeze({"auto_map": {"AutoModel": "modeling.Model"}})}
    )

    (found,) = code_references(declaration)

    assert found.repo_id is None
    assert remote_code(declaration, lambda _: None) == ()


def test_a_class_that_a_setting_names_twice_is_told_once_and_locked_twice() -> None:
    """Rules speak of a setting, locks of each value of it; a commit is looked up once for each repository."""
    both = {"auto_map": {"AutoModel": FOREIGN, "AutoModelForMaskedLM": FOREIGN}}
    declaration = Declaration(documents={"config.json": freeze(both)})
    asked: list[str] = []

    def commit_of(repo_id: str) -> None:
        asked.append(repo_id)

    told = tuple(told_references(declaration))
    locked = remote_code(declaration, commit_of)

    assert len(told) == 1
    assert [each.where for each in locked] == [
        "config.json: auto_map.AutoModel",
        "config.json: auto_map.AutoModelForMaskedLM",
    ]
    assert asked == ["other/code"]
