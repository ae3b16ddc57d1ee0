"""What is told of vectors: the verdict in words, pages without scripts, no foreign text that does harm."""

import json
import re
from xml.etree import ElementTree as ET

import attrs
import numpy as np
import pytest

from embaudit.embeddings import check_server, compare_embeddings, compare_probes, probe
from embaudit.model.comparison import EmbeddingComparison, Relation
from embaudit.model.files import Snapshot
from embaudit.model.probe import Probe, ProbeDrift
from embaudit.report.codec import from_jsonable
from embaudit.report.distance_picture import MAX_BARS, MAX_CELLS, distance_bars, distance_strip
from embaudit.report.embeddings import render_comparison, render_comparison_html, render_comparison_json
from embaudit.report.probes import (
    render_drift,
    render_drift_html,
    render_drift_json,
    render_probe,
    render_probe_html,
    render_probe_json,
)
from embaudit.testing.embedding_server import EmbeddingServer

EVIL = "\x1b[2J<script>alert(1)</script>\u202e\n"
ROWS = np.random.default_rng(1).standard_normal((6, 32)).astype(np.float32)
UNIT = ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
NOISE = np.random.default_rng(2).standard_normal(ROWS.shape).astype(np.float32)
SWAPPED = UNIT[[1, 0, 2, 3, 4, 5]]
SPOILT = np.concatenate([UNIT[:5], -UNIT[5:]])

TOLD = {
    "identical": (ROWS, ROWS, "The vectors are identical."),
    "cast": (ROWS, ROWS.astype(np.float16), "one rounding to float16, to the bit"),
    "stored": (ROWS, UNIT.astype(np.float16), "within the step of float16"),
    "computed": (UNIT, UNIT + 3e-4 * NOISE, "computing in float16 makes"),
    "other order of sums": (UNIT, UNIT + 2e-7 * NOISE, "float32 gives in another order"),
    "normalised": (ROWS, UNIT, "The observed vectors are normalised, the expected ones are not."),
    "denormalised": (UNIT, ROWS, "The expected vectors are normalised, the observed ones are not."),
    "factor": (ROWS, ROWS * 2.5, "All observed vectors are 2.5 times the expected ones."),
    "truncated": (ROWS, ROWS[:, :16], "Expected vectors have 32 dimensions and observed ones 16"),
    "permuted": (UNIT, SWAPPED, "these expected rows: 1, 0, 2, 3, 4, 5."),
    "mixed": (UNIT, SPOILT, "1 of 6 rows do not agree: 5."),
    "unrelated": (UNIT, -UNIT, "The vectors are unrelated"),
}


@pytest.mark.parametrize("case", TOLD)
def test_the_verdict_is_told_in_every_form(case: str) -> None:
    """Text and page say what the comparison found, and JSON holds all of it."""
    expected, observed, sentence = TOLD[case]
    comparison = compare_embeddings(expected, observed)

    words = re.sub(r"\s+", " ", render_comparison(comparison))

    assert sentence in words
    assert sentence in render_comparison_html(comparison)
    document = json.loads(render_comparison_json(comparison))
    assert from_jsonable(EmbeddingComparison, document) == comparison


@pytest.fixture(scope="module")
def probed() -> Probe:
    """A probe of a server that says evil things of itself, and refuses evil texts."""
    with EmbeddingServer(
        model_id=f"org/{EVIL}", info={"version": EVIL}, too_long=lambda text: text == EVIL
    ) as server:
        return probe(f"{server.tei}?truncate=false", [EVIL, f"{EVIL}again", "b", "c"])


@pytest.fixture(scope="module")
def drift(probed: Probe) -> ProbeDrift:
    """One text that drifted, and a server that says something else."""
    vectors = probed.vectors.copy()
    vectors[0] = -vectors[0]
    assert probed.server is not None
    server = attrs.evolve(probed.server, dtype=EVIL)
    return compare_probes(probed, attrs.evolve(probed, vectors=vectors, server=server))


def pages(probed: Probe, drift: ProbeDrift) -> dict[str, str]:
    """Every page that is made of vectors."""
    assert probed.server is not None
    mismatches = check_server(probed.server, Snapshot(source="memory", repo_id="a/b", files={}))
    return {
        "comparison": render_comparison_html(compare_embeddings(UNIT, SPOILT), [EVIL] * 6),
        "probe": render_probe_html(probed, mismatches),
        "drift": render_drift_html(drift),
    }


def test_pages_are_well_formed_and_run_nothing(probed: Probe, drift: ProbeDrift) -> None:
    """Every page is one well-formed document without scripts and without resources of others."""
    for name, page in pages(probed, drift).items():
        body = page.partition("<body>")[2].partition("</body>")[0]
        ET.fromstring(f"<body>{body}</body>")
        assert "<script" not in page, name
        assert "href=" not in page, name
        assert "src=" not in page, name
        assert "&lt;script&gt;" in page, name


def test_foreign_texts_move_no_cursor(probed: Probe, drift: ProbeDrift) -> None:
    """What a server or a text says is shown with its control characters escaped."""
    texts = [render_probe(probed), render_drift(drift), *pages(probed, drift).values()]
    texts.append(render_comparison(compare_embeddings(UNIT, SPOILT), [EVIL] * 6))

    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_a_probe_is_told(probed: Probe) -> None:
    """The text names what was asked, how it behaves, what it refuses; the JSON has no vectors."""
    text = render_probe(probed)
    document = json.loads(render_probe_json(probed))

    assert text.startswith("TEI server at http://127.0.0.1:")
    assert "no fault, 3 texts, 32 dimensions" in text
    assert "a text has the same vector alone as in a batch" in text
    assert "must have less than 512 tokens" in text
    assert document["dimension"] == 32
    assert document["faults"] == []
    assert "vectors" not in document
    assert len(document["observations"]) == 8


def test_a_fault_is_told() -> None:
    """A behaviour that a backend must have and has not is marked, with the rows that show it."""

    def backwards(texts: list[str]) -> np.ndarray:
        return np.stack([UNIT[len(text)] for text in texts[::-1]])

    text = render_probe(probe(backwards, ["a", "bb", "ccc"]))

    assert "2 faults" in text
    assert re.search(r"fault +keeps-order +vectors come in another order than the texts +0, 2", text)


def test_drift_is_told(drift: ProbeDrift) -> None:
    """The text names the texts that drifted and what the server says otherwise; the JSON says that it did."""
    text, document = render_drift(drift), json.loads(render_drift_json(drift))

    assert text.startswith("3 texts, 1 drifted")
    assert "-1.000000" in text
    assert "another type rounds otherwise" in text
    assert document["agrees"] is False
    assert document["drifted"][0]["row"] == 0


def test_the_picture_has_a_bar_for_each_of_the_farthest() -> None:
    """Of many rows the farthest have bars, in the order of the rows, and the marked ones are red."""
    distances = [row / 1000 for row in range(100)]

    picture = ET.fromstring(distance_bars([f"text {row}" for row in range(100)], distances, frozenset({99})))

    bars = [element for element in picture if element.tag.endswith("rect")]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert len(bars) == MAX_BARS
    assert widths == sorted(widths)
    assert [bar.attrib.get("fill") == "#d33" for bar in bars] == [False] * (MAX_BARS - 1) + [True]


@pytest.mark.parametrize("n_rows", [1, 100, MAX_CELLS, MAX_CELLS + 1, 10 * MAX_CELLS + 7])
def test_the_strip_shows_every_row(n_rows: int) -> None:
    """However many rows there are, the strip has few cells, and the farthest row is in one of them."""
    distances = [0.0] * (n_rows - 1) + [1.5]

    picture = ET.fromstring(distance_strip(distances))

    cells = [element for element in picture if element.tag.endswith("rect")]
    assert len(cells) <= MAX_CELLS
    assert "".join(cells[-1].itertext()).endswith(": 1.5")


def test_the_text_stays_short() -> None:
    """A comparison of many rows names the worst of them, and how many more there are."""
    rows = np.random.default_rng(2).standard_normal((500, 8))

    text = render_comparison(compare_embeddings(rows, rows[::-1]))

    assert "and 488 more" in text
    assert "... and 490 more" in text
    assert compare_embeddings(rows, rows[::-1]).relation is Relation.PERMUTED
