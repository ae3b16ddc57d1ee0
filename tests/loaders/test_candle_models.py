"""What a candle model takes of a file: its names and their order, substitutes, and what it does without."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from embaudit.architectures.patterns import tensor
from embaudit.loaders.candle_models import (
    Attempt,
    CandleLoad,
    CandleModel,
    Part,
    load_candle_model,
    prefixed,
)
from embaudit.loaders.candle_reading import CandleRead
from embaudit.model.architecture import Architecture, Role
from embaudit.model.dtypes import DType
from embaudit.model.prediction import MismatchedKey, MisreadKey, Outcome
from embaudit.model.tensors import TensorInfo
from embaudit.testing.facts import make_tensor

SMALL = Architecture(
    name="small",
    model_types=("small",),
    class_name="Small",
    base_prefix="small",
    patterns=(
        *tensor("embeddings.word", "3"),
        *tensor("embeddings.LayerNorm.weight", "2"),
        *tensor("layer.{layer}.weight", "2", "3"),
        *tensor("layer.{layer}.bias", "2"),
        *tensor("pooler.weight", "5", role=Role.UNUSED),
    ),
    defaults={"num_hidden_layers": 2},
    source="a test",
)
SHAPES: Mapping[str, tuple[int, ...]] = {
    "embeddings.word": (3,),
    "embeddings.LayerNorm.weight": (2,),
    "layer.0.weight": (2, 3),
    "layer.0.bias": (2,),
    "layer.1.weight": (2, 3),
    "layer.1.bias": (2,),
}
"""What it needs, in the order in which it asks."""


def stored(
    prefix: str = "", *, but: Iterable[str] = (), shapes: Mapping[str, tuple[int, ...]] = SHAPES
) -> list[TensorInfo]:
    """All that the small model needs, under a prefix, with other shapes where given."""
    left_out = set(but)
    every = {**SHAPES, **shapes}
    return [make_tensor(prefix + name, every[name]) for name in every if name not in left_out]


def reading(tensors: Iterable[TensorInfo], **fields: Any) -> CandleRead:
    """What candle makes of a file with these tensors."""
    return CandleRead(tensors={each.name: each for each in tensors}, **fields)


def load(
    tensors: Iterable[TensorInfo],
    *parts: Part,
    config: Mapping[str, Any] | None = None,
    read: Mapping[str, Any] | None = None,
    **fields: Any,
) -> CandleLoad:
    """What the small model takes of them."""
    how: dict[str, Any] = {"parts": parts} if parts else {}
    model = CandleModel(name="small", architecture=SMALL, source="a test", **how, **fields)
    return load_candle_model(model, config or {}, reading(tensors, **(read or {})))


GAMMA_AND_BETA = ((".LayerNorm.weight", ".LayerNorm.gamma"), (".LayerNorm.bias", ".LayerNorm.beta"))
"""Substitutes, as some models for candle have them."""
TWO_PREFIXES = Part(prefixed("", "small."))
BY_TYPE = Part((Attempt(), Attempt((("", "{model_type}."),))))
INDEPENDENT = (Part(prefixed("model.", ""), ("embeddings.",)), Part(prefixed("model.", "")))
RENAMED = Part((Attempt(), Attempt((("layer.", "encoder.block."), ("", "top.")))))
DECIDED = Part((Attempt((("", "small."),), when_stored="small.embeddings.word"), Attempt()))


def test_plain_names_are_taken() -> None:
    """A file with exactly what is needed gives a faithful load without renames, and nothing is left."""
    taken = load(stored())

    assert taken.outcome is Outcome.FAITHFUL
    assert dict(taken.taken) == {name: name for name in SHAPES}
    assert not taken.renamed_keys
    assert not taken.unexpected_keys


PREFIXES = [
    pytest.param(stored("small."), (TWO_PREFIXES,), {}, "small.", id="second prefix"),
    pytest.param(stored("bert."), (BY_TYPE,), {"model_type": "bert"}, "bert.", id="prefix by model type"),
    pytest.param(
        [*stored(but=[name for name in SHAPES if name.startswith("layer")]), *stored("model.")[2:]],
        INDEPENDENT,
        {},
        None,
        id="parts with prefixes of their own",
    ),
    pytest.param(stored("small."), (DECIDED,), {}, "small.", id="a stored name decides"),
    pytest.param(stored(), (DECIDED,), {}, "", id="the deciding name is not stored"),
]


@pytest.mark.parametrize(("tensors", "parts", "config", "prefix"), PREFIXES)
def test_prefixes_are_tried(
    tensors: list[TensorInfo], parts: tuple[Part, ...], config: Mapping[str, Any], prefix: str | None
) -> None:
    """Every tensor is found under the first attempt that finds all of its part."""
    taken = load(tensors, *parts, config=config)

    assert taken.outcome is Outcome.FAITHFUL
    assert set(taken.taken) == set(SHAPES)
    if prefix is not None:
        assert all(name == prefix + loaded for loaded, name in taken.taken.items())
        assert set(taken.renamed_keys) == ({prefix + name for name in SHAPES} if prefix else set())


def test_the_first_attempt_that_works_wins() -> None:
    """Where a file holds the model twice, the plain names are read and the others left."""
    taken = load([*stored("small."), *stored()], TWO_PREFIXES)

    assert not taken.renamed_keys
    assert taken.unexpected_keys == tuple(sorted(f"small.{name}" for name in SHAPES))


def test_attempts_may_rename_parts_of_names() -> None:
    """The first beginning that fits is exchanged, the others are not."""
    spelled = [make_tensor(name.replace("layer.", "encoder.block."), SHAPES[name]) for name in SHAPES]
    tops = [make_tensor(f"top.{each.name}", each.shape) for each in spelled[:2]]
    taken = load([*tops, *spelled[2:]], RENAMED)

    assert taken.outcome is Outcome.FAITHFUL
    assert taken.taken["layer.1.bias"] == "encoder.block.1.bias"
    assert taken.taken["embeddings.word"] == "top.embeddings.word"


REFUSALS = [
    pytest.param(
        stored("small.", but=["layer.1.bias"]),
        (TWO_PREFIXES,),
        "cannot find tensor embeddings.word",
        ("small.layer.1.bias",),
        id="the error is that of the first attempt",
    ),
    pytest.param(
        stored(but=["layer.0.bias"]),
        (TWO_PREFIXES,),
        "cannot find tensor layer.0.bias",
        ("layer.0.bias",),
        id="one is missing",
    ),
    pytest.param(
        [*stored(but=["layer.0.bias"]), make_tensor("small.layer.0.bias", (2,))],
        (TWO_PREFIXES,),
        "cannot find tensor layer.0.bias",
        ("layer.0.bias",),
        id="prefixes are not mixed inside a part",
    ),
    pytest.param(
        stored("small.", but=["layer.0.bias"]),
        (DECIDED,),
        "cannot find tensor small.layer.0.bias",
        ("small.layer.0.bias",),
        id="a stored name decides, then one is missing",
    ),
    pytest.param(
        stored("bert."),
        (BY_TYPE,),
        "cannot find tensor embeddings.word",
        tuple(sorted(SHAPES)),
        id="no model type, no such attempt",
    ),
]


@pytest.mark.parametrize(("tensors", "parts", "error", "missing"), REFUSALS)
def test_what_is_missing_is_refused(
    tensors: list[TensorInfo], parts: tuple[Part, ...], error: str, missing: tuple[str, ...]
) -> None:
    """The error shown is the first attempt's; the missing keys are those of the one that comes closest."""
    taken = load(tensors, *parts)

    assert taken.outcome is Outcome.REFUSED
    assert any(error in reason for reason in taken.refusals)
    assert taken.missing_keys == missing


def test_another_shape_is_refused() -> None:
    """A tensor of another shape is an error, named with both shapes, and not missing."""
    taken = load(stored(shapes={"layer.0.bias": (7,)}))

    assert taken.outcome is Outcome.REFUSED
    assert taken.mismatched_keys == (
        MismatchedKey(name="layer.0.bias", stored_shape=(7,), expected_shape=(2,)),
    )
    assert not taken.missing_keys
    assert not taken.unexpected_keys


def test_a_tensor_that_cannot_be_read_is_refused_only_if_asked_for() -> None:
    """What fails on reading is an error for a tensor of the model, and nothing for another one."""
    tensors = [*stored(), make_tensor("other")]

    assert load(tensors, read={"failing": {"other": "gaps"}}).outcome is Outcome.FAITHFUL
    asked = load(tensors, read={"failing": {"layer.0.bias": "gaps"}})
    assert asked.outcome is Outcome.REFUSED
    assert "gaps" in asked.refusals[0]
    assert not asked.missing_keys


def test_what_candle_left_out_is_missing_with_its_reason() -> None:
    """An entry that candle dropped is told as missing, and why it is."""
    taken = load(stored(but=["layer.0.bias"]), read={"dropped": {"layer.0.bias": "some function"}})

    assert taken.missing_keys == ("layer.0.bias",)
    assert "some function" in taken.refusals[0]


def test_substitutes_stand_in() -> None:
    """`gamma` is taken where `weight` is absent, and where both are stored, `weight` is."""
    old = [*stored(but=["embeddings.LayerNorm.weight"]), make_tensor("embeddings.LayerNorm.gamma", (2,))]
    both = [*stored(), make_tensor("embeddings.LayerNorm.gamma", (2,))]

    assert load(old).outcome is Outcome.REFUSED
    renamed = load(old, substitutes=GAMMA_AND_BETA)
    assert dict(renamed.renamed_keys) == {"embeddings.LayerNorm.gamma": "embeddings.LayerNorm.weight"}
    assert not load(both, substitutes=GAMMA_AND_BETA).renamed_keys


@pytest.mark.parametrize("shape", [None, (9,)], ids=["absent", "another shape"])
def test_optional_tensors_are_left_out_silently(shape: tuple[int, ...] | None) -> None:
    """What the model does without if need be makes it another model, which no error tells."""
    wrong: dict[str, tuple[int, ...]] = {} if shape is None else {"layer.1.bias": shape}
    tensors = stored(but=[] if wrong else ["layer.1.bias"], shapes=wrong)
    taken = load(tensors, optional=(r"\.bias$",))

    assert taken.outcome is Outcome.INCOMPLETE
    assert taken.omitted_keys == ("layer.1.bias",)
    assert taken.missing_keys == (("layer.1.bias",) if shape is None else ())
    assert taken.taken["layer.0.bias"] == "layer.0.bias"


def test_neglected_tensors_make_another_model() -> None:
    """Stored tensors that the architecture needs and nobody asks for make a load incomplete."""
    taken = load(stored("small."), TWO_PREFIXES, never_read=(r"\.bias$",))

    assert taken.outcome is Outcome.INCOMPLETE
    assert taken.neglected_keys == ("small.layer.0.bias", "small.layer.1.bias")


def test_misread_tensors_count_only_if_taken() -> None:
    """A tensor that is never asked for is not misread."""
    keys = {
        name: MisreadKey(name=name, file="f", reason="r", byte_to_read=2, byte_read=1)
        for name in ("layer.0.bias", "other")
    }
    taken = load([*stored(), make_tensor("other")], read={"misread": keys})

    assert taken.outcome is Outcome.CORRUPT
    assert taken.misread_keys == (keys["layer.0.bias"],)


@pytest.mark.parametrize(
    ("table", "dtype", "outcome"),
    [
        pytest.param("embeddings.word", DType.FLOAT32, Outcome.REFUSED, id="looked up"),
        pytest.param("embeddings.word", DType.FLOAT16, Outcome.FAITHFUL, id="cast on the way"),
        pytest.param("embeddings.word", None, Outcome.FAITHFUL, id="not asked"),
        pytest.param("layer.0.weight", DType.FLOAT32, Outcome.FAITHFUL, id="multiplied"),
    ],
)
def test_tables_in_column_order_fail_on_the_first_lookup(
    table: str, dtype: DType | None, outcome: Outcome
) -> None:
    """A table loads in column order, and the first text fails, unless a cast puts it in row order."""
    model = CandleModel(name="small", architecture=SMALL, looked_up=(r"word$",), source="a test")
    read = reading(stored(), columns=frozenset({table}))

    assert load_candle_model(model, {}, read, dtype).outcome is outcome


def test_doubts_are_no_faithful_load() -> None:
    """With a doubt about the file, a load that seems to go well is unknown, and a refusal stays one."""
    doubts = {"doubts": ("who knows",)}

    assert load(stored(), read=doubts).outcome is Outcome.UNKNOWN
    assert load(stored(but=["layer.0.bias"]), read=doubts).outcome is Outcome.REFUSED


def test_restrictions_refuse() -> None:
    """What the configuration forbids refuses a file that has all tensors."""
    taken = load(stored(), restrictions=lambda config: [f"No {config['kind']}."], config={"kind": "flash"})

    assert taken.refusals == ("No flash.",)


HOSTILE = [10**30, 10**12, 600_000, -1, "12", None, 2.0, [], {}]


@pytest.mark.parametrize("count", HOSTILE, ids=repr)
def test_hostile_configurations_are_refused(count: object) -> None:
    """Numbers of layers that no model has end in a refusal, never in an exception, and soon."""
    taken = load(stored(), config={"num_hidden_layers": count})

    assert taken.outcome is Outcome.REFUSED
    assert all(len(reason) < 500 for reason in taken.refusals)


def test_a_prefix_of_any_length() -> None:
    """A model type of a megabyte makes no names of a megabyte, and one that is stored is still found."""
    long = "x" * 300
    config = {"model_type": long}

    assert load(stored(f"{long}."), BY_TYPE, config=config).outcome is Outcome.FAITHFUL
    refused = load(stored("y."), BY_TYPE, config=config)
    assert refused.outcome is Outcome.REFUSED
    assert all(len(name) < 100 for name in refused.missing_keys)


def test_layers_beyond_what_a_file_can_hold() -> None:
    """Where the layers need more tensors than the file has, they are not gone through one by one."""
    many = [*stored(), *(make_tensor(f"other.{number}", (2,)) for number in range(3000))]

    taken = load(many, config={"num_hidden_layers": 2000})

    assert taken.outcome is Outcome.REFUSED
    assert "2,000 layers" in taken.refusals[0]
    assert not taken.missing_keys
