"""What differs between releases of transformers when it loads a model: one row an era, made of changes.

An era is a value; what it means for one repository is worked out in the other modules of this package. Each
change was found by comparing the wheels of neighbouring releases, and names the file that shows it.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from packaging.version import Version

from embaudit.loaders.base import Era
from embaudit.loaders.transformers.conversions import (
    ALL_AT_ONCE,
    FIRST_ONLY,
    WHOLE_WORDS,
    ConversionStyle,
)
from embaudit.loaders.transformers.matching import Matching, MatchingTask
from embaudit.loaders.transformers.names_4 import (
    anywhere,
    anywhere_with_weight_norm,
    at_the_end,
    match_by_model_names,
    match_by_stored_names,
)
from embaudit.loaders.transformers.names_5 import match_key_by_key
from embaudit.model.frozen import FrozenMapping, frozen_mapping


class FormatMetadata(str, enum.Enum):
    """What becomes of a safetensors file by the `format` of its metadata."""

    TORCH = "torch"
    """It is read as torch's."""
    FOREIGN = "foreign"
    """It goes to the loader of the other framework, which has to be installed."""
    REFUSED = "refused"


class NamedWeights(str, enum.Enum):
    """What becomes of `transformers_weights` in `config.json`, a file to load instead of the usual one."""

    IGNORED = "ignored"
    TAKEN = "taken"
    CONTAINED = "contained"
    """It is taken if it lies inside the folder of the model."""


class Adapters(str, enum.Enum):
    """What `adapter_config.json` does where peft is installed."""

    IGNORED = "ignored"
    REDIRECT = "redirect"
    """The base model that it names is loaded, not the weights beside it."""
    ON_TOP = "on-top"
    """The adapter is put on the model in the folder, if the folder holds one."""


class Silence(str, enum.Enum):
    """When a stored tensor that the model does not take is told on the default log level."""

    NEVER = "never silent"
    UNLESS_NAMED = "silent unless `architectures` names the class"


@attrs.frozen(kw_only=True)
class TransformersEra(Era):
    """Releases of transformers that load in the same way.

    Attributes:
        since: Its first release.
        until: The first release of the next era; None for the last one.
        match: How stored names meet the model's.
        fix_name: What becomes of every stored name first.
        conversions: How the tables of renamings of transformers 5 are applied.
        converts_remote_code: Whether those tables are applied to classes from a repository's own code.
        keeps_original_names: Whether a name that the model has is taken where its renamed form is unknown.
        drops_unexpected: Whether a tensor is not loaded under a name that is also reported as unexpected.
        reads_unlisted: Whether tensors of a shard that its index does not list are loaded too.
        fills_before_loading: Whether parameters hold values, random ones, before any are read. If not, what
            is neither read nor reported missing stays without values.
        reports_tied: Whether a missing tensor is reported though one that it is tied to is there.
        quiet_missing: Architecture to a regular expression of names that are not reported missing.
        stored_rotary: Architectures of which each layer stores an `inv_freq`.
        unread_fields: Fields that no class of transformers' own reads any more.
        unknown_fields: Architecture to fields of `config.json` that its class does not know yet.
        prefixes: Architecture to its class's `base_model_prefix`, where it is not today's.
        stored_buffers: Architecture to those of its buffers that belong to the stored tensors.
        drops_buffers: Whether stored buffers, which the model computes itself, go unreported.
        rotary: Architectures that leave stored frequencies of rotary positions unreported.
        rotary_names: Regular expression of those frequencies' names.
        drops_position_ids: Whether `position_ids` of a class that computes them go unreported anywhere.
        formats: `format` of a safetensors file's metadata to what becomes of it; an empty text stands for a
            file without metadata, `*` for every other.
        tensors_only: Whether pickles that hold more than tensors are refused whatever torch's default is.
        torch: The torch that reads `pytorch_model.bin`, as a specifier; empty for any.
        reads_to_meta: Whether weights are first read without their values.
        takes_empty_index: Whether an index that names no file is loaded, into random values.
        keeps_stored_types: Whether parameters keep the types that they are stored in, if that of the first is
            the model's.
        keeps_integers: Whether stored integers stay integers, which no parameter may be, and float8_e4m3fn
            stays what it is.
        named_weights: What becomes of `transformers_weights`.
        adapters: What an adapter does.
        silence: When a tensor that is left out is told.
        dtype_fields: The fields of `config.json` that may name a type, the one that counts first.
        follows_config_dtype: Whether the model has the type of `config.json` or the file, not float32.
        skips_float8: Whether the type of float8 tensors is passed over as the model's type.
        guesses_model_type: Whether it guesses the model from the path where `config.json` has no type.
    """

    since: Version
    until: Version | None = None
    match: Callable[[MatchingTask], Matching]
    fix_name: Callable[[str], str]
    conversions: ConversionStyle | None = None
    converts_remote_code: bool = False
    keeps_original_names: bool = False
    drops_unexpected: bool = False
    reads_unlisted: bool = True
    fills_before_loading: bool = True
    reports_tied: bool = False
    quiet_missing: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    stored_rotary: frozenset[str] = frozenset()
    unread_fields: frozenset[str] = frozenset()
    unknown_fields: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=FrozenMapping, converter=frozen_mapping
    )
    prefixes: Mapping[str, str] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    stored_buffers: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=FrozenMapping, converter=frozen_mapping
    )
    drops_buffers: bool = True
    rotary: frozenset[str] = frozenset()
    rotary_names: str = r"rotary_emb\.inv_freq"
    drops_position_ids: bool = False
    formats: Mapping[str, FormatMetadata] = attrs.field(factory=FrozenMapping, converter=frozen_mapping)
    tensors_only: bool = True
    torch: str = ""
    reads_to_meta: bool = False
    takes_empty_index: bool = False
    keeps_stored_types: bool = False
    keeps_integers: bool = False
    named_weights: NamedWeights = NamedWeights.IGNORED
    adapters: Adapters = Adapters.IGNORED
    silence: Silence = Silence.UNLESS_NAMED
    dtype_fields: tuple[str, ...] = ("torch_dtype",)
    follows_config_dtype: bool = False
    skips_float8: bool = False
    guesses_model_type: bool = True


_POSITION_IDS = ("embeddings.position_ids",)
_REFUSED_FORMATS = {
    "pt": FormatMetadata.TORCH,
    "": FormatMetadata.REFUSED,
    "*": FormatMetadata.REFUSED,
}
_CAUSAL = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma3_text"})
_MODELING = "src/transformers/modeling_utils.py"
_LOADING = "src/transformers/core_model_loading.py"
_MAPPING = "src/transformers/conversion_mapping.py"
_AUTO = "src/transformers/models/auto"


@attrs.frozen
class _Change:
    """What one release changed, and the file in which it shows."""

    release: str
    file: str
    fields: Mapping[str, Any]


_FIRST = _Change(
    "4.30.0",
    _MODELING,
    {
        "match": match_by_stored_names,
        "fix_name": anywhere,
        "stored_buffers": dict.fromkeys(
            ("bert", "roberta", "xlm-roberta", "camembert", "mpnet", "albert", "electra", "deberta-v2"),
            _POSITION_IDS,
        ),
        "drops_buffers": False,
        "formats": _REFUSED_FORMATS,
        "tensors_only": False,
        "silence": Silence.NEVER,
        "prefixes": {"gemma3_text": ""},
        "reports_tied": True,
        "quiet_missing": dict.fromkeys(("t5", "t5_encoder"), r"embed_tokens\.weight"),
        "stored_rotary": frozenset({"llama"}),
        "unknown_fields": {"llama": ("num_key_value_heads",)},
    },
)
_CHANGES = (
    _Change(
        "4.31.0",
        _MODELING,
        {
            "stored_buffers": {},
            "drops_buffers": True,
            "silence": Silence.UNLESS_NAMED,
            "reports_tied": False,
            "quiet_missing": {},
            "stored_rotary": frozenset(),
            "unknown_fields": {},
            "rotary": _CAUSAL,
            "rotary_names": r"^(model\.)?layers\.\d+\.self_attn\.rotary_emb\.inv_freq$",
        },
    ),
    _Change("4.33.0", _MODELING, {"adapters": Adapters.REDIRECT}),
    _Change("4.34.0", f"{_AUTO}/configuration_auto.py", {}),
    _Change(
        "4.35.0",
        _MODELING,
        {
            "formats": {
                **_REFUSED_FORMATS,
                "tf": FormatMetadata.FOREIGN,
                "flax": FormatMetadata.FOREIGN,
            }
        },
    ),
    _Change("4.37.0", _MODELING, {"tensors_only": True}),
    _Change(
        "4.39.0",
        _MODELING,
        {
            "formats": {
                **_REFUSED_FORMATS,
                "tf": FormatMetadata.FOREIGN,
                "flax": FormatMetadata.FOREIGN,
                "mlx": FormatMetadata.TORCH,
            }
        },
    ),
    _Change("4.43.0", _MODELING, {"keeps_stored_types": True}),
    _Change("4.45.0", _MODELING, {"fix_name": anywhere_with_weight_norm}),
    _Change(
        "4.48.0",
        _MODELING,
        {
            "formats": {
                "": FormatMetadata.TORCH,
                "pt": FormatMetadata.TORCH,
                "mlx": FormatMetadata.TORCH,
                "tf": FormatMetadata.FOREIGN,
                "flax": FormatMetadata.FOREIGN,
                "*": FormatMetadata.REFUSED,
            },
            "rotary": _CAUSAL | {"modernbert"},
            "rotary_names": r"rotary_emb\.inv_freq",
        },
    ),
    _Change("4.49.0", _MODELING, {"fix_name": at_the_end}),
    _Change(
        "4.50.0",
        _MODELING,
        {
            "match": match_by_model_names,
            "reads_unlisted": False,
            "reads_to_meta": True,
            "takes_empty_index": True,
        },
    ),
    _Change(
        "4.51.0",
        _MODELING,
        {"fills_before_loading": False, "keeps_integers": True, "keeps_stored_types": False},
    ),
    _Change("4.52.1", _MODELING, {"torch": ">=2.6", "named_weights": NamedWeights.TAKEN}),
    _Change("4.56.0", "src/transformers/configuration_utils.py", {"dtype_fields": ("dtype", "torch_dtype")}),
    _Change("4.57.0", _MODELING, {"drops_unexpected": True}),
    _Change(
        "5.0.0",
        _LOADING,
        {
            "match": match_key_by_key,
            "conversions": ALL_AT_ONCE,
            "converts_remote_code": True,
            "unread_fields": frozenset({"position_embedding_type", "pruned_heads"}),
            "drops_unexpected": False,
            "reads_unlisted": True,
            "fills_before_loading": True,
            "prefixes": {},
            "drops_buffers": False,
            "rotary": _CAUSAL - {"gemma3_text"} | {"nomic_bert", "gte", "jina_embeddings_v3"},
            "formats": {"": FormatMetadata.TORCH, "*": FormatMetadata.TORCH},
            "keeps_integers": False,
            "silence": Silence.NEVER,
            "follows_config_dtype": True,
            "reads_to_meta": False,
            "takes_empty_index": False,
        },
    ),
    _Change("5.2.0", f"{_AUTO}/configuration_auto.py", {"guesses_model_type": False}),
    _Change("5.3.0", _LOADING, {"keeps_original_names": True}),
    _Change("5.4.0", f"{_AUTO}/auto_factory.py", {"adapters": Adapters.ON_TOP, "skips_float8": True}),
    _Change("5.5.0", _MAPPING, {}),
    _Change("5.5.2", _LOADING, {"conversions": FIRST_ONLY}),
    _Change("5.6.0", _MODELING, {"drops_position_ids": True}),
    _Change("5.13.0", _MAPPING, {"converts_remote_code": False}),
    _Change("5.14.0", _MODELING, {"named_weights": NamedWeights.CONTAINED}),
    _Change("5.18.0", _MAPPING, {}),
    _Change("5.21.0", _LOADING, {"conversions": WHOLE_WORDS}),
)


def _source(change: _Change) -> str:
    return f"https://github.com/huggingface/transformers/blob/v{change.release}/{change.file}"


def _eras() -> tuple[TransformersEra, ...]:
    fields: dict[str, Any] = dict(_FIRST.fields)
    starts = [change.release for change in _CHANGES]
    eras = [_era(_FIRST, fields, starts[0])]
    for change, end in zip(_CHANGES, [*starts[1:], ""], strict=True):
        fields = {**fields, **change.fields}
        eras.append(_era(change, fields, end))
    return tuple(eras)


def _era(change: _Change, fields: Mapping[str, Any], end: str) -> TransformersEra:
    versions = f">={change.release},<{end}" if end else f">={change.release}"
    return TransformersEra(
        versions=versions,
        since=Version(change.release),
        until=Version(end) if end else None,
        sources=(_source(change),),
        **fields,
    )


ERAS = _eras()
"""Every era, oldest first."""
