"""The pages that are made from the code: one for each rule, their index, and the schema of the report."""

import enum
import importlib.util
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from embaudit.loaders import LOADERS, Era, Loader
from embaudit.report import AuditReport
from embaudit.report.locks import lock_schema
from embaudit.rules import RULES, Rule

TABLE = Path(__file__).parent.parent / "rules" / "test_rules.py"

GROUPS = {
    "EMB00": "The snapshot",
    "EMB01": "Changes between two snapshots",
    "EMB02": "The hub and the history",
    "EMB10": "Weight formats",
    "EMB11": "The layout of torch files",
    "EMB12": "Shards",
    "EMB13": "Content",
    "EMB14": "Files that were not read",
    "EMB20": "What a loader would do",
    "EMB22": "What several loaders make of one repository",
    "EMB30": "What loaders make of a text",
    "EMB31": "Settings that readers understand differently",
    "EMB50": "What differs from a lock",
    "EMB51": "What else differs from a lock",
    "EMB52": "What a server does otherwise than was locked",
    "EMB60": "What a policy asks for",
    "EMB61": "What is to be said of a policy",
}


def _table() -> Any:
    """The module with the table of cases, from its path: tests are no package."""
    spec = importlib.util.spec_from_file_location("table_of_rules", TABLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _page(rule: Rule, cases: list[Any]) -> str:
    fires = [
        f"- {case.situation}: {', '.join(str(severity) for severity, _ in case.findings)}"
        for case in cases
        if case.findings
    ]
    silent = [f"- {case.situation}" for case in cases if not case.findings]
    needs = ", ".join(f"`{need.__name__}`" for need in rule.needs)
    uses = ", ".join(f"`{use.__name__}`" for use in rule.uses)
    does_without = f" Asked with or without: {uses}." if uses else ""
    parts = [
        f"# {rule.code}: {rule.title}",
        f"Severity: **{rule.severity}**, unless a case below says otherwise.",
        rule.explanation,
        "## It fires",
        "\n".join(fires),
        "## It stays silent",
        "\n".join(silent),
        "## It is skipped",
        f"When one of the facts that it asks about could not be had, with the reason: {needs}.{does_without}",
    ]
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("code", sorted(RULES))
def test_every_rule_has_its_page(code: str, held_page: Any) -> None:
    """A rule's page is its docstring and the rows of its table of cases."""
    cases = [case for case in _table().CASES if case.code == code]

    held_page.check(f"rules/{code}.md", _page(RULES[code], cases))


def test_the_index_lists_every_rule(held_page: Any) -> None:
    """The index of the rules names each with its severity and title, by group."""
    lines = [
        "# The rules",
        "",
        "A code never changes its meaning. Each page says when its rule fires and when it does not.",
    ]
    for prefix, title in GROUPS.items():
        rows = [
            f"| [{code}]({code}.md) | {rule.severity} | {rule.title} |"
            for code, rule in sorted(RULES.items())
            if code.startswith(prefix)
        ]
        lines += ["", f"## {title}", "", "| code | severity | |", "|---|---|---|", *rows]

    held_page.check("rules/index.md", "\n".join(lines) + "\n")
    assert all(code.startswith(tuple(GROUPS)) for code in RULES)


def test_no_page_is_left_of_a_rule_that_is_gone() -> None:
    """Every page of a code belongs to a rule."""
    pages = {page.stem for page in (TABLE.parent.parent.parent / "docs" / "rules").glob("EMB*.md")}

    assert pages == set(RULES)


def test_the_published_schema_is_that_of_the_code(held_page: Any) -> None:
    """The schema in the reference is the one that the code makes."""
    schema = json.dumps(AuditReport.json_schema(), indent=1) + "\n"

    held_page.check("reference/report.schema.json", schema)


def test_the_published_schema_of_locks_is_that_of_the_code(held_page: Any) -> None:
    """The schema of locks in the reference is the one that the code makes."""
    held_page.check("reference/lock.schema.json", json.dumps(lock_schema(), indent=1) + "\n")


_MAX_ITEMS = 12
"""Items of one trait that are listed; the code has all of them."""


def _traits(value: Any) -> list[str]:
    """The fields of an era, those of its parts among them, as `name: value`."""
    traits = []
    for field in attrs.fields(type(value)):
        content = getattr(value, field.name)
        if field.name in {"versions", "sources", "since", "until"}:
            continue
        if attrs.has(type(content)) and not hasattr(content, "name"):
            traits += _traits(content)
        else:
            traits.append(f"{field.name.replace('_', ' ')}: {_spelled(content)}")
    return traits


def _spelled(content: Any) -> str:
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, Mapping):
        return _few([_entry(key, value) for key, value in content.items()])
    if isinstance(content, frozenset | set | tuple):
        items = [_spelled(item) for item in content]
        return _few(items if isinstance(content, tuple) else sorted(items))
    if isinstance(content, enum.Enum):
        return str(content.value)
    if attrs.has(type(content)) and not hasattr(content, "name"):
        return _spelled(getattr(content, attrs.fields(type(content))[0].name))
    named = getattr(content, "name", None) or getattr(content, "__name__", None)
    return str(named or content).replace("|", "\\|") if content not in {None, ""} else "none"


def _entry(key: str, value: Any) -> str:
    """An entry of a table: its key alone where the value is a part with a name of its own."""
    return f"`{key}`" if attrs.has(type(value)) else f"`{key}` {_spelled(value)}"


def _few(items: list[str]) -> str:
    more = f", and {len(items) - _MAX_ITEMS} more" if len(items) > _MAX_ITEMS else ""
    return ", ".join(items[:_MAX_ITEMS]) + more or "none"


def _changes(eras: Sequence[Era]) -> Iterator[list[str]]:
    """For each era what it has that the one before it has not; everything for the first."""
    before: list[str] = []
    for era in eras:
        traits = _traits(era)
        yield [trait for trait in traits if trait not in before]
        before = traits


def _section(loader: Loader[Era]) -> str:
    name = f"[{loader.name}]({loader.name}.md)"
    aliases = f", also called {', '.join(f'`{alias}`' for alias in loader.aliases)}" if loader.aliases else ""
    backends = f" Backends: {', '.join(f'`{each}`' for each in loader.backends)}." if loader.backends else ""
    first, last = loader.releases[0], loader.releases[-1]
    rows = [
        f"| `{era.versions}` | {'<br>'.join(changes)} | {'<br>'.join(f'<{url}>' for url in era.sources)} |"
        for era, changes in zip(loader.eras, _changes(loader.eras), strict=True)
    ]
    return "\n".join(
        (
            f"## {name}",
            "",
            f"`{loader.name}`{aliases}: {first} to {last}, {len(loader.releases)} releases.{backends}",
            "",
            "| versions | what holds, or is new | sources |",
            "|---|---|---|",
            *rows,
        )
    )


def test_the_loaders_and_their_eras_have_a_page(held_page: Any) -> None:
    """The page lists every loader, its eras, what changed with each, and where that can be read."""
    parts = [
        "# The loaders",
        (
            "What embaudit knows of each loader, made from its code: a row for each range of versions in"
            " which nothing that matters differs."
            " [What a prediction is](../explanation/predictions.md) tells how"
            " they are used."
        ),
        *(_section(loader) for loader in LOADERS),
    ]

    held_page.check("loaders/index.md", "\n\n".join(parts) + "\n")
