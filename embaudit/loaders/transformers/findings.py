"""What a matching of names means: which keys are reported, which of them matter, and who is told."""

import re
from collections.abc import Iterable, Iterator

import attrs

from embaudit.formats.fields import examples, quoted
from embaudit.loaders.harmless import why_harmless
from embaudit.loaders.transformers.eras import Silence, TransformersEra
from embaudit.loaders.transformers.matching import Matching
from embaudit.model.architecture import ExpectedModel, Role
from embaudit.model.prediction import Outcome

_POSITION_IDS = r"(^|\.)position_ids$"


@attrs.frozen(kw_only=True)
class Findings:
    """What is reported of a load, and what of it matters.

    Attributes:
        missing: Missing keys, as they are reported.
        unexpected: Unexpected keys, as they are reported, sorted.
        harmless: Those of both on which no embedding depends.
        random: The model's tensors that embeddings depend on and that nothing fills.
        unreported: The model's tensors that nothing fills and nobody reports.
        dropped: Unexpected keys that may matter.
        replaced: Stored tensors that meet a name which another one fills: loser and winner.
        told: Whether unexpected keys are told on the default log level; missing ones always are.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    harmless: frozenset[str]
    random: tuple[str, ...]
    unreported: tuple[str, ...]
    dropped: tuple[str, ...]
    replaced: tuple[tuple[str, str], ...]
    told: bool

    @classmethod
    def of(
        cls,
        era: TransformersEra,
        model: ExpectedModel,
        matching: Matching,
        *,
        named: bool,
        plain: frozenset[str],
    ) -> "Findings":
        """What a matching means.

        Args:
            era: The release.
            model: What the model expects.
            matching: What meets.
            named: Whether `architectures` of `config.json` names the class.
            plain: Names of stored values that are no tensors.
        """
        filled = _with_tied(model, {each.name for each in matching.taken})
        lacking = [name for name in matching.missing if not _is_quiet(era, model, name)]
        shown = {name: matching.missing_prefix + name for name in lacking}
        random = [
            name for name in (*lacking, *matching.unfilled) if _matters(model, name) and name not in filled
        ]
        unexpected = tuple(_reported(era, model, matching.unexpected))
        unimportant = {shown[name] for name in lacking if not _matters(model, name)}
        heads = {name for name in unexpected if name in plain or why_harmless(name) is not None}
        return cls(
            missing=tuple(shown.values()),
            unexpected=unexpected,
            harmless=frozenset(unimportant | heads),
            random=tuple(random),
            unreported=matching.unfilled,
            dropped=tuple(name for name in unexpected if name not in heads),
            replaced=tuple(matching.replaced.items()),
            told=era.silence is Silence.NEVER or named,
        )

    @property
    def outcome(self) -> Outcome:
        """Whether every tensor that embeddings depend on is filled."""
        return Outcome.INCOMPLETE if self.random else Outcome.FAITHFUL

    @property
    def silent(self) -> bool:
        """Whether something goes wrong that matters, and nothing at all is told."""
        says_something = bool(self.missing) or (self.told and bool(self.unexpected))
        return bool(self.random or self.dropped) and not says_something

    @property
    def reasons(self) -> tuple[str, ...]:
        """What there is to say, one sentence each."""
        return tuple(self._sentences())

    def _sentences(self) -> Iterator[str]:
        random = [name for name in self.random if name not in self.unreported]
        if random:
            yield f"Random values stay in {examples(random)}, which no stored tensor fills."
        if self.unreported:
            yield f"Nothing fills {examples(self.unreported)}, and no report names them."
        if self.dropped:
            yield f"Left out: {examples(self.dropped)}, which the model does not have."
        for loser, winner in self.replaced[:1]:
            more = f", and so for {len(self.replaced) - 1} more" if len(self.replaced) > 1 else ""
            yield f"{quoted(winner)} and {quoted(loser)} are stored for one tensor; the first is taken{more}."
        if self.harmless:
            yield f"No embedding depends on {examples(sorted(self.harmless))}."


def _with_tied(model: ExpectedModel, names: set[str]) -> set[str]:
    """`names`, and those that are one tensor with one of them."""
    groups = (set(group) for group in model.architecture.tied)
    return names.union(*(group for group in groups if group & names))


def _is_quiet(era: TransformersEra, model: ExpectedModel, name: str) -> bool:
    """Whether nobody reports it missing: a buffer that the model computes, or one that the class names."""
    pattern = era.quiet_missing.get(model.architecture.name)
    if pattern is not None and re.search(pattern, name) is not None:
        return True
    return model.tensors[name].role is Role.BUFFER


def _matters(model: ExpectedModel, name: str) -> bool:
    return model.tensors[name].role is Role.EMBEDDING


def _reported(era: TransformersEra, model: ExpectedModel, names: Iterable[str]) -> list[str]:
    """Unexpected names without those that the class or the release leaves unreported."""
    architecture = model.architecture
    patterns = list(architecture.ignored)
    if architecture.name in era.rotary:
        patterns.append(era.rotary_names)
    if era.drops_position_ids and any(name.endswith("position_ids") for name in model.tensors):
        patterns.append(_POSITION_IDS)
    quiet = re.compile("|".join(patterns)) if patterns else None
    return sorted(name for name in names if quiet is None or quiet.search(name) is None)
