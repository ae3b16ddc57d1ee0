"""Pages of reports in a real Chromium: nothing fails, nothing is asked for, nothing overflows, all is found.

All visits are made by one browser, once for the module; the tests look at what it told.
"""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embaudit import compare_embeddings
from embaudit.demo import run_demo
from embaudit.model.findings import Severity, Where
from embaudit.report import AuditReport
from embaudit.report.embeddings import render_comparison_html
from embaudit.report.html.parts import PAGE
from embaudit.testing.facts import make_checkpoint, make_tensor
from embaudit.testing.reports import make_finding, make_report, report_of

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venvs" / "browser" / "bin" / "python"
PATIENCE = 30.0
"""Seconds in which the largest page must be there, on the busiest machine."""

HOSTILE = {
    "markup": "</script></style><script>alert(1)</script><img src=x onerror=alert(2)>",
    "attributes": '"\' onmouseover=alert(1) x=\'" autofocus onfocus=alert(2) style="position:fixed;inset:0',
    "comments": "<!-- --><![CDATA[ </title></textarea></noscript><svg onload=alert(1)><base href=//a>",
    "characters": "\x00\x01\x1b[2J\u202egnp.exe\u2066\u2069\u200b\u2028\ud800\ufeff\r\n\n\t",
    "unbroken": "W" * 5_000,
    "tall": "ก็็็็็็็็็็็็็็็็็็็็" * 40 + "Z̸̛̗̘̙̜̝̞̟̠" * 40,
    "wide": "𒐫﷽꧅" * 100,
}
"""Names that a repository could give to files, tensors, settings and loaders."""

WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
OPEN = "document.querySelectorAll('details').forEach((each) => { each.open = true; })"
CHOOSE = (
    "(document.querySelector('select').value = 'EMB110',"
    " document.querySelector('select').dispatchEvent(new Event('change')))"
)
DIRECTIONS = (
    "[...document.querySelectorAll('#weights details th')].map((each) => each.getAttribute('aria-sort'))"
)
FOCUS = (
    "(() => { const style = getComputedStyle(document.activeElement);"
    " return [document.activeElement.tagName, style.outlineStyle, style.outlineWidth]; })()"
)
SEARCH_TENSORS = "[aria-label='Search tensors of model.safetensors']"
ROWS = (
    "[...document.querySelectorAll('#weights details tbody tr')]"
    ".filter((row) => !row.hidden).map((row) => row.cells[0].textContent)"
)
SHOWN = (
    "[...document.querySelectorAll('.finding')]"
    ".filter((each) => !each.hidden).map((each) => each.textContent)"
)
STATUS = "[...document.querySelectorAll('.status')].map((each) => each.textContent).join('')"
CONTRAST = """(() => {
  const parts = (colour) => { const found = colour.match(/[\\d.]+/g).map(Number);
    return found.length > 3 ? found : [...found, 1]; };
  const over = (top, alpha, under) => under.map((each, at) => top[at] * alpha + each * (1 - alpha));
  const light = (colour) => { const linear = colour.map((each) => { const share = each / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]; };
  const told = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
    if (!own || !element.checkVisibility()) { continue; }
    const line = [];
    for (let each = element; each; each = each.parentElement) { line.unshift(getComputedStyle(each)); }
    let ground = [255, 255, 255];
    let opacity = 1;
    for (const style of line) {
      const colour = parts(style.backgroundColor);
      ground = over(colour, colour[3], ground);
      opacity *= Number(style.opacity);
    }
    const ink = parts(line[line.length - 1].color);
    const [bright, dark] = [light(over(ink, ink[3] * opacity, ground)), light(ground)].sort((a, b) => b - a);
    told.push([(bright + 0.05) / (dark + 0.05), element.outerHTML.slice(0, 80)]);
  }
  return told.sort((a, b) => a[0] - b[0])[0];
})()"""
"""The smallest contrast of a text with what lies under it, by https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
TAMPER = """(() => {
  document.body.append(Object.assign(document.createElement("img"), { src: "/image" }));
  document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/style" }));
  document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = 1" }));
  const inside = document.createElement("div");
  inside.innerHTML = "<p onclick='window.ran = 2'>x</p><form action='/form'></form>";
  document.body.append(inside);
  inside.firstChild.click();
  inside.lastChild.submit();
  document.body.style.backgroundImage = "url(/background)";
  fetch("/fetch").catch(() => {});
  return new Promise((done) => { setTimeout(() => done(window.ran === undefined), 500); });
})()"""

NOTEBOOKS = {"light": ("#fff", "#000"), "dark": ("#111", "#fff")}
"""Colours of the themes of a notebook: ground and ink."""


def findings_report(number: int) -> AuditReport:
    """Findings of several rules and every severity, each with words of its own."""
    codes = ("EMB106", "EMB110", "EMB202", "EMB003")
    severities = tuple(reversed(Severity))
    return make_report(
        *(
            make_finding(
                codes[at % len(codes)],
                severities[at * len(severities) // number],
                message=f"The message of number{at} is here.",
                where=Where(path="model.safetensors", tensor=f"encoder.layer.{at}.weight"),
                evidence={"proof": f"evidence{at}", "list": list(range(10))},
                remedy=f"Remedy{at}.",
            )
            for at in range(number)
        )
    )


def tensors_report(number: int) -> AuditReport:
    """A mixture of experts with very many tensors, stored in the order of their names as texts."""
    tensors = [
        make_tensor(f"layers.{at // 100}.experts.{at % 100}.weight", (at % 7 + 1, 64), start=at * 100)
        for at in range(number)
    ]
    checkpoint = make_checkpoint(
        sorted(tensors, key=lambda tensor: tensor.name), name="model.safetensors", pickle=None
    )
    return make_report(checkpoints={checkpoint.name: checkpoint})


def notebook(pieces: list[str], ground: str, ink: str) -> str:
    """A page that shows pieces as a notebook does, with the style of JupyterLab's tables and code."""
    style = (
        "body { margin: 8px } .output table { table-layout: fixed; margin: auto; font-size: 12px }"
        " .output td, .output th { text-align: right; white-space: normal; padding: .5em }"
        f" .output :not(pre) > code {{ background: rgba(128, 128, 128, .1); color: {ink}; padding: 1px 5px }}"
    )
    shown = "".join(f'<div class="output">{piece}</div>' for piece in pieces)
    return (
        "<!doctype html><meta charset=utf-8><title>notebook</title><meta http-equiv=Content-Security-Policy "
        f"content=\"default-src 'none'; style-src 'unsafe-inline'\"><style>{style}</style>"
        f'<body style="background: {ground}; color: {ink}">{shown}</body>'
    )


def pages() -> Iterator[tuple[str, str]]:
    """Every page by its name."""
    demo = run_demo().report
    yield "demo", demo.render("html")
    yield "findings", findings_report(PAGE.findings).render("html")
    yield "fewer", findings_report(60).render("html")
    yield "tensors", tensors_report(2 * PAGE.tensors).render("html")
    vectors = np.random.default_rng(0).normal(size=(60, 8))
    comparison = compare_embeddings(vectors, vectors[::-1] + 0.1)
    yield "vectors", render_comparison_html(comparison, ["".join(HOSTILE.values())] * 60)
    for name, text in HOSTILE.items():
        yield f"hostile-{name}", report_of(text).render("html")
    values = (demo, demo.diff, *demo.loads, *demo.checkpoints.values(), comparison)
    pieces = [value._repr_html_() or "" for value in values if value is not None]
    pieces += [report_of(text)._repr_html_() for text in HOSTILE.values()]
    for name, (ground, ink) in NOTEBOOKS.items():
        yield f"notebook-{name}", notebook(pieces, ground, ink)


def visits(names: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is done, by the name under which it is told."""
    look = [["evaluate", WIDTHS], ["evaluate", OPEN], ["evaluate", WIDTHS]]
    small = [name for name in names if name not in {"findings", "tensors"}]
    for name in small:
        yield f"{name} in light", {"page": name, "steps": [*look, ["evaluate", CONTRAST]]}
        yield f"{name} in dark", {"page": name, "scheme": "dark", "steps": [*look, ["evaluate", CONTRAST]]}
    for name in names:
        yield f"{name} on a telephone", {"page": name, "width": 360, "steps": look}
    yield (
        "the filters",
        {
            "page": "findings",
            "steps": [
                ["evaluate", SHOWN],
                ["click", "input[type=checkbox][value=error]"],
                ["evaluate", SHOWN],
                ["evaluate", CHOOSE],
                ["evaluate", SHOWN],
                ["fill", "[aria-label='Search findings']", " LAYER.1001.weight  remedy1001 "],
                ["wait", f"{STATUS}.startsWith('1 of')"],
                ["evaluate", SHOWN],
                ["fill", "[aria-label='Search findings']", ""],
                ["wait", f"!{STATUS}.startsWith('1 of')"],
                ["evaluate", STATUS],
            ],
        },
    )
    yield (
        "the search",
        {
            "page": "tensors",
            "steps": [
                ["evaluate", OPEN],
                ["evaluate", ROWS],
                ["fill", SEARCH_TENSORS, "EXPERTS.3. layers.1.exp"],
                ["wait", f"{STATUS} !== ''"],
                ["evaluate", ROWS],
                ["evaluate", STATUS],
                ["fill", SEARCH_TENSORS, "nothing has this name"],
                ["wait", f"{STATUS}.startsWith('0 of')"],
                ["evaluate", ROWS],
            ],
        },
    )
    yield (
        "the order",
        {
            "page": "tensors",
            "steps": [
                ["evaluate", OPEN],
                ["click", "#weights details th:nth-of-type(1) button"],
                ["evaluate", ROWS],
                ["click", "#weights details th:nth-of-type(3) button"],
                ["click", "#weights details th:nth-of-type(3) button"],
                ["evaluate", ROWS],
                ["evaluate", DIRECTIONS],
            ],
        },
    )
    yield "without a script", {"page": "fewer", "script": False, "steps": [["print"]]}
    yield (
        "the paper",
        {"page": "fewer", "steps": [["print"], ["evaluate", "document.querySelectorAll('[open]').length"]]},
    )
    yield "the keys", {"page": "demo", "steps": [["press", "Tab"], ["evaluate", FOCUS]]}
    yield "tampering", {"page": "demo", "steps": [["evaluate", TAMPER]]}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What the browser told of every visit."""
    if not PYTHON.exists():
        pytest.fail("no environment browser; run: python tests/interop/make_environments.py")
    folder, profile = tmp_path_factory.mktemp("pages"), tmp_path_factory.mktemp("profile")
    names = []
    for name, html in pages():
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
        names.append(name)
    jobs = dict(visits(names))
    asked = [{**job, "page": f"{job['page']}.html"} for job in jobs.values()]
    ran = subprocess.run(
        [str(PYTHON), str(HERE / "open_pages_in_chromium.py")],
        input=json.dumps({"folder": str(folder), "profile": str(profile), "visits": asked}),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    facts = json.loads(ran.stdout.splitlines()[-1])
    return {
        name: {**fact, "page": job["page"]} for (name, job), fact in zip(jobs.items(), facts, strict=True)
    }


def ordinary(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All visits but the one that does harm on purpose."""
    return ((name, visit) for name, visit in told.items() if name != "tampering")


def test_the_console_is_silent(told: Mapping[str, Any]) -> None:
    """No error, no warning, no fault of a script, no breach of the policy, no dialogue."""
    assert {name: visit["console"] for name, visit in ordinary(told) if visit["console"]} == {}


def test_nothing_is_asked_for(told: Mapping[str, Any]) -> None:
    """The page itself is the only request, to the server and by the browser."""
    for name, visit in ordinary(told):
        assert visit["served"] == [f"/{visit['page']}.html"], name
        assert [address.rpartition("/")[2] for address in visit["requested"]] == [f"{visit['page']}.html"], (
            name
        )


def test_nothing_overflows(told: Mapping[str, Any]) -> None:
    """No page is wider than its window, folded or unfolded."""
    looked = [(name, visit) for name, visit in told.items() if re.search(" (in|on) ", name)]

    assert len(looked) > 3 * len(HOSTILE)
    for name, visit in looked:
        for scrolled, window in (visit["results"][0], visit["results"][2]):
            assert scrolled <= window, name


def test_everything_can_be_read(told: Mapping[str, Any]) -> None:
    """Every text has a contrast of 4.5 to 1 with its ground, light or dark, in pages and in notebooks."""
    # A notebook's theme is its own: what the browser prefers does not change it.
    measured = {
        name: visit["results"][3] for name, visit in told.items() if re.search(" in (light|dark)$", name)
    }

    assert len(measured) > 2 * len(HOSTILE)
    assert {name: least for name, least in measured.items() if least[0] < 4.5} == {}


def test_the_largest_pages_are_soon_there(told: Mapping[str, Any]) -> None:
    """2,000 findings and 20,000 tensors are loaded within a generous bound."""
    assert max(visit["seconds"] for visit in told.values()) < PATIENCE


def test_findings_are_filtered(told: Mapping[str, Any]) -> None:
    """By severity, by rule, and by words in any order, all together; and nothing is lost."""
    every, _, mild, _, of_one_rule, _, _, one, _, _, status = told["the filters"]["results"]
    kept = [shown for shown in every if not shown.startswith("✖ error")]

    assert len(every) == PAGE.findings
    assert 0 < len(kept) < len(every)
    assert mild == kept
    assert of_one_rule == [shown for shown in kept if "EMB110" in shown]
    assert len(one) == 1
    assert "number1001 " in one[0]
    assert status == f"{len(of_one_rule):,} of 2,000 shown"


def test_tensors_are_searched(told: Mapping[str, Any]) -> None:
    """Every word must be in the row, in any case; and what is not in the page is told."""
    _, every, _, _, found, status, _, _, none = told["the search"]["results"]

    assert len(every) == PAGE.tensors
    assert found == [name for name in every if "experts.3." in name and "layers.1.exp" in name]
    assert len(found) == 1
    assert status == f"1 of {PAGE.tensors:,} shown; {PAGE.tensors:,} more are not in this page"
    assert none == []


def test_tables_are_sorted(told: Mapping[str, Any]) -> None:
    """Names with numbers go by the numbers, shapes by their elements, and a second time backwards."""
    _, _, by_name, _, _, by_size, directions = told["the order"]["results"]
    numbers = [tuple(map(int, re.findall("[0-9]+", name))) for name in by_name]
    sizes = [(layer * 100 + expert) % 7 for layer, expert in
             (map(int, re.findall("[0-9]+", name)) for name in by_size)]  # fmt: skip

    assert numbers == sorted(numbers)
    assert sizes == sorted(sizes, reverse=True)
    assert directions == [None, None, "descending", None, None]


@pytest.mark.parametrize("how", ["the paper", "without a script"])
def test_everything_is_on_paper(told: Mapping[str, Any], how: str) -> None:
    """Every finding with its message, evidence and remedy is printed, though it was folded on the screen."""
    paper = re.sub(r"\s+", "", told[how]["results"][0])

    for at in range(60):
        for words in (f"number{at}is", f"evidence{at}", f"Remedy{at}.", f"encoder.layer.{at}.weight"):
            assert words in paper
    assert "Search" not in paper


def test_what_was_folded_is_folded_after_printing(told: Mapping[str, Any]) -> None:
    """Printing leaves the screen as it was."""
    assert told["the paper"]["results"][1] == 0


def test_the_focus_is_seen(told: Mapping[str, Any]) -> None:
    """Who walks through the page by keys sees where they are."""
    element, style, width = told["the keys"]["results"][1]

    assert element == "A"
    assert (style, width) == ("solid", "3px")


def test_a_page_that_was_tampered_with_reaches_nobody(told: Mapping[str, Any]) -> None:
    """Images, styles, scripts, forms and requests that get into a page are stopped by its policy."""
    visit = told["tampering"]

    assert visit["results"] == [True]
    assert visit["served"] == ["/demo.html"]
    for what in ("image", "style", "form", "fetch", "background"):
        assert any(f"/{what}" in line for line in visit["console"]), what
