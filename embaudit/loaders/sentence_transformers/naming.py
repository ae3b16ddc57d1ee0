"""What the names in `modules.json` do: modules are kept by name, so that one may take the place of another.

Knows that the last module of a name stands where the first one stood, in all 47 releases from 2.0.0 to 6.2.0,
and which names torch refuses. Refuses to know what the modules compute.
Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/base/model.py#L1448
and `add_module` in https://github.com/pytorch/pytorch/blob/v2.13.0/torch/nn/modules/module.py
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

import attrs

from embaudit.errors import FormatError
from embaudit.formats.fields import TEXT, expect, quoted
from embaudit.loaders.sentence_transformers.judging import CannotTellError
from embaudit.loaders.sentence_transformers.loading import Place
from embaudit.loaders.sentence_transformers.modules import Takes
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

_WHERE = "modules.json: name"
_TAKEN = frozenset(
    {
        *("add_module", "apply", "bfloat16", "buffers", "children", "cpu", "cuda", "double", "dump_patches"),
        *("eval", "extra_repr", "float", "forward", "half", "load_state_dict", "modules", "named_buffers"),
        *("named_children", "named_modules", "named_parameters", "parameters", "register_buffer"),
        *("register_forward_hook", "register_parameter", "requires_grad_", "share_memory", "state_dict"),
        *("to", "train", "training", "type", "zero_grad"),
        *("device", "encode", "encode_multi_process", "evaluate", "fit", "max_seq_length", "save"),
        *("save_to_hub", "smart_batching_collate", "start_multi_process_pool", "stop_multi_process_pool"),
        *("tokenize", "tokenizer"),
    }
)
"""Attributes that a model has before its modules in every version, of torch and of the package."""
_SOMETIMES_TAKEN = frozenset(
    {
        *("T_destination", "append", "call_super_init", "compile", "extend", "get_buffer", "get_extra_state"),
        *("get_parameter", "get_submodule", "insert", "ipu", "mtia", "pop", "register_module"),
        *("set_extra_state", "set_submodule", "to_empty", "xpu", "backend", "config", "dtype", "load"),
        *("encode_document", "encode_query", "merge", "modalities", "model_type", "old_fit", "preprocess"),
        *("processor", "prompts", "push_to_hub", "save_pretrained", "similarity"),
        *("similarity_fn_name", "similarity_pairwise", "supports", "transformers_model", "trust_remote_code"),
        *("truncate_dim", "default_prompt_name", "model_card_data", "module_kwargs", "active_adapter"),
        *("SUPPORTED_SIMILARITY_FN_NAMES", "active_adapters", "add_adapter", "check_peft_compatible_model"),
        *("clear_placement_cache", "default_huggingface_organization", "delete_adapter", "disable_adapters"),
        *("enable_adapters", "gradient_checkpointing_enable", "is_singular_input", "load_adapter"),
        *("model_card_data_class", "truncate_embeddings", "truncate_sentence_embeddings"),
    }
)
"""Attributes that it has in some version."""
_TAKEN_PREFIXES = ("_", "register_", "get_", "set_", "has_")
"""How further such attributes begin, which are not listed one by one."""


def check_names(places: Iterable[Place]) -> None:
    """Whether torch makes a model of modules with these names.

    Raises:
        FormatError: If it refuses one.
        CannotTellError: If that depends on the version of torch or of the package.
    """
    for place in places:
        name = expect(place.name, TEXT, _WHERE)
        if not name or "." in name or name in _TAKEN:
            raise FormatError(f"torch takes no module of the name {quoted(name)}", _WHERE)
        if name in _SOMETIMES_TAKEN or name.startswith(_TAKEN_PREFIXES):
            raise CannotTellError(f"Some version may refuse a module of the name {quoted(name)}.")


def name_loads(
    places: Sequence[Place], modules: Sequence[Sequence[PredictedLoad]], repository: Repository
) -> Iterator[Sequence[PredictedLoad]]:
    """The loads of modules, each as far as the module stays in the model.

    Args:
        places: The modules, in the order of `modules.json`.
        modules: For each of them what it may do.
        repository: The repository that holds them.
    """
    kept = {place.name: index for index, place in enumerate(places) if isinstance(place.name, str)}
    chain = tuple(places[index] for index in kept.values())
    for index, (place, loads) in enumerate(zip(places, modules, strict=True)):
        winner = kept.get(place.name, index) if isinstance(place.name, str) else index
        if winner == index or _is_harmless(places[index : winner + 1]):
            yield loads
            continue
        replaced = _Replaced(place, places[winner], chain)
        yield [replaced.load(each, repository) for each in loads]


def _is_harmless(places: Sequence[Place]) -> bool:
    """Whether nothing changes if the last of these modules stands alone for all of them."""
    first, *others = places
    if any(each.name != first.name for each in others):
        return False
    return all(each.type.name == "Dropout" for each in places[:-1]) or all(
        each.type.name == "Normalize" for each in places
    )


@attrs.frozen
class _Replaced:
    """A module that is loaded and then replaced.

    Attributes:
        place: The module.
        winner: The one that takes its place.
        kept: Every module that stays, in the order in which they are applied.
    """

    place: Place
    winner: Place
    kept: tuple[Place, ...]

    def load(self, load: PredictedLoad, repository: Repository) -> PredictedLoad:
        """What a load comes to if the module is replaced: files are opened, and no tensor is used."""
        if load.outcome is Outcome.REFUSED:
            return load
        stored = () if self._is_kept() else tuple(sorted(self._stored(load, repository)))
        return PredictedLoad(
            loader=load.loader,
            beneath=load.beneath,
            outcome=Outcome.UNKNOWN if load.outcome is Outcome.UNKNOWN else Outcome.INCOMPLETE,
            files=load.files,
            unexpected_keys=stored,
            harmless_keys=tuple(name for name in load.harmless_keys if name in set(stored)),
            silent=True,
            reasons=(*self._unknown(load), *self._reasons()),
            sources=load.sources,
        )

    def _is_kept(self) -> bool:
        """Whether the same module stays as well, under this or another name."""
        return any((each.type, each.folder) == (self.place.type, self.place.folder) for each in self.kept)

    def _stored(self, load: PredictedLoad, repository: Repository) -> Iterator[str]:
        opened = set(load.files)
        # The tensors of a Transformer go by the names that transformers has for them, wherever it lies.
        is_model = self.place.type.takes is Takes.TRANSFORMER
        for checkpoint in repository.checkpoints.values():
            if opened.issuperset(checkpoint.files):
                folder = str(PurePosixPath(checkpoint.name).parent)
                prefix = "" if is_model or folder == "." else f"{folder}."
                yield from (f"{prefix}{name}" for name in checkpoint.tensors)

    def _unknown(self, load: PredictedLoad) -> tuple[str, ...]:
        return load.reasons if load.outcome is Outcome.UNKNOWN else ()

    def _reasons(self) -> Iterator[str]:
        kind, name = self.place.type.name, quoted(str(self.place.name))
        yield f"{self.winner.type.name} takes the place of {kind}, which has the same name {name}."
