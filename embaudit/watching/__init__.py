"""Watch for drift: whether the upstream of what was locked or downloaded moved, and if that matters.

    embaudit.lock, the cache --watched_in_lock, watched_in_cache--> Watched     what somebody has
    Watched                  --look-------------------------------> ModelState  held against the hub
    all of them              --outdated---------------------------> Outdated

Knows the hub as the one upstream there is. A model that did not move costs one request.
"""

import os
import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import attrs

from embaudit.errors import UsageError
from embaudit.loaders import parse_loader
from embaudit.model.limits import DEFAULT_LIMITS, Limits
from embaudit.model.lock import Lock
from embaudit.model.outdated import Outdated
from embaudit.model.policy import Policy
from embaudit.policies import read_policy
from embaudit.version import VERSION
from embaudit.watching.looking import look
from embaudit.watching.upstreams import Upstreams
from embaudit.watching.watched import Watched, watched_in_cache, watched_in_lock

__all__ = ["outdated"]

LockPlace = Lock | str | os.PathLike[str]
"""A lock, or its file."""


def outdated(
    locks: LockPlace | Iterable[LockPlace] = (),
    *,
    cache: bool | str | os.PathLike[str] = False,
    policy: Policy | str | os.PathLike[str] | None = None,
    loaders: str | Iterable[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Outdated:
    """Which locked or cached models moved on the hub, by how many commits, and whether that matters.

    A model that did not move costs one request. Of one that moved, the listing of both commits and the
    history between them are read, and settings and weight headers only where a file changed that a loader
    might read. One that cannot be looked up, and a lock that cannot be read, is `unknown`, with the reason;
    the others are told all the same.

    Args:
        locks: Locks, or their files. What was locked at a branch or tag is held against that branch or tag;
            what was locked at a commit, and a folder, against `main`.
        cache: Whether every model in the Hugging Face cache is asked about, too, or the path of a cache. Each
            branch or tag that was downloaded is held against the hub's; a model that was only downloaded
            by commits against `main`.
        policy: A policy, or the path of a TOML file with one, whose loaders are asked about.
        loaders: Loaders that are asked about besides, as `embaudit.audit` takes them. Of a lock, the locked
            ones and those of its policy always are. Where there are none, every change of weights matters.
        limits: Resource limits, of each model.

    Raises:
        UsageError: An argument is none of the values allowed, a policy is faulty, or nothing is asked about.
        TargetError: There is no such policy, or no such cache.
        SourceError: The policy or the cache cannot be read.
        LimitError: The cache exceeds a limit.
    """
    began, now = time.perf_counter(), datetime.now(timezone.utc)
    policy = policy if policy is None or isinstance(policy, Policy) else read_policy(policy)
    given = (*_several(loaders), *(() if policy is None else policy.loaders))
    for loader in given:
        parse_loader(loader)
    places = (locks,) if isinstance(locks, (Lock, str, os.PathLike)) else tuple(locks)
    if not places and cache is False:
        raise UsageError("name a lock, or ask about the cache")
    upstreams = Upstreams(limits)
    # One after the other: each model is a request or three, and what ends the program ends the only wait.
    models = tuple(look(each, upstreams, limits) for each in _watched(places, cache, given, limits))
    return Outdated(
        tool_version=VERSION,
        created=now.isoformat(timespec="seconds"),
        models=models,
        cost=upstreams.cost(time.perf_counter() - began),
    )


def _several(given: str | Iterable[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _watched(
    places: Iterable[LockPlace],
    cache: bool | str | os.PathLike[str],
    given: tuple[str, ...],
    limits: Limits,
) -> Iterator[Watched]:
    """Everything that is asked about, each with the loaders that were given besides its own."""
    found = [each for place in places for each in watched_in_lock(place, limits)]
    if cache is not False:
        found += watched_in_cache(None if cache is True else Path(cache), limits)
    for each in found:
        # Code is no model: nobody but the model that needs it is asked what comes of it.
        own = () if each.needed_by else tuple(dict.fromkeys((*given, *each.loaders)))
        yield attrs.evolve(each, loaders=own)
