"""What can be asked for vectors: a function, an object with `encode`, a server; here they all look the same.

A backend takes texts, at most a batch of them, and gives one vector for each, or refuses. Its answers are
held to that: as many vectors as texts, all of one length, finite, none of zeros.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import attrs
import numpy as np

from embaudit.embeddings.accepting import accept, problem_of
from embaudit.embeddings.measuring import Matrix
from embaudit.errors import EmbauditError, SourceError, UsageError
from embaudit.model.probe import ServerInfo
from embaudit.model.words import plural
from embaudit.sources.base import shown

_EVERYTHING = 10_000
"""Texts of one call of a function: it makes its own batches."""
MOST_WORDS = 300
"""Characters of a backend's own words that a message repeats."""
_OTHER_METHODS = ("embed_documents", "get_text_embedding_batch", "embed")
"""Methods of others that take a list of texts and give vectors: those of LangChain, LlamaIndex, fastembed."""


@attrs.frozen(kw_only=True, eq=False)
class Answered:
    """What a backend gives for a batch: vectors, or a refusal.

    Attributes:
        vectors: As they came.
        refusal: Why these texts are not taken, in the backend's words; None if they are.
        error: What to raise if the refusal stands for every text.
    """

    vectors: Any = None
    refusal: str | None = None
    error: EmbauditError | None = None


class Backend(Protocol):
    """Something that can be asked for vectors."""

    name: str
    """In words without secrets."""
    batch: int
    """The most texts that one call may have; smaller once the backend has shown that it takes fewer."""
    info: ServerInfo | None
    """What it says of itself."""

    def embed(self, texts: Sequence[str]) -> Answered:
        """The vectors of some texts, as many as `batch` at most."""
        ...


class FunctionBackend:
    """A function of a list of texts that gives a vector for each."""

    def __init__(self, function: Callable[[list[str]], Any], name: str) -> None:
        self.name = name
        self.batch = _EVERYTHING
        self.info: ServerInfo | None = None
        self._function = function

    def embed(self, texts: Sequence[str]) -> Answered:
        """What the function gives.

        Raises:
            SourceError: If it raises anything.
        """
        try:
            return Answered(vectors=self._function(list(texts)))
        except EmbauditError:
            raise
        except Exception as error:
            words = shown(_words_of(error)[:MOST_WORDS])
            raise SourceError(f"{self.name} failed: {type(error).__name__}: {words}") from error


def local_backend(backend: Any) -> FunctionBackend:
    """The backend that a function, or an object with a method `encode`, is.

    Raises:
        UsageError: If it is neither.
    """
    encode = getattr(backend, "encode", None)
    if callable(encode):
        return FunctionBackend(encode, f"{type(backend).__name__}.encode")
    if callable(backend):
        return FunctionBackend(backend, getattr(backend, "__name__", type(backend).__name__))
    method = next((name for name in _OTHER_METHODS if callable(getattr(backend, name, None))), None)
    advice = (
        "give a function of a list of texts, an object with encode, or the address of a server"
        if method is None
        else f"give its method {method}"
    )
    raise UsageError(f"a backend of type {type(backend).__name__} cannot be asked; {advice}")


def _words_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - somebody else's class, whose __str__ may do anything
        return "an error that cannot be told"


def vectors_from(backend: Backend, texts: Sequence[str]) -> Matrix:
    """The vectors of texts that the backend is known to take, in float32; asked for a batch at a time.

    Raises:
        SourceError: If an answer is not a usable vector for each text.
    """
    return joined(backend, [_rows(backend, batch) for batch in batches(texts, backend.batch)])


def batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The texts, `size` at a time."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def joined(backend: Backend, parts: Sequence[Matrix]) -> Matrix:
    """The rows of all parts.

    Raises:
        SourceError: If they have several lengths.
    """
    lengths = sorted({part.shape[1] for part in parts})
    if len(lengths) > 1:
        raise SourceError(f"{backend.name}: vectors have {' and '.join(map(str, lengths))} numbers")
    return np.concatenate(parts)


def _rows(backend: Backend, texts: Sequence[str]) -> Matrix:
    answered = backend.embed(texts)
    if answered.refusal is not None:
        raise answered.error or SourceError(f"{backend.name}: {answered.refusal}")
    return checked_rows(backend, answered.vectors, len(texts))


def checked_rows(backend: Backend, vectors: Any, n_texts: int) -> Matrix:
    """Vectors as they came, in float32, if there is a usable one for each text.

    Raises:
        SourceError: If there is not.
    """
    if isinstance(vectors, str | os.PathLike):
        # A name of a file is something that only the caller may give.
        raise SourceError(f"{backend.name}: the answer is a text, not vectors")
    try:
        rows = accept(vectors, "the answer").rows
    except EmbauditError as error:
        raise SourceError(f"{backend.name}: {error}") from error
    if len(rows) != n_texts:
        problem = f"{plural(len(rows), 'vector')} for {plural(n_texts, 'text')}"
        raise SourceError(f"{backend.name}: the answer has {problem}")
    with np.errstate(over="ignore", under="ignore"):
        single = np.array(rows, np.float32)
    if problem_of(single) is not None:
        raise SourceError(f"{backend.name}: the answer has numbers that float32 cannot hold")
    return single
