"""The pages about policies: the reference lists exactly the keys, and what pages show as TOML is taken."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest

from embaudit.model.policy import Policy, Waiver
from embaudit.policies import KEYS, MAX_POLICY_BYTES, WAIVER_KEYS, parse_policy

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = DOCS / "reference" / "policy.md"
ROW = re.compile(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \| `([^|]+)` \|$", re.MULTILINE)


def rows(section: str) -> list[tuple[str, ...]]:
    """Key, type, default and example of each row of the table in a section."""
    text = PAGE.read_text(encoding="utf-8")
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return ROW.findall(body)


def spelled(value: Any) -> str:
    """A default as the page has it: in TOML where there is one."""
    if value is None:
        return "any"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[]`"
    return f'`"{value}"`' if value else "`{}`"


def test_the_reference_lists_exactly_the_keys() -> None:
    """Every key is in the table, in order, with what it takes and its default; and no other key is."""
    defaults = Policy()

    assert [row[:3] for row in rows("Keys")] == [
        (key.name, key.takes, spelled(getattr(defaults, key.field))) for key in KEYS
    ]
    assert f"at most {MAX_POLICY_BYTES // 1024} KiB" in PAGE.read_text(encoding="utf-8")


def test_the_reference_lists_exactly_the_keys_of_a_waiver() -> None:
    """The same for the tables of `[[waivers]]`: two keys are required, and an end there need not be."""
    optional = {field.name for field in attrs.fields(Waiver) if field.default is None}

    assert [row[:2] for row in rows("Waivers")] == [(key.name, key.takes) for key in WAIVER_KEYS]
    for name, _, default, _ in rows("Waivers"):
        assert (default == "required") == (name not in optional)


@pytest.mark.parametrize(("key", "example"), [(row[0], row[3]) for row in rows("Keys")])
def test_the_example_of_a_key_is_taken(key: str, example: str) -> None:
    """What the table shows is a value that the key takes, and not its default."""
    assert parse_policy(f"{key} = {example}") != Policy(source="embaudit.toml")


def test_the_examples_of_a_waiver_make_one() -> None:
    """The examples of the table of waivers are one waiver together."""
    table = "".join(f"{row[0]} = {row[3]}\n" for row in rows("Waivers"))

    (waiver,) = parse_policy(f"[[waivers]]\n{table}").waivers
    assert waiver.expires == date(2027, 1, 31)


BLOCKS = [
    (page.name, block)
    for page in sorted(DOCS.rglob("*.md"))
    for block in re.findall(
        r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_the_toml_of_a_page_is_a_policy(page: str, block: str) -> None:
    """Every TOML that a page shows is taken as the file that it is meant to be in."""
    name = "pyproject.toml" if "[tool.embaudit]" in block else page

    assert parse_policy(block, name) != Policy(source=name)
