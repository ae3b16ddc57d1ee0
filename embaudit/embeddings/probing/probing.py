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
from embaudit.embeddings.probing.observing import known_dtype, observe
from embaudit.embeddings.probing.texts import PROBE_TEXTS, PROBE_TEXTS_VERSION
from embaudit.errors import SourceError, UsageError
from embaudit.model.dtypes import DType
from embaudit.model.probe import COMPUTED_IN, Probe, RefusedText
from embaudit.sources.base import shown

MOST_TEXTS = 10_000
"""Texts of one probe; each is asked for six times over, once alone."""


def run_probe(
    backend: Any,
    texts: Sequence[str],
    *,
    observing: bool,
    api_key: str | None,
    seconds: float | None,
    dtype: str | None,
) -> Probe:
    """As `embaudit.embeddings.probe`."""
    asked = _checked_texts(texts)
    stated = _checked_dtype(dtype)
    if not isinstance(backend, str):
        return _probed(local_backend(backend), asked, stated, observing=observing)
    if not is_address(backend):
        raise UsageError(f"'{shown(backend[:80])}' is no address of a server; write {EXAMPLES}")
    # Only here is there a network to ask over: what that takes comes in where it is used.
    from embaudit.embeddings.probing.redacting import Secret  # noqa: PLC0415
    from embaudit.embeddings.probing.servers import checked_key, open_server, patience_of  # noqa: PLC0415

    key = checked_key(api_key)
    patience = patience_of(seconds)
    return Secret(key).guard(
        lambda: _probed(open_server(backend, key, patience), asked, stated, observing=observing)
    )


def _probed(backend: Backend, asked: tuple[str, ...], dtype: DType | None, *, observing: bool) -> Probe:
    vectors, refused = _first_answers(backend, asked)
    rejected = {each.text for each in refused}
    taken = tuple(text for text in asked if text not in rejected)
    vectors.flags.writeable = False
    known = known_dtype(dtype, backend.info, vectors)
    return Probe(
        backend=backend.name,
        texts=taken,
        vectors=vectors,
        texts_version=PROBE_TEXTS_VERSION if asked == PROBE_TEXTS else None,
        observations=observe(backend, taken, vectors, known) if observing else (),
        refused=refused,
        server=backend.info,
        dtype=dtype,
    )


def _checked_texts(texts: object) -> tuple[str, ...]:
    if not isinstance(texts, Sequence) or isinstance(texts, str):
        raise UsageError("texts must be a sequence of strings")
    if not all(isinstance(text, str) for text in texts):
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


def _checked_dtype(dtype: str | None) -> DType | None:
    if dtype is None:
        return None
    found = next((each for each in COMPUTED_IN if each == dtype), None)
    if found is None:
        raise UsageError(f"dtype must be one of {', '.join(COMPUTED_IN)}")
    return found


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


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
