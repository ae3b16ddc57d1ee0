"""Which files of a listing hold one model in several forms: torch, safetensors, exports to other programs.

Judged by paths alone: whether they do hold the same model is what somebody wants to find out.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import attrs

from embaudit.model.files import FileKind, kind_of
from embaudit.model.weights import preferred_weights, same_model_pairs, whole_of_index, whole_of_shard

_NO_MODEL = "tokenizer"
"""OpenVINO exports tokenizers as models: `openvino_tokenizer.bin`, `openvino_detokenizer.bin`."""


@attrs.frozen(kw_only=True)
class Form:
    """One form of a model: a single file, or an index with its shards.

    Attributes:
        name: The file or the index.
        files: Every file that belongs to it, sorted.
    """

    name: str
    files: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Export:
    """A file of another program, and the forms that it can have been made from.

    Attributes:
        path: The export.
        sources: The weights of the same model, that which loaders prefer first.
    """

    path: str
    sources: tuple[Form, ...]


@attrs.frozen(kw_only=True)
class WeightForms:
    """Every form of every model in a listing that has more than one.

    Attributes:
        pairs: Two by two, the forms of torch and safetensors; the one on the right is preferred by loaders.
        exports: The files of other programs.
    """

    pairs: tuple[tuple[Form, Form], ...] = ()
    exports: tuple[Export, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file of every form, sorted."""
        forms = [form for pair in self.pairs for form in pair]
        forms += [form for export in self.exports for form in export.sources]
        return tuple(
            sorted({path for form in forms for path in form.files} | {export.path for export in self.exports})
        )


def weight_forms(paths: Iterable[str]) -> WeightForms:
    """The forms in which a listing holds its models, where a model has more than one.

    An export belongs to the weights in its own folder, or else to those in the nearest folder above it that
    loaders open by their name: `onnx/model.onnx` to the `model.safetensors` in the root.
    """
    kinds = {path: kind_of(path) for path in paths}
    shards = _shards(kinds)
    names = frozenset(path for path, kind in kinds.items() if _is_checkpoint(path, kind))
    twins: dict[str, list[str]] = defaultdict(list)
    for other, preferred in same_model_pairs(sorted(names)):
        twins[preferred].append(other)
    pairs = tuple(
        (_form(other, shards), _form(preferred, shards))
        for preferred, others in twins.items()
        for other in others
        if (".safetensors" in other) != (".safetensors" in preferred)
    )
    exports = []
    for path in (path for path, kind in kinds.items() if _is_export(path, kind)):
        source = _preferred_above(path, names)
        if source is not None:
            sources = (source, *twins[source])
            exports.append(Export(path=path, sources=tuple(_form(name, shards) for name in sources)))
    return WeightForms(pairs=pairs, exports=tuple(exports))


def _is_export(path: str, kind: FileKind) -> bool:
    return kind is FileKind.FOREIGN_WEIGHTS and _NO_MODEL not in path.rpartition("/")[2]


def _is_checkpoint(path: str, kind: FileKind) -> bool:
    if kind is FileKind.WEIGHTS_INDEX:
        return kind_of(whole_of_index(path) or "") is FileKind.WEIGHTS
    return kind is FileKind.WEIGHTS and whole_of_shard(path) is None


def _shards(paths: Iterable[str]) -> Mapping[str, list[str]]:
    """The shards of each checkpoint, by the name that it would have as one file."""
    shards: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        whole = whole_of_shard(path)
        if whole is not None:
            shards[whole].append(path)
    return shards


def _form(name: str, shards: Mapping[str, list[str]]) -> Form:
    whole = whole_of_index(name)
    return Form(name=name, files=tuple(sorted((name, *shards.get(whole or "", ())))))


def _preferred_above(export: str, names: frozenset[str]) -> str | None:
    """The checkpoint that loaders open in the export's own folder, or in the nearest one above it."""
    folders = ("" if str(parent) == "." else str(parent) for parent in PurePosixPath(export).parents)
    found = (preferred_weights(names, folder) for folder in folders)
    return next((name for name in found if name is not None), None)
