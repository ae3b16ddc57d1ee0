"""Which Dense modules of sentence-transformers the server applies, and what it takes from them.

Knows the history: none before 1.8.0, the folder `2_Dense` in 1.8.0, those of modules.json from 1.8.1 on for a
model served by its name and from 1.8.3 on for a folder too. A modules.json with any type but the four that it
knows is not read at all, with a warning.

Source: `parse_dense_paths_from_modules` and `download_dense_modules` of `backends/src/lib.rs`, and
`backends/candle/src/models/dense.rs`, in https://github.com/huggingface/text-embeddings-inference/tree/v1.9.3.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.loaders.candle_reading import CandleRead, read_with_candle
from embaudit.loaders.candle_words import cut
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.listing import exists
from embaudit.loaders.serde import Field, Kind, Presence, first_problem, required
from embaudit.loaders.tei.eras import DenseModules, TeiEra
from embaudit.loaders.tei.files import SAFETENSORS, TORCH, Served, files_of, weights_at
from embaudit.loaders.tei.settings import document_at
from embaudit.model.embedding_pipeline import DenseLayer
from embaudit.model.frozen import JSON
from embaudit.model.prediction import MismatchedKey, MisreadKey
from embaudit.model.repository import Repository

MODULES = "modules.json"
_FOLDER = "2_Dense"
_MOST_MODULES = 100
"""Modules of one modules.json that are looked at; a model has three to five."""
_TYPES = tuple(
    f"sentence_transformers.models.{name}" for name in ("Transformer", "Pooling", "Dense", "Normalize")
)
_MODULE_FIELDS = (
    *required(Kind.COUNT, "idx"),
    *required(Kind.TEXT, "name path"),
    Field("type", Kind.TEXT, only=_TYPES),
)
_TANH = "torch.nn.modules.activation.Tanh"
_DENSE_FIELDS = (
    *required(Kind.COUNT, "in_features out_features"),
    *required(Kind.TRUTH, "bias"),
    Field(
        "activation_function",
        Kind.TEXT,
        Presence.OPTIONAL,
        only=(_TANH, "torch.nn.modules.linear.Identity"),
    ),
)


@attrs.frozen(kw_only=True)
class DensePart:
    """What comes of one Dense module. Names of tensors have the module's folder before them.

    Attributes:
        files: The weight files that are opened.
        refusals: Why the server does not start, one sentence each.
        reasons: What is wrong, one sentence each.
        missing_keys: Tensors that it asks for and that cannot be had.
        unexpected_keys: Stored tensors that are not taken.
        mismatched_keys: Tensors of another shape.
        misread_keys: Tensors that come out with wrong values.
        changed: Whether the model becomes another one than its author's.
        silent: Whether the server says nothing of that.
        doubts: What embaudit cannot decide, one sentence each.
        layer: What it does to a vector; None if it is not applied.
    """

    files: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    missing_keys: tuple[str, ...] = ()
    unexpected_keys: tuple[str, ...] = ()
    mismatched_keys: tuple[MismatchedKey, ...] = ()
    misread_keys: tuple[MisreadKey, ...] = ()
    changed: bool = False
    silent: bool = False
    doubts: tuple[str, ...] = ()
    layer: DenseLayer | None = None


def load_dense(repository: Repository, era: TeiEra, served: Served) -> tuple[DensePart, ...]:
    """What comes of every Dense module that is listed or applied."""
    modules = repository.declaration.documents.get(MODULES)
    if isinstance(modules, tuple) and len(modules) > _MOST_MODULES:
        many = f"`{MODULES}` lists {len(modules):,} modules, more than embaudit looks at ({_MOST_MODULES:,})."
        return (DensePart(doubts=(many,)),)
    listed, fault = listed_dense(repository), _fault_of_list(repository)
    applied = _applied(repository, era, served, listed if not fault else ())
    left_out = (_left_out(repository, path, era, fault) for path in listed if path not in applied)
    return (*(_load(repository, path, era, served, listed) for path in applied), *left_out)


def listed_dense(repository: Repository) -> tuple[str, ...]:
    """The folders of the Dense modules that modules.json lists, under whatever class path, in its order.

    A folder that is listed twice is given once: what comes of it is the same.
    """
    modules = repository.declaration.documents.get(MODULES)
    return tuple(dict.fromkeys(_dense_paths(modules)))


def _dense_paths(modules: JSON) -> Iterator[str]:
    for module in modules if isinstance(modules, tuple) else ():
        if not isinstance(module, Mapping):
            continue
        kind, path = module.get("type"), module.get("path")
        if isinstance(kind, str) and isinstance(path, str) and kind.rpartition(".")[2] == "Dense":
            yield path


def _fault_of_list(repository: Repository) -> str:
    """Why modules.json is not read, one clause; empty if it is."""
    modules, problem = document_at(repository.declaration, MODULES)
    if problem or not isinstance(modules, tuple):
        return problem or "it holds no list"
    return next((fault for module in modules if (fault := first_problem(module, _MODULE_FIELDS))), "")


def _applied(repository: Repository, era: TeiEra, served: Served, listed: tuple[str, ...]) -> tuple[str, ...]:
    match era.dense:
        case DenseModules.NONE:
            return ()
        case DenseModules.IN_2_DENSE:
            return (_FOLDER,) if exists(repository.snapshot, f"{_FOLDER}/config.json") else ()
        case DenseModules.LISTED_BY_NAME:
            return listed if served is Served.BY_NAME else ()
        case DenseModules.LISTED:
            return listed


def _left_out(repository: Repository, path: str, era: TeiEra, fault: str) -> DensePart:
    """A Dense module that is listed and not applied."""
    read = _weights_path(repository, path)
    checkpoint = repository.checkpoints.get(read) if read else None
    names = checkpoint.tensors if checkpoint is not None else ()
    warned = bool(fault) and era.dense in (DenseModules.LISTED, DenseModules.LISTED_BY_NAME)
    why = f": `{MODULES}` is not used, for {fault}" if warned else ""
    return DensePart(
        reasons=(f"The Dense module in `{cut(path)}` is not applied{why}.",),
        unexpected_keys=tuple(f"{path}.{name}" for name in names),
        changed=True,
        silent=not warned,
    )


def _weights_path(repository: Repository, path: str) -> str:
    """The weight file of a module, safetensors first; empty if it has none."""
    paths = (f"{path}/{SAFETENSORS}", f"{path}/{TORCH}")
    return next((each for each in paths if exists(repository.snapshot, each)), "")


def _load(
    repository: Repository, path: str, era: TeiEra, served: Served, listed: tuple[str, ...]
) -> DensePart:
    """A Dense module that is applied."""
    where = _weights_path(repository, path)
    if not where and (served is Served.AS_FOLDER or era.dense is DenseModules.IN_2_DENSE):
        return _unwarranted(path)
    config, problem = document_at(repository.declaration, f"{path}/config.json")
    problem = problem or first_problem(config, _DENSE_FIELDS)
    if problem or not isinstance(config, Mapping):
        return DensePart(refusals=(f"`{cut(path)}/config.json` cannot be parsed: {problem}.",))
    if not where:
        return DensePart(refusals=(f"The Dense module in `{cut(path)}` has no weight file.",))
    weights = weights_at(repository, where)
    if weights.checkpoint is None:
        return DensePart(
            files=(where,),
            refusals=(weights.refusal,) if weights.refusal else (),
            doubts=(weights.doubt,) if weights.doubt else (),
        )
    read = read_with_candle(weights.checkpoint, era.candle)
    part = _take(path, _expected(config), read)
    unlisted = not listed or path not in listed
    remark = f"The Dense module in `{cut(path)}` is applied, though `{MODULES}` does not list it."
    return attrs.evolve(
        part,
        files=files_of(weights.checkpoint),
        reasons=(*part.reasons, *([remark] if unlisted else [])),
        changed=part.changed or unlisted,
        silent=part.silent or unlisted,
        layer=_layer(path, config),
    )


def _layer(path: str, config: Mapping[str, JSON]) -> DenseLayer:
    """What a Dense module does to a vector; without an activation, nothing is applied last."""
    activation = config.get("activation_function")
    return DenseLayer(
        path=path,
        in_features=_size(config, "in_features"),
        out_features=_size(config, "out_features"),
        bias=config.get("bias") is True,
        activation=activation if activation == _TANH else "",
    )


def _unwarranted(path: str) -> DensePart:
    """A Dense module without weights, which is passed over with a warning."""
    return DensePart(
        reasons=(f"The Dense module in `{cut(path)}` has no weight file and is not applied.",), changed=True
    )


def _expected(config: Mapping[str, JSON]) -> dict[str, tuple[int, ...]]:
    """The tensors of a Dense module with their shapes; its fields have been checked."""
    n_in, n_out = _size(config, "in_features"), _size(config, "out_features")
    shapes: dict[str, tuple[int, ...]] = {"linear.weight": (n_out, n_in)}
    return {**shapes, "linear.bias": (n_out,)} if config.get("bias") is True else shapes


def _size(config: Mapping[str, JSON], field: str) -> int:
    value = config.get(field)
    return value if isinstance(value, int) else 0


def _take(path: str, expected: Mapping[str, tuple[int, ...]], read: CandleRead) -> DensePart:
    """What is taken from the weights of a Dense module."""
    missing = [name for name in expected if name not in read.tensors or name in read.failing]
    mismatched = [
        MismatchedKey(
            name=f"{path}.{name}", stored_shape=read.tensors[name].shape, expected_shape=expected[name]
        )
        for name in expected
        if name not in missing and read.tensors[name].shape != expected[name]
    ]
    others = sorted({*read.tensors, *read.dropped, *read.skipped} - set(expected))
    foreign = next((name for name in others if why_harmless(name) is None), None)
    changed = foreign is not None
    return DensePart(
        refusals=tuple(_complaints(path, read, missing, mismatched)),
        missing_keys=tuple(f"{path}.{name}" for name in missing) if not read.refusal else (),
        unexpected_keys=tuple(f"{path}.{name}" for name in others),
        mismatched_keys=tuple(mismatched),
        misread_keys=tuple(
            attrs.evolve(read.misread[name], name=f"{path}.{name}")
            for name in expected
            if name in read.misread
        ),
        reasons=(f"The Dense module in `{cut(path)}` stores {cut(foreign)}, which is not taken.",)
        if foreign is not None
        else (),
        changed=changed,
        silent=changed,
        doubts=read.doubts,
    )


def _complaints(
    path: str, read: CandleRead, missing: list[str], mismatched: list[MismatchedKey]
) -> Iterator[str]:
    """Why a Dense module cannot be loaded, one sentence each."""
    if read.refusal:
        yield read.refusal
        return
    for name in missing[:1]:
        yield f"The Dense module in `{cut(path)}` ends in the error: cannot find tensor {name}."
    for key in mismatched[:1]:
        yield f"The Dense module in `{cut(path)}` ends in the error: shape mismatch for {cut(key.name)}."
