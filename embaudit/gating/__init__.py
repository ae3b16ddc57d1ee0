"""What people do with an audit before a model enters their code: pass it or not, and fetch what passed.

A gate fails closed. A policy that is not met is a `GateError`; a target that could not be audited is the
audit's own error (`TargetError`, `SourceError`, `LimitError`); there is no third way out but a pass. Nothing
here judges: that is for the policy and the rules.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, overload

import attrs

from embaudit.gating.deciding import GateError, reasons_against
from embaudit.gating.downloading import DownloadError, Place, fetch
from embaudit.gating.locked import audit_with_lock
from embaudit.locking import load_lock
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.lock import Lock
from embaudit.model.policy import DEFAULT_POLICY, Policy
from embaudit.model.tensor_map import Depth
from embaudit.pipeline import Target
from embaudit.policies import read_policy
from embaudit.report import AuditReport

__all__ = ["DownloadError", "GateError", "Place", "fetch", "gate", "reasons_against"]


@overload
def gate(
    target: Target,
    *,
    policy: Policy | str | os.PathLike[str] | None = ...,
    lock: Lock | str | os.PathLike[str] | None = ...,
    revision: str | None = ...,
    loaders: str | Iterable[str] | None = ...,
    against: Target | None = ...,
    depth: Depth | str = ...,
    ignore: Iterable[str] = ...,
    limits: Limits = ...,
    progress: Callable[[int], None] | None = ...,
    download: Literal[False] = ...,
) -> AuditReport: ...
@overload
def gate(
    target: Target,
    *,
    policy: Policy | str | os.PathLike[str] | None = ...,
    lock: Lock | str | os.PathLike[str] | None = ...,
    revision: str | None = ...,
    loaders: str | Iterable[str] | None = ...,
    against: Target | None = ...,
    depth: Depth | str = ...,
    ignore: Iterable[str] = ...,
    limits: Limits = ...,
    progress: Callable[[int], None] | None = ...,
    download: Literal[True],
    cache_dir: str | os.PathLike[str] | None = ...,
    local_dir: str | os.PathLike[str] | None = ...,
) -> Path: ...
def gate(  # noqa: PLR0913 - what `audit` takes, and where to put what passed
    target: Target,
    *,
    policy: Policy | str | os.PathLike[str] | None = None,
    lock: Lock | str | os.PathLike[str] | None = None,
    revision: str | None = None,
    loaders: str | Iterable[str] | None = None,
    against: Target | None = None,
    depth: Depth | str = Depth.HEADERS,
    ignore: Iterable[str] = (),
    limits: Limits = DEFAULT_LIMITS,
    progress: Callable[[int], None] | None = None,
    download: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    local_dir: str | os.PathLike[str] | None = None,
) -> AuditReport | Path:
    """Let a model pass if its audit meets a policy, before a byte of its weights is downloaded.

    Example:
        folder = gate("org/name@COMMIT", loaders="sentence-transformers==6.2.0", download=True)
        model = SentenceTransformer(str(folder))

    Args:
        target: As for `audit`.
        policy: What may pass: a policy, or a TOML file with one. None asks for what `Policy()` does: no
            finding of severity `error`, no pickle with more than tensors, no code of other repositories that
            is not pinned. No file is looked for; `embaudit.policies.find_policy` does that, and the command
            line. With a lock, None asks for the policy that went with it.
        lock: A lock, or its file, that the target must not have drifted from; see `embaudit.verify`. At depth
            `headers` the digests that the target's source lists are taken for what they claim.
        revision: As for `audit`.
        loaders: Loaders with their versions that have to load the model faithfully, beside those that the
            policy names. A loader of which that cannot be told does not pass.
        against: As for `audit`.
        depth: As for `audit`.
        ignore: As for `audit`, beside what the policy ignores.
        limits: As for `audit`.
        progress: As for `audit`.
        download: Whether to fetch what passed, at exactly the audited commit: the weight files that the
            loaders read (without loaders, each model once, safetensors before others), the settings, the
            tokenizer, and the code, unless the policy forbids it. The size and digest of each file are held
            against the audited listing.
        cache_dir: The Hugging Face cache to download to; by default huggingface_hub's own.
        local_dir: A folder to download to instead of a cache.

    Returns:
        The report; with `download`, the folder that holds the files: the snapshot's folder in the cache, or
        `local_dir`. Of a target on this disk nothing is downloaded, and the folder is its own.

    Raises:
        GateError: If the policy is not met. It carries the report.
        DownloadError: If what was downloaded is not what was audited.
        UsageError: If an argument is none of the values allowed, the policy's file is no policy, or there is
            no folder to return.
        TargetError: If the target, or the lock, is not understood, not found, or not to be had: it was not
            audited.
        FormatError: If the lock is none.
        SourceError: If it could not be read, or not be downloaded.
        LimitError: If it exceeds a limit.
    """
    place = Place.of(target, download=download, cache_dir=cache_dir, local_dir=local_dir)
    locked = lock if lock is None or isinstance(lock, Lock) else load_lock(lock, limits=limits)
    report = audit_with_lock(
        target,
        locked,
        revision=revision,
        against=against,
        depth=Depth.parse(depth),
        policy=_asked(policy, locked, loaders),
        ignore=ignore,
        limits=limits,
        progress=progress,
    )
    reasons = reasons_against(report)
    if reasons:
        raise GateError(report, reasons)
    return report if place is None else fetch(report, place, limits=limits)


def _asked(
    policy: Policy | str | os.PathLike[str] | None, locked: Lock | None, loaders: str | Iterable[str] | None
) -> Policy:
    """The policy, or else the one of the lock, with the loaders that the caller needs among its own."""
    promised = DEFAULT_POLICY if locked is None or locked.policy is None else locked.policy
    asked = promised if policy is None else policy
    whole = asked if isinstance(asked, Policy) else read_policy(asked)
    named = (loaders,) if isinstance(loaders, str) else tuple(loaders or ())
    return attrs.evolve(whole, loaders=tuple(dict.fromkeys((*whole.loaders, *named))))
