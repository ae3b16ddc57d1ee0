"""The question and the answer of every way to match names: what is stored, what the model has, what meets."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs

from embaudit.loaders.transformers.conversions import Conversions
from embaudit.model.frozen import frozen_mapping


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(names)


@attrs.frozen(kw_only=True)
class MatchingTask:
    """Everything on which the meeting of names depends.

    Attributes:
        expected: The model's stored parameters and buffers: name to shape.
        buffers: Names of the buffers that the model computes and does not store.
        prefix: The class's `base_model_prefix`, without the dot.
        tied: Groups of names that are one tensor in the model.
        stored: Names that the files hold, in the order in which the loader meets them, to the stored shape.
        listed: Names that the loader takes for stored: those of an index, else all; in its order.
        fix_name: What becomes of a stored name first.
        conversions: The renamings and splits of transformers 5.
        keeps_original_names: Whether a stored name that the model has is taken as a last resort.
        drops_unexpected: Whether a name reported as unexpected is not filled either.
        reads_unlisted: Whether a stored tensor that is not listed is read.
        drops_buffers: Whether stored buffers go unreported.
    """

    expected: Mapping[str, tuple[int, ...]] = attrs.field(converter=frozen_mapping)
    buffers: frozenset[str] = frozenset()
    prefix: str = ""
    tied: tuple[tuple[str, ...], ...] = ()
    stored: Mapping[str, tuple[int, ...]] = attrs.field(converter=frozen_mapping)
    listed: tuple[str, ...] = attrs.field(converter=_names)
    fix_name: Callable[[str], str]
    conversions: Conversions
    keeps_original_names: bool = False
    drops_unexpected: bool = False
    reads_unlisted: bool = True
    drops_buffers: bool = True


@attrs.frozen
class Taken:
    """A tensor of the model, and the stored one that fills it.

    Attributes:
        name: As the model names it.
        stored: As the file names it.
        shape: Sizes in elements as they arrive: of a stored tensor that is split, those of the part.
    """

    name: str
    stored: str
    shape: tuple[int, ...]


@attrs.frozen(kw_only=True)
class Matching:
    """What meets, and what does not.

    Attributes:
        taken: The model's tensors that are filled, one each.
        missing: The model's tensors that are reported missing, as the model names them.
        unexpected: What is reported unexpected, as it is reported.
        unfilled: The model's tensors that are neither filled nor reported.
        replaced: Stored tensors that meet a name which another one fills: loser to winner.
        missing_prefix: What missing names are reported with.
        errors: Why it ends in an error, one sentence each.
    """

    taken: tuple[Taken, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()
    replaced: Mapping[str, str] = attrs.field(factory=dict, converter=frozen_mapping)
    missing_prefix: str = ""
    errors: tuple[str, ...] = ()


def without_tied(missing: Sequence[str], tied: Sequence[Sequence[str]]) -> list[str]:
    """`missing` without the members of a group of which another member is there."""
    left = list(missing)
    for group in tied:
        lacking = [name for name in left if name in group]
        if len(lacking) < len(group):
            left = [name for name in left if name not in lacking]
    return left
