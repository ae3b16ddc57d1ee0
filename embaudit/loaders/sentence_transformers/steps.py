"""What each module of sentence-transformers does to a text on its way to a vector.

Knows which step of an `EmbeddingPipeline` a module adds or undoes, from its settings, in 2.0 to 6.2. Refuses
to know which modules there are, and what lies in their weights beyond the width of a table.
Source: https://github.com/huggingface/sentence-transformers/tree/v6.2.0/sentence_transformers and up to 5.3
https://github.com/huggingface/sentence-transformers/tree/v5.3.0/sentence_transformers/models
"""

from collections.abc import Callable, Mapping

import attrs

from embaudit.formats.fields import quoted_value
from embaudit.loaders.hidden_sizes import positions, whole, width
from embaudit.loaders.sentence_transformers.judging import named_modes
from embaudit.loaders.sentence_transformers.loading import (
    Place,
    Sight,
    normalize_settings,
    open_weights,
    read_settings,
)
from embaudit.loaders.sentence_transformers.module_files import Settings
from embaudit.loaders.tokenizers import UNLIMITED, MaxLength, declared_length, declared_tokenizer
from embaudit.model.embedding_pipeline import DenseLayer, EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON, FrozenMapping

BLANK = EmbeddingPipeline(pooling=(), normalize=False, max_seq_length=None, lowercase=None, dimension=None)
"""Before the first module."""


@attrs.frozen(kw_only=True)
class Call:
    """One module as it is run.

    Attributes:
        sight: What its load is predicted from.
        place: The module.
        settings: Its arguments; empty for modules that have none.
    """

    sight: Sight
    place: Place
    settings: Settings

    @property
    def config(self) -> Mapping[str, JSON]:
        """The `config.json` of the folder, which a Transformer shares with transformers."""
        found = self.sight.repository.declaration.documents.get(self.place.path("config.json"))
        return found if isinstance(found, Mapping) else FrozenMapping[JSON]()


Step = Callable[[EmbeddingPipeline, Call], EmbeddingPipeline]
"""The pipeline up to a module, and the module, to the pipeline after it."""


def noted(pipeline: EmbeddingPipeline, note: str) -> EmbeddingPipeline:
    """The pipeline with one note more."""
    return attrs.evolve(pipeline, notes=(*pipeline.notes, note))


def failing(pipeline: EmbeddingPipeline, cause: str) -> EmbeddingPipeline:
    """The pipeline in which no text becomes a vector; the first cause stands."""
    failure = f"Encoding a text ends in an error: {cause}"
    return attrs.evolve(noted(pipeline, failure), failure=pipeline.failure or failure)


def _step_transformer(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """A Transformer makes a vector of each token."""
    after = attrs.evolve(pipeline, dimension=width(call.config), pooling=())
    if call.settings.get("tokenizer_name_or_path") is not None:
        return noted(after, "The tokenizer is that of another repository, which is not looked at.")
    options = tokenizer_options(call.settings)
    tokenizer = declared_tokenizer(call.sight.repository.declaration, call.place.folder, options)
    max_length = _max_length(call, options)
    if max_length.fails:
        after = failing(after, f"texts cannot be cut at {max_length.shown} tokens.")
    elif max_length.is_too_short:
        after = noted(after, f"Texts are not cut at {max_length.shown}, less than the special tokens.")
    return attrs.evolve(
        after,
        max_seq_length=max_length.tokens,
        truncates=True,
        lowercase=True if call.settings.get("do_lower_case") else tokenizer.lowercase,
        padding_side=tokenizer.padding_side,
    )


def tokenizer_options(settings: Settings) -> Mapping[str, JSON]:
    """The arguments that the settings of a Transformer give its tokenizer."""
    given = (settings.get(name) for name in ("tokenizer_args", "processor_kwargs"))
    return {key: value for options in given if isinstance(options, Mapping) for key, value in options.items()}


def _max_length(call: Call, options: Mapping[str, JSON]) -> MaxLength:
    """Where texts end: what the settings say, or else the smaller of what tokenizer and model take."""
    asked = call.settings.get("max_seq_length")
    if call.sight.era.tokenizer_has_length and "model_max_length" in options:
        return MaxLength(options["model_max_length"])
    if asked is not None:
        return MaxLength(asked, may_be_endless=call.sight.era.tokenizer_has_length)
    declaration = call.sight.repository.declaration
    declared = MaxLength(declared_length(declaration, call.place.folder, options))
    return declared.bounded(positions(call.config), keeps_nan=call.sight.era.tokenizer_has_length)


FLAGS = {
    "pooling_mode_cls_token": PoolingMode.CLS,
    "pooling_mode_max_tokens": PoolingMode.MAX,
    "pooling_mode_mean_tokens": PoolingMode.MEAN,
    "pooling_mode_mean_sqrt_len_tokens": PoolingMode.MEAN_SQRT_LEN,
    "pooling_mode_weightedmean_tokens": PoolingMode.WEIGHTED_MEAN,
    "pooling_mode_lasttoken": PoolingMode.LAST_TOKEN,
}
"""The flags up to 5.3, in the order in which what they ask for is concatenated."""
_MODES = {str(mode): mode for mode in PoolingMode}


def _step_pooling(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """Pooling makes one vector of those of the tokens; what was made of them before is made anew."""
    settings = call.settings
    modes = _modes_5_4(settings) if call.sight.era.flags_stand_alone else _modes_before_5_4(settings)
    size = pipeline.dimension if pipeline.pooling == () else None
    declared = settings.get("embedding_dimension", settings.get("word_embedding_dimension"))
    size = whole(declared) if size is None else size
    pooled = attrs.evolve(
        pipeline,
        pooling=modes,
        include_prompt=bool(settings.get("include_prompt", True)),
        dimension=None if size is None else size * len(modes),
        normalize=False,
        dense=(),
    )
    return pooled if modes else failing(pooled, "no mode of Pooling is set.")


def _modes_5_4(settings: Settings) -> tuple[PoolingMode, ...]:
    """From 5.4 on: what is named, in that order; or else the flags that are set; or else the mean."""
    if "pooling_mode" in settings:
        several = named_modes(settings) or ()
        return tuple(_MODES[name] for name in several if isinstance(name, str) and name in _MODES)
    found = tuple(mode for flag, mode in FLAGS.items() if settings.get(flag))
    return found or (PoolingMode.MEAN,)


def _modes_before_5_4(settings: Settings) -> tuple[PoolingMode, ...]:
    """Up to 5.3: one that is named; or else the flags, of which that of the mean is set if it is absent."""
    named = settings.get("pooling_mode")
    if isinstance(named, str):
        return tuple(mode for name, mode in _MODES.items() if name == named.lower())
    return tuple(mode for flag, mode in FLAGS.items() if settings.get(flag, mode is PoolingMode.MEAN))


_TEXT_VECTOR = "sentence_embedding"
_TANH = "torch.nn.modules.activation.Tanh"
_IDENTITIES = {"torch.nn.modules.linear.Identity", "torch.nn.Identity"}


def _step_dense(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """Dense takes the vector of the text to another, which need not have length 1."""
    settings = call.settings
    taken = settings.get("module_input_name", _TEXT_VECTOR)
    given = settings.get("module_output_name") or taken
    if (taken, given) != (_TEXT_VECTOR, _TEXT_VECTOR):
        return _dense_elsewhere(pipeline, call, taken, given)
    layer = DenseLayer(
        path=call.place.folder,
        in_features=whole(settings.get("in_features")),
        out_features=whole(settings.get("out_features")),
        bias=bool(settings.get("bias", True)),
        activation=_activation(settings.get("activation_function", _TANH), call),
        residual="use_residual" in call.place.type.optional and bool(settings.get("use_residual", False)),
    )
    after = attrs.evolve(
        pipeline, dense=(*pipeline.dense, layer), dimension=layer.out_features, normalize=False
    )
    if pipeline.dimension in {None, layer.in_features} or layer.in_features is None:
        return after
    # The width of a model that is not known well may be another than its configuration seems to say.
    is_sure = bool(pipeline.dense) or len(pipeline.pooling or ()) > 1
    found = f"{pipeline.dimension} components come to a Dense that takes {layer.in_features}."
    return failing(after, found) if is_sure else noted(after, found)


def _dense_elsewhere(pipeline: EmbeddingPipeline, call: Call, taken: JSON, given: JSON) -> EmbeddingPipeline:
    note = f"A Dense takes {quoted_value(taken)} to {quoted_value(given)}."
    if given == _TEXT_VECTOR:
        pipeline = attrs.evolve(
            pipeline, pooling=None, normalize=False, dimension=whole(call.settings.get("out_features"))
        )
    elif given == "token_embeddings" and pipeline.pooling == ():
        pipeline = attrs.evolve(pipeline, dimension=whole(call.settings.get("out_features")))
    return noted(pipeline, note)


def _activation(path: JSON, call: Call) -> str:
    """The class under its full name; Tanh where the one that is named is not trusted."""
    if not isinstance(path, str) or path in _IDENTITIES:
        return ""
    if call.sight.era.distrusts_activations and not path.startswith("torch."):
        return _TANH
    home, _, name = path.rpartition(".")
    return f"torch.nn.modules.activation.{name}" if home == "torch.nn" else path


def _step_normalize(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """Normalize gives the vector of the text length 1, unless its settings name another."""
    settings = normalize_settings(call.sight, call.place)
    taken = settings.get("module_input_name", _TEXT_VECTOR)
    given = settings.get("module_output_name") or taken
    if (taken, given) != (_TEXT_VECTOR, _TEXT_VECTOR):
        return noted(pipeline, f"A Normalize takes {quoted_value(taken)} to {quoted_value(given)}.")
    return attrs.evolve(pipeline, normalize=True) if pipeline.pooling != () else pipeline


def _step_layer_norm(pipeline: EmbeddingPipeline, _call: Call) -> EmbeddingPipeline:
    """LayerNorm gives the vector another length."""
    return attrs.evolve(pipeline, normalize=False)


def _step_static_embedding(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """`StaticEmbedding` is a mean over rows of a table, without special tokens, for texts of any length."""
    tensors = open_weights(call.sight, call.place).tensors
    table = tensors.get("embedding.weight") or tensors.get("embeddings")
    return attrs.evolve(
        pipeline,
        pooling=(PoolingMode.MEAN,),
        normalize=False,
        dimension=None if table is None else table.shape[-1],
        truncates=False,
        notes=(*pipeline.notes, "Texts of any length are taken whole, without special tokens."),
    )


def _step_words(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """`WordEmbeddings` has a row of a table for each word."""
    table = open_weights(call.sight, call.place).tensors.get("emb_layer.weight")
    reads_length = "max_seq_length" in call.place.type.optional
    asked = call.settings.get("max_seq_length") if reads_length else None
    if asked is not None and not isinstance(asked, int):
        pipeline = failing(pipeline, f"texts cannot be cut at {quoted_value(asked)} words.")
    kept = int(asked) if isinstance(asked, int) and 0 <= asked < UNLIMITED else None
    return attrs.evolve(
        pipeline,
        pooling=(),
        max_seq_length=kept,
        truncates=None if kept is None else True,
        dimension=None if table is None else table.shape[-1],
        notes=(*pipeline.notes, "Texts are split by a tokenizer of words, which is not followed."),
    )


def _step_bag_of_words(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """`BoW` counts the words of its vocabulary where texts are split; later on it does nothing."""
    if pipeline.modules:
        return pipeline
    vocabulary = call.settings.get("vocab")
    n_words = len(vocabulary) if isinstance(vocabulary, tuple) else None
    after = attrs.evolve(pipeline, pooling=None, dimension=n_words, normalize=False)
    return noted(after, "The vector counts words, so that nothing is pooled.")


def _step_lstm(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """LSTM takes the vectors of tokens to others, which is too late once they are pooled."""
    if pipeline.pooling != ():
        return pipeline
    hidden = whole(call.settings.get("hidden_dim"))
    directions = 2 if call.settings.get("bidirectional", True) else 1
    return attrs.evolve(pipeline, dimension=None if hidden is None else hidden * directions)


def _step_cnn(pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    """CNN takes the vectors of tokens to others, as many components for each kernel size."""
    if pipeline.pooling != ():
        return pipeline
    channels = whole(call.settings.get("out_channels", 256))
    kernels = call.settings.get("kernel_sizes", (1, 3, 5))
    if channels is None or not isinstance(kernels, tuple):
        return attrs.evolve(pipeline, dimension=None)
    return attrs.evolve(pipeline, dimension=channels * len(kernels))


def _step_word_weights(pipeline: EmbeddingPipeline, _call: Call) -> EmbeddingPipeline:
    return noted(pipeline, "Tokens are weighted before they are pooled.")


def _step_unchanged(pipeline: EmbeddingPipeline, _call: Call) -> EmbeddingPipeline:
    """Dropout does nothing once a model is trained; layers are weighted without another width."""
    return pipeline


def _step_unfollowed(_pipeline: EmbeddingPipeline, call: Call) -> EmbeddingPipeline:
    return unknown(f"embaudit does not follow what a module {call.place.type.name} makes of a text.")


def unknown(reason: str) -> EmbeddingPipeline:
    """A pipeline of which nothing is known, and why."""
    return EmbeddingPipeline(
        pooling=None, normalize=None, max_seq_length=None, lowercase=None, dimension=None, notes=(reason,)
    )


_STEPS: dict[str, Step] = {
    "Transformer": _step_transformer,
    "Pooling": _step_pooling,
    "Dense": _step_dense,
    "Normalize": _step_normalize,
    "LayerNorm": _step_layer_norm,
    "StaticEmbedding": _step_static_embedding,
    "WordEmbeddings": _step_words,
    "WordWeights": _step_word_weights,
    "BoW": _step_bag_of_words,
    "LSTM": _step_lstm,
    "CNN": _step_cnn,
    "WeightedLayerPooling": _step_unchanged,
    "Dropout": _step_unchanged,
}
_WITHOUT_SETTINGS = {"Normalize", "StaticEmbedding"}


def run_step(pipeline: EmbeddingPipeline, sight: Sight, place: Place) -> EmbeddingPipeline:
    """The pipeline after one module that is no Router.

    Raises:
        FormatError: If its settings are not as its class needs them.
        CannotTellError: If embaudit could not read them, or its weights.
    """
    step = _STEPS.get(place.type.name, _step_unfollowed)
    bare = place.by_default or place.type.name in _WITHOUT_SETTINGS or step is _step_unfollowed
    settings = FrozenMapping[JSON]() if bare else read_settings(sight, place, may_lack=True)
    after = step(pipeline, Call(sight=sight, place=place, settings=settings))
    return attrs.evolve(after, modules=(*pipeline.modules, place.type.name))


def pool_by_default(pipeline: EmbeddingPipeline, sight: Sight, place: Place) -> EmbeddingPipeline:
    """The pipeline of a repository that lists no modules: the mean, or the last token of a causal model."""
    config = Call(sight=sight, place=place, settings=FrozenMapping()).config
    is_causal = sight.era.last_token_if_causal and _is_causal(config)
    mode = PoolingMode.LAST_TOKEN if is_causal else PoolingMode.MEAN
    return attrs.evolve(pipeline, pooling=(mode,), modules=(*pipeline.modules, "Pooling"))


def _is_causal(config: Mapping[str, JSON]) -> bool:
    """Whether the first architecture is a causal language model that is not told to look both ways."""
    named = config.get("architectures")
    first = named[0] if isinstance(named, tuple) and named else ""
    return isinstance(first, str) and first.endswith("ForCausalLM") and bool(config.get("is_causal", True))
