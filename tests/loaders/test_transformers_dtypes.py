"""The type in which a model computes, by release."""

from typing import Any

import pytest

from embaudit.loaders.transformers.dtypes import computed_type
from embaudit.loaders.transformers.eras import ERAS
from embaudit.model.checkpoint import ShardIndex
from embaudit.model.dtypes import DType
from embaudit.testing.facts import make_checkpoint, make_tensor

OLD, NEW = "4.57.1", "5.23.0"


def computed(
    version: str, config: dict[str, Any], *stored: DType, index: dict[str, Any] | None = None
) -> object:
    """The type in which a model of these tensors computes."""
    era = next(era for era in ERAS if era.versions.contains(version))
    tensors = [make_tensor(f"t{number}", dtype=dtype) for number, dtype in enumerate(stored)]
    weight_map = dict.fromkeys((tensor.name for tensor in tensors), "a")
    shards = None if index is None else ShardIndex(path="i", weight_map=weight_map, metadata=index)
    checkpoint = make_checkpoint(tensors, index=shards)
    return computed_type(era, config, checkpoint, tensors).dtype


@pytest.mark.parametrize("version", ["4.30.2", OLD])
@pytest.mark.parametrize("stored", [DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64, DType.INT8])
def test_transformers_4_computes_in_float32(version: str, stored: DType) -> None:
    """Neither the file nor the configuration changes the default of transformers 4."""
    assert computed(version, {"torch_dtype": "float16"}, stored) == "float32"


@pytest.mark.parametrize(
    ("config", "index", "stored", "dtype"),
    [
        ({}, None, (DType.FLOAT32,), "float32"),
        ({}, None, (DType.INT64, DType.FLOAT16, DType.FLOAT32), "float16"),
        ({}, None, (), "float32"),
        ({}, {"dtype": "bfloat16"}, (DType.FLOAT32,), "bfloat16"),
        ({"torch_dtype": "float16"}, {"dtype": "bfloat16"}, (DType.FLOAT32,), "float16"),
        ({"torch_dtype": "float16", "dtype": "float32"}, None, (DType.FLOAT16,), "float32"),
        ({"torch_dtype": None}, None, (DType.BFLOAT16,), "bfloat16"),
        ({"dtype": "half"}, None, (DType.FLOAT32,), "float16"),
        ({"dtype": "auto"}, None, (DType.FLOAT32,), None),
        ({"dtype": "torch.float16"}, None, (DType.FLOAT32,), None),
        ({"dtype": 16}, None, (DType.FLOAT32,), None),
        ({"dtype": "int8"}, None, (DType.FLOAT32,), None),
        ({}, None, (DType.INT64,), None),
        ({}, None, (DType.FLOAT8_E4M3FN, DType.BFLOAT16), "bfloat16"),
    ],
)
def test_transformers_5_follows_the_repository(
    config: dict[str, Any], index: dict[str, Any] | None, stored: tuple[DType, ...], dtype: str | None
) -> None:
    """The configuration comes first, then the index, then the first tensor with a point in it."""
    assert computed(NEW, config, *stored, index=index) == dtype


def test_float8_was_taken_for_the_model_s_type_at_first() -> None:
    """Up to 5.3 the model was to be made in the type of a float8 tensor, which torch refuses."""
    assert computed("5.3.0", {}, DType.FLOAT8_E4M3FN, DType.BFLOAT16) is None


@pytest.mark.parametrize("stated", ["auto", "float17"])
def test_transformers_4_knows_the_types_all_the_same(stated: str) -> None:
    """A type that torch does not have ends the load even where it would not be followed."""
    assert computed(OLD, {"torch_dtype": stated}, DType.FLOAT32) is None
