"""Values in a notebook: each shows itself, small and harmless, and as a table where pandas is there."""

import subprocess
import sys
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import numpy as np
import pytest

import embaudit
from embaudit import compare_embeddings, compare_probes, probe
from embaudit.errors import UsageError
from embaudit.model.diagnosis import Cause, Diagnosis, Hypothesis, Verdict
from embaudit.model.prediction import Outcome
from embaudit.model.probe import RefusedText
from embaudit.model.shown import Shown, Tabular
from embaudit.model.tensor_map import Depth, TensorMap
from embaudit.report import notebook
from embaudit.report.frames import _TABLES
from embaudit.testing.facts import make_checkpoint, make_load, make_pair, make_prediction
from embaudit.testing.reports import report_of

EVIL = "</div></style><script>alert(1)</script>\x1b[2J\u202e"
MANY = [f"{EVIL}{at}" for at in range(3_000)]


def a_diagnosis(text: str) -> Diagnosis:
    """A diagnosis of very many hypotheses, all words of which are `text`."""
    hypothesis = Hypothesis(
        causes=(text,),
        description=text,
        evidence=(text,) * 3_000,
        dimension=2,
        distance=0.1,
        cosine=None,
        distances=(0.1,) * 3_000,
        reproduces=True,
    )
    return Diagnosis(
        target=text,
        verdict=Verdict.EXPLAINED,
        cause=Cause(hypotheses=(hypothesis,)),
        declared=hypothesis,
        ranked=(hypothesis,) * 3_000,
        without_effect=(text,) * 3_000,
        untested=(text,) * 3_000,
        notes=(text,) * 3_000,
        doubts=(text,) * 3_000,
        n_texts=3_000,
        dimension=2,
        n_passes=1,
    )


def values() -> list[Any]:
    """One of each kind that shows itself, large and hostile."""
    vectors = np.random.default_rng(0).normal(size=(3_000, 4))
    probed = probe(lambda texts: [[1.0, len(text)] for text in texts], MANY[:300], observe=False)
    load = make_load(Outcome.INCOMPLETE, missing_keys=tuple(MANY), reasons=tuple(MANY), files=tuple(MANY))
    diff = report_of(EVIL).diff
    assert diff is not None
    return [
        compare_embeddings(vectors, -vectors),
        attrs.evolve(probed, refused=tuple(RefusedText(text=text, reason=text) for text in MANY)),
        compare_probes(probed, attrs.evolve(probed, vectors=-probed.vectors)),
        load,
        make_prediction(load),
        make_checkpoint(MANY, name=EVIL),
        attrs.evolve(diff, notes=tuple(MANY), uncompared=tuple(MANY)),
        TensorMap(
            left=EVIL,
            right=EVIL,
            depth=Depth.HEADERS,
            pairs=tuple(make_pair(name, f"x{name}", renamed_by=EVIL) for name in MANY),
            only_left=tuple(MANY),
            only_right=tuple(MANY),
        ),
        a_diagnosis(EVIL),
    ]


def test_values_show_themselves_small_and_harmless() -> None:
    """Each gives one well-formed piece of bounded size, and a few lines of text, in which nothing acts."""
    shown = values()

    for value in shown:
        html, text = value._repr_html_(), value._repr_mimebundle_()["text/plain"]
        tags = {element.tag for element in ET.fromstring(html).iter()}
        assert html.startswith('<div class="embaudit"><style>')
        assert not tags & {"script", "img", "input", "h1"}
        assert len(html) < 300_000, type(value)
        assert "\u202e" not in html + text
        assert "\x1b" not in html + text
        assert len(text) <= (notebook.MAX_LINES + 1) * (notebook.MAX_LINE + 1)
    assert {type(value) for value in shown} == set(notebook._SHOWN) == set(notebook._PRINTED)


def test_every_kind_of_value_that_says_so_can_be_shown() -> None:
    """Whoever is `Shown` has a form, and whoever is `Tabular` has a table."""
    kinds = [kind for name in embaudit.__all__ if isinstance(kind := getattr(embaudit, name), type)]

    assert {kind for kind in kinds if issubclass(kind, Shown)} <= set(notebook._SHOWN)
    assert all(issubclass(kind, tuple(_TABLES)) for kind in kinds if issubclass(kind, Tabular))


def test_tables_name_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas a table is refused with the name of the extra that brings it."""
    monkeypatch.setitem(sys.modules, "pandas", None)

    for value in (make_checkpoint(), report_of("a")):
        with pytest.raises(UsageError, match=r"pandas: pip install 'embaudit\[notebook\]'"):
            value.to_frame()


@pytest.mark.parametrize("table", _TABLES.values(), ids=[kind.__name__ for kind in _TABLES])
def test_rows_have_the_columns_of_their_table(table: tuple[tuple[str, ...], Any]) -> None:
    """No row has a field for which there is no column, and every column is filled by some row."""
    columns, rows = table
    everything = [report_of("a"), *values()]
    value = next(
        each
        for each in everything
        for kind, made in _TABLES.items()
        if made is table and isinstance(each, kind)
    )

    filled = [set(row) for row in rows(value)]

    assert set().union(*filled) <= set(columns)
    assert set(columns) - set().union(*filled) <= {"tied_to"}


def test_values_alone_know_nothing_of_rendering() -> None:
    """Without `embaudit`'s own names a value is shown as any object is, and no renderer is imported."""
    program = (
        "import sys; from embaudit.model.checkpoint import Checkpoint\n"
        "value = Checkpoint(name='a', format='safetensors', files=(), tensors={})\n"
        "print(value._repr_html_(), value._repr_mimebundle_(), 'embaudit.report' in sys.modules)\n"
        "import embaudit; embaudit.Checkpoint\n"
        "print('embaudit.report' in sys.modules, value._repr_html_()[:5], 'embaudit.report' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.splitlines() == ["None {} False", "False <div  True"]
