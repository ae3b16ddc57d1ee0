"""How long a tokenizer's normaliser makes a text, found out before the whole of it is let loose on one.

A `tokenizer.json` may replace one letter by a thousand, several times over, so that a short text takes all
memory. Here the steps are run one by one, each only if what it can make of the text at most is bounded, and
the text that comes out is held against the one that went in. Refuses to know what comes after that.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
from tokenizers import Tokenizer

from embaudit.errors import LimitError

MOST_CHARACTERS = 2**20
"""Characters of one text: 128 for each token that is taken at most."""

MOST_GROWTH = 32
"""Times its length that a text may become, and as many characters besides. The decompositions of Unicode make
18 characters of one at most; normalisers of real models add a character or two for some."""

MOST_STEP_CHARACTERS = 2**26
"""Characters that one step may be able to make of a text, whether it would or not."""

_DECOMPOSED = 18
"""Characters that the decompositions of Unicode make of one at most, that of U+FDFA."""

_ADDING = ("Replace", "Prepend", "Precompiled")
"""Steps that can put in more characters than any language asks for."""


@attrs.frozen(kw_only=True, eq=False)
class Step:
    """One step of a normaliser.

    Attributes:
        normalizer: Of the tokenizers library.
        added: Characters that it can put in for one, or between two.
        is_table: Whether it looks characters up in a table of its own, which alone tells how many.
    """

    normalizer: Any
    added: int
    is_table: bool = False

    def most(self, text: str) -> int:
        """Characters that it can make of a text at most."""
        added = self.added
        if self.is_table:
            added = max((len(self.normalizer.normalize_str(each)) for each in set(text)), default=1)
        return (len(text) + 1) * (added + 1)


def growing_steps(normalizer: object) -> tuple[Step, ...]:
    """All steps of a normaliser if any of them puts in characters of its own, else none."""
    steps = list(_flat(normalizer))
    if not any(step.get("type") in _ADDING for step in steps):
        return ()
    return tuple(_step(step) for step in steps)


def check_growth(steps: Sequence[Step], text: str) -> None:
    """Run a text through the steps.

    Raises:
        LimitError: If it grows too long.
    """
    allowed = MOST_GROWTH * (len(text) + 1)
    for step in steps:
        if step.most(text) > MOST_STEP_CHARACTERS:
            raise LimitError(
                f"its normaliser can make more than {MOST_STEP_CHARACTERS} characters of a text",
                limit="MOST_STEP_CHARACTERS",
            )
        text = step.normalizer.normalize_str(text)
        if len(text) > allowed:
            raise LimitError(
                f"its normaliser makes a text more than {MOST_GROWTH} times as long", limit="MOST_GROWTH"
            )


def _flat(normalizer: object) -> Iterator[dict[str, Any]]:
    """The steps of a normaliser, those of sequences within it too."""
    if not isinstance(normalizer, dict):
        return
    if normalizer.get("type") != "Sequence":
        yield normalizer
        return
    steps = normalizer.get("normalizers")
    for step in steps if isinstance(steps, list) else []:
        yield from _flat(step)


def _step(step: dict[str, Any]) -> Step:
    added = max(
        (len(value) for value in (step.get("content"), step.get("prepend")) if isinstance(value, str)),
        default=_DECOMPOSED,
    )
    return Step(normalizer=_normalizer(step), added=added, is_table=step.get("type") == "Precompiled")


def _normalizer(step: dict[str, Any]) -> Any:
    """One step, out of a tokenizer that has no other."""
    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    return Tokenizer.from_str(json.dumps({"version": "1.0", "normalizer": step, "model": model})).normalizer
