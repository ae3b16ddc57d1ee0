"""What keeps text-embeddings-inference from starting with a repository, before any tensor is read.

Knows the small files that its router reads, and what it demands of each. Knows nothing of what the settings
do to embeddings that come out: only whether the server starts.

Source: `run` and `get_backend_model_type` in
https://github.com/huggingface/text-embeddings-inference/blob/v1.9.3/router/src/lib.rs, and its states at the
older tags that the eras name.
"""

from collections.abc import Iterator, Mapping

import attrs

from embaudit.loaders.listing import exists, is_unseen
from embaudit.loaders.serde import Field, Fields, Kind, Presence, first_problem, required, shown
from embaudit.loaders.tei.eras import PoolingFile, TeiEra
from embaudit.loaders.tei.files import why_unread
from embaudit.loaders.tei.models import TeiModel
from embaudit.model.declaration import Declaration
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.repository import Repository

CONFIG = "config.json"
POOLING = "1_Pooling/config.json"
"""The only place where a pooling file is looked for, whatever modules.json says."""
TOKENIZER = "tokenizer.json"
PROMPTS = "config_sentence_transformers.json"
_VOCABULARIES = frozenset(
    {
        *("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model"),
        "sentencepiece.bpe.model",
    }
)
"""Files of tokenizers that are not `tokenizer.json`."""
LENGTH_FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""Files with a `max_seq_length`; the first one that exists counts.
https://github.com/huggingface/text-embeddings-inference/blob/v1.9.3/core/src/download.rs"""

_MODES = "pooling_mode_cls_token pooling_mode_mean_tokens"
_POOLING_FIELDS: Mapping[PoolingFile, Fields] = {
    PoolingFile.FOUR_MODES: required(
        Kind.TRUTH, f"{_MODES} pooling_mode_max_tokens pooling_mode_mean_sqrt_len_tokens"
    ),
    PoolingFile.TWO_MODES: (
        *required(Kind.TRUTH, _MODES),
        Field("pooling_mode_lasttoken", Kind.TRUTH, Presence.DEFAULTED),
    ),
}
_POOLING_MODES = (
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_lasttoken", "last_token"),
)
"""The first one that is true counts."""


@attrs.frozen(kw_only=True)
class Start:
    """What comes of the settings.

    Attributes:
        model: The model that is meant; None if there is none or it does not come to that.
        refusal: Why the server does not start, one sentence; empty if it does.
        pooling_refusal: Why it does not start unless `--pooling` is given, one sentence; empty if it does.
        doubts: What embaudit does not know of how these settings are read, one sentence each.
        remarks: What is wrong with the repository and does not touch its weights, one sentence each.
    """

    model: TeiModel | None = None
    refusal: str = ""
    pooling_refusal: str = ""
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def start_server(repository: Repository, era: TeiEra, backend: str) -> Start:
    """What comes of a repository's settings in an era and a backend."""
    config = repository.declaration.config
    refusal = next(_router_refusals(repository, era), "")
    if refusal:
        return Start(refusal=refusal)
    model = next((each for each in era.models if _is_meant(each, config)), None)
    return Start(
        model=model,
        pooling_refusal=_pooling_refusal(repository, era, model, backend),
        doubts=tuple(_doubts(repository, era, config)),
        remarks=tuple(_remarks(repository)),
    )


def model_refusal(start: Start, era: TeiEra, backend: str, config: Mapping[str, JSON]) -> str:
    """Why the candle backend does not take the configuration, one sentence; empty if it does."""
    named = shown(config.get("model_type"))
    if start.model is None:
        return f"The `model_type` {named} is none that this version's candle backend has."
    if start.model.cuda_only and backend == "cpu":
        return f"The `model_type` {named} is only supported on CUDA devices."
    problem = first_problem(config, start.model.fields, era.activations)
    return f"`{CONFIG}` is refused for the `model_type` {named}: {problem}." if problem else ""


def document_at(declaration: Declaration, path: str) -> tuple[JSON, str]:
    """A settings file, and why it cannot be parsed if it cannot."""
    bad = next((each for each in declaration.bad if each.path == path and not each.usable), None)
    if bad is not None:
        return FrozenMapping(), bad.problem
    if path not in declaration.documents:
        return FrozenMapping(), "it was not read"
    return declaration.documents[path], ""


def _is_meant(model: TeiModel, config: Mapping[str, JSON]) -> bool:
    return config.get("model_type") in model.model_types and model.means(config)


def _router_refusals(repository: Repository, era: TeiEra) -> Iterator[str]:
    """Why the router stops, in the order in which it looks, `--pooling` left aside."""
    if not exists(repository.snapshot, CONFIG):
        yield f"There is no `{CONFIG}`."
    yield from _demand(repository, CONFIG, era.router)
    yield from _classifier(repository.declaration.config, era)
    if not exists(repository.snapshot, TOKENIZER) and _has_vocabulary(repository):
        yield f"There is no `{TOKENIZER}`, and other files of a tokenizer are not read."
    length_file = next((name for name in LENGTH_FILES if exists(repository.snapshot, name)), "")
    if era.length_file and length_file:
        yield from _demand(repository, length_file, required(Kind.COUNT, "max_seq_length"))
    if era.prompts_file and exists(repository.snapshot, PROMPTS):
        yield from _demand(repository, PROMPTS, (Field("prompts", Kind.TEXTS_BY_NAME, Presence.OPTIONAL),))


def _demand(repository: Repository, path: str, fields: Fields) -> Iterator[str]:
    document, problem = document_at(repository.declaration, path)
    problem = problem or first_problem(document, fields)
    if problem:
        yield f"`{path}` cannot be parsed: {problem}."


def _classifier(config: Mapping[str, JSON], era: TeiEra) -> Iterator[str]:
    """Whether an architecture makes the server a classifier, whose `/embed` answers with an error."""
    architectures = config.get("architectures")
    if not era.classifiers or not isinstance(architectures, tuple):
        return
    labelled = config.get("id2label") is not None and config.get("label2id") is not None
    for name in architectures:
        spared = name == "NewForTokenClassification" and era.labelled_gte and not labelled
        if isinstance(name, str) and name.endswith("Classification") and not spared:
            yield f"`architectures` names {name[:80]}: what it serves is a classifier, without embeddings."


def _has_vocabulary(repository: Repository) -> bool:
    return any(exists(repository.snapshot, name) for name in _VOCABULARIES)


def _pooling_refusal(repository: Repository, era: TeiEra, model: TeiModel | None, backend: str) -> str:
    if not exists(repository.snapshot, POOLING):
        type_name = repository.declaration.model_type or ""
        if era.pooling is PoolingFile.NONE_FOR_BERT and "bert" in type_name.lower():
            return ""
        return f"There is no `{POOLING}`, and without `--pooling` the server does not start."
    document, problem = document_at(repository.declaration, POOLING)
    fields = _pooling_fields(era)
    problem = problem or first_problem(document, fields)
    if problem:
        return f"`{POOLING}` cannot be parsed: {problem}; without `--pooling` the server does not start."
    mode = _mode(document, fields)
    if mode is None:
        return f"`{POOLING}` has no mode that it supports; without `--pooling` the server does not start."
    if model is not None and mode not in model.poolings(backend):
        named = shown(repository.declaration.config.get("model_type"))
        return f"`{POOLING}` asks for {mode}, which the `model_type` {named} does not have here."
    return ""


def pooling_mode(repository: Repository, era: TeiEra) -> str | None:
    """How a repository is pooled, by the server's name for it, if the command line does not say; or None."""
    if not exists(repository.snapshot, POOLING):
        return "cls" if era.pooling is PoolingFile.NONE_FOR_BERT else None
    document, problem = document_at(repository.declaration, POOLING)
    fields = _pooling_fields(era)
    return None if problem or first_problem(document, fields) else _mode(document, fields)


def _pooling_fields(era: TeiEra) -> Fields:
    return _POOLING_FIELDS.get(era.pooling, _POOLING_FIELDS[PoolingFile.TWO_MODES])


def _mode(document: JSON, fields: Fields) -> str | None:
    named = {field.name for field in fields}
    settings = document if isinstance(document, Mapping) else FrozenMapping()
    return next(
        (mode for field, mode in _POOLING_MODES if field in named and settings.get(field) is True), None
    )


def _doubts(repository: Repository, era: TeiEra, config: Mapping[str, JSON]) -> Iterator[str]:
    if is_unseen(repository.snapshot, TOKENIZER):
        yield why_unread(repository.snapshot, TOKENIZER)
    for bad in repository.declaration.bad:
        if bad.usable and bad.path in {CONFIG, POOLING, PROMPTS, *LENGTH_FILES}:
            yield f"Whether this reader takes `{bad.path}` is not known: {bad.problem}."
    for field in era.doubtful_nulls:
        if field in config and config[field] is None:
            yield f"Whether this version takes null for `{field}` of `{CONFIG}` is not known."


def _remarks(repository: Repository) -> Iterator[str]:
    if not exists(repository.snapshot, TOKENIZER):
        yield f"There is no tokenizer here; the server does not start without `{TOKENIZER}`."
