"""Names what makes observed vectors differ from those that a repository promises.

The reference vectors are built from the repository's files, then the vectors under every hypothesis that the
files make possible, and under combinations of two. What reproduces the observed vectors is the cause; if
nothing does, that is what is said. `embaudit.embeddings.diagnosing.judging` has the rules.

Runs models, with the classes that transformers brings along and with tensors that embaudit reads itself:
nothing of the repository is unpickled or executed. torch and transformers are imported when `diagnose` is
called, not before.
"""

import os
from collections.abc import Sequence
from typing import Any

from embaudit.errors import UsageError
from embaudit.model.diagnosis import Diagnosis
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits

__all__ = ["MOST_PASSES", "MOST_TEXTS", "diagnose"]

MOST_TEXTS = 256
"""Texts of one diagnosis. A dozen of different lengths and cases tells the hypotheses apart."""

MOST_PASSES = 1_000
"""Runs of a model over all texts in one diagnosis. MiniLM takes some 40 for single hypotheses and up to 600
for every combination of two."""


def diagnose(
    target: str | os.PathLike[str] | Snapshot,
    observed: Any,
    *,
    texts: Sequence[str],
    loader: str | None = None,
    against: str | os.PathLike[str] | Snapshot | None = None,
    most_passes: int = MOST_PASSES,
    limits: Limits = DEFAULT_LIMITS,
) -> Diagnosis:
    """Why vectors that somebody observed are not those that a repository promises.

    The promise is what sentence-transformers makes of the repository. Needs transformers, torch and numpy:
    `pip install 'embaudit[transformers]'`.

    Args:
        target: The repository: `org/name@revision` on the hub, a folder, `cache:org/name@revision`,
            `PATH@revision` of a clone, or a snapshot.
        observed: The vectors, one row for each text, in any form that `compare_embeddings` takes.
        texts: What they are vectors of, in the order in which they were sent, 1 to `MOST_TEXTS`. Texts of
            several lengths and cases tell more hypotheses apart, and two at least are needed for those about
            batches.
        loader: Who made them, `embed_anything==0.4.12`: what embaudit predicts of it becomes a hypothesis
            of its own, and is told.
        against: Another commit of the repository, or another repository, whose vectors they may be.
        most_passes: Runs of a model over all texts at most, from 1 on. What is left untried then is told.
        limits: Bounds on everything that is read.

    Raises:
        UsageError: If transformers is not installed, there are no texts or too many, the observed vectors
            are not as many, or are not finite, or the loader is not one that embaudit knows.
        TargetError: If the target is not found, or is a repository whose vectors cannot be built here: its
            model needs code of its own, its weights do not fill the model, it has no `tokenizer.json`, or
            modules that are not built here.
        SourceError: If bytes cannot be read.
        FormatError: If a file does not follow its format.
        LimitError: If a file, a model or a text exceeds a limit.
    """
    _check_texts(texts)
    if most_passes < 1:
        raise UsageError(f"most_passes is {most_passes}; it must be 1 at least")
    try:
        from embaudit.embeddings.diagnosing.searching import Question, search  # noqa: PLC0415 - on demand
    except ImportError as error:
        raise UsageError(
            f"diagnose runs models, and {error.name} is not installed: pip install 'embaudit[transformers]'"
        ) from error
    question = Question(
        target=target,
        against=against,
        texts=tuple(texts),
        observed=observed,
        loader=loader,
        most_passes=most_passes,
        limits=limits,
    )
    return search(question)


def _check_texts(texts: Sequence[str]) -> None:
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise UsageError("texts must be a sequence of texts")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise UsageError(f"{len(texts)} texts were given; it must be 1 to {MOST_TEXTS}")
