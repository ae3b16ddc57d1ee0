"""The module classes of sentence-transformers: what each takes from its folder, and the paths it is named by.

Knows the classes that a dense embedding model is made of, in 2.0 to 6.2. Refuses to know those of sparse,
late-interaction and reranking models, and classes of other packages.
"""

import enum
from collections.abc import Iterable, Mapping

import attrs

from embaudit.loaders.sentence_transformers.judging import (
    Judge,
    judge_dense_2,
    judge_dense_5_4,
    judge_dense_5_4_1,
    judge_nothing,
    judge_pooling_2,
    judge_pooling_2_3,
    judge_pooling_5_4,
)
from embaudit.loaders.sentence_transformers.module_files import (
    Settings,
    TensorsOf,
    cnn_tensors,
    dense_tensors,
    layer_norm_tensors,
    lstm_tensors,
    no_tensors,
    weighted_layer_tensors,
)
from embaudit.model.frozen import FrozenMapping, frozen_mapping


class Takes(str, enum.Enum):
    """What a module takes from its folder."""

    TRANSFORMER = "transformer"
    """What transformers takes."""
    STATE = "state"
    """A state dict that must have exactly its tensors; settings alone where it has none."""
    NOTHING = "nothing"
    """No file at all."""
    STATIC_TABLE = "static-table"
    """One table of embeddings of any size, and a tokenizer."""
    WORD_TABLE = "word-table"
    """One table of embeddings of any size, and a word tokenizer."""
    ROUTES = "routes"
    """Other modules, in folders of its own."""
    UNFOLLOWED = "unfollowed"
    """Something that embaudit does not follow."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class ModuleType:
    """One class of modules, as one era has it.

    Attributes:
        name: The class.
        takes: What it takes from its folder.
        settings: Names of its settings file; the first that exists is taken.
        required: Arguments that the settings must have.
        optional: Arguments that the settings may have; any other is an error.
        renamed: Former name of an argument to its name now, where both are understood.
        drops_unknown: Whether arguments that it does not know are dropped instead of refused.
        judge: What the values of its settings mean for the load.
        tensors: What its state dict must hold, from its arguments.
    """

    name: str
    takes: Takes = Takes.STATE
    settings: tuple[str, ...] = ("config.json",)
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    renamed: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    drops_unknown: bool = False
    judge: Judge = judge_nothing
    tensors: TensorsOf = no_tensors

    def arguments(self, settings: Settings) -> Settings:
        """The settings under the argument names that the class has now."""
        named = {old: new for old, new in self.renamed.items() if new not in settings}
        return FrozenMapping({named.get(key, key): value for key, value in settings.items()})


TRANSFORMER_SETTINGS = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_TRANSFORMER_ARGUMENTS = (
    "max_seq_length",
    "model_args",
    "cache_dir",
    "tokenizer_args",
    "do_lower_case",
    "tokenizer_name_or_path",
)
_POOLING_MODES = (
    "pooling_mode",
    "pooling_mode_cls_token",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
)

TRANSFORMER_2 = ModuleType(
    name="Transformer",
    takes=Takes.TRANSFORMER,
    settings=TRANSFORMER_SETTINGS,
    optional=_TRANSFORMER_ARGUMENTS,
)
TRANSFORMER_3 = attrs.evolve(TRANSFORMER_2, optional=(*_TRANSFORMER_ARGUMENTS, "config_args"))
TRANSFORMER_3_2 = attrs.evolve(TRANSFORMER_3, optional=(*TRANSFORMER_3.optional, "backend"))
TRANSFORMER_5_4 = attrs.evolve(
    TRANSFORMER_3_2,
    optional=(
        *TRANSFORMER_3_2.optional,
        "transformer_task",
        "model_kwargs",
        "processor_kwargs",
        "config_kwargs",
        "processing_kwargs",
        "modality_config",
        "module_output_name",
        "unpad_inputs",
    ),
)
TRANSFORMER_6 = attrs.evolve(
    TRANSFORMER_5_4,
    optional=(*TRANSFORMER_5_4.optional, "query_length", "document_length", "query_expansion"),
)

POOLING_2 = ModuleType(
    name="Pooling",
    required=("word_embedding_dimension",),
    optional=_POOLING_MODES,
    judge=judge_pooling_2,
)
POOLING_2_3 = attrs.evolve(
    POOLING_2,
    optional=(*_POOLING_MODES, "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"),
    judge=judge_pooling_2_3,
)
POOLING_2_4 = attrs.evolve(POOLING_2_3, optional=(*POOLING_2_3.optional, "include_prompt"))
POOLING_5_4 = attrs.evolve(
    POOLING_2_4,
    required=("embedding_dimension",),
    renamed={"word_embedding_dimension": "embedding_dimension"},
    judge=judge_pooling_5_4,
)

DENSE_2 = ModuleType(
    name="Dense",
    required=("in_features", "out_features", "activation_function"),
    optional=("bias",),
    judge=judge_dense_2,
    tensors=dense_tensors,
)
DENSE_5_4 = attrs.evolve(
    DENSE_2,
    required=("in_features", "out_features"),
    optional=("bias", "activation_function", "module_input_name", "module_output_name"),
    judge=judge_dense_5_4,
)
DENSE_5_4_1 = attrs.evolve(DENSE_5_4, judge=judge_dense_5_4_1)
DENSE_6 = attrs.evolve(DENSE_5_4_1, optional=(*DENSE_5_4.optional, "use_residual"), drops_unknown=True)

LAYER_NORM = ModuleType(name="LayerNorm", required=("dimension",), tensors=layer_norm_tensors)
LSTM_2 = ModuleType(
    name="LSTM",
    settings=("lstm_config.json",),
    required=("word_embedding_dimension", "hidden_dim"),
    optional=("num_layers", "dropout", "bidirectional"),
    tensors=lstm_tensors,
)
CNN_2 = ModuleType(
    name="CNN",
    settings=("cnn_config.json",),
    required=("in_word_embedding_dimension",),
    optional=("out_channels", "kernel_sizes", "stride_sizes"),
    tensors=cnn_tensors,
)
WEIGHTED_LAYER_POOLING_2 = ModuleType(
    name="WeightedLayerPooling",
    required=("word_embedding_dimension",),
    optional=("num_hidden_layers", "layer_start", "layer_weights"),
    tensors=weighted_layer_tensors,
)
LSTM_5_4 = attrs.evolve(
    LSTM_2,
    required=("embedding_dimension", "hidden_dim"),
    renamed={"word_embedding_dimension": "embedding_dimension"},
)
CNN_5_4 = attrs.evolve(
    CNN_2,
    required=("in_embedding_dimension",),
    renamed={"in_word_embedding_dimension": "in_embedding_dimension"},
)
WEIGHTED_LAYER_POOLING_5_4 = attrs.evolve(
    WEIGHTED_LAYER_POOLING_2,
    required=("embedding_dimension",),
    renamed={"word_embedding_dimension": "embedding_dimension"},
)
WORD_EMBEDDINGS_2 = ModuleType(
    name="WordEmbeddings",
    takes=Takes.WORD_TABLE,
    settings=("wordembedding_config.json",),
    required=("tokenizer_class", "update_embeddings"),
    drops_unknown=True,
)
WORD_EMBEDDINGS_5 = attrs.evolve(
    WORD_EMBEDDINGS_2,
    required=("tokenizer_class",),
    optional=("update_embeddings", "max_seq_length"),
    drops_unknown=False,
)
WORD_WEIGHTS = ModuleType(
    name="WordWeights", required=("vocab", "word_weights"), optional=("unknown_word_weight",)
)
BOW = ModuleType(
    name="BoW",
    required=("vocab",),
    optional=("word_weights", "unknown_word_weight", "cumulative_term_frequency"),
)
DROPOUT = ModuleType(name="Dropout", optional=("dropout",))
NORMALIZE = ModuleType(name="Normalize", takes=Takes.NOTHING)
STATIC_EMBEDDING = ModuleType(name="StaticEmbedding", takes=Takes.STATIC_TABLE)
CLIP = ModuleType(name="CLIPModel", takes=Takes.UNFOLLOWED)
T5_2 = ModuleType(name="T5", takes=Takes.UNFOLLOWED)
ASYM = ModuleType(name="Asym", takes=Takes.ROUTES)
ROUTER = ModuleType(name="Router", takes=Takes.ROUTES, settings=("router_config.json", "config.json"))
ROUTER_AS_ASYM = attrs.evolve(ROUTER, name="Asym")


def by_former_paths(types: Iterable[ModuleType]) -> dict[str, ModuleType]:
    """Every path that names these classes up to 5.3: modules of `sentence_transformers.models`.

    The path of the python module, which is what was written, and that of the class both work.
    """
    known = list(types)
    paths = {f"sentence_transformers.models.{kind.name}": kind for kind in known}
    return paths | {f"sentence_transformers.models.{kind.name}.{kind.name}": kind for kind in known}


_BASE = "sentence_transformers.base.modules"
_DENSE = "sentence_transformers.sentence_transformer.modules"
_IN_BASE = ("Asym", "Dense", "Router", "Transformer")
_FILES = {
    "Asym": "router",
    "BoW": "bow",
    "CLIPModel": "clip_model",
    "CNN": "cnn",
    "LSTM": "lstm",
    "LayerNorm": "layer_norm",
    "StaticEmbedding": "static_embedding",
    "WeightedLayerPooling": "weighted_layer_pooling",
    "WordEmbeddings": "word_embeddings",
    "WordWeights": "word_weights",
}
"""Names of python modules from 5.4 on, where they are not the class's name in small letters."""


def by_paths(types: Iterable[ModuleType]) -> dict[str, ModuleType]:
    """Every path that names these classes from 5.4 on: the new ones, and the former ones by aliases."""
    known = list(types)
    paths = by_former_paths(known)
    for kind in known:
        home = _BASE if kind.name in _IN_BASE else _DENSE
        paths[f"{home}.{_file(kind)}.{kind.name}"] = kind
        # Both packages export the classes they hold, and the second one those of the first; not `Asym` both.
        paths[f"{_DENSE}.{kind.name}"] = kind
        if kind.name in _IN_BASE and kind.name != "Asym":
            paths[f"{_BASE}.{kind.name}"] = kind
    return paths


def by_paths_6(types: Iterable[ModuleType]) -> dict[str, ModuleType]:
    """Every path that names these classes from 6.0 on, when Normalize moved; its former paths are aliases."""
    known = list(types)
    moved = (kind for kind in known if kind.name == "Normalize")
    new = {
        path: kind
        for kind in moved
        for path in (f"{_BASE}.{kind.name}", f"{_BASE}.{_file(kind)}.{kind.name}")
    }
    return by_paths(known) | new


def _file(kind: ModuleType) -> str:
    return _FILES.get(kind.name, kind.name.lower())
