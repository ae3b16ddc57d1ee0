"""Which model class a configuration means to one release, and what that class expects.

Knows the order in which `AutoConfig` and `AutoModel` decide: a class of transformers' own comes first, the
repository's own code needs `trust_remote_code`. The functions are in `models/auto/auto_factory.py` and
`configuration_auto.py` of https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers and of
4.57.1.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache

import attrs

from embaudit.architectures import ARCHITECTURES, architectures_of, complete_config, expected_model
from embaudit.formats.fields import quoted
from embaudit.loaders.remembering import Same
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.loaders.transformers.model_types import FIRST_SERIES, FIRST_WITHOUT
from embaudit.model.architecture import Architecture, ExpectedModel, ExpectedTensor, Role
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.prediction import Outcome


@attrs.frozen(kw_only=True)
class ModelChoice:
    """The class that is loaded, or why none is.

    Attributes:
        architecture: The class; None if there is none, or embaudit does not know it.
        outcome: How it ends if not in a load: `refused` or `unknown`.
        reasons: Why, and what was taken for granted.
    """

    architecture: Architecture | None = None
    outcome: Outcome | None = None
    reasons: tuple[str, ...] = ()


def choose_model(
    config: Mapping[str, JSON],
    era: TransformersEra,
    architecture: str | None = None,
    repo_id: str | None = None,
    *,
    trusts_code: bool = False,
) -> ModelChoice:
    """The class that `AutoModel` takes for a configuration.

    Args:
        config: `config.json`.
        era: The release.
        architecture: Name of the architecture that is loaded instead of the one that `AutoModel` takes.
        repo_id: `org/name` of the repository, if that is known: transformers 4 guesses from it.
        trusts_code: Whether `trust_remote_code=True` is passed, so that code of the repository comes first.
    """
    code = _own_code(config)
    if config.get("model_type") is None and "model_type" not in config and code is None:
        return _without_type(era, repo_id, architecture)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) and (model_type is not None or code is None):
        return _ended(Outcome.REFUSED, "model_type of config.json is no text.")
    if trusts_code and code is not None and architecture is None:
        return _remote(model_type or "", code)
    return _of_type(model_type or "", era, architecture, code)


def configured_model(
    architecture: Architecture, config: Mapping[str, JSON], era: TransformersEra
) -> ExpectedModel:
    """What the class expects, as the release has it.

    Raises:
        FormatError: If a size is none.
        LimitError: If there would be too many tensors.
    """
    ignored = frozenset(era.unknown_fields.get(architecture.name, ()))
    if not architecture.remote_code:
        ignored |= era.unread_fields
    return _configured(
        Same(architecture), Same(config), ignored, stores_rotary=architecture.name in era.stored_rotary
    )


@lru_cache(maxsize=8)
def _configured(
    described: Same[Architecture],
    settings: Same[Mapping[str, JSON]],
    ignored: frozenset[str],
    *,
    stores_rotary: bool,
) -> ExpectedModel:
    """What the class expects. Remembered, since most releases expect the same."""
    architecture, config = described.value, settings.value
    known = {field: value for field, value in config.items() if field not in ignored}
    complete = complete_config(architecture, known)
    counts = {name: complete.get(name) for name in architecture.repeats.values()}
    # Fewer layers than none are none: `range` is empty.
    negative = {name: 0 for name, count in counts.items() if isinstance(count, int) and count < 0}
    model = expected_model(architecture, FrozenMapping({**complete, **negative}))
    if not stores_rotary:
        return model
    return attrs.evolve(model, tensors={**model.tensors, **dict(_rotary(model, complete))})


def too_many_layers(architecture: Architecture, config: Mapping[str, JSON], n_stored: int) -> bool:
    """Whether a configuration asks for so many layers that no file of `n_stored` tensors is meant for it."""
    complete = complete_config(architecture, config)
    most = _TENSORS_OF_LAYER * n_stored + _LAYERS_ANYWAY
    counts = (complete.get(field) for field in architecture.repeats.values())
    return any(isinstance(count, int) and count > most for count in counts)


_TENSORS_OF_LAYER = 10
_LAYERS_ANYWAY = 1000
"""Layers that are looked at one by one, however few tensors there are."""


def _rotary(model: ExpectedModel, config: Mapping[str, JSON]) -> Iterator[tuple[str, ExpectedTensor]]:
    """The frequencies that each layer stores, half as many as a head has channels."""
    width, heads = config.get("hidden_size"), config.get("num_attention_heads")
    if not isinstance(width, int) or not isinstance(heads, int) or heads <= 0:
        return
    end = ".self_attn.q_proj.weight"
    for layer in (name.removesuffix(end) for name in model.tensors if name.endswith(end)):
        name = f"{layer}.self_attn.rotary_emb.inv_freq"
        yield name, ExpectedTensor(name, (width // heads // 2,), Role.UNUSED)


def _of_type(
    model_type: str, era: TransformersEra, architecture: str | None, code: str | None
) -> ModelChoice:
    native = _is_native(model_type, era)
    if architecture is not None:
        return _named(architecture, model_type, is_native=native)
    if native is None:
        series = FIRST_SERIES[model_type]
        return _ended(
            Outcome.UNKNOWN, f"Models of type {model_type} came in between, with transformers {series}."
        )
    if native:
        return _native(model_type, has_code=code is not None)
    return _stranger(model_type) if code is None else _remote(model_type, code)


def _ended(outcome: Outcome, *reasons: str) -> ModelChoice:
    return ModelChoice(outcome=outcome, reasons=reasons)


def _own_code(config: Mapping[str, JSON]) -> str | None:
    """What `auto_map` names for `AutoModel`, or None."""
    auto_map = config.get("auto_map")
    code = auto_map.get("AutoModel") if isinstance(auto_map, Mapping) else None
    return code if isinstance(code, str) else None


def _without_type(era: TransformersEra, repo_id: str | None, architecture: str | None) -> ModelChoice:
    """Up to 5.1 the longest model type that stands in the path or name is taken."""
    lacking = "config.json names no model_type"
    if not era.guesses_model_type:
        return _ended(Outcome.REFUSED, f"{lacking}.")
    if repo_id is None:
        reason = f"{lacking}; only where the folder's path contains one does this release guess it."
        return _ended(Outcome.REFUSED, reason)
    guesses = (known for known in FIRST_SERIES if known in repo_id and _is_native(known, era))
    guess = max(guesses, key=len, default=None)
    if guess is None:
        return _ended(Outcome.REFUSED, f"{lacking}, and none stands in {quoted(repo_id)}.")
    choice = _of_type(guess, era, architecture, None)
    reason = f"{lacking}; {quoted(guess)} is guessed from {quoted(repo_id)}."
    return attrs.evolve(choice, reasons=(reason, *choice.reasons))


def _is_native(model_type: str, era: TransformersEra) -> bool | None:
    """Whether the era has a class for the type; None if only its later releases do."""
    first, without = FIRST_SERIES.get(model_type), FIRST_WITHOUT.get(model_type)
    if first is None or (without is not None and without <= era.since):
        return False
    if first <= era.since:
        return True
    return None if era.until is None or first < era.until else False


def _named(name: str, model_type: str, *, is_native: bool | None) -> ModelChoice:
    known = ARCHITECTURES.get(name)
    if known is None:
        return _ended(Outcome.UNKNOWN, f"embaudit knows no architecture {quoted(name)}.")
    if known.remote_code or is_native:
        return ModelChoice(architecture=known)
    return _stranger(model_type)


def _native(model_type: str, *, has_code: bool) -> ModelChoice:
    """Transformers' own class for a type; `AutoModel` has the one that is named like it."""
    own = [known for known in architectures_of(model_type) if not known.remote_code]
    if not own:
        return _ended(Outcome.UNKNOWN, f"embaudit does not know models of type {quoted(model_type)}.")
    note = "The repository has code of its own, which is used only with trust_remote_code=True."
    chosen = next((known for known in own if known.name == model_type), own[0])
    return ModelChoice(architecture=chosen, reasons=(note,) if has_code else ())


def _stranger(model_type: str) -> ModelChoice:
    series = FIRST_SERIES.get(model_type)
    when = "no release has them" if series is None else f"they came with transformers {series}"
    what = f"Models of type {quoted(model_type)} are unknown to it: {when}"
    return _ended(Outcome.REFUSED, f"{what}; and config.json names no code for AutoModel.")


def _remote(model_type: str, code: str) -> ModelChoice:
    """The class in the repository's own code; which repository it is from stands before `--`."""
    home = code.rpartition("--")[0]
    own = [known for known in architectures_of(model_type) if known.remote_code]
    known = next((each for each in own if home in each.remote_code), None)
    needs = f"It needs trust_remote_code=True, which is taken for granted: config.json names {quoted(code)}."
    if known is not None:
        return ModelChoice(architecture=known, reasons=(needs,))
    if own and not home:
        taken = f"The repository's code is taken to be that of {own[0].remote_code[0]}."
        return ModelChoice(architecture=own[0], reasons=(needs, taken))
    return _ended(Outcome.UNKNOWN, needs, "embaudit does not know that code.")
