"""Models built by transformers from a configuration and tensors that are already read: its own classes only.

The one module of embaudit that imports transformers. No file of the audited repository is given to it, and
no code of one is ever fetched: only classes that transformers brings along are built, and fields of the
configuration that name code, kernels or quantisers are refused or left out.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING
from transformers.utils import logging as transformers_logging

from embaudit.embeddings.diagnosing.settings import Unread
from embaudit.errors import TargetError
from embaudit.loaders.harmless import why_harmless
from embaudit.model.frozen import JSON

ACTIVATION_FIELDS = ("hidden_act", "hidden_activation", "activation", "activation_function")
"""Fields of `config.json` that name the activation of the feed-forward parts, by architecture."""

_REFUSED = ("auto_map", "quantization_config", "quantization")
"""Fields without which the model is another: code of its own, packed weights."""

_LEFT_OUT = re.compile(
    r"_.*|(torch_)?dtype|.*(attn|experts)_implementation|use_kernels?|transformers_version"
)
"""Fields that a repository has no say in here: attention kernels can be names of code on a hub."""


def check_config(config: Mapping[str, JSON]) -> None:
    """Refuse a configuration whose model is not one of transformers' own.

    Raises:
        TargetError: Saying why.
    """
    for field in _REFUSED:
        if config.get(field):
            what = "code of its own" if field == "auto_map" else "quantised weights"
            raise TargetError(f"`{field}` of `config.json` asks for {what}, which is never run here")
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in CONFIG_MAPPING:
        raise TargetError(f"transformers {transformers.__version__} has no model of the type {model_type!r}")


def activation_field(config: Mapping[str, JSON]) -> str | None:
    """The field that names the activation, if there is one."""
    return next((field for field in ACTIVATION_FIELDS if isinstance(config.get(field), str)), None)


def build_model(
    config: Mapping[str, JSON], tensors: Mapping[str, Tensor], dtype: str, activation: str = ""
) -> nn.Module:
    """A model in evaluation mode, its tensors taken from `tensors` under transformers' own rules for names.

    Args:
        config: The content of `config.json`, which `check_config` has taken.
        tensors: Stored name to tensor; they are not changed.
        dtype: The type to compute in.
        activation: Another activation than the configuration has; empty for that.

    Raises:
        TargetError: If transformers cannot build it, or a tensor that embeddings depend on is missing.
    """
    fields = {name: _thawed(value) for name, value in config.items() if not _LEFT_OUT.fullmatch(name)}
    field = activation_field(config)
    if activation and field is not None:
        fields[field] = activation
    fields["use_cache"] = False
    with _quiet():
        try:
            made = CONFIG_MAPPING[fields.pop("model_type")](**fields)
            model, told = _class_of(made).from_pretrained(
                None,
                config=made,
                state_dict=dict(tensors),
                dtype=getattr(torch, dtype),
                output_loading_info=True,
            )
        except TargetError:
            raise
        except Exception as error:
            raise TargetError(f"transformers cannot build the model: {error}") from error
    missing = [name for name in told["missing_keys"] if why_harmless(name) is None]
    if missing or told["mismatched_keys"]:
        lacking = sorted(missing) or sorted(map(str, told["mismatched_keys"]))
        raise TargetError(f"the weights do not fill the model: {lacking[0]} and {len(lacking) - 1} more")
    made_model: nn.Module = model.eval()
    return made_model.requires_grad_(requires_grad=False)


def most_tokens(model: nn.Module) -> int | None:
    """Tokens that a table of positions has room for, or None if the model has no such table."""
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in _POSITION_TABLES and isinstance(module, nn.Embedding):
            padding = module.padding_idx
            return module.num_embeddings - (padding + 1 if padding is not None else 0)
    return None


_POSITION_TABLES = ("position_embeddings", "embed_positions", "wpe")


def layer_names(model: nn.Module) -> tuple[str, int]:
    """The dotted name of the list of layers, and how many there are; none if the model has no such list."""
    wanted = getattr(model.config, "num_hidden_layers", None)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted and wanted > 1:
            return name, wanted
    return "", 0


def skip_layers(model: nn.Module, skipped: tuple[int, ...]) -> None:
    """Take layers out of a model, so that what goes into one comes out of it unchanged."""
    name, count = layer_names(model)
    layers = list(model.get_submodule(name).children())
    kept = [layer for place, layer in enumerate(layers) if place not in skipped]
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, nn.ModuleList(kept))
    config: Any = model.config
    config.num_hidden_layers = count - len(skipped)


def unread(model: nn.Module, which: Unread) -> int:
    """Give parameters the constants that they have in a new model.

    Returns:
        How many were given one.
    """
    count = 0
    for module_name, module in model.named_modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if _is_meant(which, module_name, module, name):
                factor = isinstance(module, nn.LayerNorm) and name == "weight"
                fill = torch.ones_like(parameter) if factor else torch.zeros_like(parameter)
                setattr(module, name, nn.Parameter(fill, requires_grad=False))
                count += 1
    return count


def _is_meant(which: Unread, module_name: str, module: nn.Module, name: str) -> bool:
    own = module_name.rpartition(".")[2]
    is_norm = isinstance(module, nn.LayerNorm)
    return {
        Unread.LAYER_NORMS: is_norm,
        Unread.EMBEDDING_NORM: is_norm and "embeddings" in module_name.split("."),
        Unread.BIASES: name == "bias" and not is_norm and why_harmless(f"{module_name}.{name}") is None,
        Unread.POSITIONS: own in _POSITION_TABLES,
        Unread.SEGMENTS: own == "token_type_embeddings",
    }[which]


def round_weights(model: nn.Module, dtype: str) -> None:
    """Round every parameter to another type and back."""
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            rounded = parameter.to(getattr(torch, dtype)).to(parameter.dtype)
            setattr(module, name, nn.Parameter(rounded, requires_grad=False))


def run_model(model: nn.Module, numbers: Tensor, mask: Tensor) -> Tensor:
    """The last vectors of the tokens, of shape (texts, tokens, hidden).

    Args:
        model: What `build_model` gave.
        numbers: Of the tokens, of shape (texts, tokens).
        mask: Which of them are attended to.

    Raises:
        TargetError: If the model fails, as where the tokenizer has more tokens than the model.
    """
    with torch.inference_mode():
        try:
            states: Tensor = model(input_ids=numbers, attention_mask=mask.long()).last_hidden_state
        except (IndexError, RuntimeError, ValueError) as error:
            raise TargetError(f"the model cannot be run over these tokens: {error}") from error
    return states


def _class_of(config: Any) -> Any:
    """The class without a head. A model that has an encoder and a decoder is its encoder."""
    tables: tuple[Any, ...] = (MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING)
    for classes in tables:
        if type(config) in classes:
            found = classes[type(config)]
            return found[0] if isinstance(found, tuple) else found
    raise TargetError(f"transformers has no plain model for {type(config).__name__}")


def _thawed(value: JSON) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars, and no lines about tensors that do no harm."""
    logging: Any = transformers_logging
    verbosity, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shows_progress:
            logging.enable_progress_bar()
