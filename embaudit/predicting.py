"""Joins reading and loaders: a target to what a loader would do with it, from headers and settings alone."""

import os

from embaudit.loaders import ask_loader, parse_loader
from embaudit.model.files import Snapshot
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.prediction import LoadPrediction
from embaudit.reading import read_repository
from embaudit.sources import open_snapshot


def predict_load(
    target: str | os.PathLike[str] | Snapshot,
    loader: str,
    *,
    revision: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> LoadPrediction:
    """What one loader would do with a repository: which files it takes, which tensors it misses or misreads.

    No tensor byte is read, and neither torch nor transformers is imported.

    Args:
        target: `org/name@revision` on the hub, a folder, `cache:org/name@revision`, `PATH@revision` of a
            clone, or a snapshot.
        loader: `transformers`, `sentence-transformers>=5`, `tei[cuda]==1.5.0`, `candle<0.9`. No version means
            every release that is known. What it stands on may be named: `transformers==4.57.1 with peft`.
        revision: The revision, where the target does not name it.
        limits: Bounds on everything that is read.

    Raises:
        UsageError: The loader is not one that embaudit knows.
        TargetError: The target is not understood or not found.
        SourceError: The target is there and cannot be listed.
        LimitError: A listing exceeds a limit.
    """
    request = parse_loader(loader)
    return ask_loader(
        read_repository(open_snapshot(target, revision=revision, limits=limits), limits), request
    )
