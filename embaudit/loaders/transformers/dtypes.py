"""The type in which a model computes: float32 in transformers 4, that of the repository in transformers 5.

The function is `_get_dtype` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/modeling_utils.py.
"""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.formats.fields import quoted, quoted_value
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON
from embaudit.model.tensors import TensorInfo

DEFAULT = DType.FLOAT32
_TORCH_NAMES = frozenset(
    {
        *(dtype.value for dtype in DType),
        *("bool", "short", "int", "long", "cfloat", "cdouble", "chalf", "complex64", "complex128"),
    }
)
"""Names of types that torch has, its other spellings included."""
_COMPUTED = {DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64}
"""Types that torch takes as its default, in which a model can be made."""


@attrs.frozen
class ComputedType:
    """The type of the model's parameters.

    Attributes:
        dtype: The type; None if the model cannot be made.
        reason: Where it comes from, one sentence; empty for the default of transformers 4.
    """

    dtype: DType | None
    reason: str = ""


def computed_type(
    era: TransformersEra, config: Mapping[str, JSON], checkpoint: Checkpoint, order: Iterable[TensorInfo]
) -> ComputedType:
    """The type in which the model computes.

    Args:
        era: The release.
        config: `config.json`.
        checkpoint: The weights that are loaded.
        order: The tensors of the first weight file, in the order in which the loader meets them.
    """
    field = next((field for field in era.dtype_fields if config.get(field) is not None), None)
    if field is not None:
        stated = _stated(config[field], f"{field} of config.json")
        return stated if era.follows_config_dtype else _ignored(stated, config[field])
    if not era.follows_config_dtype:
        return ComputedType(DEFAULT)
    if checkpoint.index is not None and "dtype" in checkpoint.index.metadata:
        return _stated(checkpoint.index.metadata["dtype"], f"the metadata of {checkpoint.name}")
    return _of_first(era, tuple(order))


def _stated(value: JSON, where: str) -> ComputedType:
    if isinstance(value, Mapping):
        return _stated(value.get("", DEFAULT.value), where)
    text = value.removeprefix("torch.") if isinstance(value, str) else ""
    aliases = {"float": DType.FLOAT32, "half": DType.FLOAT16, "double": DType.FLOAT64}
    dtype = aliases.get(text) or next((known for known in _COMPUTED if known.value == text), None)
    if dtype is None or (isinstance(value, str) and value != text):
        return ComputedType(None, f"{where} is {quoted_value(value)}, in which no model can be made.")
    return ComputedType(dtype, "" if dtype is DEFAULT else f"It computes in {dtype}, after {where}.")


def _ignored(stated: ComputedType, value: JSON) -> ComputedType:
    """A type that is not followed must be one of torch's all the same."""
    is_known = not isinstance(value, str) or stated.dtype is not None or value in _TORCH_NAMES
    return ComputedType(DEFAULT) if is_known else ComputedType(None, stated.reason)


def _of_first(era: TransformersEra, tensors: tuple[TensorInfo, ...]) -> ComputedType:
    floating = (
        tensor for tensor in tensors if tensor.dtype.is_floating and not _is_skipped(era, tensor.dtype)
    )
    first = next(floating, tensors[0] if tensors else None)
    if first is None:
        return ComputedType(DEFAULT)
    if first.dtype not in _COMPUTED:
        return ComputedType(None, f"{quoted(first.name)} is {first.dtype}, in which no model can be made.")
    reason = f"It computes in {first.dtype}, the type of {quoted(first.name)}, which comes first."
    return ComputedType(first.dtype, "" if first.dtype is DEFAULT else reason)


def _is_skipped(era: TransformersEra, dtype: DType) -> bool:
    return era.skips_float8 and dtype.value.startswith(("float8_", "float4_"))
