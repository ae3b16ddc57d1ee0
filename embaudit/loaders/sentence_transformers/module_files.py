"""The tensors that modules of sentence-transformers expect, as functions of their settings.

Knows torch's layers inside Dense, LayerNorm, LSTM, CNN and WeightedLayerPooling, as 2.0 to 6.2 build them.
Refuses to know where settings and weights lie.
"""

from collections.abc import Callable, Iterator, Mapping

from embaudit.errors import FormatError
from embaudit.formats.fields import ARRAY, expect, quoted
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.limits import DEFAULT_LIMITS

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
"""Names of tensors, as the module names them, to the shapes that it has."""
Settings = Mapping[str, JSON]
TensorsOf = Callable[[Settings], Shapes]

_TRAINED_ACTIVATION = "PReLU"
"""The one activation with a weight of its own, which is part of the module's state."""


def no_tensors(_settings: Settings) -> Shapes:
    """A module without weights."""
    return FrozenMapping()


def dense_tensors(settings: Settings) -> Shapes:
    """`Dense`: `torch.nn.Linear`, and from 6.0 another one where a residual changes its size.

    https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/base/modules/dense.py
    """
    n_in, n_out = _size(settings, "in_features"), _size(settings, "out_features")
    shapes: dict[str, Shape] = {"linear.weight": (n_out, n_in)}
    if settings.get("bias", True):
        shapes["linear.bias"] = (n_out,)
    if settings.get("use_residual", False) and n_in != n_out:
        shapes["residual.weight"] = (n_out, n_in)
    activation = settings.get("activation_function")
    if isinstance(activation, str) and activation.rpartition(".")[2] == _TRAINED_ACTIVATION:
        shapes["activation_function.weight"] = (1,)
    return shapes


def layer_norm_tensors(settings: Settings) -> Shapes:
    """`LayerNorm`: `torch.nn.LayerNorm` under the name `norm`."""
    size = _size(settings, "dimension")
    return {"norm.weight": (size,), "norm.bias": (size,)}


def weighted_layer_tensors(settings: Settings) -> Shapes:
    """`WeightedLayerPooling`: one weight for each layer from `layer_start` on, the embeddings counted."""
    count = _size(settings, "num_hidden_layers", 12) + 1 - _size(settings, "layer_start", 4)
    if settings.get("layer_weights") is not None:
        raise CannotTellError("embaudit does not follow weights that are written into the settings.")
    return {"layer_weights": (max(count, 0),)}


def lstm_tensors(settings: Settings) -> Shapes:
    """`LSTM`: `torch.nn.LSTM` under the name `encoder`, in both directions unless it is told not to."""
    n_in, hidden = _renamed_size(settings, "embedding_dimension"), _size(settings, "hidden_dim")
    directions = ("", "_reverse") if settings.get("bidirectional", True) else ("",)
    layers = _bounded(_size(settings, "num_layers", 1), "num_layers")
    return dict(_lstm_shapes(n_in, hidden, layers, directions))


def _lstm_shapes(
    n_in: int, hidden: int, layers: int, directions: tuple[str, ...]
) -> Iterator[tuple[str, Shape]]:
    gates = 4 * hidden
    for layer in range(layers):
        for direction in directions:
            end = f"l{layer}{direction}"
            yield f"encoder.weight_ih_{end}", (gates, n_in if layer == 0 else hidden * len(directions))
            yield f"encoder.weight_hh_{end}", (gates, hidden)
            yield f"encoder.bias_ih_{end}", (gates,)
            yield f"encoder.bias_hh_{end}", (gates,)


def cnn_tensors(settings: Settings) -> Shapes:
    """`CNN`: one `torch.nn.Conv1d` for each kernel size."""
    n_in, n_out = _renamed_size(settings, "in_embedding_dimension"), _size(settings, "out_channels", 256)
    kernels = expect(settings.get("kernel_sizes", (1, 3, 5)), ARRAY, "kernel_sizes")
    _bounded(len(kernels), "kernel_sizes")
    shapes: dict[str, Shape] = {}
    for number, kernel in enumerate(kernels):
        shapes[f"convs.{number}.weight"] = (n_out, n_in, _whole(kernel, "kernel_sizes"))
        shapes[f"convs.{number}.bias"] = (n_out,)
    return shapes


def _renamed_size(settings: Settings, name: str) -> int:
    """A size that was called `word_embedding_dimension` where it is `embedding_dimension` from 5.4 on."""
    former = name.replace("embedding", "word_embedding")
    return _size(settings, name if name in settings else former)


def _size(settings: Settings, name: str, default: int | None = None) -> int:
    if default is not None and name not in settings:
        return default
    if name not in settings:
        raise FormatError("is missing", name)
    return _whole(settings[name], name)


def _whole(value: object, name: str) -> int:
    """A size, as torch takes it: whole and from 0 on.

    Raises:
        FormatError: If torch would refuse it.
    """
    if type(value) is not int or value < 0:
        shown = quoted(value) if isinstance(value, str) else repr(value)[:80]
        raise FormatError(f"expected a whole number from 0 on, found {shown}", name)
    return value


def _bounded(count: int, name: str) -> int:
    if count > DEFAULT_LIMITS.tensors // 8:
        raise CannotTellError(f"{name}: {count} layers are more than embaudit follows.")
    return count
