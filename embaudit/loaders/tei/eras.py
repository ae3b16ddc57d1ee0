"""The eras of text-embeddings-inference: with what its versions read, which files, and which models.

Which candle a version stands on is read from `Cargo.lock` at its tag. What each row says of candle is
described in `embaudit.loaders.candle_reading`.
"""

import enum

import attrs

from embaudit.loaders.base import Era
from embaudit.loaders.candle import BYTES_READER, FIXED_READER
from embaudit.loaders.candle_reading import CandleReader, Offsets
from embaudit.loaders.serde import Fields
from embaudit.loaders.tei import catalogue, configs
from embaudit.loaders.tei.models import TeiModel


class Engine(str, enum.Enum):
    """What computes in an image."""

    CANDLE = "candle"
    ONNX_RUNTIME = "onnxruntime"


class DenseModules(str, enum.Enum):
    """Which Dense modules of sentence-transformers are applied after pooling."""

    NONE = "none"
    IN_2_DENSE = "2_Dense"
    """The one in the folder `2_Dense`, whatever modules.json says."""
    LISTED_BY_NAME = "listed, by name"
    """Those of modules.json, if the model is served by its name."""
    LISTED = "listed"
    """Those of modules.json."""


class PoolingFile(str, enum.Enum):
    """What the pooling file has to have, where `--pooling` is not given."""

    FOUR_MODES = "four modes"
    """The modes cls, mean, max and mean_sqrt_len."""
    TWO_MODES = "two modes"
    """The modes cls and mean."""
    NONE_FOR_BERT = "none for BERT"
    """As before; without the file, models whose type has `bert` in it are pooled by cls."""


@attrs.frozen(kw_only=True)
class TeiEra(Era):
    """A range of versions of text-embeddings-inference.

    Attributes:
        candle: Its reader of torch files.
        cpu: What computes in the CPU images, what is tried first first.
        cpu_dtype: What those compute in, with candle.
        torch: Whether it knows `pytorch_model.bin`.
        shards: Whether it knows sharded safetensors.
        models: The models that it knows; of those that a configuration may mean, the first counts.
        activations: The names of activations that it knows.
        pooling: What the pooling file has to have.
        router: What the router asks of `config.json`.
        classifiers: Whether one of its `architectures` may make the model a classifier.
        labelled_gte: Whether a `NewForTokenClassification` without labels is taken for no classifier.
        length_file: Whether it reads `max_seq_length` from `sentence_bert_config.json` and its kin.
        prompts_file: Whether it reads prompts from `config_sentence_transformers.json`.
        dense: Which Dense modules it applies.
        truncates: Whether `--auto-truncate` is on if it is not given: long texts are cut, not refused.
        doubtful_nulls: Fields of `config.json` of which it is not known whether the router takes null.
    """

    candle: CandleReader
    cpu: tuple[Engine, ...] = (Engine.CANDLE,)
    cpu_dtype: str = "float32"
    torch: bool = True
    shards: bool = True
    models: tuple[TeiModel, ...]
    activations: tuple[str, ...]
    pooling: PoolingFile
    router: Fields = configs.ROUTER_CONFIG
    classifiers: bool = True
    labelled_gte: bool = True
    length_file: bool = True
    prompts_file: bool = True
    dense: DenseModules = DenseModules.NONE
    truncates: bool = False
    doubtful_nulls: tuple[str, ...] = ()


RELEASES = (
    *("0.1.0", "0.2.0", "0.2.1", "0.2.2", "0.3.0", "0.4.0", "0.5.0", "0.6.0"),
    *("1.0.0", "1.1.0", "1.2.0", "1.2.1", "1.2.2", "1.2.3", "1.3.0", "1.4.0", "1.5.0", "1.5.1"),
    *("1.6.0", "1.6.1", "1.7.0", "1.7.1", "1.7.2", "1.7.3", "1.7.4"),
    *("1.8.0", "1.8.1", "1.8.2", "1.8.3", "1.9.0", "1.9.1", "1.9.2", "1.9.3"),
)
"""Every release: https://github.com/huggingface/text-embeddings-inference/tags."""

_REPOSITORY = "https://github.com/huggingface/text-embeddings-inference"


def _sources(tag: str, *pulls: int) -> tuple[str, ...]:
    """The sources at a tag, and the pull requests that made the difference."""
    return (f"{_REPOSITORY}/tree/v{tag}", *(f"{_REPOSITORY}/pull/{pull}" for pull in pulls))


_FIRST_READER = attrs.evolve(
    BYTES_READER,
    offsets=Offsets.REFUSED,
    parameters=False,
    subclasses=False,
    column_order=False,
    any_stride_of_one=False,
    int64_storages=False,
)
"""https://github.com/huggingface/candle/tree/122da875 (2023-10-16)."""
_FORKED_READER = attrs.evolve(_FIRST_READER, int64_storages=True)
"""A fork at 9f2b4081 (2023-10-27), taken to have what candle had that week."""
_STRICT_BYTES_READER = attrs.evolve(BYTES_READER, any_stride_of_one=False)
"""A fork at 14a716f55 (2024-02-22) and 33b7ecf9 (2024-04-09)."""
_BYTES_READER = BYTES_READER
"""A fork at 7e02ad85 (about 2024-07-09), taken to have what candle had that week."""
_FIXED_READER = FIXED_READER
"""https://github.com/huggingface/candle/tree/ec6d7ca77 (2025-03-29) and 63810239 (2025-04-15). Both call
themselves 0.8.4, whose release has the fault that they have no more."""

_V0_1 = TeiEra(
    versions=">=0.1.0,<0.2",
    sources=_sources("0.1.0"),
    candle=_FIRST_READER,
    cpu_dtype="float16",
    torch=False,
    shards=False,
    models=catalogue.SINCE_0_1,
    activations=configs.OLD_ACTIVATIONS,
    pooling=PoolingFile.FOUR_MODES,
    router=configs.OLD_ROUTER_CONFIG,
    classifiers=False,
    labelled_gte=False,
    length_file=False,
    prompts_file=False,
)
_V0_2 = attrs.evolve(
    _V0_1, versions=">=0.2.0,<0.3", sources=_sources("0.2.0", 12), cpu_dtype="float32", torch=True
)
_V0_3 = attrs.evolve(
    _V0_2,
    versions=">=0.3.0,<0.4",
    sources=_sources("0.3.0"),
    candle=_FORKED_READER,
    models=catalogue.SINCE_0_3,
    length_file=True,
)
_V0_4 = attrs.evolve(
    _V0_3,
    versions=">=0.4.0,<1",
    sources=_sources("0.4.0", 70),
    models=catalogue.SINCE_0_4,
    router=configs.ROUTER_CONFIG,
    classifiers=True,
)
_V1_0 = attrs.evolve(
    _V0_4,
    versions=">=1.0.0,<1.1",
    sources=_sources("1.0.0", 166),
    candle=_STRICT_BYTES_READER,
    models=catalogue.SINCE_1_0,
    activations=configs.SWIGLU_ACTIVATIONS,
)
_V1_1 = attrs.evolve(_V1_0, versions=">=1.1.0,<1.3", sources=_sources("1.1.0"), models=catalogue.SINCE_1_1)
_V1_3 = attrs.evolve(
    _V1_1,
    versions=">=1.3.0,<1.4",
    sources=_sources("1.3.0"),
    shards=True,
    models=catalogue.SINCE_1_3,
    activations=configs.SILU_ACTIVATIONS,
    pooling=PoolingFile.TWO_MODES,
    prompts_file=True,
)
_V1_4 = attrs.evolve(_V1_3, versions=">=1.4.0,<1.5", sources=_sources("1.4.0"), models=catalogue.SINCE_1_4)
_V1_5_0 = attrs.evolve(
    _V1_4,
    versions=">=1.5.0,<1.5.1",
    sources=_sources("1.5.0", 335),
    candle=_BYTES_READER,
    cpu=(Engine.ONNX_RUNTIME,),
)
_V1_5_1 = attrs.evolve(
    _V1_5_0,
    versions=">=1.5.1,<1.6",
    sources=_sources("1.5.1", 426),
    pooling=PoolingFile.NONE_FOR_BERT,
)
_V1_6_0 = attrs.evolve(
    _V1_5_1,
    versions=">=1.6.0,<1.6.1",
    sources=_sources("1.6.0"),
    cpu=(Engine.ONNX_RUNTIME, Engine.CANDLE),
    models=catalogue.SINCE_1_6_0,
)
_V1_6_1 = attrs.evolve(
    _V1_6_0,
    versions=">=1.6.1,<1.7",
    sources=_sources("1.6.1", 538),
    models=catalogue.SINCE_1_6_1,
    labelled_gte=True,
)
_V1_7_0 = attrs.evolve(
    _V1_6_1,
    versions=">=1.7.0,<1.7.1",
    sources=_sources("1.7.0", 459, 546, 559),
    candle=_FIXED_READER,
    models=catalogue.SINCE_1_7_0,
)
_V1_7_1 = attrs.evolve(
    _V1_7_0,
    versions=">=1.7.1,<1.7.2",
    sources=_sources("1.7.1", 596, 614),
    models=catalogue.SINCE_1_7_1,
)
_V1_7_2 = attrs.evolve(
    _V1_7_1, versions=">=1.7.2,<1.8", sources=_sources("1.7.2"), models=catalogue.SINCE_1_7_2
)
_V1_8_0 = attrs.evolve(
    _V1_7_2, versions=">=1.8.0,<1.8.1", sources=_sources("1.8.0", 660), dense=DenseModules.IN_2_DENSE
)
_V1_8_1 = attrs.evolve(
    _V1_8_0,
    versions=">=1.8.1,<1.8.3",
    sources=_sources("1.8.1", 701, 711),
    models=catalogue.SINCE_1_8_1,
    activations=configs.GEMMA_ACTIVATIONS,
    dense=DenseModules.LISTED_BY_NAME,
)
_V1_8_3 = attrs.evolve(
    _V1_8_1, versions=">=1.8.3,<1.9", sources=_sources("1.8.3", 738), dense=DenseModules.LISTED
)
_V1_9_0 = attrs.evolve(
    _V1_8_3,
    versions=">=1.9.0,<1.9.2",
    sources=_sources("1.9.0", 753, 829),
    truncates=True,
    models=catalogue.SINCE_1_9_0,
    activations=configs.ACTIVATIONS,
    router=configs.MAPPED_ROUTER_CONFIG,
    doubtful_nulls=("pad_token_id",),
)
_V1_9_2 = attrs.evolve(
    _V1_9_0, versions=">=1.9.2", sources=_sources("1.9.3", 832), models=catalogue.SINCE_1_9_2
)

ERAS = (
    *(_V0_1, _V0_2, _V0_3, _V0_4),
    *(_V1_0, _V1_1, _V1_3, _V1_4, _V1_5_0, _V1_5_1, _V1_6_0, _V1_6_1),
    *(_V1_7_0, _V1_7_1, _V1_7_2, _V1_8_0, _V1_8_1, _V1_8_3, _V1_9_0, _V1_9_2),
)
"""Oldest first."""
