"""Why vectors differ from those that a repository promises: hypotheses, and the one that reproduces them.

Knows what was found, and in which words it is told. Refuses to know how vectors are computed.
"""

import enum

import attrs

from embaudit.model.shown import Shown


class Verdict(str, enum.Enum):
    """What comes of a diagnosis."""

    AGREES = "agrees"
    """The vectors are those that the repository promises."""
    EXPLAINED = "explained"
    """They are not, and one hypothesis gives them; or several that give the same vectors of these texts."""
    AMBIGUOUS = "ambiguous"
    """Several hypotheses that give different vectors come about equally near, one that nothing is wrong and
    the model computes in half precision among them at times."""
    UNEXPLAINED = "unexplained"
    """None of the hypotheses gives them; or only but for a factor, or what is declared is in doubt."""

    def __str__(self) -> str:
        return self.value


@attrs.frozen(kw_only=True)
class Hypothesis:
    """One way in which the vectors may have been made, and how far its vectors are from the observed ones.

    Attributes:
        causes: What is done otherwise than the repository declares, by name: `storage-offset-in-bytes`,
            `pooling:cls`. Empty for what is declared, and two names where two things are done otherwise.
        description: The same in words, without a full stop.
        evidence: What in the files or in a loader's prediction makes it possible, one sentence each.
        dimension: Components of its vectors.
        distance: L2 distance to the observed vector as a part of the length of its own, of the text where
            it is largest. None if the two have different dimensions, or its vectors are not numbers.
        cosine: Cosine similarity to the observed vector, of the text where it is least. None as above.
        reproduces: Whether its vectors are those that were observed, to within `distance` 0.0141.
        distances: The same of each text, in their order; only where they are what is declared, or reproduce
            the vectors.
        rows: Where the observed rows are a permutation of its own: for each of its rows, in order, the
            position of the observed one. Empty if the order is the same.
    """

    causes: tuple[str, ...]
    description: str
    evidence: tuple[str, ...] = ()
    dimension: int
    distance: float | None
    cosine: float | None
    reproduces: bool
    distances: tuple[float, ...] = attrs.field(default=(), repr=False)
    rows: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The causes in one text, `as-declared` if there are none."""
        return " + ".join(self.causes) or "as-declared"


@attrs.frozen(kw_only=True)
class Cause:
    """What the observed vectors come of.

    Attributes:
        hypotheses: One; or several that give the same vectors of these texts, and which nothing in the
            vectors tells apart. Texts of other lengths or cases may.
    """

    hypotheses: tuple[Hypothesis, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each of them."""
        return tuple(hypothesis.name for hypothesis in self.hypotheses)

    def __str__(self) -> str:
        return " or ".join(self.names)


@attrs.frozen(kw_only=True)
class Diagnosis(Shown):
    """Where observed vectors come from, as far as the files of a repository tell.

    Attributes:
        target: What was diagnosed, as it was named.
        commit: Its commit, 40 hex digits, or None if that is not known.
        loader: The loader asked about, as it was asked; None if none was.
        verdict: What came of it.
        cause: What reproduces the vectors, if they are not those that are declared and something does.
        declared: The vectors that the repository promises, as sentence-transformers makes them, held against
            those observed.
        ranked: Every hypothesis, `declared` among them, the nearest first; those that cannot be compared come
            last, and of combinations only the nearest are kept.
        without_effect: Names of hypotheses that change nothing on these texts.
        untested: Hypotheses that were not tried and why, one sentence each.
        doubts: Why what is declared may be something else than what it was taken for, one sentence each.
        notes: What else is worth knowing, one sentence each.
        dimension: Components of the observed vectors.
        n_texts: Texts that vectors were given of.
        n_passes: How often a model was run over the texts.
    """

    target: str
    commit: str | None = None
    loader: str | None = None
    verdict: Verdict
    cause: Cause | None = None
    declared: Hypothesis
    ranked: tuple[Hypothesis, ...]
    without_effect: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dimension: int
    n_texts: int
    n_passes: int
