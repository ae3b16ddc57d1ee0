"""`EMB31x`: settings of a repository that readers understand differently, or that cannot hold.

Asks nothing of loaders: these are faults of the files themselves.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from embaudit.formats.fields import quoted
from embaudit.loaders import declared_pipeline
from embaudit.loaders.hidden_sizes import has_table_of_positions, positions, whole
from embaudit.loaders.sentence_transformers import ERAS, RELEASES, settings_refusal
from embaudit.loaders.tei import TEI
from embaudit.loaders.tei.pipelines import declared_mode
from embaudit.model.checkpoint import Checkpoint
from embaudit.model.declaration import Declaration
from embaudit.model.embedding_pipeline import PoolingMode
from embaudit.model.files import Snapshot
from embaudit.model.findings import Observation, Severity, Where
from embaudit.model.frozen import JSON, FrozenMapping
from embaudit.model.repository import Repository
from embaudit.rules.evidence import listed
from embaudit.rules.pipelines import modes_named
from embaudit.rules.registry import rule

_POOLING = "1_Pooling/config.json"
_CONFIG = "config_sentence_transformers.json"


@rule("EMB310", Severity.WARNING)
def pooling_is_ambiguous(snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """The pooling file means different things to different readers.

    Several modes at once are concatenated by sentence-transformers, while text-embeddings-inference takes the
    first of cls, mean and last token. A file without `pooling_mode_mean_tokens` means the mean as well to
    sentence-transformers before 5.4, and not to later ones. A file with `pooling_mode` and the older flags
    means the one to new readers and the others to old ones.
    """
    if _POOLING not in snapshot.files:
        return
    repository = Repository(snapshot=snapshot, declaration=declaration)
    readings = {reader: modes for reader, modes in _readings(repository) if modes}
    if len(set(readings.values())) < 2:  # noqa: PLR2004 - different means two
        return
    by_modes: dict[tuple[PoolingMode, ...], list[str]] = {}
    for reader, modes in readings.items():
        by_modes.setdefault(modes, []).append(reader)
    told = "; ".join(f"{modes_named(modes)} to {', '.join(readers)}" for modes, readers in by_modes.items())
    yield Observation(
        message=f"The pooling file means {told}: vectors point in different directions.",
        where=Where(path=_POOLING),
        evidence={"readers": {reader: modes_named(modes) for reader, modes in readings.items()}},
        remedy="Write every flag of the older format, one of them true, and leave `pooling_mode` out.",
    )


def _readings(repository: Repository) -> Iterator[tuple[str, tuple[PoolingMode, ...] | None]]:
    """Every reader of the file, and how it would pool; nothing where it would refuse."""
    for flags_stand_alone in (False, True):
        eras = [era for era in ERAS if era.flags_stand_alone is flags_stand_alone]
        releases = [each for each in RELEASES if any(each in era.versions for era in eras)]
        pipeline = declared_pipeline(repository, eras[-1])
        yield f"sentence-transformers {releases[0]} to {releases[-1]}", pipeline.pooling
    mode = declared_mode(repository, TEI.eras[-1])
    yield "text-embeddings-inference", None if mode is None else (mode,)


_TABLES = re.compile(r"(?:^|\.)(?:word_embeddings|embed_tokens|wte|tok_embeddings|shared|embedding)\.weight$")
"""Names of the table that has a row for each token."""


@rule("EMB311", Severity.ERROR)
def tokens_without_rows(declaration: Declaration, checkpoint: Checkpoint) -> Iterator[Observation]:
    """The tokenizer has tokens for which the model has no row.

    `added_tokens.json`, `tokenizer_config.json` or `vocab_size` speak of more tokens than the table of
    embeddings has rows. A text with such a token ends in an error on a CPU, in an assertion on a GPU, and
    without either in the values of other memory. Tables are often larger than the vocabulary; that is fine.
    """
    folder = checkpoint.name.rpartition("/")[0]
    tables = [each for name, each in checkpoint.tensors.items() if _TABLES.search(name)]
    sizes = [each.shape[0] for each in tables if len(each.shape) == 2]  # noqa: PLR2004 - rows and columns
    if not sizes:
        return
    rows = max(sizes)
    for path, n_tokens in _vocabularies(declaration, folder):
        if n_tokens > rows:
            yield Observation(
                message=f"`{path}` speaks of {n_tokens:,} tokens, and `{checkpoint.name}` has {rows:,} rows.",
                where=Where(path=path),
                evidence={"tokens": n_tokens, "rows": rows, "checkpoint": checkpoint.name},
                remedy="Resize the table (`resize_token_embeddings`), or restore its own tokenizer.",
            )


def _vocabularies(declaration: Declaration, folder: str) -> Iterator[tuple[str, int]]:
    """Files that speak of tokens, and how many there are if the largest number is the last."""
    start = f"{folder}/" if folder else ""
    config = _object(declaration, f"{start}config.json")
    added = _object(declaration, f"{start}added_tokens.json")
    tokenizer = _object(declaration, f"{start}tokenizer_config.json").get("added_tokens_decoder")
    numbers = [number for number in map(whole, added.values()) if number is not None]
    written = tokenizer.keys() if isinstance(tokenizer, Mapping) else ()
    decoded = [int(number) for number in written if number.isdecimal() and len(number) <= _DIGITS]
    for name, found in (
        ("config.json", [(whole(config.get("vocab_size")) or 0) - 1]),
        ("added_tokens.json", numbers),
        ("tokenizer_config.json", decoded),
    ):
        yield f"{start}{name}", max(found, default=-1) + 1


_DIGITS = 12
"""Digits of a token's number that are read; no vocabulary needs as many."""


def _object(declaration: Declaration, path: str) -> Mapping[str, JSON]:
    document = declaration.documents.get(path)
    return document if isinstance(document, Mapping) else FrozenMapping[JSON]()


@rule("EMB312", Severity.WARNING)
def code_is_not_pinned(declaration: Declaration) -> Iterator[Observation]:
    """The repository has code of another repository run, at whatever commit that is at.

    `auto_map` and `modules.json` may name a class as `org/name--file.Class`. With `trust_remote_code` that
    code is run from the newest commit of the other repository: pinning this one does not pin it, and vectors
    may change, or worse, without a change here. Code of the repository itself is pinned with it.
    """
    for path, named in remote_classes(declaration):
        repositories = dict.fromkeys(name.partition("--")[0] for name in named)
        told = ", ".join(quoted(name) for name in repositories)
        yield Observation(
            message=f"`{path}` has code of {told} run, without a commit.",
            where=Where(path=path, field="auto_map" if path != "modules.json" else "type"),
            evidence={"classes": listed(named), "repositories": listed(repositories)},
            remedy="Pass `code_revision` with a commit hash, or copy the code into the repository.",
        )


def remote_classes(declaration: Declaration) -> Iterator[tuple[str, list[str]]]:
    """Files that name classes of other repositories, and those names."""
    for path, document in declaration.documents.items():
        if path == "modules.json":
            entries = document if isinstance(document, tuple) else ()
            named = [entry.get("type") for entry in entries if isinstance(entry, Mapping)]
        else:
            classes = document.get("auto_map") if isinstance(document, Mapping) else None
            named = [each for value in _values(classes) for each in _several(value)]
        others = [name for name in named if isinstance(name, str) and "--" in name]
        if others:
            yield path, others


def _values(mapping: JSON) -> Sequence[JSON]:
    return tuple(mapping.values()) if isinstance(mapping, Mapping) else ()


def _several(value: JSON) -> Sequence[JSON]:
    """A class, or those of an array: tokenizers have a slow one and a fast one."""
    return value if isinstance(value, tuple) else (value,)


@rule("EMB313", Severity.WARNING)
def texts_are_longer_than_positions(snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """Texts may be longer than the model has positions.

    `max_seq_length` or the `model_max_length` of the tokenizer is larger than the table of positions of a
    model like BERT. Up to its end all is well; the first text beyond ends in an error.
    """
    declared = declared_pipeline(Repository(snapshot=snapshot, declaration=declaration)).max_seq_length
    limit = positions(declaration.config) if has_table_of_positions(declaration.config) else None
    if declared is not None and limit is not None and declared > limit:
        yield Observation(
            message=f"Texts end at {declared:,} tokens, and the model has {limit:,} positions.",
            where=Where(path="config.json", field="max_position_embeddings"),
            evidence={"max_seq_length": declared, "positions": limit},
            remedy="Set `max_seq_length` to no more than the positions that there are.",
        )


@rule("EMB314", Severity.WARNING)
def settings_are_refused(snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """The settings of the modules are malformed.

    `modules.json`, the settings of a module, of its tokenizer or `config_sentence_transformers.json` hold
    something that the newest sentence-transformers refuses, whatever the weights: a mode or an argument that
    it does not know, an argument that is missing, a default prompt that is none of the prompts.
    """
    if "modules.json" not in snapshot.files:
        return
    reason = settings_refusal(Repository(snapshot=snapshot, declaration=declaration))
    if reason:
        yield Observation(
            message=f"sentence-transformers refuses the settings: {reason}",
            where=Where(path="modules.json"),
            evidence={"reason": reason},
            remedy="Save the model again with sentence-transformers, or restore the file.",
        )


@rule("EMB315", Severity.ERROR)
def vectors_are_cut_to_no_size(snapshot: Snapshot, declaration: Declaration) -> Iterator[Observation]:
    """`truncate_dim` is no number of components, and vectors lose what nobody meant to cut.

    sentence-transformers 5.4 and later cut vectors as python slices: of 0 or false nothing is left, of true
    one component, and a number below 0 drops as many from the end. Nothing is reported. With text
    and fractions every text ends in an error, which is EMB308.
    """
    config = _object(declaration, _CONFIG)
    asked = config.get("truncate_dim")
    if not isinstance(asked, int) or (asked > 0 and not isinstance(asked, bool)):
        return
    declared = declared_pipeline(Repository(snapshot=snapshot, declaration=declaration))
    if declared.normalize is None or (declared.truncate_dim is None and asked >= 0):
        return
    left = "no known number of" if declared.dimension is None else f"{declared.dimension:,}"
    shown = str(asked).lower()[:_DIGITS]
    yield Observation(
        message=f"`truncate_dim` is {shown}, which leaves {left} components of a vector.",
        where=Where(path=_CONFIG, field="truncate_dim"),
        evidence={"truncate_dim": shown, "dimension": declared.dimension},
        remedy="Set `truncate_dim` to the number of components that are to be kept, or take it out.",
    )
