"""Which name of one checkpoint is which of another.

Knows names and layouts (a dtype and a shape). Never looks at values, and would rather leave a name without a
partner than give it a wrong one. Names that share a canonical form (see `embaudit.mapping.names`) are a
family; each step pairs only names that the earlier ones left over:

1. Equal names are partners.
2. A family of one name on each side is a pair. How these pairs are renamed is *established*.
3. A larger family (both spellings of a parameter in one file, say) is ambiguous. If one and the same renaming
   leads from each of its names on the left to one on the right, it explains the whole family. Else, renamings
   that are established elsewhere in these checkpoints count, where they do not contradict each other.
4. What is still ambiguous is a pair if two names alone in their family have their dtype and shape.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from embaudit.mapping.names import CanonicalName, canonical_name, explain_renaming
from embaudit.model.dtypes import DType

Layout = tuple[DType, tuple[int, ...]]
"""What may tell two tensors of one family apart without reading a value: dtype and shape."""

MAX_RIVALS = 16
"""Names of one family on one side that are weighed against each other. Real ambiguities have two or three;
without a bound a hostile file could ask for a comparison of every name with every other."""

Renaming = tuple[str, ...]


@attrs.frozen
class Match:
    """Two names that stand for one parameter.

    Attributes:
        left: The name on the left.
        right: The name on the right.
        renamed_by: What turns the left name into the right one, step by step; empty if they are equal.
    """

    left: str
    right: str
    renamed_by: Renaming = ()


def match_names(left: Mapping[str, Layout], right: Mapping[str, Layout]) -> tuple[Match, ...]:
    """The partners among the names of two checkpoints, in the order of the left; no name has two."""
    partners = _Partners()
    partners.join(Match(name, name) for name in left if name in right)
    if len(partners.by_left) < min(len(left), len(right)):
        _match_renamed(partners, left, right)
    return tuple(partners.by_left[name] for name in left if name in partners.by_left)


@attrs.define
class _Partners:
    """The pairs found so far; the first to claim a name keeps it."""

    by_left: dict[str, Match] = attrs.Factory(dict)
    rights: set[str] = attrs.Factory(set)

    def join(self, matches: Iterable[Match]) -> None:
        for match in matches:
            if match.left not in self.by_left and match.right not in self.rights:
                self.by_left[match.left] = match
                self.rights.add(match.right)


@attrs.define
class _Family:
    """The names of both sides that share a canonical form, those with a partner included."""

    lefts: list[CanonicalName] = attrs.Factory(list)
    rights: list[CanonicalName] = attrs.Factory(list)

    @property
    def is_plain(self) -> bool:
        """Whether it leaves no choice."""
        return len(self.lefts) == len(self.rights) == 1

    @property
    def is_weighable(self) -> bool:
        """Whether it offers a choice, and one that is small enough to be weighed."""
        sizes = len(self.lefts), len(self.rights)
        return sizes != (1, 1) and min(sizes) > 0 and max(sizes) <= MAX_RIVALS

    def renamings(self) -> dict[Renaming, list[Match]]:
        """Every way to lead a name on the left to one on the right, and all that it would pair."""
        ways: dict[Renaming, list[Match]] = defaultdict(list)
        for left in self.lefts:
            for right in self.rights:
                how = explain_renaming(left, right)
                ways[how].append(Match(left.original, right.original, how))
        return dict(ways)


def _match_renamed(partners: _Partners, left: Mapping[str, Layout], right: Mapping[str, Layout]) -> None:
    families = _families(left, right)
    plain = [family.renamings() for family in families if family.is_plain]
    established = frozenset(how for ways in plain for how in ways)
    partners.join(match for ways in plain for matches in ways.values() for match in matches)
    for family in families:
        if family.is_weighable:
            partners.join(_explained(family, established))
            partners.join(_alone_in_layout(family, left, right))


def _families(left: Iterable[str], right: Iterable[str]) -> list[_Family]:
    families: dict[str, _Family] = defaultdict(_Family)
    for name in left:
        canonical = canonical_name(name)
        families[canonical.name].lefts.append(canonical)
    for name in right:
        canonical = canonical_name(name)
        families[canonical.name].rights.append(canonical)
    return list(families.values())


def _explained(family: _Family, established: frozenset[Renaming]) -> Sequence[Match]:
    """What one renaming of the whole family pairs, or else what the established ones pair."""
    ways = family.renamings()
    if () in ways:  # equal names have been paired, and are no rivals to one another
        del ways[()]
    else:
        whole = [matches for matches in ways.values() if _covers(matches, family)]
        if len(whole) == 1:
            return whole[0]
    known = [match for how, matches in ways.items() if how in established for match in matches]
    return known if _is_one_to_one(known) else ()


def _covers(matches: Sequence[Match], family: _Family) -> bool:
    return len(matches) == len(family.lefts) == len(family.rights) and _is_one_to_one(matches)


def _is_one_to_one(matches: Sequence[Match]) -> bool:
    lefts, rights = {match.left for match in matches}, {match.right for match in matches}
    return len(lefts) == len(rights) == len(matches)


def _alone_in_layout(
    family: _Family, left: Mapping[str, Layout], right: Mapping[str, Layout]
) -> Iterator[Match]:
    alike: dict[Layout, _Family] = defaultdict(_Family)
    for name in family.lefts:
        alike[left[name.original]].lefts.append(name)
    for name in family.rights:
        alike[right[name.original]].rights.append(name)
    for group in alike.values():
        if group.is_plain:
            yield from (match for matches in group.renamings().values() for match in matches)
