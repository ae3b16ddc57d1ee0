"""How transformers 5 matches names: key by key, with tables of renamings, and the base prefix each time.

The function is `convert_and_load_state_dict_in_model` of
https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/core_model_loading.py.
"""

from collections.abc import Iterator
from functools import lru_cache

import attrs

from embaudit.formats.fields import quoted
from embaudit.loaders.transformers.conversions import Renaming
from embaudit.loaders.transformers.matching import Matching, MatchingTask, Taken, without_tied


def match_key_by_key(task: MatchingTask) -> Matching:
    """5.0 on: sorted, the first stored tensor that meets a name of the model fills it."""
    owners: dict[str, _Owner] = {}
    replaced: dict[str, str] = {}
    strangers: set[str] = set()
    for stored in sorted(task.stored, key=_natural):
        name, split = _model_name(task, stored)
        if name not in task.expected:
            strangers.update(_parts(name, split))
            continue
        owner = owners.setdefault(name, _Owner(stored, split))
        if owner.stored != stored:
            replaced[stored] = owner.stored
            owners[name] = attrs.evolve(owner, clashes=owner.clashes or owner.split not in {None, split})
    taken = {each.name: each for name, owner in owners.items() for each in _fill(task, name, owner)}
    missing = [name for name in task.expected if name not in taken]
    return Matching(
        taken=tuple(taken.values()),
        missing=tuple(without_tied(missing, task.tied)),
        unexpected=tuple(sorted(strangers)),
        replaced=replaced,
        errors=tuple(
            f"{quoted(owner.stored)} is to be split, and another tensor has the name of its first part."
            for owner in owners.values()
            if owner.clashes
        ),
    )


@attrs.frozen
class _Owner:
    """The stored tensor that came first to a name, how it is split, and whether others clash with that."""

    stored: str
    split: Renaming | None
    clashes: bool = False


def _model_name(task: MatchingTask, stored: str) -> tuple[str, Renaming | None]:
    name, split = task.conversions.rename(stored)
    name = _with_base_prefix(task, name)
    if task.keeps_original_names and name not in task.expected and stored in task.expected:
        return _with_base_prefix(task, stored), None
    return name, split


def _with_base_prefix(task: MatchingTask, name: str) -> str:
    """The prefix is taken off or put on where that leads to a name of the model.

    The dot after it stands for any character, as in transformers, so that an empty prefix takes one character
    off.
    """
    without = name[len(task.prefix) + 1 :]
    if name.startswith(task.prefix) and without in task.expected:
        return without
    with_prefix = f"{task.prefix}.{name}"
    return with_prefix if with_prefix in task.expected else name


def _parts(name: str, split: Renaming | None) -> Iterator[str]:
    """The names of the parts of a tensor, where the first part has `name`; only `name` if it is not split."""
    if split is None:
        yield name
    else:
        yield from (name.replace(split.target, part) for part in split.parts)


def _fill(task: MatchingTask, name: str, owner: _Owner) -> Iterator[Taken]:
    shape = task.stored[owner.stored]
    if owner.split is None:
        yield Taken(name, owner.stored, shape)
        return
    before, _, after = name.partition(owner.split.target)
    names = [f"{before}{part}{after}" for part in owner.split.parts]
    for part, size in zip(names, _chunks(shape[0] if shape else 0, len(names)), strict=False):
        yield Taken(part, owner.stored, (size, *shape[1:]))


def _chunks(size: int, count: int) -> Iterator[int]:
    """The sizes that `torch.chunk` gives: equal ones, rounded up, and what is left for the last."""
    step = max(1, -(-size // count))
    yield from (min(step, size - start) for start in range(0, max(size, 1), step))


Rank = tuple[int, str, int, str]


def _natural(name: str) -> list[Rank]:
    """Numbers between dots by their value and before words; a number at the end of a word by its value."""
    return [_rank(part) for part in name.split(".")]


@lru_cache(maxsize=1024)
def _rank(part: str) -> Rank:
    if part.isdigit() and part.isascii():
        return 0, "", *_value(part)
    word = part.rstrip("0123456789")
    digits = part[len(word) :]
    return 1, word, *(_value(digits) if digits else (-1, ""))


def _value(digits: str) -> tuple[int, str]:
    """Orders like the number, which python refuses to make of thousands of digits."""
    significant = digits.lstrip("0")
    return len(significant), significant
