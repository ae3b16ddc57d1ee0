"""Matching: no name has two partners, doubt leaves names alone, and every renaming of the rules is undone."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embaudit.mapping.matching import MAX_RIVALS, Layout, Match, match_names
from embaudit.model.dtypes import DType

VECTOR: Layout = (DType.FLOAT32, (4,))
MATRIX: Layout = (DType.FLOAT32, (4, 4))
HALF: Layout = (DType.FLOAT16, (4,))

BASE = (
    "embeddings.word_embeddings.weight",
    "embeddings.LayerNorm.weight",
    "embeddings.LayerNorm.bias",
    "encoder.layer.0.attention.self.query.weight",
    "encoder.layer.0.attention.output.LayerNorm.weight",
    "encoder.layer.0.attention.output.LayerNorm.bias",
    "encoder.layer.0.conv.parametrizations.weight.original0",
    "encoder.layer.0.conv.parametrizations.weight.original1",
    "pooler.dense.bias",
)
PREFIXES = ("module.", "_orig_mod.", "bert.", "0.auto_model.", "model.", "roberta.", "transformer.", "new.")


def vectors(*names: str) -> dict[str, Layout]:
    """Names that nothing but the name tells apart."""
    return dict.fromkeys(names, VECTOR)


def paired(left: Mapping[str, Layout], right: Mapping[str, Layout]) -> dict[str, str]:
    """The partners, left name to right name."""
    return {match.left: match.right for match in match_names(left, right)}


def old_spelling(name: str) -> str:
    """A name as older libraries wrote it."""
    for new, old in (
        ("LayerNorm.weight", "LayerNorm.gamma"),
        ("LayerNorm.bias", "LayerNorm.beta"),
        ("parametrizations.weight.original0", "weight_g"),
        ("parametrizations.weight.original1", "weight_v"),
    ):
        if name.endswith(new):
            return name.removesuffix(new) + old
    return name


def compiled_inside(name: str) -> str:
    """A name of a model whose first part went through torch.compile."""
    first, _, rest = name.partition(".")
    return f"{first}._orig_mod.{rest}"


spellings = st.sampled_from(
    [str, old_spelling, compiled_inside, lambda name: compiled_inside(old_spelling(name))]
)
prefixes = st.lists(st.sampled_from(PREFIXES), max_size=4).map("".join)
whole_renamings = st.tuples(prefixes, spellings)

CASES = {
    "equal names": (vectors("a", "b"), vectors("b", "a"), {"a": "a", "b": "b"}),
    "nothing in common": (vectors("a"), vectors("b"), {}),
    "one prefix": (vectors("bert.a", "bert.b"), vectors("a", "b"), {"bert.a": "a", "bert.b": "b"}),
    "an equal name wins over a prefix": (vectors("bert.a", "a"), vectors("a"), {"a": "a"}),
    "both spellings, one is equal": (
        vectors("n.LayerNorm.gamma", "n.LayerNorm.weight"),
        vectors("n.LayerNorm.weight"),
        {"n.LayerNorm.weight": "n.LayerNorm.weight"},
    ),
    "both spellings, neither is equal": (
        vectors("n.LayerNorm.gamma", "n.LayerNorm.weight"),
        vectors("module.n.LayerNorm.weight"),
        {},
    ),
    "two prefixes claim one name": (vectors("bert.a", "roberta.a"), vectors("a"), {}),
    "one name is claimed from two sides": (vectors("a"), vectors("bert.a", "roberta.a"), {}),
    "what an equal name explains is not explained twice": (
        vectors("bert.a", "a"),
        vectors("bert.a", "roberta.a"),
        {"bert.a": "bert.a"},
    ),
    "one renaming explains both spellings": (
        vectors("n.LayerNorm.gamma", "n.LayerNorm.weight"),
        vectors("module.n.LayerNorm.gamma", "module.n.LayerNorm.weight"),
        {
            "n.LayerNorm.gamma": "module.n.LayerNorm.gamma",
            "n.LayerNorm.weight": "module.n.LayerNorm.weight",
        },
    ),
    "a renaming established elsewhere settles a doubt": (
        vectors("n.LayerNorm.gamma", "n.LayerNorm.weight", "b"),
        vectors("module.n.LayerNorm.weight", "module.b"),
        {"n.LayerNorm.weight": "module.n.LayerNorm.weight", "b": "module.b"},
    ),
    "established renamings that contradict each other settle nothing": (
        vectors("bert.LayerNorm.gamma", "bert.LayerNorm.weight", "bert.b", "bert.x.LayerNorm.gamma"),
        vectors("LayerNorm.weight", "b", "x.LayerNorm.weight"),
        {"bert.b": "b", "bert.x.LayerNorm.gamma": "x.LayerNorm.weight"},
    ),
    "shape settles a doubt": (
        {"bert.a": VECTOR, "roberta.a": MATRIX},
        {"a": MATRIX},
        {"roberta.a": "a"},
    ),
    "dtype settles a doubt": (
        {"bert.a": VECTOR, "roberta.a": HALF},
        {"module.a": VECTOR, "model.module.a": HALF},
        {"bert.a": "module.a", "roberta.a": "model.module.a"},
    ),
    "a shape that two names have settles nothing": (
        {"bert.a": VECTOR, "roberta.a": VECTOR, "model.a": MATRIX},
        {"a": VECTOR},
        {},
    ),
    "another shape is no obstacle where there is no doubt": (
        {"bert.a": VECTOR},
        {"a": MATRIX},
        {"bert.a": "a"},
    ),
    "a prefix without its dot is another word": (vectors("bertology.a"), vectors("ology.a"), {}),
    "an encoder is no prefix": (vectors("encoder.layer.0.a"), vectors("layer.0.a"), {}),
}


@pytest.mark.parametrize(("left", "right", "expected"), CASES.values(), ids=CASES)
def test_names_are_paired_or_left_alone(
    left: dict[str, Layout], right: dict[str, Layout], expected: dict[str, str]
) -> None:
    """Each row: the only pairs that the names allow without guessing, seen from either side."""
    assert paired(left, right) == expected
    assert paired(right, left) == {partner: name for name, partner in expected.items()}


@given(whole_renamings, whole_renamings)
def test_a_checkpoint_renamed_as_a_whole_is_recovered(one: tuple, other: tuple) -> None:
    """Any composition of the rules, on either side, gives every pair back."""

    def renamed(name: str, how: tuple) -> str:
        return how[0] + how[1](name)

    left, right = (
        vectors(*(renamed(name, one) for name in BASE)),
        vectors(*(renamed(name, other) for name in BASE)),
    )

    assert paired(left, right) == {renamed(name, one): renamed(name, other) for name in BASE}


@given(st.lists(whole_renamings, min_size=len(BASE), max_size=len(BASE)))
def test_a_checkpoint_renamed_tensor_by_tensor_is_recovered(how: list[tuple]) -> None:
    """Each tensor may have been renamed in its own way."""
    expected = {name: prefix + spell(name) for name, (prefix, spell) in zip(BASE, how, strict=True)}

    assert paired(vectors(*BASE), vectors(*expected.values())) == expected


@given(prefixes.filter(lambda prefix: not prefix.startswith("bert.")))
def test_a_checkpoint_with_both_spellings_is_recovered_behind_a_prefix(prefix: str) -> None:
    """Names that are rivals within one file are still told apart when the whole file is renamed."""
    names = [*BASE, *(f"bert.{name}" for name in BASE), "embeddings.LayerNorm.gamma"]

    assert paired(vectors(*names), vectors(*(prefix + name for name in names))) == {
        name: prefix + name for name in names
    }


leaves = st.sampled_from(["a", "n.LayerNorm.gamma", "n.LayerNorm.weight", "c.weight_g", "x._orig_mod.y"])
names = st.builds("".join, st.tuples(prefixes, leaves))
tables = st.dictionaries(names, st.sampled_from([VECTOR, MATRIX, HALF]), max_size=8)


@given(tables, tables)
def test_matching_is_a_partial_bijection_and_symmetric(
    left: dict[str, Layout], right: dict[str, Layout]
) -> None:
    """No name has two partners, equal names are partners, and swapping the sides mirrors every pair."""
    matches = match_names(left, right)

    assert len({match.left for match in matches}) == len({match.right for match in matches}) == len(matches)
    assert {match.left for match in matches} <= set(left)
    assert {match.right for match in matches} <= set(right)
    assert {match.left for match in matches if not match.renamed_by} == set(left) & set(right)
    assert {(match.right, match.left) for match in matches} == set(paired(right, left).items())


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_names_does_not_decide(table: dict[str, Layout], shuffle: object) -> None:
    """A checkpoint written in another order is paired in the same way."""
    left = vectors(*BASE, "module.a")
    order = list(table)
    shuffle.shuffle(order)

    assert paired(left, table) == paired(left, {name: table[name] for name in order})


def test_pairs_come_in_the_order_of_the_left() -> None:
    """Equal and renamed pairs are not separated."""
    left, right = vectors("bert.c", "b", "bert.a"), vectors("a", "b", "c")

    assert match_names(left, right) == (
        Match("bert.c", "c", ("prefix 'bert.' removed",)),
        Match("b", "b"),
        Match("bert.a", "a", ("prefix 'bert.' removed",)),
    )


def test_a_crowd_of_rivals_is_not_weighed() -> None:
    """More spellings of one name than any real file holds stay without partners, and cost no square."""
    crowd = [("module." * count) + "a" for count in range(1, MAX_RIVALS)]
    wrapped = [f"bert.{name}" for name in crowd]

    assert len(match_names(vectors(*crowd), vectors(*wrapped))) == len(crowd)
    crowd += ["roberta.a", "albert.a"]
    wrapped += ["electra.a", "new.a"]
    assert match_names(vectors(*crowd), vectors(*wrapped)) == ()
