"""Which model class a configuration means to one release, and what that class expects.

Knows the order in which `AutoConfig` and `AutoModel` decide: a class of transformers' own comes first, the
repository's own code needs `trust_remote_code`. The functions are in `models/auto/auto_factory.py` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers and of 4.30.2.
"""

from collections.abc import Mapping

import attrs

from embaudit.architectures import ARCHITECTURES, architectures_of
from embaudit.formats.fields import quoted
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.loaders.transformers.releases import FIRST_RELEASES
from embaudit.model.architecture import Architecture
from embaudit.model.frozen import JSON
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
    config: Mapping[str, JSON], era: TransformersEra, architecture: str | None = None
) -> ModelChoice:
    """The class that `AutoModel` takes for a configuration.

    Args:
        config: `config.json`.
        era: The release.
        architecture: Name of the architecture that is loaded instead of the one that `AutoModel` takes.
    """
    model_type = config.get("model_type")
    code = _own_code(config)
    if not isinstance(model_type, str) and model_type is not None:
        return _ended(Outcome.REFUSED, "model_type of config.json is no text.")
    if architecture is not None:
        return _named(architecture, model_type, era)
    if model_type is None and code is None:
        return _without_type(era)
    native = _native(model_type, era)
    if native is not None:
        note = "The repository has code of its own, which is used only with trust_remote_code=True."
        return ModelChoice(architecture=native, reasons=(note,) if code else ())
    return _unknown_type(model_type, era) if code is None else _remote(model_type, code)


def _ended(outcome: Outcome, *reasons: str) -> ModelChoice:
    return ModelChoice(outcome=outcome, reasons=reasons)


def _own_code(config: Mapping[str, JSON]) -> str | None:
    """What `auto_map` names for `AutoModel`, or None."""
    auto_map = config.get("auto_map")
    code = auto_map.get("AutoModel") if isinstance(auto_map, Mapping) else None
    return code if isinstance(code, str) else None


def _named(name: str, model_type: str | None, era: TransformersEra) -> ModelChoice:
    known = ARCHITECTURES.get(name)
    if known is None:
        return _ended(Outcome.UNKNOWN, f"embaudit knows no architecture {name!r}.")
    if known.remote_code or _is_in(model_type or name, era):
        return ModelChoice(architecture=known)
    return _too_old(model_type or name)


def _without_type(era: TransformersEra) -> ModelChoice:
    if era.guesses_model_type:
        reason = "config.json names no model_type; transformers then guesses it from the path of the folder."
        return _ended(Outcome.UNKNOWN, reason)
    return _ended(Outcome.REFUSED, "config.json names no model_type.")


def _is_in(model_type: str, era: TransformersEra) -> bool:
    first = FIRST_RELEASES.get(model_type)
    return first is None or first <= era.since


def _native(model_type: str | None, era: TransformersEra) -> Architecture | None:
    """Transformers' own class for a type; `AutoModel` has the one that is named like it."""
    if model_type is None or not _is_in(model_type, era):
        return None
    own = [known for known in architectures_of(model_type) if not known.remote_code]
    return next((known for known in own if known.name == model_type), own[0] if own else None)


def _unknown_type(model_type: str | None, era: TransformersEra) -> ModelChoice:
    text = model_type or ""
    if not _is_in(text, era):
        return _too_old(text)
    if architectures_of(text):
        reason = (
            f"No release has a model of type {quoted(text)}, and config.json names no code for AutoModel."
        )
        return _ended(Outcome.REFUSED, reason)
    return _ended(Outcome.UNKNOWN, f"embaudit does not know models of type {quoted(text)}.")


def _too_old(model_type: str) -> ModelChoice:
    first = FIRST_RELEASES[model_type]
    return _ended(Outcome.REFUSED, f"Models of type {quoted(model_type)} came with transformers {first}.")


def _remote(model_type: str | None, code: str) -> ModelChoice:
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
