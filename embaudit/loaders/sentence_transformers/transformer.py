"""What becomes of a Transformer module: its settings, and what transformers then does with its folder.

Knows which arguments sentence-transformers passes on. What transformers does with files and names is known
in `embaudit.loaders.transformers`.
"""

from collections.abc import Iterator, Mapping

import attrs
from packaging.version import Version

from embaudit.errors import FormatError
from embaudit.formats.fields import OBJECT, TEXT, examples, quoted, take, take_optional
from embaudit.loaders.sentence_transformers.eras import NeedsSettings
from embaudit.loaders.sentence_transformers.joining import NAME, make_load
from embaudit.loaders.sentence_transformers.judging import CannotTellError, shown_path
from embaudit.loaders.sentence_transformers.loading import Place, Sight, object_document, read_settings
from embaudit.loaders.sentence_transformers.module_files import Settings
from embaudit.loaders.transformers.predict import load_model
from embaudit.model.dtypes import DType
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.prediction import Outcome, PredictedLoad

_TASK = "feature-extraction"
"""The task for which the model is loaded without a head."""
_MODEL_OPTIONS = ("model_args", "model_kwargs")
_CONFIG_OPTIONS = ("config_args", "config_kwargs")
_HARMLESS_OPTIONS = {
    "attn_implementation",
    "low_cpu_mem_usage",
    "output_attentions",
    "output_hidden_states",
    "trust_remote_code",
}
"""Arguments of `from_pretrained` that change neither which files are loaded nor which tensors there are.
`trust_remote_code` is taken out of the settings before they are passed on."""
_DTYPES = ("dtype", "torch_dtype")
_FIRST_WITH_DTYPE = Version("4.56.0")
"""transformers calls `torch_dtype` `dtype` since."""


def load_transformer(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """A model that transformers loads from the module's folder.

    Raises:
        FormatError: If its settings are refused.
        CannotTellError: If they ask for something that embaudit does not follow.
    """
    settings = FrozenMapping[JSON]() if place.by_default else _settings(sight, place)
    options = _options(settings)
    if sight.era.finds_adapters and place.path("adapter_config.json") in sight.repository.snapshot.files:
        yield from _load_adapter(sight, place)
        return
    loads = load_model(
        sight.repository,
        sight.transformers,
        folder=place.folder,
        architecture=_architecture(sight, place),
    )
    for load in loads:
        named = attrs.evolve(load, loader=NAME)
        yield _with_dtype(named, options, sight) if sight.era.passes_model_arguments else named


def _settings(sight: Sight, place: Place) -> Settings:
    needs = sight.era.needs_settings
    needed = needs is NeedsSettings.EVERYWHERE or (needs is NeedsSettings.IN_FOLDERS and bool(place.folder))
    settings = read_settings(sight, place, may_lack=not needed)
    if sight.era.takes_trust_out and place.folder and "model_args" in settings:
        options = take(settings, "model_args", OBJECT)
        if "trust_remote_code" not in options:
            raise FormatError("is missing", f"{place.folder}: model_args: trust_remote_code")
    return settings


def _options(settings: Settings) -> Mapping[str, JSON]:
    """The arguments for the model, none of which changes what is loaded but its type."""
    task = take_optional(settings, "transformer_task", TEXT)
    if task not in {None, _TASK}:
        raise CannotTellError(f"The settings ask for the task {quoted(str(task))}, a model with a head.")
    model, config = _joined(settings, _MODEL_OPTIONS), _joined(settings, _CONFIG_OPTIONS)
    strange = sorted({*model, *config} - {*_HARMLESS_OPTIONS, *_DTYPES})
    if strange:
        raise CannotTellError(f"embaudit does not follow {examples(strange, 'argument')} for transformers.")
    return model


_N_OPTIONS = 1000
"""Arguments that are looked at one by one; `from_pretrained` has some thirty."""


def _joined(settings: Settings, names: tuple[str, ...]) -> Mapping[str, JSON]:
    given = [take(settings, name, OBJECT) for name in names if name in settings]
    count = sum(map(len, given))
    if count > _N_OPTIONS:
        raise CannotTellError(f"embaudit does not follow {count} arguments for transformers.")
    return {key: value for options in given for key, value in options.items()}


def _load_adapter(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    adapter = place.path("adapter_config.json")
    base = object_document(sight.repository, adapter).get("base_model_name_or_path")
    shown = quoted(base) if isinstance(base, str) else "not named"
    if "peft" in sight.transformers.beneath:
        reason = (
            f"{shown_path(adapter)} is found, and its base model, {shown}, lies outside of this repository."
        )
        yield make_load(Outcome.UNKNOWN, reason)
    else:
        reason = f"{shown_path(adapter)} is found, and without peft no adapter can be loaded."
        yield make_load(Outcome.REFUSED, reason)


def _architecture(sight: Sight, place: Place) -> str | None:
    """The architecture of the encoder alone, where the era loads no more than that."""
    config = sight.repository.declaration.documents.get(place.path("config.json"))
    model_type = config.get("model_type") if isinstance(config, Mapping) else None
    return "t5_encoder" if model_type in sight.era.encoder_only else None


def _with_dtype(load: PredictedLoad, options: Mapping[str, JSON], sight: Sight) -> PredictedLoad:
    """The load in the type that the settings ask for."""
    given = next(((name, options[name]) for name in _DTYPES if name in options), None)
    if given is None or load.outcome is Outcome.REFUSED:
        return load
    name, value = given
    before = sight.transformers.era.since < _FIRST_WITH_DTYPE
    if value == "auto" and sight.transformers.era.follows_config_dtype:
        return load
    if value not in {*map(str, DType)} or (name == "dtype" and before):
        unknown = Outcome.UNKNOWN if load.outcome is Outcome.FAITHFUL else load.outcome
        reason = f"embaudit cannot tell what this version makes of the {name} in the settings of the module."
        return attrs.evolve(load, outcome=unknown, dtype=None, reasons=(*load.reasons, reason))
    return attrs.evolve(load, dtype=str(value))
