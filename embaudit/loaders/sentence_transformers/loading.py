"""What becomes of one module: its settings, its weight file, and the tensors that it takes.

Knows every kind of module but a Transformer, and that modules load their own weights, without indexes and
without transformers. Nothing is reported by them: what does not fit is an error.
"""

from collections.abc import Iterator

import attrs
from packaging.version import Version

from embaudit.errors import FormatError
from embaudit.formats.fields import OBJECT, TEXT, examples, expect, inside, quoted, take
from embaudit.loaders.base import Setting
from embaudit.loaders.sentence_transformers.eras import SentenceTransformersEra
from embaudit.loaders.sentence_transformers.joining import NAME, join_loads, make_load, with_prefix
from embaudit.loaders.sentence_transformers.judging import CannotTellError, shown_path
from embaudit.loaders.sentence_transformers.module_files import Settings, Shapes
from embaudit.loaders.sentence_transformers.modules import ModuleType, Takes
from embaudit.loaders.transformers.eras import TransformersEra
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.prediction import MismatchedKey, Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.model.tensors import TensorInfo


@attrs.frozen(kw_only=True)
class Sight:
    """What the load of a module is predicted from.

    Attributes:
        repository: The repository.
        era: How sentence-transformers does it.
        transformers: How transformers beneath it does.
        releases: The releases of transformers of which that is so.
    """

    repository: Repository
    era: SentenceTransformersEra
    transformers: Setting[TransformersEra]
    releases: tuple[Version, ...]


@attrs.frozen(kw_only=True)
class Place:
    """A module and where its files lie.

    Attributes:
        type: Its class.
        folder: Path inside the repository without a slash at its end; empty for the root.
        name: What `modules.json` calls it, of whatever type; a digit if nothing does.
        by_default: Whether no `modules.json` names it, so that no settings file is read.
    """

    type: ModuleType
    folder: str = ""
    name: JSON = "0"
    by_default: bool = False

    def path(self, name: str) -> str:
        """The path of a file of the module."""
        return f"{self.folder}/{name}" if self.folder else name


def read_settings(sight: Sight, place: Place, *, may_lack: bool) -> Settings:
    """The arguments that the settings file of a module gives its class.

    Raises:
        FormatError: If there is none, it is not an object, or its arguments are not those of the class.
        CannotTellError: If embaudit could not read it.
    """
    paths = (place.path(name) for name in place.type.settings)
    listed = (path for path in paths if path in sight.repository.snapshot.files)
    if sight.era.passes_over_empty and place.type.takes is Takes.TRANSFORMER:
        listed = (path for path in listed if document(sight.repository, path))
    path = next(listed, None)
    if path is None:
        if not may_lack:
            raise FormatError("is missing", place.path(place.type.settings[0]))
        return _accepted(place.type, FrozenMapping(), place.folder or "settings")
    return _accepted(place.type, object_document(sight.repository, path), path)


def document(repository: Repository, path: str) -> JSON:
    """The JSON value at `path`, which is listed.

    Raises:
        CannotTellError: If embaudit could not read it.
    """
    documents = repository.declaration.documents
    if path not in documents:
        problems = (bad.problem for bad in repository.declaration.bad if bad.path == path)
        raise CannotTellError(
            f"{shown_path(path)} could not be read: {next(problems, 'it was not looked at')}."
        )
    return documents[path]


def object_document(repository: Repository, path: str) -> Settings:
    """The JSON object at `path`, which is listed.

    Raises:
        FormatError: If it is something else than an object.
        CannotTellError: If embaudit could not read it.
    """
    return expect(document(repository, path), OBJECT, path)


_N_SETTINGS = 1000
"""Settings that are looked at one by one; no class has thirty."""


def _accepted(kind: ModuleType, settings: Settings, path: str) -> Settings:
    if kind.takes is Takes.ROUTES:
        return settings
    if len(settings) > _N_SETTINGS and not kind.drops_unknown:
        raise FormatError(f"{kind.name} of this version does not know most of {len(settings)} settings", path)
    arguments = kind.arguments(settings)
    lacking = [name for name in kind.required if name not in arguments]
    if lacking:
        raise FormatError(f"{kind.name} needs {examples(lacking, 'setting')}", path)
    strangers = sorted(set(arguments) - {*kind.required, *kind.optional})
    if strangers and not kind.drops_unknown:
        raise FormatError(f"{kind.name} of this version does not know {examples(strangers, 'setting')}", path)
    return arguments


def normalize_settings(sight: Sight, place: Place) -> Settings:
    """The settings of a Normalize, where the era reads any.

    Raises:
        FormatError: If they are not an object.
        CannotTellError: If embaudit could not read them.
    """
    path = place.path("config.json")
    reads = sight.era.normalize_takes_settings and bool(place.folder)
    if not reads or path not in sight.repository.snapshot.files:
        return FrozenMapping()
    return object_document(sight.repository, path)


def load_nothing(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """A Normalize, which opens no file but its settings."""
    normalize_settings(sight, place)
    yield make_load(Outcome.FAITHFUL)


def load_unfollowed(_sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """A module of the package that embaudit does not follow."""
    yield make_load(Outcome.UNKNOWN, f"embaudit does not follow what a module {place.type.name} loads.")


def load_state(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """A module made from its settings, whose state dict must then hold exactly its tensors."""
    settings = read_settings(sight, place, may_lack=sight.era.settings_may_lack)
    judged = place.type.judge(settings)
    loads = [] if judged is None else [make_load(judged.outcome, judged.reason)]
    with inside(place.path(place.type.settings[0])):
        expected = place.type.tensors(settings)
    if expected:
        loads.append(_load_strictly(open_weights(sight, place), expected, place))
    yield join_loads(loads)


def _load_strictly(checkpoint: Checkpoint, expected: Shapes, place: Place) -> PredictedLoad:
    stored = checkpoint.tensors
    missing = sorted(set(expected) - set(stored))
    # A torch file may hold plain values beside tensors, and each is an unexpected key like any other.
    plain = () if checkpoint.format is CheckpointFormat.SAFETENSORS else checkpoint.metadata
    unexpected = sorted({*stored, *plain} - set(expected))
    mismatched = [
        MismatchedKey(name=name, stored_shape=stored[name].shape, expected_shape=shape)
        for name, shape in expected.items()
        if name in stored and stored[name].shape != shape
    ]
    faults = {
        "missing": missing,
        "unexpected": unexpected,
        "of another shape": sorted(key.name for key in mismatched),
    }
    found = "; ".join(f"{examples(names)} {fault}" for fault, names in faults.items() if names)
    load = PredictedLoad(
        loader=NAME,
        outcome=Outcome.REFUSED if found else Outcome.FAITHFUL,
        files=checkpoint.files,
        missing_keys=tuple(missing),
        unexpected_keys=tuple(unexpected),
        mismatched_keys=tuple(sorted(mismatched, key=lambda key: key.name)),
        reasons=(f"{place.type.name} loads {shown_path(checkpoint.name)} strictly: {found}.",)
        if found
        else (),
    )
    return with_prefix(load, place.folder)


def open_weights(sight: Sight, place: Place) -> Checkpoint:
    """The weight file that a module takes.

    Raises:
        FormatError: If there is none, or its reader refuses it.
        CannotTellError: If embaudit cannot tell what its reader does with it.
    """
    names = sight.era.weight_files
    path = next((path for path in map(place.path, names) if path in sight.repository.snapshot.files), None)
    if path is None:
        raise FormatError(f"there is no {' and no '.join(names)}", place.folder or "the root")
    unreadable = sight.repository.unreadable.get(path)
    if unreadable is not None and path.endswith(".safetensors") and not unreadable.limit:
        raise FormatError(f"it cannot be read ({unreadable.problem})", path)
    checkpoint = sight.repository.checkpoints.get(path)
    if checkpoint is None:
        problem = "it is not a checkpoint of its own" if unreadable is None else unreadable.problem
        raise CannotTellError(f"embaudit could not read {shown_path(path)}: {problem}.")
    _check_container(checkpoint)
    return checkpoint


def _check_container(checkpoint: Checkpoint) -> None:
    name = shown_path(checkpoint.name)
    is_safetensors = checkpoint.format is CheckpointFormat.SAFETENSORS
    if is_safetensors is not checkpoint.name.endswith(".safetensors"):
        raise FormatError(f"the name promises another format than {checkpoint.format}", checkpoint.name)
    if checkpoint.format is CheckpointFormat.TORCH_TAR:
        raise CannotTellError(f"Whether {name}, a tar, is read depends on the version of torch.")
    if checkpoint.pickle is not None and not checkpoint.pickle.tensor_only:
        raise CannotTellError(
            f"{name} holds more than tensors, which some versions of torch refuse and others run."
        )
    if checkpoint.state_dict:
        raise FormatError(f"its tensors lie below {quoted(checkpoint.state_dict)}", checkpoint.name)


def load_static_table(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """`StaticEmbedding`: the table `embedding.weight`, or what model2vec stores in its place."""
    if place.path("tokenizer.json") not in sight.repository.snapshot.files:
        raise FormatError("is missing", place.path("tokenizer.json"))
    checkpoint = open_weights(sight, place)
    if "embedding.weight" in checkpoint.tensors or not sight.era.model2vec_names:
        load = _load_table(checkpoint, "embedding.weight")
    else:
        load = _load_model2vec(checkpoint, folds=sight.era.folds_vocabulary)
    yield with_prefix(load, place.folder)


_MODEL2VEC_TABLE = "embeddings"
_MODEL2VEC_EXTRAS = ("mapping", "weights")
"""Row of each token and weight of each token, of a model2vec model whose vocabulary was made smaller."""


def _load_model2vec(checkpoint: Checkpoint, *, folds: bool) -> PredictedLoad:
    load = _load_table(checkpoint, _MODEL2VEC_TABLE)
    renamed = attrs.evolve(load, renamed_keys={_MODEL2VEC_TABLE: "embedding.weight"})
    extras = [name for name in _MODEL2VEC_EXTRAS if name in checkpoint.tensors]
    if not extras:
        return renamed
    if folds:
        left = tuple(name for name in load.unexpected_keys if name not in extras)
        reasons = (f"The table is multiplied out with {examples(extras)}.", *_dropped(checkpoint, left))
        return attrs.evolve(renamed, unexpected_keys=left, silent=bool(left), reasons=reasons)
    dropped = f"The table is used without {examples(extras)}, so tokens get vectors that are not theirs."
    return attrs.evolve(renamed, outcome=Outcome.CORRUPT, silent=True, reasons=(dropped,))


def _load_table(checkpoint: Checkpoint, name: str) -> PredictedLoad:
    """A load of one two-dimensional tensor, by name; whatever else is stored is dropped without a word."""
    table = _take_table(checkpoint, name)
    others = tuple(sorted(set(checkpoint.tensors) - {name}))
    return PredictedLoad(
        loader=NAME,
        outcome=Outcome.FAITHFUL,
        files=checkpoint.files,
        unexpected_keys=others,
        dtype=str(table.dtype),
        silent=bool(others),
        reasons=_dropped(checkpoint, others),
    )


def _dropped(checkpoint: Checkpoint, names: tuple[str, ...]) -> tuple[str, ...]:
    return (
        (f"{shown_path(checkpoint.name)} holds {examples(names)}; only the table is taken.",) if names else ()
    )


def _take_table(checkpoint: Checkpoint, name: str) -> TensorInfo:
    if name not in checkpoint.tensors:
        raise FormatError(f"it holds no {quoted(name)}", checkpoint.name)
    table = checkpoint.tensors[name]
    if len(table.shape) != 2:  # noqa: PLR2004 - a table has rows and columns
        raise FormatError(f"{quoted(name)} has {len(table.shape)} dimensions instead of 2", checkpoint.name)
    return table


_WORD_TOKENIZERS = {
    "WhitespaceTokenizer": "whitespacetokenizer_config.json",
    "PhraseTokenizer": "phrasetokenizer_config.json",
}
"""Tokenizers of the package and the file that each opens."""


def load_word_table(sight: Sight, place: Place) -> Iterator[PredictedLoad]:
    """`WordEmbeddings`: the table `emb_layer.weight`, turned into float32, and a tokenizer of its own."""
    settings = read_settings(sight, place, may_lack=sight.era.settings_may_lack)
    tokenizer = take(settings, "tokenizer_class", TEXT)
    file = _WORD_TOKENIZERS.get(tokenizer.rpartition(".")[2])
    if file is None or not tokenizer.startswith("sentence_transformers."):
        raise CannotTellError(f"embaudit does not know the tokenizer {quoted(tokenizer)}.")
    if place.path(file) not in sight.repository.snapshot.files:
        raise FormatError("is missing", place.path(file))
    load = _load_table(open_weights(sight, place), "emb_layer.weight")
    yield with_prefix(attrs.evolve(load, dtype="float32"), place.folder)
