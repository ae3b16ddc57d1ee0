"""Models and tokenizers built by transformers from what is already read: its own classes only.

The one module of embaudit that imports transformers. It gets no path of the audited repository, and no code
of one is ever fetched: only classes that transformers brings along are built, fields of the configuration
that name code, kernels or quantisers are refused or left out, and of the settings of a tokenizer only those
that are known to be plain values are passed on.
"""

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import attrs
import torch
import transformers
from torch import Tensor, nn
from transformers import AutoTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_TEXT_ENCODING_MAPPING, MODEL_MAPPING
from transformers.utils import logging as transformers_logging

from embaudit.embeddings.diagnosing.settings import Unread
from embaudit.embeddings.diagnosing.tokens import TOKENIZER, is_panic
from embaudit.errors import LimitError, TargetError
from embaudit.loaders.harmless import why_harmless
from embaudit.model.frozen import JSON

ACTIVATION_FIELDS = ("hidden_act", "hidden_activation", "activation", "activation_function")
"""Fields of `config.json` that name the activation of the feed-forward parts, by architecture."""

_REFUSED = ("auto_map", "quantization_config", "quantization")
"""Fields without which the model is another: code of its own, packed weights."""

_LEFT_OUT = re.compile(
    r"_.*|(torch_)?dtype|.*(attn|experts)_implementation|use_kernels?|transformers_version"
    r"|num_labels|id2label|label2id"
)
"""Fields that a repository has no say in here: attention kernels can be names of code on a hub, and heads, of
which transformers lists every label, are not built."""

_COUNTS = re.compile(r"(num|n)_.*(layers?|blocks?|experts?|stages?)|n_layers?|depths?|n_heads?|num_.*heads?")
"""Fields that say how many parts a model has, each of which is built one by one."""

MOST_PARTS = 4096
"""Layers, experts or heads of a model: more than any that embaudit knows has."""

SLACK_ELEMENTS = 2**25
"""Elements that a model may have beside twice those that are stored: tables that it computes, and what does
no harm where it is missing."""

_TOKENIZER_CODE = ("auto_map", "fast_tokenizer_files", "split_special_tokens")
"""Settings of a tokenizer that have it made by other code, out of other files, or otherwise than its content
says: what comes of them is not known here."""

_TOKENIZER_WORDS = re.compile(r"tokenizer_class|(padding|truncation)_side|(src|tgt)_lang|.*_token")
"""Settings of a tokenizer that are texts and are passed on; others could be paths."""

_TOKENIZER_CLASS = re.compile(r"(?!Auto)\w*Tokenizer(sBackend)?(Fast)?")
"""Names that are tokenizers'. transformers looks names up among all that it has."""

_TOKENIZER_LENGTHS = ("model_max_length", "max_length", "max_len", "stride")
"""Settings of a tokenizer that are numbers and say where texts end, which is looked at elsewhere."""

_MOST_TOKENIZER_NUMBER = 8192
"""The largest of the other numbers that is passed on: they count tokens that are added."""


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
        LimitError: If it would be much larger than what is stored.
    """
    fields = {name: _thawed(value) for name, value in config.items() if not _LEFT_OUT.fullmatch(name)}
    field = activation_field(config)
    if activation and field is not None:
        fields[field] = activation
    fields["use_cache"] = False
    _check_counts(fields)
    with _quiet():
        try:
            made = CONFIG_MAPPING[fields.pop("model_type")](**fields)
            _check_size(made, tensors)
            model, told = _class_of(made).from_pretrained(
                None,
                config=made,
                state_dict=dict(tensors),
                dtype=getattr(torch, dtype),
                output_loading_info=True,
            )
        except (LimitError, TargetError):
            raise
        except Exception as error:
            raise TargetError(f"transformers cannot build the model: {error}") from error
    missing = [name for name in told["missing_keys"] if why_harmless(name) is None]
    if missing or told["mismatched_keys"]:
        lacking = sorted(missing) or sorted(map(str, told["mismatched_keys"]))
        raise TargetError(f"the weights do not fill the model: {lacking[0]} and {len(lacking) - 1} more")
    made_model: nn.Module = model.eval()
    return made_model.requires_grad_(requires_grad=False)


def _check_counts(fields: Mapping[str, Any]) -> None:
    """Refuse a model of more parts than can be built in reasonable time."""
    for name, value in fields.items():
        if isinstance(value, dict):
            _check_counts(value)
        elif isinstance(value, int) and value > MOST_PARTS and _COUNTS.fullmatch(name):
            raise LimitError(f"{name} is {value}, more than {MOST_PARTS}", "config.json", limit="MOST_PARTS")


def _check_size(made: Any, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a model that is much larger than what is stored, before any of it is allocated."""
    with torch.device("meta"):
        shape = _class_of(made)(deepcopy(made))
    needed = sum(each.numel() for each in (*shape.parameters(), *shape.buffers()))
    stored = sum(each.numel() for each in tensors.values())
    if needed > 2 * stored + SLACK_ELEMENTS:
        raise LimitError(
            f"its model has {needed} elements, and {stored} are stored", "config.json", "SLACK_ELEMENTS"
        )


@attrs.frozen(kw_only=True)
class NativeTokenizer:
    """What transformers makes of the files of a tokenizer.

    Attributes:
        document: In the form of `tokenizer.json`.
        padding_side: Where it puts padding, `left` or `right`.
        cut_side: Where it cuts texts, likewise.
    """

    document: dict[str, Any] = attrs.field(repr=False)
    padding_side: str
    cut_side: str


def build_tokenizer(
    config: Mapping[str, JSON], documents: Mapping[str, JSON], repo_id: str | None = None
) -> NativeTokenizer:
    """The tokenizer that transformers builds of the JSON files of a repository.

    transformers 5 takes `tokenizer.json` as it stands for some classes only. For those that have a
    constructor of their own, BERT's among them, it takes the vocabulary and little else, and makes the rest
    anew after `tokenizer_config.json`: `TokenizersBackend.convert_to_native_format` of
    https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/tokenization_utils_tokenizers.py
    So it is asked itself, about a folder of its own with the content of these files, and without what could
    name code or paths.

    Args:
        config: The content of `config.json`, which `check_config` has taken.
        documents: File name to content, `tokenizer.json` among them.
        repo_id: The repository's name on the hub, which decides for a few.

    Raises:
        TargetError: If it cannot be known what loaders build; says why.
    """
    settings = documents.get("tokenizer_config.json")
    for holder in (config, settings):
        _check_class(holder)
    for name, value in settings.items() if isinstance(settings, Mapping) else ():
        if (name in _TOKENIZER_CODE and value) or _is_strange(name, value):
            raise TargetError(f"`{name}` of `tokenizer_config.json` is not followed here")
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        try:
            made = CONFIG_MAPPING[str(config["model_type"])]()
            made.tokenizer_class = config.get("tokenizer_class")
            made._name_or_path = repo_id or ""  # noqa: SLF001 - transformers itself decides by it
            said = {name: config.get(name) for name in ("model_type", "transformers_version")}
            (Path(folder) / "config.json").write_text(json.dumps(_thawed(said)), encoding="utf-8")
            for name, content in documents.items():
                plain = content if name == TOKENIZER else _plain_settings(name, content)
                (Path(folder) / name).write_text(json.dumps(_thawed(plain)), encoding="utf-8")
            tokenizer = AutoTokenizer.from_pretrained(
                folder, config=made, local_files_only=True, trust_remote_code=False
            )
            document = json.loads(tokenizer.backend_tokenizer.to_str())
        except BaseException as error:
            if not (isinstance(error, Exception) or is_panic(error)):
                raise
            raise TargetError(f"transformers cannot build the tokenizer: {error}") from None
    return NativeTokenizer(
        document=document,
        padding_side=str(tokenizer.padding_side),
        cut_side=str(tokenizer.truncation_side),
    )


def _plain_settings(name: str, content: JSON) -> JSON:
    """The settings that are passed on: switches, small numbers, tokens, and sides and classes by name."""
    if not isinstance(content, Mapping) or name == "added_tokens.json":
        return content
    return {key: value for key, value in content.items() if _is_plain(key, value)}


def _is_plain(key: str, value: JSON) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return key not in _TOKENIZER_LENGTHS
    if isinstance(value, str):
        return _TOKENIZER_WORDS.fullmatch(key) is not None
    return key.endswith(("_token", "special_tokens")) or key == "added_tokens_decoder"


def _is_strange(key: str, value: JSON) -> bool:
    """Whether a setting is a number too large to pass on, or none where a word should be."""
    if value is None or isinstance(value, bool | str):
        return False
    if isinstance(value, int | float):
        small = -_MOST_TOKENIZER_NUMBER <= value <= _MOST_TOKENIZER_NUMBER
        return key not in _TOKENIZER_LENGTHS and not small
    return _TOKENIZER_WORDS.fullmatch(key) is not None and not key.endswith("_token")


def _check_class(settings: JSON) -> None:
    name = settings.get("tokenizer_class") if isinstance(settings, Mapping) else None
    if name is not None and not (isinstance(name, str) and _TOKENIZER_CLASS.fullmatch(name)):
        raise TargetError("`tokenizer_class` names no class of a tokenizer")


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
        except Exception as error:
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
