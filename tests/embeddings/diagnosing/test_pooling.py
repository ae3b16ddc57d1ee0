"""Pooling, dense layers and normalisation, held against sums written out for one text at a time."""

import math
from collections.abc import Callable

import attrs
import numpy as np
import pytest
import torch

from embaudit.embeddings.diagnosing.pooling import ACTIVATIONS, TokenStates, finish
from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.errors import TargetError
from embaudit.model.embedding_pipeline import DenseLayer, PoolingMode

LENGTHS = (3, 5, 1)
HIDDEN = 4
VECTORS = torch.randn(3, 5, HIDDEN, generator=torch.Generator().manual_seed(0))
ORACLES: dict[PoolingMode, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    PoolingMode.CLS: lambda rows, _: rows[0],
    PoolingMode.MAX: lambda rows, _: rows.max(axis=0),
    PoolingMode.MEAN: lambda rows, _: rows.mean(axis=0),
    PoolingMode.MEAN_SQRT_LEN: lambda rows, _: rows.sum(axis=0) / math.sqrt(len(rows)),
    PoolingMode.WEIGHTED_MEAN: lambda rows, places: np.average(rows, axis=0, weights=places + 1),
    PoolingMode.LAST_TOKEN: lambda rows, _: rows[-1],
}
PLAIN = Setting(weights="", pooling=(PoolingMode.MEAN,), normalize=False)
DENSE = DenseLayer(
    path="2_Dense",
    in_features=HIDDEN,
    out_features=2,
    bias=True,
    activation="torch.nn.modules.activation.Tanh",
)
WEIGHTS = {
    "linear.weight": torch.arange(8.0).reshape(2, HIDDEN) / 8,
    "linear.bias": torch.tensor([0.5, -1.0]),
}


def states() -> TokenStates:
    """Three texts; the first and last token of each are special, and the prompt is its first two tokens."""
    places = torch.arange(5)
    lengths = torch.tensor(LENGTHS)[:, None]
    real = places < lengths
    return TokenStates(
        vectors=VECTORS,
        real=real,
        special=real & ((places == 0) | (places == lengths - 1)),
        prompt=real & (places < 2),
    )


@pytest.mark.parametrize("mode", PoolingMode)
@pytest.mark.parametrize("pools_padding", [False, True], ids=["masked", "unmasked"])
def test_pooling_is_what_it_is_called(mode: PoolingMode, *, pools_padding: bool) -> None:
    """Each mode over the tokens of a text, or over its padding too."""
    setting = attrs.evolve(PLAIN, pooling=(mode,), pool_padding=pools_padding)

    found = finish(states(), setting, {})

    for row, length in enumerate(LENGTHS):
        pooled = VECTORS[row].numpy()[: 5 if pools_padding else length]
        assert np.allclose(found[row], ORACLES[mode](pooled, np.arange(len(pooled))), atol=1e-6)


@pytest.mark.parametrize("mode", PoolingMode)
def test_tokens_of_a_prompt_can_be_left_out(mode: PoolingMode) -> None:
    """What remains keeps its places."""
    found = finish(states(), attrs.evolve(PLAIN, pooling=(mode,), pool_prompt=False), {})

    expected = ORACLES[mode](VECTORS[1].numpy()[2:], np.arange(2, 5))
    assert np.allclose(found[1], expected, atol=1e-6)


@pytest.mark.parametrize("mode", PoolingMode)
@pytest.mark.parametrize("pools_prompt", [True, False], ids=["prompt", "no prompt"])
def test_the_side_of_padding_does_not_matter(mode: PoolingMode, *, pools_prompt: bool) -> None:
    """Vectors of tokens that are the same are pooled alike, before padding or after it."""
    right = states()
    rolls = [5 - length for length in LENGTHS]

    def rolled(each: torch.Tensor) -> torch.Tensor:
        return torch.stack([row.roll(roll, dims=0) for row, roll in zip(each, rolls, strict=True)])

    left = TokenStates(**{name: rolled(getattr(right, name)) for name in attrs.fields_dict(TokenStates)})
    setting = attrs.evolve(PLAIN, pooling=(mode,), pool_prompt=pools_prompt)

    found, expected = finish(left, setting, {}), finish(right, setting, {})

    kept = slice(None) if pools_prompt else slice(2)  # the last text is nothing but the prompt
    assert torch.allclose(found[kept], expected[kept], atol=1e-6)


def test_special_tokens_can_be_left_out() -> None:
    """Only what lies between them is pooled."""
    found = finish(states(), attrs.evolve(PLAIN, pool_special=False), {})

    assert torch.allclose(found[1], VECTORS[1, 1:4].mean(0), atol=1e-6)


def test_several_modes_are_joined_in_their_order() -> None:
    """The first mode comes first."""
    found = finish(states(), attrs.evolve(PLAIN, pooling=(PoolingMode.MAX, PoolingMode.CLS)), {})

    assert torch.equal(found[:, HIDDEN:], VECTORS[:, 0])


def test_normalising_is_done_last_but_for_a_cut() -> None:
    """Vectors of length 1, of which a cut leaves less; cut before, they have length 1 again."""
    after = finish(states(), attrs.evolve(PLAIN, normalize=True, cut_after=2), {})
    before = finish(states(), attrs.evolve(PLAIN, normalize=True, cut=2), {})

    assert torch.all(after.norm(dim=1) < 1)
    assert torch.allclose(before.norm(dim=1), torch.ones(3))
    assert torch.allclose(torch.nn.functional.normalize(after), before)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_dense_layer_is_what_torch_computes(activation: str) -> None:
    """Linear, then the activation under the name that sentence-transformers writes."""
    name = activation.rpartition(".")[2] or "Identity"
    linear = torch.nn.Linear(HIDDEN, 2)
    linear.load_state_dict({key.partition(".")[2]: value for key, value in WEIGHTS.items()})
    expected = getattr(torch.nn, name)()(linear(VECTORS[:, 0]))

    layer = attrs.evolve(DENSE, activation=activation)
    setting = attrs.evolve(PLAIN, pooling=(PoolingMode.CLS,), dense=(layer,))

    assert torch.allclose(finish(states(), setting, {"2_Dense": WEIGHTS}), expected)


def test_a_residual_adds_what_came_in() -> None:
    """Through a matrix where the sizes differ."""
    layer = attrs.evolve(DENSE, residual=True)
    through = torch.ones(2, HIDDEN)
    setting = attrs.evolve(PLAIN, pooling=(PoolingMode.CLS,), dense=(DENSE,))
    plain = finish(states(), setting, {"2_Dense": WEIGHTS})

    weights = {**WEIGHTS, "residual.weight": through}
    found = finish(states(), attrs.evolve(setting, dense=(layer,)), {"2_Dense": weights})

    assert torch.allclose(found, plain + VECTORS[:, 0].sum(1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "weights"),
    [
        (attrs.evolve(DENSE, activation="os.system"), WEIGHTS),
        (DENSE, {}),
        (DENSE, {"linear.weight": torch.ones(2, 9)}),
    ],
    ids=["a class that is not known", "no weights", "weights of another size"],
)
def test_a_dense_layer_that_cannot_be_built_is_refused(
    layer: DenseLayer, weights: dict[str, torch.Tensor]
) -> None:
    """Nothing is imported by a name in a file, and nothing is guessed."""
    with pytest.raises(TargetError):
        finish(states(), attrs.evolve(PLAIN, dense=(layer,)), {"2_Dense": weights})
