"""The report as Markdown, read as GitHub reads it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from embaudit.model.findings import Severity, Where
from embaudit.report import AuditReport
from embaudit.report.markdown import MAX_SIZE, render_markdown
from embaudit.report.references import PROJECT_URL
from embaudit.testing.reports import make_finding, make_report, report_of

GITHUB = MarkdownIt("gfm-like")

HOSTILE = {
    "pipes": "a|b\\|c||",
    "backticks": "a`b``c```",
    "only backticks": "```",
    "spaces": "  a  ",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "comment": "<!-- --> <details> </details> </summary>",
    "mentions": "@octocat and @org/team",
    "references": "#1 GH-1 org/name#1 org/name@0123456789abcdef0123456789abcdef01234567",
    "links": "[click](javascript:alert(1)) ![x](https://evil.example/x.png) [x]: https://evil.example",
    "addresses": "https://evil.example www.evil.example a@evil.example <https://evil.example>",
    "control characters": "a\x1b[2J\u202eb\u200b\u2028\ud800\x9b\x00",
    "line ends": "a\n\n# heading\n\n```\ncode\n\n| a |\n|---|\r\n- [ ] task",
    "markup": "*a* __b__ ~~c~~ \\* &lt; &#60; $x$ :tada: ==a== ---",
    "unfinished": "` @octocat <b [x](",
}


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


def _check(text: str) -> None:
    """Fail if a reader would obey anything that is not the report's own."""
    for token in _tokens(GITHUB.parse(text)):
        if token.type in {"html_block", "html_inline"}:
            # Folded sections, with the counts that embaudit wrote itself.
            assert re.fullmatch(
                r"(<details>\n<summary>[A-Z][A-Za-z, ]+ \([0-9,]+\)</summary>|</details>)\n?", token.content
            )
        if token.type == "link_open":
            assert str(token.attrs["href"]).startswith(f"{PROJECT_URL}/blob/main/docs/rules/")
        assert token.type not in {"image", "fence", "code_block", "hr", "s_open", "em_open", "html_inline"}
        if token.type == "text":
            assert not re.search(r"[@#<>`*_~|\\\[\]]|://|www\.|[A-Za-z]-[0-9]|[0-9a-f]{7}", token.content)


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_does_nothing(name: str) -> None:
    """Wherever it stands, a name is code: no HTML, link, image, mention or reference comes of it."""
    _check(render_markdown(report_of(name)))


@settings(max_examples=100)
@given(st.text(st.sampled_from("`|<>@#[]()!*_~\\&;:/.-= a1\n\t\u202e\ud800"), max_size=30))
@example("``|`")
@example("a` `b")
def test_no_name_does_anything(name: str) -> None:
    """The same for any name made of the characters that Markdown knows."""
    _check(render_markdown(report_of(name)))


@pytest.mark.parametrize("name", ["a|b", "a\\|b", "a`b", "``a``", " a ", "a\\", "<b>", "@a", "`", "   "])
def test_a_name_can_be_read_as_it_is(name: str) -> None:
    """What a reader sees of a name is the name, in a cell of a table and in a list."""
    report = make_report(make_finding(where=Where(path=name), remedy="Do it."))
    code = [token.content for token in _tokens(GITHUB.parse(render_markdown(report)))
            if token.type == "code_inline"]  # fmt: skip

    assert code.count(name) == 2


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_name_stays_in_its_cell(name: str) -> None:
    """A finding's message stands in the last cell of its row, whatever the cells before it hold."""
    finding = make_finding(where=Where(path=name, tensor=name, field=name), message="It differs.")
    tokens = GITHUB.parse(render_markdown(make_report(finding)))
    starts = [index for index, token in enumerate(tokens) if token.type == "td_open"]

    assert [tokens[start + 1].content for start in starts][::3] == ["**error**", "It differs."]
    assert len(starts) == 4


def _many(number: int) -> list[tuple[str, Severity]]:
    return [(f"file{index}.bin", Severity.ERROR if index < 3 else Severity.INFO) for index in range(number)]


@pytest.mark.parametrize(
    "words",
    ["It differs.", "\u202e" * 500, "`" * 500, "\U0001f600 " * 300],
    ids=["words", "controls", "backticks", "emoji"],
)
@pytest.mark.parametrize("number", [0, 1, 2000])
def test_the_text_fits_into_a_comment(number: int, words: str) -> None:
    """Of two thousand findings the worst are shown, the others are counted, and the limit is kept."""
    findings = [
        make_finding(severity=severity, where=Where(path=path), message=words, remedy=words)
        for path, severity in _many(number)
    ]
    text = render_markdown(make_report(*findings))
    shown = set(re.findall(r"`(file[0-9]+\.bin)`", text))
    told = re.search(r"\.\.\. and ([0-9,]+) findings? more", text)

    assert len(text.encode()) <= MAX_SIZE
    _check(text)
    assert {path for path, severity in _many(number) if severity is Severity.ERROR} <= shown
    assert (told is not None) == (number == 2000)
    if told is not None:
        assert len(re.findall(r"^\| \*\*", text, re.MULTILINE)) + int(told[1].replace(",", "")) == number


@pytest.mark.parametrize("size", [4_000, 10_000, 30_000])
def test_a_smaller_limit_is_kept_too(size: int) -> None:
    """Every section gives way."""
    report = report_of("a name " * 40)

    assert len(render_markdown(report, max_size=size).encode()) <= size


def test_words_stay_words() -> None:
    """A plain sentence is not touched; a file, a version with letters and a call are code."""
    message = "It differs (38 of 1,000): don't use model.bin, call save_file(), or take `x` 1.6.1."
    text = render_markdown(make_report(make_finding(message=message)))

    assert "It differs (38 of 1,000): don't use `model.bin`, call `save_file()`, or take `x` 1.6.1." in text


def test_the_report_is_held(small_report: AuditReport, held_golden: Any) -> None:
    """The Markdown of a small report is the one that is committed."""
    held_golden.check("small.md", small_report.render("markdown"))
