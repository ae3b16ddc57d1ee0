"""What vectors are made of: one commit's files, its settings, and the pipeline that it declares.

Knows which repositories can be run here, and why others cannot. Refuses to run anything.
"""

import os
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import attrs
from packaging.version import Version

from embaudit.embeddings.diagnosing.native import build_tokenizer, check_config
from embaudit.embeddings.diagnosing.tokens import TOKENIZER, TokenizerFile, read_tokenizer, same_tokens
from embaudit.errors import TargetError
from embaudit.loaders import ask_loader, parse_loader
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.embedding_pipeline import EmbeddingPipeline
from embaudit.model.files import Snapshot
from embaudit.model.frozen import JSON
from embaudit.model.limits import Limits
from embaudit.model.prediction import LoadPrediction, Outcome
from embaudit.model.repository import Repository
from embaudit.model.weights import preferred_weights
from embaudit.reading import read_repository
from embaudit.sources import open_snapshot

REFERENCE = "sentence-transformers==6.2.0"
"""Whose vectors are the reference: what the settings of a repository mean is what it makes of them."""

_FIRST_BENEATH = Version("5.0.0")
"""The oldest transformers that this release of it stands on."""

MOST_WEIGHT_FILES = 4
"""Other weight files of the repository that are tried."""

TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
"""Files that decide on the tokenizer beside `tokenizer.json`."""

_TRANSFORMER_SETTINGS = "sentence_bert_config.json"

_CONFIG = "config.json"

_MODULES_RUN = {"Transformer", "Pooling", "Dense", "Normalize"}
"""Modules of sentence-transformers that are built here."""


@attrs.frozen(kw_only=True, eq=False)
class Material:
    """One commit.

    Attributes:
        repository: Its files and the headers of its weight files.
        pipeline: What it declares.
        weights: The weight file that loaders open first.
        others: Weight files beside it that may hold the same model.
        dtype: The type that the reference computes in, by torch's name.
        tokenizer: How its texts are tokenized.
    """

    repository: Repository
    pipeline: EmbeddingPipeline
    weights: str
    others: tuple[str, ...]
    dtype: str
    tokenizer: TokenizerFile

    @property
    def snapshot(self) -> Snapshot:
        """The commit's files."""
        return self.repository.snapshot

    @property
    def config(self) -> Mapping[str, JSON]:
        """The content of `config.json`."""
        return self.repository.declaration.config

    def checkpoint(self, name: str) -> Checkpoint:
        """The header of a weight file."""
        return self.repository.checkpoints[name]

    def predict(self, loader: str) -> LoadPrediction:
        """What a loader would do with it."""
        return ask_loader(self.repository, parse_loader(loader))


def read_material(target: str | os.PathLike[str] | Snapshot, limits: Limits) -> Material:
    """Everything that vectors of a repository are made of, the tensors themselves left in their files.

    Raises:
        TargetError: If the target is not found, or is a repository that is not run here: a model without
            `tokenizer.json`, weights that do not fill the model, modules or pooling that are not known.
        SourceError: If bytes cannot be read.
        FormatError: If a file does not follow its format.
        LimitError: If a file exceeds a limit.
    """
    snapshot = open_snapshot(target, limits=limits)
    repository = read_repository(snapshot, limits, exact=True)
    _check_readable(repository)
    check_config(repository.declaration.config)
    prediction = ask_loader(repository, parse_loader(_reference()))
    if prediction.outcome is not Outcome.FAITHFUL:
        why = " ".join(prediction.reasons[:1])
        raise TargetError(
            f"there are no reference vectors: {REFERENCE} is predicted to be {prediction.outcome}. {why}"
        )
    weights = preferred_weights(repository.checkpoints)
    if weights is None:
        raise TargetError("no weight file in the root of the repository is one that loaders open")
    pipeline = _checked(prediction.pipeline)
    return Material(
        repository=repository,
        pipeline=pipeline,
        weights=weights,
        others=tuple(_others(repository, weights))[:MOST_WEIGHT_FILES],
        dtype=prediction.dtype or "float32",
        tokenizer=_tokenizer(repository, pipeline, read_tokenizer(snapshot, limits)),
    )


def _check_readable(repository: Repository) -> None:
    """Refuse a repository whose `config.json` is not there to be read, and say what is there instead."""
    found = repository.declaration.documents.get(_CONFIG)
    if isinstance(found, Mapping):
        return
    if found is not None:
        raise TargetError(f"`{_CONFIG}` is not a JSON object")
    bad = next((each for each in repository.declaration.bad if each.path == _CONFIG), None)
    entry = repository.snapshot.files.get(_CONFIG)
    if bad is not None:
        raise TargetError(f"`{_CONFIG}` cannot be used: {bad.problem}")
    if entry is not None:
        raise TargetError(f"`{_CONFIG}` cannot be read: it is {entry.state} {entry.detail}".rstrip())
    raise TargetError(f"the repository has no `{_CONFIG}` that is a regular file")


def _tokenizer(repository: Repository, pipeline: EmbeddingPipeline, stored: TokenizerFile) -> TokenizerFile:
    """The tokenizer that transformers builds, with what sentence-transformers puts before it.

    Where that is not known, `tokenizer.json` stands in for it, and the doubt is kept.
    """
    documents: dict[str, JSON] = {TOKENIZER: stored.document}
    for name in TOKENIZER_SETTINGS:
        content = repository.declaration.documents.get(name)
        if content is not None:
            documents[name] = content
    documents["tokenizer_config.json"] = _with_options(repository, documents)
    try:
        made = build_tokenizer(repository.declaration.config, documents, repository.snapshot.repo_id)
    except TargetError as error:
        doubt = f"Texts are tokenized after `{TOKENIZER}` alone, and loaders may do otherwise: {error}."
        found = attrs.evolve(stored, doubt=doubt, padding_side=pipeline.padding_side or "right")
    else:
        found = TokenizerFile(
            document=made.document,
            stored=None if same_tokens(made.document, stored.document) else stored.document,
            padding_side=made.padding_side,
            cut_side=made.cut_side,
        )
    return found.lowercasing_first() if pipeline.lowercase and not found.lowercases else found


def _with_options(repository: Repository, documents: Mapping[str, JSON]) -> JSON:
    """`tokenizer_config.json`, and over it what sentence-transformers passes on besides."""
    settings = documents.get("tokenizer_config.json")
    options = repository.declaration.documents.get(_TRANSFORMER_SETTINGS)
    given = dict(settings) if isinstance(settings, Mapping) else {}
    for name in ("tokenizer_args", "processor_kwargs"):
        more = options.get(name) if isinstance(options, Mapping) else None
        given |= dict(more) if isinstance(more, Mapping) else {}
    return given


def _reference() -> str:
    """Who is asked what the reference is: on the transformers installed, if it stands there."""
    installed = Version(version("transformers"))
    return REFERENCE if installed < _FIRST_BENEATH else f"{REFERENCE} with transformers=={installed.public}"


def _checked(pipeline: EmbeddingPipeline | None) -> EmbeddingPipeline:
    if pipeline is None or not pipeline.pooling or pipeline.normalize is None:
        why = " ".join(pipeline.notes[:1]) if pipeline is not None else ""
        raise TargetError(f"how {REFERENCE} makes one vector of the tokens is not known. {why}".rstrip())
    strangers = [name for name in pipeline.modules if name not in _MODULES_RUN]
    if strangers:
        raise TargetError(f"`modules.json` has a {strangers[0]}, which is not built here")
    return pipeline


def _others(repository: Repository, weights: str) -> Iterator[str]:
    """Checkpoints of the root whose tensors have about the names of the preferred one."""
    wanted = _last_words(repository.checkpoints[weights])
    for name, checkpoint in repository.checkpoints.items():
        if name != weights and "/" not in name and wanted & _last_words(checkpoint):
            yield name


def _last_words(checkpoint: Checkpoint) -> frozenset[str]:
    """The ends of the tensors' names, which prefixes and containers leave alone."""
    return frozenset(".".join(name.split(".")[-3:]) for name in checkpoint.tensors)
