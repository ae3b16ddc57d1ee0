"""What programs that do not run sentence-transformers take from its files: which modules, and what they pool.

Knows `modules.json` and the flags of Pooling up to 5.3. Refuses to know which of it a program looks at.
"""

from collections.abc import Iterator, Mapping

from embaudit.loaders.sentence_transformers.steps import FLAGS
from embaudit.model.embedding_pipeline import EmbeddingPipeline, PoolingMode
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository

MODULES = "modules.json"
FORMER = "sentence_transformers.models."
"""How the types of modules begin that are written up to 5.3."""
NOT_PREDICTED = "embaudit does not predict what it does with weights"


def without_weights(
    pipeline: EmbeddingPipeline | None, *reasons: str, dtype: str | None = None
) -> PredictedLoad:
    """A load of which the pipeline alone is known."""
    return PredictedLoad(loader="", outcome=Outcome.UNKNOWN, pipeline=pipeline, dtype=dtype, reasons=reasons)


def listed_modules(repository: Repository) -> Iterator[tuple[str, str]]:
    """Type and folder of the modules that `modules.json` lists, as far as it is what it should be."""
    modules = repository.declaration.documents.get(MODULES)
    for module in modules if isinstance(modules, tuple) else ():
        entry = module if isinstance(module, Mapping) else FrozenMapping[JSON]()
        kind, path = entry.get("type"), entry.get("path")
        if isinstance(kind, str) and isinstance(path, str):
            yield kind, path


def lists(repository: Repository, name: str, *, former: bool = False) -> bool:
    """Whether a module of this class is listed; with `former`, under its type up to 5.3."""
    return next(folders_of(repository, name, former=former), None) is not None


def folders_of(repository: Repository, name: str, *, former: bool = False) -> Iterator[str]:
    """The folders of the modules of this class; with `former`, of those under their types up to 5.3."""
    for kind, path in listed_modules(repository):
        if kind == f"{FORMER}{name}" or (not former and kind.rpartition(".")[2] == name):
            yield path


def settings_in(repository: Repository, folder: str) -> Mapping[str, JSON]:
    """The `config.json` of a module, or nothing."""
    document = repository.declaration.documents.get(f"{folder}/config.json" if folder else "config.json")
    return document if isinstance(document, Mapping) else FrozenMapping[JSON]()


def flags_of(settings: Mapping[str, JSON]) -> list[PoolingMode]:
    """The modes whose flags are true, in the order of the file."""
    return [FLAGS[name] for name, value in settings.items() if name in FLAGS and value is True]
