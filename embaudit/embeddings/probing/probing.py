"""A backend, asked for the vectors of texts: `probe` behind its door in `embaudit.embeddings`."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from embaudit.embeddings.measuring import Matrix
from embaudit.embeddings.probing.addresses import EXAMPLES, is_address
from embaudit.embeddings.probing.backends import (
    Backend,
    batches,
    checked_rows,
    joined,
    local_backend,
    vectors_from,
)
from embaudit.embeddings.probing.observing import observe
from embaudit.embeddings.probing.texts import PROBE_TEXTS, PROBE_TEXTS_VERSION
from embaudit.errors import SourceError, UsageError
from embaudit.model.probe import Probe, RefusedText
from embaudit.sources.base import shown

MOST_TEXTS = 10_000
"""Texts of one probe; each is asked for six times over, once alone."""


def run_probe(
    backend: Any, texts: Sequence[str], *, observing: bool, api_key: str | None, seconds: float | None
) -> Probe:
    """As `embaudit.embeddings.probe`."""
    asked = _checked_texts(texts)
    opened = _opened(backend, api_key, seconds)
    vectors, refused = _first_answers(opened, asked)
    rejected = {each.text for each in refused}
    taken = tuple(text for text in asked if text not in rejected)
    vectors.flags.writeable = False
    return Probe(
        backend=opened.name,
        texts=taken,
        vectors=vectors,
        texts_version=PROBE_TEXTS_VERSION if asked == PROBE_TEXTS else None,
        observations=observe(opened, taken, vectors) if observing else (),
        refused=refused,
        server=opened.info,
    )


def _checked_texts(texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise UsageError("texts must be a sequence of strings")
    if any(_is_broken(text) for text in texts):
        raise UsageError("a text holds half of a surrogate pair, which no server can be sent")
    if not texts:
        raise UsageError("there is no text to ask for")
    if len(texts) > MOST_TEXTS:
        raise UsageError(f"a probe has {MOST_TEXTS:,} texts at most; these are {len(texts):,}")
    twice = [text for text, number in Counter(texts).items() if number > 1]
    if twice:
        raise UsageError(f"a text stands twice among the texts: '{shown(twice[0][:80])}'")
    return tuple(texts)


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _opened(backend: Any, api_key: str | None, seconds: float | None) -> Backend:
    if not isinstance(backend, str):
        return local_backend(backend)
    if not is_address(backend):
        raise UsageError(f"'{shown(backend[:80])}' is no address of a server; write {EXAMPLES}")
    # Only here is there a network to ask over: what that takes comes in where it is used.
    from embaudit.embeddings.probing.servers import open_server, patience_of  # noqa: PLC0415

    return open_server(backend, api_key, patience_of(seconds))


def _first_answers(backend: Backend, texts: tuple[str, ...]) -> tuple[Matrix, tuple[RefusedText, ...]]:
    """The vectors of the texts that the backend takes, asked for in batches of these alone, and the others.

    A batch that is refused although each of its texts is taken is too large: batches are halved then.

    Raises:
        SourceError: If the backend takes none of the texts of a batch, or gives no usable vectors.
    """
    while True:
        parts: list[Matrix] = []
        refused: list[RefusedText] = []
        for batch in batches(texts, backend.batch):
            answered = backend.embed(batch)
            if answered.refusal is None:
                parts.append(checked_rows(backend, answered.vectors, len(batch)))
                continue
            alone = [each for text in batch if (each := _refusal(backend, text)) is not None]
            if len(alone) == len(batch) or backend.batch == 1:
                raise answered.error or SourceError(f"{backend.name}: {answered.refusal}")
            if not alone:
                break
            refused += alone
        else:
            return _joined(backend, texts, parts, refused), tuple(refused)
        backend.batch //= 2


def _refusal(backend: Backend, text: str) -> RefusedText | None:
    refusal = backend.embed([text]).refusal
    return None if refusal is None else RefusedText(text=text, reason=refusal)


def _joined(
    backend: Backend, texts: tuple[str, ...], parts: list[Matrix], refused: list[RefusedText]
) -> Matrix:
    if not refused:
        return joined(backend, parts)
    rejected = {each.text for each in refused}
    return vectors_from(backend, [text for text in texts if text not in rejected])
