"""Which weight file a program that stands on candle opens, and what it does told as a prediction.

Knows how the files of a repository are chosen by name and opened by what they are called. Which names come
first, and what the program asks of the file, is for the modules of the programs.
"""

from collections.abc import Iterable, Sequence

import attrs

from embaudit.loaders.candle_models import CandleLoad
from embaudit.loaders.candle_reading import CandleRead, CandleReader, read_with_candle
from embaudit.loaders.candle_words import cut, first_few
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.listing import exists, weights_beside
from embaudit.model.checkpoint import Checkpoint, CheckpointFormat
from embaudit.model.prediction import Outcome, PredictedLoad
from embaudit.model.repository import Repository
from embaudit.model.words import plural

_NAMED = 3
"""Tensors that one reason names."""


@attrs.frozen(kw_only=True)
class OpenedFile:
    """The weight file that is opened, and what candle makes of it.

    Attributes:
        path: The file or the index; empty if there is none to open.
        files: It and its shards.
        read: What candle makes of it.
        doubt: Why embaudit does not know what is in it, one sentence; empty if it does.
    """

    path: str = ""
    files: tuple[str, ...] = ()
    read: CandleRead = attrs.field(factory=CandleRead)
    doubt: str = ""


def open_first(repository: Repository, names: Sequence[str], reader: CandleReader) -> OpenedFile:
    """The first of these files that the repository has, read with candle.

    Args:
        repository: Where to look.
        names: Paths of files and indexes, the preferred one first.
        reader: The state of candle's readers.
    """
    path = next((name for name in names if exists(repository.snapshot, name)), "")
    if not path:
        wanted = " nor ".join(f"`{name}`" for name in names)
        return OpenedFile(read=CandleRead(refusal=f"The repository has neither {wanted}."))
    checkpoint = repository.checkpoints.get(path)
    if checkpoint is None:
        return _open_unread(repository, path)
    files = tuple(sorted({path, *checkpoint.files}))
    return OpenedFile(path=path, files=files, read=_read_by_name(path, checkpoint, reader))


def _open_unread(repository: Repository, path: str) -> OpenedFile:
    """A file whose header embaudit could not read, and which candle may read all the same."""
    unreadable = repository.unreadable.get(path)
    problem = unreadable.problem if unreadable is not None else "its header was not read"
    return OpenedFile(path=path, files=(path,), doubt=f"What is in `{path}` is not known: {problem}.")


def _read_by_name(path: str, checkpoint: Checkpoint, reader: CandleReader) -> CandleRead:
    """What candle makes of a file: its name decides which reader it meets."""
    is_called_safetensors = ".safetensors" in path.rpartition("/")[2]
    if is_called_safetensors != (checkpoint.format is CheckpointFormat.SAFETENSORS):
        return CandleRead(refusal=f"`{path}` is a {checkpoint.format} file, which its name denies.")
    return read_with_candle(checkpoint, reader)


def predict_candle(
    repository: Repository,
    opened: OpenedFile,
    load: CandleLoad,
    *,
    sources: tuple[str, ...] = (),
    reasons: Iterable[str] = (),
) -> PredictedLoad:
    """What a candle model takes from a file, as a prediction.

    Args:
        repository: What the file belongs to.
        opened: The file.
        load: What the model takes of it.
        sources: Where it can be read that the program does so.
        reasons: What else is to be said, after the rest: whoever reads one reason reads the first.
    """
    dropped = [name for name in load.unexpected_keys if why_harmless(name) is None]
    is_refused = load.outcome is Outcome.REFUSED
    return PredictedLoad(
        loader="",
        outcome=load.outcome,
        files=opened.files,
        ignored_files=weights_beside(repository.snapshot, opened.files),
        missing_keys=load.missing_keys,
        unexpected_keys=load.unexpected_keys,
        mismatched_keys=load.mismatched_keys,
        renamed_keys=load.renamed_keys,
        misread_keys=() if is_refused else load.misread_keys,
        harmless_keys=tuple(name for name in load.unexpected_keys if why_harmless(name) is not None),
        dtype="float32",
        silent=not is_refused and bool(dropped or load.misread_keys or load.omitted_keys),
        reasons=(*_reasons(load, opened.read, dropped), *reasons),
        sources=sources,
    )


def _reasons(load: CandleLoad, read: CandleRead, dropped: Sequence[str]) -> Iterable[str]:
    yield from load.refusals
    if load.misread_keys and not load.refusals:
        first = load.misread_keys[0]
        count = f"{plural(len(load.misread_keys), 'tensor')} of {len(load.taken):,}"
        yield f"Without an error, wrong values are read into {count}: {first.reason}."
        where = f"byte {first.byte_to_read:,}, and is read from byte {first.byte_read:,} on"
        yield f"`{cut(first.name)}` begins at {where}."
    if dropped and not load.refusals:
        named = ", ".join(f"`{cut(name)}`" for name in dropped[:_NAMED])
        more = ", ..." if len(dropped) > _NAMED else ""
        yield f"It never asks for {plural(len(dropped), 'stored tensor')}: {named}{more}."
    if load.neglected_keys:
        yield f"Among them is what the model needs: `{cut(load.neglected_keys[0])}`."
    yield from first_few(
        [f"It cannot have `{cut(name)}`, and computes without it." for name in load.omitted_keys]
    )
    skipped = read.skipped.items()
    yield from first_few(
        [f"`{cut(name)}` is left out with a line on standard error: {why}." for name, why in skipped]
    )
    yield from first_few(load.doubts)
