"""From settings to vectors, with as few runs of a model as that takes.

Settings that differ in pooling alone share one run, and those of one model are run one after the other, so
that at most two models and the tensors of one weight file are held at once. Refuses to judge the vectors.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from embaudit.embeddings.diagnosing.material import Material
from embaudit.embeddings.diagnosing.native import (
    build_model,
    layer_names,
    most_tokens,
    round_weights,
    run_model,
    skip_layers,
    unread,
)
from embaudit.embeddings.diagnosing.pooling import TokenStates, finish
from embaudit.embeddings.diagnosing.settings import Setting
from embaudit.embeddings.diagnosing.tensors import read_tensors
from embaudit.embeddings.diagnosing.tokens import MOST_TOKENS, TextCutter, Tokens, tokenize
from embaudit.errors import EmbauditError, LimitError, TargetError
from embaudit.model.limits import Limits
from embaudit.model.weights import preferred_weights

Vectors = npt.NDArray[np.float32]

BATCH_TEXTS = 32
"""Texts that a model is run over at once in half precision, and where padding comes before texts, the longest
first: what sentence-transformers 6.2.0 does by default, so that rounding and places come out alike."""

SMALL_BATCH_TEXTS = 4
"""The same in float32, where padding after a text leaves no trace: few texts waste little on padding."""

MOST_BATCH_TOKENS = BATCH_TEXTS * MOST_TOKENS
"""Tokens, padding included, that a model is run over at once."""


class Runner:
    """Runs models over some texts."""

    def __init__(self, materials: Mapping[str, Material], texts: Sequence[str], limits: Limits) -> None:
        """Keep what is run.

        Args:
            materials: Name of a commit, as `Setting.source` has it, to its files.
            texts: The texts.
            limits: Bounds on what is read.
        """
        self.n_passes = 0
        self._materials = materials
        self._texts = tuple(texts)
        self._limits = limits
        self._tensors: tuple[tuple[Any, ...], dict[str, Tensor]] = ((), {})
        self._base: tuple[tuple[Any, ...], nn.Module] = ((), nn.Module())
        self._altered: tuple[tuple[Any, ...], nn.Module] = ((), nn.Module())
        self._tokenizers: dict[tuple[str, str, bool | None], TextCutter] = {}
        self._dense: dict[tuple[str, str], dict[str, Tensor]] = {}

    def run(self, settings: Iterable[Setting]) -> Iterator[tuple[Setting, Vectors | EmbauditError]]:
        """Each setting with its vectors, float32 of shape (texts, dimension), or why there are none.

        The order is that of the runs, not that of `settings`.
        """
        ordered = sorted(settings, key=lambda setting: tuple(map(str, setting.states)))
        for _, group in groupby(ordered, key=lambda setting: setting.states):
            yield from self._run_group(list(group))

    def layers(self, setting: Setting) -> int:
        """Layers that can be skipped."""
        return layer_names(self._model_of(setting))[1]

    def _run_group(self, group: list[Setting]) -> Iterator[tuple[Setting, Vectors | EmbauditError]]:
        try:
            batches = self._states(group[0])
        except EmbauditError as error:
            yield from ((setting, error) for setting in group)
            return
        for setting in group:
            try:
                yield setting, self._finish(batches, setting)
            except EmbauditError as error:
                yield setting, error

    def _finish(self, batches: Sequence[tuple[Sequence[int], TokenStates]], setting: Setting) -> Vectors:
        dense = {layer.path: self._dense_of(setting.source, layer.path) for layer in setting.dense}
        places = [place for batch, _ in batches for place in batch]
        with torch.inference_mode():
            vectors = torch.cat([finish(states, setting, dense) for _, states in batches])
        in_order: Vectors = vectors[torch.tensor(places).argsort()].numpy()
        return in_order

    def _states(self, setting: Setting) -> list[tuple[Sequence[int], TokenStates]]:
        """The vectors of the tokens, batch by batch, each with the positions of its texts."""
        model = self._model_of(setting)
        tokens = tokenize(self._tokenizer_of(setting), self._texts, setting, most_tokens(model))
        self.n_passes += 1
        return [
            (batch, run_batch(model, [tokens[place] for place in batch], setting))
            for batch in _batches(self._texts, setting)
        ]

    def _tokenizer_of(self, setting: Setting) -> TextCutter:
        key = (setting.source, setting.tokenizer, setting.lowercase)
        if key not in self._tokenizers:
            file = self._materials[setting.source].tokenizer
            self._tokenizers[key] = file.tokenizer(setting.lowercase, as_stored=bool(setting.tokenizer))
        return self._tokenizers[key]

    def _model_of(self, setting: Setting) -> nn.Module:
        base = self._base_of(setting)
        if setting.is_base:
            return base
        if self._altered[0] != setting.model:
            self._altered = ((), nn.Module())
            self._altered = (setting.model, _altered(base, setting))
        return self._altered[1]

    def _base_of(self, setting: Setting) -> nn.Module:
        if self._base[0] != setting.base:
            self._base = ((), nn.Module())
            config = self._materials[setting.source].config
            model = build_model(config, self._tensors_of(setting), setting.dtype, setting.activation)
            self._base = (setting.base, model)
        return self._base[1]

    def _tensors_of(self, setting: Setting) -> dict[str, Tensor]:
        key = (setting.source, setting.weights, setting.misread)
        if self._tensors[0] != key:
            self._tensors = ((), {})
            checkpoint = self._materials[setting.source].checkpoint(setting.weights)
            self._tensors = (key, read_tensors(checkpoint, self._limits, misread=setting.misread))
        return self._tensors[1]

    def _dense_of(self, source: str, path: str) -> dict[str, Tensor]:
        if (source, path) not in self._dense:
            material = self._materials[source]
            name = preferred_weights(material.repository.checkpoints, path)
            if name is None:
                raise TargetError(f"{path} has no weights that can be read")
            self._dense[source, path] = read_tensors(material.checkpoint(name), self._limits)
        return self._dense[source, path]


def _altered(base: nn.Module, setting: Setting) -> nn.Module:
    """A copy of a model with what `setting` alters.

    Raises:
        TargetError: If the model has nothing of the kind.
    """
    model = deepcopy(base)
    if setting.skipped_layers:
        skip_layers(model, setting.skipped_layers)
    if setting.unread is not None and not unread(model, setting.unread):
        raise TargetError(f"the model has no {setting.unread}")
    if setting.weights_dtype:
        round_weights(model, setting.weights_dtype)
    return model


def _batches(texts: Sequence[str], setting: Setting) -> list[list[int]]:
    """Positions of the texts that are run together."""
    places = list(range(len(texts)))
    leaves_no_trace = setting.dtype == "float32" and setting.padding_side == "right"
    size = SMALL_BATCH_TEXTS if leaves_no_trace else BATCH_TEXTS
    if setting.padding is None:
        places.sort(key=lambda place: -len(texts[place]))
    else:
        size = setting.padding.batch or size
    return [places[start : start + size] for start in range(0, len(places), size)]


def run_batch(model: nn.Module, batch: Sequence[Tokens], setting: Setting) -> TokenStates:
    """The vectors of the tokens of some texts, filled up to one length.

    Raises:
        LimitError: If that is more tokens than a model is run over at once.
        TargetError: If the model cannot be run over them.
    """
    longest = max(len(tokens.numbers) for tokens in batch)
    length = max(longest, setting.padding.length) if setting.padding is not None else longest
    if len(batch) * length > MOST_BATCH_TOKENS:
        problem = f"{len(batch)} texts of {length} tokens are more than {MOST_BATCH_TOKENS} tokens at once"
        raise LimitError(problem, limit="MOST_BATCH_TOKENS")
    padding_number = getattr(model.config, "pad_token_id", None) or 0
    numbers = torch.full((len(batch), length), padding_number)
    real, special, prompt = (torch.zeros(numbers.shape, dtype=torch.bool) for _ in range(3))
    for row, tokens in enumerate(batch):
        count = len(tokens.numbers)
        start = length - count if setting.padding_side == "left" else 0
        numbers[row, start : start + count] = torch.tensor(tokens.numbers)
        real[row, start : start + count] = True
        special[row, start : start + count] = torch.tensor(tokens.special)
        prompt[row, start : start + tokens.n_prompt] = True
    mask = torch.ones_like(real) if setting.attend_padding else real
    vectors = run_model(model, numbers, mask)
    return TokenStates(vectors=vectors, real=real, special=special, prompt=prompt)
