"""From the vectors of tokens to the vector of a text, in torch: pooling, dense layers, normalisation.

Knows the arithmetic, as sentence-transformers 6.2.0 does it:
https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/sentence_transformer/modules/pooling.py
Refuses to know models, tokens and files.
"""

from collections.abc import Callable, Mapping

import attrs
import torch
from torch import Tensor
from torch.nn import functional

from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.errors import TargetError
from embaudit.model.embedding_pipeline import DenseLayer, PoolingMode

_LEAST = 1e-9
"""What sums of weights are taken to be at least, as in the source."""

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "": lambda vectors: vectors,
    "torch.nn.modules.linear.Identity": lambda vectors: vectors,
    "torch.nn.modules.activation.Tanh": torch.tanh,
    "torch.nn.modules.activation.ReLU": functional.relu,
    "torch.nn.modules.activation.GELU": functional.gelu,
    "torch.nn.modules.activation.Sigmoid": torch.sigmoid,
    "torch.nn.modules.activation.SiLU": functional.silu,
}
"""Dotted name of a torch class to what it computes."""


@attrs.frozen(kw_only=True, eq=False)
class TokenStates:
    """The vectors of the tokens of some texts, padded to one length on either side.

    Attributes:
        vectors: Of shape (texts, tokens, hidden).
        real: Which tokens are not padding, of shape (texts, tokens).
        special: Which tokens were added around the text.
        prompt: Which tokens belong to the prompt.
    """

    vectors: Tensor
    real: Tensor
    special: Tensor
    prompt: Tensor

    def pooled_tokens(self, setting: Setting) -> Tensor:
        """Which tokens are pooled."""
        pooled = torch.ones_like(self.real) if setting.pool_padding else self.real.clone()
        if not setting.pool_special:
            pooled &= ~self.special
        if not setting.pool_prompt:
            pooled &= ~self.prompt
        return pooled

    def pooled_places(self, setting: Setting) -> Tensor:
        """For each token that is pooled its place in the text, counted from 1; 0 for the others."""
        pooled = self.pooled_tokens(setting)
        places = torch.arange(1, pooled.shape[1] + 1).expand(pooled.shape)
        if not setting.pool_padding:
            places = places - self.real.int().argmax(dim=1, keepdim=True)
        return pooled * places


def finish(states: TokenStates, setting: Setting, dense: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
    """The vectors of texts, as float32 of shape (texts, dimension).

    Args:
        states: The vectors of their tokens.
        setting: How they are made.
        dense: Folder of a dense layer to its tensors.
    """
    places = states.pooled_places(setting)
    vectors = torch.cat([_POOLINGS[mode](states.vectors, places) for mode in setting.pooling], dim=-1)
    for layer in setting.dense:
        vectors = _apply(layer, dense[layer.path], vectors)
    vectors = _cut(vectors, setting.cut)
    if setting.normalize:
        vectors = functional.normalize(vectors, dim=-1)
    vectors = _cut(vectors, setting.cut_after)
    if setting.stored_dtype:
        vectors = vectors.to(getattr(torch, setting.stored_dtype))
    return vectors.float()


def _cut(vectors: Tensor, dimension: int) -> Tensor:
    return vectors[:, :dimension] if dimension else vectors


def _apply(layer: DenseLayer, tensors: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
    """A dense layer: linear, activation, and with `residual` what came in, through a matrix if it has one.

    Raises:
        TargetError: If its activation is none of `ACTIVATIONS`, or its tensors do not fit.
    """
    activation = ACTIVATIONS.get(layer.activation)
    if activation is None:
        raise TargetError(f"{layer.path} has the activation {layer.activation!r}, which is not built here")
    weight = tensors.get("linear.weight")
    if weight is None or weight.shape[-1] != vectors.shape[-1]:
        raise TargetError(
            f"the weights of {layer.path} do not take vectors of {vectors.shape[-1]} components"
        )
    bias = tensors.get("linear.bias") if layer.bias else None
    given = functional.linear(vectors, weight.to(vectors), None if bias is None else bias.to(vectors))
    given = activation(given)
    if not layer.residual:
        return given
    through = tensors.get("residual.weight")
    return given + (vectors if through is None else functional.linear(vectors, through.to(vectors)))


def _first(states: Tensor, places: Tensor) -> Tensor:
    return states[torch.arange(len(states)), (places > 0).int().argmax(dim=1)]


def _last(states: Tensor, places: Tensor) -> Tensor:
    return states[torch.arange(len(states)), places.argmax(dim=1)] * places.any(dim=1, keepdim=True)


def _max(states: Tensor, places: Tensor) -> Tensor:
    return states.masked_fill((places == 0).unsqueeze(-1), float("-inf")).amax(dim=1)


def _sums(states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of the tokens and that of the weights, in float32 even of half-precision states."""
    exact = torch.promote_types(states.dtype, torch.float32)
    weights = weights.unsqueeze(-1).to(exact)
    return (states * weights.to(states)).sum(dim=1, dtype=exact), weights.sum(dim=1).clamp(min=_LEAST)


def _mean(states: Tensor, places: Tensor) -> Tensor:
    total, count = _sums(states, places > 0)
    return (total / count).to(states)


def _mean_sqrt(states: Tensor, places: Tensor) -> Tensor:
    total, count = _sums(states, places > 0)
    return (total / count.sqrt()).to(states)


def _weighted(states: Tensor, places: Tensor) -> Tensor:
    total, count = _sums(states.to(torch.promote_types(states.dtype, torch.float32)), places)
    return (total / count).to(states)


_POOLINGS: Mapping[PoolingMode, Callable[[Tensor, Tensor], Tensor]] = {
    PoolingMode.CLS: _first,
    PoolingMode.MAX: _max,
    PoolingMode.MEAN: _mean,
    PoolingMode.MEAN_SQRT_LEN: _mean_sqrt,
    PoolingMode.WEIGHTED_MEAN: _weighted,
    PoolingMode.LAST_TOKEN: _last,
}
"""Each takes the vectors of the tokens, and their places as `TokenStates.pooled_places` gives them."""
