"""Hints for a revision that is not there: the names that look like it."""

import difflib
from collections.abc import Iterable
from itertools import islice

from embaudit.sources.base import shown

_MOST_COMPARED, _LONGEST_COMPARED = 1000, 100
"""Refs, and characters of a revision, that are compared to find what was meant."""
_MOST_SHOWN = 5


def near_names(revision: str, names: Iterable[str]) -> str:
    """What to add to a message that there is no such revision: the branches and tags closest to it.

    Args:
        revision: What was asked for.
        names: The branches and tags that there are, the most likely first.
    """
    some = list(islice(names, _MOST_COMPARED))
    near = difflib.get_close_matches(revision[:_LONGEST_COMPARED], some, cutoff=0.5) or some[:_MOST_SHOWN]
    known = ", ".join(shown(name) for name in near)
    return f"; its branches and tags include {known}" if near else "; it has no branches or tags"
