"""Values of a module's settings that decide whether it can be made, beyond which settings there are.

Knows the modes of Pooling and the activations of Dense. Refuses to import a path to see whether it exists.
"""

from collections.abc import Callable, Mapping

import attrs

from embaudit.errors import EmbauditError
from embaudit.formats.fields import kind_of_value, quoted
from embaudit.model.frozen import JSON
from embaudit.model.prediction import Outcome


class CannotTellError(EmbauditError):
    """embaudit does not follow what a module does here, and its load is unknown; never leaves the package."""


@attrs.frozen
class Judgement:
    """What settings mean for the load of their module.

    Attributes:
        outcome: What comes of it, as far as the settings decide.
        reason: Why, one sentence.
    """

    outcome: Outcome
    reason: str


_LONGEST_PATH = 200
"""Characters of a path that a sentence takes as it is."""


def shown_path(path: str) -> str:
    """A path of the repository as a sentence may have it: as it is, if it prints and is not too long."""
    return path if len(path) <= _LONGEST_PATH and path.isprintable() else quoted(path)


Judge = Callable[[Mapping[str, JSON]], Judgement | None]
"""Settings to what they mean, or None if there is nothing to say."""

_MODES_2 = ("mean", "max", "cls")
_MODES = (*_MODES_2, "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


def judge_nothing(_settings: Mapping[str, JSON]) -> Judgement | None:
    """Settings whose values do not matter to whether the module can be made."""
    return None


def judge_pooling_2(settings: Mapping[str, JSON]) -> Judgement | None:
    """`pooling_mode` up to 2.2: one of three names, in any case."""
    return _judge_mode(settings, _MODES_2) or _judge_width(settings)


def judge_pooling_2_3(settings: Mapping[str, JSON]) -> Judgement | None:
    """`pooling_mode` from 2.3 to 5.3: one of six names, in any case."""
    return _judge_mode(settings, _MODES) or _judge_width(settings)


def _judge_width(settings: Mapping[str, JSON]) -> Judgement | None:
    """The number of components, which is multiplied by the number of modes, whatever it is."""
    width = settings.get("embedding_dimension", settings.get("word_embedding_dimension"))
    if width is not None and not isinstance(width, Mapping):
        return None
    return Judgement(Outcome.REFUSED, f"The width of Pooling is {kind_of_value(width)}, not a number.")


def _judge_mode(settings: Mapping[str, JSON], modes: tuple[str, ...]) -> Judgement | None:
    mode = settings.get("pooling_mode")
    if mode is None:
        return _judge_flags(settings)
    return None if isinstance(mode, str) and mode.lower() in modes else _refused_mode(mode)


_FLAG = "pooling_mode_"


def _judge_flags(settings: Mapping[str, JSON]) -> Judgement | None:
    """The flags, which are counted by adding them up."""
    values = {name: value for name, value in settings.items() if name.startswith(_FLAG)}
    wrong = next((name for name, value in values.items() if not isinstance(value, int | float)), None)
    if wrong is None:
        return None
    return Judgement(
        Outcome.REFUSED, f"Pooling cannot count {quoted(wrong)}, {kind_of_value(values[wrong])}."
    )


def judge_pooling_5_4(settings: Mapping[str, JSON]) -> Judgement | None:
    """`pooling_mode` from 5.4 on: names in small letters."""
    modes = named_modes(settings)
    if modes is None:
        return _refused_mode(settings["pooling_mode"])
    refused = next((_refused_mode(each) for each in modes if each not in _MODES), None)
    return refused or _judge_width(settings)


def named_modes(settings: Mapping[str, JSON]) -> tuple[JSON, ...] | None:
    """What `pooling_mode` names from 5.4 on, the mean if it is absent; None if it can name nothing.

    An array of one value stands for that value, which may be an array again; of an object the keys are taken.
    """
    mode = settings.get("pooling_mode", "mean")
    if isinstance(mode, tuple) and len(mode) == 1:
        mode = mode[0]
    if isinstance(mode, str):
        return (mode,)
    return tuple(mode) if isinstance(mode, tuple | Mapping) else None


def _refused_mode(mode: JSON) -> Judgement:
    shown = quoted(mode) if isinstance(mode, str) else kind_of_value(mode)
    return Judgement(Outcome.REFUSED, f"Pooling does not know the mode {shown}.")


_ACTIVATIONS = frozenset(
    {
        *("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid"),
        *("Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish"),
        *("PReLU", "ReLU", "ReLU6", "RReLU", "SELU", "SiLU"),
        *("Sigmoid", "Softmax", "Softmax2d", "Softmin", "Softplus", "Softshrink"),
        *("Softsign", "Tanh", "Tanhshrink"),
    }
)
"""The classes of `torch.nn.modules.activation` (torch 2.13) that can be made without arguments."""
_ACTIVATION_PATHS = frozenset(
    f"{home}.{name}" for home in ("torch.nn", "torch.nn.modules.activation") for name in _ACTIVATIONS
) | {"torch.nn.Identity", "torch.nn.modules.linear.Identity"}


def judge_dense_2(settings: Mapping[str, JSON]) -> Judgement | None:
    """`activation_function` up to 5.4.0: whatever can be imported by that path."""
    return _judge_activation(settings.get("activation_function"))


def judge_dense_5_4_1(settings: Mapping[str, JSON]) -> Judgement | None:
    """`activation_function` from 5.4.1 on: only what torch has; for any other path Tanh, with a warning."""
    path = settings.get("activation_function", "torch.nn.Tanh")
    if isinstance(path, str) and not path.startswith("torch."):
        reason = (
            f"The activation {quoted(path)} is not torch's, so Tanh is used in its place, with a warning."
        )
        return Judgement(Outcome.FAITHFUL, reason)
    return _judge_activation(path)


def judge_dense_5_4(settings: Mapping[str, JSON]) -> Judgement | None:
    """`activation_function` in 5.4.0: as before, and Tanh where it is left out."""
    return _judge_activation(settings.get("activation_function", "torch.nn.Tanh"))


def _judge_activation(path: JSON) -> Judgement | None:
    if not isinstance(path, str):
        return Judgement(Outcome.REFUSED, f"The activation of Dense is {kind_of_value(path)}, not a path.")
    if path in _ACTIVATION_PATHS:
        return None
    reason = f"embaudit cannot tell whether the activation {quoted(path)} can be imported."
    return Judgement(Outcome.UNKNOWN, reason)
