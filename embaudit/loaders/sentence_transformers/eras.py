"""The version eras of sentence-transformers: what changed in how it finds, makes and fills its modules.

Read in the source of all 47 releases from 2.0.0 to 6.2.0. Each era is written as what it changes of the one
before it.
"""

import enum
from collections.abc import Mapping

import attrs
from packaging.specifiers import SpecifierSet

from embaudit.loaders.base import Era
from embaudit.loaders.sentence_transformers import modules as m
from embaudit.loaders.sentence_transformers.modules import ModuleType
from embaudit.model.frozen import frozen_mapping

RELEASES = tuple(
    f"{series}.{patch}"
    for series, patches in (
        *(
            ("2.0", "0"),
            ("2.1", "0"),
            ("2.2", "012"),
            ("2.3", "01"),
            ("2.4", "0"),
            ("2.5", "01"),
            ("2.6", "01"),
        ),
        *(("2.7", "0"), ("3.0", "01"), ("3.1", "01"), ("3.2", "01"), ("3.3", "01"), ("3.4", "01")),
        *(("4.0", "012"), ("4.1", "0"), ("5.0", "0"), ("5.1", "012"), ("5.2", "0123"), ("5.3", "0")),
        *(
            ("5.4", "01"),
            ("5.5", "01"),
            ("5.6", "01"),
            ("5.7", "0"),
            ("6.0", "01"),
            ("6.1", "0"),
            ("6.2", "0"),
        ),
    )
    for patch in patches
)
"""Every release on PyPI from 2.0.0 on."""


class NeedsSettings(str, enum.Enum):
    """Where a Transformer module must have its `sentence_bert_config.json` or one of that kind."""

    EVERYWHERE = "everywhere"
    IN_FOLDERS = "in-folders"
    """Not in the root."""
    NOWHERE = "nowhere"

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class SentenceTransformersEra(Era):
    """How some versions of sentence-transformers load a model.

    Attributes:
        transformers: The versions of transformers that the package's metadata ask for.
        classes: Path in `modules.json` to the class that it names.
        weight_files: Names of a module's weight files, the preferred one first.
        tensors_only: Whether torch files of modules are read without running what they hold.
        needs_settings: Where a Transformer must have a settings file.
        passes_over_empty: Whether an empty settings file of a Transformer, an array too, counts as absent.
        settings_may_lack: Whether other modules are made from their defaults where theirs is absent.
        passes_model_arguments: Whether `model_args` of the settings reach the model.
        takes_trust_out: Whether `model_args` of a Transformer in a folder must have the `trust_remote_code`
            that is taken out of them.
        encoder_only: `model_type`s of which only the encoder is loaded.
        finds_adapters: Whether an `adapter_config.json` is looked for before transformers does.
        runs_repository_code: Whether a class that is not the package's own may come from the repository,
            not only from an installed package.
        converts: Whether a repository of another `model_type` is loaded by default modules instead.
        default_prompts: Names of prompts that are there without being declared, or None if a default prompt
            is not checked.
        looks_through_prompts: Whether every model looks through `prompts`, so that an empty value which is no
            object is an error as well, and so is a default prompt that is a number.
        measures_null_prompts: Whether a default prompt that is null is an error too.
        refuses_similarities: Whether a function of similarity that it does not have is an error.
        requirements: Whether `requirements` of the repository are held against what is installed.
        refuses_no_modules: Whether an empty `modules.json` is an error.
        model2vec_names: Whether `StaticEmbedding` takes model2vec's name for the table.
        folds_vocabulary: Whether it also takes model2vec's mapping and token weights.
        flags_stand_alone: Whether flags of Pooling that are absent are not set; before, that of the mean was.
        tokenizer_has_length: Whether texts end where the tokenizer is told that they end.
        last_token_if_causal: Whether a causal model without `modules.json` is pooled by its last token.
        distrusts_activations: Whether activations that are not torch's are replaced by Tanh.
        normalize_needs_vector: Whether encoding fails at a Normalize before there is the vector of a text.
        normalize_takes_settings: Whether Normalize has settings.
        reads_truncate_dim: Whether the repository can say how many components are kept.
    """

    transformers: SpecifierSet
    classes: Mapping[str, ModuleType] = attrs.field(converter=frozen_mapping)
    weight_files: tuple[str, ...] = ("pytorch_model.bin",)
    tensors_only: bool = False
    needs_settings: NeedsSettings = NeedsSettings.EVERYWHERE
    passes_over_empty: bool = False
    settings_may_lack: bool = False
    passes_model_arguments: bool = False
    takes_trust_out: bool = False
    encoder_only: tuple[str, ...] = ()
    finds_adapters: bool = False
    runs_repository_code: bool = False
    converts: bool = False
    default_prompts: tuple[str, ...] | None = None
    looks_through_prompts: bool = False
    measures_null_prompts: bool = False
    refuses_similarities: bool = False
    requirements: bool = False
    refuses_no_modules: bool = False
    model2vec_names: bool = False
    folds_vocabulary: bool = False
    flags_stand_alone: bool = False
    tokenizer_has_length: bool = False
    last_token_if_causal: bool = False
    distrusts_activations: bool = False
    normalize_needs_vector: bool = True
    normalize_takes_settings: bool = False
    reads_truncate_dim: bool = False


_SOURCE = "https://github.com/huggingface/sentence-transformers/blob/v{}/sentence_transformers/{}"


def _sources(version: str, *paths: str) -> tuple[str, ...]:
    return tuple(_SOURCE.format(version, path) for path in paths)


_TYPES_2 = (
    m.TRANSFORMER_2,
    m.POOLING_2,
    m.DENSE_2,
    m.LAYER_NORM,
    m.LSTM_2,
    m.CNN_2,
    m.WEIGHTED_LAYER_POOLING_2,
    m.WORD_EMBEDDINGS_2,
    m.WORD_WEIGHTS,
    m.BOW,
    m.DROPOUT,
    m.NORMALIZE,
    m.CLIP,
    m.ASYM,
)


def _with(types: tuple[ModuleType, ...], *changed: ModuleType) -> tuple[ModuleType, ...]:
    """The classes, with some of them changed or new."""
    named = {kind.name: kind for kind in types} | {kind.name: kind for kind in changed}
    return tuple(named.values())


_TYPES_2_3 = _with(_TYPES_2, m.POOLING_2_3)
_TYPES_2_4 = _with(_TYPES_2_3, m.POOLING_2_4)
_TYPES_3 = _with(_TYPES_2_4, m.TRANSFORMER_3)
_TYPES_3_2 = _with(_TYPES_3, m.TRANSFORMER_3_2, m.STATIC_EMBEDDING)
_TYPES_5 = _with(_TYPES_3_2, m.ROUTER, m.ROUTER_AS_ASYM, m.WORD_EMBEDDINGS_5)
_TYPES_5_4 = _with(
    _TYPES_5,
    m.TRANSFORMER_5_4,
    m.POOLING_5_4,
    m.DENSE_5_4,
    m.LSTM_5_4,
    m.CNN_5_4,
    m.WEIGHTED_LAYER_POOLING_5_4,
)
_TYPES_5_4_1 = _with(_TYPES_5_4, m.DENSE_5_4_1)
_TYPES_6 = _with(_TYPES_5_4_1, m.TRANSFORMER_6, m.DENSE_6)

_2_0 = SentenceTransformersEra(
    versions="<2.2",
    transformers=SpecifierSet(">=4.6.0,<5.0.0"),
    classes=m.by_former_paths((*_TYPES_2, m.T5_2)),
    sources=_sources("2.0.0", "SentenceTransformer.py", "models/Transformer.py", "models/Dense.py"),
)
_2_2 = attrs.evolve(
    _2_0,
    versions=">=2.2,<2.3",
    classes=m.by_former_paths(_TYPES_2),
    encoder_only=("t5",),
    sources=_sources("2.2.2", "SentenceTransformer.py", "models/Transformer.py", "models/Dense.py"),
)
_2_3 = attrs.evolve(
    _2_2,
    versions=">=2.3,<2.4",
    transformers=SpecifierSet(">=4.32.0,<5.0.0"),
    classes=m.by_former_paths(_TYPES_2_3),
    encoder_only=("t5", "mt5"),
    needs_settings=NeedsSettings.IN_FOLDERS,
    passes_model_arguments=True,
    takes_trust_out=True,
    sources=_sources("2.3.1", "SentenceTransformer.py", "models/Transformer.py", "models/Pooling.py"),
)
_2_4 = attrs.evolve(
    _2_3,
    versions=">=2.4,<2.7",
    classes=m.by_former_paths(_TYPES_2_4),
    default_prompts=(),
    sources=_sources("2.4.0", "SentenceTransformer.py", "models/Pooling.py"),
)
_2_7 = attrs.evolve(
    _2_4,
    versions=">=2.7,<3",
    transformers=SpecifierSet(">=4.34.0,<5.0.0"),
    sources=_sources("2.7.0", "SentenceTransformer.py", "models/Transformer.py"),
)
_3_0 = attrs.evolve(
    _2_7,
    versions=">=3,<3.0.1",
    takes_trust_out=False,
    refuses_similarities=True,
    classes=m.by_former_paths(_TYPES_3),
    sources=_sources("3.0.0", "SentenceTransformer.py", "models/Transformer.py", "models/Dense.py"),
)
_3_0_1 = attrs.evolve(
    _3_0,
    versions=">=3.0.1,<3.1",
    weight_files=("model.safetensors", "pytorch_model.bin"),
    sources=_sources("3.0.1", "SentenceTransformer.py", "models/Dense.py"),
)
_3_1 = attrs.evolve(
    _3_0_1,
    versions=">=3.1,<3.2",
    transformers=SpecifierSet(">=4.38.0,<5.0.0"),
    tensors_only=True,
    runs_repository_code=True,
    sources=_sources("3.1.0", "SentenceTransformer.py", "models/Dense.py"),
)
_3_2 = attrs.evolve(
    _3_1,
    versions=">=3.2,<3.3",
    transformers=SpecifierSet(">=4.41.0,<5.0.0"),
    classes=m.by_former_paths(_TYPES_3_2),
    sources=_sources("3.2.0", "SentenceTransformer.py", "models/StaticEmbedding.py"),
)
_3_3 = attrs.evolve(
    _3_2,
    versions=">=3.3,<3.4.1",
    finds_adapters=True,
    sources=_sources("3.3.0", "SentenceTransformer.py", "models/Transformer.py"),
)
_3_4_1 = attrs.evolve(
    _3_3,
    versions=">=3.4.1,<5",
    model2vec_names=True,
    sources=_sources("3.4.1", "SentenceTransformer.py", "models/StaticEmbedding.py"),
)
_5_0 = attrs.evolve(
    _3_4_1,
    versions=">=5,<5.2",
    classes=m.by_former_paths(_TYPES_5),
    needs_settings=NeedsSettings.NOWHERE,
    passes_over_empty=True,
    settings_may_lack=True,
    converts=True,
    default_prompts=("query", "document"),
    looks_through_prompts=True,
    measures_null_prompts=True,
    sources=_sources("5.0.0", "SentenceTransformer.py", "models/Module.py", "models/Router.py"),
)
_5_2 = attrs.evolve(
    _5_0,
    versions=">=5.2,<5.4",
    transformers=SpecifierSet(">=4.41.0,<6.0.0"),
    sources=_sources("5.3.0", "SentenceTransformer.py", "models/Module.py", "models/Router.py"),
)
_NEW_PLACES = ("base/model.py", "base/modules/module.py", "util/deprecated_import.py")
_5_4 = attrs.evolve(
    _5_2,
    versions=">=5.4,<5.4.1",
    classes=m.by_paths(_TYPES_5_4),
    measures_null_prompts=False,
    refuses_no_modules=True,
    flags_stand_alone=True,
    tokenizer_has_length=True,
    last_token_if_causal=True,
    reads_truncate_dim=True,
    normalize_needs_vector=False,
    sources=_sources("5.4.0", *_NEW_PLACES),
)
_5_4_1 = attrs.evolve(
    _5_4,
    versions=">=5.4.1,<6",
    classes=m.by_paths(_TYPES_5_4_1),
    distrusts_activations=True,
    sources=_sources("5.4.1", *_NEW_PLACES, "base/modules/dense.py"),
)
_6_0 = attrs.evolve(
    _5_4_1,
    versions=">=6,<6.2",
    transformers=SpecifierSet(">=5.0.0,<6.0.0"),
    classes=m.by_paths_6(_TYPES_6),
    refuses_similarities=False,
    requirements=True,
    normalize_takes_settings=True,
    sources=_sources("6.0.0", *_NEW_PLACES, "util/misc.py", "util/environment.py"),
)
_6_2 = attrs.evolve(
    _6_0,
    versions=">=6.2",
    folds_vocabulary=True,
    sources=_sources("6.2.0", *_NEW_PLACES, "sentence_transformer/modules/static_embedding.py"),
)

ERAS = (
    _2_0,
    _2_2,
    _2_3,
    _2_4,
    _2_7,
    _3_0,
    _3_0_1,
    _3_1,
    _3_2,
    _3_3,
    _3_4_1,
    _5_0,
    _5_2,
    _5_4,
    _5_4_1,
    _6_0,
    _6_2,
)
"""Oldest first."""
