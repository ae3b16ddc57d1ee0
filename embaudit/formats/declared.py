"""The small JSON files in which a repository declares its settings.

Knows, from paths alone, which files these are: the configuration, pooling and small tokenizer files that
transformers (5.23) and sentence-transformers (6.0) read, in the root and in the folders of modules. The large
tokenizer files (`tokenizer.json`, `vocab.json`) are deliberately not among them: they are vocabularies, not
settings, and are compared by digest only. Nor are files that no loader of embeddings reads.
Refuses to know what the settings mean.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from embaudit.formats.documents import parse_json
from embaudit.formats.fields import ARRAY, OBJECT, expect, inside
from embaudit.model.frozen import JSON
from embaudit.model.limits import DEFAULT_LIMITS, Limits

MODULES = "modules.json"
"""Lists the modules of a sentence-transformers model, and the folder of each."""

_NAMES = {
    "config.json",
    MODULES,
    "config_sentence_transformers.json",
    "special_tokens_map.json",
    "added_tokens.json",
}
_SETTINGS_SUFFIX = "_config.json"
"""sentence_bert_config.json and the names of its siblings, tokenizer_config.json, adapter_config.json,
preprocessor_config.json, router_config.json, quantize_config.json, ..."""
_EXCLUDED = {"generation_config.json", "data_config.json"}
"""No loader of embeddings reads them. The second, in many repositories of sentence-transformers, is an array
of the datasets that a model was trained on."""
# Folders that sentence-transformers itself makes, index and class (1_Pooling), in a Router with the route
# before them (query_0_Transformer). TEI opens 1_Pooling whatever modules.json says.
_MODULE_FOLDER = re.compile(r"(?:\w+_)?[0-9]+_[A-Za-z]\w*", re.ASCII)


def declared_paths(
    paths: Iterable[str], modules: JSON = None, folders: Iterable[str] = ()
) -> tuple[str, ...]:
    """Those of `paths` that hold declared settings, sorted.

    Args:
        paths: Every path of the repository.
        modules: The parsed `modules.json`, whose folders count too, however they are named.
        folders: Further folders that count.
    """
    counted = {"", *_module_folders(modules), *folders}
    return tuple(sorted(path for path in paths if _is_declared(path, counted)))


_ROUTED = ("types", "structure")
_N_ROUTED = 64
"""Modules of one Router whose folders are looked at; the known ones have two to six."""


def routed_folders(documents: Mapping[str, JSON]) -> tuple[str, ...]:
    """The folders of the modules inside Routers: their names in `types`, below the folder of the Router.

    https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/base/modules/router.py

    Args:
        documents: Path to the parsed file, of those that have been read.
    """
    found: set[str] = set()
    for path, document in documents.items():
        folder = path.rpartition("/")[0]
        if not isinstance(document, Mapping) or not all(key in document for key in _ROUTED):
            continue
        types = document["types"]
        names = tuple(types)[:_N_ROUTED] if isinstance(types, Mapping) else ()
        found.update("/".join(part for part in (folder, name.strip("/")) if part) for name in names)
    return tuple(sorted(found))


def parse_declared(
    data: bytes,
    path: str,
    limits: Limits = DEFAULT_LIMITS,
    on_duplicate: Callable[[str], None] | None = None,
    on_constant: Callable[[str], None] | None = None,
) -> JSON:
    """The settings file at `path`; callbacks as for `embaudit.formats.documents.parse_json`.

    Raises:
        FormatError: If it is not strict JSON.
        LimitError: If it is too large or nests too deep.
    """
    with inside(path):
        return parse_json(data, limits=limits, on_duplicate=on_duplicate, on_constant=on_constant)


def check_declared(document: JSON, path: str) -> None:
    """Hold the settings file at `path` against the JSON type that all its readers expect of it.

    Raises:
        FormatError: If `modules.json` is not an array of objects, or any other file not an object.
    """
    with inside(path):
        if path.rpartition("/")[2] != MODULES:
            expect(document, OBJECT)
            return
        modules = expect(document, ARRAY)
        for index, module in enumerate(modules):
            expect(module, OBJECT, f"[{index}]")


def _is_declared(path: str, folders: set[str]) -> bool:
    folder, _, name = path.rpartition("/")
    if name in _EXCLUDED or not (name in _NAMES or name.endswith(_SETTINGS_SUFFIX)):
        return False
    return folder in folders or _MODULE_FOLDER.fullmatch(folder.rpartition("/")[2]) is not None


def _module_folders(modules: JSON) -> set[str]:
    """The folders that a `modules.json` names; whatever else it holds is not for here to judge."""
    if not isinstance(modules, tuple):
        return set()
    paths = (module.get("path") for module in modules if isinstance(module, Mapping))
    return {path.removeprefix("./").strip("/") for path in paths if isinstance(path, str)}
