"""How transformers 4 matches names: one look at all of them decides whether the base prefix counts.

Two ways: up to 4.49 the model's names are brought to the form of the stored ones, and reported so; from 4.50
on it is the other way round. The functions are `_load_pretrained_model` and its helpers, in
https://github.com/huggingface/transformers/blob/v4.49.0/src/transformers/modeling_utils.py and
https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/modeling_utils.py.
"""

from collections.abc import Iterable, Mapping

import attrs

from embaudit.loaders.transformers.matching import Matching, MatchingTask, Taken, without_tied

_WEIGHT_NORM = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)
_LAYER_NORM = (("LayerNorm.beta", "LayerNorm.bias"), ("LayerNorm.gamma", "LayerNorm.weight"))
_TENSORFLOW = (("beta", "bias"), ("gamma", "weight"))


def anywhere(name: str) -> str:
    """`beta` and `gamma` to `bias` and `weight`, wherever they occur in a name: up to 4.44."""
    return _replaced(name, _TENSORFLOW)


def anywhere_with_weight_norm(name: str) -> str:
    """The same, and torch's new names for a weight norm: 4.45 to 4.48."""
    return _replaced(name, (*_TENSORFLOW, *_WEIGHT_NORM))


def at_the_end(name: str) -> str:
    """Only `LayerNorm.beta`, `LayerNorm.gamma` and a weight norm, at the end of a name: from 4.49 on."""
    pairs = (pair for pair in (*_LAYER_NORM, *_WEIGHT_NORM) if name.endswith(pair[0]))
    return _replaced(name, pairs)


def _replaced(name: str, pairs: Iterable[tuple[str, str]]) -> str:
    return next((name.replace(old, new) for old, new in pairs if old in name), name)


@attrs.frozen
class _Prefix:
    """Whether names lose or gain the base prefix. `adds`: the model has it and no stored name does."""

    prefix: str
    adds: bool
    removes: bool

    @property
    def dotted(self) -> str:
        return f"{self.prefix}."


def _prefix_of(task: MatchingTask, stored: Iterable[str]) -> _Prefix:
    """The test is without the dot, as in transformers: `bertology.x` counts as having `bert`."""
    if not task.prefix:
        return _Prefix("", adds=False, removes=False)
    in_files = any(name.startswith(task.prefix) for name in stored)
    in_model = any(name.startswith(f"{task.prefix}.") for name in task.expected)
    return _Prefix(task.prefix, adds=in_model and not in_files, removes=in_files and not in_model)


def match_by_model_names(task: MatchingTask) -> Matching:
    """4.50 to 4.57: stored names are renamed to the model's, and both kinds reported under those."""
    prefix = _prefix_of(task, task.listed)
    renamed = dict(_stored_to_model(task, prefix))
    strangers = set(renamed.values()) - set(task.expected)
    if prefix.removes:
        strangers |= {name for name in task.listed if not name.startswith(prefix.dotted)}
    if task.drops_buffers:
        strangers -= task.buffers
    known = set(renamed.values())
    missing = sorted(set(task.expected) - known)
    read = {
        stored: name
        for stored, name in renamed.items()
        if name in task.expected and not (task.drops_unexpected and name in strangers)
    }
    held = {stored: name for stored, name in read.items() if stored in task.stored}
    taken, replaced = _last_wins(task, held)
    reported = without_tied(missing, task.tied)
    found = {each.name for each in taken}
    return Matching(
        taken=taken,
        missing=tuple(reported),
        unexpected=tuple(_shown(strangers, prefix)),
        unfilled=tuple(name for name in task.expected if name not in found and name in known),
        replaced=replaced,
    )


def _stored_to_model(task: MatchingTask, prefix: _Prefix) -> Iterable[tuple[str, str]]:
    for stored in task.listed:
        name = task.fix_name(stored)
        if prefix.adds:
            yield stored, prefix.dotted + name
        elif not prefix.removes:
            yield stored, name
        elif name.startswith(prefix.dotted):
            yield stored, name.removeprefix(prefix.dotted)


def _shown(strangers: Iterable[str], prefix: _Prefix) -> list[str]:
    """Where the prefix was added to look names up, it is taken off again to report them."""
    return sorted({name.removeprefix(prefix.dotted) if prefix.adds else name for name in strangers})


def match_by_stored_names(task: MatchingTask) -> Matching:
    """4.30 to 4.49: the model's names are brought to the form of the stored ones, and reported so."""
    listed = [task.fix_name(stored) for stored in task.listed]
    prefix = _prefix_of(task, listed)
    start = prefix.dotted if prefix.removes else ""
    shown = {name: _as_stored(name, prefix) for name in task.expected}
    strangers = set(listed) - set(shown.values())
    if task.drops_buffers:
        strangers -= {_as_stored(name, prefix) for name in task.buffers}
    known = set(listed)
    missing = [name for name in task.expected if shown[name] not in known]
    names = {stored: name for name, stored in shown.items()}
    read = {stored: names[fixed] for stored in task.stored if (fixed := task.fix_name(stored)) in names}
    taken, replaced = _renamed_wins(task, read)
    found = {each.name for each in taken}
    return Matching(
        taken=taken,
        missing=tuple(without_tied(missing, task.tied)),
        unexpected=tuple(sorted(strangers)),
        unfilled=tuple(name for name in task.expected if name not in found and shown[name] in known),
        replaced=replaced,
        missing_prefix=start,
    )


def _as_stored(name: str, prefix: _Prefix) -> str:
    if prefix.removes:
        return prefix.dotted + name
    return name.removeprefix(prefix.dotted) if prefix.adds else name


def _last_wins(task: MatchingTask, read: Mapping[str, str]) -> tuple[tuple[Taken, ...], Mapping[str, str]]:
    """Of several stored tensors with one name in the model, the last one is taken."""
    winners = {name: stored for stored, name in read.items()}
    return _taken(task, read, winners)


def _renamed_wins(task: MatchingTask, read: Mapping[str, str]) -> tuple[tuple[Taken, ...], Mapping[str, str]]:
    """A renamed tensor is put in the place of one that has the name already."""
    renamed_last = sorted(read, key=lambda stored: task.fix_name(stored) != stored)
    return _taken(task, read, {read[stored]: stored for stored in renamed_last})


def _taken(
    task: MatchingTask, read: Mapping[str, str], winners: Mapping[str, str]
) -> tuple[tuple[Taken, ...], Mapping[str, str]]:
    taken = tuple(Taken(name, stored, task.stored[stored]) for name, stored in winners.items())
    return taken, {stored: winners[name] for stored, name in read.items() if winners[name] != stored}
