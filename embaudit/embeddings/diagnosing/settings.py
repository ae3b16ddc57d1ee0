"""One way to make vectors of texts, as a value, and the changes that lead from one to another.

Knows which choices there are, and which of them cost a new run of the model. Refuses to know why somebody
would choose so, and how a choice is carried out.
"""

import enum
from collections.abc import Mapping
from typing import Any

import attrs

from embaudit.model.embedding_pipeline import DenseLayer, PoolingMode
from embaudit.model.frozen import FrozenMapping, frozen_mapping


class Unread(str, enum.Enum):
    """Tensors that keep the value that a new model has, where that is a constant."""

    LAYER_NORMS = "layer-norms"
    """Every LayerNorm: factors of 1, summands of 0."""
    EMBEDDING_NORM = "embedding-norm"
    """The LayerNorm of the embeddings."""
    BIASES = "biases"
    """Every bias that is not a LayerNorm's: 0."""
    POSITIONS = "positions"
    """The embeddings of positions: 0, as if they were not added."""
    SEGMENTS = "segments"
    """The embeddings of segments: 0, as if they were not added."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class Padding:
    """How far shorter texts are filled up.

    Attributes:
        batch: To the longest of so many texts that follow each other; 0 if `length` says how far.
        length: To so many tokens.
    """

    batch: int = 0
    length: int = 0


@attrs.frozen(kw_only=True)
class Setting:
    """One way to make vectors of texts.

    Attributes:
        source: Name of the commit that files and settings come from; empty for the one diagnosed.
        weights: The weight file or index.
        misread: Whether its tensors are read from where candle up to 0.8.4 takes them to begin.
        unread: Tensors that keep a constant.
        skipped_layers: Layers, counted from 0, through which nothing goes.
        activation: The activation of the feed-forward parts, by its name in transformers; empty for that
            of `config.json`.
        dtype: The type that the model computes in, by torch's name.
        weights_dtype: The type that weights are rounded to first; empty if they are not.
        prompt: Put before every text.
        pool_prompt: Whether its tokens are pooled.
        tokenizer: The file whose tokenizer is taken as it stands there; empty for the one that transformers
            builds.
        lowercase: Whether texts are lowercased; None for as the tokenizer does.
        special_tokens: Whether `[CLS]` and the like are added.
        pool_special: Whether they are pooled.
        max_length: Tokens, special ones included, at which texts end; None for as many as the model takes.
        padding: How texts are padded where that can be seen in the vectors, which is where one of the next
            two holds.
        attend_padding: Whether tokens attend to padding.
        pool_padding: Whether padding is pooled.
        pooling: How the vectors of tokens become one.
        dense: The layers after that.
        cut: Components kept, before anything is normalised; 0 for all.
        normalize: Whether vectors get length 1.
        cut_after: Components kept of what is normalised; 0 for all.
        stored_dtype: The type that finished vectors are rounded to; empty if they are not.
    """

    source: str = ""
    weights: str
    misread: bool = False
    unread: Unread | None = None
    skipped_layers: tuple[int, ...] = ()
    activation: str = ""
    dtype: str = "float32"
    weights_dtype: str = ""
    prompt: str = ""
    pool_prompt: bool = True
    tokenizer: str = ""
    lowercase: bool | None = None
    special_tokens: bool = True
    pool_special: bool = True
    max_length: int | None = None
    padding: Padding | None = None
    padding_side: str = "right"
    attend_padding: bool = False
    pool_padding: bool = False
    pooling: tuple[PoolingMode, ...]
    dense: tuple[DenseLayer, ...] = ()
    cut: int = 0
    normalize: bool
    cut_after: int = 0
    stored_dtype: str = ""

    @property
    def base(self) -> tuple[Any, ...]:
        """What decides on the model before anything in it is altered."""
        return tuple(getattr(self, name) for name in BASE_FIELDS)

    @property
    def is_base(self) -> bool:
        """Whether nothing in the model is altered."""
        return self.unread is None and not self.skipped_layers and not self.weights_dtype

    @property
    def model(self) -> tuple[Any, ...]:
        """What decides on the model: settings that agree here run the same one."""
        return tuple(getattr(self, name) for name in MODEL_FIELDS)

    @property
    def states(self) -> tuple[Any, ...]:
        """What decides on the vectors of tokens: settings that agree here have the same ones."""
        return tuple(getattr(self, name) for name in STATE_FIELDS)


BASE_FIELDS = ("source", "weights", "misread", "activation", "dtype")
"""Fields that a model is built by."""

MODEL_FIELDS = (*BASE_FIELDS, "unread", "skipped_layers", "weights_dtype")
"""The same, and those by which a copy of it is altered."""

STATE_FIELDS = (
    *MODEL_FIELDS,
    *("prompt", "tokenizer", "lowercase", "special_tokens", "max_length"),
    *("padding", "padding_side", "attend_padding"),
)
"""Fields that cost another run of a model."""

TOKEN_FIELDS = ("tokenizer", "lowercase", "special_tokens", "max_length", "padding_side")
"""Fields that are about what a tokenizer does."""

SHAPE_FIELDS = ("source", "pooling", "dense", "cut", "cut_after")
"""Fields that decide on the number of components."""


@attrs.frozen(kw_only=True)
class Change:
    """One thing done otherwise.

    Attributes:
        name: In one word.
        description: In a clause.
        evidence: What makes it possible, one sentence each.
        fields: Fields of `Setting` to their new values.
        is_bundle: Whether it stands for several things at once, and is not named where one of them alone
            has the same effect.
    """

    name: str
    description: str
    evidence: tuple[str, ...] = ()
    fields: Mapping[str, Any] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    is_bundle: bool = False

    @property
    def runs_model(self) -> bool:
        """Whether it costs another run of a model."""
        return not self.fields.keys().isdisjoint(STATE_FIELDS)

    @property
    def is_about_tokens(self) -> bool:
        """Whether the tokenizer does otherwise by it."""
        return not self.fields.keys().isdisjoint(TOKEN_FIELDS)

    @property
    def shapes_vectors(self) -> bool:
        """Whether vectors may have another number of components by it."""
        return not self.fields.keys().isdisjoint(SHAPE_FIELDS)

    def applied(self, setting: Setting) -> Setting:
        """The setting with its fields changed."""
        return attrs.evolve(setting, **self.fields)
