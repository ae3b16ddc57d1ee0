"""How names meet in each generation of transformers, where the installed ones cannot be asked."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from embaudit.loaders.transformers.conversions import (
    FIRST_ONLY,
    LEGACY,
    MODEL_TABLES,
    WHOLE_WORDS,
    Conversions,
    Renaming,
    conversions_for,
)
from embaudit.loaders.transformers.eras import ERAS
from embaudit.loaders.transformers.matching import Matching, MatchingTask
from embaudit.loaders.transformers.names_4 import anywhere, anywhere_with_weight_norm, at_the_end

LATEST = ERAS[-1].since
MODEL = ("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias", "encoder.weight")


def matched(version: str, stored: Iterable[str], *, listed: Iterable[str] | None = None) -> Matching:
    """What one version makes of stored names, for a model with a base prefix `bert`."""
    era = next(era for era in ERAS if era.versions.contains(version))
    shapes = dict.fromkeys(stored, (2,))
    return era.match(
        MatchingTask(
            expected=dict.fromkeys(MODEL, (2,)),
            prefix="bert",
            stored=shapes,
            listed=shapes if listed is None else listed,
            fix_name=era.fix_name,
            conversions=conversions_for("bert", era.conversions, era.since),
            keeps_original_names=era.keeps_original_names,
            drops_unexpected=era.drops_unexpected,
            drops_buffers=era.drops_buffers,
        )
    )


@pytest.mark.parametrize("era", ERAS, ids=lambda era: str(era.since))
def test_right_names_meet(era: object) -> None:
    """Stored under the model's own names, every tensor is taken by every release, and nothing is told."""
    matching = matched(str(getattr(era, "since", "")), MODEL)

    assert {(each.name, each.stored) for each in matching.taken} == {(name, name) for name in MODEL}
    assert (matching.missing, matching.unexpected, matching.unfilled) == ((), (), ())


@pytest.mark.parametrize("era", ERAS, ids=lambda era: str(era.since))
def test_prefixed_names_meet(era: object) -> None:
    """A task model's checkpoint, with the prefix before each name, is taken by every release."""
    matching = matched(str(getattr(era, "since", "")), [f"bert.{name}" for name in MODEL])

    assert {each.name for each in matching.taken} == {*MODEL}


@pytest.mark.parametrize(("version", "missing_prefix"), [("4.49.0", "bert."), ("4.50.0", ""), ("5.0.0", "")])
def test_how_a_missing_name_is_told(version: str, missing_prefix: str) -> None:
    """Up to 4.49 missing names are told with the prefix that the file has."""
    matching = matched(version, [f"bert.{name}" for name in MODEL[1:]])

    assert [matching.missing_prefix + name for name in matching.missing] == [missing_prefix + MODEL[0]]


@pytest.mark.parametrize("version", ["4.30.2", "4.49.0", "4.57.1"])
def test_one_stranger_hides_every_name(version: str) -> None:
    """In 4.x the test for the prefix lacks the dot: with `bertology.x` beside them, no name is taken."""
    assert matched(version, [*MODEL, "bertology.x"]).taken == ()


def test_a_stranger_hides_nothing_any_more() -> None:
    """In 5.x each name is looked at by itself."""
    assert len(matched("5.0.0", [*MODEL, "bertology.x"]).taken) == len(MODEL)


@pytest.mark.parametrize(("version", "winner"), [("4.56.2", "bert."), ("5.0.0", "bert.")])
def test_of_plain_and_prefixed_names_the_prefixed_are_taken(version: str, winner: str) -> None:
    """Where both are stored, the prefixed ones are taken."""
    matching = matched(version, [*MODEL, *(f"bert.{name}" for name in MODEL)])

    assert {each.stored for each in matching.taken} == {winner + name for name in MODEL}


def test_plain_and_prefixed_names_cancel_out_in_4_57() -> None:
    """4.57 reports the plain names as unexpected, and then loads nothing under a name so reported."""
    matching = matched("4.57.1", [*MODEL, *(f"bert.{name}" for name in MODEL)])

    assert matching.taken == ()
    assert matching.missing == ()
    assert {*matching.unfilled} == {*matching.unexpected} == {*MODEL}


@pytest.mark.parametrize(
    ("version", "winner"),
    [("4.47.1", "gamma"), ("4.49.0", "gamma"), ("4.57.1", "weight"), ("5.0.0", "gamma")],
)
def test_of_gamma_and_weight_one_wins(version: str, winner: str) -> None:
    """Up to 4.49 the renamed tensor replaces the other, in 4.50 the last one, in 5 the first one wins."""
    matching = matched(version, sorted([*MODEL, "embeddings.LayerNorm.gamma"]))
    stored = {each.name: each.stored for each in matching.taken}

    assert stored["embeddings.LayerNorm.weight"] == f"embeddings.LayerNorm.{winner}"
    assert len(matching.replaced) == 1


@pytest.mark.parametrize(
    ("version", "taken", "missing", "unfilled"),
    [("4.49.0", 3, 1, 0), ("4.57.1", 2, 1, 0), ("5.0.0", 3, 0, 0)],
)
def test_a_tensor_that_its_index_does_not_list(version: str, taken: int, missing: int, unfilled: int) -> None:
    """4.49 reads it and reports it missing, 4.57 does not read it, 5 does not look at the list."""
    matching = matched(version, MODEL, listed=MODEL[1:])

    assert (len(matching.taken), len(matching.missing), len(matching.unfilled)) == (taken, missing, unfilled)


@pytest.mark.parametrize(
    ("version", "missing", "unfilled"), [("4.49.0", 0, 1), ("4.57.1", 0, 1), ("5.0.0", 1, 0)]
)
def test_a_tensor_that_only_the_index_knows(version: str, missing: int, unfilled: int) -> None:
    """4.x believes the index and says nothing, 5 reports it missing."""
    matching = matched(version, MODEL[1:], listed=MODEL)

    assert (len(matching.missing), len(matching.unfilled)) == (missing, unfilled)


@pytest.mark.parametrize(
    ("name", "everywhere", "at_end"),
    [
        ("x.LayerNorm.gamma", "x.LayerNorm.weight", "x.LayerNorm.weight"),
        ("x.norm.beta", "x.norm.bias", "x.norm.beta"),
        ("gamma_proj.weight", "weight_proj.weight", "gamma_proj.weight"),
        ("betamax.weight", "biasmax.weight", "betamax.weight"),
    ],
)
def test_which_names_are_taken_for_tensorflow_s(name: str, everywhere: str, at_end: str) -> None:
    """Up to 4.48 `gamma` and `beta` are replaced wherever they occur, later only after `LayerNorm.`."""
    assert anywhere(name) == anywhere_with_weight_norm(name) == everywhere
    assert at_the_end(name) == at_end


@pytest.mark.parametrize(
    ("model_type", "stored", "loaded"),
    [
        ("nomic_bert", "encoder.layers.0.mlp.fc11.weight", "layers.0.mlp.up_proj.weight"),
        ("nomic_bert", "encoder.layers.3.attn.Wqkv.weight", "layers.3.self_attn.q_proj.weight"),
        ("gte", "new.encoder.layer.0.mlp.up_gate_proj.weight", "layers.0.mlp.up_proj.weight"),
        ("jina_embeddings_v3", "encoder.layers.0.mixer.out_proj.bias", "layers.0.self_attn.o_proj.bias"),
        ("bert", "encoder.layers.0.mlp.fc11.weight", "encoder.layers.0.mlp.fc11.weight"),
        ("bert", "x.LayerNorm.gamma", "x.LayerNorm.weight"),
    ],
)
def test_the_tables_of_5(model_type: str, stored: str, loaded: str) -> None:
    """Each kind of model has its own table, and every one that of old names."""
    assert conversions_for(model_type, WHOLE_WORDS, LATEST).rename(stored)[0] == loaded


@pytest.mark.parametrize(
    ("model_type", "stored", "since", "before"),
    [
        ("nomic_bert", "emb_ln.weight", "5.5.0", "5.4.0"),
        ("gte", "new.encoder.layer.0.attn_ln.weight", "5.18.0", "5.14.0"),
        ("jina_embeddings_v3", "emb_ln.weight", "5.4.0", "5.3.0"),
    ],
)
def test_a_table_comes_with_its_model(model_type: str, stored: str, since: str, before: str) -> None:
    """A release that does not have a model has no table for it either: remote code keeps its names there."""
    assert conversions_for(model_type, WHOLE_WORDS, Version(since)).rename(stored)[0] != stored
    assert conversions_for(model_type, WHOLE_WORDS, Version(before)).rename(stored)[0] == stored
    assert Version(since) in {era.since for era in ERAS}


@pytest.mark.parametrize("row", [*LEGACY, *(row for table in MODEL_TABLES.values() for row in table.rows)])
@given(text=st.text(st.sampled_from("abLnNo._0127"), max_size=12))
def test_what_a_row_needs_is_in_all_that_it_finds(row: Renaming, text: str) -> None:
    """The text that a name is looked through for first is in every name that the pattern finds."""
    example = row.pattern.removeprefix("^").replace(r"\.", ".").replace("(.+)", "x")
    name = text + example if not row.pattern.startswith("^") else example + text

    assert row.apply(name, FIRST_ONLY) is not None
    assert (row.apply(text, FIRST_ONLY) is None) is (re.search(row.pattern, text) is None)


def test_before_5_there_are_no_tables() -> None:
    """Where a release has no tables, none are applied."""
    assert conversions_for("nomic_bert", None, LATEST) == Conversions()


def test_a_pattern_ends_a_word_from_5_21_on() -> None:
    """Earlier a pattern is found in the beginning of a longer word too."""
    stored = "x.LayerNorm.gamma_2"

    assert conversions_for(None, FIRST_ONLY, LATEST).rename(stored)[0] == "x.LayerNorm.weight_2"
    assert conversions_for(None, WHOLE_WORDS, LATEST).rename(stored)[0] == stored


_NAMES = st.lists(
    st.sampled_from(["bert", "encoder", "LayerNorm", "gamma", "beta", "weight", "0", "12", "", "x1", "²"]),
    min_size=1,
    max_size=4,
).map(".".join)


@given(stored=st.lists(_NAMES | st.sampled_from(MODEL), max_size=6, unique=True), era=st.sampled_from(ERAS))
def test_every_name_is_accounted_for(stored: list[str], era: object) -> None:
    """Each tensor of the model is filled, missing or unfilled; no tensor is filled twice."""
    matching = matched(str(getattr(era, "since", "")), stored)
    filled = [each.name for each in matching.taken]

    assert len(filled) == len({*filled})
    assert {*filled, *matching.missing, *matching.unfilled} == {*MODEL}
    assert {each.stored for each in matching.taken} <= {*stored}
