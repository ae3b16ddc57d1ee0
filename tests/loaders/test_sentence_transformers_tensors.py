"""The tensors that modules expect, held against the layers of torch that they are made of."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from embaudit.errors import FormatError
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.loaders.sentence_transformers.module_files import (
    Settings,
    Shapes,
    cnn_tensors,
    dense_tensors,
    layer_norm_tensors,
    lstm_tensors,
    weighted_layer_tensors,
)

SIZE = st.integers(1, 9)


def shapes_of(prefix: str, layer: nn.Module) -> dict[str, tuple[int, ...]]:
    """The state of a layer of torch, under a name."""
    return {f"{prefix}.{name}": tuple(each.shape) for name, each in layer.state_dict().items()}


@given(n_in=SIZE, n_out=SIZE, bias=st.booleans(), residual=st.booleans())
def test_dense(n_in: int, n_out: int, *, bias: bool, residual: bool) -> None:
    """Dense is a Linear, and a second one without bias where a residual has another size."""
    settings: Settings = {"in_features": n_in, "out_features": n_out, "bias": bias, "use_residual": residual}
    expected = shapes_of("linear", nn.Linear(n_in, n_out, bias=bias))
    if residual and n_in != n_out:
        expected |= shapes_of("residual", nn.Linear(n_in, n_out, bias=False))

    assert dense_tensors(settings) == expected


def test_dense_with_a_trained_activation() -> None:
    """An activation with a weight of its own is part of Dense's state."""
    settings: Settings = {"in_features": 2, "out_features": 3, "activation_function": "torch.nn.PReLU"}

    assert dense_tensors(settings) == {
        **shapes_of("linear", nn.Linear(2, 3)),
        **shapes_of("activation_function", nn.PReLU()),
    }


@given(size=SIZE)
def test_layer_norm(size: int) -> None:
    """LayerNorm is torch's, under the name `norm`."""
    assert layer_norm_tensors({"dimension": size}) == shapes_of("norm", nn.LayerNorm(size))


@given(n_in=SIZE, hidden=SIZE, layers=st.integers(1, 3), both_ways=st.booleans(), former=st.booleans())
def test_lstm(n_in: int, hidden: int, layers: int, *, both_ways: bool, former: bool) -> None:
    """LSTM is torch's, under the name `encoder`; its size goes by two names."""
    size = "word_embedding_dimension" if former else "embedding_dimension"
    settings = {size: n_in, "hidden_dim": hidden, "num_layers": layers, "bidirectional": both_ways}

    expected = shapes_of("encoder", nn.LSTM(n_in, hidden, layers, bidirectional=both_ways))
    assert lstm_tensors(settings) == expected


@given(n_in=SIZE, n_out=SIZE, kernels=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_cnn(n_in: int, n_out: int, kernels: list[int]) -> None:
    """CNN is one convolution for each kernel size, numbered."""
    layers = nn.ModuleList(nn.Conv1d(n_in, n_out, kernel) for kernel in kernels)
    settings: Settings = {
        "in_word_embedding_dimension": n_in,
        "out_channels": n_out,
        "kernel_sizes": tuple(kernels),
    }

    assert cnn_tensors(settings) == shapes_of("convs", layers)


def test_weighted_layers() -> None:
    """One weight for each hidden state from `layer_start` on, and there is one more of these than layers."""
    assert weighted_layer_tensors({"num_hidden_layers": 12, "layer_start": 4}) == {"layer_weights": (9,)}
    assert weighted_layer_tensors({}) == {"layer_weights": (9,)}


@pytest.mark.parametrize("size", ["12", None, 1.5, True, -1, (), {}], ids=repr)
@pytest.mark.parametrize(
    ("tensors", "settings", "name"),
    [
        (dense_tensors, {"in_features": 2, "out_features": 2}, "in_features"),
        (layer_norm_tensors, {"dimension": 2}, "dimension"),
        (lstm_tensors, {"embedding_dimension": 2, "hidden_dim": 2}, "num_layers"),
        (cnn_tensors, {"in_embedding_dimension": 2}, "out_channels"),
        (weighted_layer_tensors, {}, "layer_start"),
    ],
    ids=["dense", "layer-norm", "lstm", "cnn", "weighted-layers"],
)
def test_no_size(
    tensors: Callable[[Mapping[str, Any]], Shapes], settings: Mapping[str, Any], name: str, size: object
) -> None:
    """What is no whole number from 0 on is no size, and the error names the field."""
    with pytest.raises(FormatError) as error:
        tensors({**settings, name: size})

    assert error.value.where == name


@pytest.mark.parametrize(
    ("tensors", "settings"),
    [
        (lstm_tensors, {"embedding_dimension": 2, "hidden_dim": 2, "num_layers": 10**30}),
        (cnn_tensors, {"in_embedding_dimension": 2, "kernel_sizes": (1,) * 100_000}),
        (weighted_layer_tensors, {"layer_weights": (1.0,)}),
    ],
    ids=["lstm", "cnn", "weighted-layers"],
)
def test_not_followed(tensors: Callable[[Mapping[str, Any]], Shapes], settings: Mapping[str, Any]) -> None:
    """More layers than any model has are not written out, and weights inside of settings not followed."""
    with pytest.raises(CannotTellError):
        tensors(settings)
