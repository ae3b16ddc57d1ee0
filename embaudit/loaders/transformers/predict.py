"""What `AutoModel.from_pretrained` would do with a folder of a repository, in one era of transformers.

Default arguments, torch, a CPU, no accelerator and no plugins; `peft`, `tensorflow` and `flax` count as not
installed unless the setting names them, torch as new enough.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.errors import FormatError, LimitError
from embaudit.loaders.base import Setting
from embaudit.loaders.plain_pipelines import token_vectors
from embaudit.loaders.structure import structural_faults
from embaudit.loaders.transformers.checks import check_weights, torch_answers
from embaudit.loaders.transformers.eras import Adapters, TransformersEra
from embaudit.loaders.transformers.files import WeightChoice, choose_weights, other_weights
from embaudit.loaders.transformers.models import ModelChoice, choose_model, configured_model, too_many_layers
from embaudit.loaders.transformers.settings import refused_settings, unfollowed_settings
from embaudit.loaders.transformers.verdict import LoadingTask, loaded
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

NAME = "transformers"


def predict(repository: Repository, setting: Setting[TransformersEra]) -> Iterator[PredictedLoad]:
    """What `AutoModel.from_pretrained` would do with the model in the root of a repository."""
    pipeline = token_vectors(repository, "AutoModel")
    for load in load_model(repository, setting):
        yield load if load.outcome is Outcome.REFUSED else attrs.evolve(load, pipeline=pipeline)


def load_model(
    repository: Repository,
    setting: Setting[TransformersEra],
    *,
    folder: str = "",
    architecture: str | None = None,
) -> Iterator[PredictedLoad]:
    """What `AutoModel.from_pretrained` would do with the model in a folder of a repository.

    Args:
        repository: Everything about the repository.
        setting: The era, and what lies beneath.
        folder: Path of the folder with the model's `config.json`, inside the repository; empty for the root.
        architecture: Name of the architecture that is loaded instead of the one that `AutoModel` takes.

    Yields:
        One load; two where the torch beneath decides and the setting leaves it open.
    """
    inside = folder.strip("/")
    for load in _loads(repository, setting, inside, architecture):
        yield attrs.evolve(
            load,
            sources=tuple(dict.fromkeys((*setting.era.sources, *load.sources))),
            ignored_files=other_weights(repository.snapshot, inside, load.files),
        )


def _ended(outcome: Outcome, *reasons: str, files: tuple[str, ...] = (), beneath: str = "") -> PredictedLoad:
    return PredictedLoad(loader=NAME, outcome=outcome, reasons=reasons, files=files, beneath=beneath)


def _loads(
    repository: Repository, setting: Setting[TransformersEra], folder: str, architecture: str | None
) -> Iterator[PredictedLoad]:
    path = f"{folder}/config.json" if folder else "config.json"
    config = repository.declaration.documents.get(path)
    bad = next((bad for bad in repository.declaration.bad if bad.path == path and not bad.usable), None)
    if bad is not None or (config is not None and not isinstance(config, Mapping)):
        problem = bad.problem if bad is not None else "it is no JSON object"
        yield _ended(Outcome.REFUSED, f"{path} is no configuration: {problem}.")
    elif config is None and path in repository.snapshot.files:
        yield _ended(Outcome.UNKNOWN, f"{path} was not read.")
    elif config is None:
        yield _ended(Outcome.REFUSED, f"There is no {path}.")
    else:
        model = choose_model(
            config,
            setting.era,
            architecture,
            repository.snapshot.repo_id,
            trusts_code="trust-remote-code" in setting.beneath,
        )
        yield from _configured(repository, setting, folder, config, model)


def _configured(
    repository: Repository,
    setting: Setting[TransformersEra],
    folder: str,
    config: Mapping[str, JSON],
    model: ModelChoice,
) -> Iterator[PredictedLoad]:
    era = setting.era
    adapter = f"{folder}/adapter_config.json" if folder else "adapter_config.json"
    if model.outcome is Outcome.REFUSED:
        yield _ended(Outcome.REFUSED, *model.reasons)
        return
    if (
        "peft" in setting.beneath
        and adapter in repository.snapshot.files
        and era.adapters is not Adapters.IGNORED
    ):
        yield _ended(Outcome.UNKNOWN, _adapted(era, adapter), beneath="peft")
        return
    chosen = choose_weights(repository, era, folder, config)
    installed = frozenset(setting.beneath)
    for torch_is_new in torch_answers(chosen, era, setting.beneath.get("torch")):
        weights = check_weights(chosen, era, installed, torch_is_new=torch_is_new)
        load = _weighed(era, weights, model, config)
        yield attrs.evolve(load, files=weights.files, beneath=_TORCH[torch_is_new])


_TORCH = {None: "", True: "torch>=2.6", False: "torch<2.6"}
"""What is taken for granted of torch, by the answers of `torch_answers`."""


def _adapted(era: TransformersEra, adapter: str) -> str:
    if era.adapters is Adapters.REDIRECT:
        return f"With peft, the base model that {adapter} names is loaded instead; embaudit does not see it."
    return f"With peft, the adapter of {adapter} is put on the model; embaudit does not follow that."


def _weighed(
    era: TransformersEra, weights: WeightChoice, model: ModelChoice, config: Mapping[str, JSON]
) -> PredictedLoad:
    if weights.outcome is not None:
        return _ended(weights.outcome, *weights.reasons)
    checkpoint = weights.checkpoint
    reasons = (*model.reasons, *weights.reasons)
    if checkpoint is None:
        return _ended(Outcome.UNKNOWN, *reasons)
    if model.architecture is None:
        return _ended(Outcome.UNKNOWN, *reasons, *structural_faults(checkpoint))
    if config.get("quantization_config") is not None:
        reason = "config.json asks for quantization, which embaudit does not follow."
        return _ended(Outcome.UNKNOWN, reason, *reasons, *structural_faults(checkpoint))
    unfollowed = next(unfollowed_settings(config, era), None)
    if unfollowed is not None and not model.architecture.remote_code:
        return _ended(Outcome.UNKNOWN, unfollowed, *reasons)
    refusals = tuple(refused_settings(model.architecture, config, era))
    if refusals:
        return _ended(Outcome.REFUSED, *refusals, *reasons)
    if too_many_layers(model.architecture, config, len(checkpoint.tensors)):
        reason = (
            "config.json asks for so many more layers than there are tensors that embaudit looks at none."
        )
        return _ended(Outcome.UNKNOWN, reason, *reasons)
    try:
        expected = configured_model(model.architecture, config, era)
    except LimitError as error:
        return _ended(Outcome.UNKNOWN, f"embaudit does not follow so large a model: {error}.", *reasons)
    except FormatError as error:
        # The constructors of transformers' own classes fail where a size is none; other code is not known.
        outcome = Outcome.UNKNOWN if model.architecture.remote_code else Outcome.REFUSED
        return _ended(outcome, f"No model can be made of the configuration: {error}.", *reasons)
    load = loaded(LoadingTask(era=era, checkpoint=checkpoint, model=expected, config=config))
    return attrs.evolve(load, reasons=(*load.reasons, *reasons), sources=(model.architecture.source,))
